# SPDX-License-Identifier: GPL-3.0-or-later
"""Delegates as lines of JSON, out of the store and into one: what doc/data-format.md promises."""

import hashlib
import json
import os
import pathlib
import pty
import pwd
import random
import re
import resource
import secrets
import shutil
import signal
import subprocess
import time
import uuid

import pytest

import harness
from harness import BINARY, IS_ROOT, USER, ZONE, assert_clean, environment, make_folder, poll, run, value
from test_faults import fill, own_mounts, small_disk  # noqa: F401  fixtures

HEADER = {"format": "acme-delegate", "version": 2}
MANY = 75_000
HOUR = 3_600_000
MIB = 1 << 20


def now_ms():
    return int(time.time() * 1000)


def made_up(label=None, secret=None, **more):
    """A delegate as it stands in a file, with one key."""
    secret = secret or secrets.token_urlsafe(30)
    key = {"id": str(uuid.uuid4()), "created": now_ms(), "sha256": hashlib.sha256(secret.encode()).hexdigest()}
    return {"zone": ZONE, "label": label or str(uuid.uuid4()), "created": now_ms(), "keys": [key], **more}


def account_of(delegate, secret):
    """The same as the API would have given it out."""
    label = delegate["label"]
    return {"username": delegate["keys"][0]["id"], "password": secret, "subdomain": label,
            "fulldomain": f"{label}.{ZONE}"}


def dump(objects):
    return "".join(json.dumps(o, separators=(",", ":")) + "\n" for o in objects)


def whole(delegates):
    """A file as export writes it, but for the order."""
    return dump([HEADER, *delegates, {"delegates": len(delegates)}])


def do_import(one, text, *options, **kw):
    path = one.folder / f"import-{secrets.token_hex(4)}"
    path.write_text(text)
    return run("import", "-c", one.config_path, *options, path, **kw), path


def imported(one, delegates, *options, **kw):
    done, _ = do_import(one, whole(delegates), *options, **kw)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1]


def export(one, status=0):
    done = run("export", "-c", one.config_path)
    assert done.returncode == status, done.stderr
    return done.stdout


def delegates_of(text):
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0] == HEADER and lines[-1] == {"delegates": len(lines) - 2}
    return lines[1:-1]


def made_up_fast(count):
    """Many of them, the same each time, with keys that open nothing."""
    rng = random.Random(5)
    key = {"created": 1, "sha256": "0" * 64}

    def uid():
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))

    return [{"zone": ZONE, "label": uid(), "created": 1, "keys": [{"id": uid(), **key}]} for _ in range(count)]


def dict_of(delegates):
    return {d["label"]: d for d in delegates}


@pytest.fixture(scope="module")
def many():
    return made_up_fast(MANY)


# ---- there and back


def test_round_trip(make_server):
    one, other = make_server(), make_server()
    allow = {"allow": ["192.0.2.0/24", "2001:db8::/32"]}
    values = {"values": [{"value": value(), "expiry": now_ms() + i * HOUR} for i in (3, 1, 2)]}
    delegates = [made_up(), made_up("web1"), made_up("with-everything_1", **allow, **values), made_up(keys=[])]
    delegates[1]["keys"].append({**delegates[1]["keys"][0], "id": str(uuid.uuid4())})
    assert imported(one, delegates).startswith("imported 4 delegates, 0 already there, 0 bad lines, ")
    first = export(one)
    assert dict_of(delegates_of(first)) == dict_of(delegates)
    done, _ = do_import(other, first)
    assert done.returncode == 0
    assert export(other) == first


def test_what_the_server_made_goes_elsewhere_and_works_there(server):
    one, other = server(), server()
    plain, allowed = one.register(), one.register(allowfrom=["192.0.2.0/24"])
    txt = one.publish(plain)
    other.stop()
    done, _ = do_import(other, export(one))  # while `one` is running
    assert done.returncode == 0, done.stderr
    other.start()
    assert other.values(plain) == [txt]
    newer = other.publish(plain)
    assert other.values(plain) == [txt, newer]
    assert other.values(allowed) == []
    assert other.update(allowed, value()).status == 401, "the allow list came along"
    assert other.update({**plain, "password": "x" * 40}, value()).status == 401


