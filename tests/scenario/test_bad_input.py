# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server must not start with: one clear line with file and line, exit status 2, nothing written."""

import os
import shutil
import socket
import struct
import subprocess

import lmdb
import pytest

from harness import IS_ROOT, ZONE, assert_clean, free_port, make_certificate, run


def tree(path):
    """All names below `path`, for the comparison of before and after; None when there is nothing."""
    if not path.exists():
        return None
    return sorted((str(p.relative_to(path)), p.lstat().st_mode) for p in path.rglob("*"))


@pytest.fixture
def prepared(make_server):
    """A factory: a server that is configured but not started."""
    return make_server


def refuse(one, *needles, line=None):
    """Starts, expects the refusal, returns the line."""
    store = one.folder / "store"
    before = tree(store)
    done = run("serve", "-c", one.config_path)
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    if line:
        assert lines[0].startswith(f"{one.config_path}:{line}: "), lines[0]
    for needle in needles:
        assert needle in lines[0], lines[0]
    assert tree(store) == before, "something was written"
    return lines[0]


def line_of(one, text):
    """The number of the line that contains `text`."""
    lines = one.config_path.read_text().splitlines()
    found = [i for i, line in enumerate(lines, 1) if text in line]
    assert len(found) == 1, (text, found)
    return found[0]


def edit(one, old, new):
    text = one.config_path.read_text()
    assert text.count(old) == 1, old
    one.config_path.write_text(text.replace(old, new))


@pytest.mark.parametrize("old,new,suggestion", [
    ("dns:", "dms:", "dns"),
    ("  workers:", "  worker:", "workers"),
    ("    contact:", "    contakt:", "contact"),
    ("  registration:", "  registrations:", "registration"),
    ("    per_day:", "    perday:", "per_day"),
])
def test_unknown_key(prepared, old, new, suggestion):
    one = prepared()
    edit(one, "\n" + old, "\n" + new)
    refuse(one, new.strip(" :"), suggestion, line=line_of(one, new.strip()))


@pytest.mark.parametrize("key,text", [("workers", '"many"'), ("workers", "-1"), ("workers", "2.5"), ("workers", "[1]"),
                                      ("workers", "{a: 1}"), ("workers", "99999999999999999999"), ("listen", '"here"'),
                                      ("listen", '["127.0.0.1"]'), ("listen", '["127.0.0.1:99999"]'),
                                      ("listen", '["localhost:53"]')])
def test_wrong_type_or_range_in_dns(prepared, key, text):
    one = prepared()
    one.configure(dns={key: "PLACE"})
    edit(one, '"PLACE"', text)
    refuse(one, key, line=line_of(one, f"{key}: {text}"))


@pytest.mark.parametrize("key,text", [("value_ttl", '"soon"'), ("value_ttl", "-1"), ("value_lifetime", '"1 fortnight"'),
                                      ("value_lifetime", "0"), ("max_values", "0"), ("max_values", "33"),
                                      ("negative_ttl", "[]"), ("contact", "{}")])
def test_wrong_type_or_range_in_a_zone(prepared, key, text):
    one = prepared(zone={key: "PLACE"})
    edit(one, '"PLACE"', text)
    refuse(one, key, line=line_of(one, f"{key}: {text}"))


@pytest.mark.parametrize("record", ["@ 3600 A 1.2.3", "@ 3600 NOTYPE x", "www", "www.example.com. 60 A 192.0.2.1",
                                    "@ 60 SOA a b 1 2 3 4 5", "x 60 CNAME", 'x 60 TXT "open'])
def test_bad_record(prepared, record):
    one = prepared(zone={"records": ["ok 60 A 192.0.2.1", record]})
    refuse(one, line=line_of(one, record.replace('"', '\\"')))


def test_cname_beside_other_data(prepared):
    one = prepared(zone={"records": ["x 60 A 192.0.2.1", "x 60 CNAME www"]})
    text = refuse(one, "CNAME")
    assert text.startswith(f"{one.config_path}:")


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".test", ".".join(["a" * 60] * 5)])
def test_bad_zone_name(prepared, name):
    one = prepared(zone={"name": name})
    assert refuse(one).startswith(f"{one.config_path}:")


