# SPDX-License-Identifier: GPL-3.0-or-later
"""The ACME client (src/acme) against pebble, with a proxy between that plays what pebble does not (RFC 8555, RFC 9773)."""

import base64
import contextlib
import json
import re
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
import types

import pytest

import acme_ca
import harness
from acme_ca import Ca, Client, Reply

NAME = "auth.example.org"


@pytest.fixture(scope="module")
def common():
    """One CA for the tests that leave it as it is."""
    if not acme_ca.TRY.exists():
        pytest.fail(f"no {acme_ca.TRY}: build with -Dtests=true")
    ca = Ca(PEBBLE_ALTERNATE_ROOTS="2")
    yield ca
    ca.close()


@pytest.fixture
def ca(common):
    common.proxy.reset()
    common.dns.values.clear()
    yield common


@pytest.fixture
def client(ca, folder):
    """Makes clients of the common CA, in the test's folder; they are stopped at the end."""
    made = []

    def make(**kw):
        made.append(Client(kw.pop("ca", ca), kw.pop("folder", folder), **kw))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.stop()


def read_state(folder):
    return json.loads((folder / "state.json").read_text())


def names_of(path):
    text = acme_ca.openssl("x509", "-in", path, "-noout", "-ext", "subjectAltName")
    return sorted(word.strip() for word in text.splitlines()[-1].replace("DNS:", "").split(","))


# ---- an order that goes well


def test_a_certificate_is_ordered_and_installed(ca, client, folder):
    one = client(names=(NAME, "other.example.org"), contact="admin@example.org").until_renewed()
    path = folder / "certificate.pem"
    assert names_of(path) == [NAME, "other.example.org"]
    assert acme_ca.openssl("x509", "-in", path, "-noout", "-pubkey") == acme_ca.openssl("pkey", "-in", path, "-pubout")
    assert path.read_text().count("BEGIN CERTIFICATE") == 2  # with its intermediate
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert not file.name.endswith(".new")
    assert all(re.fullmatch(r"acme-delegate/\d+\.\d+\.\d+", r.headers["User-Agent"]) for r in ca.proxy.requests)
    account = ca.proxy.paths("/sign-me-up")[0].payload()
    assert account["termsOfServiceAgreed"] is True and account["contact"] == ["mailto:admin@example.org"]
    # Each name's values come in one piece, and are gone at the end.
    counts = [(n, len(v)) for n, v in one.published]
    assert sorted(counts[:2]) == [(NAME, 1), ("other.example.org", 1)]
    assert sorted(counts[2:]) == [(NAME, 0), ("other.example.org", 0)]
    # RFC 8555 section 8.4: the base64url of a SHA-256.
    assert all(len(v) == 43 for _, values in one.published for v in values)
    # The operator's hook is heard between the account and the order.
    lines = [line.split(" ")[0] for line in one.lines if not line.startswith("report")]
    assert lines[0] == "permit" and lines[-1] == "renewed"
    assert one.stop() == 0


def test_names_are_told_in_one_way(ca, client, folder):
    client(names=("Auth.Example.org.", "auth.example.org", "b.example.org")).until_renewed()
    (order,) = ca.proxy.paths("/order-plz")
    assert [i["value"] for i in order.payload()["identifiers"]] == ["auth.example.org", "b.example.org"]
    assert names_of(folder / "certificate.pem") == ["auth.example.org", "b.example.org"]


def test_a_good_certificate_is_left_alone(ca, client, folder):
    """Nobody is asked anything by a restart, and the account's state is there without asking."""
    client().until_renewed().stop()
    ca.proxy.reset()
    before = (folder / "certificate.pem").read_bytes()
    again = client()
    again.until(lambda: again.states, "a first report")
    assert again.states[0]["account"].startswith(ca.proxy.url) and int(again.states[0]["not_after"]) > 0
    assert again.stop() == 0
    assert not ca.proxy.requests and (folder / "certificate.pem").read_bytes() == before


def test_other_names_are_ordered_at_once_with_the_same_account(ca, client, folder):
    client().until_renewed().stop()
    first = read_state(folder)["accounts"][ca.url]["url"]
    key = acme_ca.openssl("pkey", "-in", folder / "certificate.pem", "-pubout")
    ca.proxy.reset()
    client(names=("new.example.org",)).until_renewed().stop()
    assert names_of(folder / "certificate.pem") == ["new.example.org"]
    assert acme_ca.openssl("pkey", "-in", folder / "certificate.pem", "-pubout") != key
    assert read_state(folder)["accounts"][ca.url]["url"] == first
    # RFC 8555 section 7.3.1
    assert [r.payload() for r in ca.proxy.paths("/sign-me-up")] == [{"onlyReturnExisting": True}]


