# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's commands as typed on the machine of the server: delegates, keys, registration tokens, status."""

import json
import os
import re
import uuid

import pytest

import harness
from harness import IS_ROOT, URL, ZONE, poll, run, value
from operator_cli import Terminal, ask, ask_json, list_json, refuse, table
from test_faults import fill, own_mounts, small_disk  # noqa: F401  fixtures

OTHER = "auth.example.net"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def label():
    return "t-" + uuid.uuid4().hex[:12]


@pytest.fixture(scope="module")
def two_zones():
    base = harness.Server()
    zone = base.settings()["zones"][0]
    other = {**zone, "name": OTHER, "nameservers": [{**zone["nameservers"][0], "name": f"ns1.{OTHER}"}]}
    base.configure(zones=[zone, other])
    try:
        yield base.start()
        base.stop()
    finally:
        base.discard()


def add(server, *args):
    return ask_json(server, "Credentials", "delegate", "add", *args)


def show(server, name):
    return ask_json(server, "Delegate", "delegate", "show", name)


def works(server, account):
    """Can the key change values, and does DNS show them?"""
    text = value()
    status = server.update(account, text).status
    assert status in (200, 401)
    assert (text in server.values(account)) == (status == 200)
    return status == 200


# ---- delegate add


def test_what_was_added_works_at_once(shared):
    name = label()
    assert add(shared)["server_url"] == URL, "as /register says it"
    made = add(shared, name, "--allow", "127.0.0.0/8", "--allow", "192.0.2.7", "--alias", "Example.COM.")
    assert made["fulldomain"] == f"{name}.{ZONE}" and made["subdomain"] == name
    assert UUID.fullmatch(made["username"]) and re.fullmatch(r"[\w-]{40}", made["password"])
    assert made["allowfrom"] == ["127.0.0.0/8", "192.0.2.7/32"]
    assert works(shared, made)
    shown = show(shared, name)
    assert shown["aliases"] == ["example.com"] and shown["allowfrom"] == made["allowfrom"]


def test_without_a_label_it_is_random(shared):
    one, other = add(shared), add(shared)
    assert UUID.fullmatch(one["subdomain"]) and one["subdomain"] != other["subdomain"]


def test_what_the_operator_hands_on(shared):
    name = label()
    text = ask(shared, "delegate", "add", name, "--alias", "www.example.com", "--alias", "example.net")
    fields = dict(line.split(maxsplit=1) for line in text.splitlines()[:3])
    assert fields["delegate"] == f"{name}.{ZONE}"
    key = re.search(r"^key id +(\S+)$", text, re.M)[1]
    secret = re.search(r"^secret +(\S+)$", text, re.M)[1]
    assert re.search(rf"^API +{URL}$", text, re.M)
    assert f"  _acme-challenge.www.example.com. CNAME {name}.{ZONE}.\n" in text
    assert f"  _acme-challenge.example.net. CNAME {name}.{ZONE}.\n" in text
    assert text.count(secret) == 1, "not in a command line that ends up in the shell's history"
    assert works(shared, {"username": key, "password": secret, "subdomain": name, "fulldomain": f"{name}.{ZONE}"})
    assert max(map(len, text.splitlines())) <= 80


def test_settings_of_a_client(shared):
    name = label()
    text = ask(shared, "delegate", "add", name, "--alias", "example.com", "--for", "lego")
    account = json.loads(text)["example.com"]
    assert account["server_url"] == URL and works(shared, account)
    text = ask(shared, "key", "rotate", name, "--for", "acme.sh")
    found = dict(re.findall(r"^export ACMEDNS_(\w+)='(.*)'$", text, re.M))
    assert found["BASE_URL"] == URL and found["SUBDOMAIN"] == name
    assert works(shared, {**account, "username": found["USERNAME"], "password": found["PASSWORD"]})
    text = ask(shared, "key", "add", name, "--for", "certbot")
    assert json.loads(text)["example.com"]["fulldomain"] == f"{name}.{ZONE}"


