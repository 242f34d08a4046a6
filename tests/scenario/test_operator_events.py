# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log as the operator reads it: who did what, when, from where; one time or as it happens."""

import json
import os
import re
import signal
import subprocess
import threading

import pytest

import harness
from harness import assert_clean, credentials, environment, poll, value
from operator_cli import Terminal, ask, ask_json, assert_fits, list_json, refuse, table
from v1 import BEARER, bearer, call


def events(server, *options):
    return list_json(server, "Event", "events", "--last", "100000", *options)


def wait_for(server, condition, *options):
    """Refusals are written within a second."""
    return poll(lambda: [e for e in events(server, *options) if condition(e)], 5, "the event")


def of(kind, outcome="ok"):
    return lambda e: (e["kind"], e["outcome"]) == (kind, outcome)


class Follower:
    """events --follow --json, its lines read by a thread."""

    def __init__(self, server, *options, stdout=subprocess.PIPE):
        self.process = subprocess.Popen(
            [harness.BINARY, "events", "--follow", "--json", *options, "-c", str(server.config_path)],
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment())
        self.events = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def wait_for(self, condition, seconds=15):
        return poll(lambda: [e for e in self.events if condition(e)], seconds, "an event to follow")

    def end(self, number):
        self.process.send_signal(number)
        return self.done()

    def done(self):
        status = self.process.wait(20)
        self.thread.join(20)
        text = self.process.stderr.read()
        assert_clean(text)
        return status, text


@pytest.fixture
def follow():
    made = []

    def start(*args, **kw):
        made.append(Follower(*args, **kw))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


# ---- what is written


def test_everything_that_changes_something(server):
    s = server()
    made = ask_json(s, "Credentials", "delegate", "add", "first")
    name = made["fulldomain"]
    stranger = s.register()
    text = s.publish(made)
    ask(s, "delegate", "allow", "first", "127.0.0.1")
    ask(s, "delegate", "alias", "first", "example.com")
    ask(s, "delegate", "clear", "first")
    second = ask_json(s, "Credentials", "key", "add", "first")
    ask(s, "key", "revoke", "first", second["username"])
    third = ask_json(s, "Credentials", "key", "rotate", "first")
    s.publish(third)
    token = ask_json(s, "Token", "token", "add")
    by_token = s.register(f"/t/{token['token']}")
    ask(s, "token", "revoke", token["id"])
    ask(s, "delegate", "remove", "first", "--yes")
    found = wait_for(s, of("start"))
    assert found[0]["by"] == "nobody" and found[0]["from"] is None
    mine = events(s, "--name", "first")
    assert [e["kind"] for e in mine] == ["register", "update", "allowfrom", "aliases", "clear", "key_add", "key_revoke",
                                         "key_rotate", "key_retired", "update", "remove"]
    assert {e["outcome"] for e in mine} == {"ok"} and {e["name"] for e in mine} == {name}
    assert [e["sequence"] for e in mine] == sorted({e["sequence"] for e in mine})
    by_key = [e for e in mine if e["by"] == "key"]
    assert {e["kind"] for e in by_key} == {"update", "key_retired"} and {e["from"] for e in by_key} == {"127.0.0.1"}
    assert all(e["uid"] is None for e in by_key)
    by_operator = [e for e in mine if e["by"] == "operator"]
    assert {(e["uid"], e["from"], e["key"]) for e in by_operator} == {(os.geteuid(), None, None)}
    update = next(e for e in mine if e["kind"] == "update")
    assert update["key"] == made["username"] and text in update["detail"]
    detail = {e["kind"]: e["detail"] for e in mine}
    assert detail["register"] == made["username"] and detail["key_add"] == detail["key_revoke"] == second["username"]
    assert detail["key_rotate"] == detail["key_retired"] == made["username"]
    everything = events(s)
    (open_one,) = [e for e in everything if e["name"] == stranger["fulldomain"]]
    assert (open_one["kind"], open_one["by"], open_one["key"], open_one["from"]) == ("register", "nobody", None, "127.0.0.1")
    (registered,) = [e for e in everything if e["name"] == by_token["fulldomain"]]
    assert registered["key"] == token["id"] and registered["from"] == "127.0.0.1"
    assert [e["detail"] for e in everything if e["kind"] in ("token_add", "token_revoke")] == [token["id"]] * 2
    printed = json.dumps(everything) + ask(s, "events", "--last", "100") + s.stderr()
    for secret in (made, second, third, stranger, by_token):
        assert secret["password"] not in printed
    assert token["token"] not in printed


