# SPDX-License-Identifier: GPL-3.0-or-later
"""The answering side, packet by packet. Every row names the RFC it is taken from; what the code does is no argument.

A row: an id, RFC and section, a query, what must come back. It is asked over UDP and TCP. Over UDP an answer may come
truncated, but only where the whole one, asked for over TCP, would be larger than the client or the rule against
amplification allows: 4 bytes out for each byte in, unless a valid DNS cookie proves that the sender is no forgery."""

import collections
import socket
import struct
import time

import dns.name
import dns.rdata
import dns.rdatatype
import pytest

import packets
import siphash
from harness import FAMILIES, LOOPBACK, ZONE, Server, own
from packets import (AA, AD, ANY, ANY_CLASS, BADCOOKIE, BADVERS, CD, CH, COOKIE, DO, ECS, EDE, EXPIRE, FORMERR, HS, IN,
                     KEEPALIVE, NOERROR, NONE, NOTAUTH, NOTIMP, NSID, NXDOMAIN, PADDING, QR, RA, RD, REFUSED, TC, Z,
                     Reply, header, opt, option, question, record, tsig)

AMPLIFICATION = 4
UDP_MAX = 1232
LONG = " ".join(f'"{chr(97 + i) * 250}"' for i in range(10))
MID = " ".join(f'"{chr(97 + i) * 100}"' for i in range(4))

# Owner, TTL, type, data: what is configured is what must come back.
STATIC = [
    "@ 3600 A 198.51.100.1", "@ 3600 AAAA 2001:db8::1", "@ 3600 MX 10 mail", '@ 3600 TXT "v=spf1 -all"',
    '@ 3600 CAA 0 issue "letsencrypt.org"', '@ 3600 CAA 0 iodef "mailto:hostmaster@example.org"',
    "www 300 A 192.0.2.80", "www 300 A 192.0.2.81", "www 300 AAAA 2001:db8::80", "mail 300 A 192.0.2.25",
    "_imaps._tcp 300 SRV 0 5 993 mail", "svc 300 SVCB 1 www alpn=\"h2\" port=8443",
    "web 300 HTTPS 1 . alpn=\"h2,h3\" ipv4hint=192.0.2.80", "ptr 300 PTR www",
    'naptr 300 NAPTR 100 50 "s" "http+I2R" "" _http._tcp.example.com.',
    "_443._tcp.www 300 TLSA 3 1 1 " + "ab" * 32, "ssh 300 SSHFP 4 2 " + "cd" * 32,
    'hinfo 300 HINFO "PDP-11" "RSX"', "loc 300 LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
    "rp 300 RP hostmaster www", 'uri 300 URI 10 1 "https://example.org/"', "afsdb 300 AFSDB 1 mail",
    "eui 300 EUI48 00-00-5e-00-53-2a", "opaque 300 TYPE65280 \\# 4 c0ffee00", "empty-data 300 TYPE65281 \\# 0",
    "generic 300 TYPE1 \\# 4 c0000250", "quoted 300 TXT \"\" \"a\\\"b\" \"\\000\\255\"",
    "alias 300 CNAME www", "chain 300 CNAME alias", "loop1 300 CNAME loop2", "loop2 300 CNAME loop1",
    "gone 300 CNAME nothing", "away 300 CNAME www.example.com.", "alias-inner 300 CNAME www.inner",
    '*.wild 300 TXT "wild"', "host.wild 300 A 192.0.2.1", "leaf.ent.wild 300 A 192.0.2.2", "*.cwild 300 CNAME www",
    'leaf.b.ent 300 TXT "below an empty non-terminal"', "two-ttls 300 A 192.0.2.3", "two-ttls 600 A 192.0.2.4",
    "zero 0 A 192.0.2.5", "longest-ttl 2147483647 A 192.0.2.6", "dot\\.label 300 A 192.0.2.7",
    "nul\\000 300 A 192.0.2.8", "sp\\032ace 300 A 192.0.2.9", "\\224 300 A 192.0.2.10", "CaSe 300 A 192.0.2.11",
    f"big 300 TXT {LONG}", f"mid 300 TXT {MID}", *(f"many 300 A 192.0.2.{i}" for i in range(100, 160)),
]
NAMESERVERS = [
    {"name": f"ns1.{ZONE}", "addresses": ["198.51.100.1", "2001:db8::1"]},
    {"name": f"ns2.{ZONE}", "addresses": ["198.51.100.2", "2001:db8::2"]},
]
GLUE = ["ns1 3600 A 198.51.100.1", "ns1 3600 AAAA 2001:db8::1", "ns2 3600 A 198.51.100.2", "ns2 3600 AAAA 2001:db8::2"]
INNER, DEEP, SECOND = f"inner.{ZONE}", f"deep.gap.{ZONE}", "second.test"
ZONES = [  # TTLs of negative answers differ, so that it can be seen whose SOA it is
    {"name": ZONE, "nameservers": NAMESERVERS, "contact": "hostmaster@example.org", "records": STATIC},
    {"name": INNER, "nameservers": [{"name": f"ns1.{INNER}", "addresses": ["198.51.100.3"]},
                                    {"name": f"ns1.{ZONE}", "addresses": []}],
     "negative_ttl": 7, "records": ["www 300 A 192.0.2.90"]},
    {"name": DEEP, "nameservers": [{"name": f"ns1.{ZONE}", "addresses": []}], "negative_ttl": 9, "records": []},
    {"name": SECOND, "nameservers": [{"name": "ns.example.net", "addresses": []}], "negative_ttl": 60,
     "records": ["* 300 A 192.0.2.99", "real 300 TXT \"real\""]},
]
NEGATIVE_TTL = {ZONE: 5, INNER: 7, DEEP: 9, SECOND: 60}


# ---- The world the rows are asked in


class World:
    """A server with four zones, and delegates d0, d1, d2, d32 with as many values."""

    def __init__(self):
        # The rows come faster than any resolver asks: limits have tests of their own.
        self.server = Server(zones=ZONES, dns={"rate_limit": {"responses_per_second": 0}})
        self.labels, self.values = {}, {}

    def start(self):
        self.server.start()
        for count in (0, 1, 2, 32):
            account = self.server.register()
            self.labels[f"d{count}"] = account["subdomain"]
            self.values[f"d{count}"] = [self.server.publish(account) for _ in range(count)]
        to_delegates = [f"to-{name} 300 CNAME {label}" for name, label in self.labels.items()]
        self.server.configure(zones=[{**ZONES[0], "records": STATIC + to_delegates}, *ZONES[1:]])
        self.server.restart()
        return self

    def ask(self, via, wire):
        address, probe = (LOOPBACK[4], self.server.dns_port), packets.sentinel(ZONE)
        return (packets.ask_tcp if via == "tcp" else packets.ask_udp)(address, wire, probe)

    def one(self, via, wire):
        replies = self.ask(via, wire)
        assert len(replies) == 1, replies
        return Reply(replies[0])

    def name(self, text, zone=ZONE):
        """Relative to the zone unless it ends with a dot; {d2} is the label of a delegate."""
        if isinstance(text, bytes):
            return text
        text = text.format(**self.labels)
        return packets.name_wire(zone + "." if text == "@" else text if text.endswith(".") else f"{text}.{zone}.")

    def records(self, lines, zone=ZONE):
        """Presentation format -> (owner, type, class, TTL, data); "{d2} TXT *" are the delegate's values."""
        origin, out = dns.name.from_text(zone), []
        for line in lines:
            owner, ttl, rdtype, text = line.split(" ", 3)
            texts = [f'"{v}"' for v in self.values[owner[1:-1]]] if text == "*" else [text.format(**self.labels)
                                                                                     if "{" in text else text]
            for each in texts:
                kind = dns.rdatatype.from_text(rdtype)
                rdata = dns.rdata.from_text(IN, kind, each, origin=origin, relativize=False)
                out.append((self.name(owner, zone).lower(), int(kind), IN, int(ttl), rdata.to_digestable(origin)))
        return out


@pytest.fixture(scope="module")
def world():
    one = World()
    try:
        yield one.start()
        one.server.stop()
    finally:
        one.server.discard()


# ---- What rows are made of


class Q:
    """A query with one question, made when the names of the delegates are known."""

    def __init__(self, name, rdtype="A", rdclass=IN, **kw):
        self.name, self.args, self.kw = name, (rdtype, rdclass), kw

    def wire(self, world):
        return packets.query(world.name(self.name), *self.args, **self.kw)

    @property
    def edns(self):
        return self.kw.get("edns")


