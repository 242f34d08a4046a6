# SPDX-License-Identifier: GPL-3.0-or-later
"""Replays the bytes that ACME clients send, and checks in DNS what they bring about.

The requests follow the clients' sources: cpu/goacmedns 0.1.1, nrdcg/goacmedns 0.2.0, libdns/acmedns 0.5.0,
acme.sh dns_acmedns, pyacmedns, acme-dns-auth.py, acme-dns-client 0.3, Posh-ACME, simple-acme, Certify The Web,
dehydrated's hook by qvr, getssl, lego's httpreq, acme.sh dns_acmeproxy. RULES below are the twenty things that a
server must do so that none of them breaks."""

import base64
import dataclasses
import hashlib
import json
import re

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest

from harness import COMPAT, URL, ZONE, credentials, txt_of, value


def crlf(text):
    return text.replace("\n", "\r\n").encode()


def post(path, fields, body):
    """A POST as this client writes it: the fields in its own order and spelling, Content-Length only where it says so."""
    lines = f"POST {path} HTTP/1.1\n" + "".join(f"{f}\n" for f in fields) + "\n"
    return crlf(lines.replace("LEN", str(len(body)))) + body.encode()


GO = ["Host: auth.example.org", "User-Agent: Go-http-client/1.1", "Content-Length: LEN"]
CURL = ["Host: auth.example.org", "User-Agent: curl/7.88.1", "Accept: */*"]
REQUESTS = ["Host: auth.example.org", "User-Agent: python-requests/2.28.1", "Accept-Encoding: gzip, deflate, br",
            "Accept: */*", "Connection: keep-alive"]
DOTNET = ["Host: auth.example.org"]
JUNK_BASIC = "Authorization: Basic Og=="


def keys(a):
    return [f"X-Api-Key: {a['password']}", f"X-Api-User: {a['username']}"]


@dataclasses.dataclass
class Client:
    """How one client registers (None: never does) and updates; how it reads success."""

    register: object
    update: object
    register_ok: object = staticmethod(lambda r: r.status == 201)
    update_ok: object = staticmethod(lambda r, v: r.status == 200)


def contains_quoted(response, txt):
    """acme.sh and dehydrated's hook: grep "\\"$txtvalue\\""; the status is not looked at."""
    return f'"{txt}"' in response.body.decode()


def sed_registration(response):
    """acme.sh: sed -n 's/^{.*\\"username\\":[ ]*\\"\\([^\\"]*\\)\\".*}/\\1/p' on each line."""
    lines = response.body.decode().split("\n")
    for key in ("username", "password", "fulldomain", "subdomain"):
        found = [m[1] for m in (re.search(rf'^{{.*"{key}":[ ]*"([^"]*)".*}}', line) for line in lines) if m]
        if found != [json.loads(response.body)[key]]:
            return False
    return True


def two_xx(response, *_):
    return 200 <= response.status < 300


def pretty(a, v):
    return f'{{\n  "subdomain": "{a["subdomain"]}",\n  "txt": "{v}"\n}}'