def test_name_server_in_the_zone_without_address(prepared):
    one = prepared(zone={"nameservers": [{"name": f"ns1.{ZONE}", "addresses": []}]})
    assert refuse(one, "ns1").startswith(f"{one.config_path}:")


def test_the_same_zone_twice(prepared):
    one = prepared()
    one.configure(zones=one.settings()["zones"] * 2)
    assert refuse(one, ZONE).startswith(f"{one.config_path}:")


def test_no_zone(prepared):
    one = prepared()
    one.configure(zones=[])
    assert str(one.config_path) in refuse(one, "zones")


@pytest.mark.parametrize("text,line", [("zones: [\n", 2), ("\tzones:\n", 1), ("a: b: c\n", 1), ("zones:\n- name: 'x\n", None),
                                       ("%YAML 3.0\n---\n", None), ("\0", None), ("zones: &a [*a]\n", None)])
def test_broken_yaml(prepared, text, line):
    one = prepared()
    one.config_path.write_text(text)
    assert refuse(one).startswith(f"{one.config_path}:{line or ''}")


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]\n", "text\n", "--- \n"])
def test_no_configuration_in_the_file(prepared, text):
    one = prepared()
    one.config_path.write_text(text)
    done = run("serve", "-c", one.config_path)
    assert done.returncode == 2 and done.stdout == ""
    lines = done.stderr.splitlines()  # one for each thing that is missing
    assert lines and all(line.startswith(f"{one.config_path}:") for line in lines)
    assert tree(one.folder / "store") is None


def test_duplicate_key(prepared):
    one = prepared()
    with one.config_path.open("a") as f:
        f.write("store: {path: /elsewhere}\n")
    refuse(one, "store", line=line_of(one, "/elsewhere"))


def test_missing_file(folder):
    done = run("serve", "-c", folder / "nothing.yaml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and str(folder / "nothing.yaml") in done.stderr
    assert "No such file" in done.stderr


def test_file_is_a_folder(folder):
    done = run("serve", "-c", folder)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and str(folder) in done.stderr


def test_all_problems_at_once(prepared):
    one = prepared(zone={"value_ttl": 99, "records": ["@ 3600 A 1.2.3"]})
    edit(one, "\ndns:", "\ndms:")
    with one.config_path.open("a") as f:
        f.write("log: {level: loud}\n")
    done = run("serve", "-c", one.config_path)
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) >= 3
    assert tree(one.folder / "store") is None
    assert all(line.startswith(f"{one.config_path}:") for line in lines)
    for needle in ("value_ttl", "dms", "loud"):
        assert any(needle in line for line in lines), needle


# ---- certificate


@pytest.mark.parametrize("which", ["tls.crt", "tls.key"])
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "folder", "other"])
def test_bad_certificate(prepared, which, damage):
    one = prepared(tls=True)
    path = one.folder / which
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "other":
        make_certificate(one.folder, "other")
        (one.folder / which.replace("tls", "other")).rename(path)
    elif damage != "missing":
        path.write_text("" if damage == "empty" else "this is no PEM\n")
    refuse(one, str(one.folder / "tls."))
    assert tree(one.folder / "store") is None


def test_certificate_not_configured(prepared):
    one = prepared(api={"tls": {"mode": "files"}})
    assert refuse(one, "certificate").startswith(f"{one.config_path}:")


@pytest.mark.parametrize("listen", ["0.0.0.0", "[::]"])
def test_plain_http_to_the_world_is_refused(prepared, listen):
    """Keys would travel in the clear; behind a proxy one listens on loopback or names the proxies."""
    one = prepared()
    one.configure(api={"listen": [f"{listen}:{one.api_port}"]})
    assert refuse(one, "tls").startswith(f"{one.config_path}:")


# ---- ports


