# SPDX-License-Identifier: GPL-3.0-or-later
"""The acme-dns API byte for byte, the httpreq API, and what must not get through. Expected bytes are those of
acme-dns 1.1 (joohoi/acme-dns, api.go); see also test_clients.py for what each client sends."""

import base64
import concurrent.futures
import hashlib
import json
import re
import socket
import ssl

import pytest

import framing
import rawhttp
from harness import COMPAT, FAMILIES, LOOPBACK, URL, ZONE, basic_credentials, credentials, value

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
FORBIDDEN = b'{"error": "forbidden"}'
MALFORMED = b'{"error": "malformed_json_payload"}'
BASES = ["", COMPAT]


@pytest.fixture(scope="module")
def account(shared):
    """A delegate with one value, which most tests here must not be able to change."""
    found = shared.register()
    found["value"] = shared.publish(found)
    return found


def assert_json_error(response, status, body=None):
    assert response.status == status, response
    assert response.headers["content-type"].split(";")[0] == "application/json"
    if body is not None:
        assert response.body == body
    assert isinstance(json.loads(response.body)["error"], str)


def update_body(account, txt):
    return json.dumps({"subdomain": account["subdomain"], "txt": txt})


# ---- register


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("body", [None, "", "{}", "null", "null\n", '{"allowfrom":[]}', '{"allowfrom":null}',
                                  '{"subdomain":"mine"}', '{"unknown":{"deep":[1]}}', " {} "])
def test_register(shared, base, body):
    response = shared.http("POST", base + "/register", body)
    assert response.status == 201
    assert response.headers["content-type"] == "application/json"
    zone = re.escape(ZONE)
    assert re.fullmatch(
        rf'\{{"username":"{UUID}","password":"[A-Za-z0-9_-]{{40}}","fulldomain":"([a-z0-9-]+)\.{zone}",'
        rf'"subdomain":"\1","allowfrom":\[\],"server_url":"{re.escape(URL + base)}"\}}',
        response.body.decode()), response.body


def test_register_gives_each_time_another(shared):
    accounts = [shared.register() for _ in range(20)]
    for key in ("username", "password", "fulldomain", "subdomain"):
        assert len({a[key] for a in accounts}) == 20


@pytest.mark.parametrize("sent,echoed", [
    (["192.168.100.1/24"], ["192.168.100.1/24"]),
    (["[::1]/128"], ["::1/128"]),
    (["10.0.0.0/8", "2001:db8::/32"], ["10.0.0.0/8", "2001:db8::/32"]),
    (["0.0.0.0/0"], ["0.0.0.0/0"]),
])
def test_register_echoes_the_allow_list(shared, sent, echoed):
    response = shared.http("POST", "/register", json.dumps({"allowfrom": sent}))
    assert response.status == 201
    assert json.loads(response.body)["allowfrom"] == echoed
    assert json.dumps(echoed, separators=(",", ":")).encode() in response.body