def test_a_key_made_elsewhere_opens_its_delegate(make_server):
    one = make_server()
    secret = secrets.token_urlsafe(30)
    delegate = made_up("made-elsewhere", secret)
    imported(one, [delegate])
    one.start()
    account = account_of(delegate, secret)
    assert one.values(account) == []
    txt = one.publish(account)
    assert one.values(account) == [txt]


def test_values_expire_as_if_published_here(make_server):
    one = make_server()
    live, dead = value(), value()
    soon = {"value": live, "expiry": now_ms() + 2500}
    gone = {"value": dead, "expiry": now_ms() - 1}
    imported(one, [made_up("a", values=[gone, soon])])
    one.start()
    account = {"fulldomain": f"a.{ZONE}"}
    assert dead not in one.values(account)
    poll(lambda: one.values(account) == [], 10, "the value has expired")


def test_standard_input_and_output(make_server):
    one = make_server()
    text = dump([made_up("a")])
    done = subprocess.run([BINARY, "import", "-c", str(one.config_path), "-"], input=text, text=True,
                          capture_output=True, env=environment(), timeout=20)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    path = one.folder / "out"
    path.write_text("something longer that was there before" * 100)
    assert run("export", "-c", one.config_path, path).stdout == ""
    assert path.read_text() == export(one) == run("export", "-c", one.config_path, "-").stdout
    assert dump(delegates_of(path.read_text())) == text


def test_files_belong_to_the_servers_account(make_server):
    one = make_server()
    imported(one, [made_up()])
    store = pathlib.Path(one.settings()["store"]["path"])
    owner = pwd.getpwuid(os.geteuid()).pw_name if not IS_ROOT else USER
    for path in (store, *store.iterdir()):
        assert path.owner() == owner
    assert sorted(p.name for p in store.iterdir()) == ["data.mdb", "lock.mdb", "serve.lock"], "no temporary files"
    one.start()


# ---- what is refused


def test_refused_while_the_server_runs(server):
    one = server()
    account = one.register()
    before = export(one)
    done, _ = do_import(one, whole([made_up()]))
    assert done.returncode == 1
    line, = done.stderr.splitlines()[-1:]
    assert f"the store is in use by another acme-delegate, process {one.process.pid}; stop it first" in line
    assert export(one) == before
    assert one.update(account, value()).status == 200
    one.stop()
    done, _ = do_import(one, whole([made_up()]))
    assert done.returncode == 0


def test_a_server_does_not_start_during_an_import(make_server):
    one = make_server()
    process = subprocess.Popen([BINARY, "import", "-c", str(one.config_path), "-"], stdin=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE, env=environment())
    lock = pathlib.Path(one.settings()["store"]["path"]) / "serve.lock"
    poll(lambda: lock.exists() and lock.read_text().strip() == str(process.pid), 10, "the import holds the lock")
    done = run("serve", "-c", one.config_path)
    assert done.returncode == 2 and f"in use by another acme-delegate, process {process.pid}" in done.stderr
    _, stderr = process.communicate(whole([made_up()]), timeout=20)
    assert process.returncode == 0, stderr
    assert_clean(stderr)


def test_bad_lines_are_named(make_server):
    one = make_server()
    good = made_up("good")
    foreign = made_up("foreign") | {"zone": "elsewhere.test"}
    newer = made_up("newer") | {"bcrypt": "$2a$10$abc"}
    capital, stolen, again = made_up("Capital"), made_up("stolen"), made_up("good")
    stolen["keys"] = [good["keys"][0] | {"created": 7}]
    text = dump([HEADER, good, foreign, newer]) + "{\n" + dump([capital, again, made_up("other"), {"delegates": 7}])
    expected = {3: 'the configuration has no zone "elsewhere.test"', 4: 'unknown member "bcrypt"', 5: "not JSON",
                6: 'label: "Capital"', 7: "the same delegate as in line 2"}
    done, path = do_import(one, text)
    assert done.returncode == 1
    for number, why in expected.items():
        line, = [li for li in done.stderr.splitlines() if li.startswith(f"{path}:{number}: ")]
        assert why in line
    assert f"{path}: 5 bad lines, so nothing was imported; " in done.stderr.splitlines()[-1]
    assert delegates_of(export(one)) == []
    done, _ = do_import(one, text, "--keep-going")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("imported 2 delegates, 0 already there, 5 bad lines, ")
    assert {d["label"] for d in delegates_of(export(one))} == {"good", "other"}
    # A key that is there already, under another name.
    done, path = do_import(one, dump([stolen]))
    assert done.returncode == 1
    assert f"{path}:1: the key ID {good['keys'][0]['id']} is that of another delegate in the store" in done.stderr
    # What a terminal might take for a command is not repeated.
    done, path = do_import(one, '{"\\u001b[2J": 1}\n')
    assert "\x1b" not in done.stderr and 'unknown member "?[2J"' in done.stderr


