# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk with a volatile cache and errors on order (volatile_disk.c), so that it needs no root.

* cuts(): syncs and writes fail now and then under load; then all is killed, and what the server finds when it starts again
  is what was synced, with an arbitrary part of what was not: writes are reordered within a sync, and after a sync that
  failed pages are lost although they count as written. Nothing acknowledged may be missing.
* nth(): the N-th call fails, N = 1, 2, ... until none does, once and from then on, with EIO and ENOSPC: no acknowledgement
  that is not true, DNS goes on, /health says so, and all is well when the cause has gone.
"""

import concurrent.futures
import contextlib
import os
import random
import struct
import time

import dns.exception

from checker import Violation, harness, under_load
from figures import Figures
from kills import end_all
from shims import HERE, Shim

PAGE, PAGES, CONTROL = 4096, 8192, 65536
WRITE, SYNC, SYNCED_WRITE, ALLOCATE, APPEND = 1, 2, 4, 8, 16
STORE = WRITE | SYNC | SYNCED_WRITE | ALLOCATE
FIELDS = ["calls", "fail_at", "persistent", "error", "failed", "kinds", "seed", "overflow", "unlucky"]
EIO, ENOSPC = 5, 28


class VolatileDisk:
    def __init__(self, rng):
        self.rng = rng
        self.shim = Shim(HERE / "volatile_disk.c", "VOLATILE_DISK", bytes(CONTROL))
        with open(self.shim.file, "r+b") as f:
            f.truncate(CONTROL + PAGE * PAGES)
        self.set(seed=rng.getrandbits(62) | 1)

    def set(self, **fields):
        for name, number in fields.items():
            self.shim.write(struct.pack("q", number), FIELDS.index(name) * 8)

    def get(self, name):
        with open(self.shim.file, "rb") as f:
            f.seek(FIELDS.index(name) * 8)
            return struct.unpack("q", f.read(8))[0]

    def fail(self, at, error, persistent, kinds=STORE):
        self.set(fail_at=0)
        self.set(calls=0, failed=0, kinds=kinds, error=error, persistent=persistent)
        self.set(fail_at=at)

    def heal(self):
        self.set(fail_at=0)

    def power_cut(self, path):
        """The server has ended: its store becomes what the disk has, and by chance some of what it has not."""
        if self.get("overflow"):
            raise Violation("the store has outgrown the image: this loop must be shorter")
        with open(self.shim.file, "r+b") as f:
            f.seek(len(FIELDS) * 8)
            dirty = f.read(PAGES)
            f.seek(len(FIELDS) * 8)
            f.write(bytes(PAGES))
            f.seek(CONTROL)
            image = bytearray(f.read(PAGE * PAGES))
            real = path.read_bytes()
            lost = kept = 0
            for i in range(PAGES):
                if dirty[i]:
                    if self.rng.random() < 0.5:
                        image[i * PAGE:(i + 1) * PAGE] = real[i * PAGE:(i + 1) * PAGE].ljust(PAGE, b"\0")
                        kept += 1
                    else:
                        lost += 1
            f.seek(CONTROL)
            f.write(image)
        stale = sum(image[i * PAGE:(i + 1) * PAGE] != real[i * PAGE:(i + 1) * PAGE] for i in range(len(real) // PAGE))
        path.write_bytes(image[:len(real)])
        harness.own(path)
        return stale

    def close(self):
        self.shim.close()


def fail_now_and_then(disk, seconds):
    """Returns how many calls failed."""
    errors, rng, end = 0, disk.rng, time.monotonic() + seconds
    while time.monotonic() < end:
        if rng.random() < 0.7:
            disk.fail(rng.randint(1, 6), rng.choice((EIO, ENOSPC)), rng.randint(0, 1),
                      rng.choice((SYNC, WRITE, SYNCED_WRITE, WRITE | SYNC | SYNCED_WRITE)))
        time.sleep(rng.uniform(0.0, 0.1))
        errors += disk.get("failed")
        disk.heal()
        disk.set(failed=0)
    return errors


def fail_twice(disk):
    """The write that names the newest commit fails, though it may have reached the disk; then no sync succeeds until the
    power is cut. What was to be undone must not be found half overwritten. Returns how many calls failed."""
    disk.fail(1, EIO, 0, SYNCED_WRITE)
    end = time.monotonic() + 0.3
    while not disk.get("failed") and time.monotonic() < end:
        time.sleep(0.001)
    errors = disk.get("failed")
    disk.fail(1, EIO, 1, SYNC)
    time.sleep(disk.rng.uniform(0.02, 0.3))
    return errors + disk.get("failed")


def cuts(o):
    rng = random.Random(o.seed)
    f = Figures("volatile disk")
    disk = VolatileDisk(rng)
    server = disk.shim.server(dns={"workers": 2}, zone={"max_values": 2, "value_lifetime": "1d"})
    lost, errors, stale = [], 0, 0
    with contextlib.closing(disk), under_load(server, f, o) as load:
        for _ in range(o.count):
            if o.over():
                break
            load.begin()
            errors += fail_now_and_then(disk, rng.uniform(0.1, 0.6))
            if rng.random() < 0.4:
                errors += fail_twice(disk)
            load.prober.pause()
            floors = load.floors()  # what came before; the syncs it rests on were over
            end_all(server, rng)
            load.end_writers()
            load.judge_now()
            stale += disk.power_cut(server.data_file)
            disk.heal()
            server.start()
            f.faults += 1
            lost += load.judge_served(floors)
            for i in range(load.count):
                load.ledger.acknowledged[i] = load.ledger.seen[i] = floors[i]
            load.renew_writers()
            o.progress(f, load, f"lost {len(lost)}, {errors} calls failed")
        f.take(load, lost)
        f.note = f"{errors} writes and syncs failed; {stale} pages were not on the disk at the cuts"
        if f.faults and not (errors and stale):
            raise Violation(f"this disk is too good: {f.note}")
    return f


def status_of(server, send):
    """The answer's status; 0: none came, as from a keeper that has just ended."""
    try:
        return send().status
    except OSError:
        return 0


