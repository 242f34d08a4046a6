# SPDX-License-Identifier: GPL-3.0-or-later
"""A small store, damage of many kinds, and what a server may do with it: refuse it with a message, serve the right
values, or SERVFAIL. For test_damage.py and tests/soak/damage."""

import random
import shutil
import struct
import time

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode

import harness
from harness import ZONE, txt_of, value

PAGE = 4096
COMMIT_AT = 144  # where a meta page has the number of its commit


class Wrong(AssertionError):
    """What must never happen."""


class PortTaken(Exception):
    """By another program, since it was chosen."""


class Store:
    """The bytes of a store that a server has made, and what is in it."""

    def __init__(self, delegates=24):
        one = harness.Server(dns={"workers": 1})
        try:
            one.start()
            self.accounts = [one.register() for _ in range(delegates)]
            self.values = {}
            for i, account in enumerate(self.accounts):
                count = (0, 1, 2, 4)[i % 4]
                self.values[account["fulldomain"]] = {one.publish(account) for _ in range(count)}
            one.stop()
            self.bytes = one.data_file.read_bytes()
        finally:
            one.discard()
        self.pages = len(self.bytes) // PAGE


# ---- damage: each takes a random source and bytes, and returns bytes and what it did


def flip(r, data):
    at, bit = r.randrange(len(data)), r.randrange(8)
    data[at] ^= 1 << bit
    return f"bit {bit} of octet {at}"


def octet(r, data):
    at, new = r.randrange(len(data)), r.randrange(256)
    data[at] = new
    return f"octet {at} is {new}"


def used(r, data):
    """A bit of an octet that is not zero: pages have more room than content."""
    for _ in range(1000):
        at = r.randrange(len(data))
        if data[at]:
            break
    bit = r.randrange(8)
    data[at] ^= 1 << bit
    return f"bit {bit} of octet {at}, which was not zero"


