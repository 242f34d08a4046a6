# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS over streams: RFC 7766 and 9210 (TCP), and the same rows through TLS (RFC 7858)."""

import contextlib
import os
import random
import resource
import socket
import struct
import time

import dns.flags
import dns.message
import dns.rcode
import pytest

import harness
from harness import FAMILIES, LOOPBACK, ZONE, poll, txt_of

HELLO_ID = 0x4711


@pytest.fixture(scope="module")
def shared():
    with harness.Server(dot=True).running() as one:
        yield one


@pytest.fixture(scope="module")
def delegate(shared):
    account = shared.register()
    for _ in range(2):
        shared.publish(account)
    return account


@pytest.fixture(params=[False, True], ids=["tcp", "dot"])
def connect(shared, request):
    """A factory of connections, plain or in TLS."""
    with contextlib.ExitStack() as stack:
        yield lambda **kw: stack.enter_context(shared.stream(dot=request.param, **kw))


def query(name=ZONE, rdtype="SOA", number=None):
    message = dns.message.make_query(name, rdtype, use_edns=0)
    if number is not None:
        message.id = number
    return message


def framed(message):
    """RFC 1035 section 4.2.2."""
    wire = message.to_wire()
    return struct.pack("!H", len(wire)) + wire


def read_exactly(s, length):
    data = b""
    while len(data) < length:
        part = s.recv(length - len(data))
        if not part:
            raise EOFError(data)
        data += part
    return data


def read_answer(s):
    (length,) = struct.unpack("!H", read_exactly(s, 2))
    return dns.message.from_wire(read_exactly(s, length))


def has_ended(s):
    """Whether the other side has closed, or reset; waits for it as long as the socket's timeout."""
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True


def assert_serves(s):
    """The connection is open and answers what is asked on it."""
    message = query(number=HELLO_ID)
    s.sendall(framed(message))
    answer = read_answer(s)
    assert message.is_response(answer) and answer.rcode() == dns.rcode.NOERROR


def distinct(count, name):
    """Queries with different ids: half of them of a delegate, half of the zone."""
    return [query(*((name, "TXT") if i % 2 else (ZONE, "SOA")), number=i * 257 + 3) for i in range(count)]


def expect_all(s, queries):
    """One answer for each, in whatever order (RFC 7766 section 6.2.1.1), matched by id, question and content."""
    waiting = {q.id: q for q in queries}
    for _ in queries:
        answer = read_answer(s)
        asked = waiting.pop(answer.id)
        assert asked.is_response(answer) and answer.flags & dns.flags.AA and not answer.flags & dns.flags.TC
        if asked.question[0].name.to_text() != f"{ZONE}.":
            assert len(txt_of(answer)) == 2
    assert not waiting


# ---- RFC 7766


@pytest.mark.parametrize("family", FAMILIES)
def test_a_connection_is_used_again_and_again(connect, family):
    """Section 6.2.1: the client may go on, and the server does not close after an answer."""
    s = connect(family=family)
    for _ in range(20):
        assert_serves(s)


def test_200_pipelined_in_one_write(connect, delegate):
    """Section 6.2.1.1."""
    s = connect()
    queries = distinct(200, delegate["fulldomain"])
    s.sendall(b"".join(map(framed, queries)))
    expect_all(s, queries)
    assert_serves(s)


def test_several_in_flight(connect, delegate):
    """Queries are sent while answers of earlier ones are not read yet."""
    s = connect()
    queries = distinct(100, delegate["fulldomain"])
    for start in range(0, 100, 10):
        s.sendall(b"".join(map(framed, queries[start:start + 10])))
    expect_all(s, queries)


def test_byte_by_byte(connect, delegate):
    """Section 8: the length and the message need not come together, nor in whole."""
    s = connect()
    queries = distinct(3, delegate["fulldomain"])
    for message in queries:
        for byte in framed(message):
            s.sendall(bytes([byte]))
    expect_all(s, queries)


def test_cut_between_and_within_messages(connect, delegate):
    """The same stream in pieces of every kind: the end of one piece is not the end of a message."""
    s = connect()
    queries = distinct(60, delegate["fulldomain"])
    stream = b"".join(map(framed, queries))
    pieces = random.Random(1)
    at = 0
    while at < len(stream):
        size = pieces.choice([1, 2, 3, 11, 41, 42, 43, 200])
        s.sendall(stream[at:at + size])
        at += size
    expect_all(s, queries)


def test_half_closed(connect, delegate):
    """Section 6.2.4 leaves it to the client when to close; what it asked before it shut its side down is answered."""
    s = connect()
    queries = distinct(150, delegate["fulldomain"])
    s.sendall(b"".join(map(framed, queries)) + b"\0\x20started")
    socket.socket.shutdown(s, socket.SHUT_WR)  # beneath TLS, if there is TLS
    expect_all(s, queries)
    assert has_ended(s)


@pytest.mark.parametrize("length", [0, 4097, 65535])
def test_a_length_nobody_means(connect, length):
    """What comes behind cannot be told apart: the connection ends, after the answer to what came before."""
    s = connect()
    before = query(number=7)
    s.sendall(framed(before) + struct.pack("!H", length))
    assert before.is_response(read_answer(s))
    assert has_ended(s)


def test_closed_in_the_middle(connect):
    """At each byte of a query. The others do not notice."""
    witness = connect()
    wire = framed(query())
    for cut in range(len(wire)):
        with contextlib.closing(connect()) as s:
            s.sendall(wire[:cut])
        assert_serves(witness)


def test_reset_while_answers_are_under_way(connect, delegate):
    witness = connect()
    stream = b"".join(map(framed, distinct(200, delegate["fulldomain"])))
    for _ in range(30):
        s = connect()
        s.sendall(stream)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        assert_serves(witness)


