# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS messages by hand: bytes out, and a reader that forgives nothing. dnspython only turns RDATA to and from text."""

import socket
import struct

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

QR, AA, TC, RD, RA, Z, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH = 0, 1, 2, 3, 4, 5, 9
BADVERS, BADCOOKIE = 16, 23
IN, CH, HS, NONE, ANY_CLASS = 1, 3, 4, 254, 255
OPT_TYPE, TSIG_TYPE, ANY = 41, 250, 255
NSID, COOKIE, KEEPALIVE, PADDING, EDE, ECS, EXPIRE = 3, 10, 11, 12, 15, 8, 9
DO = 0x8000
SENTINEL = 0x5E17
# RFC 3597 section 4: only in these may names be compressed.
COMPRESSIBLE = {2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15}


def type_number(rdtype):
    return rdtype if isinstance(rdtype, int) else int(dns.rdatatype.from_text(rdtype))


def name_wire(text):
    return text if isinstance(text, bytes) else dns.name.from_text(text).to_wire()


def header(ident=0x1234, flags=0, qd=1, an=0, ns=0, ar=0):
    return struct.pack("!6H", ident, flags, qd, an, ns, ar)


def question(name, rdtype="A", rdclass=IN):
    return name_wire(name) + struct.pack("!2H", type_number(rdtype), rdclass)


def record(owner, rdtype, rdclass, ttl, rdata):
    return name_wire(owner) + struct.pack("!HHIH", type_number(rdtype), rdclass, ttl, len(rdata)) + rdata


def option(code, data=b""):
    return struct.pack("!2H", code, len(data)) + data


def opt(options=b"", size=1232, version=0, flags=0, owner=b"\0", rcode=0):
    return record(owner, OPT_TYPE, size, rcode << 24 | version << 16 | flags, options)


def tsig(key="unknown.key.", algorithm="hmac-sha256.", mac=b"m" * 32, rdclass=ANY_CLASS, ttl=0, time=1, ident=0x1234):
    rdata = (name_wire(algorithm) + struct.pack("!HIHH", 0, time, 300, len(mac)) + mac +
             struct.pack("!3H", ident, 0, 0))
    return record(key, TSIG_TYPE, rdclass, ttl, rdata)


def query(name, rdtype="A", rdclass=IN, flags=0, edns=None, tail=b"", ar=None, **counts):
    """One question; `edns` is an OPT record as bytes; `tail` stands before it in the additional section."""
    additional = (1 if edns else 0) if ar is None else ar
    return header(flags=flags, ar=additional, **counts) + question(name, rdtype, rdclass) + tail + (edns or b"")


def read_name(wire, at):
    """The name at `at`, uncompressed, and where it ends. Pointers must lead backwards (RFC 1035 section 4.1.4)."""
    out, end, limit = b"", None, at
    while True:
        length = wire[at]
        if length & 0xC0 == 0xC0:
            end = end or at + 2
            at = struct.unpack_from("!H", wire, at)[0] & 0x3FFF
            assert at < limit, "a pointer that does not lead backwards"
            limit = at
            continue
        assert length < 64, "a label of an unknown kind"
        out += wire[at:at + 1 + length]
        at += 1 + length
        assert len(out) <= 255, "a name above 255 octets"
        if not length:
            return out, end or at


class Record:
    def __init__(self, wire, at):
        self.owner, at = read_name(wire, at)
        self.type, self.rdclass, self.ttl, length = struct.unpack_from("!HHIH", wire, at)
        self.raw = wire[at + 10:at + 10 + length]
        assert len(self.raw) == length, "RDATA behind the end"
        self.end = at + 10 + length
        if self.type in (OPT_TYPE, TSIG_TYPE):
            self.rdata = self.raw
            return
        rdata = dns.rdata.from_wire(self.rdclass, self.type, wire, at + 10, length)
        self.rdata = rdata.to_digestable()
        if self.type not in COMPRESSIBLE:
            assert self.raw == rdata.to_wire(), "names in this type must not be compressed (RFC 3597 section 4)"

    @property
    def key(self):
        return (self.owner.lower(), self.type, self.rdclass, self.ttl, self.rdata)

    def __repr__(self):
        owner = dns.name.from_wire(self.owner, 0)[0]
        return f"<{owner} {self.ttl} {dns.rdatatype.to_text(self.type)} {self.raw!r}>"


class Reply:
    """A message taken apart, to its last byte."""

    def __init__(self, wire):
        self.wire = wire
        self.id, self.flags, qd, an, ns, ar = struct.unpack_from("!6H", wire)
        self.opcode, self.rcode, self.question = self.flags >> 11 & 15, self.flags & 15, b""
        self.qdcount, at = qd, 12
        for _ in range(qd):
            end = read_name(wire, at)[1] + 4
            self.question += wire[at:end]
            at = end
        sections = []
        for count in (an, ns, ar):
            sections.append([])
            for _ in range(count):
                sections[-1].append(Record(wire, at))
                at = sections[-1][-1].end
        assert at == len(wire), f"{len(wire) - at} bytes behind the last record"
        self.answer, self.authority, self.additional = sections
        opts = [r for r in self.additional if r.type == OPT_TYPE]
        assert len(opts) <= 1 and all(r.type != OPT_TYPE for r in self.answer + self.authority)
        self.opt = opts[0] if opts else None
        self.options = {}
        if self.opt:
            assert self.opt.owner == b"\0"
            self.rcode |= self.opt.ttl >> 24 << 4
            at = 0
            while at < len(self.opt.raw):
                code, length = struct.unpack_from("!2H", self.opt.raw, at)
                assert code not in self.options, "an option twice"
                self.options[code] = self.opt.raw[at + 4:at + 4 + length]
                assert len(self.options[code]) == length
                at += 4 + length

    @property
    def ede(self):
        return struct.unpack("!H", self.options[EDE][:2])[0] if EDE in self.options else None

    def __repr__(self):
        return (f"Reply(flags={self.flags:04x} rcode={self.rcode} q={self.question!r} answer={self.answer} "
                f"authority={self.authority} additional={self.additional} options={self.options} len={len(self.wire)})")


def sentinel(name):
    return header(ident=SENTINEL) + question(name, "SOA")


def ask_udp(address, wire, probe, timeout=5, source=None):
    """All replies to one datagram. `probe` is sent behind it from the same port, so to the same worker, which answers
    in order: what has not come before the probe's answer does not come. No waiting for silence."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    replies = []
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        if source:
            s.bind(source)
        s.connect(address)
        s.send(wire)
        s.send(probe)
        while True:
            reply = s.recv(65535)
            if reply[:2] == probe[:2]:
                return replies
            replies.append(reply)


def framed(*wires):
    return b"".join(struct.pack("!H", len(w)) + w for w in wires)


def read_exactly(s, size):
    """None at the end of the stream, even in the middle."""
    data = b""
    while len(data) < size:
        try:
            part = s.recv(size - len(data))
        except ConnectionResetError:
            return None
        if not part:
            return None
        data += part
    return data


def read_framed(s):
    prefix = read_exactly(s, 2)
    return prefix and read_exactly(s, struct.unpack("!H", prefix)[0])


def ask_tcp(address, wire, probe=None, timeout=5, source=None):
    """All replies to one message on a connection of its own; a server may also close it over what it will not read."""
    with socket.create_connection(address, timeout=timeout, source_address=source) as s:
        s.sendall(framed(wire) + (framed(probe) if probe else b""))
        replies = []
        while True:
            reply = read_framed(s)
            if reply is None or (probe and reply[:2] == probe[:2]):
                return replies
            replies.append(reply)
            if not probe:
                return replies
