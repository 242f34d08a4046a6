# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk is full, or becomes read-only after an error, under load: updates are refused and say so, DNS goes on, and when
there is room again all is well within five seconds. Backup and import on a full disk fail in good order and harm nothing."""

import json
import random
import time
import uuid

from checker import Violation, finish, harness, under_load
from disks import Disk
from figures import Figures
from kills import end_all

RECOVERY = 5.0   # seconds
IMPORTED = 2000  # delegates, more than find room


def fill(folder):
    """Takes all room that is left, down to the last byte; returns the file that holds it."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as f:
        for size in (65536, 4096, 1):
            try:
                while True:
                    f.write(bytes(size))
            except OSError:
                pass
    return path


def registers(server):
    return server.http("POST", "/register").status == 201


def until_full(server):
    """LMDB lives a while on pages it has freed: registrations need new ones."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = server.http("POST", "/register").status
        if status != 201:
            return status
    raise Violation("the disk never got full")


def updates_again(load):
    before = load.acknowledged()
    begun = time.monotonic()
    harness.poll(lambda: load.acknowledged() > before and registers(load.server), RECOVERY, "updates after the fault")
    return time.monotonic() - begun


def full_disk(disk, load, seconds):
    status = None
    filler = fill(disk.folder)
    try:
        status = until_full(load.server)
        if status not in (500, 503, 507):
            raise Violation(f"a registration on a full disk got {status}")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            fill(disk.folder)  # what was given up meanwhile
            load.judge_now()
            time.sleep(0.1)
    finally:
        filler.unlink()
    return updates_again(load)


def backup_when_full(disk, load):
    """An error that names the cause, no half a file in the way, and the server as before."""
    server = load.server
    filler = fill(disk.folder)
    target = disk.folder / "backup"
    try:
        done = server.operator("backup", target)
        if done.returncode == 0 or not done.stderr or (target.exists() and target.stat().st_size):
            raise Violation(f"backup to a full disk: status {done.returncode}, {done.stderr!r}")
    finally:
        filler.unlink(missing_ok=True)
    load.judge_now()
    elsewhere = server.folder / "backup"
    done = server.operator("backup", elsewhere)
    if done.returncode:
        raise Violation(f"backup: {done.stderr}")
    elsewhere.unlink()
    updates_again(load)


def import_when_full(disk, server):
    """The server is stopped. What could not be imported is not there, and what was there still is."""
    lines = server.folder / "lines"
    done = server.operator("export")
    if done.returncode or not done.stdout:
        raise Violation(f"export: {done.stderr}")
    head, first = done.stdout.splitlines()[:2]
    made = [head]
    for i in range(IMPORTED):
        line = {**json.loads(first), "label": f"import-{i}", "values": []}
        line["keys"] = [{**line["keys"][0], "id": str(uuid.uuid4())}]
        made.append(json.dumps(line))
    lines.write_text("\n".join(made) + f'\n{{"delegates": {IMPORTED}}}\n')
    fill(disk.folder)
    try:
        done = server.operator("import", lines, timeout=60)
        if done.returncode == 0 or "full" not in done.stderr and "No space" not in done.stderr:
            raise Violation(f"an import on a full disk: status {done.returncode}, {done.stderr!r}")
    finally:
        (disk.folder / "filler").unlink(missing_ok=True)


def run_on(kind, o):
    f = Figures(f"full disk, {kind}")
    rng = random.Random(o.seed)
    slowest = 0.0
    with Disk(kind, 4 if kind == "tmpfs" else None) as disk:
        server = harness.Server(dns={"workers": 2}, zone={"max_values": 2, "value_lifetime": "1d"},
                                store={"path": str(disk.folder / "store")})
        with under_load(server, f, o, pace=0.005) as load:
            load.begin()
            while f.faults < o.count and not o.over():
                seconds = rng.uniform(0.3, 1) if o.quick else 60 if f.faults == 0 else rng.uniform(1, 5)
                slowest = max(slowest, full_disk(disk, load, seconds))
                f.faults += 1
                load.judge_now()
                o.progress(f, load)
            backup_when_full(disk, load)
            f.faults += 1
            finish(load, f)
            server.stop()
            import_when_full(disk, server)
            server.start()
            f.lost += load.judge_served(load.floors())
            f.note = f"slowest recovery {slowest:.2f} s"
    return f


def tmpfs(o):
    return run_on("tmpfs", o)


def ext4(o):
    return run_on("ext4", o)


def read_only_after_an_error(o):
    """What ext4 does by default in Debian when it meets damage: no write any more, while files are open. An administrator
    repairs it, mounts it again and starts the server."""
    f = Figures("read-only disk, ext4")
    with Disk("ext4", options="errors=remount-ro") as disk:
        server = harness.Server(dns={"workers": 2}, zone={"max_values": 2, "value_lifetime": "1d"},
                                store={"path": str(disk.folder / "store")})
        with under_load(server, f, o) as load:
            for _ in range(o.count):
                if o.over():
                    break
                load.begin()
                time.sleep(0.3)
                disk.fail()
                f.faults += 1
                harness.poll(lambda: server.http("GET", "/health").status == 503, 5, "health says so")
                for _ in range(5 if o.quick else 50):
                    status = server.http("POST", "/register").status
                    if status not in (500, 503, 507):
                        raise Violation(f"a registration on a read-only disk got {status}")
                    time.sleep(0.1)
                floors = load.floors()
                f.lost += load.judge_served(floors)
                load.prober.pause()
                load.stop.set()
                end_all(server)
                load.end_writers()
                load.judge_now()
                disk.remount()
                server.start()
                f.lost += load.judge_served(floors)
                load.renew_writers()
            f.take(load, [])
    return f
