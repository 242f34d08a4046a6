# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator's bearer token can do over HTTPS, and that nothing else can."""

import json

import pytest

from harness import ZONE, Server, poll, value
from v1 import BEARER, bearer, call, expect


@pytest.fixture(scope="module")
def office():
    with Server(bearer=BEARER).running() as one:
        yield one


def ask(server, method, path, status=200, body=None, error=None):
    return expect(call(server, method, "/v1/admin" + path, bearer(), body), status, error)


def test_status(office):
    report = ask(office, "GET", "/status")
    assert report["zones"] == [ZONE] and report["store"]["writable"] is True and report["registration"] == "open"
    before = report["delegates"]
    office.register()
    assert ask(office, "GET", "/status")["delegates"] == before + 1


def test_delegates(office):
    made = ask(office, "POST", "/delegates", 201, {"label": "first", "allowfrom": ["127.0.0.0/8"],
                                                   "aliases": ["first.example"]})
    name = made["fulldomain"]
    assert name == f"first.{ZONE}"
    text = office.publish(made)
    shown = ask(office, "GET", f"/delegates/{name}")
    assert shown["aliases"] == ["first.example"] and [v["value"] for v in shown["values"]] == [text]
    ask(office, "PUT", f"/delegates/{name}/aliases", 200, {"aliases": []})
    ask(office, "PUT", f"/delegates/{name}/allowfrom", 200, {"allowfrom": ["192.0.2.0/24"]})
    assert office.update(made, value()).status == 401
    ask(office, "PUT", f"/delegates/{name}/allowfrom", 200, {"allowfrom": []})
    office.publish(made)
    ask(office, "DELETE", f"/delegates/{name}/values", 200)
    assert office.values(made) == []
    second = ask(office, "POST", f"/delegates/{name}/keys", 201)
    office.publish(second)
    ask(office, "DELETE", f"/delegates/{name}/keys/{second['username']}", 200)
    assert office.update(second, value()).status == 401
    third = ask(office, "POST", f"/delegates/{name}/keys/{made['username']}/rotate", 201)
    office.publish(made)
    office.publish(third)
    assert office.update(made, value()).status == 401
    ask(office, "DELETE", f"/delegates/{name}", 200)
    ask(office, "GET", f"/delegates/{name}", 404, error="not_found")
    ask(office, "POST", "/delegates", 409, {"label": "first"}, "exists")


def test_every_delegate_is_listed_once(server):
    s = server(bearer=BEARER)
    made = sorted(s.register()["fulldomain"] for _ in range(101))
    found, after = [], ""
    for _ in range(20):
        page = ask(s, "GET", "/delegates?limit=20" + (f"&after={after}" if after else ""))
        found += [d["name"] for d in page["delegates"]]
        after = page["next"]
        if not after:
            break
    assert sorted(found) == made


@pytest.mark.parametrize("label", ["-x", "x-", "a.b", "", "ü", "x" * 64, "a b", "*", "_acme-challenge.x"])
def test_bad_labels(office, label):
    answer = call(office, "POST", "/v1/admin/delegates", bearer(), {"label": label})
    assert answer.status == (201 if label == "" else 400), answer


def test_events(server):
    office = server(bearer=BEARER)  # refusals of one network are counted together
    account = office.register()
    text = office.publish(account)
    assert office.update({**account, "password": "x" * 40}, value()).status == 401

    def mine():
        found = ask(office, "GET", "/events?newest=1&limit=30")["events"]
        return [e for e in found if account["fulldomain"] in (e["name"] or "") or account["username"] == e["key"]]

    events = poll(lambda: (lambda e: e if len(e) >= 3 else None)(mine()), 5, "three events")
    words = [(e["kind"], e["outcome"]) for e in events]
    assert ("register", "ok") in words and ("update", "ok") in words and ("update", "forbidden") in words
    done = next(e for e in events if e["kind"] == "update" and e["outcome"] == "ok")
    assert done["from"] == "127.0.0.1" and done["key"] == account["username"] and text in done["detail"]
    assert [e["sequence"] for e in events] == sorted(e["sequence"] for e in events)
    everything = json.dumps(ask(office, "GET", "/events?newest=1&limit=32"))
    assert account["password"] not in everything and BEARER not in everything


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {BEARER}x"},
    {"Authorization": f"Bearer {BEARER[:-1]}"}, {"Authorization": "Bearer " + BEARER[:-1] + "X"},
    {"Authorization": f"Basic {BEARER}"}, {"X-Api-Key": BEARER}, {"Authorization": BEARER}])
def test_who_is_not_the_operator(office, headers):
    for method, path in (("GET", "/status"), ("GET", "/delegates"), ("POST", "/delegates"), ("POST", "/tokens"),
                         ("GET", "/tokens"), ("GET", "/events")):
        answer = call(office, method, "/v1/admin" + path, headers, {} if method == "POST" else None)
        expect(answer, 401, "forbidden")


def test_without_a_token_file_nobody_is(shared):
    for token in (BEARER, "", "0" * 40):
        expect(call(shared, "GET", "/v1/admin/status", bearer(token)), 401, "forbidden")


def test_the_token_can_be_changed_without_a_restart(server):
    s = server(bearer=BEARER)
    expect(call(s, "GET", "/v1/admin/status", bearer()), 200)
    other = "another-operator-token-of-forty-characters"
    s.set_bearer(other)
    s.hup()
    poll(lambda: call(s, "GET", "/v1/admin/status", bearer(other)).status == 200, 10, "the new token")
    poll(lambda: call(s, "GET", "/v1/admin/status", bearer()).status == 401, 10, "the end of the old one")