def test_a_wildcard_has_the_same_record(shared):
    """RFC 8555 section 8.4: *.example.com is validated at _acme-challenge.example.com."""
    name = label()
    text = ask(shared, "delegate", "add", name, "--alias", "*.Example.com")
    assert f"  _acme-challenge.example.com. CNAME {name}.{ZONE}.\n" in text and "domain=example.com'" in text
    assert show(shared, name)["aliases"] == ["example.com"]
    text = ask(shared, "delegate", "add", "--alias", "*.example.com", "--for", "posh-acme")
    assert "'*.example.com'" in text and "'_acme-challenge.example.com'" in text


def test_settings_that_cannot_be_made_cost_nothing(shared):
    name = label()
    refuse(shared, 2, "delegate", "add", name, "--for", "netscape", say="lego, traefik, caddy")
    refuse(shared, 2, "delegate", "add", name, "--for", "lego", say="--alias")
    refuse(shared, 2, "delegate", "add", name, "--for", "lego", "--alias", "not a name", say="host name")
    refuse(shared, 1, "delegate", "show", name)
    add(shared, name)
    refuse(shared, 1, "key", "add", name, "--for", "lego", say="alias")
    assert len(show(shared, name)["keys"]) == 1


@pytest.mark.parametrize("wrong", ["-x", "x-", "a b", "ü", "x" * 64, "*", ""])
def test_labels_that_are_none(shared, wrong):
    if wrong:
        done = shared.operator("delegate", "add", "--", wrong) if wrong == "-x" else shared.operator("delegate", "add", wrong)
        assert done.returncode in (1, 2) and done.stdout == "" and done.stderr.count("\n") == 1, done
    refuse(shared, 2 if wrong else 1, "delegate", "add", "--alias", wrong or "a..b", label(),
           *(["--zone"] if wrong == "" else ["--frob"]), *([OTHER] if wrong == "" else []))


def test_labels_are_never_given_out_again(shared):
    name = label()
    made = add(shared, name)
    refuse(shared, 1, "delegate", "add", name, say="taken")
    refuse(shared, 1, "delegate", "add", name.upper(), say="taken")
    assert ask(shared, "delegate", "remove", name, "--yes") == "removed; its label is never given out again\n"
    refuse(shared, 1, "delegate", "add", name, say="never given out again")
    refuse(shared, 1, "delegate", "show", name, say="no delegate of that name")
    refuse(shared, 1, "delegate", "remove", name, "--yes", say="no delegate of that name")
    assert shared.update(made, value()).status == 401
    assert shared.query(made["fulldomain"]).rcode() == 3


@pytest.mark.parametrize("name", ["www", "WWW", "alias", "ns1", "ent"])
def test_labels_of_static_names_are_nobody_s(shared, name):
    """RFC 1034 section 4.3.2: at a name with records of the configuration no delegate could be answered; `ent` is an
    empty non-terminal of harness.STATIC_RECORDS, ns1 the name server."""
    refuse(shared, 1, "delegate", "add", name, say="record of the configuration")
    refuse(shared, 1, "token", "add", "--label", name, say="record of the configuration")
    token = ask_json(shared, "Token", "token", "add", "--prefix", name.lower())
    answer = shared.http("POST", "/v1/register", json.dumps({"label": name.lower()}),
                         {"X-Registration-Token": token["token"]})
    assert answer.status == 409, answer


def test_the_url_has_the_path_of_the_api(make_server):
    s = make_server(api={"base_paths": ["/dns/", "/other"]})
    s.launch()
    poll(lambda: s.operator("status").returncode == 0, 10, "server ready")
    poll(lambda: s.http("GET", "/dns/health").status == 200, 10, "API ready")
    made = ask_json(s, "Credentials", "delegate", "add", "one")
    assert made["server_url"] == f"{URL}/dns" == s.register("/dns")["server_url"]
    assert f"'{URL}/dns/v1/credentials?" in ask(s, "delegate", "add", "two")
    assert f"  {URL}/dns/t/" in ask(s, "token", "add")
    assert json.loads(ask(s, "delegate", "add", "--for", "lego", "--alias", "a.example"))["a.example"]["server_url"] == f"{URL}/dns"
    done = run("delegate", "add", "--socket", s.admin_socket, "--json")
    assert done.returncode == 0 and "server_url" not in json.loads(done.stdout), "no configuration, no URL"