@pytest.mark.parametrize("entry", ["192.168.1.1", "::1", "", "x", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1"])
def test_register_refuses_what_is_no_cidr(shared, entry):
    response = shared.http("POST", "/register", json.dumps({"allowfrom": ["10.0.0.0/8", entry]}))
    assert_json_error(response, 400, b'{"error": "invalid_allowfrom_cidr"}')


@pytest.mark.parametrize("body", ["{", "}", "[]", '"x"', "1", "true", "{}x", "{}{}", " ", "\n", '{"allowfrom":"10.0.0.0/8"}',
                                  '{"allowfrom":[1]}', '{"allowfrom":{}}', "{'a':1}", '{"a":1,}', "\xff", "nul", "{}\0",
                                  "[" * 4000, '{"allowfrom":[' + '"10.0.0.0/8",' * 3])
def test_register_malformed(shared, body):
    assert_json_error(shared.http("POST", "/register", body.encode("latin-1")), 400, MALFORMED)


def test_registration_closed(server):
    one = server(api={"registration": {"mode": "closed"}})
    response = one.http("POST", "/register", "{}")
    assert response.status in (403, 404)
    assert b"username" not in response.body
    assert one.http("GET", "/health").status == 200


def test_registration_rate_limit(server):
    one = server(api={"registration": {"mode": "open", "per_address_per_hour": 3, "per_day": 0}})
    accounts = [one.register() for _ in range(3)]
    for _ in range(2):
        response = one.http("POST", "/register")
        assert_json_error(response, 429)
        assert 0 < int(response.headers["retry-after"]) <= 3600
    one.publish(accounts[0])
    if 6 in FAMILIES:
        assert one.http("POST", "/register", family=6).status == 201


def test_registrations_per_day(server):
    one = server(api={"registration": {"mode": "open", "per_address_per_hour": 0, "per_day": 2}})
    one.register()
    one.register()
    response = one.http("POST", "/register")
    assert_json_error(response, 429)
    assert 0 < int(response.headers["retry-after"]) <= 86400


# ---- update


@pytest.mark.parametrize("path", ["/update", "//update", "///update", COMPAT + "/update", COMPAT + "//update",
                                  "/" + COMPAT + "/update"])
def test_update(shared, path):
    mine = shared.register()
    txt = value()
    response = shared.http("POST", path, update_body(mine, txt), credentials(mine))
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert response.body == b'{"txt": "%s"}' % txt.encode()
    assert shared.values(mine) == [txt]


@pytest.mark.parametrize("path", ["/register", "//register", COMPAT + "/register", COMPAT + "//register"])
def test_repeated_slashes_in_register(shared, path):
    assert shared.http("POST", path).status == 201


def test_both_values_of_one_second_live(shared):
    """Wildcard and base name share the delegate; acme-dns loses one (its issue 331)."""
    mine = shared.register()
    first, second = value(), value()
    for txt in (first, second, second, second):
        assert shared.update(mine, txt).status == 200
    assert sorted(shared.values(mine)) == sorted([first, second])


def test_values_stand_once(shared):
    mine = shared.register()
    txt = value()
    for _ in range(5):
        assert shared.update(mine, txt).status == 200
    assert shared.values(mine) == [txt]


BAD_VALUES = ["", "short", "a" * 42, "a" * 44, "a" * 42 + ".", "a" * 42 + "=", "a" * 42 + "+", "a" * 42 + "\n", "é" * 43,
              "a" * 42 + "\0", "a" * 255, "a" * 256, "a" * 4000]


@pytest.mark.parametrize("txt", BAD_VALUES, ids=range(len(BAD_VALUES)))
def test_update_bad_txt(shared, account, txt):
    assert_json_error(shared.update(account, txt), 400, b'{"error": "bad_txt"}')
    assert shared.values(account) == [account["value"]]


def test_update_without_txt(shared, account):
    body = json.dumps({"subdomain": account["subdomain"]})
    assert_json_error(shared.http("POST", "/update", body, credentials(account)), 400, b'{"error": "bad_txt"}')


def changed_keys(account):
    user, key = account["username"], account["password"]
    other = "A" if key[0] != "A" else "B"
    return {
        "none": {},
        "no-user": {"X-Api-Key": key},
        "no-key": {"X-Api-User": user},
        "empty": {"X-Api-User": "", "X-Api-Key": ""},
        "first-byte": {"X-Api-User": user, "X-Api-Key": other + key[1:]},
        "last-byte": {"X-Api-User": user, "X-Api-Key": key[:-1] + ("A" if key[-1] != "A" else "B")},
        "short": {"X-Api-User": user, "X-Api-Key": key[:-1]},
        "long": {"X-Api-User": user, "X-Api-Key": key + "a"},
        "very-long": {"X-Api-User": user, "X-Api-Key": key * 50},
        "case": {"X-Api-User": user, "X-Api-Key": key.swapcase()},
        "unknown-user": {"X-Api-User": "c36f50e8-4632-44f0-83fe-e070fef28a10", "X-Api-Key": key},
        "no-uuid": {"X-Api-User": "bob", "X-Api-Key": key},
        "label-as-user": {"X-Api-User": account["subdomain"] + "x", "X-Api-Key": key},
        "swapped": {"X-Api-User": key, "X-Api-Key": user},
        "sql": {"X-Api-User": "' OR 1=1 --", "X-Api-Key": key},
        "bytes": {"X-Api-User": user, "X-Api-Key": "\xff" * 40},
    }


@pytest.mark.parametrize("which", changed_keys({"username": "u", "password": "p", "subdomain": "s"}))
def test_update_with_wrong_key(shared, account, which):
    headers = changed_keys(account)[which]
    assert_json_error(shared.http("POST", "/update", update_body(account, value()), headers), 401, FORBIDDEN)
    assert shared.values(account) == [account["value"]]


@pytest.mark.parametrize("header", ["X-Api-User", "X-Api-Key"])
def test_update_with_a_key_sent_twice(shared, account, header):
    """Two keys in one request are a sign of something in between that does not agree with us on who asks."""
    body = update_body(account, value()).encode()
    headers = credentials(account)
    data = rawhttp.request("POST", "/update", body, headers)
    doubled = data.replace(b"\r\n\r\n", f"\r\n{header}: {headers[header]}\r\n\r\n".encode(), 1)
    assert shared.raw(doubled).status in (400, 401)
    assert shared.values(account) == [account["value"]]


@pytest.mark.parametrize("form", [str.upper, "{{{}}}".format, "urn:uuid:{}".format, lambda u: u.replace("-", "")],
                         ids=["upper", "braces", "urn", "bare"])
def test_update_user_in_other_spellings(shared, form):
    """google/uuid's Parse, which acme-dns uses, takes them all."""
    mine = shared.register()
    txt = value()
    headers = {"X-Api-User": form(mine["username"]), "X-Api-Key": mine["password"]}
    assert shared.http("POST", "/update", update_body(mine, txt), headers).status == 200
    assert shared.values(mine) == [txt]


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"', "{}", '{"subdomain":1,"txt":"%s"}' % ("a" * 43),
                                  '{"txt":"%s"}' % ("a" * 43), "\xff\xfe", "[" * 8000, '{"subdomain":' * 500],
                         ids=lambda b: repr(b[:12]))
