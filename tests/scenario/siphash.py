# SPDX-License-Identifier: GPL-3.0-or-later
"""SipHash-2-4 and the server cookies of RFC 9018 made with it, apart from the server's own, to judge that one by."""

import ipaddress
import struct

MASK = (1 << 64) - 1


def _rotate(x, by):
    return (x << by | x >> 64 - by) & MASK


def _rounds(v, count):
    a, b, c, d = v
    for _ in range(count):
        a = a + b & MASK
        c = c + d & MASK
        b, d = _rotate(b, 13) ^ a, _rotate(d, 16) ^ c
        a = _rotate(a, 32)
        c, a = c + b & MASK, a + d & MASK
        b, d = _rotate(b, 17) ^ c, _rotate(d, 21) ^ a
        c = _rotate(c, 32)
    return [a, b, c, d]


def siphash24(key, data):
    k0, k1 = struct.unpack("<2Q", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        v = _rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    v = _rounds(v, 4)
    return struct.pack("<Q", v[0] ^ v[1] ^ v[2] ^ v[3])


def server_cookie(secret, client_cookie, address, when, version=1, reserved=b"\0\0\0"):
    """RFC 9018 section 4: version, reserved, timestamp, hash."""
    head = bytes([version]) + reserved + struct.pack("!L", when & 0xFFFFFFFF)
    return head + siphash24(secret, client_cookie + head + ipaddress.ip_address(address).packed)