def test_another_ca_gets_another_account_and_a_new_certificate(ca, client, folder):
    client().until_renewed().stop()
    other = ca.url + "?another"
    client(directory=other).until_renewed().stop()
    accounts = read_state(folder)["accounts"]
    assert accounts[ca.url]["url"] != accounts[other]["url"]
    keys = [p.read_text() for p in folder.glob("account-*.pem")]
    assert len(keys) == 2 and keys[0] != keys[1]
    # Back again, the first account is still there.
    client().until_renewed().stop()
    assert read_state(folder)["accounts"][ca.url] == accounts[ca.url]


def test_lost_state_is_found_again(ca, client, folder):
    client().until_renewed().stop()
    account = read_state(folder)["accounts"][ca.url]["url"]
    before = (folder / "certificate.pem").read_bytes()
    (folder / "state.json").write_text('{"accounts": ')
    one = client()
    one.until(lambda: one.states, "a first report")
    one.stop()
    assert one.said("is damaged") and (folder / "certificate.pem").read_bytes() == before
    (folder / "certificate.pem").write_bytes(before[: len(before) // 3])
    one = client().until_renewed()
    one.stop()
    assert one.said("cannot be used") and read_state(folder)["accounts"][ca.url]["url"] == account


def test_damaged_account_key_is_put_aside(ca, client, folder):
    client().until_renewed().stop()
    (key,) = folder.glob("account-*.pem")
    key.write_text("nonsense")
    (folder / "certificate.pem").unlink()
    one = client().until_renewed()
    one.stop()
    assert one.said("holds no key") and (folder / (key.name + ".damaged")).read_text() == "nonsense"


# ---- the account


def answer_to_find(kind, status):
    """Instead of finding the account, once."""
    done = []

    def instead(request):
        payload = request.payload() if request.path == "/sign-me-up" else None
        if payload and payload.get("onlyReturnExisting") and not done:
            done.append(1)
            return Reply.problem(status, kind)
        return None

    return instead


@pytest.mark.parametrize("kind, status, new_key", [("accountDoesNotExist", 400, False), ("unauthorized", 401, True)])
def test_an_account_that_has_gone_is_replaced(ca, client, folder, kind, status, new_key):
    """RFC 8555 sections 7.3.1 and 7.3.6"""
    client().until_renewed().stop()
    (path,) = folder.glob("account-*.pem")
    key = path.read_text()
    ca.proxy.instead = answer_to_find(kind, status)
    one = client(names=("new.example.org",)).until_renewed()
    assert one.stop() == 0
    assert one.said("a new one is made")
    assert (path.read_text() != key) == new_key


def test_deactivated_by_its_owner(ca, client, folder):
    """Some CAs still show such an account."""
    client().until_renewed().stop()
    done = []

    def after(request, reply):
        if request.path == "/sign-me-up" and not done:
            done.append(1)
            document = json.loads(reply.body)
            reply.body = json.dumps({**document, "status": "deactivated"}).encode()
        return reply

    ca.proxy.after = after
    one = client(names=("new.example.org",)).until_renewed()
    one.stop()
    assert one.said("has been deactivated")


def test_a_new_contact_is_told_to_the_ca(ca, client):
    client(contact="old@example.org").until_renewed().stop()
    ca.proxy.reset()
    client(contact="new@example.org", names=("new.example.org",)).until_renewed().stop()
    assert [r.payload() for r in ca.proxy.paths("/my-account/")] == [{"contact": ["mailto:new@example.org"]}]


def test_terms_are_shown_once(ca, client, folder):
    one = client().until_renewed()
    one.stop()
    assert len(one.said("terms of service: data:text/plain,Do%20what%20thou%20wilt")) == 1
    one = client(names=("new.example.org",)).until_renewed()
    one.stop()
    assert not one.said("terms of service")


def test_who_issues_is_told_before_the_order(ca, client):
    ca.proxy.meta = {"caaIdentities": ["ca.example", "ca.example.net"]}
    orders = []
    one = client(allow=lambda line: orders.append(len(ca.proxy.paths("/order-plz"))) or True).until_renewed()
    (line,) = [line for line in one.lines if line.startswith("permit")]
    assert line.split(" ")[2:] == ["ca.example", "ca.example.net"] and line.split(" ")[1].startswith(ca.proxy.url)
    assert orders[0] == 0


@contextlib.contextmanager
def pebble_for(ca, **kw):
    """Another pebble behind the same proxy."""
    pebble, before = acme_ca.Pebble(ca.folder, ca.dns.port, **kw), ca.proxy.pebble_port
    ca.proxy.pebble_port = pebble.port
    try:
        yield
    finally:
        ca.proxy.pebble_port = before
        pebble.close()


def test_external_account_binding(ca, client, folder):
    """RFC 8555 section 7.3.4. pebble checks the MAC."""
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    with pebble_for(ca, eab={"kid-1": key}):
        one = client()
        assert "external account binding" in one.until_failed()
        one.stop()
        one = client(eab_key_id="kid-1", eab_hmac_key=key[::-1])
        assert "the CA refused the account" in one.until_failed()
        one.stop()
        one = client(eab_key_id="kid-1", eab_hmac_key=key).until_renewed()
        one.stop()
        assert not one.said(key)


# ---- nonces, limits, a busy CA


def test_a_ca_that_refuses_half_of_all_nonces(ca, client):
    """And one that finds some authorizations still good: they are not proved again."""
    with pebble_for(ca, PEBBLE_WFE_NONCEREJECT="50", PEBBLE_AUTHZREUSE="100"):
        one = client().until_renewed()
        one.stop()
        assert sum(bool(values) for _, values in one.published) == 1
        one = client(names=(NAME, "more.example.org")).until_renewed()
        one.stop()
        assert {name for name, _ in one.published} == {"more.example.org"}


def test_nonces_are_reused(ca, client):
    client().until_renewed()
    assert len(ca.proxy.paths("/nonce-plz")) == 1


def test_a_ca_that_refuses_every_nonce(ca, client):
    """RFC 8555 section 6.5: again, but not for ever."""
    ca.proxy.instead = lambda r: Reply.problem(400, "badNonce", headers={"Replay-Nonce": "abc"}) if r.body else None
    one = client(first_retry=60000, longest_retry=60000)
    assert "badNonce" in one.until_failed()
    assert 1 < len(ca.proxy.paths("/sign-me-up")) <= 10


def limited(ca, word, **headers):
    ca.proxy.instead = lambda r: Reply.problem(429, "rateLimited", "too many certificates",
                                               headers=headers) if word in r.path else None


def test_a_rate_limit_is_kept_over_restarts(ca, client, folder):
    """RFC 8555 section 6.6. However often the server is started, and whether or not somebody did it."""
    limited(ca, "/order-plz", **{"Retry-After": "7200"})
    one = client()
    error = one.until_failed()
    assert error == ("the CA refused the order: too many certificates (urn:ietf:params:acme:error:rateLimited)")
    assert one.said(error + "; next attempt at 20")
    state = one.states[-1]
    one.stop()
    for fresh in (0, 1):
        count = len(ca.proxy.requests)
        one = client(fresh=1) if fresh else client()
        one.until(lambda: one.states, "a report")
        assert one.states[-1]["failures"] == "1" and one.states[-1]["error"] == error
        one.stop()
        assert len(ca.proxy.requests) == count
    wait = int(state["next_attempt"]) - int(state["last_attempt"])
    assert 7200_000 <= wait < 7230_000
    assert not (folder / "certificate.pem").exists()


def test_a_limit_with_a_date(ca, client):
    limited(ca, "/order-plz", **{"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"})
    one = client()
    one.until_failed()
    # However far away, it is asked again some day.
    wait = int(one.states[-1]["next_attempt"]) - int(one.states[-1]["last_attempt"])
    assert 30 * 86400_000 < wait < 32 * 86400_000


def test_a_limit_without_a_time(ca, client):
    limited(ca, "/order-plz")
    one = client()
    one.until_failed()
    assert int(one.states[-1]["next_attempt"]) - int(one.states[-1]["last_attempt"]) >= 3600_000


def test_a_busy_ca_is_waited_for(ca, client):
    """RFC 9110 section 15.6.4: no failure, if it is not for long."""
    times = []

    def instead(request):
        if request.path == "/order-plz" and not times:
            times.append(1)
            return Reply(503, {"Retry-After": "1"})
        return None

    ca.proxy.instead = instead
    one = client().until_renewed()
    assert times and all(s["failures"] == "0" for s in one.states)


# ---- what goes wrong


def fault(ca, word, reply):
    ca.proxy.instead = lambda r: reply if word in r.path else None


def truncated(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")


def endless(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(200):
            handler.wfile.write(b" " * 65536)


def endless_header(handler):
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(200):
            handler.wfile.write(b"X: " + b"x" * 4096 + b"\r\n")


JSON = {"Content-Type": "application/json", "Location": "/here"}
FAULTS = [
    (truncated, "no answer"),
    (endless, "larger than"),
    (endless_header, "larger than"),
    (lambda handler: None, "no answer"),
    (Reply(200, {"Content-Type": "text/html"}, b"<html>"), "text/html"),
    (Reply(200, {}, b"{}"), "without a type"),
    (Reply(200, JSON, b"{"), "makes no sense"),
    (Reply(200, JSON, b"[" * 100000), "makes no sense"),
    (Reply(200, JSON, b'{"status": "pending"}'), "makes no sense"),
    (Reply(500, {"Content-Type": "text/html"}, b"oops"), "status 500"),
    (Reply(302, {"Location": "/elsewhere"}), "status 302"),
    (Reply.problem(403, "rejectedIdentifier", "Not\nthat\x1b[31m one", subproblems=[
        {"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "forbidden by policy",
         "identifier": {"type": "dns", "value": NAME}}]), f"Not?that?[31m one (urn:ietf:params:acme:error:rejectedIdentifier);"
                                                         f" {NAME}: forbidden by policy"),
]


def test_an_old_certificate_survives_whatever_the_ca_sends(ca, client, folder):
    """And as soon as the CA has recovered, there is a new one."""
    client().until_renewed().stop()
    before = (folder / "certificate.pem").read_bytes()
    for number, (reply, error) in enumerate(FAULTS):
        for place, word in enumerate(("/dir", "/order-plz")):
            ca.proxy.reset()
            fault(ca, word, reply)
            one = client(names=(f"x{number}-{place}.example.org",))
            got = one.until_failed()
            assert error in got or word == "/dir", (number, got)
            assert one.stop() == 0
            assert (folder / "certificate.pem").read_bytes() == before
            assert not ca.proxy.paths("/elsewhere")
    ca.proxy.reset()
    fault(ca, "/order-plz", FAULTS[0][0])
    one = client(names=("last.example.org",))
    one.until_failed(2)
    ca.proxy.reset()
    one.until_renewed()
    assert one.states[-1]["failures"] == "0" and one.states[-1]["error"] == ""


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "file:///etc/passwd", "https://127.0.0.1:1/" + "x" * 600])
def test_urls_that_are_not_followed(ca, client, url):
    ca.proxy.directory = {"newOrder": url}
    assert "no directory of an ACME CA" in client().until_failed()


def test_a_ca_that_is_not_the_one_configured(ca, client, folder):
    """Neither what another root vouches for, nor what the system's roots do not."""
    other = folder / "other.pem"
    acme_ca.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                    "-keyout", folder / "other.key", "-out", other)
    for root in (other, None):
        one = client(root=root)
        assert "certificate" in one.until_failed()
        one.stop()
    assert not ca.proxy.requests


def test_the_systems_roots(ca, client):
    """Without a file of its own: here, those of a mount namespace in which our root is the system's."""
    script = 'mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"'
    namespace = ["unshare", "-m"] if harness.IS_ROOT else ["unshare", "-r", "-m"]
    client(root=None, before=[*namespace, "sh", "-c", script, ca.root]).until_renewed()


def test_a_ca_that_never_answers(ca, client):
    """The wait for one answer is bounded, and being told to stop ends it at once."""
    asked = []

    def silent(handler):
        asked.append(1)
        handler.rfile.read(1)

    fault(ca, "/order-plz", silent)
    one = client(request=300)
    assert "no answer" in one.until_failed()
    one.stop()
    failures = read_state(one.folder)["attempts"]["failures"]
    asked.clear()
    one = client(request=60000)
    one.until(lambda: asked, "a request")
    assert one.stop(2) == 0
    # It is nobody's failure.
    assert read_state(one.folder)["attempts"]["failures"] == failures


def test_a_resolver_that_never_answers(ca, client, folder):
    """Neither is looking up a name longer than the bound, nor does it keep the process from stopping."""
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:20\n")
    script = 'ip link set lo up && mount --bind "$0" /etc/resolv.conf && exec "$@"'
    # A socket that nobody reads; what is run behind it holds it open.
    silent = ("import os, socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 53)); "
              "s.set_inheritable(True); os.execv(sys.argv[1], sys.argv[1:])")
    namespaces = ["unshare", "-m", "-n"] if harness.IS_ROOT else ["unshare", "-r", "-m", "-n"]
    before = [*namespaces, "sh", "-c", script, folder / "resolv.conf", sys.executable, "-c", silent]
    one = client(directory="https://ca.example.net/dir", before=before, request=300)
    assert "no answer" in one.until_failed()
    assert one.stop(2) == 0
    (folder / "state.json").unlink()
    one = client(directory="https://ca.example.net/dir", before=before, request=60000)
    one.until(lambda: one.said("ordering"), "the beginning of an order")
    assert one.stop(2) == 0


def test_a_process_that_dies_in_the_middle_does_not_ask_again_and_again(ca, client, folder):
    asked = []

    def silent(handler):
        asked.append(1)
        handler.rfile.read(1)

    fault(ca, "/order-plz", silent)
    one = client(request=60000, first_retry=60000, longest_retry=60000)
    one.until(lambda: asked, "a request")
    one.kill()
    count = len(ca.proxy.requests)
    one = client(first_retry=60000, longest_retry=60000)
    one.until(lambda: one.states, "a report")
    assert one.states[-1]["failures"] == "1"
    one.stop()
    assert len(ca.proxy.requests) == count


def test_a_name_that_cannot_be_proved(ca, client):
    """The CA's reason is shown, and what was published is withdrawn."""
    one = client(dns=types.SimpleNamespace(values={}))
    error = one.until_failed()
    one.stop()
    assert "the CA does not accept our proof for " + NAME in error and "urn:ietf:params:acme:error:" in error
    assert one.published[-1] == (NAME, [])


@pytest.mark.parametrize("word, error", [("publish", "cannot be published"), ("permit", "could not be brought in line")])
def test_hooks_that_refuse(ca, client, word, error):
    one = client(allow=lambda line: not line.startswith(word))
    assert error in one.until_failed()
    assert word == "publish" or not ca.proxy.paths("/order-plz")
    assert not ca.proxy.paths("/chalZ/")


@pytest.mark.parametrize("word", ["publish", "permit"])
def test_told_to_stop_in_a_hook(ca, client, folder, word):
    """A hook that gives up because of that is nobody's failure."""

    def allow(line):
        if not line.startswith(word):
            return True
        assert known.wait(10)
        one.process.send_signal(signal.SIGTERM)
        return False

    known = threading.Event()
    one = client(allow=allow)
    known.set()
    assert one.wait() == 0
    assert read_state(folder)["attempts"]["failures"] == 0 and not one.said("no certificate")


def change_documents(ca, word, changes):
    def after(request, reply):
        if word in request.path and reply.status < 300:
            reply.body = json.dumps({**json.loads(reply.body), **changes}).encode()
        return reply

    ca.proxy.after = after


def test_an_order_that_becomes_invalid(ca, client):
    change_documents(ca, "/my-order/", {"status": "invalid", "error": {
        "type": "urn:ietf:params:acme:error:caa", "detail": "CAA record forbids it"}})
    assert client().until_failed() == ("the CA has given up the order: CAA record forbids it "
                                       "(urn:ietf:params:acme:error:caa)")


def test_an_order_that_is_never_done(ca, client):
    change_documents(ca, "/my-order/", {"status": "processing"})
    assert "in time" in client(wait=300).until_failed()


def test_a_proof_for_somebody_elses_name(ca, client):
    """A CA that has been taken over must not get values for other names out of us."""
    change_documents(ca, "/authZ/", {"identifier": {"type": "dns", "value": "victim.example.net"}})
    one = client()
    assert "victim.example.net, which was not asked for" in one.until_failed()
    assert not one.published


def test_no_dns_challenge(ca, client):
    change_documents(ca, "/authZ/", {"challenges": [{"type": "http-01", "url": ca.proxy.url + "/x", "token": "x"}]})
    assert "offers no dns-01" in client().until_failed()


@pytest.mark.parametrize("word, then", [("/finalize-order/", "/my-order/"), ("/authZ/", "/authZ/")])
def test_the_ca_says_when_to_look_again(ca, client, word, then):
    """RFC 8555 sections 7.4 and 7.5.1: Retry-After while it is at work."""
    said = []

    def after(request, reply):
        working = {"/finalize-order/": ("processing",), "/authZ/": ("pending", "processing")}[word]
        if word in request.path and not said and (word != "/authZ/" or ca.proxy.paths("/chalZ/")):
            document = json.loads(reply.body)
            reply.body = json.dumps({**document, "status": working[0]}).encode()
            reply.headers["Retry-After"] = "1"
            said.append(request)
        return reply

    ca.proxy.after = after
    client().until_renewed()
    next_one = next(r for r in ca.proxy.paths(then) if r.at > said[0].at)
    assert 1 <= next_one.at - said[0].at < 5


def test_profiles(ca, client):
    ca.proxy.meta = {"profiles": {"classic": "a", "shortlived": "b"}}
    one = client(profile="tlsserver")
    assert one.until_failed() == 'the CA has no profile "tlsserver"; it has: classic, shortlived'
    one.stop()
    assert not ca.proxy.paths("/order-plz")
    client(profile="shortlived").until_renewed()
    assert ca.proxy.paths("/order-plz")[0].payload()["profile"] == "shortlived"


# ---- chains, and certificates that are not ours


def root_of(ca, number):
    text = ca.management(f"/roots/{number}")
    return acme_ca.openssl("x509", "-noout", "-subject", "-nameopt", "multiline", input=text).split("=")[-1].strip()


def issuer_at_the_top(folder):
    last = (folder / "certificate.pem").read_text().rpartition("-----BEGIN CERTIFICATE")
    return acme_ca.openssl("x509", "-noout", "-issuer", "-nameopt", "multiline", input=last[1] + last[2]).split("=")[-1].strip()


def test_the_preferred_chain(ca, client, folder):
    """RFC 8555 section 7.4.2"""
    roots = [root_of(ca, number) for number in range(3)]
    client().until_renewed().stop()
    assert issuer_at_the_top(folder) == roots[0]
    client(names=("b.example.org",), chain=roots[2]).until_renewed().stop()
    assert issuer_at_the_top(folder) == roots[2]
    one = client(names=("c.example.org",), chain="Nobody").until_renewed()
    assert issuer_at_the_top(folder) == roots[0] and one.said('no chain that ends at "Nobody"')


class Forger:
    """Issues whatever is wanted for the key of the client's request, in place of pebble."""

    def __init__(self, ca, names=NAME, when=None, other_key=False):
        self.folder, self.names, self.when, self.other_key, self.csr = ca.folder, names, when, other_key, None

    def __call__(self, request):
        if "/finalize-order/" in request.path:
            text = request.payload()["csr"]
            self.csr = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if "/certZ/" in request.path:
            return Reply(200, {"Content-Type": "application/pem-certificate-chain"}, self.issue())
        return None

    def issue(self):
        (self.folder / "forged.csr").write_bytes(self.csr)
        (self.folder / "forged.ext").write_text(f"subjectAltName=DNS:{self.names}\n")
        root, key = self.folder / "web-root.pem", self.folder / "web-root.key"
        command = ["openssl", "x509", "-req", "-inform", "DER", "-in", self.folder / "forged.csr", "-CA", root, "-CAkey",
                   key, "-days", "1", "-CAcreateserial", "-extfile", self.folder / "forged.ext"]
        if self.other_key:
            command += ["-force_pubkey", self.folder / "web.pub"]
            (self.folder / "web.pub").write_text(acme_ca.openssl("pkey", "-in", self.folder / "web.key", "-pubout"))
        when = ["faketime", self.when] if self.when else []
        return subprocess.run([*when, *command], check=True, capture_output=True, timeout=20).stdout


@pytest.mark.parametrize("changes, error", [
    ({}, None),  # the forger's certificates are good otherwise
    ({"names": "other.example.org"}, "for other names"),
    ({"names": f"{NAME}, DNS:other.example.org"}, "for other names"),
    ({"when": "2020-01-01 12:00:00"}, "has expired"),
    ({"other_key": True}, "for another key"),
])
def test_a_wrong_certificate_is_not_installed(ca, client, folder, changes, error):
    ca.proxy.instead = Forger(ca, **changes)
    one = client()
    if not error:
        one.until_renewed()
        return
    assert error in one.until_failed()
    one.stop()
    assert not (folder / "certificate.pem").exists() and not one.count("renewed")


def test_a_chain_that_is_none(ca, client):
    fault(ca, "/certZ/", Reply(200, {"Content-Type": "application/pem-certificate-chain"}, b"-----BEGIN NOTHING-----\n"))
    assert "cannot be used" in client().until_failed()


# ---- when to renew


def certificate_id(folder):
    """RFC 9773 section 4.1, by openssl."""
    path = folder / "certificate.pem"
    text = acme_ca.openssl("x509", "-in", path, "-noout", "-ext", "authorityKeyIdentifier")
    authority = bytes.fromhex(re.search(r"(?:[0-9A-F]{2}:)+[0-9A-F]{2}", text)[0].replace(":", ""))
    serial = acme_ca.openssl("x509", "-in", path, "-noout", "-serial").strip().partition("=")[2]
    raw = bytes.fromhex(serial)
    raw = b"\0" + raw if raw[0] & 0x80 else raw
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (authority, raw))


