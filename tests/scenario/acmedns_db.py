# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases as acme-dns leaves them: its own CREATE TABLE statements, its bcrypt digests, its oddities."""

import ctypes
import json
import secrets
import sqlite3
import time
import uuid

ACMEDNS = "CREATE TABLE IF NOT EXISTS acmedns(Name TEXT, Value TEXT)"
RECORDS = """CREATE TABLE IF NOT EXISTS records(Username TEXT UNIQUE NOT NULL PRIMARY KEY, Password TEXT UNIQUE NOT NULL,
             Subdomain TEXT UNIQUE NOT NULL, AllowFrom TEXT)"""
TXT = "CREATE TABLE IF NOT EXISTS txt(Subdomain TEXT NOT NULL, Value TEXT NOT NULL DEFAULT '', LastUpdate INT)"
TXT_POSTGRES = TXT.replace("txt(", "txt(rowid SERIAL, ")
# Before version 0.2: values in the table of accounts, and no note of a version.
RECORDS_FIRST = """CREATE TABLE IF NOT EXISTS records(Username TEXT UNIQUE NOT NULL PRIMARY KEY,
                   Password TEXT UNIQUE NOT NULL, Subdomain TEXT UNIQUE NOT NULL, Value TEXT, LastActive DATETIME,
                   AllowFrom TEXT)"""


def bcrypt(secret, cost=10):
    """As Go's bcrypt writes it."""
    lib = ctypes.CDLL("libcrypt.so.1")
    lib.crypt_gensalt.restype = lib.crypt.restype = ctypes.c_char_p
    salt = lib.crypt_gensalt(b"$2a$", ctypes.c_ulong(cost), secrets.token_bytes(16), 16)
    return lib.crypt(secret.encode(), salt).decode()


def unused_bcrypt():
    """The form of one, for accounts that nobody logs into: drawing a real one takes 50 ms."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./"
    return "$2a$10$" + "".join(secrets.choice(alphabet) for _ in range(53))


def account(secret=None, **columns):
    """A row of records; `password` is known to whoever registered it."""
    secret = secret or secrets.token_urlsafe(30)
    return {"secret": secret, "Username": str(uuid.uuid4()), "Password": columns.pop("Password", None) or bcrypt(secret),
            "Subdomain": str(uuid.uuid4()), "AllowFrom": "[]", "values": [], **columns}


def many(count):
    return [account(Password=unused_bcrypt(), secret="x" * 40) for _ in range(count)]


def rows_of_txt(accounts):
    """Two rows an account, as registration makes them, with the values (text, time) given."""
    for a in accounts:
        given = [(text, when) for text, when in a["values"]]
        yield from ((a["Subdomain"], text, when) for text, when in given + [("", 0)] * (2 - len(given)))


def sqlite(path, accounts, version="1", first=False):
    """`version`: None leaves the note out."""
    with sqlite3.connect(path) as db:
        if not first:
            db.execute(ACMEDNS)
            db.execute(TXT)
            if version is not None:
                db.execute("INSERT INTO acmedns (Name, Value) VALUES ('db_version', ?)", (version,))
        db.execute(RECORDS_FIRST if first else RECORDS)
        for a in accounts:
            # Go's driver writes the digest, a slice of bytes, as a BLOB.
            password = a["Password"].encode() if isinstance(a["Password"], str) else a["Password"]
            columns = [a["Username"], password, a["Subdomain"], a["AllowFrom"]]
            if first:
                value = a["values"][-1][0] if a["values"] else ""
                db.execute("INSERT INTO records (Username, Password, Subdomain, AllowFrom, Value, LastActive) "
                           "VALUES (?, ?, ?, ?, ?, ?)", (*columns, value, int(time.time())))
            else:
                db.execute("INSERT INTO records (Username, Password, Subdomain, AllowFrom) VALUES (?, ?, ?, ?)", columns)
        if not first:
            db.executemany("INSERT INTO txt (Subdomain, Value, LastUpdate) VALUES (?, ?, ?)", rows_of_txt(accounts))
    db.close()
    path.chmod(0o600)
    return path


def quoted(text):
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def postgres_script(accounts):
    lines = [ACMEDNS, RECORDS, TXT_POSTGRES, "INSERT INTO acmedns (Name, Value) VALUES ('db_version', '1')"]
    for a in accounts:
        lines.append("INSERT INTO records (Username, Password, Subdomain, AllowFrom) VALUES ("
                     + ", ".join(quoted(a[c]) for c in ("Username", "Password", "Subdomain", "AllowFrom")) + ")")
    for subdomain, text, when in rows_of_txt(accounts):
        lines.append(f"INSERT INTO txt (Subdomain, Value, LastUpdate) VALUES ({quoted(subdomain)}, {quoted(text)}, {when})")
    return ";\n".join(lines) + ";\n"


def allow_from(*networks):
    return json.dumps(list(networks))