def test_many_bad_lines_are_counted_not_shown(make_server):
    one = make_server()
    done, path = do_import(one, "nonsense\n" * 12345)
    lines = [li for li in done.stderr.splitlines() if li.startswith(f"{path}:")]
    assert len(lines) == 20 + 1 and "12 345 bad lines" in lines[-1]


def test_a_file_that_breaks_off_is_refused(make_server):
    one = make_server()
    text = whole([made_up() for _ in range(10)])
    lines = text.splitlines(keepends=True)
    for cut in ("".join(lines[:-1]), "".join(lines[:5]), "".join(lines[:5] + lines[6:]), text + lines[1]):
        done, _ = do_import(one, cut)
        assert done.returncode == 1, cut
    done, _ = do_import(one, text[:-40])  # within a line
    assert done.returncode == 1
    assert delegates_of(export(one)) == []
    # Lines chosen from a file are not such a file any more.
    done, _ = do_import(one, "".join(lines[3:6]))
    assert done.returncode == 0
    assert len(delegates_of(export(one))) == 3


def test_a_newer_format_is_refused_as_a_whole(make_server):
    one = make_server()
    done, _ = do_import(one, dump([HEADER | {"version": 3, "more": 1}, made_up()]), "--keep-going")
    assert done.returncode == 1 and "newer version" in done.stderr
    assert delegates_of(export(one)) == []


def test_what_is_there_stays(server):
    one = server()
    account = one.register()
    txt = one.publish(account)
    mine = {"label": account["subdomain"]}
    one.stop()
    other = "another secret that opens nothing here!!"
    line = made_up(secret=other, values=[{"value": value(), "expiry": now_ms() + HOUR}]) | mine
    assert imported(one, [line, made_up()]).startswith("imported 1 delegate, 1 already there, 0 bad lines, ")
    one.start()
    assert one.values(account) == [txt]
    assert one.update(account_of(line, other), value()).status == 401
    assert one.update(account, value()).status == 200


def test_wrong_use(make_server):
    one = make_server()
    config = ["-c", one.config_path]
    for args in (["import", *config], ["import", *config, "a", "b"], ["import", "--memory", "7", *config, "a"],
                 ["import", "--memory", "8M", *config, "a"], ["import", "--nonsense"], ["export", *config, "a", "b"]):
        done = run(*args)
        assert done.returncode == 2 and done.stderr, args
    for command in ("import", "export"):
        done = run(command, "-h")
        assert done.returncode == 0 and f"Usage: acme-delegate {command}" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 110
    done = run("import", "-c", one.folder / "missing.yaml", "-")
    assert done.returncode == 2
    missing = one.folder / "missing"
    done = run("import", *config, missing)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"{missing}: cannot open it: No such file or directory"
    done = run("import", *config, one.folder)
    assert done.returncode == 1 and f"{one.folder}: cannot read it: Is a directory" in done.stderr


def test_export_without_a_store(make_server):
    one = make_server()
    out = one.folder / "backup"
    out.write_text("the last good backup")
    store = pathlib.Path(one.settings()["store"]["path"])
    done = run("export", "-c", one.config_path, out)
    assert done.returncode == 1 and str(store) in done.stderr.splitlines()[-1]
    assert out.read_text() == "the last good backup"
    assert not store.exists(), "reading makes nothing"