def window(start, end):
    def shown(seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))

    return {"suggestedWindow": {"start": shown(start), "end": shown(end)}}


def with_renewal_info(ca, answers):
    """The CA gains RFC 9773; answers are given in turn, the last one for ever."""
    ca.proxy.directory = {"renewalInfo": ca.proxy.url + "/renewal-info"}

    def instead(request):
        if not request.path.startswith("/renewal-info/"):
            return None
        return answers.pop(0) if len(answers) > 1 else answers[0]

    ca.proxy.instead = instead


def test_renewed_at_once_when_the_ca_says_so(ca, client, folder):
    """RFC 9773 sections 4.1, 4.2 and 5"""
    client().until_renewed().stop()
    ca.proxy.reset()
    old = certificate_id(folder)
    at_once = {**window(-200, -100), "explanationURL": "https://ca.example/incident"}
    with_renewal_info(ca, [Reply.json(at_once), Reply.json(window(86400, 2 * 86400), headers={"Retry-After": "3600"})])
    state = read_state(folder)
    state["renewal"]["check_at"] = 0
    (folder / "state.json").write_text(json.dumps(state))
    one = client().until_renewed()
    one.until(lambda: len(ca.proxy.paths("/renewal-info/")) == 2 and read_state(folder)["renewal"]["start"], "asked again")
    one.stop()
    assert ca.proxy.paths("/renewal-info/")[0].path == "/renewal-info/" + old
    assert ca.proxy.paths("/renewal-info/")[1].path == "/renewal-info/" + certificate_id(folder)
    (order,) = ca.proxy.paths("/order-plz")
    assert order.payload()["replaces"] == old
    assert one.said("https://ca.example/incident")
    renewal, now = read_state(folder)["renewal"], time.time() * 1000
    assert 86390_000 < renewal["renew_at"] - now < 2 * 86400_000
    assert 3590_000 < renewal["check_at"] - now <= 3600_000
    assert int(one.states[-1]["next_attempt"]) == renewal["renew_at"]


