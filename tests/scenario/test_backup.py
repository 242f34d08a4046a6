# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole store as one file, out of a running server and back."""

import json
import os
import pathlib
import random
import re
import signal
import stat
import subprocess
import threading

import harness
from harness import ZONE, assert_clean, environment, poll, run, value
from operator_cli import Terminal
from test_faults import fill, own_mounts, small_disk  # noqa: F401  fixtures


def backup(one, path, status=0, **kw):
    done = run("backup", "-c", one.config_path, path, **kw)
    assert done.returncode == status, done.stderr
    return done.stderr


def restore(one, path, status=0):
    done = run("restore", "-c", one.config_path, path)
    assert done.returncode == status, done.stderr
    return done.stderr


def check(path, status=0):
    done = run("backup", "--check", path)
    assert done.returncode == status, done.stderr
    return done.stderr


def folder_of(one):
    return pathlib.Path(one.settings()["store"]["path"])


def test_there_and_back(server, tmp_path):
    one = server()
    before = one.register()
    txt = one.publish(before)
    path = tmp_path / "store.backup"
    backup(one, path)
    assert path.stat().st_mode & 0o777 == 0o600 and list(tmp_path.iterdir()) == [path]
    assert check(path).startswith("in order: 1 delegates, 1 keys, 1 values, ")
    later = one.register()
    assert "in use by another acme-delegate" in restore(one, path, status=1), "not under a running server"
    one.stop()
    said = restore(one, path)
    kept = folder_of(one) / "data.mdb.before-restore"
    assert str(kept) in said and kept.exists()
    one.start()
    assert one.values(before) == [txt]
    newer = one.publish(before)
    assert one.values(before) == [txt, newer], "the old key works"
    assert one.update(later, value()).status == 401, "what came after the backup is not there"
    one.stop()
    assert f"{kept}.2" in restore(one, path), "no store of before is overwritten"
    assert sorted(p.name for p in folder_of(one).iterdir() if p.name.startswith("restore")) == []


def test_on_another_machine(server, make_server, tmp_path):
    one, other = server(), make_server()
    account = one.register()
    txt = one.publish(account)
    backup(one, tmp_path / "b")
    assert "before-restore" not in restore(other, tmp_path / "b"), "there was no store to keep"
    other.start()
    assert other.values(account) == [txt]
    assert other.update(account, value()).status == 200


def test_labels_that_were_deleted_stay_deleted(make_server, tmp_path):
    one, other = make_server(), make_server()
    mark = {"zone": ZONE, "label": "gone", "deleted": True}
    (tmp_path / "marks").write_text(json.dumps(mark) + "\n")
    assert run("import", "-c", one.config_path, tmp_path / "marks").returncode == 0
    backup(one, tmp_path / "b")
    assert "1 deleted labels" in restore(other, tmp_path / "b")
    delegate = {"zone": ZONE, "label": "gone", "created": 1, "keys": []}
    (tmp_path / "again").write_text(json.dumps(delegate) + "\n")
    done = run("import", "-c", other.config_path, tmp_path / "again")
    assert "1 deleted here and left so" in done.stderr
    assert json.dumps(mark, separators=(",", ":")) in run("export", "-c", other.config_path).stdout


def test_under_load_it_is_of_one_moment(server, make_server, tmp_path):
    """One client changes two delegates in turn, A before B: so no moment has a newer number in B than in A."""
    one, other = server(), make_server()
    a, b = one.register(), one.register()
    stop = threading.Event()
    numbers = iter(range(1, 1_000_000))
    failures = []

    def change():
        while not stop.is_set():
            text = f"{next(numbers):043d}"
            failures.extend(s for s in (one.update(a, text).status, one.update(b, text).status) if s != 200)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for i in range(5):
            backup(one, tmp_path / str(i))
    finally:
        stop.set()
        thread.join(30)
    assert not failures
    for i in range(5):
        check(tmp_path / str(i))
        restore(other, tmp_path / str(i))
        lines = [json.loads(li) for li in run("export", "-c", other.config_path).stdout.splitlines()[1:-1]]
        newest = {d["label"]: max((int(v["value"]) for v in d.get("values", [])), default=0) for d in lines}
        assert newest[a["subdomain"]] - newest[b["subdomain"]] in (0, 1)