def test_a_zone_that_is_not_configured_is_not_forgotten_silently(make_server):
    one = make_server()
    imported(one, [made_up("a"), made_up("b")])
    one.configure(zone={"name": "other.test", "nameservers": [{"name": "ns1.elsewhere.test"}]})
    done = run("export", "-c", one.config_path)
    assert done.returncode == 1
    assert "2 delegates were left out: the configuration does not name the zone" in done.stderr
    assert delegates_of(done.stdout) == []


# ---- interruptions


def start_import(one, path, *options, **kw):
    command = [BINARY, "import", "-c", str(one.config_path), *options, str(path)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(),
                            **kw)


@pytest.fixture(scope="module")
def most():
    """A file that takes two transactions for the names, what is in it, and the size of the store it makes."""
    folder = make_folder()
    path = folder / "most"
    delegates = dict_of(made_up_fast(55_000))
    path.write_text(whole(list(delegates.values())))
    one = harness.Server()
    assert run("import", "-c", one.config_path, path, timeout=120).returncode == 0
    size, text = one.data_file.stat().st_size, export(one)
    one.discard()
    yield path, delegates, size, text
    shutil.rmtree(folder)


@pytest.mark.parametrize("part", [0.02, 0.55, 0.97])
def test_killed_in_the_middle_then_again(make_server, most, part):
    """When the store has grown to a part of its size; whatever was left behind, each delegate there is whole."""
    path, delegates, size, text = most
    one = make_server()
    process = start_import(one, path)
    poll(lambda: process.poll() is not None or (one.data_file.exists() and one.data_file.stat().st_size > size * part),
         60, "the store grows")
    process.kill()
    process.communicate(timeout=20)
    left = delegates_of(export(one))
    print(f"killed at {part:.0%}: {len(left)} delegates")
    assert all(delegates[d["label"]] == d for d in left)
    done = run("import", "-c", one.config_path, path, timeout=120)
    assert done.returncode == 0
    new = f"imported {len(delegates) - len(left):_} delegates, {len(left):_} already there, 0 bad lines, "
    assert done.stderr.splitlines()[-1].startswith(new.replace("_", " "))
    assert export(one) == text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_sentence(make_server, number):
    one = make_server()
    process = subprocess.Popen([BINARY, "import", "-c", str(one.config_path), "-"], stdin=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE, env=environment())
    lock = pathlib.Path(one.settings()["store"]["path"]) / "serve.lock"
    poll(lambda: lock.exists() and lock.read_text().strip() == str(process.pid), 10, "the import holds the lock")
    process.stdin.write(dump([made_up()]))
    process.stdin.flush()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=10)
    assert_clean(stderr)
    assert process.returncode == 1
    assert stderr.splitlines()[-1] == "interrupted; nothing was imported"
    assert delegates_of(export(one)) == []


def test_progress_on_a_terminal(make_server):
    one = make_server()
    master, terminal = pty.openpty()
    process = subprocess.Popen([BINARY, "import", "-c", str(one.config_path), "-"], stdin=subprocess.PIPE, text=True,
                               stderr=terminal, env=environment())
    os.close(terminal)
    os.set_blocking(master, False)
    shown = ""

    def more():
        nonlocal shown
        process.stdin.write(dump(made_up_fast(1)) * 500)  # the same line: it is being read that shows
        try:
            shown += os.read(master, 4096).decode()
        except BlockingIOError:
            pass
        return re.search(r"\r\x1b\[K\d+( \d{3})* read", shown)

    poll(more, 20, "a line of progress")
    process.send_signal(signal.SIGINT)
    process.wait(10)
    os.close(master)
    assert delegates_of(export(one)) == []


# ---- limits


def limited(kind, size):
    """For preexec_fn: the program itself ignores SIGXFSZ, as it must."""
    return lambda: resource.setrlimit(kind, (size, size))


def test_no_room_in_the_store(make_server, many):
    one = make_server()
    tmp = make_folder()
    done, _ = do_import(one, whole(many), "--tmpdir", tmp, preexec_fn=limited(resource.RLIMIT_FSIZE, 9 * MIB),
                        timeout=120)
    assert done.returncode == 1
    assert "the disk is full or refuses writes; what was imported stays, and the same import run again " \
           "completes it" in done.stderr
    assert len(delegates_of(export(one))) < MANY
    assert imported(one, many, timeout=120)
    assert len(delegates_of(export(one))) == MANY
    tmp.rmdir()