def test_update_malformed(shared, account, body):
    """Whatever is wrong with the body is 401 in acme-dns, since it is read while judging the request."""
    response = shared.http("POST", "/update", body.encode("latin-1"), credentials(account))
    assert_json_error(response, 401, FORBIDDEN)
    assert shared.values(account) == [account["value"]]


def test_update_without_body(shared, account):
    assert_json_error(shared.http("POST", "/update", None, credentials(account)), 401, FORBIDDEN)


def test_update_subdomain_is_compared_exactly(shared, account):
    label = account["subdomain"]
    for wrong in (label.upper(), label + ".", label + " ", label[:-1], account["fulldomain"], label + "\0", "", "*"):
        body = json.dumps({"subdomain": wrong, "txt": value()})
        assert_json_error(shared.http("POST", "/update", body, credentials(account)), 401, FORBIDDEN)
    assert shared.values(account) == [account["value"]]


def test_isolation_of_delegates(shared):
    """50 keys x 50 labels: a key changes its own delegate and no other, by no endpoint."""
    accounts = [shared.register() for _ in range(50)]
    before = [shared.publish(a) for a in accounts]

    def attack(mine):
        seen = set()
        with shared.connect() as s:
            buffer = bytearray()
            for other in accounts:
                if other is mine:
                    continue
                s.sendall(rawhttp.request("POST", "/update", update_body(other, value()), credentials(mine)))
                response = rawhttp.read_response(s, buffer)
                seen.add((response.status, response.body))
        return seen

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = set().union(*pool.map(attack, accounts))
    assert results == {(401, FORBIDDEN)}
    assert [shared.values(a) for a in accounts] == [[v] for v in before]


@pytest.mark.parametrize("allowed,status", [("127.0.0.1/32", 200), ("127.0.0.0/8", 200), ("192.0.2.0/24", 401),
                                            ("::1/128", 401), ("0.0.0.0/0", 200), ("::/0", 401)])
def test_allowfrom(shared, allowed, status):
    mine = shared.register(allowfrom=[allowed])
    txt = value()
    response = shared.update(mine, txt)
    assert response.status == status
    if status == 401:
        assert response.body == FORBIDDEN
    assert shared.values(mine) == ([txt] if status == 200 else [])


@pytest.mark.skipif(6 not in FAMILIES, reason="this machine has no IPv6 loopback")
def test_allowfrom_over_ipv6(shared):
    mine = shared.register(allowfrom=["::1/128"])
    assert shared.update(mine, value(), family=6).status == 200
    assert shared.update(mine, value(), family=4).status == 401
    other = shared.register(allowfrom=["127.0.0.0/8"])
    assert shared.update(other, value(), family=6).status == 401


@pytest.mark.parametrize("forwarded", ["192.0.2.1", "192.0.2.1, 203.0.113.5", "203.0.113.5, 192.0.2.1"])
def test_forwarded_header_of_a_stranger_is_ignored(shared, forwarded):
    mine = shared.register(allowfrom=["192.0.2.1/32"])
    headers = {**credentials(mine), "X-Forwarded-For": forwarded}
    assert shared.http("POST", "/update", update_body(mine, value()), headers).status == 401


