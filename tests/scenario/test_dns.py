# SPDX-License-Identifier: GPL-3.0-or-later
"""What resolvers see: RFC 1034/1035, 2308 (negative answers), 4343 (case), 6891 (EDNS), 7766 (TCP), 8482 (ANY)."""

import random
import socket
import struct

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest

from harness import FAMILIES, LOOPBACK, ZONE, poll, txt_of

TRANSPORTS = [(tcp, family) for tcp in (False, True) for family in FAMILIES]
IDS = [f"{'tcp' if tcp else 'udp'}{family}" for tcp, family in TRANSPORTS]
APEX = dns.name.from_text(ZONE)


@pytest.fixture(scope="module")
def delegate(shared):
    """A delegate with two values."""
    account = shared.register()
    account["values"] = [shared.publish(account), shared.publish(account)]
    return account


@pytest.fixture(scope="module")
def empty(shared):
    """A delegate without values."""
    return shared.register()


def rrset(section, name, rdtype):
    found = [r for r in section if r.name == dns.name.from_text(name) and r.rdtype == dns.rdatatype.from_text(rdtype)]
    assert len(found) <= 1
    return found[0] if found else None


def assert_negative(answer, rcode, ttl=5):
    """RFC 2308 sections 2 and 5: no answer, the SOA in authority, its TTL not above its MINIMUM; authoritative."""
    assert answer.rcode() == rcode, answer
    assert answer.answer == [], answer
    assert answer.flags & dns.flags.AA
    assert len(answer.authority) == 1 and answer.authority[0].rdtype == dns.rdatatype.SOA, answer
    soa = answer.authority[0]
    assert soa.name == APEX and soa.ttl == ttl and soa[0].minimum == ttl


def assert_refused(answer):
    assert answer.rcode() == dns.rcode.REFUSED, answer
    assert not answer.flags & dns.flags.AA
    assert answer.answer == [] and answer.authority == []


@pytest.mark.parametrize("tcp,family", TRANSPORTS, ids=IDS)
def test_txt(shared, delegate, tcp, family):
    answer = shared.query(delegate["fulldomain"], "TXT", tcp=tcp, family=family)
    assert answer.rcode() == dns.rcode.NOERROR
    assert sorted(txt_of(answer)) == sorted(delegate["values"])
    assert answer.flags & dns.flags.AA and answer.flags & dns.flags.RD
    assert not answer.flags & (dns.flags.RA | dns.flags.AD | dns.flags.TC)
    assert [r.ttl for r in answer.answer] == [1]


@pytest.mark.parametrize("tcp,family", TRANSPORTS, ids=IDS)
def test_soa(shared, tcp, family):
    answer = shared.query(ZONE, "SOA", tcp=tcp, family=family)
    soa = rrset(answer.answer, ZONE, "SOA")[0]
    assert answer.flags & dns.flags.AA
    assert soa.mname == dns.name.from_text(f"ns1.{ZONE}")
    assert soa.rname == dns.name.from_text("hostmaster.example.org")
    assert soa.minimum == 5


def test_ns_with_addresses(shared):
    answer = shared.query(ZONE, "NS")
    assert [r.target for r in rrset(answer.answer, ZONE, "NS")] == [dns.name.from_text(f"ns1.{ZONE}")]
    assert answer.flags & dns.flags.AA
    assert [r.address for r in rrset(shared.query(f"ns1.{ZONE}", "A").answer, f"ns1.{ZONE}", "A")] == ["127.0.0.1"]
    if 6 in FAMILIES:
        found = rrset(shared.query(f"ns1.{ZONE}", "AAAA").answer, f"ns1.{ZONE}", "AAAA")
        assert [r.address for r in found] == ["::1"]


@pytest.mark.parametrize("name,rdtype,text,ttl", [
    (ZONE, "A", "198.51.100.1", 3600),
    (ZONE, "CAA", '0 issue "letsencrypt.org"', 3600),
    (f"www.{ZONE}", "A", "192.0.2.80", 300),
    (f"leaf.b.ent.{ZONE}", "TXT", '"below an empty non-terminal"', 300),
    (f"alias.{ZONE}", "CNAME", "www", 300),
])
def test_static_records(shared, name, rdtype, text, ttl):
    answer = shared.query(name, rdtype)
    found = rrset(answer.answer, name, rdtype)
    assert answer.flags & dns.flags.AA
    assert found.ttl == ttl
    assert [r.to_text(origin=APEX, relativize=True) for r in found] == [text]


