# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of an HTTP/2 client as an attacker needs: requests whose fields hold what no library would send."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags, stream, payload=b""):
    """RFC 9113 section 4.1."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def integer(number, prefix):
    """RFC 7541 section 5.1."""
    top = (1 << prefix) - 1
    if number < top:
        return bytes([number])
    out, number = bytearray([top]), number - top
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out) + bytes([number])


def literal(name, text):
    """A field without indexing and without Huffman's code, RFC 7541 section 6.2.2."""
    return b"\0" + integer(len(name), 7) + name + integer(len(text), 7) + text


def request(fields, body, stream=1):
    """The frames of one request; (name, value) in their order."""
    block = b"".join(literal(name, text) for name, text in fields)
    return frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, block) + (
        frame(DATA, END_STREAM, stream, body) if body else b"")


def _read(s, count):
    data = b""
    while len(data) < count:
        part = s.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def exchange(s, frames, streams):
    """Sends; returns the octets of all DATA frames once every stream has ended, or the connection has."""
    s.sendall(PREFACE + frame(SETTINGS, 0, 0) + frames)
    content, open_streams = bytearray(), set(streams)
    try:
        while open_streams:
            top = _read(s, 9)
            length, (kind, flags, stream) = int.from_bytes(top[:3], "big"), struct.unpack("!BBI", top[3:])
            payload = _read(s, length)
            if kind == DATA:
                content += payload
            if kind == SETTINGS and not flags & ACK:
                s.sendall(frame(SETTINGS, ACK, 0))
            if kind == GOAWAY:
                break
            if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
                open_streams.discard(stream)
    except (EOFError, OSError):
        pass
    return bytes(content)