@pytest.mark.parametrize("forwarded,status", [("192.0.2.1", 200), ("203.0.113.5, 192.0.2.1", 200),
                                              ("192.0.2.1, 203.0.113.5", 401), ("192.0.2.1, 127.0.0.1", 200), ("", 401),
                                              ("junk", 401)])
def test_forwarded_header_of_a_trusted_proxy(server, forwarded, status):
    """The rightmost address that is no trusted proxy counts; acme-dns takes any of them."""
    one = server(api={"trusted_proxies": ["127.0.0.0/8"]})
    mine = one.register(allowfrom=["192.0.2.1/32"])
    headers = {**credentials(mine), "X-Forwarded-For": forwarded}
    response = one.http("POST", "/update", update_body(mine, value()), headers)
    assert response.status == status or (status == 401 and response.status == 400), response


# ---- health and routes


@pytest.mark.parametrize("base", BASES)
def test_health(shared, base):
    response = shared.http("GET", base + "/health")
    assert response.status == 200 and response.body == b""
    assert "content-type" not in response.headers


@pytest.mark.parametrize("method,path,allow", [("GET", "/update", "POST"), ("PUT", "/update", "POST"),
                                               ("DELETE", "/register", "POST"), ("GET", "/register", "POST"),
                                               ("POST", "/health", "GET"), ("PATCH", "/present", "POST")])
def test_wrong_method(shared, method, path, allow):
    response = shared.http(method, path, "" if method != "GET" else None)
    assert response.status == 405
    assert allow in [m.strip() for m in response.headers["allow"].split(",")]


@pytest.mark.parametrize("path", ["/", "/nothing", "/updates", "/update/x", "/Update", "/v1", "/../update", "/./update",
                                  "/%75pdate", "/health%00", "/x/update", COMPAT, COMPAT + "x/update", "/etc/passwd"])
def test_unknown_path(shared, account, path):
    response = shared.http("POST", path, update_body(account, value()), credentials(account))
    assert response.status in (400, 404), response
    assert shared.values(account) == [account["value"]]


# ---- present and cleanup (lego's httpreq, acmeproxy)


@pytest.mark.parametrize("base", BASES)
def test_present_and_cleanup(shared, base):
    mine = shared.register()
    keep, txt = shared.publish(mine), value()
    body = json.dumps({"fqdn": mine["fulldomain"] + ".", "value": txt})
    expected = json.dumps({"fqdn": mine["fulldomain"] + ".", "value": txt}, separators=(",", ":")).encode()
    response = shared.http("POST", base + "/present", body, basic_credentials(mine))
    assert (response.status, response.body) == (200, expected)
    assert sorted(shared.values(mine)) == sorted([keep, txt])
    for _ in range(2):  # cleaning up twice is fine
        response = shared.http("POST", base + "/cleanup", body, basic_credentials(mine))
        assert (response.status, response.body) == (200, expected)
        assert shared.values(mine) == [keep]


@pytest.mark.parametrize("form", ["{}.", "{}", "_acme-challenge.{}."])
def test_present_spellings_of_the_delegate(shared, form):
    mine = shared.register()
    txt = value()
    fqdn = form.format(mine["fulldomain"])
    response = shared.http("POST", "/present", json.dumps({"fqdn": fqdn, "value": txt}), basic_credentials(mine))
    assert response.status == 200 and json.loads(response.body) == {"fqdn": fqdn, "value": txt}
    assert shared.values(mine) == [txt]


def test_present_with_the_alias(shared):
    """Clients that do not follow the CNAME send their own name; the key says which delegate is meant."""
    mine = shared.register()
    txt = value()
    body = json.dumps({"fqdn": "_acme-challenge.example.com.", "value": txt})
    assert shared.http("POST", "/present", body, basic_credentials(mine)).status == 200
    assert shared.values(mine) == [txt]


def test_present_raw_mode(shared):
    """HTTPREQ_MODE=RAW: the value is base64url(SHA-256(keyAuth))."""
    mine = shared.register()
    body = json.dumps({"domain": "example.com", "token": "evaGxfADs6pSRb2LAv9IZ", "keyAuth": "evaGxfADs6pSRb2LAv9IZ.x"})
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"evaGxfADs6pSRb2LAv9IZ.x").digest()).decode().rstrip("=")
    assert shared.http("POST", "/present", body, basic_credentials(mine)).status == 200
    assert shared.values(mine) == [digest]
    assert shared.http("POST", "/cleanup", body, basic_credentials(mine)).status == 200
    assert shared.values(mine) == []


