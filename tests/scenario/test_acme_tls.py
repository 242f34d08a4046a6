# SPDX-License-Identifier: GPL-3.0-or-later
"""api.tls.mode acme: the API gets its own certificate from a CA (pebble), through its own DNS."""

import contextlib
import datetime
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
import urllib.request

import dns.message
import dns.query
import dns.rcode
import pytest

import harness
import own_ca
import rawhttp
from acme_ca import Reply
from harness import ZONE, poll
from own_ca import IDENTITY
from test_faults import fill, own_mounts, small_disk  # noqa: F401 (fixtures)

NOBODY = ['0 issue ";"']
CHALLENGE = f"_acme-challenge.{ZONE}"


@pytest.fixture
def acme_server():
    """Makes servers with mode acme, not started yet."""
    made = []

    def make(**kw):
        kw.setdefault("zone", {"records": ["@ 3600 A 198.51.100.1", "api 3600 A 198.51.100.1"]})
        made.append(own_ca.Server(**kw))
        return made[-1]

    yield make
    for one in made:
        try:
            if one.process and one.process.poll() is None:
                one.stop()
        finally:
            one.discard()


def allowing(one):
    """The CAA records that allow the account the server has, and nobody else (RFC 8657)."""
    account = re.search(r'https://[^"]*/my-account/[^"]*', (one.acme_folder / "state.json").read_text())[0]
    return sorted([f'0 issue "{name}; accounturi={account}; validationmethods=dns-01"'
                   for name in (IDENTITY, "second." + IDENTITY)] + ['0 issuewild ";"'])


def refuses(what):
    """A CA that refuses what is asked at paths with `what` in them."""
    return lambda request: Reply.problem(503, "serverInternal", "closed today") if what in request.path else None


