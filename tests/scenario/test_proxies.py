# SPDX-License-Identifier: GPL-3.0-or-later
"""Behind nginx and haproxy, which keep connections open to the server as an attacker would like: whatever is sent to the
proxy, nothing is carried out but what the proxy took for a request and answered, and everybody gets his own answers."""

import concurrent.futures
import json
import re
import threading

import pytest

import framing
import h2
import harness
import rawhttp
from harness import credentials, value
from proxies import DOCUMENT, KINDS, Proxy

LAST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def trusting():
    """A server whose only trusted proxy is 127.0.0.1, so that clients can come from other loopback addresses."""
    with harness.Server(api={"trusted_proxies": ["127.0.0.1/32"]}).running() as one:
        yield one


@pytest.fixture(scope="module", params=KINDS)
def proxy(request, trusting):
    one = Proxy(request.param, trusting)
    try:
        yield one.start()
        assert one.process.poll() is None, "the proxy has died"
    finally:
        one.stop()


# nginx answers HTTP/0.9 in HTTP/0.9; haproxy goes on in HTTP/2.
OTHER_ANSWERS = ["version-none", "version-2-preface"]


class Attack:
    """One connection, three values: of the ambiguous request, of the request hidden within it, and of a good one behind
    it. The delegate is its own."""

    def __init__(self, server):
        self.server, self.account = server, server.register()
        self.first, self.hidden, self.behind = value(), value(), value()

    def request(self, txt):
        return framing.update(self.account, txt)

    def check(self, answers):
        """What was carried out was answered to the attacker, so the proxy has seen it as a request of its own; the
        hidden one never is."""
        published = set(self.server.values(self.account))
        answered = {txt for txt in (self.first, self.behind) if b'{"txt": "%s"}' % txt.encode() in answers}
        assert self.hidden not in published, "the hidden request was carried out"
        assert published <= answered, "carried out without an answer"
        return published


def receive(s):
    data = bytearray()
    try:
        while part := s.recv(65536):
            data += part
    except OSError:
        pass  # a reset, or nothing within the timeout: the proxy waits for more
    return bytes(data)


def attack(proxy, name):
    a = Attack(proxy.server)
    with proxy.connect(timeout=2) as s:
        try:
            s.sendall(framing.CASES[name].bytes(a.request(a.first), a.request(a.hidden)) + a.request(a.behind) + LAST)
        except OSError:
            pass  # closed meanwhile
        answers = receive(s)
    published = a.check(answers)
    statuses = [int(m) for m in re.findall(rb"HTTP/1\.1 (\d\d\d) ", answers)]
    assert statuses or name in OTHER_ANSWERS, f"no answer: {answers}"
    if statuses and statuses[0] < 400:
        assert a.first in published or name.startswith(("content-of", "chunked-get")), "success, and nothing done"
        return "repaired"
    return "refused"


class Honest(threading.Thread):
    """A client of the same proxy that updates without pause and must always get the answer to its own request."""

    def __init__(self, proxy):
        super().__init__()
        self.proxy, self.account = proxy, proxy.server.register()
        self.ends, self.wrong, self.rounds = threading.Event(), [], 0

    def run(self):
        while not self.ends.is_set() and not self.wrong:
            try:
                self.session()
            except (OSError, rawhttp.Incomplete, AssertionError) as e:
                self.wrong.append(repr(e))

    def session(self):
        with self.proxy.connect() as s:
            buffer = bytearray()
            for _ in range(50):
                txt = value()
                s.sendall(framing.update(self.account, txt))
                response = rawhttp.read_response(s, buffer)
                assert (response.status, response.body) == (200, b'{"txt": "%s"}' % txt.encode()), response
                assert not buffer, "an answer nobody asked for"
                self.rounds += 1
                if self.ends.is_set():
                    return

    def finish(self):
        self.ends.set()
        self.join(20)
        assert not self.is_alive() and not self.wrong, self.wrong
        assert self.rounds > 0


@pytest.fixture
def honest(proxy):
    """Two honest clients for the time of a test."""
    clients = [Honest(proxy) for _ in range(2)]
    for client in clients:
        client.start()
    yield clients
    for client in clients:
        client.finish()