class Expect:
    def __init__(self, rcodes, aa=None, answer=(), soa=None, extra=(), ede=None, options=(), more=None, truncated=False):
        self.rcodes, self.aa, self.answer, self.soa, self.extra = rcodes, aa, list(answer), soa, list(extra)
        self.ede, self.options, self.more, self.truncated = ede, options, more, truncated


def data(*lines, **kw):
    return Expect({NOERROR}, True, lines, **kw)


def nodata(zone=ZONE, answer=(), **kw):
    return Expect({NOERROR}, True, answer, zone, **kw)


def nxdomain(zone=ZONE, answer=(), **kw):
    return Expect({NXDOMAIN}, True, answer, zone, **kw)


def error(*rcodes, **kw):
    """None among the codes: silence will do."""
    return Expect(set(rcodes), False, **kw)


DROP = error(None)


def refused(**kw):
    return error(REFUSED, **kw)


def same(records, expected):
    """The same records, and sets in the same order (a CNAME before what it leads to)."""
    order = [list(dict.fromkeys((r[0], r[1]) for r in rows)) for rows in ([r.key for r in records], expected)]
    assert sorted(r.key for r in records) == sorted(expected), records
    assert order[0] == order[1], records


def check_always(wire, reply, via, edns):
    """What holds for every reply whatsoever."""
    assert reply.id == struct.unpack("!H", wire[:2])[0]
    assert reply.flags & QR and not reply.flags & (RA | Z | AD | CD), f"{reply.flags:04x}"
    asked = struct.unpack("!H", wire[2:4])[0]
    assert reply.opcode == asked >> 11 & 15
    if reply.opcode == 0:
        assert reply.flags & RD == asked & RD, "RD is copied (RFC 1035 section 4.1.1)"
    assert reply.qdcount <= 1 and wire[12:].startswith(reply.question), "the question comes back byte by byte"
    if reply.rcode != FORMERR:
        assert reply.qdcount == 1 or wire[4:6] == b"\0\0" or reply.opcode
        assert bool(reply.opt) == bool(edns) or reply.opcode, "OPT in the reply if and only if in the query (RFC 6891)"
    if reply.opt:
        assert 512 <= reply.opt.rdclass <= UDP_MAX
        version, flags = reply.opt.ttl >> 16 & 255, reply.opt.ttl & 0xFFFF
        assert version == 0
        # RFC 3225 section 3: DO is copied; the other flags must be zero (RFC 6891 section 6.1.4).
        copied = edns and struct.unpack("!H", edns_flags(edns))[0] & DO
        assert flags == (copied or 0) or (reply.rcode == FORMERR and not flags)
    if via == "udp":
        size = struct.unpack("!H", edns_size(edns))[0] if edns else 0
        assert len(reply.wire) <= min(max(512, size), UDP_MAX)
        assert KEEPALIVE not in reply.options, "RFC 7828 section 3.2.1"
    assert all(0 <= r.ttl < 1 << 31 for r in reply.answer + reply.authority), "RFC 2181 section 8"
    for section in (reply.answer, reply.authority, reply.additional):
        assert len({r.key for r in section}) == len(section), f"a record twice (RFC 2181 section 5): {section}"


def edns_size(edns):
    return edns[packets.read_name(edns, 0)[1] + 2:][:2]


def edns_flags(edns):
    return edns[packets.read_name(edns, 0)[1] + 6:][:2]


def allowed(wire, edns):
    """The largest reply over UDP to a client without a cookie."""
    size = min(max(512, struct.unpack("!H", edns_size(edns))[0]), UDP_MAX) if edns else 512
    return min(size, AMPLIFICATION * len(wire))


def check(world, expect, wire, reply, via, edns):
    check_always(wire, reply, via, edns)
    assert reply.rcode in expect.rcodes, reply
    assert set(reply.options) <= {EDE, *expect.options, *([KEEPALIVE] if via == "tcp" else [])}, "an option nobody asked for"
    if expect.ede is not None and edns:
        assert reply.ede == expect.ede, reply
    if expect.aa is not None and reply.rcode == NOERROR or reply.rcode == NXDOMAIN:
        assert bool(reply.flags & AA) == expect.aa, reply
    elif expect.aa is False:
        assert not reply.flags & AA, reply
    if expect.more:
        expect.more(world, reply, via)
    if reply.flags & TC:
        assert via == "udp", "nothing is truncated over TCP"
        assert reply.answer == [] and reply.authority == [], "half a set is worse than none (RFC 2181 section 9)"
        whole = world.one("tcp", wire)
        assert len(whole.wire) > allowed(wire, edns), "truncated though there was room"
        check(world, expect, wire, whole, "tcp", edns)
        return
    assert not (expect.truncated and via == "udp"), "larger than what may be sent"
    if expect.more:
        return
    same(reply.answer, world.records(expect.answer))
    extra = [r for r in reply.additional if r.type not in (packets.OPT_TYPE, packets.TSIG_TYPE)]
    assert {r.key for r in extra} <= set(world.records(expect.extra)), extra
    if via == "tcp":
        assert len(extra) == len(expect.extra), "room enough for all additional records"
    if not expect.soa:
        assert reply.authority == [], reply
        return
    # RFC 2308 sections 2, 3 and 5: one SOA, of the zone, its TTL no longer than its MINIMUM.
    (soa,) = reply.authority
    assert (soa.owner.lower(), soa.type) == (world.name("@", expect.soa), 6), reply
    assert soa.ttl == struct.unpack("!L", soa.rdata[-4:])[0] == NEGATIVE_TTL[expect.soa]


Row = collections.namedtuple("Row", "id rfc query expect via", defaults=[("udp", "tcp")])
UDP, TCP = ("udp",), ("tcp",)
EDNS = opt()
LABEL63 = "a" * 63

ROWS = []


def rows(*some):
    ROWS.extend(Row(*r) for r in some)


# -- Data as configured, of every type (RFC 1034 section 4.3.2, RFC 3597 sections 3 and 4, RFC 4343 section 4)


def static_rows():
    sets = collections.OrderedDict()
    for line in STATIC:
        owner, ttl, rdtype, text = line.split(" ", 3)
        sets.setdefault((owner, rdtype), []).append((int(ttl), text))
    for (owner, rdtype), found in sets.items():
        if "*" in owner or rdtype == "CNAME" or owner in ("big", "many"):
            continue
        ttl = min(t for t, _ in found)  # RFC 2181 section 5.2: one TTL in a set
        lines = [f"{owner} {ttl} {rdtype} {text}" for _, text in found]
        yield f"{owner}-{rdtype}", "1034 4.3.2", Q(owner, rdtype, edns=EDNS), data(*lines)


rows(*static_rows())
rows(
    ("soa", "1035 3.3.13", Q("@", "SOA"), Expect({NOERROR}, True, more=lambda w, r, via: check_soa(w, r, ZONE, 5))),
    ("soa-inner", "1034 4.2", Q(f"{INNER}.", "SOA"),
     Expect({NOERROR}, True, more=lambda w, r, via: check_soa(w, r, INNER, 7))),
    ("ns-with-addresses", "1034 4.2.1", Q("@", "NS", edns=EDNS), data("@ 3600 NS ns1", "@ 3600 NS ns2", extra=GLUE)),
    ("ns-without-edns", "1034 4.2.1", Q("@", "NS"), data("@ 3600 NS ns1", "@ 3600 NS ns2", extra=GLUE)),
    ("ns-of-inner", "1034 4.2.1", Q("inner", "NS", edns=EDNS),
     data("inner 3600 NS ns1.inner", "inner 3600 NS ns1", extra=["ns1.inner 3600 A 198.51.100.3"])),
    ("ns-elsewhere", "1034 4.2.1", Q(f"{SECOND}.", "NS"), data(f"{SECOND}. 3600 NS ns.example.net.")),
    ("address-of-ns", "1034 4.2.1", Q("ns2", "AAAA"), data("ns2 3600 AAAA 2001:db8::2")),
    ("one-value", "8555 8.4", Q("{d1}", "TXT"), data("{d1} 1 TXT *")),
    ("two-values", "8555 8.4", Q("{d2}", "TXT"), data("{d2} 1 TXT *")),
    ("two-values-edns", "8555 8.4", Q("{d2}", "TXT", edns=EDNS), data("{d2} 1 TXT *")),
    ("case-of-question", "4343 4.1", Q("wWw.aUtH.eXaMpLe.OrG.", "A", edns=EDNS),
     data("www 300 A 192.0.2.80", "www 300 A 192.0.2.81")),
    ("case-of-owner", "4343 4", Q("cAsE", "A"), data("case 300 A 192.0.2.11")),
    ("case-ascii-only", "4343 3", Q("\\192", "A"), nxdomain()),
)


