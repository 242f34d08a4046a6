# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM drains, SIGHUP reloads, SIGKILL of the supervisor leaves nothing behind, root is given up."""

import json
import os
import pwd
import signal
import socket
import subprocess
import threading
import time

import dns.exception
import dns.rcode
import pytest

import harness
import rawhttp
from harness import IS_ROOT, USER, ZONE, credentials, is_alive, poll, process_status, value


def update_request(account, txt):
    return rawhttp.request("POST", "/update", json.dumps({"subdomain": account["subdomain"], "txt": txt}),
                           credentials(account))


def test_sigterm_lets_a_request_under_way_finish(server):
    one = server()
    account = one.register()
    txt = value()
    data = update_request(account, txt)
    with one.connect() as s:
        s.sendall(data[:-20])
        one.http("GET", "/health")  # the api has surely read what came before this
        seen = len(one.stderr())
        one.process.send_signal(signal.SIGTERM)
        poll(lambda: len(one.stderr()) > seen, 5, "a line about stopping")
        s.sendall(data[-20:])
        response = rawhttp.read_response(s)
    assert response.status == 200 and response.body == b'{"txt": "%s"}' % txt.encode()
    assert one.wait(10) == 0
    one.start()
    assert one.values(account) == [txt]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_is_prompt_and_complete(server, number):
    one = server()
    pids = [one.process.pid, *one.children().values()]
    idle = [one.connect(), socket.create_connection(("127.0.0.1", one.dns_port))]
    started = time.monotonic()
    one.process.send_signal(number)
    assert one.wait(10) == 0
    assert time.monotonic() - started < 4
    assert not [pid for pid in pids if is_alive(pid)]
    for s in idle:
        s.close()


def test_sigterm_with_a_client_that_never_finishes(server):
    """Draining is bounded."""
    one = server()
    account = one.register()
    with one.connect() as s:
        s.sendall(update_request(account, value())[:-5])
        one.process.send_signal(signal.SIGTERM)
        assert one.wait(14) == 0


def test_sigterm_under_load_keeps_every_acknowledged_value(server):
    one = server()
    accounts = [one.register() for _ in range(8)]
    acknowledged = {a["username"]: [] for a in accounts}
    started = threading.Barrier(9)

    def work(account):
        started.wait()
        try:
            while True:
                txt = value()
                if one.update(account, txt).status == 200:
                    acknowledged[account["username"]].append(txt)
        except (OSError, rawhttp.Incomplete):
            return

    threads = [threading.Thread(target=work, args=(a,)) for a in accounts]
    for t in threads:
        t.start()
    started.wait()
    poll(lambda: all(len(v) > 5 for v in acknowledged.values()), 10, "some updates from everybody")
    one.stop()
    for t in threads:
        t.join(10)
    one.start()
    for a in accounts:
        served = one.values(a)
        newest = acknowledged[a["username"]][-30:]
        assert set(newest) <= set(served)


def test_restart_keeps_delegates_keys_and_values(server):
    one = server()
    accounts = [one.register() for _ in range(20)]
    values = [one.publish(a) for a in accounts]
    for _ in range(3):
        one.restart()
        assert [one.values(a) for a in accounts] == [[v] for v in values]
    newer = [one.publish(a) for a in accounts]
    assert [sorted(one.values(a)) for a in accounts] == [sorted(p) for p in zip(values, newer)]


def test_values_expire_while_the_server_is_down(server):
    one = server(zone={"value_lifetime": "1s"})
    account = one.register()
    one.publish(account)
    published = time.monotonic()
    one.stop()
    poll(lambda: time.monotonic() > published + 1.05, 2, "lifetime over")
    one.start()
    assert one.values(account) == []
    one.publish(account)


class Asker(threading.Thread):
    """Asks without pause, each query from a new port, and counts what goes unanswered."""

    def __init__(self, server):
        super().__init__()
        self.server, self.stop = server, threading.Event()
        self.asked, self.failed = 0, []

    def run(self):
        while not self.stop.is_set():
            self.asked += 1
            try:
                for tcp in (False, True):
                    answer = self.server.query(ZONE, "SOA", tcp=tcp, timeout=2)
                    if answer.rcode() != dns.rcode.NOERROR:
                        self.failed.append(answer)
            except (OSError, EOFError, dns.exception.DNSException) as error:
                self.failed.append(repr(error))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join(10)


