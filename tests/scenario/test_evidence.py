# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence: who asked for the values of a delegate, and when. The keeper takes it over once a second."""

import os
import signal

import dns.message
import dns.query
import pytest

from harness import credentials, poll, txt_of
from v1 import call, expect


def resolvers(one, account):
    shown = expect(call(one, "GET", "/v1/delegate", account), 200)
    return {r["resolver"]: r for r in shown["resolvers"]}


def await_resolvers(one, account, wanted):
    poll(lambda: set(resolvers(one, account)) == set(wanted), 5, f"evidence of {wanted}")
    return resolvers(one, account)


def ask(one, account, source, rdtype="TXT", tcp=False):
    return one.query(account["fulldomain"] + ".", rdtype, source=source, tcp=tcp)


def ask_over_tls(one, account, source):
    query = dns.message.make_query(account["fulldomain"] + ".", "TXT")
    with one.stream(dot=True, source=source) as s:
        dns.query.send_tcp(s, query)
        return dns.query.receive_tcp(s)[0]


def test_over_every_transport(server):
    one = server(dot=True)
    account, other = one.register(), one.register()
    one.publish(account)
    assert resolvers(one, account) == {}
    assert txt_of(ask(one, account, "127.0.0.2"))
    assert txt_of(ask(one, account, "127.0.0.3", tcp=True))
    assert txt_of(ask_over_tls(one, account, "127.0.0.4"))
    found = await_resolvers(one, account, ["127.0.0.2", "127.0.0.3", "127.0.0.4"])
    for r in found.values():
        assert r["first"] == r["last"] and r["first"].endswith("Z") and r["times"] == 1
    assert resolvers(one, other) == {}


def test_only_who_was_told_values(server):
    one = server()
    account, empty = one.register(), one.register()
    one.publish(account)
    for rdtype in ("A", "CAA", "SOA"):
        ask(one, account, "127.0.0.2", rdtype)
    ask(one, empty, "127.0.0.2")
    one.query("nobody." + account["fulldomain"] + ".", source="127.0.0.2")
    assert txt_of(ask(one, account, "127.0.0.5"))
    await_resolvers(one, account, ["127.0.0.5"])
    assert resolvers(one, empty) == {}


@pytest.mark.parametrize("end", ["dns", "keeper", "reload", "restart"])
def test_nothing_is_lost_with_a_process(server, end):
    """What was noted is kept, and noting goes on, whoever dies."""
    one = server()
    account = one.register()
    one.publish(account)
    ask(one, account, "127.0.0.2")
    await_resolvers(one, account, ["127.0.0.2"])
    before = one.children()
    if end == "reload":
        one.hup()
        poll(lambda: not set(before.values()) & set(one.children().values()), 10, "other children")
    elif end == "restart":
        one.restart()
    else:
        for role, pid in before.items():
            if role.startswith(end):
                os.kill(pid, signal.SIGKILL)
        poll(one._ready, 10, "ready again")
    for _ in range(8):  # whichever worker gets it
        assert txt_of(ask(one, account, "127.0.0.3"))
    found = await_resolvers(one, account, ["127.0.0.3", "127.0.0.2"])
    assert found["127.0.0.3"]["first"] >= found["127.0.0.2"]["last"]


def test_the_operator_sees_it_too(server):
    one = server()
    account = one.register()
    one.publish(account)
    ask(one, account, "127.0.0.2")
    await_resolvers(one, account, ["127.0.0.2"])
    text = one.operator("delegate", "show", account["fulldomain"]).stdout
    assert "127.0.0.2" in text
    assert "1 noted" in one.operator("status").stdout
    assert credentials(account)["X-Api-Key"] not in text