def test_no_room_for_temporary_files(make_server, many):
    one = make_server()
    done, _ = do_import(one, whole(many), "--memory", "8", preexec_fn=limited(resource.RLIMIT_FSIZE, 2 * MIB),
                        timeout=120)
    assert done.returncode == 1
    assert "no room for temporary files, nothing was imported; make room, or name another folder with --tmpdir" \
        in done.stderr
    assert delegates_of(export(one)) == []
    done, _ = do_import(one, whole(many), "--memory", "8", "--tmpdir", "/nowhere", timeout=120)
    assert done.returncode == 1
    assert "/nowhere: cannot use temporary files here: No such file or directory" in done.stderr


def test_a_full_disk(make_server, small_disk, many):  # noqa: F811
    """A real file system without room, not a limit."""
    one = make_server(store={"path": str(small_disk / "store")})
    tmp = make_folder()
    imported(one, many[:100])
    before = export(one)
    filler = fill(small_disk)
    done, _ = do_import(one, whole(many[100:3000]), "--tmpdir", tmp)
    assert done.returncode == 1 and f"{small_disk}/store: the disk is full or refuses writes; " in done.stderr
    assert export(one) == before
    filler.unlink()
    done, _ = do_import(one, whole(many[100:1000]), "--tmpdir", tmp)
    assert done.returncode == 0, done.stderr
    tmp.rmdir()


def test_an_export_that_cannot_be_written(make_server, many):
    one = make_server()
    imported(one, many[:20000], timeout=120)
    out = one.folder / "out"
    done = run("export", "-c", one.config_path, out, preexec_fn=limited(resource.RLIMIT_FSIZE, MIB))
    assert done.returncode == 1 and f"{out}: cannot write it: File too large" in done.stderr
    done, _ = do_import(one, out.read_text())
    assert done.returncode == 1, "half an export is not taken for a whole one"


def peak_of(one, path, *options):
    """Peak resident memory of an import in KiB, which must succeed. (Not from wait4: that counts what this process had
    when it forked.)"""
    env = environment()
    env["ASAN_OPTIONS"] += ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    process = subprocess.Popen([BINARY, "import", "-c", str(one.config_path), *options, str(path)],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)
    peak = 0
    while process.poll() is None:
        status = harness.process_status(process.pid) or {}
        if status.get("Name") == pathlib.Path(BINARY).name:
            peak = max(peak, int(status.get("VmHWM", "0 kB").split()[0]))
        time.sleep(0.002)
    stderr = process.stderr.read()
    assert_clean(stderr)
    assert process.returncode == 0, stderr
    return peak


def test_memory_is_bounded(make_server, many):
    """Twice as many delegates need hardly more; and all are there."""
    folder = make_folder()
    half, all_of_them = folder / "half", folder / "all"
    half.write_text(whole(many))
    twice = made_up_fast(2 * MANY)
    all_of_them.write_text(whole(twice))
    small, large = make_server(), make_server()
    base = peak_of(small, half, "--memory", "8")
    peak = peak_of(large, all_of_them, "--memory", "8")
    print("KiB for half and for all:", base, peak)
    assert all_of_them.stat().st_size - half.stat().st_size > 15 * MIB
    assert peak - base < 8 * 1024, "sorting in memory takes 16 MiB more"
    assert dict_of(delegates_of(export(large))) == dict_of(twice)
    shutil.rmtree(folder)


def test_an_export_beside_a_busy_server(server, many):
    one = server()
    one.stop()
    imported(one, many[:20000], timeout=120)
    one.start()
    accounts = [one.register() for _ in range(20)]
    process = subprocess.Popen([BINARY, "export", "-c", str(one.config_path)], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE, env=environment())
    published = {a["subdomain"]: [one.publish(a) for _ in range(3)] for a in accounts}  # before the pipe is read
    text, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert_clean(stderr)
    found = delegates_of(text)
    labels = [d["label"] for d in found]
    assert len(labels) == len(set(labels)) and {d["label"] for d in many[:20000]} <= set(labels)
    for d in found:
        texts = [v["value"] for v in d.get("values", [])]
        assert texts == published.get(d["label"], [])[:len(texts)]
