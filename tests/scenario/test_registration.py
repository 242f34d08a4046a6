# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may register: everybody, who has a token, nobody; and what a token allows."""

import base64
import json

import pytest

from harness import ZONE, Server, value
from v1 import BEARER, bearer, call, expect

FIELDS = {"username", "password", "fulldomain", "subdomain", "allowfrom", "server_url"}


@pytest.fixture(scope="module")
def office():
    """A server that registers with tokens only, and whose operator has a bearer token."""
    with Server(api={"registration": {"mode": "token"}}, bearer=BEARER).running() as one:
        yield one


def make_token(server, **terms):
    made = expect(call(server, "POST", "/v1/admin/tokens", bearer(), terms), 201)
    assert len(made["token"]) == 40
    return made


def tokens(server):
    found, after = {}, ""
    for _ in range(100):
        page = expect(call(server, "GET", "/v1/admin/tokens" + after, bearer()), 200)
        found.update({t["id"]: t for t in page["tokens"]})
        if not page["next"]:
            return found
        after = "?after=" + page["next"]
    raise AssertionError("the list of tokens does not end")


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


# ---- where a token may stand


def places(token):
    return {
        "bearer": ("/register", {"Authorization": f"Bearer {token}"}),
        "header": ("/register", {"X-Registration-Token": token}),
        "basic": ("/register", basic("any", token)),
        "basic without a user": ("/register", basic("", token)),
        "path": (f"/t/{token}/register", {}),
        "path below a base": (f"/api/v1/acme-dns-compat/t/{token}/register", {}),
        "path with slashes": (f"//t/{token}//register", {}),
        "v1": ("/v1/register", {"Authorization": f"Bearer {token}"}),
    }


@pytest.mark.parametrize("place", places("x"))
def test_a_token_in_every_place(office, place):
    made = make_token(office, note=place, quota=1)
    path, headers = places(made["token"])[place]
    answer = call(office, "POST", path, headers)
    assert answer.status == 201 and set(answer.json) == FIELDS, answer
    office.publish(answer.json)
    assert tokens(office)[made["id"]]["registrations"] == 1
    expect_refused(call(office, "POST", path, headers), 403, "token_spent")


def expect_refused(answer, status, error):
    assert answer.status == status and answer.error == error, answer


def test_the_path_of_a_token_serves_updates_too(office):
    """Clients take one base URL for everything."""
    made = make_token(office)
    base = f"/t/{made['token']}"
    account = office.register(base)
    assert made["token"] not in account["server_url"]  # it goes into files that updates need, and only them
    text = value()
    assert office.update(account, text, base).status == 200
    assert office.values(account) == [text]
    assert office.http("GET", base + "/health").status == 200
    expect(call(office, "DELETE", f"/v1/admin/tokens/{made['id']}", bearer()), 200)
    office.publish(account)  # what was registered stays
    assert office.update(account, value(), base).status == 200
    expect_refused(call(office, "POST", base + "/register"), 401, "bad_token")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic"}, basic("", ""), basic("user", "secret"),
                                     {"Authorization": "Basic " + base64.urlsafe_b64encode(b"u:p").decode().rstrip("=")}])
def test_no_token(office, headers):
    """win-acme and Certify send such Basic headers without being asked."""
    answer = call(office, "POST", "/register", headers)
    assert answer.status in (401, 403) and answer.error in ("token_required", "bad_token"), answer


@pytest.mark.parametrize("wrong", ["x" * 40, "x", "", "a" * 39, "a" * 41, "../../register", "%20"])
def test_wrong_tokens(office, wrong):
    for path, headers in places(wrong).values():
        answer = call(office, "POST", path, headers)
        assert 400 <= answer.status < 500, (path, headers, answer)


@pytest.mark.parametrize("headers", [{"Authorization": "Basic"}, basic("", ""), basic("user", "secret"), basic("u", "z" * 40)])
def test_junk_does_no_harm_where_registration_is_open(shared, headers):
    answer = call(shared, "POST", "/register", headers)
    assert answer.status == 201, answer


def test_a_wrong_token_is_refused_where_registration_is_open(shared):
    """Whoever names a token wants what it allows."""
    expect_refused(call(shared, "POST", "/register", {"X-Registration-Token": "x" * 40}), 401, "bad_token")
    expect_refused(call(shared, "POST", f"/t/{'x' * 40}/register"), 401, "bad_token")


def test_closed(server):
    s = server(api={"registration": {"mode": "closed"}}, bearer=BEARER)
    made = make_token(s)
    for path, headers in places(made["token"]).values():
        expect_refused(call(s, "POST", path, headers), 403 if path.startswith("/v1/") else 404, "registration_closed")
    account = expect(call(s, "POST", "/v1/admin/delegates", bearer(), {"label": "operator-made"}), 201)
    assert account["fulldomain"] == f"operator-made.{ZONE}"
    s.publish(account)