class Script:
    """What a few clients ask, one after the other; remembers what was acknowledged."""

    def __init__(self, server):
        self.server = server
        self.accounts = [server.register() for _ in range(3)]
        self.expected = [[server.publish(a)] for a in self.accounts]
        self.doubtful = [set() for _ in self.accounts]
        self.refusals = 0

    def play(self):
        for i, account in enumerate(self.accounts):
            for _ in range(2):
                txt = harness.value()
                status = status_of(self.server, lambda: self.server.update(account, txt))
                if status == 200:
                    self.expected[i].append(txt)
                elif status in (0, 500, 503, 507):
                    self.refusals += 1
                    self.doubtful[i].add(txt)
                else:
                    raise Violation(f"an update got {status}")
            status = status_of(self.server, lambda: self.server.http("POST", "/register"))
            if status not in (201, 0, 500, 503, 507):
                raise Violation(f"a registration got {status}")

    def judge(self, when):
        for account, expected, doubtful in zip(self.accounts, self.expected, self.doubtful):
            served = self.server.values(account)  # over TCP: they are too many for one datagram
            if not set(expected) <= set(served):
                missing = [i for i, txt in enumerate(expected) if txt not in served]
                raise Violation(f"{when}: acknowledged values are missing, {missing} of {len(expected)}")
            if not set(served) <= set(expected) | doubtful:
                raise Violation(f"{when}: a value that nobody sent")