def test_a_65535_byte_message_that_never_comes(connect):
    s = connect()
    s.sendall(b"\xff\xff")
    s.close()
    assert_serves(connect())


# ---- deadlines


def test_idle_connections_are_closed(connect):
    """After 10 seconds, whether they have asked or not (RFC 7766 section 6.2.3, RFC 9210 section 4.3)."""
    silent, asked = connect(timeout=14), connect(timeout=14)
    assert_serves(asked)
    started = time.monotonic()
    assert has_ended(asked)
    assert 9 < time.monotonic() - started < 13
    assert has_ended(silent)
    assert time.monotonic() - started < 13


def test_dripping_clients_are_cut(connect):
    """A message has 5 seconds, however it comes: here a byte each 50 ms, so it would take 10."""
    s = connect()
    s.settimeout(0.05)
    started = time.monotonic()
    try:
        s.sendall(struct.pack("!H", 200))
        while time.monotonic() - started < 9:
            s.sendall(b"x")
            try:
                if s.recv(1) == b"":
                    break
            except (TimeoutError, socket.timeout):
                pass
    except OSError:
        pass
    assert 4 < time.monotonic() - started < 8


# ---- limits


@pytest.fixture
def many_files():
    """So many descriptors as the tests below need, if the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard < 1 << 20 else 1 << 20, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_idle(address, count, source):
    """Connections that never say anything; those the server ends meanwhile stay half-open here."""
    out = []
    for _ in range(count):
        s = socket.socket()
        s.settimeout(5)
        if source:
            s.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
            s.bind((source, 0))
        s.connect(address)
        out.append(s)
    return out


def ask_anew(address, source):
    """Seconds from the SYN to the answer."""
    started = time.monotonic()
    with socket.socket() as s:
        s.settimeout(5)
        s.bind((source, 0))
        s.connect(address)
        assert_serves(s)
    return time.monotonic() - started


@pytest.mark.parametrize("count", [2000, 20000])
def test_idle_connections_keep_nobody_out(server, many_files, count):
    """All from one address; a newcomer from there and one from elsewhere are answered at once, 10 times of 10."""
    count = min(count, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    one = server()
    address = (LOOPBACK[4], one.dns_port)
    idle = open_idle(address, count, "127.0.0.1")
    try:
        times = {source: [ask_anew(address, source) for _ in range(10)] for source in ("127.0.0.1", "127.1.2.3")}
        print(f"{count} idle: " + ", ".join(f"{s} at most {max(t) * 1000:.1f} ms" for s, t in times.items()))
        assert max(max(t) for t in times.values()) < 1
    finally:
        for s in idle:
            s.close()


def test_one_network_cannot_push_others_out(server):
    """127.0.0.0/24 gets a quarter of the connections (here of 64) and loses its own, never those of 127.1.2.0/24."""
    one = server(dns={"workers": 1, "tcp_connections": 64})
    address = (LOOPBACK[4], one.dns_port)
    others = open_idle(address, 3, "127.1.2.3")
    own = []
    try:
        for i in range(12):
            own += open_idle(address, 20, f"127.0.0.{i + 1}")
        for s in others:  # which were idle longest of all
            assert_serves(s)
        assert_serves(own[-1])
        assert has_ended(own[0])
    finally:
        for s in others + own:
            s.close()


def test_a_crowded_server_is_less_patient(server):
    """Above 80 % of the connections an idle one is closed after 2 seconds instead of 10."""
    one = server(dns={"workers": 1, "tcp_connections": 40})
    address = (LOOPBACK[4], one.dns_port)
    crowd = []
    try:
        started = time.monotonic()
        for i in range(4):
            crowd += open_idle(address, 9, f"127.0.{i + 1}.1")
        assert has_ended(crowd[0])  # the last ones may stay: when they have waited that long it is no longer crowded
        assert 2 <= time.monotonic() - started < 6
    finally:
        for s in crowd:
            s.close()


def memory(pid):
    """Resident, in KiB."""
    return int(harness.process_status(pid)["VmRSS"].split()[0])


def test_memory_is_bounded(server, many_files):
    """Started messages and unread answers by the thousand: what the worker holds does not grow with the clients."""
    if b"__asan_init" in open(harness.BINARY, "rb").read():
        count, limit = 500, 1 << 20  # a sanitizer keeps what was freed: only that it survives is seen
    else:
        count, limit = 3000, 20 << 10
    one = server(dns={"workers": 1})
    address = (LOOPBACK[4], one.dns_port)
    before = memory(one.children()["dns0"])
    idle = open_idle(address, count, "127.0.0.1")
    try:
        for s in idle:
            with contextlib.suppress(OSError):
                s.sendall(framed(query()) * 20 + struct.pack("!H", 4096) + bytes(4000))
        assert ask_anew(address, "127.0.0.1") < 5
        assert memory(one.children()["dns0"]) - before < limit
    finally:
        for s in idle:
            s.close()


def test_the_number_of_connections_is_what_was_configured(server):
    """Over workers and dot together; each process has at least 16."""
    one = server(dot=True, dns={"workers": 1, "tcp_connections": 200})
    address = (LOOPBACK[4], one.dns_port)
    crowd = []
    try:
        for i in range(12):
            crowd += open_idle(address, 20, f"127.0.{i + 1}.1")
        assert ask_anew(address, "127.1.2.3") < 5

        def count():
            pid = one.children()["dns0"]
            try:
                return sum("socket:" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
            except FileNotFoundError:  # closed meanwhile
                return None

        sockets = 2 * len(FAMILIES)
        assert poll(count, 5, "a count") <= 100 + sockets
        poll(lambda: count() == sockets, 14, "all closed when idle")
    finally:
        for s in crowd:
            s.close()