@pytest.mark.parametrize("rdtype", ["A", "AAAA", "TXT"])
def test_cname_answers_every_type(shared, rdtype):
    """RFC 1034 section 3.6.2: a CNAME stands for every type; the target lies in the zone, so it may follow."""
    answer = shared.query(f"alias.{ZONE}", rdtype)
    assert answer.rcode() == dns.rcode.NOERROR
    assert rrset(answer.answer, f"alias.{ZONE}", "CNAME")[0].target == dns.name.from_text(f"www.{ZONE}")


@pytest.mark.parametrize("name", [f"ent.{ZONE}", f"b.ent.{ZONE}"])
@pytest.mark.parametrize("rdtype", ["A", "TXT", "NS", "SOA", "CNAME", "TYPE65280"])
def test_empty_non_terminal(shared, name, rdtype):
    """RFC 8020, RFC 4592 section 2.2.2: a name with something below it exists."""
    assert_negative(shared.query(name, rdtype), dns.rcode.NOERROR)


@pytest.mark.parametrize("rdtype", ["AAAA", "TXT", "DS", "DNSKEY", "MX", "HTTPS", "TYPE65280"])
def test_apex_without_data(shared, rdtype):
    assert_negative(shared.query(ZONE, rdtype), dns.rcode.NOERROR)


@pytest.mark.parametrize("rdtype", ["A", "AAAA", "CAA", "HTTPS", "SVCB", "NS", "SOA", "CNAME", "DS", "DNSKEY", "MX",
                                    "PTR", "SRV", "TLSA", "TYPE0666", "TYPE65280"])
def test_delegate_without_data_of_that_type(shared, delegate, empty, rdtype):
    for account in (delegate, empty):
        assert_negative(shared.query(account["fulldomain"], rdtype), dns.rcode.NOERROR)


@pytest.mark.parametrize("tcp,family", TRANSPORTS, ids=IDS)
def test_delegate_without_value(shared, empty, tcp, family):
    assert_negative(shared.query(empty["fulldomain"], "TXT", tcp=tcp, family=family), dns.rcode.NOERROR)


@pytest.mark.parametrize("label", ["nothing-here", "*", "_acme-challenge", "00000000-0000-4000-8000-000000000000",
                                   "a" * 63, "a.b.c.d", "zz.www", r"nul\000label", r"dot\.label", r"\255", r"sp\032ace"])
def test_unknown_name(shared, label):
    answer = shared.query(f"{label}.{ZONE}", "TXT")
    assert_negative(answer, dns.rcode.NXDOMAIN)
    assert answer.question[0].name == dns.name.from_text(f"{label}.{ZONE}")


def test_no_name_below_a_delegate(shared, delegate, empty):
    for account in (delegate, empty):
        for label in ("x", "_acme-challenge", "*", "a.b"):
            assert_negative(shared.query(f"{label}.{account['fulldomain']}", "TXT"), dns.rcode.NXDOMAIN)


def test_only_the_exact_name_has_the_values(shared, delegate):
    label = delegate["subdomain"]
    assert_negative(shared.query(f"{label}.foo.{ZONE}", "TXT"), dns.rcode.NXDOMAIN)
    assert_negative(shared.query(f"!{label}.{ZONE}", "TXT"), dns.rcode.NXDOMAIN)
    assert_negative(shared.query(f"{label}\\000.{ZONE}", "TXT"), dns.rcode.NXDOMAIN)
    one_label = dns.name.Name([f"{label}.auth".encode(), b"example", b"org", b""])
    for name in (f"{label}.evil.test.", f"{label}.", one_label, f"{label}.x{ZONE}", f"{label}.{ZONE}x."):
        assert_refused(shared.query(name, "TXT"))


@pytest.mark.parametrize("name", [".", "org.", "example.org.", "www.example.com.", f"x{ZONE}.", "auth.example.orgx."])
@pytest.mark.parametrize("rdtype", ["A", "NS", "SOA", "TXT"])
def test_refused_outside_the_zones(shared, name, rdtype):
    answer = shared.query(name, rdtype)
    assert_refused(answer)
    assert answer.question[0].name == dns.name.from_text(name)


def random_case(text):
    return "".join(random.choice((c.lower(), c.upper())) for c in text)


