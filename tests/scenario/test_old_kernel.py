# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel without the newer socket options: everything is answered all the same, and what is missing is said once."""

import os
import pathlib
import signal
import subprocess

import pytest

from harness import FAMILIES, ZONE, poll


@pytest.fixture
def old_kernel(folder):
    library = folder / "old_kernel.so"
    source = pathlib.Path(__file__).with_name("old_kernel.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    return library


MISSING = ["SO_REUSEPORT", "IP_PMTUDISC_OMIT", "IPV6_PMTUDISC_OMIT", "IP_PKTINFO", "IPV6_RECVPKTINFO"]


def ask_everywhere(one):
    for family in FAMILIES:
        for tcp in (False, True):
            for _ in range(20):
                assert one.query(ZONE, "SOA", tcp=tcp, family=family).answer


def test_everything_is_answered(server, old_kernel):
    one = server(preload=old_kernel, dot=True, dns={"workers": 3})
    assert len([name for name in one.children() if name.startswith("dns")]) == 3
    ask_everywhere(one)
    account = one.register()
    txt = one.publish(account)
    assert one.values(account) == [txt]
    os.kill(one.children()["dns1"], signal.SIGKILL)
    ask_everywhere(one)
    before = set(one.children().values())
    one.hup()
    poll(lambda: not before & set(one.children().values()), 10, "all replaced")
    ask_everywhere(one)


def test_what_is_missing_is_said_once(server, old_kernel):
    """Not by each worker, nor for each socket."""
    one = server(preload=old_kernel, dns={"workers": 3})
    lines = one.stderr().splitlines()
    for option in MISSING:
        said = [line for line in lines if f" {option} is missing" in line]
        assert len(said) == 1, (option, lines)
    limit = int(pathlib.Path("/proc/sys/net/core/rmem_max").read_text())
    assert len([line for line in lines if "net.core.rmem_max" in line]) == (limit < 4 << 20)


def test_nothing_is_said_where_nothing_is_missing(server):
    assert "is missing" not in server().stderr()


def test_two_servers_do_not_share_a_port(server, make_server, old_kernel):
    """Whether the kernel can share or not: the second is told that the endpoint is taken."""
    one = server(preload=old_kernel)
    second = make_server(preload=old_kernel, dns={"listen": [f"127.0.0.1:{one.dns_port}"]})
    second.launch()
    assert second.wait(10) == 2
    assert "in use" in second.stderr()
