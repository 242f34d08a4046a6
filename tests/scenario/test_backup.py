# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole store as one file, out of a running server and back."""

import json
import os
import pathlib
import random
import stat
import subprocess
import threading

from harness import ZONE, run, value
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