@pytest.mark.parametrize("what", ["delegate", "empty", "unknown", "apex", "refused"])
def test_question_echoed_byte_for_byte(shared, delegate, empty, what):
    """0x20: RFC 4343 for the comparison, RFC 1035 section 4.1.2 for the echo."""
    name = {"delegate": delegate["fulldomain"], "empty": empty["fulldomain"], "unknown": f"unknown-name.{ZONE}",
            "apex": ZONE, "refused": "www.example.com"}[what]
    for _ in range(20):
        query = dns.message.make_query(random_case(name), "TXT", use_edns=0)
        wire = query.to_wire()
        question = wire[12:12 + len(query.question[0].name.to_wire()) + 4]
        reply = shared.ask_bytes(wire, timeout=5)
        assert reply[12:12 + len(question)] == question
        if what == "delegate":
            assert sorted(txt_of(dns.message.from_wire(reply))) == sorted(delegate["values"])


# ---- EDNS, RFC 6891


def test_no_opt_without_opt(shared, delegate):
    answer = shared.query(delegate["fulldomain"], "TXT", use_edns=False)
    assert answer.edns == -1 and len(txt_of(answer)) == 2


@pytest.mark.parametrize("payload", [0, 511, 512, 1232, 4096, 65535])
def test_opt_with_opt(shared, delegate, payload):
    answer = shared.query(delegate["fulldomain"], "TXT", payload=payload)
    assert answer.edns == 0 and 512 <= answer.payload <= 1232
    assert answer.ednsflags & 0x7FFF == 0
    assert len(txt_of(answer)) == 2


def test_do_bit_copied(shared, delegate):
    """RFC 3225 section 3."""
    answer = shared.query(delegate["fulldomain"], "TXT", want_dnssec=True)
    assert answer.ednsflags & dns.flags.DO
    assert not answer.flags & dns.flags.AD


def test_unknown_options_ignored(shared, delegate):
    option = dns.edns.GenericOption(65001, b"whatever")
    answer = shared.query(delegate["fulldomain"], "TXT", options=[option])
    assert answer.rcode() == dns.rcode.NOERROR and len(txt_of(answer)) == 2
    assert all(o.otype != 65001 for o in answer.options)


def test_badvers(shared, delegate):
    """RFC 6891 section 6.1.3."""
    query = dns.message.make_query(delegate["fulldomain"], "TXT", use_edns=0)
    query.ednsflags |= 1 << 16  # the version
    answer = shared.ask(query)
    assert answer.rcode() == dns.rcode.BADVERS
    assert answer.edns == 0 and answer.answer == []


def header(ident=0x1234, flags=0, qd=1, an=0, ns=0, ar=0):
    return struct.pack("!6H", ident, flags, qd, an, ns, ar)


def question(name=ZONE, rdtype=dns.rdatatype.SOA, rdclass=dns.rdataclass.IN):
    return dns.name.from_text(name).to_wire() + struct.pack("!2H", rdtype, rdclass)


OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


def rcode_of(reply):
    return None if reply is None else reply[3] & 15


@pytest.mark.parametrize("tail,ar", [
    (OPT + OPT, 2),
    (b"\1x\0" + OPT[1:], 1),
    (b"\0" + struct.pack("!HHIH", 41, 1232, 0, 4), 1),
    (b"\0" + struct.pack("!HHIHHH", 41, 1232, 0, 4, 10, 8), 1),
], ids=["two-opt", "owner-not-root", "rdlength-overrun", "option-overrun"])
def test_broken_opt(shared, tail, ar):
    assert rcode_of(shared.ask_bytes(header(ar=ar) + question() + tail, timeout=5)) == dns.rcode.FORMERR


# ---- truncation and TCP


@pytest.fixture(scope="module")
def crowded(shared):
    """A delegate with as many values as one may have: too many for any UDP answer."""
    account = shared.register()
    account["values"] = [shared.publish(account) for _ in range(32)]
    return account


@pytest.mark.parametrize("edns,limit", [(False, 512), (0, 512), (0, 700), (0, 1232), (0, 4096)])
@pytest.mark.parametrize("family", FAMILIES)
def test_truncation_then_tcp(shared, crowded, edns, limit, family):
    """RFC 2181 section 9; never more than 1232 bytes over UDP, whatever the client offers."""
    query = dns.message.make_query(crowded["fulldomain"], "TXT", use_edns=edns, payload=limit)
    reply = shared.ask_bytes(query.to_wire(), timeout=5, family=family)
    assert len(reply) <= min(limit, 1232)
    answer = dns.message.from_wire(reply, ignore_trailing=False)
    assert answer.flags & dns.flags.TC and answer.rcode() == dns.rcode.NOERROR
    whole = shared.ask(query, tcp=True, family=family)
    assert not whole.flags & dns.flags.TC
    assert sorted(txt_of(whole)) == sorted(crowded["values"])


