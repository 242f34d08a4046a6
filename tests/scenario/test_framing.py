# SPDX-License-Identifier: GPL-3.0-or-later
"""Every request of framing.py, plain and over TLS: refused once, in JSON, the connection closed, nothing carried out."""

import json
import re

import pytest

import framing
import harness
import rawhttp
from harness import ROOT, value

DOCUMENT = ROOT / "doc" / "http.md"


@pytest.fixture(scope="module")
def secured():
    """The same over TLS."""
    with harness.Server(tls=True).running() as one:
        yield one


class Target:
    """A server, a delegate with one value, and two requests that would change it."""

    def __init__(self, server):
        self.server = server
        self.account = server.register()
        self.value = server.publish(self.account)
        self.good = framing.update(self.account, value())
        self.smuggled = framing.update(self.account, value())
        self.api = server.children()["api"]

    def is_untouched(self):
        return self.server.values(self.account) == [self.value] and self.server.children()["api"] == self.api


@pytest.fixture(scope="module")
def targets(shared, secured):
    return {"plain": Target(shared), "tls": Target(secured)}


def rest_of(s):
    """All that comes until the other side closes."""
    data = bytearray()
    try:
        while part := s.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return bytes(data)


@pytest.mark.parametrize("transport", ["plain", "tls"])
@pytest.mark.parametrize("name", framing.CASES)
def test_refused(targets, transport, name):
    target, case = targets[transport], framing.CASES[name]
    attack = case.bytes(target.good, target.smuggled)
    asks_head = attack.startswith(b"HEAD ")
    with target.server.connect() as s:
        s.sendall(attack + target.smuggled)
        buffer = bytearray()
        response = rawhttp.read_response(s, buffer, head=asks_head)
        behind = bytes(buffer) + rest_of(s)
    assert response.status == case.status, response
    assert response.headers["connection"] == "close"
    assert response.headers["content-type"] == "application/json"
    assert asks_head or isinstance(json.loads(response.body)["error"], str)
    assert behind == b"", "more than one answer"
    assert target.is_untouched()


@pytest.mark.parametrize("name", framing.CASES)
def test_refused_on_a_kept_connection(targets, name):
    """The same behind a good request, in one write: what came before does not soften the reader."""
    target, case = targets["plain"], framing.CASES[name]
    if name in ("cr-first", "lf-first", "two-empty-lines-first", "blank-first", "nul-first"):
        first = b""  # those change what stands before the first request
    else:
        first = rawhttp.request("GET", "/health")
    with target.server.connect() as s:
        s.sendall(first + case.bytes(target.good, target.smuggled) + target.smuggled)
        text = rest_of(s)
    statuses = [int(m) for m in re.findall(rb"HTTP/1\.1 (\d+) ", text)]
    assert statuses == ([200] if first else []) + [case.status]
    assert target.is_untouched()


@pytest.mark.parametrize("name", framing.TAKEN)
def test_taken(shared, name):
    """What has one reading only, and one behind it: each is answered once, in order."""
    _, status, _, change = framing.TAKEN[name]
    account, first, second = shared.register(), value(), value()
    with shared.connect() as s:
        hidden = framing.update(account, value())
        s.sendall(change(framing.update(account, first), hidden) + framing.update(account, second))
        buffer = bytearray()
        response = rawhttp.read_response(s, buffer)
        assert response.status == status, response
        is_kept = response.headers["connection"] == "keep-alive"
        if is_kept:
            assert rawhttp.read_response(s, buffer).body == b'{"txt": "%s"}' % second.encode()
        else:
            assert bytes(buffer) + rest_of(s) == b""
    expected = [first] * (status == 200) + [second] * is_kept
    assert sorted(shared.values(account)) == sorted(expected)


@pytest.mark.parametrize("header", ["X-Api-User", "X-Api-Key"])
def test_keys_sent_twice(shared, header):
    """Not a matter of framing, but of whose request it is; test_api.py has the equal ones."""
    target = Target(shared)
    twice = framing.add(header.encode() + b": " + target.account["username"].encode())(target.good, b"")
    response = shared.raw(twice)
    assert response.status in (400, 401)
    assert target.is_untouched()


def test_h2_only_clients(secured):
    """Who speaks only HTTP/2 is told so by ALPN (RFC 7301 section 3.2), or served HTTP/1.1."""
    import socket
    import ssl

    with socket.create_connection(("127.0.0.1", secured.api_port), timeout=5) as plain:
        try:
            with rawhttp.tls_context(protocol="h2").wrap_socket(plain) as s:
                assert s.selected_alpn_protocol() is None
                s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                assert rawhttp.read_response(s).status == 505
        except ssl.SSLError as refused:
            assert "no application protocol" in str(refused)


# ---- the document


def table_rows():
    return [row for row in DOCUMENT.read_text().splitlines() if re.match(r"\| `[a-z0-9.-]+` \| .* \| [1-5]\d\d \| ", row)]


def test_document_has_every_case_and_no_other():
    expected = [row for group in framing.GROUPS for row in framing.rows(group)] + list(framing.taken_rows())
    assert table_rows() == expected, "python3 tests/scenario/framing.py prints the tables"


def test_document_has_the_limits_of_the_header():
    header = (ROOT / "src" / "http" / "http.h").read_text() + (ROOT / "src" / "http" / "head.h").read_text()
    numbers = {name: int(number) for name, number in re.findall(r"((?:HTTP|HEAD)_[A-Z_]+) = (\d+)", header)}
    rows = dict(re.findall(r"\| `((?:HTTP|HEAD)_[A-Z_]+)` \| (\d[\d ]*)", DOCUMENT.read_text()))
    for name in ("HTTP_CLASSES", "HTTP_STATUSES"):  # sizes of tables of counters, which limit nobody
        del numbers[name]
    assert {name: int(text.replace(" ", "")) for name, text in rows.items()} == numbers
