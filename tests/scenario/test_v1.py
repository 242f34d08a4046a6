# SPDX-License-Identifier: GPL-3.0-or-later
"""What a key can do below /v1/, and that it can do it to its own delegate only."""

import json

import pytest

import rawhttp
from harness import COMPAT, URL, basic_credentials, credentials, txt_of, value
from v1 import Answer, bearer, call, expect

FORMATS = ["lego", "caddy", "certbot", "acme.sh", "posh-acme", "cert-manager", "traefik", "httpreq"]


@pytest.fixture
def account(shared):
    return shared.register()


def show(server, who):
    return expect(call(server, "GET", "/v1/delegate", who), 200)


def values_of(server, who):
    return [v["value"] for v in show(server, who)["values"]]


# ---- seeing


def test_check(shared, account):
    for headers in (credentials(account), basic_credentials(account)):
        assert expect(call(shared, "GET", "/v1/check", headers), 200) == {
            "status": "ok", "domain": account["fulldomain"]}


@pytest.mark.parametrize("base", ["", COMPAT])
def test_show(shared, base):
    account = shared.register(allowfrom=["127.0.0.0/8", "::1/128"])
    text = shared.publish(account)
    shown = expect(call(shared, "GET", base + "/v1/delegate", account), 200)
    assert shown["name"] == account["fulldomain"]
    assert shown["allowfrom"] == ["127.0.0.0/8", "::1/128"]
    assert [v["value"] for v in shown["values"]] == [text]
    assert shown["values"][0]["expires"].endswith("Z")
    (key,) = shown["keys"]
    assert key["id"] == account["username"]
    assert key["created"] <= key["last_used"] and key["last_used_from"] == "127.0.0.1"
    (change,) = shown["changes"]
    assert change["from"] == "127.0.0.1" and account["username"].startswith(change["key"])
    assert account["password"] not in json.dumps(shown)


# ---- values


def test_set_and_clear_values(shared, account):
    one, two, three = value(), value(), value()
    for text in (one, two, three):
        expect(call(shared, "POST", "/v1/values", account, {"value": text}), 200)
    assert shared.values(account) == [one, two, three] == values_of(shared, account)
    expect(call(shared, "DELETE", f"/v1/values/{two}", account), 200)
    assert shared.values(account) == [one, three]
    expect(call(shared, "DELETE", "/v1/values", account), 200)
    assert shared.values(account) == [] == values_of(shared, account)


@pytest.mark.parametrize("text,hint", [
    ("", "43"),
    ("a" * 42, "43"),
    ("a" * 43 + "=", "padding"),
    ("a" * 42 + "+", "base64url"),
    ("a" * 42 + "/", "base64url"),
    ("a" * 40 + "." + "b" * 43, "key authorization"),
])
def test_a_bad_value_is_explained(shared, account, text, hint):
    answer = call(shared, "POST", "/v1/values", account, {"value": text})
    expect(answer, 400, "bad_value")
    assert hint in answer.json["detail"], answer
    assert text not in answer.json["detail"] or len(text) < 20
    assert shared.values(account) == []


# ---- keys


def test_second_key_rotation_and_revocation(shared, account):
    second = expect(call(shared, "POST", "/v1/keys", account), 201)
    assert second["fulldomain"] == account["fulldomain"] and second["username"] != account["username"]
    shared.publish(account)
    shared.publish(second)
    expect(call(shared, "POST", "/v1/keys", account), 409, "too_many_keys")
    expect(call(shared, "DELETE", f"/v1/keys/{account['username']}", second), 200)
    assert shared.update(account, value()).status == 401
    shared.publish(second)
    expect(call(shared, "DELETE", f"/v1/keys/{second['username']}", second), 409, "last_key")
    shared.publish(second)


def test_rotation_shuts_nobody_out(shared, account):
    """The answer may be lost on its way: until the new key is used the old one works, and can ask again."""
    lost = expect(call(shared, "POST", f"/v1/keys/{account['username']}/rotate", account), 201)
    shared.publish(account)
    new = expect(call(shared, "POST", f"/v1/keys/{account['username']}/rotate", account), 201)
    assert call(shared, "GET", "/v1/check", lost).status == 401
    shared.publish(account)
    shared.publish(new)
    assert shared.update(account, value()).status == 401
    assert [k["id"] for k in show(shared, new)["keys"]] == [new["username"]]


def test_rotation_at_once(shared, account):
    new = expect(call(shared, "POST", f"/v1/keys/{account['username']}/rotate", account, {"at_once": True}), 201)
    assert shared.update(account, value()).status == 401
    shared.publish(new)


# ---- allow list, aliases, deletion