# ---- what a token allows


def test_quota(office):
    made = make_token(office, quota=3)
    statuses = [call(office, "POST", f"/t/{made['token']}/register").status for _ in range(5)]
    assert statuses == [201, 201, 201, 403, 403]


def test_expiry(office):
    made = make_token(office, expires="2020-01-01T00:00:00Z")
    expect_refused(call(office, "POST", f"/t/{made['token']}/register"), 403, "token_expired")
    made = make_token(office, expires="2099-01-01T00:00:00Z")
    assert call(office, "POST", f"/t/{made['token']}/register").status == 201


def test_fixed_label(office):
    made = make_token(office, label="mail")
    account = office.register(f"/t/{made['token']}")
    assert account["fulldomain"] == f"mail.{ZONE}"
    office.publish(account)
    expect_refused(call(office, "POST", f"/t/{made['token']}/register"), 403, "token_spent")
    answer = call(office, "POST", "/v1/admin/tokens", bearer(), {"label": "mail"})
    expect(answer, 409, "exists")
    expect(call(office, "DELETE", "/v1/delegate", account), 200)
    expect(call(office, "POST", "/v1/admin/tokens", bearer(), {"label": "mail"}), 409, "exists")
    expect(call(office, "POST", "/v1/admin/delegates", bearer(), {"label": "mail"}), 409, "exists")


def test_label_prefix(office):
    made = make_token(office, label_prefix="web-")
    headers = {"X-Registration-Token": made["token"]}
    first, second = (expect(call(office, "POST", "/v1/register", headers, {}), 201) for _ in range(2))
    assert first["subdomain"] != second["subdomain"]
    assert first["subdomain"].startswith("web-") and len(first["subdomain"]) == 4 + 36
    chosen = expect(call(office, "POST", "/v1/register", headers, {"label": "web-front"}), 201)
    assert chosen["fulldomain"] == f"web-front.{ZONE}"
    office.publish(chosen)
    expect(call(office, "POST", "/v1/register", headers, {"label": "web-front"}), 409, "exists")
    for label in ("mail", "we", "web", "x-web-front", "web-front.x", "web_-"):
        answer = call(office, "POST", "/v1/register", headers, {"label": label})
        assert answer.status in (400, 403), (label, answer)


def test_a_label_is_not_free_to_choose(office, shared):
    made = make_token(office)
    answer = call(office, "POST", "/v1/register", {"X-Registration-Token": made["token"]}, {"label": "mine"})
    assert answer.status in (400, 403), answer
    answer = call(shared, "POST", "/v1/register", None, {"label": "mine"})
    assert answer.status in (400, 403), answer


def test_fixed_allow_list(office):
    made = make_token(office, allowfrom=["192.0.2.0/24"])
    answer = call(office, "POST", f"/t/{made['token']}/register", None, {"allowfrom": ["0.0.0.0/0"]})
    assert answer.status == 201 and answer.json["allowfrom"] == ["192.0.2.0/24"], answer
    assert office.update(answer.json, value()).status == 401


def test_tokens_are_not_told_again(office):
    made = make_token(office, note="a note")
    listed = tokens(office)
    assert made["token"] not in json.dumps(listed)
    assert listed[made["id"]]["note"] == "a note"


def test_a_token_is_no_key_and_no_operator(office):
    made = make_token(office)
    for who in (bearer(made["token"]), basic("x", made["token"]), {"X-Api-User": made["id"], "X-Api-Key": made["token"]}):
        for method, path in (("GET", "/v1/admin/status"), ("GET", "/v1/delegate"), ("POST", "/v1/admin/tokens"),
                             ("GET", "/v1/admin/events")):
            assert call(office, method, path, who, {} if method == "POST" else None).status == 401, (who, path)


def test_tokens_survive_a_restart(server):
    s = server(api={"registration": {"mode": "token"}}, bearer=BEARER)
    made = make_token(s, quota=2)
    s.register(f"/t/{made['token']}")
    s.restart()
    s.register(f"/t/{made['token']}")
    expect_refused(call(s, "POST", f"/t/{made['token']}/register"), 403, "token_spent")


def test_limits_do_not_concern_tokens(server):
    s = server(api={"registration": {"mode": "open", "per_address_per_hour": 2, "per_day": 2}},
               bearer=BEARER)
    made = make_token(s)
    for _ in range(2):
        s.register()
    answer = call(s, "POST", "/register")
    assert answer.status == 429 and int(answer.headers["retry-after"]) > 0, answer
    for _ in range(3):
        s.register(f"/t/{made['token']}")
    assert call(s, "POST", "/register").status == 429