@pytest.mark.parametrize("path", ["/present", "/cleanup"])
def test_present_of_a_foreign_delegate(shared, account, path):
    mine = shared.register()
    for fqdn in (account["fulldomain"] + ".", account["fulldomain"].upper() + ".", f"other.{ZONE}.", f"{ZONE}."):
        body = json.dumps({"fqdn": fqdn, "value": account["value"]})
        assert_json_error(shared.http("POST", path, body, basic_credentials(mine)), 403)
    assert shared.values(account) == [account["value"]] and shared.values(mine) == []


@pytest.mark.parametrize("path", ["/present", "/cleanup"])
@pytest.mark.parametrize("authorization", [None, "Basic", "Basic !!!", "Basic " + base64.b64encode(b"no-colon").decode(),
                                           "Basic " + base64.b64encode(b"a:b").decode(), "Bearer x"])
def test_present_needs_a_key(shared, account, path, authorization):
    headers = {"Authorization": authorization} if authorization else {}
    body = json.dumps({"fqdn": account["fulldomain"] + ".", "value": account["value"]})
    assert_json_error(shared.http("POST", path, body, headers), 401)
    assert shared.values(account) == [account["value"]]


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"fqdn":"x."}', '{"value":"%s"}' % ("a" * 42),
                                  '{"domain":"example.com"}', '{"fqdn":1,"value":2}'])
def test_present_malformed(shared, account, body):
    assert_json_error(shared.http("POST", "/present", body, basic_credentials(account)), 400)
    assert shared.values(account) == [account["value"]]


# ---- HTTPS


def test_https(server):
    one = server(tls=True)
    mine = one.register()
    txt = one.publish(mine)
    assert one.values(mine) == [txt]


