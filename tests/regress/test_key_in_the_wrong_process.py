# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's private key was in the memory of every process: the one that starts them had checked the key, and what GnuTLS
leaves behind of a key went to all its children with the fork. Seen by looking for the key in /proc/PID/mem. Only api and
dot may have it (ARCHITECTURE.md, Processes)."""

import subprocess

import dns.message
import dns.query
import pytest

import harness


def secrets_of(key_path):
    """What gives the key away: a line of the file, and the private number in either byte order."""
    text = subprocess.run(["openssl", "ec", "-in", str(key_path), "-noout", "-text"], check=True, capture_output=True,
                          text=True).stdout
    digits = "".join(text.split("priv:")[1].split("pub:")[0].split()).replace(":", "")
    number = bytes.fromhex(digits)[-32:]
    return [key_path.read_bytes().splitlines()[1], number, number[::-1]]


def memory_holds(pid, needles):
    """Looks through all that a process may read of its own memory."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            if end - start > 1 << 30:
                continue
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except OSError:
                continue
            if any(n in data for n in needles):
                return True
    return False


@pytest.mark.skipif(not harness.IS_ROOT, reason="only root may look into other processes' memory")
def test_the_key_is_only_where_it_is_used(server):
    one = server(dot=True)
    with one.stream(dot=True) as s:
        dns.query.send_tcp(s, dns.message.make_query(harness.ZONE, "SOA"))
    needles = secrets_of(one.folder / "tls.key")

    def holders():
        processes = {"supervisor": one.process.pid, **one.children()}
        return {role for role, pid in processes.items() if memory_holds(pid, needles)}

    assert holders() == {"api", "dot"}
    before = one.children()
    one.hup()  # checked again, and everybody is started again
    harness.poll(lambda: len(one.children()) == 5 and not set(before.values()) & set(one.children().values()), 10,
                 "all replaced")
    assert holders() == {"api", "dot"}