def test_sighup_reads_the_configuration_again(server):
    one = server()
    account = one.register()
    txt = one.publish(account)
    assert one.query(f"new.{ZONE}", "A").rcode() == dns.rcode.NXDOMAIN
    one.configure(zone={"value_ttl": 42, "records": [*harness.STATIC_RECORDS, "new 60 A 192.0.2.99"]},
                  api={"registration": {"mode": "closed"}})
    with Asker(one) as asker:
        poll(lambda: asker.asked > 20, 5, "asking")
        one.hup()
        poll(lambda: one.query(account["fulldomain"], "TXT").answer[0].ttl == 42, 5, "the new TTL")
        poll(lambda: one.query(f"new.{ZONE}", "A").rcode() == dns.rcode.NOERROR, 5, "the new record")
        poll(lambda: one.http("POST", "/register").status != 201, 5, "registration closed")
        more = asker.asked + 20
        poll(lambda: asker.asked > more, 5, "asking on")
    assert asker.failed == []
    assert one.values(account) == [txt]
    newer = one.publish(account)
    assert newer in one.values(account)
    answers = {one.query(account["fulldomain"], "TXT").answer[0].ttl for _ in range(40)}
    assert answers == {42}, "every worker has the new configuration"


def replaced(server, before):
    """Every child has a successor, and those of before are gone."""
    now = [pid for pid, _ in harness.children_of(server.process.pid)]
    return len(now) == len(before) and not before & set(now)


def test_sighup_loses_no_update(server):
    """Ten reloads under load: no request gets a wrong status, none acknowledged is lost."""
    one = server()
    account = one.register()
    acknowledged, failed = [], []
    stop = threading.Event()

    def work():
        while not stop.is_set():
            txt = value()
            try:
                response = one.update(account, txt)
            except (OSError, rawhttp.Incomplete) as error:
                failed.append(repr(error))
                continue
            (acknowledged if response.status == 200 else failed).append(txt)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            before = set(one.children().values())
            one.hup()
            poll(lambda: replaced(one, before), 10, "all replaced")
    finally:
        stop.set()
        thread.join(10)
    assert failed == []
    assert sorted(one.values(account)) == sorted(acknowledged[-32:])


def serial(server):
    """Of the certificate that the API presents."""
    with socket.create_connection(("127.0.0.1", server.api_port), timeout=5) as plain:
        with rawhttp.tls_context().wrap_socket(plain) as s:
            der = s.getpeercert(binary_form=True)
    return subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-serial"], input=der, check=True,
                          capture_output=True).stdout


def test_sighup_reads_the_certificate_again(server):
    one = server(tls=True)
    old = serial(one)
    harness.make_certificate(one.folder)
    assert serial(one) == old
    one.hup()
    poll(lambda: serial(one) != old, 5, "the new certificate")
    account = one.register()
    assert one.values(account) == [] and one.publish(account)


def test_sighup_with_a_broken_certificate_keeps_the_old_one(server):
    one = server(tls=True)
    old = serial(one)
    (one.folder / "tls.crt").write_text("no certificate\n")
    seen = len(one.stderr())
    one.hup()
    poll(lambda: "tls.crt" in one.stderr()[seen:], 5, "a line that names the file")
    assert serial(one) == old
    assert one.http("GET", "/health").status == 200


def test_sighup_with_a_broken_configuration_keeps_the_old_one(server):
    one = server()
    account = one.register()
    txt = one.publish(account)
    before = one.children()
    one.config_path.write_text("valu_ttl: 5\n" + one.config_path.read_text())
    one.hup()
    poll(lambda: f"{one.config_path}:1:" in one.stderr(), 5, "a line with file and line")
    assert one.values(account) == [txt] and one.publish(account)
    assert one.children() == before
    one.configure(zone={"value_ttl": 3})
    one.hup()
    poll(lambda: one.query(account["fulldomain"], "TXT").answer[0].ttl == 3, 5, "a good one is taken afterwards")


def test_sighup_again_and_again(server):
    one = server()
    account = one.register()
    txt = one.publish(account)
    for ttl in range(2, 40):
        one.configure(zone={"value_ttl": ttl})
        one.hup()
        one.hup()
    poll(lambda: one.query(account["fulldomain"], "TXT").answer[0].ttl == 39, 10, "what the last one said")
    poll(lambda: sorted(name for _, name in harness.children_of(one.process.pid)) ==
         ["delegate-api", "delegate-dns0", "delegate-dns1", "delegate-keeper"], 10, "children")
    assert txt in one.values(account) and one.publish(account)