def test_change_the_allow_list(shared, account):
    expect(call(shared, "PUT", "/v1/delegate/allowfrom", account, {"allowfrom": ["127.0.0.1/32"]}), 200)
    assert show(shared, account)["allowfrom"] == ["127.0.0.1/32"]
    expect(call(shared, "PUT", "/v1/delegate/allowfrom", account, {"allowfrom": ["192.0.2.0/24"]}), 409, "shuts_out")
    shared.publish(account)
    expect(call(shared, "PUT", "/v1/delegate/allowfrom", account, {"allowfrom": ["192.0.2.1"]}), 400)
    expect(call(shared, "PUT", "/v1/delegate/allowfrom", account, {"allowfrom": ["192.0.2.0/24"], "force": True}), 200)
    assert shared.update(account, value()).status == 401
    assert call(shared, "GET", "/v1/delegate", account).status == 401
    assert call(shared, "PUT", "/v1/delegate/allowfrom", account, {"allowfrom": []}).status == 401


def test_aliases(shared, account):
    expect(call(shared, "PUT", "/v1/delegate/aliases", account, {"aliases": ["Example.COM.", "www.example.com"]}), 200)
    assert show(shared, account)["aliases"] == ["example.com", "www.example.com"]
    for bad in (["no_dots"], ["a b.example"], ["x" * 64 + ".example"], ["example.com", "EXAMPLE.com"],
                [f"a{i}.example" for i in range(9)], "example.com", [1]):
        assert call(shared, "PUT", "/v1/delegate/aliases", account, {"aliases": bad}).status == 400, bad
    assert show(shared, account)["aliases"] == ["example.com", "www.example.com"]


def test_a_deleted_delegate_is_gone_for_ever(server):
    s = server()
    account = s.register()
    s.publish(account)
    expect(call(s, "DELETE", "/v1/delegate", account), 200)

    def gone():
        assert s.query(account["fulldomain"] + ".").rcode().name == "NXDOMAIN"
        assert s.query(account["fulldomain"] + ".", tcp=True).rcode().name == "NXDOMAIN"
        assert s.update(account, value()).status == 401
        assert call(s, "GET", "/v1/check", account).status == 401

    gone()
    s.restart()
    gone()


# ---- credentials for clients


@pytest.mark.parametrize("form", FORMATS)
def test_credentials(shared, account, form):
    answer = call(shared, "GET", f"/v1/credentials?format={form}&domain=example.com", basic_credentials(account))
    assert answer.status == 200, answer
    text = answer.body.decode()
    assert account["password"] in text and account["username"] in text
    assert URL in text or "auth.example.org" in text
    registered = call(shared, "POST", f"/v1/register?format={form}&domain=example.com", body={})
    assert registered.status == 201, registered


def test_credentials_for_lego(shared, account):
    """nrdcg/goacmedns storage: a map of plain domain names to accounts."""
    answer = call(shared, "GET", "/v1/credentials?format=lego&domain=example.com&domain=www.example.org", account)
    assert set(answer.json) == {"example.com", "www.example.org"}
    for entry in answer.json.values():
        assert entry == {**{k: account[k] for k in ("fulldomain", "subdomain", "username", "password")},
                         "server_url": URL}


@pytest.mark.parametrize("query", ["?format=", "?format=nothing", "?format=lego", "?format=lego&domain=a%20b",
                                   "?format=lego&domain=", "?format=lego&domain=example.com&x=1"])
def test_bad_credentials_request(shared, account, query):
    answer = call(shared, "GET", "/v1/credentials" + query, account)
    assert answer.status == 400, answer
    assert account["password"].encode() not in answer.body


def test_lego_storage(shared, account):
    """lego's HTTP storage: GET <base>/<domain> -> the account; the user info of the base URL becomes HTTP Basic."""
    headers = basic_credentials(account)
    found = expect(call(shared, "GET", "/v1/storage/example.com", headers), 200)
    assert found == {**{k: account[k] for k in ("fulldomain", "subdomain", "username", "password")}, "server_url": URL}
    expect(call(shared, "POST", "/v1/storage/example.com", headers, found), 200)
    other = shared.register()
    foreign = {k: other[k] for k in ("fulldomain", "subdomain", "username", "password")}
    expect(call(shared, "POST", "/v1/storage/example.com", headers, foreign), 409)
    assert call(shared, "GET", "/v1/storage/example.com").status == 401


# ---- isolation


def operations(server):
    """Every operation of the API, from its own description."""
    document = expect(call(server, "GET", "/v1/openapi.json"), 200)
    for path, item in document["paths"].items():
        for method in ("get", "put", "post", "delete"):
            if method in item:
                yield path, method.upper()


def body_about(path, victim, text):
    """A body that names the victim's things, or does harm if it is taken for the victim."""
    if path.endswith("/update"):
        return {"subdomain": victim["subdomain"], "txt": text}
    if path.endswith(("/present", "/cleanup")):
        return {"fqdn": victim["fulldomain"] + ".", "value": text}
    if "storage" in path:
        return victim
    return {"value": text, "allowfrom": ["192.0.2.0/24"], "force": True, "aliases": ["attacker.example"],
            "at_once": True, "label": victim["subdomain"], "name": victim["fulldomain"]}