def test_the_window_may_move(ca, client, folder):
    """RFC 9773 section 4.3: asked again and again; a chosen time stays as long as it is in the window."""
    later = Reply.json(window(86400, 2 * 86400))
    sooner = Reply.json(window(7200, 7300))
    with_renewal_info(ca, [later, later, sooner])
    for reply in (later, sooner):
        reply.headers["Retry-After"] = "0"
    one = client().until_renewed()
    one.until(lambda: len(ca.proxy.paths("/renewal-info/")) >= 4, "asked four times")
    one.stop()
    times = []
    for state in one.states:
        if int(state["not_after"]) and state["next_attempt"] not in times:
            times.append(state["next_attempt"])
    # By its lifetime, by the first window, by the other one.
    assert len(times) == 3
    assert int(times[2]) < int(times[1]) < int(times[0])


def test_without_a_usable_word_two_thirds_of_the_lifetime(ca, client, folder):
    for answer in (Reply(500), Reply.json(window(100, -100)), Reply.json({}), Reply(404)):
        with_renewal_info(ca, [answer])
        one = client(names=(f"x{id(answer)}.example.org",)).until_renewed()
        one.until(lambda: one.said("did not say"), "a word about it")
        one.stop()
        state = one.states[-1]
        lifetime = 5 * 365.25 * 86400_000  # pebble's
        assert 0.6 < 1 - (int(state["not_after"]) - int(state["next_attempt"])) / lifetime < 0.67