# ---- one zone, two zones


def test_a_bare_label_and_two_zones(two_zones):
    name = label()
    assert add(two_zones, name)["fulldomain"] == f"{name}.{ZONE}", "the first zone"
    other = add(two_zones, name, "--zone", OTHER.upper())
    assert other["fulldomain"] == f"{name}.{OTHER}" and works(two_zones, other)
    for command in (["delegate", "show", name], ["key", "add", name], ["delegate", "remove", name, "--yes"],
                    ["delegate", "clear", name], ["events", "--name", name]):
        refuse(two_zones, 1, *command, say="full name")
    assert show(two_zones, f"{name}.{OTHER}.")["zone"] == OTHER
    rows = table(ask(two_zones, "delegate", "list", "--zone", OTHER))
    assert [r["DELEGATE"] for r in rows] == [f"{name}.{OTHER}"]
    refuse(two_zones, 1, "delegate", "add", label(), "--zone", "example.org", say="zone")
    refuse(two_zones, 1, "token", "add", "--zone", "example.org", say="zone")
    token = ask_json(two_zones, "Token", "token", "add", "--zone", OTHER)
    assert two_zones.register(f"/t/{token['token']}")["fulldomain"].endswith("." + OTHER)


# ---- delegate list


def test_list(shared):
    mark = label()
    made = [add(shared, f"{mark}-{i}") for i in range(3)]
    shared.publish(made[1])
    ask(shared, "key", "add", f"{mark}-2")
    rows = table(ask(shared, "delegate", "list", mark.upper()))
    assert [r["DELEGATE"] for r in rows] == [m["fulldomain"] for m in made]
    assert [r["KEYS"] for r in rows] == ["1", "1", "2"] and [r["VALUES"] for r in rows] == ["0", "1", "0"]
    entries = list_json(shared, "DelegateEntry", "delegate", "list", mark)
    assert [e["name"] for e in entries] == [m["fulldomain"] for m in made]
    assert [e["changed"] is None for e in entries] == [True, False, True]
    assert [r["CREATED"] for r in rows] == [e["created"][:10] for e in entries]
    assert rows[1]["CHANGED"] == entries[1]["changed"][:10] and rows[0]["CHANGED"] == "-"


def test_nothing_to_list(shared, server):
    done = shared.operator("delegate", "list", "no-such-thing")
    assert (done.returncode, done.stdout) == (0, "") and done.stderr == "there is no delegate like that\n"
    assert shared.operator("delegate", "list", "no-such-thing", "--json").stderr == ""
    empty = server()
    assert empty.operator("delegate", "list").stderr == "there are no delegates yet\n"
    assert empty.operator("token", "list").stderr == "there are no registration tokens\n"


def test_thousands_are_listed_once_while_others_are_added(make_server):
    import concurrent.futures
    from test_import_export import made_up, whole
    one = make_server()
    old = [made_up(f"old-{i:05}") for i in range(5000)]
    path = one.folder / "many"
    path.write_text(whole(old))
    assert run("import", "-c", one.config_path, path).returncode == 0
    one.start()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        listing = pool.submit(ask, one, "delegate", "list", "--json")
        made = [one.register()["fulldomain"] for _ in range(200)]
        found = [json.loads(line)["name"] for line in listing.result().splitlines()]
    assert len(found) == len(set(found)), "each once"
    assert {f"old-{i:05}.{ZONE}" for i in range(5000)} <= set(found)
    assert set(found) <= {f"old-{i:05}.{ZONE}" for i in range(5000)} | set(made)
    head, *rows = ask(one, "delegate", "list").splitlines()
    assert head.startswith("DELEGATE ")
    assert sorted(r.split()[0] for r in rows) == sorted({f"old-{i:05}.{ZONE}" for i in range(5000)} | set(made))
    assert len(table(ask(one, "delegate", "list", "old-000"))) == 100


