# SPDX-License-Identifier: GPL-3.0-or-later
"""/health is 200 only while values can be published and are served; /v1/health and `status` say what is wrong."""

import json
import os
import signal
import time

import pytest

import harness
from harness import poll, process_status
from v1 import BEARER, bearer, call


@pytest.fixture(scope="module")
def server():
    with harness.Server(tls=True, bearer=BEARER).running() as one:
        yield one


def health(server):
    return server.http("GET", "/health", timeout=10)


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    poll(lambda: process_status(pid)["State"].startswith("T"), 5, "stopped")


@pytest.mark.parametrize("who,code", [("dns0", "dns_unavailable"), ("dns1", "dns_unavailable"),
                                      ("keeper", "store_unavailable")])
def test_a_process_that_hangs(server, who, code):
    assert health(server).status == 200
    pid = server.children()[who]
    stop(pid)
    try:
        began = time.monotonic()
        answer = poll(lambda: (a := health(server)).status == 503 and a, 6, "503")
        assert time.monotonic() - began < 5
        assert json.loads(answer.body) == {"error": code}
        if who != "keeper":  # which is the one that knows
            told = call(server, "GET", "/v1/health", bearer())
            assert told.status == 503 and told.error == "unhealthy" and told.json["status"] == "failing"
            (check,) = [c for c in told.json["checks"] if c["state"] == "failing"]
            assert check["name"] == who and "does nothing any more" in check["message"]
            assert abs(time.time() - time.mktime(time.strptime(check["since"], "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 30
            shown = server.operator("status")
            assert shown.returncode == 1 and shown.stdout.splitlines()[1] == "NOT WELL: 1 thing is wrong"
            assert who in shown.stdout.splitlines()[2]
            shown = server.operator("status", "--json")
            assert shown.returncode == 1
            states = {p["name"]: p["state"] for p in json.loads(shown.stdout)["processes"]}
            assert states == {"keeper": "running", "api": "running", "dns0": "running", "dns1": "running", who: "stuck"}
    finally:
        os.kill(pid, signal.SIGCONT)
    poll(lambda: health(server).status == 200, 5, "200")
    assert server.operator("status").stdout.splitlines()[1] == "all is well"


def test_a_process_that_is_killed_is_back_before_it_is_missed(server):
    for who in ("dns0", "keeper"):
        old = server.children()[who]
        os.kill(old, signal.SIGKILL)
        poll(lambda: server.children().get(who) not in (None, old), 5, "started again")
        poll(lambda: health(server).status == 200, 5, "200")
    report = json.loads(server.operator("status", "--json").stdout)
    restarts = {p["name"]: p["restarts"] for p in report["processes"]}
    assert restarts["dns0"] >= 1 and restarts["keeper"] >= 1 and restarts["dns1"] == 0
    pids = {p["name"]: p["pid"] for p in report["processes"]}
    assert pids == server.children()


def test_all_is_well(server):
    told = call(server, "GET", "/v1/health", bearer())
    assert told.status == 200 and told.json["status"] == "ok"
    assert [c["name"] for c in told.json["checks"]] == ["store", "certificate", "keeper", "api", "dns0", "dns1"]
    assert all(c["state"] == "ok" and c["message"] for c in told.json["checks"])
    shown = server.operator("status")
    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    assert lines[1] == "all is well"
    assert any(line.startswith("certificate ") and " left, until 20" in line for line in lines)
    for who, pid in server.children().items():
        (line,) = [li for li in lines if li.split()[:1] == [who]]
        assert line.split()[1:3] == ["running", str(pid)]
        assert line.split()[-1] in ("all", "files", "calls"), "as much as this kernel can take away"
    assert max(map(len, lines)) <= 100


def test_only_the_operator_is_told(server):
    account = server.register()
    for who in (None, account, bearer("x" * 40)):
        answer = call(server, "GET", "/v1/health", who)
        assert answer.status == 401 and answer.error == "forbidden"
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_certificate_that_is_about_to_expire(tmp_path):
    """Two days of two are left, then it is another one's turn: a quarter of its lifetime is the bound."""
    with harness.Server(tls=True, bearer=BEARER).running() as one:
        key = one.folder / "tls.key"
        harness.subprocess.run(
            ["openssl", "req", "-x509", "-key", str(key), "-days", "1", "-subj", "/CN=localhost", "-set_serial", "1",
             "-out", str(one.folder / "new.crt"), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
            check=True, capture_output=True)
        before = one.operator("status", "--json")
        assert before.returncode == 0
        not_after = json.loads(before.stdout)["certificate"]["not_after"]
        harness.own(one.folder / "new.crt")
        os.replace(one.folder / "new.crt", one.folder / "tls.crt")
        one.hup()
        after = poll(lambda: (c := json.loads(one.operator("status", "--json").stdout)["certificate"])
                     and c["not_after"] not in (None, not_after) and c, 15, "the new certificate")
        assert after["from"] == "files" and after["failures"] == 0 and after["error"] is None