CLIENTS = {
    "cpu-goacmedns": Client(
        lambda: post("/register", [*GO, "Content-Type: application/json", "Accept-Encoding: gzip"], ""),
        lambda a, v: post("/update", [*GO, "Content-Type: application/json", *keys(a), "Accept-Encoding: gzip"],
                          '{"SubDomain":"%s","Txt":"%s"}' % (a["subdomain"], v))),
    "cpu-goacmedns-allowfrom": Client(
        lambda: post("/register", [*GO, "Content-Type: application/json", "Accept-Encoding: gzip"],
                     '{"AllowFrom":["127.0.0.0/8"]}'),
        lambda a, v: post("/update", [*GO, "Content-Type: application/json", *keys(a)],
                          '{"SubDomain":"%s","Txt":"%s"}' % (a["subdomain"], v))),
    "nrdcg-goacmedns": Client(
        lambda: post("/register", [*GO, "Accept: application/json", "Content-Type: application/json"], "null\n"),
        lambda a, v: post("/update", [*GO, "Accept: application/json", "Content-Type: application/json", *keys(a)],
                          '{"subdomain":"%s","txt":"%s"}\n' % (a["subdomain"], v)),
        two_xx, two_xx),
    "nrdcg-goacmedns-allowfrom": Client(
        lambda: post(COMPAT + "/register", [*GO, "Accept: application/json", "Content-Type: application/json"],
                     '{"allowfrom":["127.0.0.1/32"]}\n'),
        lambda a, v: post(COMPAT + "/update", [*GO, "Content-Type: application/json", *keys(a)],
                          '{"subdomain":"%s","txt":"%s"}\n' % (a["subdomain"], v)),
        two_xx, two_xx),
    "libdns-caddy": Client(
        None,
        lambda a, v: post("//update", [*GO, "Content-Type: application/json", *keys(a), "Accept-Encoding: gzip"],
                          '{"subdomain":"%s","txt":"%s"}' % (a["subdomain"], v))),
    "acme.sh": Client(
        lambda: post("/register", ["Host: auth.example.org", "User-Agent: acme.sh/3.1.3", "Accept: */*"], ""),
        lambda a, v: post("/update", ["Host: auth.example.org", "User-Agent: acme.sh/3.1.3", "Accept: */*",
                                      f"X-Api-User: {a['username']}", f"X-Api-Key: {a['password']}",
                                      "Content-Length: LEN", "Content-Type: application/x-www-form-urlencoded"],
                          '{"subdomain":"%s", "txt": "%s"}' % (a["subdomain"], v)),
        sed_registration, contains_quoted),
    "pyacmedns": Client(
        lambda: post("//register", [*REQUESTS, "Content-Length: 0"], ""),
        lambda a, v: post("//update", [*REQUESTS, f"X-Api-User: {a['username']}", f"X-Api-Key: {a['password']}",
                                       "Content-Type: application/json", "Content-Length: LEN"],
                          '{"subdomain": "%s", "txt": "%s"}' % (a["subdomain"], v))),
    "acme-dns-auth.py": Client(
        lambda: post("/register", [*REQUESTS, "Content-Length: 0"], ""),
        lambda a, v: post("/update", [*REQUESTS, f"X-Api-User: {a['username']}", f"X-Api-Key: {a['password']}",
                                      "Content-Type: application/json", "Content-Length: LEN"],
                          '{"subdomain": "%s", "txt": "%s"}' % (a["subdomain"], v))),
    "acme-dns-auth.py-allowfrom": Client(
        lambda: post("/register", [*REQUESTS, "Content-Type: application/json", "Content-Length: LEN"],
                     '{"allowfrom": ["127.0.0.0/8", "::1/128"]}'),
        lambda a, v: post("/update", [*REQUESTS, f"X-Api-User: {a['username']}", f"X-Api-Key: {a['password']}",
                                      "Content-Length: LEN"], '{"subdomain": "%s", "txt": "%s"}' % (a["subdomain"], v))),
    "posh-acme": Client(
        lambda: post("/register", ["Host: auth.example.org", "User-Agent: Posh-ACME/4.32.0 PowerShell/7.4",
                                   "Authorization: Basic dXNlcjpwYXNz", "Content-Type: application/json",
                                   "Content-Length: LEN"], "{}"),
        lambda a, v: post("/update", ["Host: auth.example.org", f"X-Api-User: {a['username']}",
                                      f"X-Api-Key: {a['password']}", "Authorization: Basic dXNlcjpwYXNz",
                                      "Content-Type: application/json", "Content-Length: LEN"],
                          '{"subdomain":"%s","txt":"%s"}' % (a["subdomain"], v)), two_xx, two_xx),
    "posh-acme-powershell-5.1": Client(
        lambda: post("/register", ["Content-Type: application/json", "Host: auth.example.org", "Content-Length: LEN",
                                   "Expect: 100-continue", "Connection: Keep-Alive"], "{}"),
        lambda a, v: post("/update", [f"X-Api-User: {a['username']}", f"X-Api-Key: {a['password']}",
                                      "Content-Type: application/json", "Host: auth.example.org", "Content-Length: LEN",
                                      "Expect: 100-continue", "Connection: Keep-Alive"],
                          '{"subdomain":"%s","txt":"%s"}' % (a["subdomain"], v)), two_xx, two_xx),
    "simple-acme": Client(
        lambda: post("/register", [*DOTNET, JUNK_BASIC, "Content-Type: text/plain; charset=utf-8", "Content-Length: 0"], ""),
        lambda a, v: post("/update", [*DOTNET, JUNK_BASIC, f"X-Api-User: {a['username']}", f"X-Api-Key: {a['password']}",
                                      "Content-Type: application/json; charset=utf-8", "Content-Length: LEN"],
                          '{"subdomain":"%s","txt":"%s"}' % (a["subdomain"], v))),
    "certify": Client(
        lambda: post("/register", [*DOTNET, "Authorization: Basic dXNlcjpwYXNz_w", "Content-Type: text/plain; charset=utf-8",
                                   "Content-Length: LEN"], "{}"),
        lambda a, v: post("/update", [*DOTNET, "Authorization: Basic dXNlcjpwYXNz_w", f"X-Api-User: {a['username']}",
                                      f"X-Api-Key: {a['password']}", "Content-Type: text/plain; charset=utf-8",
                                      "Content-Length: LEN"], '{"subdomain":"%s","txt":"%s"}' % (a["subdomain"], v)),
        two_xx, lambda r, v: two_xx(r) and json.loads(r.body) == {"txt": v}),
    "dehydrated-hook": Client(
        None,
        lambda a, v: post("/update", [*CURL, f"X-Api-User: {a['username']}", f"X-Api-Key: {a['password']}",
                                      "Content-Length: LEN", "Content-Type: application/x-www-form-urlencoded"],
                          '{"subdomain": "%s", "txt": "%s"}' % (a["subdomain"], v)), None, contains_quoted),
    "getssl": Client(
        None,
        lambda a, v: post("/update", [*CURL, f"X-Api-User: {a['username']}", f"X-Api-Key: {a['password']}",
                                      "Content-Length: LEN", "Content-Type: application/x-www-form-urlencoded"], pretty(a, v)),
        None, lambda r, v: '"error"' not in r.body.decode()),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_replay(shared, name):
    """Register, publish the values of wildcard and base name, look into DNS at once."""
    client = CLIENTS[name]
    if client.register:
        response = shared.raw(client.register())
        assert client.register_ok(response), response
        account = json.loads(response.body)
    else:
        account = shared.register()
    values = [value(), value()]
    for txt in values:
        response = shared.raw(client.update(account, txt))
        assert client.update_ok(response, txt), response
        assert txt in shared.values(account)
    assert sorted(shared.values(account)) == sorted(values)


@pytest.mark.parametrize("name", CLIENTS)
def test_replay_with_a_wrong_key(shared, name):
    """The client must be able to see that it failed."""
    client = CLIENTS[name]
    account = shared.register()
    txt = value()
    response = shared.raw(client.update({**account, "password": "x" * 40}, txt))
    assert response.status == 401 and "error" in json.loads(response.body)
    if client.update_ok is not two_xx:
        assert not client.update_ok(response, txt)
    assert shared.values(account) == []


def basic_field(a):
    return "Authorization: Basic " + base64.b64encode(f"{a['username']}:{a['password']}".encode()).decode()


def httpreq(path, a, fields, body):
    return post(path, [*fields, basic_field(a), "Content-Type: application/json", "Accept: application/json"], body)


def test_lego_httpreq(shared):
    account = shared.register()
    txt = value()
    body = '{"fqdn":"%s.","value":"%s"}' % (account["fulldomain"], txt)
    fields = [*GO, "Accept-Encoding: gzip"]
    assert shared.raw(httpreq("/present", account, fields, body)).status < 300
    assert shared.values(account) == [txt]
    assert shared.raw(httpreq("/cleanup", account, fields, body)).status < 300
    assert shared.values(account) == []


def test_lego_httpreq_raw(shared):
    account = shared.register()
    key_auth = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
    body = '{"domain":"example.com","token":"LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0","keyAuth":"%s"}' % key_auth
    assert shared.raw(httpreq("/present", account, GO, body)).status < 300
    digest = hashlib.sha256(key_auth.encode()).digest()
    assert shared.values(account) == [base64.urlsafe_b64encode(digest).decode().rstrip("=")]


@pytest.mark.parametrize("path", ["/present", "/cleanup"])
def test_acmeproxy(shared, path):
    """acme.sh looks for the value in quotes, libdns/acmeproxy wants 200 and both texts exactly as it sent them."""
    account = shared.register()
    txt = value()
    fqdn = "_acme-challenge.Example.com."
    response = shared.raw(httpreq(path, account, [*CURL, "Content-Length: LEN"], '{"fqdn": "%s", "value": "%s"}' % (fqdn, txt)))
    assert response.status == 200
    assert contains_quoted(response, txt)
    assert json.loads(response.body) == {"fqdn": fqdn, "value": txt}
    assert shared.values(account) == ([txt] if path == "/present" else [])


# ---- the twenty rules

RULES = {}


def rule(number):
    def keep(function):
        RULES[number] = function
        return function

    return keep


@rule(1)
def json_keys_match_without_case(shared):
    for allow, label, txt_key in (("AllowFrom", "SubDomain", "Txt"), ("ALLOWFROM", "SUBDOMAIN", "TXT"),
                                  ("allowFROM", "subDomain", "tXt")):
        response = shared.http("POST", "/register", json.dumps({allow: ["192.0.2.0/24"]}))
        assert response.status == 201 and json.loads(response.body)["allowfrom"] == ["192.0.2.0/24"]
        account = shared.register()
        txt = value()
        body = json.dumps({label: account["subdomain"], txt_key: txt})
        assert shared.http("POST", "/update", body, credentials(account)).status == 200
        assert shared.values(account) == [txt]


@rule(2)
def register_accepts_four_bodies(shared):
    for body in ("", "null\n", "{}", '{"allowfrom":["10.0.0.0/8"]}'):
        assert shared.http("POST", "/register", body, {"Content-Type": "application/json"}).status == 201


@rule(3)
def post_without_length_is_an_empty_body(shared):
    request = post("/register", ["Host: auth.example.org", "User-Agent: acme.sh/3.1.3", "Accept: */*"], "")
    assert b"Content-Length" not in request
    assert shared.raw(request).status == 201


@rule(4)
def content_type_is_never_looked_at(shared):
    account = shared.register()
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain; charset=utf-8", None,
                 "multipart/form-data; boundary=x", "nonsense"):
        headers = {"Content-Type": kind} if kind else {}
        assert shared.http("POST", "/register", "{}", headers).status == 201
        body = json.dumps({"subdomain": account["subdomain"], "txt": value()})
        assert shared.http("POST", "/update", body, {**credentials(account), **headers}).status == 200


