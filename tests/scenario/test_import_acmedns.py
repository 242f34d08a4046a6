# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts out of acme-dns's databases: what doc/migrating-from-acme-dns.md promises."""

import glob
import json
import os
import pwd
import sqlite3
import subprocess
import time
import uuid

import pytest

import acmedns_db
from acmedns_db import account, allow_from
from harness import IS_ROOT, ZONE, environment, run, value

HOUR = 3_600_000


def take_over(one, *options, status=0, **kw):
    done = run("import", "-c", one.config_path, "acme-dns", *options, **kw)
    assert done.returncode == status, done.stderr
    return done.stderr


def exported(one):
    done = run("export", "-c", one.config_path)
    assert done.returncode == 0, done.stderr
    return {d["label"]: d for d in map(json.loads, done.stdout.splitlines()[1:-1])}


def credentials(a):
    return {"username": a["Username"], "password": a["secret"], "subdomain": a["Subdomain"],
            "fulldomain": f"{a['Subdomain']}.{ZONE}"}


def expected(a, **more):
    """The members of a delegate that do not depend on when it was imported."""
    return {"zone": ZONE, "label": a["Subdomain"].lower(),
            "keys": [{"id": a["Username"], "bcrypt": a["Password"]}], **more}


def without_times(d):
    d = {k: v for k, v in d.items() if k != "created"}
    d["keys"] = [{k: v for k, v in key.items() if k != "created"} for key in d["keys"]]
    if "values" in d:
        d["values"] = [v["value"] for v in d["values"]]
    return d


def check_imported(one, accounts, **more):
    found = {label: without_times(d) for label, d in exported(one).items()}
    assert found == {a["Subdomain"].lower(): expected(a, **more.get(a["Subdomain"], {})) for a in accounts}


def three():
    """A plain one, one with everything, one with the same value in both rows (a request that was repeated)."""
    now = int(time.time())
    old, new, twice = value(), value(), value()
    accounts = [account(), account(AllowFrom=allow_from("192.0.2.0/24", "2001:db8::/32"),
                                   values=[(new, now), (old, now - 60)]),
                account(values=[(twice, now), (twice, now)])]
    more = {accounts[1]["Subdomain"]: {"allow": ["192.0.2.0/24", "2001:db8::/32"], "values": [old, new]},
            accounts[2]["Subdomain"]: {"values": [twice]}}
    return accounts, more


def test_sqlite(make_server, tmp_path):
    one = make_server()
    accounts, more = three()
    path = acmedns_db.sqlite(tmp_path / "acme-dns.db", accounts)
    before = path.read_bytes()
    started = time.time()
    said = take_over(one, "--sqlite", path)
    assert said.splitlines()[-1].startswith("imported 3 delegates, 0 already there, 0 bad rows, ")
    check_imported(one, accounts, **more)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["acme-dns.db"], "nothing of acme-dns's is changed"
    # Values live from now on as long as ones published here: an hour, if the configuration says nothing else.
    lifetime = HOUR
    for d in exported(one).values():
        for v in d.get("values", []):
            assert started * 1000 + lifetime - 1 <= v["expiry"] <= time.time() * 1000 + lifetime
    assert take_over(one, "--sqlite", path).splitlines()[-1].startswith(
        "imported 0 delegates, 3 already there, 0 bad rows, "), "doing it again is harmless"


def test_first_layout_and_what_is_left_of_it(make_server, tmp_path):
    one, other = make_server(), make_server()
    published = value()
    accounts = [account(), account(values=[(published, 1)])]
    more = {accounts[1]["Subdomain"]: {"values": [published]}}
    take_over(one, "--sqlite", acmedns_db.sqlite(tmp_path / "first.db", accounts, first=True))
    check_imported(one, accounts, **more)
    # After acme-dns's own upgrade SQLite keeps the old columns, and values are in the new table only.
    path = acmedns_db.sqlite(tmp_path / "upgraded.db", accounts, first=True)
    with sqlite3.connect(path) as db:
        db.execute(acmedns_db.ACMEDNS)
        db.execute(acmedns_db.TXT)
        db.execute("INSERT INTO acmedns VALUES ('db_version', '1')")
        newer = value()
        db.execute("INSERT INTO txt VALUES (?, ?, 7)", (accounts[0]["Subdomain"], newer))
    db.close()
    take_over(other, "--sqlite", path)
    check_imported(other, accounts, **{accounts[0]["Subdomain"]: {"values": [newer]}})


def test_forms_of_names(make_server, tmp_path):
    one = make_server()
    canonical = [str(uuid.uuid4()) for _ in range(5)]
    forms = [canonical[0].upper(), "{" + canonical[1] + "}", "urn:uuid:" + canonical[2], canonical[3].replace("-", ""),
             canonical[4]]
    accounts = [account(Username=form) for form in forms]
    accounts[4]["Subdomain"] = "Chosen-By-Hand"
    take_over(one, "--sqlite", acmedns_db.sqlite(tmp_path / "a.db", accounts))
    for a, name in zip(accounts, canonical):
        a["Username"] = name
    check_imported(one, accounts)


