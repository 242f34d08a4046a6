# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a server: each line is one event, whatever clients send; in the journal with priorities; no floods."""

import json
import os
import re
import signal
import subprocess

import harness
from harness import poll, value

STRANGE = ["\x1b[31mred", "a\nb", "ü\u202e", "%s%n", '"\\', "\u0000"]


def provoke(server):
    account = server.register()
    for text in STRANGE:
        server.http("POST", "/update", json.dumps({"subdomain": text, "txt": text}), harness.credentials(account))
        server.http("POST", "/present", json.dumps({"fqdn": text, "value": text}), harness.credentials(account))
        server.http("POST", "/register", json.dumps({"allowfrom": [text]}))
    server.http("GET", "/%1b%0a")
    server.update({**account, "password": "x" * 40}, value())


def test_json_lines():
    with harness.Server(log={"format": "json", "level": "debug"}).running() as one:
        provoke(one)
        os.kill(one.children()["dns0"], signal.SIGKILL)
        poll(lambda: "was ended by signal 9" in one.stderr(), 5, "a line about it")
        poll(lambda: "refused: forbidden" in one.stderr(), 5, "a line about the wrong key")
        one.stop()
        lines = [json.loads(line) for line in one.stderr_path.read_bytes().decode().splitlines()]
        assert all(set(line) == {"time", "level", "process", "room", "message"} for line in lines)
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
        assert {"supervisor", "api"} <= {line["process"] for line in lines}
        assert {line["level"] for line in lines} <= {"error", "warning", "info", "debug"}


def test_the_journal_gets_priorities_and_no_time(monkeypatch):
    """systemd.exec(5): JOURNAL_STREAM holds device and inode; sd-daemon(3): the priority in front of each line."""
    one = harness.Server()
    one.stderr_path.touch()
    st = one.stderr_path.stat()
    monkeypatch.setenv("JOURNAL_STREAM", f"{st.st_dev}:{st.st_ino}")
    with one.running():
        provoke(one)
        os.kill(one.children()["dns1"], signal.SIGKILL)
        poll(lambda: "was ended by signal 9" in one.stderr(), 5, "a line about it")
        one.hup()
        poll(lambda: "new configuration in force" in one.stderr(), 10, "a line about the reload")
        one.stop()
        lines = one.stderr().splitlines()
        assert len(lines) > 8
        assert all(re.match(r"<[3467]>(main|supervisor|keeper|api|dns\d)/\w+: ", line) for line in lines), lines
        assert any(line.startswith("<3>supervisor/app: dns1 (pid ") for line in lines)


def test_a_start_that_is_refused_is_an_error_in_the_journal(folder):
    """And a warning about the configuration is a warning: `journalctl -p err` is where people look for why."""
    path, stderr = folder / "c.yaml", folder / "stderr"
    path.write_text("zones:\n  - name: auth.example.org\n    nameservers: [{name: ns1.auth.example.org, addresses: 192.0.2.1}]\n"
                    "api: {url: 'https://auth.example.org', tls: {mode: off}, listen: ['127.0.0.1:8080']}\n"
                    "dns: {listen: ['192.0.2.1:5353']}\n")  # this machine does not have that address
    with open(stderr, "wb") as to:
        st = os.fstat(to.fileno())
        done = subprocess.run([harness.BINARY, "serve", "-c", path], stderr=to, timeout=30,
                              env=harness.environment(JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino}"))
    lines = stderr.read_text().splitlines()
    assert done.returncode == 2
    assert any(line.startswith("<3>cannot listen on 192.0.2.1:5353") for line in lines), lines
    assert any(re.match("<4>.* warning: .*CAA", line) for line in lines), lines


def test_a_flood_of_refusals_is_counted_and_not_written():
    with harness.Server().running() as one:
        account = one.register()
        for _ in range(60):
            assert one.update({**account, "password": "x" * 40}, value()).status == 401
        one.stop()
        lines = [line for line in one.stderr().splitlines() if " refused: forbidden" in line]
        assert len(lines) == 6  # five of the network, and what stands for the rest
        assert lines[-1].endswith("(54 more like this were not written)")
        assert account["password"] not in one.stderr() and "x" * 40 not in one.stderr()
