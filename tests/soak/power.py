# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts: the filesystem under the store is shut down without a last flush (what Linux's filesystems offer for such
tests), everything is killed, the filesystem is mounted again, and whatever was acknowledged before the cut must be there.

Only what arrived before the cut is issued counts: a sync in flight at that moment may still return, and even a program that
appends and syncs then loses a record now and then. Two controls run beside on the same filesystem: one that appends and
syncs, which must lose nothing, and one that does not sync, which must lose, or else nothing was cut.
"""

import fcntl
import os
import random
import struct
import threading
import time

from checker import Load, Violation, harness
from disks import Disk
from figures import Figures
from kills import end_all

GOINGDOWN = 0x8004587D                 # XFS_IOC_GOINGDOWN, EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32)
NO_LOG_FLUSH = struct.pack("I", 2)


class Control(threading.Thread):
    """Appends numbered records of 16 bytes to a file, with fdatasync or without."""

    def __init__(self, path, syncs):
        super().__init__(daemon=True)
        self.path, self.syncs, self.stop = path, syncs, threading.Event()
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fsync(self.fd)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self.history = []

    def run(self):
        number = 0
        try:
            while not self.stop.is_set():
                number += 1
                os.write(self.fd, struct.pack(">QQ", number, number ^ 0xffff))
                if self.syncs:
                    os.fdatasync(self.fd)
                self.history.append((time.monotonic(), number))
                time.sleep(0.001)
        except OSError:
            pass  # the cut

    def end(self):
        self.stop.set()
        self.join(10)
        os.close(self.fd)

    def lost(self, moment):
        """(counted, lost) of the records acknowledged before the cut."""
        data = self.path.read_bytes() if self.path.exists() else b""
        kept = 0
        while struct.pack(">QQ", kept + 1, (kept + 1) ^ 0xffff) == data[kept * 16:kept * 16 + 16]:
            kept += 1
        counted = max((n for t, n in self.history if t < moment), default=0)
        return counted, max(0, counted - kept)


def cut(folder):
    """Returns the moment before it was issued."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        moment = time.monotonic()
        fcntl.ioctl(fd, GOINGDOWN, NO_LOG_FLUSH)
        return moment
    finally:
        os.close(fd)


class Cuts:
    def __init__(self, disk, rng, writers):
        self.disk, self.rng = disk, rng
        self.server = harness.Server(dns={"workers": 2}, zone={"max_values": 2, "value_lifetime": "1d"},
                                     store={"path": str(disk.folder / "store")})
        self.server.start()
        self.load = Load(self.server, writers=writers)
        self.good = [0, 0]
        self.bad = [0, 0]
        self.bad_cuts = self.counted = 0
        self.lost = []

    def once(self, number):
        controls = [Control(self.disk.folder / f"synced{number % 2}", True),
                    Control(self.disk.folder / f"unsynced{number % 2}", False)]
        for c in controls:
            c.start()
        self.load.begin()
        time.sleep(self.rng.uniform(0.1, 0.8))
        # What DNS has shown counts like an acknowledgement; read before the cut.
        seen = list(self.load.ledger.seen)
        moment = cut(self.disk.folder)
        self.load.prober.pause()
        self.load.stop.set()
        end_all(self.server)
        self.load.end_writers()
        for c in controls:
            c.end()
        self.load.judge_now()
        self.disk.remount()
        self.judge(controls, moment, seen)

    def judge(self, controls, moment, seen):
        floors = [max(a, b) for a, b in zip(self.load.floors(moment), seen)]
        self.counted += sum(sum(t < moment for t, _ in w.history) for w in self.load.writers)
        self.server.start()
        self.lost += self.load.judge_served(floors)
        for control, sums in zip(controls, (self.good, self.bad)):
            counted, lost = control.lost(moment)
            sums[0] += counted
            sums[1] += lost
            self.bad_cuts += lost > 0 and not control.syncs
        # What was acknowledged while the cut was under way may be gone: what is there now is the new state.
        for i in range(self.load.count):
            self.load.ledger.acknowledged[i] = self.load.ledger.seen[i] = floors[i]
        self.load.renew_writers()

    def close(self):
        self.load.close()
        self.server.discard()


def run_on(kind, o):
    rng = random.Random(o.seed)
    f = Figures(f"power cuts, {kind}")
    with Disk(kind) as disk:
        cuts = Cuts(disk, rng, o.writers)
        try:
            for number in range(o.count):
                if o.over():
                    break
                cuts.once(number)
                f.faults += 1
                o.progress(f, cuts.load, f"lost {len(cuts.lost)}, controls {cuts.good[1]} and {cuts.bad[1]}")
            f.take(cuts.load, cuts.lost)
            f.acknowledged = cuts.counted
            f.note = (f"controls: synced {cuts.good[0]}, lost {cuts.good[1]}; not synced {cuts.bad[0]}, lost {cuts.bad[1]} "
                      f"in {cuts.bad_cuts} cuts")
            if cuts.good[1]:
                raise Violation(f"the control that syncs lost {cuts.good[1]} records: this machine cannot tell")
            if f.faults and not cuts.bad_cuts:
                raise Violation("the control that does not sync lost nothing: the power was not cut")
            harness.assert_clean(cuts.server.stderr())
            cuts.server.stop()
        finally:
            cuts.close()
    return f


def xfs(o):
    return run_on("xfs", o)


def ext4(o):
    return run_on("ext4", o)