@rule(5)
def register_is_201_and_update_200(shared):
    assert shared.http("POST", "/register").status == 201
    assert shared.update(shared.register(), value()).status == 200


@rule(6)
def repeated_slashes_count_once(shared):
    account = shared.register()
    body = json.dumps({"subdomain": account["subdomain"], "txt": value()})
    for base in ("/", "//", COMPAT + "/", "//api//v1/acme-dns-compat//"):
        assert shared.http("POST", base + "/register").status == 201
        assert shared.http("POST", base + "/update", body, credentials(account)).status == 200


@rule(7)
def any_prefix_can_be_configured(shared):
    account = shared.register(base=COMPAT)
    txt = value()
    assert shared.update(account, txt, base=COMPAT).status == 200
    assert shared.values(account) == [txt]
    assert shared.http("GET", COMPAT + "/health").status == 200


@rule(8)
def registration_is_one_flat_line(shared):
    response = shared.http("POST", "/register")
    text = response.body.decode()
    assert text.startswith("{") and text.endswith("}") and "\n" not in text
    assert sed_registration(response)
    pairs = json.loads(text, object_pairs_hook=list)
    assert [key for key, _ in pairs] == ["username", "password", "fulldomain", "subdomain", "allowfrom", "server_url"]
    assert all(isinstance(item, str) for key, item in pairs if key != "allowfrom")
    account = dict(pairs)
    assert account["fulldomain"] == f"{account['subdomain']}.{ZONE}" == account["fulldomain"].lower()
    assert account["server_url"] == URL