def test_the_oldest_value_makes_room(shared):
    account = shared.register()
    values = [shared.publish(account) for _ in range(34)]
    assert sorted(shared.values(account)) == sorted(values[2:])


# ---- values in time


def test_values_expire(server):
    one = server(zone={"value_lifetime": "1s"})
    account = one.register()
    published = one.publish(account)
    assert one.values(account) == [published]
    poll(lambda: one.values(account) == [], 5, "value gone after its lifetime")
    assert_negative(one.query(account["fulldomain"], "TXT"), dns.rcode.NOERROR)
    again = one.publish(account)
    assert one.values(account) == [again]


def test_ttls_from_the_configuration(server):
    one = server(zone={"value_ttl": 7, "negative_ttl": 9})
    account = one.register()
    assert_negative(one.query(account["fulldomain"], "TXT"), dns.rcode.NOERROR, ttl=9)
    one.publish(account)
    assert [r.ttl for r in one.query(account["fulldomain"], "TXT").answer] == [7]
    assert_negative(one.query(f"nothing.{ZONE}", "TXT"), dns.rcode.NXDOMAIN, ttl=9)


def test_max_values(server):
    one = server(zone={"max_values": 2})
    account = one.register()
    values = [one.publish(account) for _ in range(3)]
    assert sorted(one.values(account)) == sorted(values[1:])


def test_several_zones(make_server):
    one = make_server()
    second = {"name": "second.test", "nameservers": [{"name": "ns.elsewhere.test", "addresses": []}]}
    one.configure(zones=[*one.settings()["zones"], second])
    one.start()
    account = one.register()
    assert account["fulldomain"].endswith("." + ZONE)
    published = one.publish(account)
    assert one.values(account) == [published]
    answer = one.query("second.test", "NS")
    assert [str(r.target) for r in answer.answer[0]] == ["ns.elsewhere.test."]
    other = one.query(f"{account['subdomain']}.second.test", "TXT")
    assert other.rcode() == dns.rcode.NXDOMAIN and other.answer == []


# ---- what nobody should ask


@pytest.mark.parametrize("tcp", [False, True])
def test_any(shared, delegate, tcp):
    """RFC 8482: a small answer, the same over UDP and TCP."""
    answer = shared.query(delegate["fulldomain"], "ANY", tcp=tcp)
    assert answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NOTIMP)
    assert len(answer.answer) <= 1
    answer = shared.query(f"nothing.{ZONE}", "ANY", tcp=tcp)
    assert answer.answer == [] and answer.rcode() in (dns.rcode.NXDOMAIN, dns.rcode.NOTIMP)


@pytest.mark.parametrize("rdclass", ["CH", "HS", "NONE", "CLASS2", "CLASS65280"])
def test_other_classes(shared, delegate, rdclass):
    for name in (delegate["fulldomain"], ZONE, "version.bind"):
        answer = shared.query(name, "TXT", rdclass=rdclass)
        assert answer.rcode() in (dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR)
        assert answer.answer == [] and not answer.flags & dns.flags.AA


@pytest.mark.parametrize("opcode", [1, 2, 3, 6, 7, 15])
def test_unknown_opcode(shared, opcode):
    """RFC 8906 section 3.1.4: NOTIMP; id and opcode come back, every other flag is clear."""
    reply = shared.ask_bytes(header(flags=opcode << 11 | 0x0100) + question(), timeout=5)
    ident, flags = struct.unpack("!2H", reply[:4])
    assert ident == 0x1234
    assert flags == 0x8000 | opcode << 11 | dns.rcode.NOTIMP


@pytest.mark.parametrize("opcode", [dns.opcode.NOTIFY, dns.opcode.UPDATE])
def test_notify_and_update(shared, opcode):
    reply = shared.ask_bytes(header(flags=opcode << 11) + question(), timeout=5)
    assert rcode_of(reply) in (dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.NOTAUTH)


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("rdtype", ["AXFR", "IXFR"])
def test_zone_transfer(shared, rdtype, tcp):
    query = dns.message.make_query(ZONE, rdtype)
    answer = shared.ask(query, tcp=tcp)
    assert answer.rcode() in (dns.rcode.REFUSED, dns.rcode.NOTAUTH, dns.rcode.NOTIMP, dns.rcode.FORMERR)
    assert answer.answer == []


