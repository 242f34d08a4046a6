# SPDX-License-Identifier: GPL-3.0-or-later
"""What depends on the configuration: DNS cookies (RFC 7873, 9018), rate limiting, and what is told about the server."""

import os
import socket

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import pytest

import harness
from harness import IS_ROOT, ZONE, children_of, own, poll, txt_of

COOKIE, NSID, KEEPALIVE, PADDING, EDE = 10, 3, 11, 12, 15
CLIENT_COOKIE = b"12345678"


def option(code, data=b""):
    return dns.edns.GenericOption(code, data)


def data_of(answer, code):
    """The data of an option of the answer; None when it is not there."""
    found = [o for o in answer.options if o.otype == code]
    assert len(found) <= 1
    return found[0].to_wire() if found else None


def ask(server, name=ZONE, rdtype="SOA", cookie=CLIENT_COOKIE, **kw):
    return server.query(name, rdtype, options=[option(COOKIE, cookie)] if cookie else [], **kw)


def learn(server, **kw):
    cookie = data_of(ask(server, **kw), COOKIE)
    assert len(cookie) == 24 and cookie[:8] == CLIENT_COOKIE and cookie[8:12] == b"\x01\0\0\0"
    return cookie


def is_good(server, cookie, **kw):
    """Asks for that alone: RFC 7873 section 5.4. A query from a new port meets any of the workers."""
    query = dns.message.Message()
    query.use_edns(0, options=[option(COOKIE, cookie)])
    answer = server.ask(query, **kw)
    assert answer.question == [] and answer.rcode() in (dns.rcode.NOERROR, dns.rcode.BADCOOKIE)
    return answer.rcode() == dns.rcode.NOERROR


def all_workers_say(server, cookie, expected):
    return all(is_good(server, cookie, tcp=tcp) == expected for tcp in (False, True) for _ in range(12))


def replace_children(server):
    before = {pid for pid, _ in children_of(server.process.pid)}
    server.hup()

    def replaced():
        now = {pid for pid, _ in children_of(server.process.pid)}
        return len(now) == len(before) and not before & now

    poll(replaced, 10, "all children replaced")


# ---- cookies


def test_cookies_hold_over_workers_restarts_and_reloads(server):
    """Random secrets: as long as the supervisor lives, and no longer."""
    one = server()
    cookie = learn(one)
    assert all_workers_say(one, cookie, True)
    assert all_workers_say(one, cookie[:-1] + bytes([cookie[-1] ^ 1]), False)
    assert not is_good(one, cookie, source="127.0.0.2")
    replace_children(one)
    assert all_workers_say(one, cookie, True)
    for name in ("dns0", "dns1"):
        pid = one.children()[name]
        os.kill(pid, 9)
        poll(lambda: one.children().get(name) not in (None, pid), 5, "started again")
    assert all_workers_say(one, cookie, True)
    one.restart()
    assert all_workers_say(one, cookie, False)


def write_secrets(path, *secrets, mode=0o640):
    path.write_text("".join(s + "\n" for s in secrets))
    path.chmod(mode)
    own(path)


OLD, NEW = "e5e973e5a6b2a43f48e7dc849e37bfcf", "445536bcd2513298075a5d379663c962"


def test_secrets_of_a_file_roll_over(make_server, folder):
    """RFC 9018 section 5: add the next secret, use it, drop the last one; a restart changes nothing."""
    secrets = folder / "secrets"
    write_secrets(secrets, OLD)
    one = make_server(dns={"cookie_secret_file": str(secrets)}).start()
    cookie = learn(one)
    one.restart()
    assert all_workers_say(one, cookie, True)
    write_secrets(secrets, OLD, NEW)
    replace_children(one)
    assert all_workers_say(one, cookie, True) and learn(one)[:16] == learn(one)[:16]
    write_secrets(secrets, NEW, OLD)
    replace_children(one)
    assert all_workers_say(one, cookie, True)
    newer = learn(one)
    write_secrets(secrets, NEW)
    replace_children(one)
    assert all_workers_say(one, cookie, False)
    assert all_workers_say(one, newer, True)


def test_two_servers_share_a_secret(make_server, folder):
    secrets = folder / "secrets"
    write_secrets(secrets, OLD)
    one, other = [make_server(dns={"cookie_secret_file": str(secrets)}).start() for _ in range(2)]
    assert is_good(other, learn(one)) and is_good(one, learn(other))