def check_soa(world, reply, zone, minimum):
    (soa,) = reply.answer
    assert (soa.owner.lower(), soa.type) == (world.name("@", zone), 6)
    assert struct.unpack("!L", soa.rdata[-4:])[0] == minimum


# -- What does not exist (RFC 2308 sections 2 and 5, RFC 8020 section 2, RFC 9824 section 3.5 for type 128)

NO_DATA = ["A", "AAAA", "NS", "SOA", "CNAME", "PTR", "HINFO", "MX", "SRV", "NAPTR", "DS", "DNSKEY", "RRSIG", "NSEC",
           "TLSA", "SVCB", "HTTPS", "CAA", "SPF", 666, 65280, 65534]
rows(*((f"delegate-{t}", "2308 2.2", Q("{d2}", t, edns=EDNS), nodata()) for t in NO_DATA))
rows(*((f"empty-delegate-{t}", "2308 2.2", Q("{d0}", t), nodata()) for t in ("TXT", "A", "CNAME", "SOA", "NS", 65280)))
rows(*((f"apex-{t}", "2308 2.2", Q("@", t), nodata()) for t in ("CNAME", "DNSKEY", "SRV", "HTTPS", 65280)))
rows(*((f"ent-{n}-{t}", "8020 2", Q(n, t), nodata()) for n in ("ent", "b.ent", "_tcp", "gap") for t in ("A", "TXT", "NS")))
rows(
    ("nxdomain", "2308 2.1", Q("nothing", "A"), nxdomain()),
    ("nxdomain-edns", "2308 2.1", Q("nothing", "TXT", edns=EDNS), nxdomain()),
    ("nxdomain-deep", "2308 2.1", Q("a.b.c.nothing", "TXT"), nxdomain()),
    ("below-a-host", "2308 2.1", Q("x.www", "A"), nxdomain()),
    ("below-an-empty-non-terminal", "8020 2", Q("x.ent", "A"), nxdomain()),
    ("below-a-delegate", "8020 2", Q("_acme-challenge.{d2}", "TXT"), nxdomain()),
    ("below-an-empty-delegate", "8020 2", Q("x.y.{d0}", "TXT"), nxdomain()),
    ("label-elsewhere", "1034 4.3.2", Q("{d2}.www", "TXT"), nxdomain()),
    ("label-of-another-zone", "1034 4.3.2", Q("{d2}.inner", "TXT"), nxdomain(INNER)),
    ("label-with-more", "1034 4.3.2", Q("!{d2}", "TXT"), nxdomain()),
    ("label-with-nul", "2181 11", Q("{d2}\\000", "TXT"), nxdomain()),
    ("star", "4592 2.1.1", Q("*", "TXT"), nxdomain()),
    ("underscore", "2308 2.1", Q("_acme-challenge", "TXT"), nxdomain()),
    ("label-63", "1035 2.3.4", Q(LABEL63, "A"), nxdomain()),
    ("label-with-dot", "2181 11", Q("a\\.b", "A"), nxdomain()),
    ("dot-is-not-a-cut", "2181 11", Q("leaf\\.b\\.ent", "TXT"), nxdomain()),
    ("backslash", "2181 11", Q("a\\\\b", "A"), nxdomain()),
    ("control-characters", "2181 11", Q("\\001\\010\\013\\127", "A"), nxdomain()),
)

# -- Zones within zones (RFC 1034 section 4.3.2 step 2: the nearest; RFC 4035 section 3.1.4.1 for DS)
rows(
    ("inner-data", "1034 4.3.2", Q("www.inner", "A"), data("www.inner 300 A 192.0.2.90")),
    ("inner-nxdomain", "2308 2.1", Q("nothing.inner", "A"), nxdomain(INNER)),
    ("inner-nodata", "2308 2.2", Q("inner", "A"), nodata(INNER)),
    ("inner-ds-from-above", "4035 3.1.4.1", Q("inner", "DS"), nodata(ZONE)),
    ("deep-ds-from-above", "4035 3.1.4.1", Q("deep.gap", "DS"), nodata(ZONE)),
    ("apex-ds", "4035 3.1.4.1", Q("@", "DS"), nodata(ZONE)),
    ("deep-nodata", "2308 2.2", Q("deep.gap", "TXT"), nodata(DEEP)),
    ("deep-nxdomain", "2308 2.1", Q("a.deep.gap", "TXT"), nxdomain(DEEP)),
    ("beside-deep", "8020 2", Q("x.gap", "A"), nxdomain(ZONE)),
)

# -- CNAME (RFC 1034 section 3.6.2, RFC 2308 section 2.1, RFC 6604 section 3) and wildcards (RFC 4592)
WWW = ("www 300 A 192.0.2.80", "www 300 A 192.0.2.81")
rows(
    ("cname-asked", "1034 3.6.2", Q("alias", "CNAME"), data("alias 300 CNAME www")),
    ("cname-followed", "1034 3.6.2", Q("alias", "A"), data("alias 300 CNAME www", *WWW)),
    ("cname-chain", "1034 3.6.2", Q("chain", "AAAA"),
     data("chain 300 CNAME alias", "alias 300 CNAME www", "www 300 AAAA 2001:db8::80")),
    ("cname-to-nodata", "2308 2.2", Q("alias", "MX"), nodata(answer=["alias 300 CNAME www"])),
    ("cname-to-nothing", "6604 3", Q("gone", "A"), nxdomain(answer=["gone 300 CNAME nothing"])),
    ("cname-away", "1034 4.3.2", Q("away", "A"), data("away 300 CNAME www.example.com.")),
    ("cname-loop", "1034 3.6.2", Q("loop1", "A"), Expect({NOERROR}, True, more=lambda w, r, via: check_loop(r))),
    ("cname-to-values", "1034 3.6.2", Q("to-d2", "TXT", edns=EDNS), data("to-d2 300 CNAME {d2}", "{d2} 1 TXT *")),
    ("cname-to-no-values", "2308 2.2", Q("to-d0", "TXT"), nodata(answer=["to-d0 300 CNAME {d0}"])),
    ("cname-type-below", "1034 3.6.2", Q("x.alias", "A"), nxdomain()),
    ("wildcard", "4592 2.2", Q("any.wild", "TXT"), data('any.wild 300 TXT "wild"')),
    ("wildcard-many-labels", "4592 3.3.1", Q("a.b.c.wild", "TXT"), data('a.b.c.wild 300 TXT "wild"')),
    ("wildcard-nodata", "4592 2.2.1", Q("any.wild", "A"), nodata()),
    ("wildcard-itself", "4592 2.1.1", Q("*.wild", "TXT"), data('*.wild 300 TXT "wild"')),
    ("wildcard-star-below", "4592 3.3.1", Q("x.*.wild", "TXT"), nxdomain()),
    ("wildcard-name-exists", "4592 2.2.1", Q("host.wild", "TXT"), nodata()),
    ("wildcard-below-existing", "4592 2.2.1", Q("x.host.wild", "TXT"), nxdomain()),
    ("wildcard-ent-exists", "4592 2.2.2", Q("ent.wild", "TXT"), nodata()),
    ("wildcard-below-ent", "4592 2.2.2", Q("x.ent.wild", "TXT"), nxdomain()),
    ("wildcard-parent", "4592 2.2.1", Q("wild", "TXT"), nodata()),
    ("wildcard-case", "4343 4", Q("ANY.wIlD", "TXT"), data('any.wild 300 TXT "wild"')),
    ("wildcard-cname", "4592 3.3.3", Q("x.cwild", "A"), data("x.cwild 300 CNAME www", *WWW)),
    ("wildcard-at-apex", "4592 2.2", Q(f"what.ever.{SECOND}.", "A"), data(f"what.ever.{SECOND}. 300 A 192.0.2.99")),
    ("wildcard-not-for-apex", "4592 2.2.1", Q(f"{SECOND}.", "A"), nodata(SECOND)),
    ("wildcard-not-over-real", "4592 2.2.1", Q(f"real.{SECOND}.", "A"), nodata(SECOND)),
)


def check_loop(reply):
    assert {r.type for r in reply.answer} == {5} and reply.authority == []