@pytest.mark.parametrize("qtype", [0, 41, 128, 249, 250, 253, 254, 65535])
def test_meta_types_have_no_data(shared, delegate, qtype):
    """Not one of them crashes (CVE-2021-36754 was 65535) or leaks anything."""
    reply = shared.ask_bytes(header() + question(delegate["fulldomain"], qtype), timeout=5)
    assert reply is not None and struct.unpack("!H", reply[6:8]) == (0,)
    assert rcode_of(reply) in (dns.rcode.NOERROR, dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.REFUSED)


@pytest.mark.parametrize("qd", [0, 2, 65535])
def test_question_count(shared, qd):
    """RFC 9619: a query has exactly one question."""
    wire = header(qd=qd) + question() * (qd if qd < 10 else 1)
    assert rcode_of(shared.ask_bytes(wire, timeout=5)) == dns.rcode.FORMERR


def test_answers_are_never_answered(shared):
    """A datagram with QR set is dropped, else two servers could talk for ever (CVE-2012-0206)."""
    assert shared.ask_bytes(header(flags=0x8000) + question(), timeout=0.3) is None


@pytest.mark.parametrize("wire", [b"", b"\0", header()[:11], header(flags=0x8000)], ids=["0", "1", "11", "qr"])
def test_dropped(shared, wire):
    assert shared.ask_bytes(wire, timeout=0.2) is None


BROKEN = {
    "no-question": header(),
    "short-name": header() + b"\x3fabc",
    "no-class": header() + question()[:-2],
    "label-type-40": header() + b"\x41a\0\0\1\0\1",
    "label-type-80": header() + b"\x81a\0\0\1\0\1",
    "pointer-to-itself": header() + b"\xc0\x0c\0\1\0\1",
    "pointer-forward": header() + b"\xc0\x20\0\1\0\1",
    "pointer-to-header": header() + b"\xc0\x00\0\1\0\1",
    "name-256": header() + (b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\1a" + b"\0\0\1\0\1",
    "trailing-garbage": header() + question() + b"garbage",
    "missing-additional": header(ar=1) + question(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_malformed_questions(shared, name):
    """FORMERR or nothing, never data (RFC 1035 section 4.1.1); over TCP the same."""
    reply = shared.ask_bytes(BROKEN[name], timeout=0.3)
    if reply is not None:
        assert rcode_of(reply) == dns.rcode.FORMERR or name == "trailing-garbage"
        assert struct.unpack("!2H", reply[6:10]) == (0, 0) or name == "trailing-garbage"
    with socket.create_connection((LOOPBACK[4], shared.dns_port), timeout=5) as s:
        s.sendall(struct.pack("!H", len(BROKEN[name])) + BROKEN[name])
    assert shared.query(ZONE, "SOA").rcode() == dns.rcode.NOERROR


def test_longest_names(shared):
    """255 octets and 127 labels are names like others."""
    room = 255 - len(dns.name.from_text(ZONE).to_wire())
    many = dns.name.Name([b"a"] * (room // 2) + list(APEX.labels))
    assert shared.query(many, "TXT").rcode() == dns.rcode.NXDOMAIN
    labels = [b"x" * 63] * (room // 64) + [b"x" * (room % 64 - 1)] * (room % 64 > 1)
    longest = dns.name.Name(labels + list(APEX.labels))
    assert len(longest.to_wire()) in (254, 255)
    assert shared.query(longest, "TXT").rcode() == dns.rcode.NXDOMAIN


def test_random_datagrams(shared):
    """Bytes flipped, cut and appended at random (seed shown on failure): the server answers on afterwards."""
    seed = random.randrange(2 ** 32)
    rng = random.Random(seed)
    base = dns.message.make_query(ZONE, "TXT", use_edns=0, payload=1232).to_wire()
    before = set(shared.children().values())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((LOOPBACK[4], shared.dns_port))
        for _ in range(3000):
            wire = bytearray(base)
            for _ in range(rng.randrange(1, 6)):
                wire[rng.randrange(len(wire))] = rng.randrange(256)
            s.send(bytes(wire[:rng.randrange(1, len(wire) + 1)]) + rng.randbytes(rng.choice((0, 0, 3, 40))))
    assert shared.query(ZONE, "SOA").rcode() == dns.rcode.NOERROR, seed
    assert set(shared.children().values()) == before, seed
