# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that are slow, many or big: cut or refused within seconds, in little memory, while others are served."""

import contextlib
import json
import os
import pathlib
import resource
import socket
import ssl
import time

import pytest

import framing
import harness
import rawhttp
from harness import basic_credentials, credentials, poll, process_status, value

DEADLINE = 10  # seconds, HTTP_REQUEST_SECONDS
LIMIT = 2000  # HTTP_MAX_CONNECTIONS
SOON = 1.0  # seconds in which everybody else must be served
FAR = "127.0.7.1"  # of another /24 than 127.0.0.1


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    """Thousands of connections need as many descriptors on this side."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert hard >= 2 * LIMIT, "this machine does not allow enough descriptors"
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def servers():
    """One without and one with TLS."""
    with harness.Server().running() as plain, harness.Server(tls=True).running() as tls:
        yield {"plain": plain, "tls": tls}


def api_of(server):
    return server.children()["api"]


def memory(server):
    """Resident memory of the api process in KiB."""
    return int(process_status(api_of(server))["VmRSS"].split()[0])


def connections(pid):
    """Sockets of a process, which only root may count."""
    folder = pathlib.Path(f"/proc/{pid}/fd")
    return sum(os.readlink(entry).startswith("socket:") for entry in folder.iterdir())


def rests(pid):
    """The process has needed no time for a moment."""
    times = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    time.sleep(0.1)
    return times == pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]


def tcp(server, source="127.0.0.1", receive=None):
    """A TCP connection, whatever the server speaks on it."""
    s = socket.socket()
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.settimeout(5)
    s.bind((source, 0))
    s.connect(("127.0.0.1", server.api_port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def connect(server, source="127.0.0.1"):
    s = tcp(server, source)
    return rawhttp.tls_context().wrap_socket(s) if server.tls else s


def served_soon(server, source="127.0.0.1"):
    before = time.monotonic()
    with connect(server, source) as s:
        s.sendall(rawhttp.request("GET", "/health"))
        assert rawhttp.read_response(s).status == 200
    assert time.monotonic() - before < SOON


class Session:
    """TLS whose records can be sent in pieces."""

    def __init__(self):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = rawhttp.tls_context().wrap_bio(self.incoming, self.outgoing)

    def hello(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def shake(self, s):
        s.sendall(self.hello())
        while True:
            self.incoming.write(s.recv(65536))
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                s.sendall(self.outgoing.read())
        s.sendall(self.outgoing.read())

    def record(self, data):
        self.tls.write(data)
        return self.outgoing.read()


# ---- slow


class Slow:
    """A connection that has sent `begun` and sends one more of `drip` each second."""

    def __init__(self, what, s, begun=b"", drip=b"", is_plain=False):
        self.what, self.s, self.drip, self.is_plain = what, s, bytearray(drip), is_plain
        self.started, self.closed, self.got = time.monotonic(), None, bytearray()
        s.sendall(begun)
        s.setblocking(False)

    def look(self):
        """Notes when the server has closed."""
        try:
            while self.closed is None:
                part = self.s.recv(65536)
                self.got += part
                if not part:
                    self.closed = time.monotonic()
        except BlockingIOError:
            pass
        except OSError:
            self.closed = time.monotonic()

    def drop(self):
        if self.closed is None and self.drip:
            with contextlib.suppress(OSError):
                self.s.send(self.drip[:1])
                del self.drip[:1]


def slow_requests(server, update):
    head, _, _ = update.partition(b"\r\n\r\n")
    half = head + b"\r\n\r\n{"
    for what, begun, drip in [("nothing", b"", b""), ("one byte", b"P", b""),
                              ("request line", b"POST / HTTP/1.1\r\n", b""),
                              ("half a body", half, b""), ("header byte by byte", b"", update),
                              ("body byte by byte", half, b"x" * 30), ("empty line", b"\r\n", b""),
                              ("continue", framing.add(b"Expect: 100-continue")(half, b"")[:-1], b"")]:
        if server.tls:
            yield slow_inside(server, what, begun, drip)
        else:
            yield Slow(what, tcp(server), begun, drip, is_plain=True)


def slow_inside(server, what, begun, drip):
    """The same within TLS: each byte in a record of its own."""
    s, session = tcp(server), Session()
    session.shake(s)
    one = Slow(f"{what}, within TLS", s, session.record(begun) if begun else b"")
    one.drop = lambda: one.closed is None and drip and _drop_record(one, session, drip)
    one.at = 0
    return one


def _drop_record(one, session, drip):
    with contextlib.suppress(OSError):
        one.s.send(session.record(drip[one.at:one.at + 1] or b"x"))
    one.at += 1


def slow_handshakes(server):
    hello = Session().hello()
    yield Slow("ClientHello byte by byte", tcp(server), b"", hello)
    yield Slow("no ClientHello", tcp(server))
    yield Slow("half a ClientHello", tcp(server), hello[:len(hello) // 2])
    yield Slow("a ClientHello, and no more", tcp(server), hello)
    s, session = tcp(server), Session()
    session.shake(s)
    record = session.record(rawhttp.request("GET", "/health"))
    yield Slow("half a record", s, record[:len(record) // 2])


def unread(server):
    """Asks for more than all buffers hold, and takes nothing."""
    s = tcp(server, receive=4096)
    s.sendall(rawhttp.request("GET", "/v1/openapi.json") * 40)
    return s


def test_slow_clients(servers):
    """All side by side: each is cut ten seconds after it began, and nothing of it is carried out."""
    account = servers["plain"].register()
    update = framing.update(account, value())
    reluctant, begun = unread(servers["plain"]), time.monotonic()
    clients = [c for _ in range(5) for s in servers.values() for c in slow_requests(s, update)]
    clients += [c for _ in range(5) for c in slow_handshakes(servers["tls"])]
    try:
        for second in range(1, DEADLINE + 3):
            for one in clients:
                one.drop()
            while time.monotonic() < begun + second:
                for server in servers.values():
                    served_soon(server)
                for one in clients:
                    one.look()
        late = [c.what for c in clients if c.closed is None]
        early = [(c.what, c.closed - c.started) for c in clients if c.closed and c.closed - c.started < DEADLINE - 1]
        assert not late and not early
        # A refusal after the deadline, and the rest of the body as a request, would be a desynchronization by waiting.
        said = {bytes(c.got) for c in clients if c.is_plain}
        assert said <= {b"", b"HTTP/1.1 100 Continue\r\n\r\n"}, said
        taken = bytearray()
        with contextlib.suppress(OSError):
            while part := reluctant.recv(65536):
                taken += part
        assert taken.count(b"HTTP/1.1 200 OK") < 40, "who does not take answers was not cut"
    finally:
        for one in clients:
            one.s.close()
        reluctant.close()
    assert servers["plain"].values(account) == []


# ---- many


@pytest.mark.parametrize("transport", ["plain", "tls"])
def test_many_connections(servers, transport):
    """As many as there can be, all from one network: silent, half-way, in the handshake. Newcomers are served, of that
    network and of another. A half sent request of the other, older than all of them, stays, however many more come."""
    server, crowd = servers[transport], []
    api, before, hello = api_of(server), memory(server), Session().hello()
    begun = [b"", hello[:100], hello] if server.tls else [b"", b"POST / HTTP/1.1\r\n", b"POST /update HTTP/1.1\r\nHost: "]
    account, txt = server.register(), value()
    update = framing.update(account, txt)

    def open_more(count):
        for i in range(count):
            s = tcp(server)
            crowd.append(s)
            s.sendall(begun[i % len(begun)])

    try:
        with connect(server, FAR) as other:
            other.sendall(update[:-1])
            open_more(LIMIT + 50)
            served_soon(server)
            other.sendall(update[-1:])
            assert rawhttp.read_response(other).status == 200
        for source in ["127.0.0.1", FAR] * 10:
            served_soon(server, source)
        assert server.values(account) == [txt]
        grown, is_full = memory(server) - before, not harness.IS_ROOT or connections(api) >= LIMIT - 100
    finally:
        for s in crowd:
            s.close()
    print(f"{transport}: {grown} KiB for {LIMIT} connections")
    assert is_full, "the test has not filled the server up"
    assert grown < LIMIT * (100 if server.tls else 20), f"{grown} KiB"
    assert api_of(server) == api


def test_unread_answers_keep_nobody_out(servers):
    """Every connection there can be waits for its reader."""
    server, crowd = servers["plain"], []
    try:
        for _ in range(LIMIT):
            s = tcp(server, receive=4096)
            crowd.append(s)
            s.sendall(rawhttp.request("GET", "/v1/openapi.json") * 20)
        poll(lambda: rests(api_of(server)), 10, "every answer stuck")
        for source in ["127.0.0.1", FAR] * 5:
            served_soon(server, source)
    finally:
        for s in crowd:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()


# ---- big


def stream(server, head, piece, total):
    """Sends without waiting; returns what came back until the end, and how long it took."""
    begun, answer = time.monotonic(), bytearray()
    with connect(server) as s:
        s.sendall(head)
        try:
            sent = 0
            while sent < total:
                s.sendall(piece)
                sent += len(piece)
        except OSError:
            pass  # cut, which is right
        with contextlib.suppress(OSError):
            while part := s.recv(65536):
                answer += part
    return bytes(answer), time.monotonic() - begun


POST = b"POST /update HTTP/1.1\r\nHost: localhost\r\n"
BIG = {
    "1 MB in one header": (POST + b"X: ", b"a" * 65536, 2**20, 431),
    "1 MB of headers": (POST, b"X: a\r\n" * 1000, 2**20, 431),
    "1 MB in the target": (b"POST /", b"a" * 65536, 2**20, 431),
    "1 MB of empty lines": (b"", b"\r\n" * 1000, 2**20, 400),
    "100 MB body": (POST + b"Content-Length: 104857600\r\n\r\n", b"a" * 2**20, 100 * 2**20, 413),
    "100 MB body, announced only": (POST + b"Content-Length: 104857600\r\n\r\n", b"", 0, 413),
    "100 MB in chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 65536 + b"\r\n", 100 * 2**20,
                         501),
}


@pytest.mark.parametrize("transport", ["plain", "tls"])
@pytest.mark.parametrize("name", BIG)
def test_big_requests(servers, transport, name):
    """Refused by what is known first, without keeping what comes."""
    server, (head, piece, total, status) = servers[transport], BIG[name]
    before, api = memory(server), api_of(server)
    answer, seconds = stream(server, head, piece, total)
    assert seconds < 5
    assert answer.count(b"HTTP/1.1 ") <= 1
    if total <= 2**20:  # more may be reset before its answer is read
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert memory(server) - before < 4096 and api_of(server) == api
    served_soon(server)


def test_body_longer_than_announced(servers):
    """The rest is another request, which it is not."""
    server = servers["plain"]
    account, txt = server.register(), value()
    with connect(server) as s:
        s.sendall(framing.update(account, txt) + b'{"more": 1}\r\n\r\n')
        buffer = bytearray()
        assert rawhttp.read_response(s, buffer).status == 200
        assert rawhttp.read_response(s, buffer).status == 400
        assert rawhttp.is_closed(s, 5)
    assert server.values(account) == [txt]


@pytest.mark.parametrize("missing", [1, 2, 50])
def test_body_shorter_than_announced(servers, missing):
    """RFC 9112 section 8: incomplete, so nothing is done, though the JSON in it may be whole."""
    server = servers["plain"]
    account = server.register()
    head, end, body = framing.update(account, value()).partition(b"\r\n\r\n")
    longer = head.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % (len(body) + missing))
    with connect(server) as s:
        s.sendall(longer + end + body)
        s.shutdown(socket.SHUT_WR)
        assert rawhttp.is_closed(s, 5)
    assert server.values(account) == []


# ---- JSON


def bodies(account):
    """What no JSON reader should take, around what would be a good update (or registration)."""
    label, txt = account["subdomain"], value()
    good = f'"subdomain":"{label}","txt":"{txt}","fqdn":"{account["fulldomain"]}.","value":"{txt}"'
    wrong = {
        "deep-array": "[" * 8192, "deep-object": '{"a":' * 1600, "deep-closed": "[" * 4000 + "]" * 4000,
        "deep-inside": '{%s,"x":%s}' % (good, "[" * 3000 + "]" * 3000),
        "deep-mixed": '{%s,"x":%s}' % (good, '[{"a":' * 500 + "1" + "}]" * 500),
        "number-exponent": '{%s,"x":1e999999999}' % good, "number-negative-exponent": '{%s,"x":-1e999999999}' % good,
        "number-digits": '{%s,"x":%s}' % (good, "9" * 7000), "number-octal": '{%s,"x":007}' % good,
        "number-hex": '{%s,"x":0x7}' % good, "number-nan": '{%s,"x":NaN}' % good,
        "number-infinity": '{%s,"x":Infinity}' % good,
        "number-dot": '{%s,"x":1.}' % good, "number-plus": '{%s,"x":+1}' % good,
        "key-twice": '{%s,"txt":"%s","value":"%s"}' % (good, value(), value()),
        "key-twice-case": '{%s,"TXT":"%s","VALUE":"%s"}' % (good, value(), value()),
        "key-twice-escaped": '{%s,"t\\u0078t":"%s","v\\u0061lue":"%s"}' % (good, value(), value()),
        "many-keys": '{%s,%s}' % (good, ",".join(f'"k{i}":1' for i in range(700))),
        "surrogate-high": '{%s,"x":"\\ud800"}' % good, "surrogate-low": '{%s,"x":"\\udc00"}' % good,
        "surrogates-reversed": '{%s,"x":"\\udc00\\ud800"}' % good, "surrogate-cut": '{%s,"x":"\\ud800\\u"}' % good,
        "control": '{%s,"x":"a\nb"}' % good, "escape-unknown": '{%s,"x":"\\x41"}' % good, "comment": '{%s/**/}' % good,
        "trailing-comma": "{%s,}" % good, "trailing": "{%s}{}" % good, "unfinished": "{%s" % good,
        "quotes": "{%s}" % good.replace('"', "'"),
    }
    octets = {
        "byte-ff": b"\xff", "overlong": b"\xc0\xaf", "overlong-nul": b"\xc0\x80", "surrogate-octets": b"\xed\xa0\x80",
        "beyond-unicode": b"\xf4\x90\x80\x80", "cut": b"\xe2\x82", "continuation": b"\x80", "nul": b"\0",
    }
    found = {name: text.encode() for name, text in wrong.items()}
    found |= {f"utf8-{name}": b'{%s,"x":"%s"}' % (good.encode(), text) for name, text in octets.items()}
    found |= {"bom": b"\xef\xbb\xbf{%s}" % good.encode(), "utf-16": ("{%s}" % good).encode("utf-16"),
              "nul-behind": b"{%s}\0" % good.encode()}
    return found


@pytest.mark.parametrize("path", ["/register", "/update", "/present", "/cleanup", "/v1/register", "/v1/values"])
def test_hostile_json(servers, path):
    """Each refused at once, with an error in JSON; none costs memory that stays."""
    server = servers["plain"]
    account = server.register()
    txt = server.publish(account)
    headers = credentials(account) if path == "/update" else {} if "register" in path else basic_credentials(account)
    api, before = api_of(server), memory(server)
    for name, body in bodies(account).items():
        assert len(body) <= 8192, name
        begun = time.monotonic()
        response = server.http("POST", path, body, headers)
        assert time.monotonic() - begun < SOON, name
        assert response.status in (400, 401), (name, response)
        assert isinstance(json.loads(response.body)["error"], str), name
    assert server.values(account) == [txt]
    assert memory(server) - before < 4096 and api_of(server) == api