# ---- delegate show, allow, alias, clear


def test_show(shared):
    name = label()
    made = add(shared, name, "--alias", "example.com")
    text = shared.publish(made)
    for _ in range(3):
        shared.values(made)
    shown = poll(lambda: (s := show(shared, name))["resolvers"] and s, 5, "evidence")
    assert shown["name"] == made["fulldomain"] and [v["value"] for v in shown["values"]] == [text]
    assert shown["keys"][0]["id"] == made["username"] and shown["keys"][0]["last_used_from"] == "127.0.0.1"
    assert shown["changes"][0]["kind"] == "put" and shown["changes"][0]["by"] == "key"
    assert shown["resolvers"][0]["resolver"] == "127.0.0.1"
    text_form = ask(shared, "delegate", "show", f"{name}.{ZONE}.")
    assert max(map(len, text_form.splitlines())) <= 80
    for needle in (rf"^delegate +{name}\.{ZONE}$", r"^alias +example\.com$", r"^allowed from +everywhere$",
                   rf"^key +{made['username']}$", rf"^value +{text}  5\d min left$",
                   rf"^changed +\S+ \S+  put by key {made['username'][:8]} from 127\.0\.0\.1$",
                   r"^asked for by +127\.0\.0\.1, \d+ times?$"):
        assert re.search(needle, text_form, re.M), (needle, text_form)
    assert made["password"] not in text_form + json.dumps(shown)


def test_allow(shared):
    name = label()
    made = add(shared, name)
    ask(shared, "delegate", "allow", name, "192.0.2.0/24", "2001:db8::/32")
    assert not works(shared, made)
    assert show(shared, name)["allowfrom"] == ["192.0.2.0/24", "2001:db8::/32"]
    ask(shared, "delegate", "allow", name, "127.0.0.1")
    assert works(shared, made)
    ask(shared, "delegate", "allow", name, "192.0.2.0/24")
    ask(shared, "delegate", "allow", name, "--everywhere")
    assert works(shared, made) and show(shared, name)["allowfrom"] == []
    refuse(shared, 2, "delegate", "allow", name, say="--everywhere")
    refuse(shared, 2, "delegate", "allow", name, "127.0.0.1", "--everywhere", say="--everywhere")
    refuse(shared, 2, "delegate", "allow", name, "1.2.3", say="1.2.3")
    refuse(shared, 2, "delegate", "allow", name, *(f"192.0.2.{i}" for i in range(33)), say="32")
    refuse(shared, 2, "delegate", "add", label(), "--allow", "192.0.2.0/33", say="192.0.2.0/33")
    refuse(shared, 1, "delegate", "allow", label(), "127.0.0.1", say="no delegate of that name")


def test_alias(shared):
    name = label()
    add(shared, name)
    ask(shared, "delegate", "alias", name, "*.example.com", "_acme-challenge.example.net")
    assert show(shared, name)["aliases"] == ["example.com", "example.net"]
    ask(shared, "delegate", "alias", name, "--none")
    assert show(shared, name)["aliases"] == []
    refuse(shared, 1, "delegate", "alias", name, "not a name", say="host name")
    refuse(shared, 2, "delegate", "alias", name, say="--none")
    refuse(shared, 2, "delegate", "alias", name, *(f"{i}.example" for i in range(9)), say="8")
    refuse(shared, 2, "delegate", "add", label(), *(a for i in range(9) for a in ("--alias", f"{i}.example")), say="8")


def test_clear(shared):
    name = label()
    made = add(shared, name)
    shared.publish(made)
    assert ask(shared, "delegate", "clear", name) == "its values are withdrawn\n"
    assert shared.values(made) == [] and show(shared, name)["values"] == []
    assert show(shared, name)["changes"][0]["by"] == "operator"
    assert re.search(r"^changed .* cleared by the operator$", ask(shared, "delegate", "show", name), re.M)
    assert works(shared, made)