def nth_once(disk, f, at, error, persistent):
    """False: the script ended before its N-th call."""
    server = disk.shim.server(dns={"workers": 1}, zone={"max_values": 32})
    with server.running():
        script = Script(server)
        disk.fail(at, error, persistent)
        script.play()
        failed = disk.get("failed")
        if failed:
            f.faults += 1
            script.judge(f"after call {at} failed with {os.strerror(error)}")
            if persistent:
                harness.poll(lambda: server.http("GET", "/health").status == 503, 5, "health says so")
                script.play()
                script.judge("while the disk fails")
        elif script.refusals:
            raise Violation(f"{script.refusals} refusals without a cause")
        disk.heal()
        begun = time.monotonic()
        harness.poll(lambda: status_of(server, lambda: server.http("GET", "/health")) == 200, 5, "health again")
        harness.poll(lambda: status_of(server, lambda: server.update(script.accounts[0], script.expected[0][0])) == 200,
                     max(0.1, 5 - time.monotonic() + begun), "updates again")
        script.play()
        script.judge("after the disk has recovered")
        f.refused += script.refusals
        f.acknowledged += sum(len(e) for e in script.expected)
        end_all(server, disk.rng)
        disk.power_cut(server.data_file)
        server.start()
        script.judge("after a power cut")
    return failed > 0


def unlucky(disk, f):
    """The write that names the newest commit has reached the disk and is said to have failed, so that commit is undone;
    the pages of the next one go over its pages, and nothing else reaches the disk until the power is cut."""
    server = disk.shim.server(dns={"workers": 1}, zone={"max_values": 32})
    with server.running():
        script = Script(server)
        for _ in range(40):
            server.register()
        disk.set(unlucky=1)
        disk.fail(1, EIO, 0, SYNCED_WRITE)
        first = status_of(server, lambda: server.update(script.accounts[0], harness.value()))
        if first == 200 or not disk.get("failed"):
            raise Violation("the commit did not fail")
        disk.fail(1, EIO, 1, SYNC)
        deadline = time.monotonic() + 5
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            # At once: one commit of another shape.
            while time.monotonic() < deadline and disk.get("failed") < 3:
                list(pool.map(lambda _: status_of(server, lambda: server.http("POST", "/register")), range(16)))
        f.faults += 1 + disk.get("failed")
        end_all(server, disk.rng)
        disk.power_cut(server.data_file)
        disk.heal()
        disk.set(unlucky=0)
        server.start()
        script.doubtful[0] |= set(server.values(script.accounts[0])) - set(script.expected[0])
        script.judge("after an unlucky power cut")
        script.play()
        script.judge("and later")


def starts_on_a_failing_disk(disk, f):
    """What can be read is served; updates follow when the disk can write again."""
    server = disk.shim.server(dns={"workers": 1}, zone={"max_values": 32})
    with server.running():
        script = Script(server)
        server.stop()
        disk.fail(1, EIO, 1, SYNC)
        server.launch()
        harness.poll(lambda: answers(server, script), 10, "DNS from a disk that does not write")
        script.judge("on a disk that does not write")
        if status_of(server, lambda: server.update(script.accounts[0], harness.value())) not in (0, 500, 503):
            raise Violation("an update on a disk that does not write")
        harness.poll(lambda: status_of(server, lambda: server.http("GET", "/health")) == 503, 5, "health says so")
        f.faults += disk.get("failed")
        disk.heal()
        harness.poll(lambda: status_of(server, lambda: server.http("GET", "/health")) == 200, 5, "health again")
        script.doubtful[0] |= set(server.values(script.accounts[0]))
        script.play()
        script.judge("after the disk has recovered")


def answers(server, script):
    try:
        server.values(script.accounts[0], timeout=1)
        return True
    except (OSError, AssertionError, EOFError, dns.exception.DNSException):
        return False


def nth(o):
    rng = random.Random(o.seed)
    f = Figures("N-th call fails")
    reached, at = [], 0
    for error in (EIO, ENOSPC):
        for persistent in (0, 1):
            # The short run takes a few of the calls, the full one each in turn.
            order = sorted(rng.sample(range(1, 12), 1)) if o.quick else range(1, o.count + 1)
            for at in order:
                disk = VolatileDisk(rng)
                try:
                    if not nth_once(disk, f, at, error, persistent):
                        break
                finally:
                    disk.close()
                o.progress(f)
                if o.over():
                    break
            reached.append(at)
    disk = VolatileDisk(rng)
    try:
        unlucky(disk, f)
        starts_on_a_failing_disk(disk, f)
    finally:
        disk.close()
    f.note = f"N went up to {', '.join(map(str, reached))}"
    return f