# -- Not ours (RFC 8906 section 3.1.1: refuse, do not keep silent; RFC 8914 section 4.21; no upward referral)
rows(*((f"refused-{i}", "8906 3.1.1", Q(n, t, edns=EDNS), refused(ede=20)) for i, (n, t) in enumerate([
    (".", "NS"), (".", "DNSKEY"), (".", ANY), ("org.", "SOA"), ("example.org.", "NS"), ("example.org.", "DS"),
    ("www.example.com.", "A"), (f"x{ZONE}.", "TXT"), (f"{ZONE}x.", "TXT"), ("auth.example.", "A"), ("test.", "SOA"),
    ("{d2}.", "TXT"), ("{d2}.evil.test.", "TXT"), ("{d2}\\.auth.example.org.", "TXT"), ("auth\\.example.org.", "SOA"),
    ("version.bind.", "TXT"), ("1.0.0.127.in-addr.arpa.", "PTR"), ("localhost.", "A")])))
rows(("refused-without-edns", "8906 3.1.1", Q("www.example.com."), refused()))

# -- Classes (RFC 1035 section 3.2.4, RFC 4892, RFC 6895 section 3.2)
CHAOS = ("version.bind.", "version.server.", "id.server.", "hostname.bind.", "authors.bind.")
rows(*((f"chaos-{n}", "4892 2", Q(n, "TXT", CH), refused()) for n in CHAOS))
rows(*((f"class-{c}-{i}", "6895 3.2", Q(n, t, c), error(REFUSED, NOTIMP, FORMERR))
       for c in (0, 2, HS, NONE, ANY_CLASS, 65280, 65535) for i, (n, t) in enumerate([("{d2}", "TXT"), ("@", "SOA")])))

# -- Types that are no types of data (RFC 6895 section 3.1, RFC 8482, RFC 5936 section 2.2.1, RFC 1995 section 2)
rows(*((f"meta-{t}", "6895 3.1", Q("{d2}", t), Expect({NOERROR, FORMERR, NOTIMP, REFUSED}, more=lambda w, r, via: no_data(r)))
       for t in (0, 41, 249, 250, 253, 254, 65535)))
rows(
    ("nxname", "9824 3.5", Q("{d2}", 128, edns=EDNS), error(FORMERR, ede=30)),
    ("nxname-nothing", "9824 3.5", Q("nothing", 128), error(FORMERR)),
    ("axfr", "5936 2.2.1", Q("@", "AXFR"), error(REFUSED), TCP),
    ("axfr-of-inner", "5936 2.2.1", Q("inner", "AXFR"), error(REFUSED), TCP),
    ("axfr-no-zone", "5936 2.2.1", Q("www", "AXFR"), error(NOTAUTH), TCP),
    ("axfr-not-ours", "5936 2.2.1", Q("example.com.", "AXFR"), error(NOTAUTH), TCP),
    ("axfr-udp", "5936 4.2", Q("@", "AXFR"), error(REFUSED, NOTIMP, FORMERR), UDP),
    ("ixfr", "1995 2", Q("@", "IXFR", ns=1, tail=record(f"{ZONE}.", "SOA", IN, 0, b"\0\0" + bytes(20))), error(REFUSED)),
    ("ixfr-without-soa", "1995 3", Q("@", "IXFR"), error(REFUSED, FORMERR)),
)


def no_data(reply):
    assert reply.answer == [] and (reply.authority == [] or reply.authority[0].type == 6)


def small(sets):
    """RFC 8482 section 4: one of the sets there are, or a made-up HINFO."""
    def look(world, reply, via):
        kinds = {(r.owner.lower(), r.type) for r in reply.answer}
        assert len(kinds) == 1
        expected = world.records(sets)
        assert {r.type for r in reply.answer} == {13} or {r.key for r in reply.answer} == {
            e for e in expected if e[1] == reply.answer[0].type}
    return look


rows(
    ("any-www", "8482 4.1", Q("www", ANY), Expect({NOERROR}, True, more=small([*WWW, "www 300 AAAA 2001:db8::80"]))),
    ("any-apex", "8482 4.1", Q("@", ANY, edns=EDNS), Expect({NOERROR}, True, more=lambda w, r, via: (
        len({x.type for x in r.answer}) == 1) or pytest.fail(str(r)))),
    ("any-values", "8482 4.1", Q("{d2}", ANY), Expect({NOERROR}, True, more=small(["{d2} 1 TXT *"]))),
    ("any-no-values", "8482 4.1", Q("{d0}", ANY), nodata()),
    ("any-cname", "8482 4.1", Q("alias", ANY), Expect({NOERROR}, True, more=small(["alias 300 CNAME www"]))),
    ("any-nothing", "8482 4.1", Q("nothing", ANY), nxdomain()),
    ("any-ent", "8482 4.1", Q("ent", ANY), nodata()),
    ("any-wildcard", "8482 4.1", Q("x.wild", ANY), Expect({NOERROR}, True, more=small(['x.wild 300 TXT "wild"']))),
    ("any-big", "8482 4.1", Q("big", ANY, edns=EDNS), Expect({NOERROR}, True, more=lambda w, r, via: (
        len({x.type for x in r.answer}) <= 1) or pytest.fail(str(r)))),
)

# -- Header: flags that mean nothing in a query are ignored, and cleared (RFC 1035 section 4.1.1, RFC 6895 section 2.1,
# -- RFC 4035 section 3.1.6); opcodes (RFC 8906 section 3.1.4, RFC 1996 section 3.12, RFC 2136 section 3.8)
rows(*((f"flag-{f:04x}", "6895 2.1", Q("mail", flags=f), data("mail 300 A 192.0.2.25"))
       for f in (0, RD, AA, TC, RA, Z, AD, CD, AA | TC | RA | Z | AD | CD, 0x000F, RD | 3)))
rows(*((f"flag-nxdomain-{f:04x}", "6895 2.1", Q("nothing", flags=f), nxdomain()) for f in (RD, Z, AD | CD)))
rows(*((f"opcode-{o}", "8906 3.1.4", Q("@", "SOA", flags=o << 11), error(NOTIMP)) for o in (1, 2, 3, 6, *range(7, 16))))
rows(*((f"opcode-{o}-edns", "8906 3.1.4", Q("@", "SOA", flags=o << 11, edns=EDNS), error(NOTIMP)) for o in (3, 15)))
rows(
    ("opcode-15-header-only", "8906 3.1.4", header(flags=15 << 11, qd=0), error(NOTIMP, FORMERR)),
    ("notify", "1996 3.12", Q("@", "SOA", flags=4 << 11 | AA), error(NOTIMP, REFUSED)),
    ("notify-not-ours", "1996 3.12", Q("example.com.", "SOA", flags=4 << 11), error(NOTIMP, REFUSED, NOTAUTH)),
    ("update", "2136 3.8", Q("@", "SOA", flags=5 << 11, ns=1, tail=record("new." + ZONE + ".", "A", IN, 1, b"\1\2\3\4")),
     error(NOTIMP, REFUSED)),
    ("update-not-ours", "2136 3.1.2", Q("example.com.", "SOA", flags=5 << 11), error(NOTIMP, REFUSED, NOTAUTH)),
    ("qr", "1035 4.1.1", Q("www", flags=QR), DROP),
    ("qr-everything", "1035 4.1.1", Q("www", flags=0xFFFF), DROP),
    ("qr-header-only", "1035 4.1.1", header(flags=QR, qd=0), DROP),
)