# ---- remove asks


def test_remove_asks_a_person(shared):
    name = label()
    made = add(shared, name, "--alias", "example.com")
    for answer in ("n\n", "\n", "\x04"):
        asked = Terminal(shared, "delegate", "remove", name).wait_for("[y/N]")
        assert f"{name}.{ZONE} has 1 key and 0 values, for example.com." in asked.text
        status, text = asked.type(answer).end()
        assert status == 1 and "nothing was changed" in text
        assert works(shared, made)
        ask(shared, "delegate", "clear", name)
    status, text = Terminal(shared, "delegate", "remove", name).wait_for("[y/N]").type("y\n").end()
    assert status == 0 and "removed" in text
    assert not shared.update(made, value()).status == 200
    status, text = Terminal(shared, "delegate", "remove", name).end()
    assert status == 1 and "no delegate of that name" in text and "[y/N]" not in text


def test_remove_without_a_person(shared):
    name = label()
    add(shared, name)
    refuse(shared, 1, "delegate", "remove", name, say="--yes")
    assert show(shared, name)
    assert ask_json(shared, "Done", "delegate", "remove", name, "--yes") == {"status": "ok"}


# ---- keys


def test_keys(shared):
    name = label()
    first = add(shared, name)
    refuse(shared, 1, "key", "revoke", name, first["username"], say="last key")
    second = ask_json(shared, "Credentials", "key", "add", name)
    assert second["fulldomain"] == first["fulldomain"] and second["username"] != first["username"]
    assert works(shared, first) and works(shared, second)
    refuse(shared, 1, "key", "add", name, say="two keys")
    refuse(shared, 1, "key", "rotate", name, say="say which one")
    refuse(shared, 1, "key", "rotate", name, first["username"][:8], say="--at-once")
    assert ask(shared, "key", "revoke", name, first["username"][:8].upper()) == "revoked\n"
    assert not works(shared, first) and works(shared, second)
    refuse(shared, 1, "key", "revoke", name, first["username"], say="none of its keys")
    for wrong in ("x", second["username"][:7], "zzzzzzzz", ""):
        refuse(shared, 1, "key", "revoke", name, wrong, say="none of its keys")
    ask(shared, "key", "revoke", name, second["username"], "--force")
    assert not works(shared, second) and show(shared, name)["keys"] == []
    assert "key           none" in ask(shared, "delegate", "show", name)
    assert works(shared, ask_json(shared, "Credentials", "key", "add", name)), "and a way back"


def test_rotate(shared):
    name = label()
    old = add(shared, name)
    text = ask(shared, "key", "rotate", name)
    assert "The old key works until the new one is used for the first time." in text
    new = {**old, "username": re.search(r"key id +(\S+)", text)[1], "password": re.search(r"secret +(\S+)", text)[1]}
    assert [k["retiring"] for k in show(shared, name)["keys"]] in ([True, False], [False, True])
    assert "ends with the first use of the other key" in ask(shared, "delegate", "show", name)
    assert works(shared, old) and works(shared, new) and not works(shared, old)
    newest = ask_json(shared, "Credentials", "key", "rotate", name, new["username"][:8], "--at-once")
    assert not works(shared, new) and works(shared, newest)
    refuse(shared, 1, "key", "rotate", label(), say="no delegate of that name")


# ---- registration tokens


@pytest.fixture(scope="module")
def by_token():
    with harness.Server(api={"registration": {"mode": "token"}}).running() as one:
        yield one


def make_token(server, *options):
    return ask_json(server, "Token", "token", "add", *options)


def register(server, token, **fields):
    return server.http("POST", "/v1/register", json.dumps(fields), {"X-Registration-Token": token["token"]})


