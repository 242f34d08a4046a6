# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS over TLS (RFC 7858): with real clients, in a process of its own, with the API's certificate. What holds for every
stream is in test_dns_tcp.py."""

import os
import signal
import socket
import ssl
import subprocess
import time

import dns.message
import dns.query
import dns.rcode
import pytest

import harness
from harness import FAMILIES, LOOPBACK, ZONE, poll, process_status, txt_of


@pytest.fixture(scope="module")
def shared():
    with harness.Server(dot=True).running() as one:
        yield one


def kdig(one, *args, family=4):
    command = ["kdig", f"@{LOOPBACK[family]}", "-p", str(one.dot_port), "+timeout=5", "+retry=0", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return done.stdout + done.stderr


def certificate_of(one, port):
    with socket.create_connection((LOOPBACK[4], port), timeout=5) as plain:
        with harness.rawhttp.tls_context().wrap_socket(plain) as s:
            return s.getpeercert(binary_form=True)


def ask_dot(one, name=ZONE, rdtype="SOA", family=4):
    message = dns.message.make_query(name, rdtype, use_edns=0)
    with one.stream(dot=True, family=family) as s:
        dns.query.send_tcp(s, message)
        answer, _ = dns.query.receive_tcp(s, time.time() + 5)
    assert message.is_response(answer)
    return answer


@pytest.mark.parametrize("family", FAMILIES)
def test_kdig(shared, family):
    """Strict profile of RFC 8310: the certificate is checked against a CA and a name."""
    account = shared.register()
    txt = shared.publish(account)
    out = kdig(shared, "+tls", f"+tls-ca={shared.folder / 'tls.crt'}", "+tls-hostname=localhost", "TXT",
               account["fulldomain"], family=family)
    assert f'"{txt}"' in out and "NOERROR" in out, out
    assert "The certificate is trusted" in out or "TLS session" in out, out


def test_kdig_with_another_name_refuses(shared):
    out = kdig(shared, "+tls", f"+tls-ca={shared.folder / 'tls.crt'}", "+tls-hostname=other.example", "SOA", ZONE)
    assert "NOERROR" not in out, out


def test_kdig_keeps_a_connection_open(shared):
    out = kdig(shared, "+tls", "+keepopen", "SOA", ZONE, "NS", ZONE, "TXT", f"nobody.{ZONE}")
    assert out.count("status: NOERROR") == 2 and out.count("status: NXDOMAIN") == 1, out


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("protocol", [None, "dot"])
def test_versions_and_alpn(shared, version, protocol):
    """A client without ALPN is as welcome as one that says "dot": RFC 7858 knows none."""
    with socket.create_connection((LOOPBACK[4], shared.dot_port), timeout=5) as plain:
        with harness.rawhttp.tls_context(version, protocol).wrap_socket(plain) as s:
            assert s.selected_alpn_protocol() == protocol
            dns.query.send_tcp(s, dns.message.make_query(ZONE, "SOA"))
            answer, _ = dns.query.receive_tcp(s, time.time() + 5)
    assert answer.rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("service,protocol", [("dot", "http/1.1"), ("dot", "h2"), ("api", "dot")])
def test_a_client_of_another_service_is_refused(shared, service, protocol):
    """RFC 9325 section 3.7, RFC 7301 section 3.2: one certificate, two services, no mistaking one for the other."""
    port = shared.dot_port if service == "dot" else shared.api_port
    with socket.create_connection((LOOPBACK[4], port), timeout=5) as plain:
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            harness.rawhttp.tls_context(protocol=protocol).wrap_socket(plain)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(shared, version):
    with socket.create_connection((LOOPBACK[4], shared.dot_port), timeout=5) as plain:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            harness.rawhttp.tls_context(version).wrap_socket(plain)


def test_plain_dns_on_the_tls_port(shared):
    """It must not be answered in clear (RFC 7858 section 3.1), and ends."""
    message = dns.message.make_query(ZONE, "SOA").to_wire()
    with socket.create_connection((LOOPBACK[4], shared.dot_port), timeout=5) as s:
        s.sendall(len(message).to_bytes(2, "big") + message)
        got = b""
        try:
            while part := s.recv(4096):
                got += part
        except ConnectionResetError:
            pass
    assert ZONE.split(".")[0].encode() not in got


def test_an_update_is_seen_at_once(shared):
    account = shared.register()
    published = []
    for _ in range(5):
        published.append(shared.publish(account))
        assert set(txt_of(ask_dot(shared, account["fulldomain"], "TXT"))) == set(published)


# ---- the process


def open_files(pid):
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]


def test_it_runs_only_when_asked_for(server):
    assert sorted(server().children()) == ["api", "dns0", "dns1", "keeper"]
    assert sorted(server(dot=True).children()) == ["api", "dns0", "dns1", "dot", "keeper"]


def test_it_has_what_it_needs_and_no_more(server):
    """Its own listeners, the store for reading; the workers of port 53 have none of its sockets."""
    one = server(dot=True)
    inodes = {}
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in open(f"/proc/net/{kind}").read().splitlines()[1:]:
            fields = line.split()
            inodes[f"socket:[{fields[9]}]"] = (kind[:3], int(fields[1].rsplit(":", 1)[1], 16))
    have = {role: {inodes[f] for f in open_files(pid) if f in inodes} for role, pid in one.children().items()}
    assert have["dot"] == {("tcp", one.dot_port)}
    assert have["dns0"] == have["dns1"] == {("tcp", one.dns_port), ("udp", one.dns_port)}
    assert have["api"] == {("tcp", one.api_port)} and have["keeper"] == set()
    dot = one.children()["dot"]
    assert not [f for f in open_files(dot) if f.endswith((".key", ".crt"))]
    for fd in os.listdir(f"/proc/{dot}/fd"):
        if os.readlink(f"/proc/{dot}/fd/{fd}").endswith("data.mdb"):
            flags = open(f"/proc/{dot}/fdinfo/{fd}").read().split("flags:\t")[1].split()[0]
            assert int(flags, 8) & os.O_ACCMODE == os.O_RDONLY
    status = process_status(dot)
    assert int(status["CapEff"], 16) == 0 and status["NoNewPrivs"].strip() == "1"


# ---- its life


def test_it_is_started_again(server):
    one = server(dot=True)
    before = one.children()
    os.kill(before["dot"], signal.SIGKILL)
    poll(lambda: one.children().get("dot") not in (None, before["dot"]), 5, "a new one")
    assert ask_dot(one).rcode() == dns.rcode.NOERROR
    assert {r: p for r, p in one.children().items() if r != "dot"} == {r: p for r, p in before.items() if r != "dot"}


def test_sighup_reads_the_certificate_again(server):
    one = server(dot=True)
    old = certificate_of(one, one.dot_port)
    assert old == certificate_of(one, one.api_port)
    harness.make_certificate(one.folder)
    assert certificate_of(one, one.dot_port) == old
    pid = one.children()["dot"]
    one.hup()
    poll(lambda: certificate_of(one, one.dot_port) != old, 5, "the new certificate")
    poll(lambda: one.children()["dot"] != pid, 5, "one process again")
    poll(lambda: certificate_of(one, one.dot_port) == certificate_of(one, one.api_port), 5, "the same for both")


def test_sighup_lets_queries_finish(server):
    """The predecessor answers what it has read the beginning of, then closes; the successor serves everybody else."""
    one = server(dot=True)
    pid = one.children()["dot"]
    message = dns.message.make_query(ZONE, "SOA")
    wire = message.to_wire()
    with one.stream(dot=True) as s:
        dns.query.send_tcp(s, message)
        assert dns.query.receive_tcp(s, time.time() + 5)[0].rcode() == dns.rcode.NOERROR
        s.sendall(len(wire).to_bytes(2, "big") + wire[:10])
        one.hup()
        poll(lambda: one.children().get("dot") not in (None, pid), 5, "the successor")
        s.sendall(wire[10:])
        answer, _ = dns.query.receive_tcp(s, time.time() + 5)
        assert message.is_response(answer)
        assert s.recv(1) == b""
    assert ask_dot(one).rcode() == dns.rcode.NOERROR


def test_its_listeners_cannot_change_without_a_restart(server):
    one = server(dot=True)
    one.configure(dns={"tls_listen": [f"127.0.0.1:{harness.free_port()}"]})
    one.hup()
    poll(lambda: "dns.tls_listen has changed" in one.stderr(), 5, "a line that says so")
    assert ask_dot(one).rcode() == dns.rcode.NOERROR


def test_it_needs_a_certificate(make_server):
    one = make_server(dns={"tls_listen": [f"127.0.0.1:{harness.free_port()}"]})
    one.launch()
    assert one.wait(10) == 2
    assert "dns.tls_listen" in one.stderr() and "api.tls" in one.stderr()


def test_an_endpoint_in_use(make_server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        one = make_server(dot=True, dns={"tls_listen": [f"127.0.0.1:{taken.getsockname()[1]}"]})
        one.launch()
        assert one.wait(10) == 2
    assert "DNS over TLS" in one.stderr() and "in use" in one.stderr()
