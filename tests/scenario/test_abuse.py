# SPDX-License-Identifier: GPL-3.0-or-later
"""Floods, forged senders and clients that hold on to connections, in a network namespace of this test's own in which
whole networks are local: so anybody can be anybody, and what goes to forged senders is seen.

The floods run at 50 000 queries a second for ACME_DELEGATE_FLOOD_SECONDS (10). A build with sanitizers cannot keep up with
that on two cores that the flood has to share: where there is a release build (build/acme-delegate) beside it the floods
take that one, otherwise a fifth of the rate."""

import contextlib
import ctypes
import json
import os
import pathlib
import resource
import select
import socket
import struct
import subprocess
import time

import pytest

import harness
import packets
from harness import IS_ROOT, LOOPBACK, ROOT, ZONE, Server, children_of, poll
from packets import (BADCOOKIE, COOKIE, NOERROR, NSID, NXDOMAIN, QR, TC, Reply, framed, header, opt, option, query,
                     question, read_framed)

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="a network of its own needs root; CI runs this as root")

CLONE_NEWNET = 0x40000000
IP_BIND_ADDRESS_NO_PORT = 24
RELEASE = ROOT / "build" / "acme-delegate"
SANITIZED = b"__asan_init" in pathlib.Path(harness.BINARY).read_bytes()
CAN_KEEP_UP = not SANITIZED or RELEASE.exists()
RATE = 50_000 if CAN_KEEP_UP else 10_000
SECONDS = float(os.environ.get("ACME_DELEGATE_FLOOD_SECONDS", 10))
LIMIT = 200  # dns.rate_limit.responses_per_second, the default
# What a network may get beyond the limit before it is limited: a few dozen resolvers on first contact must fit.
BURST = 1000
MEGABYTE = 1 << 20
PER_HOLDER = 3900  # connections one process of ours holds: 4096 is the usual limit of descriptors