def test_token_terms(by_token):
    prefix = label() + "-"
    token = make_token(by_token, "--note", "team a", "--quota", "2", "--expires", "30d", "--prefix", prefix,
                       "--allow", "192.0.2.0/24", "--zone", ZONE)
    assert token["quota"] == 2 and token["label_prefix"] == prefix and token["label"] is None
    assert token["allowfrom"] == ["192.0.2.0/24"] and token["note"] == "team a" and token["zone"] == ZONE
    first = register(by_token, token)
    assert first.status == 201 and json.loads(first.body)["subdomain"].startswith(prefix)
    assert by_token.update(json.loads(first.body), value()).status == 401, "the allow list"
    chosen = register(by_token, token, label=prefix + "x")
    assert json.loads(chosen.body)["fulldomain"] == f"{prefix}x.{ZONE}"
    assert json.loads(register(by_token, token).body)["error"] == "token_spent"
    (row,) = [r for r in table(ask(by_token, "token", "list")) if r["ID"] == token["id"]]
    assert row["USED"] == "2 of 2" and row["NOTE"] == "team a" and row["ALLOWED FROM"] == "192.0.2.0/24"
    assert row["DELEGATES"] == f"{prefix}*.{ZONE}" and row["EXPIRES (UTC)"] == token["expires"][:16].replace("T", " ")
    (entry,) = [t for t in list_json(by_token, "Token", "token", "list") if t["id"] == token["id"]]
    assert entry["registrations"] == 2 and entry["last_used"] and "token" not in entry


def test_token_of_one_label(by_token):
    name = label()
    token = make_token(by_token, "--label", name)
    assert json.loads(register(by_token, token).body)["fulldomain"] == f"{name}.{ZONE}"
    assert register(by_token, token).status == 403
    refuse(by_token, 1, "token", "add", "--label", name, say="never given out again")


def test_what_is_said_about_a_new_token(by_token):
    text = ask(by_token, "token", "add", "--quota", "0")
    token = re.search(r"^token  (\S{40})$", text, re.M)[1]
    assert f"  {URL}/t/{token}\n" in text and f"  X-Registration-Token: {token}\n" in text
    assert max(map(len, text.splitlines())) <= 80
    account = by_token.register(f"/t/{token}")
    by_token.publish(account)
    assert token not in ask(by_token, "token", "list") + ask(by_token, "token", "list", "--json")


def test_revoked_tokens(by_token):
    token = make_token(by_token)
    account = json.loads(register(by_token, token).body)
    assert ask(by_token, "token", "revoke", token["id"]).startswith("revoked")
    assert register(by_token, token).status == 401
    by_token.publish(account)
    for wrong in (token["id"], "nope", "", "x" * 100):
        refuse(by_token, 1, "token", "revoke", wrong, say="no token of that id")


@pytest.mark.parametrize("options", [
    ["--expires", "12"], ["--expires", "2026-02-30"], ["--expires", "2020-01-01"], ["--expires", "0d"], ["--expires", "-1d"],
    ["--expires", "30 d"], ["--expires", "tomorrow"], ["--expires", ""], ["--expires", "999999999d"], ["--quota", "x"],
    ["--quota", "-1"], ["--quota", "4294967296"], ["--quota", ""], ["--allow", "1"], ["--allow", "192.0.2.0/33"],
    ["--label", "a", "--prefix", "b"], ["--note", "x" * 101], ["--label", "x" * 64]])
def test_bad_terms(by_token, options):
    before = len(list_json(by_token, "Token", "token", "list"))
    refuse(by_token, 2, "token", "add", *options)
    assert len(list_json(by_token, "Token", "token", "list")) == before


@pytest.mark.parametrize("options", [["--label=-x"], ["--label", "a.b"], ["--prefix", "*"], ["--zone", OTHER]])
def test_terms_that_the_server_refuses(by_token, options):
    refuse(by_token, 1, "token", "add", *options, say="zone")


def test_many_tokens_are_listed_once(by_token):
    made = {make_token(by_token, "--note", f"number {i}")["id"] for i in range(30)}
    rows = [r["ID"] for r in table(ask(by_token, "token", "list"))]
    assert len(rows) == len(set(rows)) and made <= set(rows)
    assert [t["id"] for t in list_json(by_token, "Token", "token", "list")] == rows


# ---- status