@pytest.mark.parametrize("version,name", [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_tls_versions(server, version, name):
    one = server(tls=True)
    with socket.create_connection((LOOPBACK[4], one.api_port), timeout=5) as plain:
        with rawhttp.tls_context(version).wrap_socket(plain) as s:
            assert s.version() == name
            s.sendall(rawhttp.request("GET", "/health"))
            assert rawhttp.read_response(s).status == 200


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(server):
    one = server(tls=True)
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with socket.create_connection((LOOPBACK[4], one.api_port), timeout=5) as plain:
            with pytest.raises((ssl.SSLError, ConnectionResetError)) as refused:
                rawhttp.tls_context(version).wrap_socket(plain)
            assert "NO_CIPHERS" not in str(refused.value) and "UNSUPPORTED" not in str(refused.value), "said by ourselves"
    assert one.http("GET", "/health").status == 200


def test_garbage_instead_of_tls(server):
    one = server(tls=True)
    for data in (rawhttp.request("GET", "/health"), b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"\0" * 1000, b"\x16"):
        with socket.create_connection((LOOPBACK[4], one.api_port), timeout=5) as s:
            s.sendall(data)
    assert one.http("GET", "/health").status == 200


# ---- limits


def test_body_too_large(shared, account):
    for length in (8193, 100_000):
        body = b'{"subdomain":"' + b"a" * length + b'"}'
        try:
            assert_json_error(shared.http("POST", "/update", body, credentials(account)), 413)
        except (ConnectionResetError, BrokenPipeError):
            assert length > 8193  # it need not wait for all of it


def test_announced_body_too_large(shared, account):
    """Refused by what Content-Length says, before the body comes."""
    for length in ("8193", "4294967296", "9" * 18, "9" * 40):
        response = shared.http("POST", "/update", b"", {**credentials(account), "Content-Length": length})
        assert response.status in (400, 413), response


def test_body_at_the_limit(shared, account):
    txt = value()
    body = update_body(account, txt).encode()
    body += b" " * (8192 - len(body))
    mine = shared.register()
    body = body.replace(account["subdomain"].encode(), mine["subdomain"].encode())[:8192]
    assert shared.http("POST", "/update", body, credentials(mine)).status == 200
    assert shared.values(mine) == [txt]


@pytest.mark.parametrize("headers", [{"X-Long": "a" * 9000}, {f"X-{i}": "a" * 100 for i in range(100)}, {"X" * 9000: "a"}],
                         ids=["one", "many", "name"])
def test_headers_too_large(shared, account, headers):
    response = shared.http("POST", "/update", update_body(account, value()), {**credentials(account), **headers})
    assert_json_error(response, 431)
    assert shared.values(account) == [account["value"]]


def test_request_line_too_long(shared):
    assert shared.http("GET", "/" + "a" * 9000).status in (414, 431)


# ---- garbage, and connections that end early; what is ambiguous is in test_framing.py


GARBAGE = [b"\r\n\r\n", b"\0" * 100, b"\xff" * 5000, b"GET", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n",
           b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03", b"A" * 20000,
           b"POST /update HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345", b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
           b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n" * 5000,
           b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /?%00%ff%zz HTTP/1.1\r\nHost: x\r\n\r\n", b":" * 3000]


@pytest.mark.parametrize("half", ["close", "shutdown", "reset"])
def test_garbage(shared, half):
    """Whatever comes and however the connection ends, the next client is served."""
    before = shared.children()["api"]
    for data in GARBAGE:
        with shared.connect() as s:
            try:
                s.sendall(data)
                if half == "shutdown":
                    s.shutdown(socket.SHUT_WR)
                    rawhttp.is_closed(s, 1)
                if half == "reset":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            except OSError:
                pass
    assert shared.http("GET", "/health").status == 200
    assert shared.children()["api"] == before


def test_clients_leave_at_every_byte(shared, account):
    mine = shared.register()
    data = rawhttp.request("POST", "/update", update_body(mine, value()), credentials(mine))
    for cut in range(0, len(data), 3):
        with shared.connect() as s:
            s.sendall(data[:cut])
    assert shared.http("GET", "/health").status == 200
    assert shared.values(mine) == []


def test_client_leaves_before_the_answer(shared):
    mine = shared.register()
    data = rawhttp.request("POST", "/update", update_body(mine, value()), credentials(mine))
    for _ in range(50):
        with shared.connect() as s:
            s.sendall(data)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert shared.http("GET", "/health").status == 200


def test_request_byte_by_byte(shared):
    mine = shared.register()
    txt = value()
    with shared.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in rawhttp.request("POST", "/update", update_body(mine, txt), credentials(mine)):
            s.sendall(bytes([byte]))
        assert rawhttp.read_response(s).status == 200
    assert shared.values(mine) == [txt]


def test_kept_connection(shared):
    mine = shared.register()
    with shared.connect() as s:
        buffer = bytearray()
        for _ in range(10):
            txt = value()
            s.sendall(rawhttp.request("POST", "/update", update_body(mine, txt), credentials(mine)))
            assert rawhttp.read_response(s, buffer).status == 200
            assert txt in shared.values(mine)


def test_pipelined_requests(shared):
    """RFC 9112 section 9.3.2: answered in order."""
    mine = shared.register()
    values = [value() for _ in range(10)]
    with shared.connect() as s:
        s.sendall(b"".join(rawhttp.request("POST", "/update", update_body(mine, v), credentials(mine)) for v in values))
        buffer = bytearray()
        bodies = [rawhttp.read_response(s, buffer).body for _ in values]
    assert bodies == [b'{"txt": "%s"}' % v.encode() for v in values]
    assert sorted(shared.values(mine)) == sorted(values)


def test_http_1_0(shared):
    mine = shared.register()
    txt = value()
    data = rawhttp.request("POST", "/update", update_body(mine, txt), credentials(mine))
    data = data.replace(b"HTTP/1.1", b"HTTP/1.0", 1).replace(b"Host: localhost\r\n", b"")
    with shared.connect() as s:
        s.sendall(data)
        assert rawhttp.read_response(s).status == 200
        assert rawhttp.is_closed(s, 5)
    assert shared.values(mine) == [txt]


def test_many_at_once(shared):
    """64 clients register and update side by side; each sees its own value at once."""

    def one(_):
        mine = shared.register()
        txt = shared.publish(mine)
        return shared.values(mine) == [txt]

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        assert all(pool.map(one, range(256)))


def test_keys_never_reach_the_log(server):
    one = server(log={"level": "debug"})
    mine = one.register()
    one.publish(mine)
    one.http("POST", "/update", "{", credentials(mine))
    one.http("POST", "/present", json.dumps({"fqdn": "x.", "value": "y"}), basic_credentials(mine))
    one.raw(framing.CASES["nul-in-value"].bytes(framing.update(mine, value()), b""))
    assert mine["password"] not in one.stderr()
    assert basic_credentials(mine)["Authorization"].split()[1] not in one.stderr()