def test_advice_to_renew_too_late(ca, client, folder):
    """It is heard as far as the certificate lives."""
    with_renewal_info(ca, [Reply.json(window(20 * 365 * 86400, 21 * 365 * 86400))])
    one = client().until_renewed()
    one.until(lambda: one.said("nearly over"), "a word about it")
    one.stop()
    assert time.time() * 1000 < read_state(folder)["renewal"]["renew_at"] < int(one.states[-1]["not_after"])


def test_a_certificate_that_was_replaced_already(ca, client, folder):
    """RFC 9773 section 5: alreadyReplaced. The order is made without it."""
    client().until_renewed().stop()
    ca.proxy.reset()
    ca.proxy.directory = {"renewalInfo": ca.proxy.url + "/renewal-info"}

    def instead(request):
        if request.path == "/order-plz" and "replaces" in request.payload():
            return Reply.problem(409, "alreadyReplaced")
        return Reply(404) if "/renewal-info/" in request.path else None

    ca.proxy.instead = instead
    client(names=("new.example.org",)).until_renewed()
    first, second = (r.payload() for r in ca.proxy.paths("/order-plz"))
    assert first["replaces"] and "replaces" not in second


def test_a_ca_that_always_says_at_once(ca, client):
    """It is not believed for ever: between two orders there is a pause."""
    with_renewal_info(ca, [Reply.json(window(-200, -100), headers={"Retry-After": "0"})])
    one = client(first_retry=60000, longest_retry=60000).until_renewed()
    one.until(lambda: len(ca.proxy.paths("/renewal-info/")) >= 3, "asked again")
    one.stop()
    assert len(ca.proxy.paths("/order-plz")) == 1