def test_a_key_reaches_nothing_outside_its_delegate(server):
    """Every operation of the API with every foreign object, by key, by a token-less stranger, and by a key in place of
    the operator's token: nothing of the victim is shown or changed."""
    s = server()
    victim = s.register()
    second = expect(call(s, "POST", "/v1/keys", victim), 201)
    expect(call(s, "PUT", "/v1/delegate/aliases", victim, {"aliases": ["victim.example"]}), 200)
    kept = s.publish(victim)
    before = show(s, victim)
    secret_marks = (victim["password"], second["password"], kept, "victim.example", second["username"])
    tried = 0
    for path, method in operations(s):
        for target_key in (victim["username"], second["username"]):
            for headers in ("key", "stranger", "bearer"):
                attacker = s.register()
                there = (path.replace("{name}", victim["fulldomain"]).replace("{id}", target_key)
                         .replace("{value}", kept).replace("{domain}", "victim.example")
                         .replace("{token}", attacker["password"]))
                assert "{" not in there, path
                who = {"key": attacker, "stranger": None, "bearer": bearer(attacker["password"])}[headers]
                body = None if method in ("GET", "DELETE") else body_about(path, victim, value())
                if headers == "stranger" and method == "POST" and path.endswith("register"):
                    body = {"label": victim["subdomain"]}
                answer = call(s, method, there, who, body)
                tried += 1
                assert answer.status < 500, (method, there, answer)
                echoed = json.dumps(body or {}) + there
                for mark in secret_marks:
                    assert mark in echoed or mark.encode() not in answer.body, (method, there, headers, answer)
                assert s.values(victim) == [kept], (method, there, headers)
    assert tried > 100
    after = show(s, victim)
    for shown in (before, after):
        shown.pop("resolvers")
    assert after == before
    s.publish(victim)
    s.publish(second)


def test_keys_of_a_deleted_delegate_reach_nothing(shared):
    account = shared.register()
    expect(call(shared, "DELETE", "/v1/delegate", account), 200)
    for path, method in operations(shared):
        if "admin" in path or path.endswith(("register", "health", "openapi.json")):
            continue
        there = (path.replace("{name}", account["fulldomain"]).replace("{id}", account["username"])
                 .replace("{value}", value()).replace("{domain}", "x.example").replace("{token}", "x" * 40))
        answer = call(shared, method, there, account, None if method in ("GET", "DELETE") else
                      body_about(path, account, value()))
        assert answer.status in (400, 401), (method, there, answer)


# ---- the rules that all share


def test_every_answer_is_not_to_be_stored(shared, account):
    for path in ("/v1/check", "/v1/nothing", "/health", "/v1/credentials?format=lego&domain=example.com"):
        assert call(shared, "GET", path, account).headers["cache-control"] == "no-store"


def test_a_refused_login_says_how_to_log_in(shared):
    answer = call(shared, "GET", "/v1/check")
    expect(answer, 401, "forbidden")
    assert answer.headers["www-authenticate"].startswith("Basic ")  # RFC 9110 section 11.6.1


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/keys/x/y/z", "/v1/delegate/x", "/v2/check", "/v1/Check"])
def test_unknown_paths(shared, account, path):
    assert call(shared, "GET", path, account).status == 404


def test_wrong_method(shared, account):
    answer = call(shared, "PUT", "/v1/check", account, {})
    expect(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].replace(" ", "").split(",")) >= {"GET"}


def test_failed_logins_are_slowed_but_the_owner_is_not(server):
    """Guessing gets slower and slower for an address; a right key from the same address is not."""
    import time
    s = server(api={"failed_login_delay": "2s"})
    account = s.register()
    wrong = {**account, "password": "x" * 40}
    durations = []
    for _ in range(12):
        begin = time.monotonic()
        assert s.update(wrong, value()).status == 401
        durations.append(time.monotonic() - begin)
    assert max(durations[-3:]) > 0.2, durations
    assert max(durations) < 5, durations
    begin = time.monotonic()
    s.publish(account)
    assert time.monotonic() - begin < max(0.2, min(durations[-3:])), durations


def test_many_guesses_at_once_block_nobody(server):
    """More refusals than are held back at a time: the rest is answered at once, and the API stays free for others."""
    s = server(api={"failed_login_delay": "2s"})
    account = s.register()
    wrong = rawhttp.request("POST", "/update", json.dumps({"subdomain": account["subdomain"], "txt": value()}),
                            credentials({**account, "password": "y" * 40}))
    for _ in range(10):
        assert s.raw(wrong).status == 401
    sockets = [s.connect() for _ in range(300)]
    try:
        for one in sockets:
            one.sendall(wrong)
        s.publish(account)
        for one in sockets:
            one.settimeout(10)
            assert Answer(rawhttp.read_response(one)).status == 401
    finally:
        for one in sockets:
            one.close()
    s.publish(account)