# -- Messages that are none (RFC 1035 sections 4.1 and 4.2, RFC 9619): FORMERR where there is an id to answer to
BAD = error(FORMERR, None)
WHOLE = header() + question("www." + ZONE + ".")
rows(*((f"short-{n}", "1035 4.1.1", header()[:n], DROP, UDP) for n in range(12)))
rows(*((f"cut-{n}", "1035 4.1.2", WHOLE[:n], BAD) for n in (13, 14, 16, 20, 33, len(WHOLE) - 3, len(WHOLE) - 1)))
rows(
    ("header-only", "9619 4", header(), error(FORMERR)),
    ("no-question", "9619 4", header(qd=0), error(FORMERR)),
    ("no-question-edns", "9619 4", header(qd=0, ar=1) + EDNS, error(FORMERR)),
    ("two-questions", "9619 4", header(qd=2) + question("www." + ZONE + ".") * 2, error(FORMERR)),
    ("two-questions-one-there", "9619 4", header(qd=2) + question("www." + ZONE + "."), error(FORMERR)),
    ("questions-65535", "9619 4", header(qd=65535) + question("www." + ZONE + "."), error(FORMERR)),
    ("question-uncounted", "9619 4", header(qd=0) + question("www." + ZONE + "."), error(FORMERR)),
    ("answer-missing", "1035 4.1.1", header(an=1) + question("www." + ZONE + "."), error(FORMERR)),
    ("authority-missing", "1035 4.1.1", header(ns=1) + question("www." + ZONE + "."), error(FORMERR)),
    ("additional-missing", "1035 4.1.1", header(ar=1) + question("www." + ZONE + "."), error(FORMERR)),
    ("counts-65535", "1035 4.1.1", header(an=65535, ns=65535, ar=65535) + question("www." + ZONE + "."), error(FORMERR)),
    ("record-cut", "1035 4.1.3", header(ar=1) + question("www." + ZONE + ".") + EDNS[:-1], error(FORMERR)),
    ("rdlength-overrun", "1035 4.1.3", header(ar=1) + question("www." + ZONE + ".") + b"\0\0\1\0\1\0\0\0\0\0\5abcd",
     error(FORMERR)),
    ("label-type-40", "6891 5", header() + b"\x41a\0\0\1\0\1", BAD),
    ("label-type-80", "1035 4.1.4", header() + b"\x81a\0\0\1\0\1", BAD),
    ("label-64", "1035 2.3.4", header() + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", BAD),
    ("pointer-to-itself", "1035 4.1.4", header() + b"\xc0\x0c\0\1\0\1", BAD),
    ("pointer-forward", "1035 4.1.4", header() + b"\xc0\x12\0\1\0\1\3www\0", BAD),
    ("pointer-loop", "1035 4.1.4", header() + b"\1a\xc0\x0c\0\1\0\1", BAD),
    ("pointer-to-header", "1035 4.1.4", header() + b"\xc0\x04\0\1\0\1", BAD),
    ("pointer-cut", "1035 4.1.4", header() + b"\xc0", BAD),
    ("pointer-past-end", "1035 4.1.4", header() + b"\xff\xff\0\1\0\1", BAD),
    ("name-256", "1035 2.3.4", header() + (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\1a\0\0\1\0\1", BAD),
    ("labels-128", "1035 2.3.4", header() + b"\1a" * 128 + b"\0\0\1\0\1", BAD),
    ("name-endless", "1035 2.3.4", header() + (b"\x3f" + b"a" * 63) * 8, BAD),
    ("trailing-byte", "1035 4.1", WHOLE + b"\0", Expect({NOERROR, FORMERR}, more=lambda w, r, via: None)),
    ("trailing-record", "1035 4.1", WHOLE + EDNS, Expect({NOERROR, FORMERR}, more=lambda w, r, via: None)),
    ("trailing-500", "1035 4.1", WHOLE + bytes(500), Expect({NOERROR, FORMERR}, more=lambda w, r, via: None)),
    ("answer-in-query", "1035 4.1", Q("mail", an=1, tail=record("x.", "A", IN, 1, b"\1\2\3\4")),
     Expect({NOERROR, FORMERR}, more=lambda w, r, via: None)),
    ("root", "1035 3.1", Q(".", "A"), refused()),
)
APEX_WIRE = packets.name_wire(ZONE)
ROOM = 255 - len(APEX_WIRE)
rows(
    ("name-255", "1035 2.3.4", Q((b"\x3f" + b"a" * 63) * (ROOM // 64) + bytes([ROOM % 64 - 1]) + b"a" * (ROOM % 64 - 1)
                                 + APEX_WIRE, "TXT", edns=EDNS), nxdomain()),
    ("labels-most", "1035 2.3.4", Q(b"\1a" * (ROOM // 2) + APEX_WIRE, "TXT"), nxdomain()),
    ("labels-127", "1035 2.3.4", Q(b"\1a" * 127 + b"\0", "TXT"), refused()),
    ("name-255-below-delegate", "1035 2.3.4", Q("a." * 90 + "{d2}", "TXT"), nxdomain()),
)

# -- EDNS (RFC 6891 section 6.1, RFC 3225 section 3)
rows(*((f"size-{s}", "6891 6.2.3", Q("{d2}", "TXT", edns=opt(size=s)), data("{d2} 1 TXT *"))
       for s in (0, 1, 2, 255, 256, 511, 512, 1231, 1232, 1233, 4096, 65535)))
rows(*((f"size-{s}-too-small", "6891 6.2.5", Q("{d32}", "TXT", edns=opt(size=s)), data("{d32} 1 TXT *", truncated=True))
       for s in (0, 511, 512, 900, 1232, 4096, 65535)))
rows(*((f"badvers-{v}", "6891 6.1.3", Q("{d2}", "TXT", edns=opt(version=v)), error(BADVERS)) for v in (1, 2, 255)))
rows(*((f"option-{c}-{len(d)}", "6891 6.1.2", Q("{d2}", "TXT", edns=opt(option(c, d))), data("{d2} 1 TXT *"))
       for c, d in [(0, b""), (1, b"x"), (5, b"\x08"), (EXPIRE, b""), (PADDING, bytes(40)), (13, b"\0"), (14, b"\1\2"),
                    (16, b""), (17, b"\0"), (ECS, b"\0\1\x18\0\xc0\0\2"), (ECS, b"bad"), (4, b"x" * 8), (26946, b"y"),
                    (65001, b"whatever"), (65535, b""), (NSID, b""), (KEEPALIVE, b""), (EDE, b"\0\0")]))
rows(
    ("badvers-nxdomain", "6891 6.1.3", Q("nothing", "TXT", edns=opt(version=1)), error(BADVERS)),
    ("badvers-refused", "6891 6.1.3", Q("example.com.", "A", edns=opt(version=1)), error(BADVERS, REFUSED)),
    ("badvers-options", "6891 6.1.3", Q("{d2}", "TXT", edns=opt(option(65001, b"x") + option(NSID), version=1)),
     error(BADVERS)),
    ("badvers-do", "3225 3", Q("{d2}", "TXT", edns=opt(version=1, flags=DO)), error(BADVERS)),
    ("do", "3225 3", Q("{d2}", "TXT", edns=opt(flags=DO)), data("{d2} 1 TXT *")),
    ("do-nxdomain", "3225 3", Q("nothing", "TXT", edns=opt(flags=DO)), nxdomain()),
    ("do-refused", "3225 3", Q("example.com.", "TXT", edns=opt(flags=DO)), refused()),
    ("other-flags", "6891 6.1.4", Q("{d2}", "TXT", edns=opt(flags=0x7FFF)), data("{d2} 1 TXT *")),
    ("extended-rcode-in-query", "6891 6.1.3", Q("{d2}", "TXT", edns=opt(rcode=255)), data("{d2} 1 TXT *")),
    ("options-50", "6891 6.1.2", Q("{d2}", "TXT", edns=opt(option(65001, b"x") * 50)), data("{d2} 1 TXT *")),
    ("two-opt", "6891 6.1.1", Q("www", edns=EDNS, tail=EDNS, ar=2), error(FORMERR)),
    ("three-opt", "6891 6.1.1", Q("www", edns=EDNS, tail=EDNS * 2, ar=3), error(FORMERR)),
    ("opt-with-owner", "6891 6.1.2", Q("www", edns=opt(owner=b"\1x\0")), error(FORMERR)),
    ("opt-in-answer", "6891 6.1.1", Q("www", an=1, tail=EDNS), error(FORMERR)),
    ("opt-in-authority", "6891 6.1.1", Q("www", ns=1, tail=EDNS), error(FORMERR)),
    ("opt-before-record", "6891 6.1.1",
     Q("{d2}", "TXT", edns=EDNS + record("x.", "A", IN, 1, b"\1\2\3\4"), ar=2), data("{d2} 1 TXT *")),
    *((f"option-header-cut-{n}", "6891 6.1.2", Q("www", edns=opt(b"\0\x0a\0"[:n])), error(FORMERR)) for n in (1, 2, 3)),
    ("option-overrun", "6891 6.1.2", Q("www", edns=opt(b"\xfd\xe9\0\5abcd")), error(FORMERR)),
    ("option-overrun-65535", "6891 6.1.2", Q("www", edns=opt(b"\xfd\xe9\xff\xff")), error(FORMERR)),
    ("opt-rdlength-overrun", "6891 6.1.2", header(ar=1) + question("www." + ZONE + ".") + EDNS[:-2] + b"\0\4",
     error(FORMERR)),
)

# -- Truncation (RFC 2181 section 9, RFC 9715 section 3)
rows(
    ("tc-values", "2181 9", Q("{d32}", "TXT"), data("{d32} 1 TXT *", truncated=True)),
    ("tc-cname-to-values", "2181 9", Q("to-d32", "TXT", edns=EDNS),
     data("to-d32 300 CNAME {d32}", "{d32} 1 TXT *", truncated=True)),
    ("tc-txt", "2181 9", Q("big", "TXT", edns=opt(size=65535)), data(f"big 300 TXT {LONG}", truncated=True)),
    ("tc-addresses", "2181 9", Q("many", "A", edns=EDNS), data(*(f"many 300 A 192.0.2.{i}" for i in range(100, 160)))),
    ("tc-addresses-512", "2181 9", Q("many", "A"),
     data(*(f"many 300 A 192.0.2.{i}" for i in range(100, 160)), truncated=True)),
)

# -- TSIG (RFC 8945 sections 5.1 and 5.2.1): no key is known here


def bad_key(key="unknown.key.", algorithm="hmac-sha256."):
    def look(world, reply, via):
        assert reply.answer == [] and reply.authority == []
        (found,) = [r for r in reply.additional if r.type == packets.TSIG_TYPE]
        assert reply.additional[-1] is found and (found.rdclass, found.ttl) == (ANY_CLASS, 0)
        assert found.owner.lower() == packets.name_wire(key)
        name, at = packets.read_name(found.raw, 0)
        mac, ident, code, other = struct.unpack("!4H", found.raw[at + 8:])
        assert (name, mac, ident, code, other) == (packets.name_wire(algorithm), 0, 0x1234, 17, 0)
    return Expect({NOTAUTH}, more=look)


rows(
    ("tsig", "8945 5.2.1", Q("www", tail=tsig(), ar=1), bad_key()),
    ("tsig-edns", "8945 5.2.1", header(ar=2) + question(f"www.{ZONE}.") + EDNS + tsig(), bad_key()),
    ("tsig-not-ours", "8945 5.2.1", Q("example.com.", tail=tsig(), ar=1), bad_key()),
    ("tsig-axfr", "8945 5.2.1", Q("@", "AXFR", tail=tsig(), ar=1), bad_key(), TCP),
    ("tsig-algorithm", "8945 5.2.1", Q("www", tail=tsig(algorithm="hmac-nonsense."), ar=1),
     bad_key(algorithm="hmac-nonsense.")),
    ("tsig-no-mac", "8945 5.2.1", Q("www", tail=tsig(mac=b""), ar=1), bad_key()),
    ("tsig-not-last", "8945 5.1", Q("www", edns=tsig() + EDNS, ar=2), error(FORMERR)),
    ("tsig-twice", "8945 5.1", Q("www", tail=tsig() * 2, ar=2), error(FORMERR)),
    ("tsig-in-answer", "8945 5.1", Q("www", an=1, tail=tsig()), error(FORMERR)),
    ("tsig-class-in", "8945 4.2", Q("www", tail=tsig(rdclass=IN), ar=1), error(FORMERR, NOTAUTH)),
    ("tsig-ttl", "8945 4.2", Q("www", tail=tsig(ttl=1), ar=1), error(FORMERR, NOTAUTH)),
    ("tsig-empty", "8945 4.2", Q("www", tail=record("k.", 250, ANY_CLASS, 0, b""), ar=1), error(FORMERR)),
    ("tsig-short", "8945 4.2", Q("www", tail=record("k.", 250, ANY_CLASS, 0, packets.name_wire("hmac-sha256.") + bytes(9)),
                                 ar=1), error(FORMERR)),
    ("tsig-mac-overrun", "8945 4.2", Q("www", tail=record(
        "k.", 250, ANY_CLASS, 0, packets.name_wire("hmac-sha256.") + bytes(8) + b"\xff\xff" + bytes(6)), ar=1), error(FORMERR)),
    ("sig0", "2931 3.1", Q("mail", tail=record(".", 24, ANY_CLASS, 0, bytes(18) + b"\0" + bytes(64)), ar=1),
     Expect({NOERROR, FORMERR, NOTIMP, NOTAUTH, REFUSED}, more=lambda w, r, via: None)),
)

assert len({r.id for r in ROWS}) == len(ROWS), [i for i, n in collections.Counter(r.id for r in ROWS).items() if n > 1]


def has_opt(row, wire):
    """The OPT record as the server must see it, or None."""
    if isinstance(row.query, Q):
        return row.query.edns
    return EDNS if EDNS in wire and row.id.startswith(("tsig", "no-question-edns")) else None


@pytest.mark.parametrize("via,row", [pytest.param(v, r, id=f"{r.id}-{v}") for r in ROWS for v in r.via])
def test_row(world, row, via):
    wire = row.query.wire(world) if isinstance(row.query, Q) else row.query
    replies = world.ask(via, wire)
    if not replies:
        assert None in row.expect.rcodes, "no reply"
        return
    assert len(replies) == 1
    check(world, row.expect, wire, Reply(replies[0]), via, has_opt(row, wire))


# ---- Everything of a kind at once


def pipeline(world, wires, timeout=30):
    """Many queries on one connection; their replies by id. Sent and read in turns, so that no buffer must hold all."""
    found = {}
    with socket.create_connection((LOOPBACK[4], world.server.dns_port), timeout=timeout) as s:
        with s.makefile("rb") as f:
            for at in range(0, len(wires), 256):
                s.sendall(packets.framed(*wires[at:at + 256]))
                for _ in wires[at:at + 256]:
                    reply = f.read(struct.unpack("!H", f.read(2))[0])
                    found[struct.unpack("!H", reply[:2])[0]] = reply
    return found


def test_every_type(world):
    """RFC 3597 section 3: a type nobody knows is a type without data. (CVE-2021-36754 was type 65535.)"""
    name = world.name("{d2}")
    replies = pipeline(world, [header(ident=t) + question(name, t) for t in range(65536)])
    expected = bytes([0x84, NOERROR])
    other = {t: r[2:4] for t, r in replies.items() if r[2:4] != expected or r[6:10] != b"\0\0\0\1"}
    assert len(replies) == 65536
    # 16 and 255 have data; 128 is refused (RFC 9824); of meta types only that they are answered without data is fixed.
    assert {16, 255, 128} <= set(other) <= {0, 16, 41, 128, *range(249, 256), 65535}, other
    assert all(r[6:8] == b"\0\0" for t, r in replies.items() if t not in (16, 255))


@pytest.mark.parametrize("name", ["{d2}", "nothing", "example.com.", "version.bind.", "@"])
def test_every_class_and_opcode(world, name):
    """65 classes x 16 opcodes: one reply each, data in class IN alone (RFC 6895 section 3.2, RFC 8906 section 3.1.4)."""
    wire = world.name(name)
    asked = [(c, o) for c in (*range(64), 255) for o in range(16)]
    replies = pipeline(world, [header(ident=i, flags=o << 11) + question(wire, "SOA", c) for i, (c, o) in enumerate(asked)])
    assert len(replies) == len(asked)
    for i, (rdclass, opcode) in enumerate(asked):
        reply = Reply(replies[i])
        assert reply.opcode == opcode and reply.flags & QR
        if opcode:
            assert reply.rcode in (NOTIMP, REFUSED, NOTAUTH, FORMERR) and reply.answer == reply.authority == []
        elif rdclass != IN:
            assert reply.rcode in (NOTIMP, REFUSED, FORMERR) and reply.answer == reply.authority == []


def test_order_is_stable(world):
    wire = Q("{d32}", "TXT").wire(world)
    first = world.ask("tcp", wire)
    assert all(world.ask("tcp", wire) == first for _ in range(20))
    wire = Q("{d2}", "TXT").wire(world)
    assert world.ask("udp", wire) == world.ask("tcp", wire)


# ---- Amplification


def test_no_amplification(world):
    """At most 4 bytes out for each byte in, whatever is asked: over UDP a forged sender is the one who gets them. What
    is larger comes truncated; but the answers that this server is there for, up to two values, come whole."""
    owners = sorted({line.split(" ")[0] for line in STATIC} | {
        "ns1", "inner", "deep.gap", "nothing", "ent", "x.wild", "x.cwild", "to-d1", "to-d2", "to-d32", "{d0}", "{d1}",
        "{d2}", "{d32}", f"{SECOND}.", f"x.{SECOND}.", "example.com.", "."})
    types = sorted({line.split(" ")[2] for line in STATIC} | {"NS", "SOA", "DS", "DNSKEY", "ANY"})
    asked = {r.id: (r.query.wire(world) if isinstance(r.query, Q) else r.query) for r in ROWS if "udp" in r.via}
    for owner in owners:
        for rdtype in types:
            for edns in (None, EDNS, opt(size=4096, flags=DO), opt(option(NSID)), opt(option(COOKIE, b"c" * 8))):
                wire = Q(owner, rdtype, edns=edns).wire(world)
                asked[f"{owner} {rdtype} {edns!r}"] = wire
    worst = {}
    for name, wire in asked.items():
        for reply in world.ask("udp", wire):
            if len(reply) > AMPLIFICATION * len(wire):
                worst[name] = f"{len(reply) / len(wire):.2f} ({len(wire)} -> {len(reply)})"
    assert not worst, worst


@pytest.mark.parametrize("name", ["{d0}", "{d1}", "{d2}"])
@pytest.mark.parametrize("edns", [None, EDNS, opt(size=512), opt(size=4096, flags=DO)], ids=["plain", "1232", "512", "do"])
def test_two_values_come_whole(world, name, edns):
    wire = Q(name, "TXT", edns=edns).wire(world)
    reply = world.one("udp", wire)
    assert not reply.flags & TC and len(reply.answer) == len(world.values[name[1:-1]])
    assert len(reply.wire) <= AMPLIFICATION * len(wire)


# ---- TCP (RFC 7766, RFC 9210)


def tcp(world, family=4):
    return socket.create_connection((LOOPBACK[family], world.server.dns_port), timeout=5)


def small_queries(count):
    return [header(ident=i) + question(f"mail.{ZONE}.") for i in range(count)]


def read_ids(s, count):
    ids = []
    for _ in range(count):
        reply = packets.read_framed(s)
        assert reply, f"closed after {len(ids)} of {count} replies"
        assert Reply(reply).rcode == NOERROR
        ids.append(Reply(reply).id)
    return ids


def test_tcp_200_in_one_write(world):
    """RFC 7766 section 6.2.1.1."""
    with tcp(world) as s:
        s.sendall(packets.framed(*small_queries(200)))
        assert sorted(read_ids(s, 200)) == list(range(200))


def test_tcp_byte_by_byte(world):
    """RFC 7766 section 8: a message may come in any pieces."""
    with tcp(world) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in packets.framed(*small_queries(3)):
            s.send(bytes([byte]))
        assert read_ids(s, 3) == [0, 1, 2]


@pytest.mark.parametrize("cut", [1, 2, 3, 13, 14, 40])
def test_tcp_cut(world, cut):
    """The length and the message apart, and a message across two writes; the second asked only after the first is
    answered, so that the pieces cannot be joined on the way."""
    first, second = small_queries(2)
    stream = packets.framed(first, second)
    at = len(packets.framed(first)) + cut
    with tcp(world) as s:
        s.sendall(stream[:at])
        assert read_ids(s, 1) == [0]
        s.sendall(stream[at:])
        assert read_ids(s, 1) == [1]


def test_tcp_half_closed(world):
    """RFC 7766 section 6.2.3: who has asked all may say so and still gets all answers."""
    with tcp(world) as s:
        s.sendall(packets.framed(*small_queries(100)))
        s.shutdown(socket.SHUT_WR)
        assert sorted(read_ids(s, 100)) == list(range(100))
        assert s.recv(1) == b""


def test_tcp_stays_open(world):
    """RFC 7766 section 6.2.1: a connection is for more than one query."""
    with tcp(world) as s:
        for i, wire in enumerate(small_queries(20)):
            s.sendall(packets.framed(wire))
            assert read_ids(s, 1) == [i]


@pytest.mark.parametrize("stream", [b"\0\0", b"\xff\xff", b"\xff\xff" + bytes(5000), b"\0\5short", b"\0", b""],
                         ids=["zero", "65535", "65535-and-some", "short", "half-length", "nothing"])
def test_tcp_nonsense(world, stream):
    """What cannot be a message ends at most its own connection; the answers before it are given."""
    with tcp(world) as s:
        s.sendall(packets.framed(*small_queries(1)) + stream)
        assert read_ids(s, 1) == [0]
        s.shutdown(socket.SHUT_WR)
        assert packets.read_framed(s) is None
    assert world.one("udp", Q("mail").wire(world)).rcode == NOERROR


def test_tcp_large_query(world):
    """The longest query there is reason for: every option a resolver may send, and padding (RFC 7830)."""
    with tcp(world) as s:
        s.sendall(packets.framed(packets.query(f"mail.{ZONE}.", edns=opt(option(PADDING, bytes(2000))))))
        assert Reply(packets.read_framed(s)).rcode == NOERROR


def test_tcp_keepalive(world):
    """RFC 7828 section 3.3.2: the idle timeout in units of 100 ms, to who asks for it."""
    reply = world.one("tcp", packets.query(f"mail.{ZONE}.", edns=opt(option(KEEPALIVE))))
    assert len(reply.options[KEEPALIVE]) == 2
    assert 10 <= struct.unpack("!H", reply.options[KEEPALIVE])[0] <= 3000


def test_tcp_many_names_one_connection(world):
    """Different questions in flight, each answered by its own id."""
    wires = [packets.header(ident=i) + question(world.name(n), t) for i, (n, t) in enumerate(
        [("{d1}", "TXT"), ("nothing", "A"), ("@", "SOA"), ("{d32}", "TXT"), ("example.com.", "A"), ("big", "TXT")] * 10)]
    with tcp(world) as s:
        s.sendall(packets.framed(*wires))
        for _ in wires:
            reply = Reply(packets.read_framed(s))
            assert wires[reply.id][12:] == reply.question


# ---- What is told on request: NSID, class CH, and cookies with a known secret

SECRETS = [bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf"), bytes.fromhex("445536bcd2513298075a5d379663c962")]
CLIENT = bytes.fromhex("2464c4abcf10c957")


@pytest.fixture(scope="module")
def told():
    """A server that tells its name, and two cookie secrets as in a rollover."""
    one = Server()
    secrets = one.folder / "cookie-secrets"
    secrets.write_text("".join(s.hex() + "\n" for s in SECRETS))
    secrets.chmod(0o600)
    own(secrets)
    one.configure(dns={"nsid": "ns1.test", "identity": "dns-1", "version": "acme-delegate 1",
                       "cookie_secret_file": str(secrets), "rate_limit": {"responses_per_second": 0}})
    with one.running():
        yield one


def ask(server, wire, via="udp", family=4, source=None):
    method = packets.ask_udp if via == "udp" else packets.ask_tcp
    (reply,) = method((LOOPBACK[family], server.dns_port), wire, packets.sentinel(ZONE), source=source)
    assert via == "tcp" or len(reply) <= AMPLIFICATION * len(wire) or valid_cookie_in(wire)
    return Reply(reply)


def valid_cookie_in(wire):
    return CLIENT + b"\1\0\0\0" in wire


@pytest.mark.parametrize("via", ["udp", "tcp"])
@pytest.mark.parametrize("name,rdtype", [("@", "SOA"), ("nothing", "A"), ("example.com.", "A"), ("@", "AXFR")])
@pytest.mark.parametrize("payload", [b"", b"ignored"])
def test_nsid(told, via, name, rdtype, payload):
    """RFC 5001 sections 2.1 and 2.2: to who asks, whatever the answer is; what the query carries is ignored."""
    owner = ZONE + "." if name == "@" else name if name.endswith(".") else f"{name}.{ZONE}."
    assert ask(told, packets.query(owner, rdtype, edns=opt(option(NSID, payload))), via).options[NSID] == b"ns1.test"
    assert NSID not in ask(told, packets.query(owner, rdtype, edns=EDNS), via).options


@pytest.mark.parametrize("via", ["udp", "tcp"])
@pytest.mark.parametrize("name,text", [("id.server.", b"dns-1"), ("hostname.bind.", b"dns-1"), ("HostName.Bind.", b"dns-1"),
                                       ("version.server.", b"acme-delegate 1"), ("version.bind.", b"acme-delegate 1")])
def test_chaos(told, via, name, text):
    """RFC 4892 section 2: TXT in class CH, TTL 0."""
    for edns in (None, EDNS):
        wire = packets.query(name, "TXT", CH, edns=edns)
        reply = ask(told, wire, via)
        (found,) = reply.answer
        assert (reply.rcode, found.owner.lower(), found.type, found.rdclass, found.ttl) == (
            NOERROR, packets.name_wire(name.lower()), 16, CH, 0)
        assert found.raw == bytes([len(text)]) + text
        assert wire[12:].startswith(reply.question) and bool(reply.opt) == bool(edns)


@pytest.mark.parametrize("name,rdtype,rdclass", [
    ("authors.bind.", "TXT", CH), ("id.server.x.", "TXT", CH), ("x.id.server.", "TXT", CH), (f"{ZONE}.", "SOA", CH),
    (".", "TXT", CH), ("bind.", "TXT", CH), ("id.server.", "TXT", HS), ("version.bind.", "TXT", IN)])
def test_chaos_nothing_else(told, name, rdtype, rdclass):
    reply = ask(told, packets.query(name, rdtype, rdclass))
    assert reply.rcode in (REFUSED, NOTIMP) and reply.answer == [] and not reply.flags & AA


@pytest.mark.parametrize("rdtype", ["A", "SOA", "NS", "AXFR"])
def test_chaos_other_types(told, rdtype):
    reply = ask(told, packets.query("id.server.", rdtype, CH))
    assert reply.rcode in (REFUSED, NOERROR, NOTIMP) and reply.answer == []


def cookie_query(cookie, name=f"mail.{ZONE}.", more=b"", **kw):
    return packets.query(name, "A", edns=opt(option(COOKIE, cookie) + more), **kw)


def cookie_probe(cookie):
    """RFC 7873 section 5.4: no question, only the cookie. NOERROR says that it is valid, BADCOOKIE that it is not."""
    return header(qd=0, ar=1) + opt(option(COOKIE, cookie))


def made(secret=SECRETS[0], age=0, address=LOOPBACK[4], **kw):
    return CLIENT + siphash.server_cookie(secret, CLIENT, address, int(time.time()) - age, **kw)


def check_cookie(reply, address=LOOPBACK[4], secret=SECRETS[0]):
    """RFC 9018 section 4: the client's 8 octets, then ours of 16, made now with the first secret."""
    cookie = reply.options[COOKIE]
    assert len(cookie) == 24 and cookie[:8] == CLIENT and cookie[8:12] == b"\1\0\0\0"
    when = struct.unpack("!L", cookie[12:16])[0]
    assert abs(when - time.time()) <= 1800 + 5
    assert cookie[8:] == siphash.server_cookie(secret, CLIENT, address, when)


@pytest.mark.parametrize("via", ["udp", "tcp"])
@pytest.mark.parametrize("length", [*range(8), *range(9, 16), 41, 48, 100])
def test_cookie_malformed(told, via, length):
    """RFC 7873 section 5.2.2."""
    reply = ask(told, cookie_query(bytes(length)), via)
    assert reply.rcode == FORMERR and reply.answer == [] and COOKIE not in reply.options


@pytest.mark.parametrize("via", ["udp", "tcp"])
@pytest.mark.parametrize("name,rcode", [(f"alias.{ZONE}.", NOERROR), (f"nothing.{ZONE}.", NXDOMAIN), ("example.com.", REFUSED)])
def test_cookie_first_contact(told, via, name, rcode):
    """RFC 7873 section 5.2.3: answered, with a cookie for the next time, whatever the answer is."""
    reply = ask(told, cookie_query(CLIENT, name), via)
    assert reply.rcode == rcode
    check_cookie(reply)


@pytest.mark.parametrize("family", FAMILIES)
def test_cookie_of_the_address(told, family):
    reply = ask(told, cookie_query(CLIENT), family=family)
    check_cookie(reply, LOOPBACK[family])
    assert ask(told, cookie_probe(reply.options[COOKIE]), family=family).rcode == NOERROR


@pytest.mark.parametrize("length", [16, 17, 23, 24, 25, 40])
def test_cookie_invalid(told, length):
    """RFC 7873 section 5.2.4: as if there were no server cookie, or BADCOOKIE; never an error in between."""
    reply = ask(told, cookie_query(CLIENT + b"\1" * (length - 8)))
    assert reply.rcode in (NXDOMAIN, BADCOOKIE)
    check_cookie(reply)


VALIDITY = {
    "new": ({}, NOERROR), "half an hour": ({"age": 1790}, NOERROR), "an hour": ({"age": 3590}, NOERROR),
    "too old": ({"age": 3610}, BADCOOKIE), "a day": ({"age": 86400}, BADCOOKIE), "from the future": ({"age": -290}, NOERROR),
    "too far ahead": ({"age": -310}, BADCOOKIE), "of the other secret": ({"secret": SECRETS[1]}, NOERROR),
    "of a foreign secret": ({"secret": bytes(16)}, BADCOOKIE), "of another address": ({"address": "127.0.0.2"}, BADCOOKIE),
    "of another family": ({"address": "::1"}, BADCOOKIE), "of another version": ({"version": 2}, BADCOOKIE),
    "with reserved bits": ({"reserved": b"\1\2\3"}, NOERROR),
}


@pytest.mark.parametrize("via", ["udp", "tcp"])
@pytest.mark.parametrize("what", VALIDITY)
def test_cookie_validity(told, via, what):
    """RFC 9018 section 4.3 (an hour back, five minutes ahead), 4.2 (reserved octets are hashed as they come), 5 (two
    secrets in a rollover); asked with RFC 7873 section 5.4."""
    how, rcode = VALIDITY[what]
    reply = ask(told, cookie_probe(made(**how)), via)
    assert (reply.rcode, reply.qdcount, reply.answer) == (rcode, 0, [])
    check_cookie(reply)


def test_cookie_one_bit_wrong(told):
    good = made()
    for bit in range(64, 192):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert ask(told, cookie_probe(bytes(bad))).rcode == BADCOOKIE, bit


def test_cookie_of_another_client(told):
    assert ask(told, header(qd=0, ar=1) + opt(option(COOKIE, b"another!" + made()[8:]))).rcode == BADCOOKIE


def test_cookie_renewed(told):
    """RFC 9018 section 4.3: at the latest after half an hour there is a new one."""
    reply = ask(told, cookie_query(made(age=1850)))
    check_cookie(reply)


def test_cookie_probe_without_server_cookie(told):
    reply = ask(told, cookie_probe(CLIENT))
    assert (reply.rcode, reply.qdcount) == (NOERROR, 0)
    check_cookie(reply)


def test_cookie_probe_malformed(told):
    assert ask(told, cookie_probe(CLIENT[:7])).rcode == FORMERR


def test_cookie_only_the_first(told):
    """RFC 7873 section 5.2: of several the first counts."""
    reply = ask(told, cookie_query(made(), more=option(COOKIE, b"x")))
    check_cookie(reply)
    assert ask(told, cookie_query(b"x", more=option(COOKIE, made()))).rcode == FORMERR


def test_cookie_and_badvers(told):
    """RFC 6891 section 6.1.3: of a version we do not know nothing is understood but that."""
    assert ask(told, packets.query(f"mail.{ZONE}.", edns=opt(option(COOKIE, CLIENT), version=1))).rcode == BADVERS


def test_no_cookie_without_cookie(told):
    assert COOKIE not in ask(told, packets.query(f"mail.{ZONE}.", edns=EDNS)).options


def test_random_secret_without_file(world):
    """Cookies work without any setting, on every worker alike."""
    address = (LOOPBACK[4], world.server.dns_port)
    cookie = world.one("udp", packets.query(f"mail.{ZONE}.", edns=opt(option(COOKIE, CLIENT)))).options[COOKIE]
    for _ in range(20):  # from other ports, so from other workers
        (reply,) = packets.ask_udp(address, cookie_probe(cookie), packets.sentinel(ZONE))
        assert Reply(reply).rcode == NOERROR
    forged = CLIENT + siphash.server_cookie(bytes(16), CLIENT, LOOPBACK[4], int(time.time()))
    (reply,) = packets.ask_udp(address, cookie_probe(forged), packets.sentinel(ZONE))
    assert Reply(reply).rcode == BADCOOKIE


def test_cookie_lifts_the_limit(world):
    """A valid cookie proves the address: what fits the client comes whole, beyond 4 bytes for each byte in."""
    name = world.name("mid")
    first = world.one("udp", packets.query(name, "TXT", edns=opt(option(COOKIE, CLIENT), size=4096)))
    wire = packets.query(name, "TXT", edns=opt(option(COOKIE, first.options[COOKIE]), size=4096))
    reply = world.one("udp", wire)
    assert not reply.flags & TC
    same(reply.answer, world.records([f"mid 300 TXT {MID}"]))
