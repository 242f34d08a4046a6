# SPDX-License-Identifier: GPL-3.0-or-later
"""Seen beside Knot DNS: a CNAME that leads back to itself was followed to the bound, and the reply held the same record
up to nine times. RFC 2181 section 5: a set has no two equal records."""

import pathlib
import struct
import sys

import dns.message
import dns.rcode
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
from harness import ZONE, Server  # noqa: E402

RECORDS = ["self 300 CNAME self", "loop1 300 CNAME loop2", "loop2 300 CNAME loop1", "*.wild 300 CNAME x.wild"]


@pytest.fixture(scope="module")
def server():
    one = Server(zone={"records": RECORDS})
    try:
        one.start()
        yield one
        one.stop()
    finally:
        one.discard()


@pytest.mark.parametrize("name,records", [("self", 1), ("loop1", 2), ("loop2", 2), ("y.wild", 2), ("x.wild", 1)])
def test_no_record_twice(server, name, records):
    query = dns.message.make_query(f"{name}.{ZONE}", "TXT", use_edns=0)
    reply = server.ask_bytes(query.to_wire(), timeout=5)
    assert dns.message.from_wire(reply).rcode() == dns.rcode.NOERROR
    # Counted in the header: parsed, equal records are one.
    assert struct.unpack_from("!H", reply, 6)[0] == records
