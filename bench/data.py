# SPDX-License-Identifier: GPL-3.0-or-later
"""The delegates of one size: in our store, as a zone file for Knot and NSD, in acme-dns's database, and as queries.

Nothing here holds all names in memory: they go from file to file, and only those with a live value, LIVE_MAX at most,
are written down by name."""

import ctypes
import itertools
import json
import os
import sqlite3
import subprocess
import time
import uuid

from servers import ZONE, BenchError

KINDS = ["existing", "random"]
LIVE_MAX = 1_000_000
UPDATE_CLIENTS = 64  # the first names belong to the update clients, queries leave them alone
BYTES_ALWAYS = 300_000_000
BYTES_PER_NAME = 650  # records, what import sorts, store: all at once at worst (seen: 580)
BYTES_PER_VALUE = 400  # more in each of these, and queries, and zone files
ACME_DNS_CLIENTS = 8


def space_for(count):
    """Bytes of disk."""
    return BYTES_ALWAYS + count * BYTES_PER_NAME + min(count, LIVE_MAX) * BYTES_PER_VALUE


def run(command, seconds):
    """Output of a helper program, which must succeed within the time."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} took more than {seconds} s") from None
    except OSError as e:
        raise BenchError(f"cannot run {command[0]}: {e.strerror}") from None
    if done.returncode:
        raise BenchError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


class Dataset:
    """`live` of `count` delegates have a value. In `folder`: store, known (label value key-id secret), zone,
    queries-existing, queries-random."""

    def __init__(self, folder, count, live, server):
        self.folder = folder
        self.count = count
        self.live = live
        folder.mkdir(mode=0o755)
        self.known = folder / "known"
        self.store = folder / "store"
        self.import_seconds = self._fill_store(server)
        self.store_bytes = (self.store / "data.mdb").stat().st_size
        self._write_queries()

    def _fill_store(self, server):
        """Seconds that the import took."""
        build, records, conf = server.parent, self.folder / "records", self.folder / "import.yaml"
        run([build / "bench" / "names", self.count, self.live, ZONE, records, self.known], 60 + self.count // 100_000)
        conf.write_text(
            f"zones: [{{name: {ZONE}, nameservers: [{{name: ns1.{ZONE}, addresses: [127.0.0.1]}}]}}]\n"
            f"api: {{listen: [\"127.0.0.1:8443\"], tls: {{mode: off}}}}\nstore: {{path: {self.store}}}\n")
        begin = time.monotonic()
        run([server, "import", "-c", conf, records], 60 + self.count // 10_000)
        took = time.monotonic() - begin
        records.unlink()
        return took

    def _write_queries(self):
        with open(self.known, encoding="ascii") as known, open(self.queries("existing"), "w", encoding="ascii") as out:
            lines = itertools.islice(known, UPDATE_CLIENTS, None)
            out.writelines(f"{line.split(maxsplit=1)[0]}.{ZONE} TXT\n" for line in lines)
        # Else Knot and NSD would be asked in the order in which they laid the names down in memory.
        run(["shuf", "-o", self.queries("existing"), self.queries("existing")], 120)
        with open(self.queries("random"), "w", encoding="ascii") as out:
            out.writelines(f"{uuid.UUID(bytes=os.urandom(16), version=4)}.{ZONE} TXT\n" for _ in range(self.live))

    def queries(self, kind):
        return self.folder / f"queries-{kind}"

    def existing_name(self):
        with open(self.queries("existing"), encoding="ascii") as f:
            return f.readline().split()[0]

    def zone_file(self):
        """Made when first asked for."""
        path = self.folder / "zone"
        if path.exists():
            return path
        with open(self.known, encoding="ascii") as known, open(path, "w", encoding="ascii") as out:
            out.write(f"$ORIGIN {ZONE}.\n$TTL 1\n@ 3600 SOA ns1 hostmaster 1 3600 600 86400 5\n@ 3600 NS ns1\n")
            out.write("ns1 3600 A 127.0.0.1\n")
            out.writelines('{} TXT "{}"\n'.format(*line.split(maxsplit=2)) for line in known)
        return path

    def forget_page_cache(self):
        """Puts the store out of memory, as after a start of the machine. No process may have it open."""
        with open(self.store / "data.mdb", "rb") as f:
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def read_into_page_cache(self):
        with open(self.store / "data.mdb", "rb", buffering=0) as f:
            while f.read(1 << 20):
                pass

    def fill_acme_dns(self, path):
        """Its database, version 1 of the schema: the same names, values and keys."""
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE acmedns(Name TEXT, Value TEXT)")
        db.execute("INSERT INTO acmedns VALUES('db_version', '1')")
        db.execute("CREATE TABLE records(Username TEXT UNIQUE NOT NULL PRIMARY KEY, Password TEXT UNIQUE NOT NULL, "
                   "Subdomain TEXT UNIQUE NOT NULL, AllowFrom TEXT)")
        db.execute("CREATE TABLE txt(Subdomain TEXT NOT NULL, Value TEXT NOT NULL DEFAULT '', LastUpdate INT)")
        now = int(time.time())
        with open(self.known, encoding="ascii") as known:
            for number, line in enumerate(known):
                label, value, user, secret = line.split()
                # A hash takes 60 ms: only those who will update get theirs.
                password = bcrypt(secret) if number < ACME_DNS_CLIENTS else f"none-{number}".encode()
                db.execute("INSERT INTO records VALUES(?, ?, ?, ?)", (user, password, label, json.dumps([])))
                db.executemany("INSERT INTO txt VALUES(?, ?, ?)", [(label, value, now), (label, "", 0)])
        db.commit()
        db.close()


def bcrypt(secret):
    """At acme-dns's cost. Python has lost its crypt module; the C library's is in every Debian."""
    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except OSError as e:
        raise BenchError(f"no libcrypt for acme-dns's passwords: {e}") from None
    crypt.restype = ctypes.c_char_p
    salt = (uuid.uuid4().hex + uuid.uuid4().hex)[:21] + "e"  # 128 bits: of the last digit 2 count
    hashed = crypt(secret.encode(), f"$2a$10${salt}".encode())
    if not hashed or not hashed.startswith(b"$2a$10$"):
        raise BenchError("libcrypt makes no bcrypt hashes, which acme-dns's passwords are")
    return hashed