def test_sighup_while_a_child_is_being_started_again(server):
    one = server()
    account = one.register()
    one.publish(account)
    for ttl in range(2, 12):
        for _ in range(2):  # dying twice in a row, a child waits a little before it is started again
            pid = one.children().get("dns0")
            if pid:
                os.kill(pid, signal.SIGKILL)
                poll(lambda: one.children().get("dns0") != pid, 2, "dead")
        one.configure(zone={"value_ttl": ttl})
        one.hup()
        poll(lambda: {one.query(account["fulldomain"], "TXT", timeout=3).answer[0].ttl for _ in range(8)} == {ttl}, 5,
             "the new TTL from everybody")


def test_killed_supervisor_takes_all_children_along(server):
    one = server()
    account = one.register()
    txt = one.publish(account)
    pids = list(one.children().values())
    assert len(pids) == 4
    one.process.kill()
    killed = time.monotonic()
    poll(lambda: not [p for p in pids if is_alive(p)], 1, "all children gone")
    assert time.monotonic() - killed < 1
    assert one.wait(1) == -signal.SIGKILL
    one.start()  # the store is free again, and so are the ports
    assert one.values(account) == [txt]


def test_second_serve_on_the_same_store_is_refused(server, make_server):
    one = server()
    account = one.register()
    second = make_server(store={"path": str(one.folder / "store")})
    second.launch()
    assert second.wait(10) == 2
    lines = second.stderr().strip().splitlines()
    assert len(lines) == 1 and str(one.folder / "store") in lines[0], lines
    assert "in use" in lines[0] or "another" in lines[0]
    assert one.publish(account) in one.values(account)


@pytest.mark.skipif(not IS_ROOT, reason="started without root there are no privileges to drop")
def test_privileges_are_dropped(server):
    one = server()
    uid = str(pwd.getpwnam(USER).pw_uid)
    gid = str(pwd.getpwnam(USER).pw_gid)
    processes = {"supervisor": one.process.pid, **one.children()}
    assert len(processes) == 5
    for role, pid in processes.items():
        status = process_status(pid)
        assert status["Uid"].split() == [uid] * 4, role
        assert status["Gid"].split() == [gid] * 4, role
        assert status["Groups"].split() == [], role
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[capabilities], 16) == 0, (role, capabilities)
        assert status["NoNewPrivs"].strip() == "1", role


def test_no_descriptor_too_many(server):
    """api holds no store, dns no listening API socket and nothing writable, the keeper no network."""
    one = server()

    def open_files(pid):
        return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]

    store = str(one.folder / "store")
    children = one.children()
    assert not [f for f in open_files(children["api"]) if f.startswith(store)]
    assert not [f for role in children for f in open_files(children[role]) if f.endswith((".key", ".crt"))]
    for role, pid in children.items():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if role.startswith("dns") and target.endswith("data.mdb"):
                flags = open(f"/proc/{pid}/fdinfo/{fd}").read().split("flags:\t")[1].split()[0]
                assert int(flags, 8) & os.O_ACCMODE == os.O_RDONLY
    inodes = {}
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in open(f"/proc/net/{kind}").read().splitlines()[1:]:
            fields = line.split()
            inodes[f"socket:[{fields[9]}]"] = int(fields[1].rsplit(":", 1)[1], 16)
    ports = {role: {inodes[f] for f in open_files(pid) if f in inodes} for role, pid in children.items()}
    assert ports["keeper"] == set()
    assert ports["api"] == {one.api_port}
    assert ports["dns0"] == ports["dns1"] == {one.dns_port}


def test_children_cannot_be_debugged(server):
    """Not dumpable: no core with keys, no debugger of the same account. Sanitizers need the contrary."""
    one = server()
    if b"__asan_init" in open(harness.BINARY, "rb").read():
        assert one.children()
        return
    for pid in one.children().values():
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0 or not IS_ROOT
        soft = [line for line in open(f"/proc/{pid}/limits") if line.startswith("Max core file size")][0].split()[4]
        assert soft == "0"