class Advice:
    """The CA's renewal information (RFC 9773), which says "not yet" until it is told otherwise."""

    def __init__(self, ca):
        self.now = False
        self.seen = set()
        ca.proxy.directory = {"renewalInfo": ca.proxy.url + "/advice"}
        ca.proxy.instead = self.answer

    def answer(self, request):
        if not request.path.startswith("/advice/"):
            return None
        handle = request.path.rsplit("/", 1)[1]
        if self.now and not self.seen:
            self.seen.add(handle)  # this one is to be renewed, its successor is not
        days = -1 if handle in self.seen else 30
        day = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        window = {"start": day.strftime("%Y-%m-%dT%H:%M:%SZ"),
                  "end": (day + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}
        return Reply.json({"suggestedWindow": window}, {"Retry-After": "1"})


def watch(one):
    """What DNS says at the moment when the CA is asked for something: each answer there was, from any worker."""
    seen = {}
    questions = {"/order-plz": lambda: tuple(one.caa()), "/chalZ/": lambda: tuple(harness.txt_of(one.query(CHALLENGE)))}

    def look(request):
        for what, ask in questions.items():
            if what in request.path and what not in seen:
                seen[what] = {ask() for _ in range(30)}  # each from another port, so of another worker

    one.ca.proxy.instead = look
    return seen


# ---- the first certificate


def test_from_nothing_to_a_certificate(acme_server):
    """Self-signed while the CA is closed; then the real one, and CAA that fits; a restart has all of it at once."""
    one = acme_server(dot=True)
    one.ca.proxy.instead = refuses("/")
    one.start()
    pem = one.certificate()
    assert own_ca.names(pem) == f"DNS:{ZONE}" and "without a certificate" in own_ca.issuer(pem)
    assert "id-ecPublicKey" in own_ca.look_at(pem, "-text") and "P-256" in own_ca.look_at(pem, "-text")
    good_until = own_ca.look_at(pem, "-checkend", str(8 * 86400), check=False)
    assert "will expire" in good_until
    assert one.certificate(one.dot_port, "dot") == pem
    assert one.caa() == NOBODY
    poll(lambda: one.count("no certificate for") >= 2, 10, "failed attempts")
    assert one.count("has signed itself, and clients refuse that") == 1
    assert one.count("there is no certificate yet") >= 2  # beside each attempt that failed
    # Nobody has the account's name yet, and nobody has the challenge's.
    assert one.query(CHALLENGE).rcode() == dns.rcode.NXDOMAIN

    one.ca.reset()
    seen = watch(one)
    new = one.await_certificate()
    assert own_ca.names(new) == f"DNS:{ZONE}"
    # Whatever worker is asked: before anything is ordered CAA allows it, and before the CA looks the value is there.
    assert seen["/order-plz"] == {tuple(allowing(one))}
    assert len(seen["/chalZ/"]) == 1 and all(len(v) == 1 and len(v[0]) == 43 for v in seen["/chalZ/"])
    poll(lambda: one.certificate(one.dot_port, "dot") == new, 10, "DNS over TLS has it, too")
    assert one.caa() == allowing(one)
    # RFC 8659 section 3: below the zone's name CAs climb to it, so nothing is needed there.
    answer = one.query(f"api.{ZONE}", "CAA", tcp=True)
    assert answer.rcode() == dns.rcode.NOERROR and not answer.answer
    # The challenge is withdrawn, its name stays.
    answer = one.query(CHALLENGE)
    assert answer.rcode() == dns.rcode.NOERROR and not answer.answer

    accounts, orders = one.ca.accounts, len(one.ca.proxy.paths("/order-plz"))
    one.restart()
    assert one.certificate() == new and one.certificate(one.dot_port, "dot") == new
    assert one.caa() == allowing(one)
    one.hup()
    poll(lambda: "new configuration in force" in one.stderr(), 10, "a reload")
    poll(lambda: len(one.children()) == 6 and one.certificate() == new, 10, "children")
    assert (one.ca.accounts, len(one.ca.proxy.paths("/order-plz"))) == (accounts, orders)
    assert one.count("has signed itself, and clients refuse that") == 1


def test_a_host_below_the_zone(acme_server):
    """With a CA that often says that a nonce is bad (RFC 8555 section 6.5)."""
    one = acme_server(host=f"api.{ZONE}")
    one.own_ca.close()
    one.own_ca = one.ca = own_ca.Ca(one.folder, one.dns_port, PEBBLE_WFE_NONCEREJECT="40")
    one.configure(api={"tls": own_ca.acme_settings(one.ca)})
    one.start()
    assert own_ca.names(one.await_certificate()) == f"DNS:api.{ZONE}"
    answer = one.query(f"_acme-challenge.api.{ZONE}", "TXT")
    assert [str(r.target) for r in answer.answer[0]] == [CHALLENGE + "."]
    assert one.caa() == allowing(one)


def test_a_host_in_another_zone(acme_server, server):
    """Its zone is another server's, and has the record that "config check" asks for; the CA asks a resolver."""
    host = "acme.example.com"
    zone = {"name": "example.com", "nameservers": [{"name": "ns1.example.com", "addresses": ["127.0.0.1"]}],
            "records": [f"_acme-challenge.acme 300 CNAME {CHALLENGE}."]}
    other = server(zone=zone, api={"url": "https://example.com"})
    folder = harness.make_folder()
    port = harness.free_port()
    with contextlib.ExitStack() as stack:
        ca = own_ca.Ca(folder, port)
        stack.callback(ca.close)
        one = acme_server(host=host, ca=ca)
        resolver = own_ca.Unbound(folder, {ZONE: one.dns_port, "example.com": other.dns_port}, port)
        stack.callback(resolver.close)
        checked = harness.run("config", "check", one.config_path)
        assert f"_acme-challenge.{host}. CNAME {CHALLENGE}." in checked.stderr + checked.stdout
        one.start()
        assert own_ca.names(one.await_certificate()) == f"DNS:{host}"
        assert one.caa() == allowing(one)
        command = ["delv", "@127.0.0.1", "-p", str(port), "+noroot", "-i", ZONE, "CAA"]
        delv = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert allowing(one)[0].split('"')[1] in delv.stdout, delv.stdout + delv.stderr
        one.stop()
    harness.shutil.rmtree(folder, ignore_errors=True)


# ---- renewal


class Load:
    """Connections that are kept, and ones that are opened anew all the time; every failure is one too many."""

    def __init__(self, one):
        self.one = one
        self.failures, self.rounds, self.shown = [], 0, set()
        self.stopped = threading.Event()
        self.kept = [one.connect(10) for _ in range(24)]
        self.kept_dot = [one.stream(dot=True, timeout=10) for _ in range(4)]
        work = [self.use_kept, self.use_dot, self.open_new, self.open_new]
        self.threads = [threading.Thread(target=self.run, args=(w,)) for w in work]
        for thread in self.threads:
            thread.start()

    def run(self, work):
        while not self.stopped.is_set():
            try:
                work()
            except Exception as e:  # pylint: disable=broad-except
                self.failures.append(repr(e))
                return

    def health(self, s):
        s.sendall(rawhttp.request("GET", "/health"))
        assert rawhttp.read_response(s).status == 200

    def use_kept(self):
        for s in self.kept:
            self.health(s)
        self.rounds += 1

    def use_dot(self):
        for s in self.kept_dot:
            message = dns.message.make_query(ZONE, "SOA")
            dns.query.send_tcp(s, message)
            assert dns.query.receive_tcp(s, time.time() + 5)[0].rcode() == dns.rcode.NOERROR

    def open_new(self):
        with self.one.connect(10) as s:
            self.shown.add(s.getpeercert(binary_form=True))
            self.health(s)

    def another_round(self):
        before = self.rounds
        poll(lambda: self.rounds > before + 1 or self.failures, 20, "kept connections are used")

    def close(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(20)
        for s in self.kept + self.kept_dot:
            s.close()


def test_renewal_drops_nobody(acme_server):
    one = acme_server(dot=True)
    advice = Advice(one.ca)
    one.start()
    old = one.await_certificate()
    poll(lambda: one.certificate(one.dot_port, "dot") == old, 10, "DNS over TLS has it, too")
    pids = {role: pid for role, pid in one.children().items()}
    load = Load(one)
    try:
        load.another_round()
        advice.now = True
        poll(lambda: one.certificate() != old, 20, "another certificate")
        new = one.certificate()
        poll(lambda: one.certificate(one.dot_port, "dot") == new, 10, "DNS over TLS has it, too")
        load.another_round()
        for s in load.kept + load.kept_dot:  # old sessions have what they began with
            assert own_ca.ssl.DER_cert_to_PEM_cert(s.getpeercert(binary_form=True)) == old
    finally:
        load.close()
    assert load.failures == []
    assert len(load.shown) == 2 and own_ca.names(new) == f"DNS:{ZONE}"
    assert one.children() == pids, "nobody was replaced"
    assert one.count("the new certificate is in use") == 4  # api and dot, twice
    # Whoever is started later has the newest.
    os.kill(pids["api"], signal.SIGKILL)
    poll(lambda: one.children().get("api") not in (None, pids["api"]) and one._ready(), 10, "another api")
    assert one.certificate() == new


def test_a_failed_renewal_keeps_the_old_one(acme_server):
    one = acme_server()
    advice = Advice(one.ca)
    one.start()
    old = one.await_certificate()
    fail = refuses("/order-plz")
    one.ca.proxy.instead = lambda r: advice.answer(r) or fail(r)
    advice.now = True
    poll(lambda: one.count("no certificate for") >= 2, 20, "failed attempts")
    assert one.certificate() == old
    days = [line for line in one.stderr().splitlines() if "days more" in line and " error " in line]
    assert days and "closed today" in one.stderr()
    one.ca.proxy.instead = advice.answer
    poll(lambda: one.certificate() != old, 20, "another certificate")


def test_a_full_disk_keeps_the_old_one(acme_server, small_disk):  # noqa: F811
    one = acme_server(store={"path": str(small_disk / "store")})
    advice = Advice(one.ca)
    one.start()
    old = one.await_certificate()
    filler = fill(small_disk)
    advice.now = True
    poll(lambda: "cannot be written" in one.stderr(), 20, "an attempt on a full disk")
    assert one.certificate() == old
    one.restart()
    assert one.certificate() == old
    filler.unlink()
    poll(lambda: one.certificate() != old, 20, "another certificate")
    assert one.has_certificate()


# ---- what goes wrong


def test_an_agent_killed_in_the_middle(acme_server):
    """At every step there is: what it had is not lost, and what it had not is begun anew."""
    one = acme_server()
    words = ["/sign-me-up", "/order-plz", "/chalZ/", "/finalize-order/"]
    reached, release = threading.Event(), threading.Event()

    def hold(request):
        if words and words[0] in request.path:
            words.pop(0)
            reached.set()
            release.wait(10)
        return None

    one.ca.proxy.instead = hold
    one.start()
    while words:
        assert reached.wait(15), words
        os.kill(one.children()["agent"], signal.SIGKILL)
        reached.clear()
        release.set()
        release = threading.Event()
    assert own_ca.names(one.await_certificate()) == f"DNS:{ZONE}"
    assert one.caa() == allowing(one)
    poll(lambda: not one.query(CHALLENGE).answer, 10, "the challenge is withdrawn")
    assert one.count("agent (pid") >= 4


def test_a_damaged_certificate_is_replaced(acme_server):
    one = acme_server()
    one.start()
    old = one.await_certificate()
    one.stop()
    path = one.acme_folder / "certificate.pem"
    path.write_bytes(path.read_bytes()[:300])
    one.start()
    new = one.await_certificate()
    assert new != old and one.count("has signed itself, and clients refuse that") == 2


def test_the_folder_is_nobody_elses(acme_server):
    one = acme_server()
    one.start()
    one.await_certificate()
    one.stop()
    files = [one.acme_folder, *one.acme_folder.iterdir()]
    assert all(f.stat().st_mode & 0o077 == 0 for f in files)
    one.acme_folder.chmod(0o750)
    done = harness.run("serve", "-c", one.config_path)
    assert done.returncode == 2 and f"chmod 700 {one.acme_folder}" in done.stderr
    one.acme_folder.chmod(0o700)


def test_files_of_the_settings_are_checked_first(acme_server):
    one = acme_server(acme={"eab_key_id": "kid", "eab_hmac_key_file": "/nonexistent"})
    done = harness.run("serve", "-c", one.config_path)
    assert done.returncode == 2 and "eab_hmac_key_file cannot be read" in done.stderr
    path = one.folder / "hmac"
    path.write_text("not base64url!\n")
    path.chmod(0o600)
    harness.own(path)
    one.configure(api={"tls": {"acme": {"eab_hmac_key_file": str(path)}}})
    done = harness.run("serve", "-c", one.config_path)
    assert done.returncode == 2 and "base64url" in done.stderr
    one.configure(api={"tls": {"acme": {"eab_hmac_key_file": None, "eab_key_id": None, "ca_file": "/nonexistent"}}})
    done = harness.run("serve", "-c", one.config_path)
    assert done.returncode == 2 and "ca_file cannot be read" in done.stderr


# ---- whose it is


def test_nobody_else_can_have_the_challenge(acme_server):
    """Not by registering, not with a token, not as the operator: only what the agent publishes is ever there."""
    one = acme_server()
    one.start()
    one.await_certificate()
    refused = [("delegate", "add", "_acme-challenge"), ("key", "add", CHALLENGE),
               ("token", "add", "--label", "_acme-challenge"), ("token", "add", "--prefix", "_")]
    for command in refused:
        done = one.operator(*command)
        assert done.returncode != 0, (command, done.stdout)
    listed = one.operator("delegate", "list")
    assert CHALLENGE in listed.stdout or "_acme-challenge" in listed.stdout
    account = one.register()
    for name in (CHALLENGE, f"_acme-challenge.{CHALLENGE}", ZONE):
        response = one.http("POST", "/present", harness.json.dumps({"fqdn": name + ".", "value": harness.value()}),
                            harness.basic_credentials(account))
        assert response.status in (401, 403, 404), response
    body = harness.json.dumps({"subdomain": "_acme-challenge", "txt": harness.value()})
    response = one.http("POST", "/update", body, harness.credentials(account))
    assert response.status == 401
    assert not one.query(CHALLENGE).answer
    events = one.operator("events")
    assert "challenge" in events.stdout and "agent" in events.stdout
    # What leaves with an export can come in again, so the name does not leave.
    exported = one.operator("export").stdout
    assert account["subdomain"] in exported and "_acme-challenge" not in exported


def test_another_host_with_a_reload(acme_server):
    one = acme_server()
    one.start()
    one.await_certificate()
    allowed = allowing(one)
    one.host = f"api.{ZONE}"
    one.configure(api={"url": f"https://{one.host}"})
    one.hup()
    poll(lambda: one.has_certificate() and own_ca.names(one.certificate()) == f"DNS:{one.host}", 20, "another one")
    assert one.caa() == allowing(one) == allowed  # with the same account


def told(one, port):
    """Where the certificate in use is from and until when it is good, as status says, and whether metrics know a CA."""
    certificate = json.loads(one.operator("status", "--json").stdout)["certificate"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    until = re.search(r"^acme_delegate_certificate_not_after_timestamp_seconds (\d+)", metrics, re.M)
    return certificate["from"], certificate["not_after"], "\nacme_delegate_acme_failures " in metrics, until and int(until[1])


def end_of(pem):
    return ssl.cert_time_to_seconds(own_ca.look_at(pem, "-enddate").partition("=")[2].strip())


def test_modes_change_with_a_reload(acme_server):
    port = harness.free_port()
    one = acme_server(metrics={"listen": [f"127.0.0.1:{port}"]})
    one.start()
    new = one.await_certificate()
    poll(lambda: told(one, port)[0] == "acme" and told(one, port)[2:] == (True, end_of(new)), 10, "told of the CA's")
    harness.make_certificate(one.folder)
    one.configure(api={"tls": {"mode": "files", "certificate": str(one.folder / "tls.crt"),
                               "key": str(one.folder / "tls.key")}})
    one.hup()
    poll(lambda: "localhost" in own_ca.look_at(one.certificate(), "-subject"), 10, "the files' certificate")
    poll(lambda: "agent" not in one.children(), 10, "no agent")
    # What the agent has said last is not about the certificate in use.
    now = one.certificate()
    poll(lambda: told(one, port)[0] == "files" and told(one, port)[2:] == (False, end_of(now)), 10, "told of the files'")
    assert one.caa() == []
    one.configure(api={"tls": own_ca.acme_settings(one.ca)})
    one.hup()
    poll(lambda: one.certificate() == new, 10, "the CA's certificate")
    poll(lambda: one.caa() == allowing(one), 10, "CAA")


def test_a_stop_in_the_middle_of_an_order(acme_server):
    """It does not wait for the CA."""
    one = acme_server()
    reached, release = threading.Event(), threading.Event()

    def hold(request):
        if "/chalZ/" in request.path:
            reached.set()
            release.wait(20)

    one.ca.proxy.instead = hold
    one.start()
    assert reached.wait(15)
    assert one.query(CHALLENGE).answer
    begun = time.monotonic()
    one.stop()
    assert time.monotonic() - begun < 8
    release.set()
    one.ca.reset()
    one.start()
    assert own_ca.names(one.await_certificate()) == f"DNS:{ZONE}"