# ---- after a restart


def put_off(ca, client, folder, **attempts):
    """A client that has failed often, and will wait for an hour."""
    fault(ca, "/dir", Reply(500))
    one = client()
    one.until_failed()
    one.stop()
    ca.proxy.reset()
    state, now = read_state(folder), int(time.time() * 1000)
    state["attempts"].update(failures=12, last_attempt=now - 600_000, next_attempt=now + 3600_000)
    state["attempts"].update({k: now + v for k, v in attempts.items()})
    (folder / "state.json").write_text(json.dumps(state))


def test_whoever_restarts_the_server_need_not_wait(ca, client, folder):
    put_off(ca, client, folder)
    one = client()
    one.until(lambda: one.states, "a report")
    one.stop()
    assert one.states[-1]["failures"] == "12" and not ca.proxy.requests
    client(fresh=1).until_renewed()


def test_a_clock_that_was_ahead(ca, client, folder):
    put_off(ca, client, folder, last_attempt=10 * 86400_000, next_attempt=10 * 86400_000 + 500, barred=10 * 86400_000 + 400)
    client().until_renewed()


def test_killed_at_any_moment(ca, client, folder):
    """What is in the folder can always be gone on with, and a certificate there is whole."""
    names = [f"x{number}.example.org" for number in range(6)]  # an order is eleven requests
    for number, name in enumerate(names):
        one = client(names=(name,))
        with contextlib.suppress(AssertionError):
            one.until(lambda: len(ca.proxy.requests) >= 2 * number, "so many requests", 2)
        one.kill()
        ca.proxy.requests.clear()
        json.loads((folder / "state.json").read_text() if (folder / "state.json").exists() else "{}")
        if (folder / "certificate.pem").exists():
            assert names_of(folder / "certificate.pem")[0] in names[: number + 1]
        assert len(list(folder.glob("account-*.pem"))) <= 1
    one = client(names=("new.example.org",)).until_renewed()
    one.stop()
    assert names_of(folder / "certificate.pem") == ["new.example.org"]
    assert len(read_state(folder)["accounts"]) == 1