def test_bad_rows_are_named_and_nothing_is_written(make_server, tmp_path):
    one = make_server()
    good = account()
    bad = {
        "AllowFrom \"everybody\" is not a JSON array": account(AllowFrom="everybody"),
        "AllowFrom \"\" is not a JSON array": account(AllowFrom=""),
        "AllowFrom is NULL": account(AllowFrom=None),
        "\"192.0.2.1\" is not a network": account(AllowFrom='["192.0.2.1"]'),
        "is not a UUID": account(Username="somebody"),
        "is not 1 to 63 of a-z": account(Subdomain="a.b"),
        "bcrypt is not": account(Password="plain-text-password"),
    }
    twins = [account(Subdomain="twin"), account(Subdomain="TWIN")]
    path = acmedns_db.sqlite(tmp_path / "a.db", [good, *bad.values(), *twins])
    said = take_over(one, "--sqlite", path, status=1)
    for why, a in bad.items():
        line, = [li for li in said.splitlines() if a["Username"] in li and a["Subdomain"] in li]
        assert why in line
    assert '"twin" is the same delegate as in line' in said
    assert "8 bad rows, so nothing was imported" in said and "plain-text-password" not in said
    assert exported(one) == {}
    said = take_over(one, "--sqlite", path, "--keep-going", status=1)
    assert said.splitlines()[-1].startswith("imported 2 delegates, 0 already there, 8 bad rows, ")
    assert set(exported(one)) == {good["Subdomain"], "twin"}


def test_rows_without_an_account_mean_nothing(make_server, tmp_path):
    one = make_server()
    good = account()
    path = acmedns_db.sqlite(tmp_path / "a.db", [good])
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO txt VALUES ('nobody', ?, 1)", (value(),))
    db.close()
    take_over(one, "--sqlite", path)
    check_imported(one, [good])


@pytest.mark.parametrize("make, why", [
    (lambda p: p.write_bytes(b""), "it has no table \"records\""),
    (lambda p: p.write_bytes(b"not a database, whatever its name says " * 100), "not a database"),
    (lambda p: acmedns_db.sqlite(p, [], version="2"), "made by a newer acme-dns: its layout is 2"),
    (lambda p: None, "No such file"),
])
def test_what_is_no_database_of_acme_dns(make_server, tmp_path, make, why):
    one = make_server()
    path = tmp_path / "a.db"
    make(path)
    said = take_over(one, "--sqlite", path, status=1)
    line, = said.splitlines()[-1:]
    assert str(path) in line and why in line


def test_dry_run_writes_nothing_and_needs_no_stop(server, tmp_path):
    one = server()
    kept = one.register()
    accounts, _ = three()
    accounts.append(account(Subdomain=kept["subdomain"]))
    path = acmedns_db.sqlite(tmp_path / "a.db", accounts)
    before = exported(one)
    said = take_over(one, "--dry-run", "--sqlite", path)
    assert said.splitlines()[-1].startswith("would import 3 delegates, 1 already there, 0 bad rows, ")
    assert exported(one) == before


def test_dry_run_without_a_store(make_server, tmp_path):
    one = make_server()
    path = acmedns_db.sqlite(tmp_path / "a.db", [account(), account(AllowFrom="x")])
    store = one.settings()["store"]["path"]
    said = take_over(one, "-n", "--sqlite", path, status=1)
    assert "AllowFrom \"x\"" in said and "1 bad row, so nothing" in said
    said = take_over(one, "-n", "-k", "--sqlite", path, status=1)
    assert said.splitlines()[-1].startswith("would import 1 delegate, 0 already there, 1 bad row, ")
    assert not os.path.exists(os.path.join(store, "data.mdb"))


def test_while_acme_dns_is_running(make_server, tmp_path):
    """acme-dns keeps its file open, has read it, and writes again afterwards."""
    one = make_server()
    accounts, more = three()
    path = acmedns_db.sqlite(tmp_path / "a.db", accounts)
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM records").fetchone() == (3,)
    take_over(one, "--sqlite", path)
    db.execute("UPDATE txt SET Value = ''")
    db.commit()
    db.close()
    check_imported(one, accounts, **more)


def test_a_deleted_delegate_does_not_come_back(server, make_server, tmp_path):
    one = make_server()
    accounts = [account(), account()]
    path = acmedns_db.sqlite(tmp_path / "a.db", accounts)
    gone = {"zone": ZONE, "label": accounts[0]["Subdomain"], "deleted": True}
    marks = tmp_path / "marks"
    marks.write_text(json.dumps(gone) + "\n")
    done = run("import", "-c", one.config_path, marks)
    assert done.returncode == 0, done.stderr
    said = take_over(one, "--sqlite", path)
    assert said.splitlines()[-1].startswith(
        "imported 1 delegate, 0 already there, 1 deleted here and left so, 0 bad rows, ")
    found = exported(one)
    assert set(found) == {a["Subdomain"] for a in accounts} and found[accounts[0]["Subdomain"]] == gone