def test_refusals(server):
    s = server()
    account, other = s.register(), s.register()
    wrong = {**account, "password": "".join(reversed(account["password"]))}
    for _ in range(25):
        assert s.update(wrong, value()).status == 401
    assert s.http("POST", "/update", json.dumps({"subdomain": other["subdomain"], "txt": value()}),
                  credentials(account)).status == 401
    assert s.http("POST", "/register", None, {"X-Registration-Token": "x" * 40}).status == 401
    found = wait_for(s, of("update", "forbidden"))
    assert found[0]["key"] == account["username"] and found[0]["from"] == "127.0.0.1"
    wait_for(s, of("register", "bad_token"))
    total = poll(lambda: (n := sum(e["times"] for e in events(s) if of("update", "forbidden")(e))) >= 26 and n, 15, "all of them")
    assert total == 26
    assert len([e for e in events(s) if of("update", "forbidden")(e)]) <= 3, "not one each"
    rows = table(ask(s, "events", "--last", "1000"))
    assert any(re.fullmatch(r"forbidden \(\d+ times\)", r["OUTCOME"]) for r in rows), rows
    assert wrong["password"] not in json.dumps(events(s)) + s.stderr()
    assert "x" * 40 not in json.dumps(events(s)) + s.stderr()


def test_refused_by_the_allow_list(server):
    s = server()
    made = ask_json(s, "Credentials", "delegate", "add", "fenced", "--allow", "192.0.2.0/24")
    assert s.update(made, value()).status == 401
    found = wait_for(s, of("update", "forbidden"))
    assert (found[0]["by"], found[0]["key"], found[0]["from"]) == ("key", made["username"], "127.0.0.1")


def test_what_is_no_key_id_is_not_written(server):
    """A password in the field of the user must not end up in the log."""
    s = server()
    account = s.register()
    swapped = {**account, "username": account["password"], "password": account["username"]}
    assert s.update(swapped, value()).status == 401
    assert s.update({**account, "password": "x" * 40}, value()).status == 401
    wait_for(s, of("update", "forbidden"))
    assert account["password"] not in json.dumps(events(s)) + ask(s, "events") + s.stderr()


def test_reading_with_a_wrong_key(server):
    s = server()
    account = s.register()
    assert s.http("GET", "/v1/delegate", None, {**credentials(account), "X-Api-Key": "x" * 40}).status == 401
    found = wait_for(s, of("access", "forbidden"))
    assert found[0]["from"] == "127.0.0.1" and found[0]["key"] == account["username"]


def test_the_operator_over_https_is_no_account(server):
    s = server(bearer=BEARER)
    assert call(s, "POST", "/v1/admin/delegates", bearer(), {"label": "from-afar"}).status == 201
    (event,) = events(s, "--name", "from-afar")
    assert (event["by"], event["uid"], event["from"]) == ("operator", None, "127.0.0.1")
    (row,) = table(ask(s, "events", "--name", "from-afar"))
    assert (row["WHO"], row["FROM"]) == ("operator", "127.0.0.1")


# ---- which of them


def test_last_and_name(server):
    s = server()
    one, other = s.register(), s.register()
    texts = [s.publish(one) for _ in range(70)]
    s.publish(other)
    for n in (1, 5, 31, 32, 33, 64, 65, 70):
        found = list_json(s, "Event", "events", "--last", str(n), "--name", one["fulldomain"])
        assert [e["detail"] for e in found] == texts[-n:], n
        assert len(list_json(s, "Event", "events", "--last", str(n))) == n
    assert len(events(s, "--name", one["subdomain"])) == 71
    everything = events(s)
    assert [e["sequence"] for e in everything] == list(range(1, len(everything) + 1))
    assert list_json(s, "Event", "events") == everything[-20:] or len(events(s)) > len(everything)
    assert ask(s, "events", "--last", "0") == ""
    done = s.operator("events", "--name", "nobody")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "there are no events like that\n")
    refuse(s, 2, "events", "--last", "x", say="x")
    refuse(s, 2, "events", "--last", "-1")
    refuse(s, 2, "events", "x", say="x")