def head(r, data):
    """Where a page says what it has on it."""
    at, new = r.randrange(len(data) // PAGE) * PAGE + r.randrange(64), r.randrange(256)
    data[at] = new
    return f"octet {at} is {new}"


def sector(r, data):
    at = r.randrange(len(data) // 512) * 512
    data[at:at + 512] = bytes(512) if r.randrange(2) else r.randbytes(512)
    return f"512 octets at {at}"


def page(r, data):
    at = r.randrange(len(data) // PAGE) * PAGE
    data[at:at + PAGE] = bytes(PAGE) if r.randrange(2) else r.randbytes(PAGE)
    return f"page {at // PAGE}"


def swap(r, data):
    a, b = (r.randrange(len(data) // PAGE) * PAGE for _ in range(2))
    data[a:a + PAGE], data[b:b + PAGE] = data[b:b + PAGE], data[a:a + PAGE]
    return f"pages {a // PAGE} and {b // PAGE} swapped"


def copy(r, data):
    a, b = (r.randrange(len(data) // PAGE) * PAGE for _ in range(2))
    data[a:a + PAGE] = data[b:b + PAGE]
    return f"page {a // PAGE} is a copy of page {b // PAGE}"


def old_meta(r, data):
    """A newest commit that got lost: its meta page is as it was before, or older, or gone."""
    at = newest_meta(data) * PAGE
    commit = struct.unpack_from("=Q", data, at + COMMIT_AT)[0]
    lost = r.choice([0, 4, 6, 10])
    struct.pack_into("=Q", data, at + COMMIT_AT, max(commit - lost, 0))
    return f"the newest commit is told as {max(commit - lost, 0)} and was {commit}"


def truncate(r, data):
    at = r.randrange(len(data) // PAGE) * PAGE if r.randrange(2) else r.randrange(len(data))
    del data[at:]
    return f"truncated to {at}"


KINDS = [flip, octet, used, used, head, head, sector, page, swap, copy, old_meta, truncate]


def newest_meta(data):
    commits = [struct.unpack_from("=Q", data, p * PAGE + COMMIT_AT)[0] for p in (0, 1)]
    return commits[1] > commits[0]


def cannot_be_noticed(before, after):
    """The newest meta page now looks exactly like that of two commits ago."""
    if len(before) != len(after) or len(before) < 2 * PAGE:
        return False
    at = newest_meta(before) * PAGE + COMMIT_AT
    old, new = (struct.unpack_from("=Q", d, at)[0] for d in (before, after))
    return new == old - 2


# ---- judging


class Judge:
    """One server on one damaged store."""

    def __init__(self, store):
        self.store = store
        self.server = harness.Server(folder=harness.make_folder(), dns={"workers": 1})
        self.running = False  # the damage came while it ran

    def put(self, data):
        path = self.server.data_file
        path.parent.mkdir(exist_ok=True)
        harness.own(path.parent)
        for name in ("data.mdb", "lock.mdb"):
            (path.parent / name).unlink(missing_ok=True)
        path.write_bytes(data)
        path.chmod(0o600)
        harness.own(path)
        self.server.stderr_path.unlink(missing_ok=True)

    def query(self, name, rdtype="TXT"):
        """DNS is never silent for more than a second."""
        q = dns.message.make_query(name, rdtype, use_edns=0, payload=1232)
        try:
            answer = dns.query.udp(q, "127.0.0.1", port=self.server.dns_port, timeout=patience())
            if answer.flags & dns.flags.TC:  # more than a forged query may cost
                answer = dns.query.tcp(q, "127.0.0.1", port=self.server.dns_port, timeout=patience())
            return answer
        except dns.exception.Timeout:
            raise Wrong(f"no answer for {name} {rdtype} within a second") from None

    def starts(self):
        """False: refused."""
        self.server.launch()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            code = self.server.process.poll()
            if code is not None:
                self.refused(code)
                return False
            try:
                q = dns.message.make_query(ZONE, "SOA")
                dns.query.udp(q, "127.0.0.1", port=self.server.dns_port, timeout=0.2)
                return True
            except (dns.exception.DNSException, OSError):
                time.sleep(0.005)
        raise Wrong("it neither answers nor ends: " + self.server.stderr())

    def refused(self, code):
        if self.server in harness.running:
            harness.running.remove(self.server)
        text = self.server.stderr().strip()
        lines = [line for line in text.splitlines() if "warning" not in line]
        if "Address already in use" in text:
            raise PortTaken(text)
        if code != 2 or len(lines) != 1 or str(self.server.data_file.parent) not in text:
            raise Wrong(f"status {code}: {text}")
        if "damaged" in text and "restore" not in text:
            raise Wrong(f"it does not say what to do: {text}")

    def look(self, changed=()):
        """Every delegate has its values, or SERVFAIL. Returns how many had."""
        right = 0
        for name, expected in self.store.values.items():
            answer = self.query(name)
            if answer.rcode() == dns.rcode.SERVFAIL:
                continue
            sets = [expected] if name not in changed else changed[name]
            if answer.rcode() != dns.rcode.NOERROR or set(txt_of(answer)) not in sets:
                raise Wrong(f"{name}: {answer} instead of {expected}")
            right += 1
        if self.query(ZONE, "SOA").rcode() != dns.rcode.NOERROR:
            raise Wrong("the zone's own records are not served")
        return right

    def update(self, account):
        """What is acknowledged is served, what is not may have been written and never is half there."""
        name, txt = account["fulldomain"], value()
        before = self.store.values[name]
        response = self.server.update(account, txt, timeout=20)
        if response.status == 200:
            return {name: [before | {txt}]}
        if response.status == 401 and self.running and self.server.operator("store", "check").returncode == 1:
            return {name: [before]}  # a page that was exchanged for an older one is known to the next check only
        if response.status not in (500, 503):
            raise Wrong(f"an update with the right key: {response.status} {response.body}")
        return {name: [before]}

    def bystander(self):
        """Who has no key is refused, whatever the store looks like."""
        stranger = {"username": "00000000-0000-4000-8000-000000000000", "password": "x" * 40,
                    "subdomain": self.store.accounts[0]["subdomain"]}
        response = self.server.update(stranger, value(), timeout=20)
        if response.status not in (401, 500, 503):
            raise Wrong(f"an update with a wrong key: {response.status}")

    def end(self):
        harness.assert_clean(self.server.stderr())
        if self.server.process and self.server.process.poll() is None:
            self.server.stop()

    def discard(self):
        self.server.discard()
        shutil.rmtree(self.server.folder, ignore_errors=True)


def patience():
    return 1.0 if "asan" not in harness.BINARY else 3.0


def before_start(judge, data):
    """'refused', 'served', 'partly', 'servfail'"""
    judge.running = False
    judge.put(data)
    if not judge.starts():
        return "refused"
    right = judge.look()
    account = judge.store.accounts[len(data) % len(judge.store.accounts)]
    changed = judge.update(account)
    judge.bystander()
    judge.look(changed)
    judge.end()
    return "served" if right == len(judge.store.values) else "partly" if right else "servfail"


def apply(path, r, kind):
    """Damages what a server has open: nothing else of it changes."""
    with open(path, "r+b") as f:
        before = f.read()
        after = bytearray(before)
        what = kind(r, after)
        for at in range(0, len(after), 512):
            if after[at:at + 512] != before[at:at + 512]:
                f.seek(at)
                f.write(after[at:at + 512])
        f.truncate(len(after))
    return what


def while_running(judge, r, kind):
    """The file changes beneath a server."""
    judge.put(judge.store.bytes)
    if not judge.starts():
        raise Wrong("a store without damage is refused: " + judge.server.stderr())
    judge.look()
    judge.running = True
    what = apply(judge.server.data_file, r, kind)
    try:
        return look_and_change(judge), what
    except (AssertionError, OSError) as e:
        raise Wrong(f"{what}: {e}") from e


def look_and_change(judge):
    judge.look()
    changed = {}
    for account in judge.store.accounts[:4]:
        changed.update(judge.update(account))
    judge.bystander()
    right = judge.look(changed)
    judge.end()
    return "served" if right == len(judge.store.values) else "partly" if right else "servfail"


def run_one(judge, seed, kind=None, mode=None):
    """One case. Returns (outcome, description); Wrong says what must not happen."""
    r = random.Random(seed)
    kind = kind or r.choice(KINDS)
    mode = mode or (while_running if r.randrange(4) == 0 else before_start)
    what = kind.__name__
    try:
        if mode is while_running:
            return while_running(judge, r, kind)
        data = bytearray(judge.store.bytes)
        what = kind(r, data)
        if data == judge.store.bytes:
            return "nothing", what
        if cannot_be_noticed(judge.store.bytes, data):
            return "unnoticeable", what
        return before_start(judge, bytes(data)), what
    except PortTaken:
        return "port taken", what
    except (AssertionError, OSError) as e:
        raise Wrong(f"seed {seed}: {mode.__name__}: {what}: {e}\n{judge.server.stderr()[-3000:]}") from e
    finally:
        if judge.server.process and judge.server.process.poll() is None:
            judge.server.discard()