@rule(9)
def update_says_the_value_in_quotes_and_no_error(shared):
    txt = value()
    response = shared.update(shared.register(), txt)
    assert f'"{txt}"' in response.body.decode() and '"error"' not in response.body.decode()


@rule(10)
def errors_are_json_and_do_not_echo_the_value(shared):
    account = shared.register()
    foreign = shared.register()
    txt = value()
    failures = [
        shared.update({**account, "password": "x" * 40}, txt),
        shared.update({**account, "subdomain": foreign["subdomain"]}, txt),
        shared.update(account, txt[:-1]),
        shared.http("POST", "/update", f'{{"txt":"{txt}"', credentials(account)),
        shared.http("POST", "/register", "{"),
        shared.http("POST", "/register", '{"allowfrom":["x"]}'),
        shared.http("POST", "/update", json.dumps({"txt": txt * 300}), credentials(account)),
    ]
    for response in failures:
        assert response.status >= 400 and isinstance(json.loads(response.body)["error"], str)
        assert txt[:-1] not in response.body.decode()


@rule(11)
def junk_authorization_is_ignored(shared):
    account = shared.register()
    for junk in ("Basic Og==", "Basic", "Basic dXNlcjpwYXNz_w", "Basic !!!", "Bearer x.y.z", "", "Negotiate ="):
        assert shared.http("POST", "/register", "", {"Authorization": junk}).status == 201
        body = json.dumps({"subdomain": account["subdomain"], "txt": value()})
        assert shared.http("POST", "/update", body, {**credentials(account), "Authorization": junk}).status == 200


