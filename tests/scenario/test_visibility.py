# SPDX-License-Identifier: GPL-3.0-or-later
"""200 from /update means that every worker's next answer has the value: CAs ask at once."""

import contextlib
import resource
import socket
import struct

import dns.message
import pytest

from harness import FAMILIES, LOOPBACK, basic_credentials, process_status, txt_of

SOCKETS = 250  # as many client ports, so that SO_REUSEPORT spreads them over all workers
ROUNDS = 4     # 4 x 250 = 1000 queries after each update
WORKERS = 4


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def switches(server):
    """How often each dns worker has gone to sleep: grows when it had something to do."""
    return {role: int(process_status(pid)["voluntary_ctxt_switches"])
            for role, pid in server.children().items() if role.startswith("dns")}


@contextlib.contextmanager
def sockets(server, kind, family):
    opened = []
    try:
        for _ in range(SOCKETS):
            s = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, kind)
            opened.append(s)
            s.settimeout(5)
            s.connect((LOOPBACK[family], server.dns_port))
        yield opened
    finally:
        for s in opened:
            s.close()


def receive(sock, kind):
    if kind == socket.SOCK_DGRAM:
        return sock.recv(65535)
    with sock.makefile("rb") as f:
        (length,) = struct.unpack("!H", f.read(2))
        return f.read(length)


def ask_all(opened, kind, wire):
    framed = wire if kind == socket.SOCK_DGRAM else struct.pack("!H", len(wire)) + wire
    for s in opened:
        s.sendall(framed)
    return [receive(s, kind) for s in opened]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_update_is_visible_in_the_next_1000_answers(server, kind, family):
    # As many as a reply over UDP may have; over TCP some come from the index and some from the store.
    kept = 2 if kind == socket.SOCK_DGRAM else 32
    one = server(dns={"workers": WORKERS}, zone={"max_values": kept})
    account = one.register()
    wire = dns.message.make_query(account["fulldomain"], "TXT", use_edns=0, payload=1232).to_wire()
    with sockets(one, kind, family) as opened:
        before = switches(one)
        assert len(before) == WORKERS
        published = []
        for _ in range(5):
            published.append(one.publish(account))
            for _ in range(ROUNDS):
                answers = [txt_of(dns.message.from_wire(w)) for w in ask_all(opened, kind, wire)]
                late = sum(sorted(a) != sorted(published[-kept:]) for a in answers)
                assert late == 0, f"{late} of {SOCKETS} answers without the new value"
        after = switches(one)
        assert all(after[role] > before[role] for role in before), "a worker was not asked at all"


def test_cleanup_is_visible_at_once(server):
    """Withdrawing is as prompt as publishing."""
    one = server(dns={"workers": WORKERS})
    account = one.register()
    wire = dns.message.make_query(account["fulldomain"], "TXT", use_edns=0, payload=1232).to_wire()
    with sockets(one, socket.SOCK_DGRAM, 4) as opened:
        for _ in range(5):
            txt = one.publish(account)
            body = f'{{"fqdn":"{account["fulldomain"]}.","value":"{txt}"}}'
            assert one.http("POST", "/cleanup", body, basic_credentials(account)).status == 200
            answers = [txt_of(dns.message.from_wire(w)) for w in ask_all(opened, socket.SOCK_DGRAM, wire)]
            assert answers == [[]] * SOCKETS