@pytest.mark.parametrize("kind,key", [(socket.SOCK_DGRAM, "dns"), (socket.SOCK_STREAM, "dns"), (socket.SOCK_STREAM, "api")])
@pytest.mark.parametrize("shared", [False, True], ids=["exclusive", "reuseport"])
def test_port_in_use(prepared, kind, key, shared):
    """Also when the other program would share the port: two servers would take each other's clients."""
    one = prepared()
    port = one.dns_port if key == "dns" else one.api_port
    with socket.socket(socket.AF_INET, kind) as s:
        if shared:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            s.listen()
        refuse(one, f"127.0.0.1:{port}", "in use")
    assert tree(one.folder / "store") is None


def test_address_of_another_machine(prepared):
    one = prepared(dns={"listen": [f"192.0.2.1:{free_port()}"]})
    refuse(one, "192.0.2.1")
    assert tree(one.folder / "store") is None


# ---- store


def test_store_below_a_file(prepared):
    one = prepared()
    (one.folder / "file").write_text("")
    path = one.folder / "file" / "store"
    one.configure(store={"path": str(path)})
    refuse(one, str(one.folder / "file"))
    assert (one.folder / "file").read_text() == ""


def test_store_is_a_file(prepared):
    one = prepared()
    (one.folder / "store").write_text("something of value")
    refuse(one, str(one.folder / "store"))
    assert (one.folder / "store").read_text() == "something of value"


def test_unwritable_store(prepared):
    """The folder belongs to somebody else (or, without root, nobody may write it): left as it is."""
    one = prepared()
    store = one.folder / "store"
    store.mkdir()
    store.chmod(0o755 if IS_ROOT else 0o555)
    status = store.stat()
    refuse(one, str(store))
    after = store.stat()
    assert (after.st_uid, after.st_mode) == (status.st_uid, status.st_mode)


def test_unreadable_store(prepared):
    """A store whose files belong to somebody else."""
    one = prepared()
    one.start()
    one.stop()
    one.data_file.chmod(0)
    if IS_ROOT:
        os.chown(one.data_file, 0, 0)
    refuse(one, str(one.folder / "store"))


@pytest.fixture
def used(make_server):
    """A server that was used and stopped; its store holds a delegate with a value."""
    one = make_server().start()
    one.publish(one.register())
    one.stop()
    return one


def refuse_store(one, *needles):
    """The store's file stays as it is, to the byte."""
    before = one.data_file.read_bytes()
    text = refuse(one, str(one.folder / "store"), *needles)
    assert one.data_file.read_bytes() == before
    return text


def test_store_of_a_newer_format(used):
    env = lmdb.open(str(used.folder / "store"), max_dbs=16)
    meta = env.open_db(b"meta", create=False)
    with env.begin(write=True, db=meta) as txn:
        (format_number,) = struct.unpack("!I", txn.get(b"format")[:4])  # and its checksum
        txn.put(b"format", struct.pack("!I", format_number + 1))
    env.close()
    refuse_store(used, "format", str(format_number + 1))


@pytest.mark.parametrize("damage", ["random", "zeros", "empty", "short", "text"])
def test_damaged_store(used, damage):
    size = used.data_file.stat().st_size
    contents = {"random": os.urandom(size), "zeros": bytes(size), "empty": b"", "short": used.data_file.read_bytes()[:4096],
                "text": b"this is no store\n" * 1000}[damage]
    used.data_file.write_bytes(contents)
    text = refuse_store(used)
    assert "damaged" in text or "not a store" in text


@pytest.mark.parametrize("page", range(2, 8))
def test_store_with_a_lost_page(used, page):
    """A page that was never written, as after a disk that lied: refused, or served; never a crash."""
    pages = bytearray(used.data_file.read_bytes())
    if len(pages) < (page + 1) * 4096:
        return
    pages[page * 4096:(page + 1) * 4096] = bytes(4096)
    used.data_file.write_bytes(pages)
    used.launch()
    try:
        assert used.process.wait(1) == 2, used.stderr()
    except subprocess.TimeoutExpired:
        used.stop()
    assert_clean(used.stderr())


def test_store_that_was_moved_away_is_made_anew(used):
    """Nothing of an old store is needed for a new one."""
    shutil.rmtree(used.folder / "store")
    used.start()
    account = used.register()
    assert used.publish(account) in used.values(account)