def test_status(shared):
    report = ask_json(shared, "Status", "status")
    assert report["zones"] == [ZONE] and report["registration"] == "open" and report["store"]["writable"]
    shared.publish(shared.register())
    after = ask_json(shared, "Status", "status")
    assert after["delegates"] == report["delegates"] + 1
    assert after["requests"]["registrations"] == report["requests"]["registrations"] + 1
    assert after["requests"]["changes"] == report["requests"]["changes"] + 1
    text = ask(shared, "status")
    assert re.match(r"acme-delegate \S+, up .* \(since [-\d]+ [:\d]+ UTC\)\n", text)
    for needle in (rf"^zone +{ZONE}$", rf"^delegates +{after['delegates']}$", r"^registration +open, \d+ tokens?$",
                   r"^store +.*, in order$", r"^index +.*, in service$"):
        assert re.search(needle, text, re.M), (needle, text)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.skipif(not IS_ROOT, reason="mounting needs root; CI runs this as root")
def test_status_of_a_full_disk(server, small_disk):  # noqa: F811
    one = server(store={"path": str(small_disk / "store")})
    account = one.register()
    filler = fill(small_disk)
    for _ in range(2000):
        if one.http("POST", "/register").status != 201:
            break
    for _ in range(3):  # what only reads says nothing about writing
        assert show(one, account["subdomain"])["name"] == account["fulldomain"]
    assert one.http("GET", "/health").status == 503
    assert "can be written again" not in one.stderr()
    done = one.operator("status")
    assert done.returncode == 1 and "CANNOT BE WRITTEN" in done.stdout, done
    done = one.operator("status", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["store"]["writable"] is False
    failed = one.operator("delegate", "add", "--allow", "127.0.0.1", label())
    assert failed.returncode == 1 and "log says why" in failed.stderr, failed
    filler.unlink()
    poll(lambda: one.operator("status").returncode == 0, 10, "all is well again")
    add(one, label())


def test_status_of_a_store_that_cannot_be_read(server):
    one = server()
    account = one.register()
    contents = one.data_file.read_bytes()
    os.truncate(one.data_file, 0)
    done = poll(lambda: (d := one.operator("status")).returncode == 1 and d, 10, "that it is seen")
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1 and "log" in done.stderr, done
    one.data_file.write_bytes(contents)
    poll(lambda: one.operator("status").returncode == 0, 10, "all is well again")
    assert show(one, account["subdomain"])


# ---- on a terminal


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_tables_on_a_terminal(shared, columns):
    token = make_token(shared, "--note", "a note", "--allow", "192.0.2.0/24")
    made = shared.register()
    shared.publish(made)
    for command in (["delegate", "list", made["subdomain"]], ["token", "list"], ["events", "--last", "3"]):
        status, text = Terminal(shared, *command, columns=columns).end()
        assert status == 0
        widest = max(len(line) for line in text.splitlines())
        assert widest <= max(columns, 4 + len(made["fulldomain"])), (columns, text)
        assert all(line == line.rstrip() for line in text.splitlines())
    status, text = Terminal(shared, "delegate", "list", made["subdomain"], columns=columns).end()
    assert made["fulldomain"] in text
    status, text = Terminal(shared, "token", "list", columns=columns).end()
    assert token["id"] in text and "192.0.2.0/24" in text and "a note" in text


def test_control_characters_do_not_reach_the_terminal(shared):
    make_token(shared, "--note", "red \x1b[31m alert\x07")
    assert "red ?[31m alert?" in ask(shared, "token", "list")
    assert "\x1b" not in ask(shared, "token", "list") + ask(shared, "token", "list", "--json")


# ---- output that cannot be written


def test_output_that_cannot_be_written(shared):
    with open("/dev/full", "w") as full:
        import subprocess
        for command in (["status"], ["delegate", "list"], ["events"], ["token", "list", "--json"]):
            make_token(shared)
            done = subprocess.run([harness.BINARY, *command, "-c", str(shared.config_path)], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=20, env=harness.environment())
            assert done.returncode == 1 and "cannot write the output" in done.stderr, (command, done)