def test_died_before_it_could_say_that_all_is_well(ca, client, folder):
    client().until_renewed().stop()
    state = read_state(folder)
    state["attempts"].update(failures=1, next_attempt=int(time.time() * 1000) + 60_000)
    state["renewal"]["certificate"] = "another"
    (folder / "state.json").write_text(json.dumps(state))
    one = client()
    one.until(lambda: one.states, "a report")
    one.stop()
    assert one.states[0]["failures"] == "0"


# ---- the folder


def test_a_full_disk(ca, client, folder):
    """Nothing is ordered that could not be kept; the old certificate stays; when there is room, all is well."""
    client().until_renewed().stop()
    before = (folder / "certificate.pem").read_bytes()
    ca.proxy.reset()
    one = client(names=("new.example.org",), file_size=1)
    error = one.until_failed()
    assert "cannot be written: File too large" in error
    assert not ca.proxy.paths("/order-plz") and (folder / "certificate.pem").read_bytes() == before
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    one.until_renewed()
    assert names_of(folder / "certificate.pem") == ["new.example.org"]


def test_no_folder(ca, client, folder):
    one = client(folder=folder / "missing")
    assert one.wait() == 1 and one.said("cannot be used: No such file or directory")


def test_settings_that_make_no_sense(ca, client):
    for changes, error in (({"directory": "http://127.0.0.1/"}, "no https URL"), ({"names": ()}, "1 to 16 names"),
                           ({"eab_key_id": "x"}, "both a key ID and a MAC key")):
        one = client(**changes)
        assert one.wait() == 1 and one.said(error)