def test_only_so_many_are_kept(server):
    s = server(admin={"events": 50})
    account = s.register()
    for _ in range(120):
        s.publish(account)
    found = events(s)
    assert len(found) <= 50 and found[-1]["sequence"] > 120
    numbers = [e["sequence"] for e in found]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(list_json(s, "Event", "events", "--last", "40", "--name", account["subdomain"])) == 40


def test_none_are_kept(server):
    s = server(admin={"events": 0})
    s.publish(s.register())
    assert events(s) == []


def test_the_table(server):
    s = server()
    account = s.register()
    text = s.publish(account)
    ask(s, "key", "add", account["subdomain"])
    rows = table(ask(s, "events", "--name", account["subdomain"]))
    assert [r["EVENT"] for r in rows] == ["register", "update", "key_add"]
    assert [r["WHO"].split()[0] for r in rows] == ["-", "key", "operator"]
    assert [r["FROM"] for r in rows] == ["127.0.0.1", "127.0.0.1", "socket"]
    assert rows[1]["DETAIL"] == text and rows[1]["WHO"] == f"key {account['username']}", "a pipe gets all of it"
    status, shown = Terminal(s, "events", "--name", account["subdomain"]).end()
    assert status == 0 and max(map(len, shown.splitlines())) <= 80
    assert f"key {account['username'][:8]} " in shown and account["username"] not in shown
    assert text[:12] in shown and text not in shown


# ---- as they happen


def test_follow(server, follow):
    s = server()
    account = s.register()
    all_of_them, mine = follow(s), follow(s, "--last", "1", "--name", account["subdomain"])
    for one in (all_of_them, mine):
        one.wait_for(lambda e: e["name"] == account["fulldomain"])
    first = s.publish(account)
    mine.wait_for(lambda e: e["detail"] == first)
    s.publish(s.register())
    second = s.publish(account)
    mine.wait_for(lambda e: e["detail"] == second)
    all_of_them.wait_for(lambda e: e["detail"] == second)
    assert [e["detail"] for e in mine.events] == [account["username"], first, second]
    for number, one in ((signal.SIGINT, all_of_them), (signal.SIGTERM, mine)):
        status, text = one.end(number)
        assert (status, text) == (0, "")
        for e in one.events:
            assert_fits(e, {"$ref": "#/Event"})
        numbers = [e["sequence"] for e in one.events]
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("how", ["keeper", "reload", "restart"])
def test_follow_outlives_the_server(server, follow, how):
    s = server()
    account = s.register()
    one = follow(s)
    before = s.publish(account)
    one.wait_for(lambda e: e["detail"] == before)
    if how == "keeper":
        old = s.children()["keeper"]
        os.kill(old, signal.SIGKILL)
        poll(lambda: s.children().get("keeper", old) != old, 10, "another keeper")
    elif how == "reload":
        old = s.children()
        s.hup()
        poll(lambda: (c := s.children()).get("keeper") and not set(c.values()) & set(old.values()), 10, "new children")
    else:
        s.restart()
    poll(s._ready, 10, "ready again")
    after = s.publish(account)
    one.wait_for(lambda e: e["detail"] == after)
    numbers = [e["sequence"] for e in one.events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "none left out, none twice"
    assert one.end(signal.SIGTERM) == (0, "")


def test_follow_ends_with_its_reader(server):
    """Even if nothing happens any more that could be written."""
    s = server()
    s.register()
    ours, theirs = os.pipe()
    process = subprocess.Popen([harness.BINARY, "events", "--follow", "-c", str(s.config_path)], stdin=subprocess.DEVNULL,
                               stdout=theirs, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        os.close(theirs)
        assert b"EVENT" in os.read(ours, 65536)
        os.close(ours)
        assert process.wait(5) in (0, 1, -signal.SIGPIPE)
        assert_clean(process.stderr.read())
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_many_followers_hinder_nobody(server, follow):
    s = server()
    account = s.register()
    many = [follow(s) for _ in range(6)]
    for one in many:
        one.wait_for(lambda e: e["name"] == account["fulldomain"])
    texts = [s.publish(account) for _ in range(50)]
    for one in many:
        one.wait_for(lambda e: e["detail"] == texts[-1])
        assert one.end(signal.SIGTERM) == (0, "")