def test_a_hundred_thousand_accounts(make_server, tmp_path):
    one = make_server()
    path = acmedns_db.sqlite(tmp_path / "a.db", acmedns_db.many(100_000))
    started = time.monotonic()
    said = take_over(one, "--sqlite", path, timeout=60)
    taken = time.monotonic() - started
    assert said.splitlines()[-1].startswith("imported 100 000 delegates, 0 already there, 0 bad rows, ")
    assert taken < 10, f"{taken:.1f} s"


def test_wrong_usage(make_server):
    one = make_server()
    for options in ([], ["--sqlite", "a", "--postgres", "b"], ["--sqlite", "a", "--zone", "elsewhere.test"]):
        assert run("import", "-c", one.config_path, "acme-dns", *options).returncode in (1, 2)
    done = run("import", "-c", one.config_path, "--sqlite", "a", "file")
    assert done.returncode == 2 and "import acme-dns" in done.stderr


# ---- PostgreSQL


def as_account(name):
    """Runs as an account other than root, which PostgreSQL refuses."""
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []} if IS_ROOT else {}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of its own: no port, a socket in a folder that goes with the tests."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not folders:
        pytest.skip("PostgreSQL is not installed")
    folder = tmp_path_factory.mktemp("postgres")
    for f in (folder, *folder.parents):
        if f.stat().st_uid == os.geteuid() and str(f) != "/tmp" and str(f).startswith("/tmp/"):
            f.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    kw = as_account("nobody")
    if kw:
        os.chown(data, kw["user"], kw["group"])
        os.chown(folder, kw["user"], kw["group"])
    bin_folder = folders[-1]

    def call(*command, **more):
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=folder, **kw, **more)

    call(f"{bin_folder}/initdb", "-D", data, "-U", "acmedns", "--auth=trust", "--no-sync", "-E", "UTF8")
    call(f"{bin_folder}/pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o",
         f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off", "start")
    try:
        yield folder, lambda sql: call(f"{bin_folder}/psql", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(folder), "-U",
                                       "acmedns", "postgres", input=sql)
    finally:
        call(f"{bin_folder}/pg_ctl", "-D", data, "-m", "immediate", "stop")


def test_postgres(make_server, cluster):
    folder, psql = cluster
    one = make_server()
    accounts, more = three()
    psql("DROP TABLE IF EXISTS acmedns, records, txt;\n" + acmedns_db.postgres_script(accounts))
    url = f"postgres:///postgres?host={folder}&user=acmedns"
    said = take_over(one, "--postgres", url)
    assert said.splitlines()[-1].startswith("imported 3 delegates, 0 already there, 0 bad rows, ")
    check_imported(one, accounts, **more)
    assert take_over(one, "--dry-run", "--postgres", url).splitlines()[-1].startswith("would import 0 delegates, 3 alr")


def test_postgres_that_is_something_else(make_server, cluster):
    folder, psql = cluster
    one = make_server()
    psql("DROP TABLE IF EXISTS acmedns, records, txt;\n")
    said = take_over(one, "--postgres", f"postgres:///postgres?host={folder}&user=acmedns", status=1)
    assert "PostgreSQL: not a database of acme-dns" in said


@pytest.mark.parametrize("url", [
    "postgres://acmedns:Secret1@{folder}/postgres", "postgres://acmedns:Se@Secret1@127.0.0.1:1/postgres",
    "postgres://acmedns:Secret1@127.0.0.1:1/postgres", "postgres://acmedns:Secret1@[::1/postgres",
    "host={folder} password=Secret1 user='nobody", "postgres://acmedns:100%Secret1@127.0.0.1:1/postgres"])
def test_passwords_are_not_repeated(make_server, tmp_path, url):
    one = make_server()
    said = take_over(one, "--postgres", url.format(folder=tmp_path), status=1,)
    assert "Secret1" not in said and said.strip()


# ---- the whole of it


def test_every_old_key_works(server, tmp_path):
    """The key of an acme-dns account updates its delegate here, also the second time, and a wrong one does not."""
    one = server()
    one.stop()
    accounts = [account() for _ in range(3)] + [account(AllowFrom=allow_from("192.0.2.0/24"))]
    take_over(one, "--sqlite", acmedns_db.sqlite(tmp_path / "a.db", accounts))
    one.start()
    for a in accounts[:3]:
        assert one.update({**credentials(a), "password": "x" * 40}, value()).status == 401
        first, second = value(), value()
        assert one.update(credentials(a), first).status == 200
        assert one.update(credentials(a), second).status == 200
        assert one.values(credentials(a)) == [first, second]
        assert "sha256" in exported(one)[a["Subdomain"]]["keys"][0], "bcrypt is computed once in a key's life"
    assert one.update(credentials(accounts[3]), value()).status == 401, "the networks came along"