def test_damage_is_refused_wherever_it_is(server, tmp_path):
    one = server()
    account = one.register()
    txt = one.publish(account)
    backup(one, tmp_path / "good")
    one.stop()
    good = (tmp_path / "good").read_bytes()
    before = (folder_of(one) / "data.mdb").read_bytes()
    bad = tmp_path / "bad"
    rng = random.Random(7)
    places = [rng.randrange(len(good)) for _ in range(40)] + list(range(len(good) - 64, len(good)))
    for place in places:
        bad.write_bytes(good[:place] + bytes([good[place] ^ (1 << rng.randrange(8))]) + good[place + 1:])
        assert str(bad) in check(bad, status=1)
    assert "nothing was changed" in restore(one, bad, status=1)
    for length in (0, 1, 63, 64, 4096, len(good) // 2, len(good) - 65, len(good) - 64, len(good) - 1):
        bad.write_bytes(good[:length])
        restore(one, bad, status=1)
    bad.write_bytes(good + b"x")
    restore(one, bad, status=1)
    assert (folder_of(one) / "data.mdb").read_bytes() == before
    assert not [p for p in folder_of(one).iterdir() if "restore" in p.name], "nothing is left lying about"
    one.start()
    assert one.values(account) == [txt]


def test_a_backup_that_fails_leaves_the_one_before(server, tmp_path):
    one = server()
    one.register()
    path = tmp_path / "b"
    path.write_bytes(b"the one before")
    one.stop()
    data = folder_of(one) / "data.mdb"
    data.rename(data.with_name("elsewhere"))
    backup(one, path, status=1)
    assert path.read_bytes() == b"the one before" and list(tmp_path.iterdir()) == [path]
    assert "cannot write it" in backup(one, tmp_path / "no-folder" / "b", status=1)


def test_a_full_disk(server, small_disk):
    one = server()
    one.register()
    path = small_disk / "b"
    path.write_bytes(b"the one before")
    fill(small_disk)
    said = backup(one, path, status=1)
    assert f"{path}: cannot write it: No space left on device" in said
    assert path.read_bytes() == b"the one before" and not path.with_name("b.tmp").exists()


def test_a_pipe_is_written_to_and_not_replaced(server, tmp_path):
    one = server()
    account = one.register()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    backup(one, pipe)
    data, _ = reader.communicate(timeout=20)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and len(data) > 8192, account
    (tmp_path / "b").write_bytes(data)
    assert check(tmp_path / "b").startswith("in order: 1 delegates, ")


# ---- work that takes a while


def fill_store(one, count=20_000):
    from test_import_export import made_up, whole
    path = one.folder / "many"
    path.write_text(whole([made_up(f"d{i:06}", secret="x" * 40) for i in range(count)]))
    assert run("import", "-c", one.config_path, path).returncode == 0


def test_progress_is_for_a_terminal(make_server, tmp_path):
    """More than a second long, because nobody reads the backup."""
    one = make_server()
    fill_store(one)
    watched = Terminal(one, "backup", "-", only_stderr=True)
    parts = []

    def shown():
        parts.append(os.read(watched.process.stdout.fileno(), 4096))
        os.set_blocking(watched.main, False)
        try:
            watched.text += os.read(watched.main, 65536).decode()
        except BlockingIOError:
            pass
        return re.search(r"\r\x1b\[K\d+ MiB written", watched.text)

    poll(shown, 20, "how far it is")
    parts.append(watched.process.stdout.read())
    status, text = watched.end()
    assert status == 0 and re.search(r"\r\x1b\[Kbacked up \d+ bytes, \d+ s\n$", text), text
    path = tmp_path / "store.backup"
    path.write_bytes(b"".join(parts))
    assert check(path).startswith("in order: 20000 delegates")
    quiet = backup(one, tmp_path / "other.backup")
    assert re.fullmatch(r"backed up \d+ bytes, \d+ s\n", quiet), "one line, without a terminal"


def test_interrupted(make_server, tmp_path):
    """Ctrl-C leaves nothing behind and changes nothing, though the other end of a pipe does nothing at all."""
    one = make_server()
    fill_store(one)
    path = tmp_path / "store.backup"
    backup(one, path)
    before = sorted(p.name for p in folder_of(one).iterdir())
    old = (folder_of(one) / "data.mdb").read_bytes()
    for number in (signal.SIGINT, signal.SIGTERM):
        writing = subprocess.Popen([harness.BINARY, "backup", "-", "-c", str(one.config_path)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        assert os.read(writing.stdout.fileno(), 100)
        reading = subprocess.Popen([harness.BINARY, "restore", "-", "-c", str(one.config_path)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        reading.stdin.write(path.read_bytes()[:1 << 20])
        reading.stdin.flush()
        poll(lambda: any(p.name.startswith("restore.") for p in folder_of(one).iterdir()), 10, "that it has begun")
        for process, words in ((writing, "interrupted; what was written is not complete"),
                               (reading, "interrupted; nothing was changed")):
            process.send_signal(number)
            assert process.wait(10) == 1
            text = process.stderr.read().decode()
            assert_clean(text)
            assert words in text and len(text.splitlines()) == 1, text
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
    assert sorted(p.name for p in folder_of(one).iterdir()) == before
    assert (folder_of(one) / "data.mdb").read_bytes() == old


def test_an_interrupted_backup_leaves_the_one_before(make_server, tmp_path):
    """What is being written has another name until it is whole; a signal takes that away, too."""
    one = make_server()
    fill_store(one, 60_000)
    path = tmp_path / "store.backup"
    path.write_text("the one before")
    for _ in range(20):
        writing = subprocess.Popen([harness.BINARY, "backup", str(path), "-c", str(one.config_path)],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())
        poll(lambda: len(list(tmp_path.iterdir())) > 1 or writing.poll() is not None, 10, "that it has begun")
        writing.send_signal(signal.SIGINT)
        status = writing.wait(20)
        assert_clean(writing.stderr.read().decode())
        assert list(tmp_path.iterdir()) == [path]
        if status == 1:
            assert path.read_text() == "the one before"
            return
        path.write_text("the one before")  # it was faster
    raise AssertionError("none of 20 backups could be interrupted")