@pytest.fixture(scope="module", autouse=True)
def namespace():
    """This process, and all it starts from now on, in a namespace of its own; back home at the end."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    try:
        for command in ("link set lo up", "route add local 10.0.0.0/8 dev lo", "-6 route add local 2001:db8::/32 dev lo"):
            subprocess.run(["ip", *command.split()], check=True)
        pathlib.Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        assert hard > PER_HOLDER, "too few descriptors allowed (ulimit -Hn)"
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert libc.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(home)


@pytest.fixture(scope="module")
def flood(tmp_path_factory):
    """Starts flood.c; the process's output is its counts."""
    binary = tmp_path_factory.mktemp("flood") / "flood"
    source = pathlib.Path(__file__).with_name("flood.c")
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-Wall", "-o", str(binary), str(source)], check=True)
    started = []

    def start(server, network, bits, wire, rate=RATE, seconds=SECONDS, random=0):
        address = LOOPBACK[6 if ":" in network else 4]
        started.append(subprocess.Popen(
            [binary, address, str(server.dns_port), str(rate), str(seconds), network, str(bits), wire.hex(), str(random)],
            stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def server(make_server, monkeypatch):
    """A running server, limited as it is by default, with a delegate of two values."""

    def start(dns=None, **kw):
        one = make_server(dns=harness.merge({"rate_limit": {"responses_per_second": LIMIT}}, dns or {}), **kw)
        one.start()
        one.account = one.register()
        one.values_published = sorted(one.publish(one.account) for _ in range(2))
        one.name = one.account["fulldomain"] + "."
        return one

    return start


@pytest.fixture
def fast(server, monkeypatch):
    """The same from a build that can keep up with a flood."""
    if CAN_KEEP_UP and SANITIZED:
        monkeypatch.setattr(harness, "BINARY", str(RELEASE))
    return server


# ---- Clients


class Client:
    """A stub resolver at an address of its choice. It does what RFC 7873 section 5.3 and RFC 7766 section 5 tell it: it
    keeps its cookie, and goes to TCP when the answer is truncated."""

    def __init__(self, server, address, cookies=False):
        self.server, self.address, self.cookie = server, address, os.urandom(8) if cookies else None
        self.family = 6 if ":" in address else 4
        self.truncated = self.asked = 0

    @property
    def target(self):
        return LOOPBACK[self.family], self.server.dns_port

    def wire(self, name, rdtype):
        return query(name, rdtype, edns=opt(option(COOKIE, self.cookie) if self.cookie else b""))

    def learn(self, reply):
        cookie = reply.options.get(COOKIE, b"")
        if self.cookie and cookie[:8] == self.cookie[:8]:
            self.cookie = cookie

    def udp(self, name, rdtype="TXT", timeout=2):
        kind = socket.AF_INET6 if self.family == 6 else socket.AF_INET
        with socket.socket(kind, socket.SOCK_DGRAM) as s:
            s.bind((self.address, 0))
            s.settimeout(timeout)
            s.connect(self.target)
            s.send(self.wire(name, rdtype))
            reply = Reply(s.recv(4096))
        self.asked += 1
        self.truncated += bool(reply.flags & TC)
        self.learn(reply)
        return reply

    def tcp(self, name, rdtype="TXT", timeout=2):
        with socket.create_connection(self.target, timeout=timeout, source_address=(self.address, 0)) as s:
            s.sendall(framed(self.wire(name, rdtype)))
            reply = Reply(read_framed(s))
        self.learn(reply)
        return reply

    def resolve(self, name, rdtype="TXT"):
        reply = self.udp(name, rdtype)
        if reply.rcode == BADCOOKIE:
            reply = self.udp(name, rdtype)
        return self.tcp(name, rdtype) if reply.flags & TC or reply.rcode == BADCOOKIE else reply


def is_complete(server, reply):
    """The delegate's two values and nothing else."""
    return reply.rcode == NOERROR and not reply.flags & TC and sorted(r.raw[1:].decode() for r in reply.answer) == \
        server.values_published


# ---- What is measured


def anonymous(server):
    """Bytes of memory that are the processes' own, all of them together: heap, stacks, what was written to."""
    pids = [server.process.pid, *(pid for pid, _ in children_of(server.process.pid))]
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                total += int(line.split()[1]) * 1024
    return total


def kernel_drops(server):
    """Datagrams that found the server's socket buffers full."""
    total = 0
    for table in ("udp", "udp6"):
        for line in pathlib.Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rsplit(":", 1)[1], 16) == server.dns_port:
                total += int(fields[-1])
    return total


class Counts:
    """What a flood sent and got."""

    def __init__(self, process, drops):
        out, _ = process.communicate(timeout=SECONDS + 60)
        assert process.returncode == 0, out
        found = json.loads(out)
        self.sent, self.whole, self.truncated, self.negative, self.other = (
            found[k] for k in ("sent", "whole", "truncated", "negative", "other"))
        self.replies = [sum(x) for x in zip(self.whole, self.truncated, self.negative, self.other)]
        self.dropped = found["dropped_here"] + drops()
        self.ratio = self.replies[1] / self.sent[1]

    def __repr__(self):
        return (f"sent {self.sent[0]} whole {self.whole[0]} truncated {self.truncated[0]} negative {self.negative[0]} other "
                f"{self.other[0]} dropped {self.dropped} bytes out/in {self.ratio:.4f}")

    def assert_no_silence(self):
        """Each query has its reply, but for those the kernel itself had to drop, which must be few."""
        assert self.sent[0] - self.replies[0] <= self.dropped, self
        assert self.dropped <= self.sent[0] / 100, self


def run_flood(flood, server, *args, beside=lambda: None, **kw):
    """Runs a flood, and meanwhile beside() again and again, as seldom as somebody who does not flood."""
    before = kernel_drops(server)
    process = flood(server, *args, **kw)
    while process.poll() is None:
        beside()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    return Counts(process, lambda: kernel_drops(server) - before)


# ---- Forged senders


def assert_reflects_nothing(counts, seconds, wire):
    """How it is counted: UDP payload. A network may get LIMIT whole answers a second and BURST once: these are counted by
    number. Every other reply may be at most as long as its query."""
    allowed = LIMIT * seconds + BURST
    answers = counts.whole[0] + counts.negative[0]
    assert answers <= allowed, f"{counts}: {answers} whole answers, allowed {allowed}"
    assert counts.truncated[1] <= counts.truncated[0] * len(wire), f"{counts}: truncated answers longer than queries"
    assert counts.other[0] <= counts.sent[0] / 1000, counts
    assert counts.ratio <= 1 + 4 * allowed / counts.sent[0], counts


def test_spoofed_flood(fast, flood, record_property):
    one = fast()
    wire = query(one.name, "TXT", edns=opt())
    early, late, plain = (Client(one, f"10.9.8.{i}", cookies=i < 3) for i in (1, 2, 3))
    others = [Client(one, f"10.9.{n}.5", cookies=n % 2) for n in (7, 9)] + [Client(one, "10.200.1.1")]
    assert is_complete(one, early.resolve(one.name)) and len(early.cookie) == 24
    asked = {"n": 0}

    def beside():
        """One round: cookie and TCP clients in the network under attack, and clients elsewhere."""
        truncated = early.truncated
        assert is_complete(one, early.resolve(one.name))
        assert early.truncated == truncated, "a client with a cookie is not limited"
        assert is_complete(one, late.resolve(one.name)), "first contact in the middle of the flood"
        assert is_complete(one, plain.tcp(one.name))
        assert is_complete(one, plain.resolve(one.name)), "TC leads to TCP"
        for client in others:
            assert is_complete(one, client.udp(one.name)), "another network is not limited"
        asked["n"] += 1

    counts = run_flood(flood, one, "10.9.8.0", 24, wire, beside=beside)
    end = time.monotonic()
    while not is_complete(one, Client(one, "10.9.8.77").udp(one.name)):
        assert time.monotonic() < end + 3, "the network is served as before"
        time.sleep(0.1)  # asking all the time would go on with the flood
    record_property("flood", f"{counts}; rounds of clients beside it {asked['n']}; over after {time.monotonic() - end:.2f} s")
    print(f"\n{counts}; {asked['n']} rounds beside")
    assert counts.sent[0] >= 0.9 * RATE * SECONDS, "the flood was no flood"
    assert asked["n"] >= 5 * SECONDS
    counts.assert_no_silence()
    assert_reflects_nothing(counts, SECONDS, wire)
    assert counts.truncated[0] > 0.9 * counts.sent[0]


FLOODS = {
    "plain": lambda one: (query(one.name, "TXT"), 0),
    "client-cookie": lambda one: (query(one.name, "TXT", edns=opt(option(COOKIE, b"forged!!"))), 0),
    "wrong-cookie": lambda one: (query(one.name, "TXT", edns=opt(option(COOKIE, b"forged!!" + b"\1\0\0\0" + bytes(12)))), 0),
    "nsid": lambda one: (query(one.name, "TXT", edns=opt(option(NSID))), 0),
    "random-names": lambda one: (query(f"{'x' * 36}.{ZONE}.", "TXT", edns=opt()), 36),
    "no-data": lambda one: (query(one.name, "A", edns=opt()), 0),
    "apex": lambda one: (query(f"{ZONE}.", "NS", edns=opt()), 0),
    "refused": lambda one: (query("example.com.", "A", edns=opt()), 0),
    "any": lambda one: (query(f"{ZONE}.", "ANY"), 0),
    "chaos": lambda one: (query("version.bind.", "TXT", 3, edns=opt()), 0),
}


def test_spoofed_floods_of_every_kind(fast, flood):
    """Whatever is asked, the flood comes back no larger than it was."""
    one = fast(dns={"nsid": "a-name-server.example.net", "version": "acme-delegate"})
    failed = {}
    for i, (kind, make) in enumerate(FLOODS.items()):
        wire, random = make(one)
        counts = run_flood(flood, one, f"10.8.{i}.0", 24, wire, rate=RATE / 2, seconds=1, random=random)
        print(f"\n{kind}: {counts}", end="")
        try:
            counts.assert_no_silence()
            if kind not in ("refused",):
                assert_reflects_nothing(counts, 1, wire)
            else:  # errors are no larger than queries but for the extended error, and may be limited or not
                assert counts.ratio <= 1.25, counts
        except AssertionError as error:
            failed[kind] = str(error).splitlines()[0]
    assert not failed, failed


def test_spoofed_flood_ipv6(fast, flood):
    """Networks of IPv6 are /56, since that is what one customer has."""
    one = fast()
    wire = query(one.name, "TXT", edns=opt())
    beside = [Client(one, "2001:db8:1:100::1"), Client(one, "2001:db8:2::1")]  # the next /56, and another

    def ask():
        for client in beside:
            assert is_complete(one, client.udp(one.name)), client.address

    counts = run_flood(flood, one, "2001:db8:1::", 56, wire, rate=RATE / 2, seconds=2, beside=ask)
    counts.assert_no_silence()
    assert_reflects_nothing(counts, 2, wire)
    assert counts.truncated[0] > 0.8 * counts.sent[0]


def test_unlimited_networks(fast, flood):
    """dns.rate_limit.unlimited: every answer whole."""
    one = fast(dns={"rate_limit": {"unlimited": ["10.7.7.0/24"]}})
    counts = run_flood(flood, one, "10.7.7.0", 24, query(one.name, "TXT", edns=opt()), rate=RATE / 5, seconds=1)
    counts.assert_no_silence()
    assert counts.whole[0] == counts.replies[0], counts


def test_no_limit(fast, flood):
    one = fast(dns={"rate_limit": {"responses_per_second": 0}})
    counts = run_flood(flood, one, "10.7.8.0", 24, query(one.name, "TXT", edns=opt()), rate=RATE / 5, seconds=1)
    counts.assert_no_silence()
    assert counts.whole[0] == counts.replies[0], counts


def test_first_contact(server):
    """A farm of resolvers behind one /24 that has never been here asks all at once: 48 of them, 8 queries each. None of
    them is limited, again and again as farms do."""
    one = server()
    for network in ("10.6.1", "10.6.2"):
        sockets = []
        try:
            for i in range(48):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.bind((f"{network}.{10 + i}", 0))
                s.settimeout(5)
                s.connect((LOOPBACK[4], one.dns_port))
                sockets.append(s)
            for _ in range(8):
                for s in sockets:
                    s.send(query(one.name, "TXT", edns=opt()))
            for s in sockets:
                for _ in range(8):
                    assert is_complete(one, Reply(s.recv(4096)))
        finally:
            for s in sockets:
                s.close()


def test_random_forged_networks(fast, flood):
    """Every query from another network: none of them has had too much, nobody innocent is limited, and what is remembered
    of networks does not grow."""
    one = fast()
    wire = query(one.name, "TXT", edns=opt())
    innocent = [Client(one, f"10.{n}.{n}.1") for n in range(240, 250)]

    def beside():
        for client in innocent:
            assert is_complete(one, client.udp(one.name)), "limited for what others did"

    before = anonymous(one)
    first = run_flood(flood, one, "10.0.0.0", 9, wire, seconds=2, beside=beside)
    warm = anonymous(one)
    second = run_flood(flood, one, "10.0.0.0", 9, wire, seconds=4, beside=beside)
    after = anonymous(one)
    print(f"\n{first}\n{second}\nmemory {before} {warm} {after}")
    for counts in (first, second):
        counts.assert_no_silence()
        assert counts.truncated[0] <= counts.sent[0] / 1000, counts
    assert warm - before <= 16 * MEGABYTE and after - warm <= MEGABYTE


def test_random_subdomain_flood(fast, flood):
    """Names that do not exist, from everywhere (RFC 8020 or a store that is asked each time would suffer): existing names are
    answered meanwhile, and memory stays as it is."""
    one = fast()
    wire = query(f"{'x' * 36}.{ZONE}.", "TXT", edns=opt())
    client = Client(one, "10.250.1.1")

    def beside():
        assert is_complete(one, client.udp(one.name))

    run_flood(flood, one, "10.0.0.0", 9, wire, seconds=1, random=36, beside=beside)
    warm = anonymous(one)
    counts = run_flood(flood, one, "10.0.0.0", 9, wire, seconds=4, random=36, beside=beside)
    after = anonymous(one)
    print(f"\n{counts}\nmemory {warm} {after}")
    counts.assert_no_silence()
    assert counts.negative[0] >= 0.99 * counts.sent[0], counts
    assert after - warm <= MEGABYTE


# ---- Loops


def checksum_free_udp(source, source_port, target, target_port, payload):
    """An IPv4 datagram by hand; UDP without a checksum (RFC 768). The kernel fills in the rest."""
    udp = struct.pack("!4H", source_port, target_port, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                     socket.inet_aton(source), socket.inet_aton(target))
    return ip + udp


def datagrams_from(listener, port):
    """(destination port, payload) of what has been sent from `port`, as the raw socket saw it."""
    found = []
    while True:
        try:
            packet = listener.recv(65535, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return found
        at = (packet[0] & 15) * 4
        source, target = struct.unpack("!2H", packet[at:at + 4])
        if source == port:
            found.append((target, packet[at + 8:]))


@pytest.mark.parametrize("port,answered", [(0, False), (7, False), (19, False), (53, True), (1024, True), (65535, True)])
def test_source_ports(server, port, answered):
    """Ports that answer whatever reaches them (RFC 862 echo, RFC 864 chargen), and port 0 which nobody has, get nothing:
    the forger would have two machines talk to each other. 53 asks like others (old resolvers do)."""
    one = server(dns={"workers": 1})  # one worker answers in order: the probe's reply says that all is said
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as forger, \
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as listener:
        for _ in range(5):
            forger.sendto(checksum_free_udp("10.5.5.5", port, LOOPBACK[4], one.dns_port, query(one.name, "TXT")),
                          (LOOPBACK[4], 0))
        assert is_complete(one, Client(one, "10.5.5.6").udp(one.name))
        got = [target for target, _ in datagrams_from(listener, one.dns_port) if target == port]
        assert len(got) == (5 if answered else 0)


def test_own_address_as_sender(server):
    """A query that claims to come from the server itself: its answer is no query, so that is the end of it."""
    one = server(dns={"workers": 1})
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as forger, \
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as listener:
        for wire in (query(one.name, "TXT"), header(flags=15 << 11) + question("x."), header(qd=9), b"\0" * 12,
                     header(flags=QR) + question("x.")):
            forger.sendto(checksum_free_udp(LOOPBACK[4], one.dns_port, LOOPBACK[4], one.dns_port, wire), (LOOPBACK[4], 0))
        for _ in range(3):
            assert is_complete(one, Client(one, "10.5.5.7").udp(one.name))
        # Five forged, and at most one reply to each, which nobody answers.
        assert len([1 for target, _ in datagrams_from(listener, one.dns_port) if target == one.dns_port]) <= 10


# ---- TCP


def connect_many(target, source, count):
    """So many connections from one address, none of which says anything."""
    sockets, pending = [], set()
    poller = select.poll()
    while len(sockets) < count or pending:
        while len(sockets) < count and len(pending) < 256:
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            s.bind((source, 0))
            s.connect_ex(target)
            poller.register(s, select.POLLOUT)
            pending.add(s.fileno())
            sockets.append(s)
        ready = poller.poll(5000)
        assert ready, f"no connection for 5 s, {len(sockets) - len(pending)} of {count} made"
        for fd, _ in ready:
            poller.unregister(fd)
            pending.discard(fd)
    return sockets


class Holders:
    """Processes that hold connections from one address: more than one may have descriptors."""

    def __init__(self, target, source, count):
        self.pids, self.pipes = [], []
        ready, said = os.pipe()
        while count > 0:
            part = min(count, PER_HOLDER)
            count -= part
            stay, leave = os.pipe()
            pid = os.fork()
            if not pid:
                self._hold(target, source, part, said, stay, [leave, *self.pipes])
            self.pids.append(pid)
            self.pipes.append(leave)
            os.close(stay)
        os.close(said)
        done = b""
        while part := os.read(ready, 100):  # ends when each has spoken or died
            done += part
            if len(done) == len(self.pids):
                break
        os.close(ready)
        if done != b"+" * len(self.pids):
            self.close()
            raise AssertionError(f"the connections could not be made: {done}")

    @staticmethod
    def _hold(target, source, count, said, stay, others):
        """In the child, which ends here: os._exit leaves the parent's tests alone."""
        try:
            for fd in others:
                os.close(fd)
            sockets = connect_many(target, source, count)
            os.write(said, b"+")
            os.close(said)
            os.read(stay, 1)
            del sockets
        except BaseException:
            os.write(said, b"-")
        os._exit(0)

    def close(self):
        for fd in self.pipes:
            os.close(fd)
        for pid in self.pids:
            os.waitpid(pid, 0)


@pytest.mark.parametrize("count", [2000, 20_000])
def test_idle_connections(server, count):
    """One address holds as many connections as it can. New clients are answered, those from elsewhere and even that
    one; connections of others stay; memory does not follow."""
    one = server()
    target = (LOOPBACK[4], one.dns_port)
    neighbours = [socket.create_connection(target, timeout=5, source_address=(f"10.4.{i}.1", 0)) for i in range(20)]
    wire = framed(query(one.name, "TXT"))
    before = anonymous(one)
    idle = None
    try:
        for s in neighbours:
            s.sendall(wire)
            assert is_complete(one, Reply(read_framed(s)))
        idle = Holders(target, "10.3.3.3", count)
        took = []
        for i in range(10):
            start = time.monotonic()
            assert is_complete(one, Client(one, f"10.2.{i}.2").tcp(one.name)), "a new client"
            took.append(time.monotonic() - start)
        assert is_complete(one, Client(one, "10.3.3.3").tcp(one.name)), "from the same address"
        for s in neighbours:
            s.sendall(wire)
            assert is_complete(one, Reply(read_framed(s))), "a neighbour's connection was sacrificed"
        growth = anonymous(one) - before
        print(f"\n{count} idle: slowest of ten new clients {max(took) * 1000:.1f} ms, memory +{growth / MEGABYTE:.1f} MB")
        assert max(took) < 1
        assert growth <= (64 if SANITIZED else 8) * MEGABYTE
    finally:
        if idle:
            idle.close()
        for s in neighbours:
            s.close()


def is_cut(s):
    """Closed or reset by the other side; what can be read stays unread."""
    poller = select.poll()
    poller.register(s, select.POLLRDHUP)
    return any(events & (select.POLLHUP | select.POLLERR | select.POLLRDHUP) for _, events in poller.poll(0))


def send_what_goes(s, data):
    """Non-blocking; the number of bytes taken, 0 when none or when the connection is gone."""
    try:
        return s.send(data)
    except OSError:
        return 0


def test_deadlines(server):
    """Idle is 10 s, a message or a reply 5 s from its first byte, however it is stretched. All kinds at once."""
    one = server()
    target = (LOOPBACK[4], one.dns_port)
    for _ in range(30):
        one.publish(one.account)  # a long answer for those who do not read
    long_query = query(one.name, "TXT", edns=opt(option(65001, bytes(3000))))
    wire = framed(query(one.name, "TXT"))
    stuffing = wire * 20
    start = time.monotonic()

    def fresh(address, first=b""):
        s = socket.create_connection(target, timeout=5, source_address=(address, 0))
        if first:
            s.sendall(first)
        return s

    def asked_once(address):
        s = fresh(address, wire)
        assert read_framed(s)
        return s

    sockets = {
        "nothing said": (fresh("10.1.1.1"), 10, lambda s: None),
        "asked once": (asked_once("10.1.1.2"), 10, lambda s: None),
        "half a length": (fresh("10.1.1.3", b"\0"), 5, lambda s: None),
        "half a message": (fresh("10.1.1.4", framed(long_query)[:100]), 5, lambda s: None),
        "a byte at a time": (fresh("10.1.1.5", framed(long_query)[:2]), 5, lambda s: send_what_goes(s, b"\0")),
        "asked, then a byte at a time": (fresh("10.1.1.6", wire + framed(long_query)[:2]), 5,
                                         lambda s: send_what_goes(s, b"\0")),
        "does not read": (fresh("10.1.1.7"), 5, lambda s: send_what_goes(s, stuffing)),
        "reads a little": (fresh("10.1.1.8"), 5, lambda s: (send_what_goes(s, stuffing), read_a_little(s))),
    }
    for s, _, _ in sockets.values():
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for name in ("does not read", "reads a little"):
        for _ in range(2000):  # until no buffer takes more: from here the server's patience is counted
            if not send_what_goes(sockets[name][0], stuffing):
                break
    cut = {}
    try:
        while len(cut) < len(sockets) and time.monotonic() - start < 16:
            for name, (s, _, step) in sockets.items():
                if name not in cut and is_cut(s):
                    cut[name] = time.monotonic() - start
                elif name not in cut:
                    step(s)
            select.select([], [], [], 0.1)
        print("\n" + ", ".join(f"{name} {when:.1f} s" for name, when in cut.items()))
        for name, (_, seconds, _) in sockets.items():
            assert name in cut, f"{name}: still open after 16 s"
            assert seconds - 0.5 <= cut[name] <= seconds + 2.5, f"{name}: cut after {cut[name]:.1f} s"
    finally:
        for s, _, _ in sockets.values():
            s.close()
    assert one.query(ZONE, "SOA").rcode() == NOERROR


def read_a_little(s):
    try:
        return s.recv(100)
    except OSError:
        return b""


def test_unread_answers(server):
    """300 connections that ask for much and read nothing: what waits for them is bounded, and others are answered."""
    one = server()
    for _ in range(30):
        one.publish(one.account)
    one.values_published = sorted(one.values(one.account))
    target, stuffing = (LOOPBACK[4], one.dns_port), framed(query(one.name, "TXT")) * 20
    before = anonymous(one)
    sockets = connect_many(target, "10.1.2.3", 300)
    try:
        for s in sockets:
            for _ in range(200):
                if not send_what_goes(s, stuffing):
                    break
        for i in range(10):
            assert is_complete(one, Client(one, f"10.1.3.{i + 1}").tcp(one.name))
        growth = anonymous(one) - before
        print(f"\n300 that do not read: memory +{growth / MEGABYTE:.1f} MB")
        assert growth <= (300 * 3 if SANITIZED else 300) * 200 * 1024
    finally:
        for s in sockets:
            s.close()


def test_connections_that_come_and_go(server):
    """Half-open ends, resets at any point: nothing leaks, nothing stops (BIND CVE-2022-0396, NSD CVE-2026-12245)."""
    one = server()
    target, wire = (LOOPBACK[4], one.dns_port), framed(query(one.name, "TXT"))

    def round_of(count):
        for i in range(count):
            s = socket.create_connection(target, timeout=5, source_address=(f"10.1.{4 + i % 50}.1", 0))
            s.send(wire[:i % (len(wire) + 1)])
            if i % 2:  # a reset instead of an end
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if i % 3 == 0:
                s.shutdown(socket.SHUT_WR)
            s.close()

    def descriptors():
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid, name in children_of(one.process.pid) if "dns" in name)

    round_of(200)
    poll(lambda: Client(one, "10.1.60.1").tcp(one.name), 5, "answered")
    before, memory = descriptors(), anonymous(one)
    round_of(3000)
    assert is_complete(one, Client(one, "10.1.60.1").tcp(one.name))
    poll(lambda: descriptors() <= before, 15, "all descriptors given back")
    assert anonymous(one) - memory <= (64 if SANITIZED else 1) * MEGABYTE