def test_ambiguous_requests(proxy, honest):
    before = proxy.server.children()["api"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        outcomes = dict(zip(framing.CASES, pool.map(lambda name: attack(proxy, name), framing.CASES)))
    repaired = sorted(name for name, outcome in outcomes.items() if outcome == "repaired")
    print(f"{proxy.kind}: {len(outcomes) - len(repaired)} refused; {len(repaired)} made good: {' '.join(repaired)}")
    assert len(repaired) < len(outcomes) / 3
    assert proxy.server.children()["api"] == before


@pytest.mark.parametrize("name", framing.TAKEN)
def test_unambiguous_requests(proxy, name):
    """What is taken directly is taken through a proxy, or refused by it; the good one behind it is not disturbed."""
    a = Attack(proxy.server)
    _, status, _, change = framing.TAKEN[name]
    with proxy.connect(timeout=2) as s:
        s.sendall(change(a.request(a.first), a.request(a.hidden)) + a.request(a.behind) + LAST)
        answers = receive(s)
    published = a.check(answers)
    statuses = [int(m) for m in re.findall(rb"HTTP/1\.1 (\d\d\d) ", answers)]
    assert statuses[0] in (100, status) or statuses[0] in (400, 405), answers
    assert a.behind in published or len(statuses) == 1


# ---- HTTP/2 made HTTP/1.1


def h2_fields(a, txt, **changes):
    """The fields of a good update in HTTP/2."""
    body = json.dumps({"subdomain": a.account["subdomain"], "txt": txt}).encode()
    fields = {":method": b"POST", ":scheme": b"https", ":authority": b"localhost", ":path": b"/update",
              "x-api-user": a.account["username"].encode(), "x-api-key": a.account["password"].encode(),
              "content-length": b"%d" % len(body), **changes}
    return [(name.encode("latin-1"), text) for name, text in fields.items() if text is not None], body


H2_ATTACKS = {
    "length-0": lambda a: ({"content-length": b"0"}, a.request(a.hidden)),
    "length-short": lambda a: ({"content-length": b"5"}, b"12345" + a.request(a.hidden)),
    "length-long": lambda a: ({"content-length": b"9999"}, None),
    "length-list": lambda a: ({"content-length": b"0, 0"}, a.request(a.hidden)),
    "length-plus": lambda a: ({"content-length": b"+0"}, a.request(a.hidden)),
    "length-underscore": lambda a: ({"content-length": None, "content_length": b"0"}, a.request(a.hidden)),
    "chunked": lambda a: ({"transfer-encoding": b"chunked"}, b"0\r\n\r\n" + a.request(a.hidden)),
    "chunked-without-length": lambda a: ({"content-length": None, "transfer-encoding": b"chunked"},
                                         b"0\r\n\r\n" + a.request(a.hidden)),
    "lines-in-value": lambda a: ({"x": b"a\r\nTransfer-Encoding: chunked"}, b"0\r\n\r\n" + a.request(a.hidden)),
    "request-in-value": lambda a: ({"x": b"a\r\n\r\n" + a.request(a.hidden)}, None),
    "lf-in-value": lambda a: ({"x": b"a\nTransfer-Encoding: chunked"}, b"0\r\n\r\n" + a.request(a.hidden)),
    "cr-in-value": lambda a: ({"x": b"a\rTransfer-Encoding: chunked"}, b"0\r\n\r\n" + a.request(a.hidden)),
    "nul-in-value": lambda a: ({"x": b"a\0b"}, None),
    "lines-in-name": lambda a: ({"x: a\r\nTransfer-Encoding": b"chunked"}, b"0\r\n\r\n" + a.request(a.hidden)),
    "colon-in-name": lambda a: ({"transfer-encoding: chunked\r\nx": b"a"}, b"0\r\n\r\n" + a.request(a.hidden)),
    "capitals-in-name": lambda a: ({"Transfer-Encoding": b"chunked"}, b"0\r\n\r\n" + a.request(a.hidden)),
    "lines-in-method": lambda a: ({":method": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nPOST"}, None),
    "blank-in-method": lambda a: ({":method": b"POST /update HTTP/1.1\r\nX: "}, None),
    "lines-in-path": lambda a: ({":path": b"/health HTTP/1.1\r\nHost: x\r\n\r\n" + a.request(a.hidden)}, None),
    "blank-in-path": lambda a: ({":path": b"/update HTTP/1.1"}, None),
    "path-empty": lambda a: ({":path": b""}, None),
    "lines-in-authority": lambda a: ({":authority": b"x\r\n\r\n" + a.request(a.hidden)}, None),
    "path-in-authority": lambda a: ({":authority": b"localhost/health"}, None),
    "lines-in-scheme": lambda a: ({":scheme": b"http://x/ HTTP/1.1\r\nX: "}, None),
    "two-hosts": lambda a: ({"host": b"elsewhere"}, None),
    "connection": lambda a: ({"connection": b"x-api-key, content-length"}, None),
    "upgrade": lambda a: ({"upgrade": b"h2c", "connection": b"upgrade"}, None),
    "expectation": lambda a: ({"expect": b"100-continue"}, None),
    "content-of-get": lambda a: ({":method": b"GET", ":path": b"/health", "content-length": None}, a.request(a.hidden)),
    "connect": lambda a: ({":method": b"CONNECT", ":path": None, ":scheme": None}, a.request(a.hidden)),
}


def h2_attack(proxy, name):
    """An attack and, on the same connection, a good request."""
    a = Attack(proxy.server)
    changes, body = H2_ATTACKS[name](a)
    fields, own = h2_fields(a, a.first, **changes)
    if body is not None and changes.get("content-length", b"") == b"":
        fields = [(n, b"%d" % len(body) if n == b"content-length" else text) for n, text in fields]
    good, good_body = h2_fields(a, a.behind)
    with proxy.connect(protocol="h2", timeout=2) as s:
        assert s.selected_alpn_protocol() == "h2"
        frames = h2.request(fields, own if body is None else body) + h2.request(good, good_body, 3)
        a.check(h2.exchange(s, frames, [1, 3]))


def test_http2_made_http1(proxy, honest):
    control = Attack(proxy.server)
    with proxy.connect(protocol="h2") as s:
        answers = h2.exchange(s, h2.request(*h2_fields(control, control.first)), [1])
    assert control.check(answers) == {control.first}, "the attacker's client works"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: h2_attack(proxy, name), H2_ATTACKS))


def test_document_counts():
    said = re.search(r"(\d+) ambiguous requests and (\d+) in HTTP/2", DOCUMENT.read_text())
    assert [int(n) for n in said.groups()] == [len(framing.CASES), len(H2_ATTACKS)]


# ---- whose request it is


FORGED = {
    "plain": b"X-Forwarded-For: 192.0.2.1",
    "lower": b"x-forwarded-for: 192.0.2.1",
    "list": b"X-Forwarded-For: 192.0.2.1, 192.0.2.1",
    "with-the-proxy": b"X-Forwarded-For: 192.0.2.1, 127.0.0.1",
    "twice": b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.1",
    "comma-last": b"X-Forwarded-For: 192.0.2.1,",
    "comma-and-blank": b"X-Forwarded-For: 192.0.2.1 , ",
    "unended-quote": b'X-Forwarded-For: 192.0.2.1, "',
    "empty-behind": b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For:",
    "junk-behind": b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: junk",
    "underscores": b"X_Forwarded_For: 192.0.2.1",
    "space-before-colon": b"X-Forwarded-For : 192.0.2.1",
    "folded": b"X-Forwarded-For: 192.0.2.1,\r\n 192.0.2.1",
    "removed-by-option": b"X-Forwarded-For: 192.0.2.1\r\nConnection: close, X-Forwarded-For",
    "many": b"X-Forwarded-For: " + b"192.0.2.1, " * 300 + b"192.0.2.1",
    "many-fields": b"\r\n".join([b"X-Forwarded-For: 192.0.2.1"] * 60),
    "forwarded": b"Forwarded: for=192.0.2.1",
    "real-ip": b"X-Real-IP: 192.0.2.1\r\nTrue-Client-IP: 192.0.2.1\r\nX-Client-IP: 192.0.2.1\r\nClient-IP: 192.0.2.1",
    "proxy-protocol": b"",
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_address(proxy, name):
    """192.0.2.1 may update, the one who says that he is 192.0.2.1 may not."""
    account = proxy.server.register(allowfrom=["192.0.2.1/32"])
    good = framing.update(account, value())
    data = framing.add(FORGED[name])(good, b"") if FORGED[name] else b"PROXY TCP4 192.0.2.1 127.0.0.1 1 443\r\n" + good
    assert proxy.ask(data, source="127.0.5.1").status in (400, 401, 431)
    assert proxy.server.values(account) == []


@pytest.mark.parametrize("forged", [b"", b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-For: junk, 127.0.0.1",
                                    b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2"])
def test_true_address(proxy, forged):
    """Whatever it writes, a client is the address it comes from, and no other that comes through the proxy."""
    account, txt = proxy.server.register(allowfrom=["127.0.5.1/32"]), value()
    good = framing.update(account, txt)
    data = framing.add(forged)(good, b"") if forged else good
    assert proxy.ask(data, source="127.0.6.1").status == 401
    assert proxy.ask(data, source="127.0.5.1").status == 200
    assert proxy.server.values(account) == [txt]


def test_the_servers_own_answers_come_through(proxy):
    """Errors keep their status and body; HEAD has none; a kept connection goes on behind them."""
    account = proxy.server.register()
    wrong = {**credentials(account), "X-Api-Key": "a" * 40}
    with proxy.connect() as s:
        buffer = bytearray()
        for _ in range(3):
            s.sendall(rawhttp.request("POST", "/update", "{}", wrong))
            response = rawhttp.read_response(s, buffer)
            assert (response.status, response.body) == (401, b'{"error": "forbidden"}')
            s.sendall(rawhttp.request("HEAD", "/health"))
            assert rawhttp.read_response(s, buffer, head=True).status == 200
            s.sendall(rawhttp.request("GET", "/nothing"))
            assert rawhttp.read_response(s, buffer).status == 404
    assert not buffer