def test_a_reload_with_bad_secrets_is_refused(make_server, folder):
    secrets = folder / "secrets"
    write_secrets(secrets, OLD)
    one = make_server(dns={"cookie_secret_file": str(secrets)}).start()
    cookie, before = learn(one), one.children()
    for bad, why in (([OLD[1:]], "32 hexadecimal digits"), ([], "no secret"), ([OLD, NEW, OLD], "more than 2")):
        seen = len(one.stderr())
        write_secrets(secrets, *bad)
        one.hup()
        poll(lambda: "the old one stays in force" in one.stderr()[seen:], 5, "refused")
        assert str(secrets) in one.stderr()[seen:] and why in one.stderr()[seen:]
    assert one.children() == before and is_good(one, cookie)


def refused(server):
    server.launch()
    assert server.wait(10) == 2
    return server.stderr().strip()


def test_bad_secrets_are_refused_at_the_start(make_server, folder):
    secrets = folder / "secrets"
    one = make_server(dns={"cookie_secret_file": str(secrets)})
    assert f"{secrets}: dns.cookie_secret_file cannot be read: No such file" in refused(one)
    write_secrets(secrets, OLD, mode=0o644)
    assert "open to everybody" in refused(one)
    write_secrets(secrets, OLD, "short")
    assert f"{secrets}:2: a secret is 32 hexadecimal digits" in refused(one)


@pytest.mark.skipif(not IS_ROOT, reason="started without root there is no other account")
def test_secrets_that_only_root_can_read(make_server, folder):
    secrets = folder / "secrets"
    write_secrets(secrets, OLD, mode=0o600)
    os.chown(secrets, 0, 0)
    text = refused(make_server(dns={"cookie_secret_file": str(secrets)}))
    assert f'the account "{harness.USER}"' in text and "cookie_secret_file" in text


def test_only_dns_processes_know_the_secrets(make_server, folder):
    """What the api holds whoever takes it over holds, too."""
    secrets = folder / "secrets"
    write_secrets(secrets, OLD)
    one = make_server(dns={"cookie_secret_file": str(secrets)}).start()
    if not IS_ROOT or b"__asan_init" in open(harness.BINARY, "rb").read():
        return
    assert bytes.fromhex(OLD) in memory(one.process.pid)
    for name in ("api", "keeper"):
        assert bytes.fromhex(OLD) not in memory(one.children()[name]), name


def memory(pid):
    """The writable private memory of a process."""
    out = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            if rights == "rw-p":
                start, end = (int(x, 16) for x in span.split("-"))
                mem.seek(start)
                out += mem.read(end - start)
    return out


# ---- rate limiting


def limit(server, source):
    """Asks until the network of that address is limited at every worker."""
    quiet = 0
    wire = dns.message.make_query(ZONE, "SOA").to_wire()
    sockets = []
    for _ in range(16):  # from several ports, so that each of the workers has some
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((source, 0))
        s.connect(("127.0.0.1", server.dns_port))
        s.settimeout(5)
        sockets.append(s)
    for _ in range(2000):
        truncated = 0
        for s in sockets:
            s.send(wire)
        for s in sockets:
            truncated += bool(s.recv(4096)[2] & 0x02)
        quiet = quiet + 1 if truncated == len(sockets) else 0
        if quiet == 3:
            break
    for s in sockets:
        s.close()
    assert quiet == 3, "never limited"


def test_limited_clients_are_served_over_tcp(make_server):
    one = make_server(dns={"rate_limit": {"responses_per_second": 1}}).start()
    account = one.register()
    values = {one.publish(account) for _ in range(20)}
    neighbour = learn(one, source="127.0.0.99")
    limit(one, "127.0.0.1")

    answer = one.query(account["fulldomain"], "TXT")
    assert answer.flags & dns.flags.TC and not answer.answer and answer.rcode() == dns.rcode.NOERROR
    assert set(txt_of(one.query(account["fulldomain"], "TXT", tcp=True))) == values
    # A client with a cookie in the same /24, and another /24.
    for _ in range(50):
        answer = ask(one, account["fulldomain"], "A", cookie=neighbour, source="127.0.0.99")
        assert not answer.flags & dns.flags.TC and answer.authority
    assert ask(one, cookie=None, source="127.0.0.98").flags & dns.flags.TC
    assert not ask(one, cookie=None, source="127.0.1.1").flags & dns.flags.TC
    # Over TCP everybody gets a cookie, and is known from then on.
    assert not ask(one, cookie=learn(one, tcp=True)).flags & dns.flags.TC
    poll(lambda: "get truncated answers" in one.stderr(), 5, "a line in the log")
    assert one.stderr().count("get truncated answers") <= 2, "one for each worker"