@rule(12)
def two_values_of_one_second_survive(shared):
    for _ in range(10):
        account = shared.register()
        first, second = shared.publish(account), shared.publish(account)
        for _ in range(3):
            shared.publish(account, second)
        assert sorted(shared.values(account)) == sorted([first, second])


@rule(13)
def many_values_live_at_once(shared):
    account = shared.register()
    values = [shared.publish(account) for _ in range(8)]
    assert sorted(shared.values(account)) == sorted(values)
    # Over UDP no answer is more than four times its query, so that it is no use for attacks: resolvers go on with TCP.
    short = shared.query(account["fulldomain"], "TXT")
    assert short.flags & dns.flags.TC and short.answer == []


@rule(14)
def success_means_visible(shared):
    for _ in range(10):
        account = shared.register()
        for tcp in (False, True):
            txt = shared.publish(account)
            assert txt in shared.values(account, tcp=tcp)


@rule(15)
def delegate_without_value_is_nodata_for_every_type(shared):
    account = shared.register()
    for rdtype in ("CNAME", "TXT", "SOA", "A", "AAAA", "CAA", "NS", "HTTPS", "TYPE65280"):
        answer = shared.query(account["fulldomain"], rdtype)
        assert answer.rcode() == dns.rcode.NOERROR and answer.answer == []
        assert [r.rdtype for r in answer.authority] == [dns.rdatatype.SOA]


@rule(16)
def negative_answers_and_values_are_short_lived(shared):
    account = shared.register()
    for name in (account["fulldomain"], f"nothing.{ZONE}"):
        soa = shared.query(name, "TXT").authority[0]
        assert 1 <= soa.ttl <= 10 and 1 <= soa[0].minimum <= 10
    shared.publish(account)
    assert shared.query(account["fulldomain"], "TXT").answer[0].ttl <= 5


@rule(17)
def soa_and_ns_stand_where_zone_walks_look(shared):
    apex = shared.query(ZONE, "SOA")
    assert [r.rdtype for r in apex.answer] == [dns.rdatatype.SOA]
    assert [r.rdtype for r in shared.query(ZONE, "NS").answer] == [dns.rdatatype.NS]
    account = shared.register()
    for name, rdtype in ((account["fulldomain"], "SOA"), (f"nothing.{ZONE}", "SOA"), (f"_acme-challenge.{ZONE}", "TXT")):
        answer = shared.query(name, rdtype)
        assert answer.answer == [] and [r.rdtype for r in answer.authority] == [dns.rdatatype.SOA]
        assert answer.flags & dns.flags.AA
    assert apex.flags & dns.flags.AA


@rule(18)
def every_type_is_answered(shared):
    account = shared.register()
    shared.publish(account)
    for name in (ZONE, account["fulldomain"]):
        for rdtype in (2, 5, 6, 12, 13, 15, 28, 33, 35, 39, 43, 44, 46, 47, 48, 52, 64, 65, 99, 257, 666, 65280, 65534):
            answer = shared.query(name, rdtype)
            assert answer.rcode() == dns.rcode.NOERROR
            assert answer.answer or [r.rdtype for r in answer.authority] == [dns.rdatatype.SOA]


@rule(19)
def out_of_zone_is_refused_not_dropped(shared):
    for tcp in (False, True):
        assert shared.query("www.example.com", "TXT", tcp=tcp).rcode() == dns.rcode.REFUSED


@rule(20)
def question_echoed_with_and_without_edns_over_udp_and_tcp(shared):
    account = shared.register()
    txt = shared.publish(account)
    name = "".join(c.upper() if i % 3 else c for i, c in enumerate(account["fulldomain"]))
    for tcp in (False, True):
        for options in ({"use_edns": False}, {"payload": 1232}, {"payload": 4096}):
            answer = shared.query(name, "TXT", tcp=tcp, **options)
            assert txt_of(answer) == [txt]
            assert answer.question[0].name.to_text() == name + "."  # to_text keeps the case
            assert answer.flags & dns.flags.RD


@pytest.mark.parametrize("number", sorted(RULES), ids=lambda n: f"{n:02}-{RULES[n].__name__}")
def test_rule(shared, number):
    RULES[number](shared)


def test_all_rules_are_here():
    assert sorted(RULES) == list(range(1, 21))