def test_networks_without_a_limit(make_server):
    one = make_server(dns={"rate_limit": {"responses_per_second": 1, "unlimited": ["127.0.0.64/26"]}}).start()
    for _ in range(3000):
        assert not ask(one, cookie=None, source="127.0.0.65").flags & dns.flags.TC
    limit(one, "127.0.0.1")


# ---- what is told about the server


def chaos(server, name, rdtype="TXT", **kw):
    return server.query(name, rdtype, rdclass=dns.rdataclass.CH, **kw)


def test_nothing_is_told_by_default(shared):
    for name in ("id.server", "hostname.bind", "version.server", "version.bind", "authors.bind"):
        answer = chaos(shared, name)
        assert answer.rcode() == dns.rcode.REFUSED and not answer.answer
    assert data_of(shared.query(ZONE, "SOA", options=[option(NSID)]), NSID) is None


def test_what_is_configured_is_told(make_server):
    one = make_server(dns={"nsid": "ns1 \u00e4", "identity": "This is ns1.", "version": "x" * 99}).start()
    for tcp in (False, True):
        for name, text in (("id.server", b"This is ns1."), ("HostName.Bind", b"This is ns1."),
                           ("version.server", b"x" * 99), ("version.bind", b"x" * 99)):
            answer = chaos(one, name, tcp=tcp)
            assert answer.rcode() == dns.rcode.NOERROR
            assert [(r.ttl, r.rdclass, r[0].strings) for r in answer.answer] == [(0, dns.rdataclass.CH, (text,))]
        assert chaos(one, "authors.bind", tcp=tcp).rcode() == dns.rcode.REFUSED
        assert chaos(one, "id.server", "A", tcp=tcp).rcode() == dns.rcode.REFUSED
        assert one.query("id.server", "TXT", tcp=tcp).rcode() == dns.rcode.REFUSED
        assert data_of(one.query(ZONE, "SOA", tcp=tcp, options=[option(NSID)]), NSID) == "ns1 \u00e4".encode()
        assert data_of(one.query(ZONE, "SOA", tcp=tcp), NSID) is None


def test_too_long_names_are_refused(make_server):
    for key, size in (("nsid", 129), ("identity", 256), ("version", 256)):
        one = make_server(dns={key: "x" * size})
        assert f"dns.{key}: {size} octets are too long" in refused(one)


# ---- options of single queries


def test_keepalive_is_told_over_tcp_only(shared):
    """RFC 7828 section 3.3.2, in units of 100 ms."""
    assert data_of(shared.query(ZONE, "SOA", tcp=True, options=[option(KEEPALIVE)]), KEEPALIVE) == b"\0\x64"
    assert data_of(shared.query(ZONE, "SOA", tcp=True), KEEPALIVE) is None
    assert data_of(shared.query(ZONE, "SOA", options=[option(KEEPALIVE)]), KEEPALIVE) is None


def test_no_padding_without_encryption(shared):
    """RFC 7830 section 6"""
    for tcp in (False, True):
        assert data_of(shared.query(ZONE, "SOA", tcp=tcp, options=[option(PADDING, b"\0" * 9)]), PADDING) is None


def test_extended_errors(shared):
    """RFC 8914: 20 not authoritative, 21 not supported; RFC 9824 section 3.5: 30 invalid query type."""
    assert data_of(shared.query("example.com", "A"), EDE) == b"\0\x14"
    assert data_of(shared.query(ZONE, "AXFR"), EDE) == b"\0\x15"
    assert data_of(chaos(shared, "id.server"), EDE) == b"\0\x15"
    assert data_of(shared.query(ZONE, "TYPE128"), EDE) == b"\0\x1e"
    assert data_of(shared.query(ZONE, "SOA"), EDE) is None
