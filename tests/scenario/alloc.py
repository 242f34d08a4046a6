# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that runs out, at one allocation or from one on: nobody crashes, nothing false is acknowledged, no false answer
is given, and the service goes on. For test_alloc.py and tests/soak/alloc."""

import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import time

import dns.exception
import dns.message
import dns.rcode

import harness
from harness import ZONE, poll, txt_of, value

HEAD = struct.Struct("=16siiqq")


class Wrong(AssertionError):
    """What must never happen."""


class Lab:
    """A server whose memory can be made to run out."""

    def __init__(self):
        self.folder = harness.make_folder()
        self.library, self.control = self.folder / "faulty_alloc.so", self.folder / "control"
        source = pathlib.Path(__file__).with_name("faulty_alloc.c")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", str(self.library), str(source)],
                       check=True)
        self.control.write_bytes(bytes(64))
        self.control.chmod(0o666)
        os.environ["FAULTY_ALLOC"] = str(self.control)
        # One worker, so that each query is its own.
        self.server = harness.Server(preload=self.library, bearer="b" * 43, dns={"workers": 1})
        self.server.start()
        os.environ.pop("FAULTY_ALLOC")
        self.account = self.server.register()
        self.known = {self.server.publish(self.account)}
        self.maybe = set()

    def arm(self, role, n, from_then_on=False, any_pid=False):
        pid = 0 if any_pid else self.server.children()[role]
        self.write(b"delegate-" + role.encode(), pid, from_then_on, n)

    def disarm(self):
        """Returns how many allocations have failed."""
        failed = HEAD.unpack_from(self.control.read_bytes())[4]
        self.write(b"", 0, False, 0)
        return failed

    def write(self, name, pid, from_then_on, n):
        with open(self.control, "r+b", buffering=0) as f:
            f.write(HEAD.pack(b"", 0, 0, 0, 0))  # nobody counts meanwhile
            f.seek(0)
            f.write(HEAD.pack(name, pid, from_then_on, n, 0))

    # ---- one of each kind of request

    def http(self, wanted, method, path, body=None, headers=None):
        """The right status, or one that says that it failed; or a connection that was closed."""
        try:
            response = self.server.http(method, path, body, headers, timeout=10)
        except (OSError, harness.rawhttp.Incomplete, EOFError, ValueError):
            return None
        if response.status not in (wanted, 500, 503):
            raise Wrong(f"{method} {path}: {response.status} {response.body}")
        return response

    def ask(self, name, rdtype, check, tcp=False):
        try:
            answer = self.server.query(name, rdtype, tcp=tcp, timeout=1.5)
        except (dns.exception.DNSException, OSError, EOFError):
            return
        if answer.rcode() != dns.rcode.SERVFAIL and not check(answer):
            raise Wrong(f"{name} {rdtype}: {answer}")

    def ask_in_pieces(self):
        """What has come so far is kept, which takes memory: the other answer comes when it was read."""
        wire = dns.message.make_query(ZONE, "SOA").to_wire()
        wire = len(wire).to_bytes(2, "big") + wire
        try:
            with self.server.stream(timeout=1.5) as s:
                s.sendall(wire[:5])
                self.ask(ZONE, "SOA", lambda a: a.rcode() == dns.rcode.NOERROR)
                s.sendall(wire[5:])
                head = s.recv(2, socket.MSG_WAITALL)
                answer = dns.message.from_wire(s.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)) if head else None
        except (dns.exception.DNSException, OSError):
            return
        if answer and answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.SERVFAIL):
            raise Wrong(f"in pieces: {answer}")

    def has_values(self, answer):
        got = set(txt_of(answer))
        return answer.rcode() == dns.rcode.NOERROR and self.known <= got <= self.known | self.maybe

    def queries(self):
        name = self.account["fulldomain"]
        self.ask(name, "TXT", self.has_values, tcp=True)
        self.ask(name, "A", lambda a: a.rcode() == dns.rcode.NOERROR and not a.answer)
        self.ask(ZONE, "SOA", lambda a: a.rcode() == dns.rcode.NOERROR and len(a.answer) == 1)
        self.ask(f"nothing.{ZONE}", "TXT", lambda a: a.rcode() == dns.rcode.NXDOMAIN)
        self.ask("www.example.com", "A", lambda a: a.rcode() == dns.rcode.REFUSED)
        self.ask_in_pieces()
        self.ask(ZONE, "NS", lambda a: a.rcode() == dns.rcode.NOERROR and a.answer, tcp=True)

    def requests(self):
        bearer = {"Authorization": "Bearer " + "b" * 43}
        self.http(200, "GET", "/health")
        txt = value()
        self.maybe.add(txt)
        response = self.http(200, "POST", "/update", json.dumps({"subdomain": self.account["subdomain"], "txt": txt}),
                             harness.credentials(self.account))
        if response and response.status == 200:
            self.known.add(txt)
        self.http(401, "POST", "/update", json.dumps({"subdomain": self.account["subdomain"], "txt": value()}),
                  harness.credentials(dict(self.account, password="x" * 40)))
        key = harness.basic_credentials(self.account)
        self.http(200, "GET", "/v1/check", headers=key)
        self.http(200, "GET", "/v1/values", headers=key)
        self.http(200, "GET", "/v1/keys", headers=key)
        self.http(400, "POST", "/v1/values", "{", key)
        self.http(201, "POST", "/register")
        for path in ("status", "delegates", "tokens", "events"):
            self.http(200, "GET", f"/v1/admin/{path}", headers=bearer)
        self.http(201, "POST", "/v1/admin/tokens", "{}", bearer)
        self.http(404, "GET", "/nothing")

    def commands(self):
        for command in (["status"], ["delegate", "list"], ["events"]):
            done = self.server.operator(*command, timeout=30)
            if done.returncode not in (0, 1):
                raise Wrong(f"{command}: {done.returncode} {done.stderr}")

    def script(self, role):
        if role == "dns0":
            self.queries()
            return
        self.requests()
        if role == "keeper":
            self.commands()
        self.queries()

    # ---- judging

    def run(self, role, n, from_then_on=False, restart=False):
        """Makes the n-th allocation of that process fail during the script. False: there were not so many."""
        before = len(self.server.stderr())
        if restart:
            self.arm(role, n, False, any_pid=True)
            os.kill(self.server.children()[role], signal.SIGKILL)
            self.back(role)
        else:
            self.arm(role, n, from_then_on)
        try:
            self.script(role)
        finally:
            failed = self.disarm()
        said = self.server.stderr()[before:]
        self.no_crash(said, restart)
        poll(self.well, 10, f"service again after {role} {n}")
        if len(self.known | self.maybe) > 20:
            self.renew()
        return failed > 0

    def back(self, role):
        poll(lambda: role in self.server.children(), 5, f"{role} again")

    def no_crash(self, said, killed):
        for line in said.splitlines():
            if "was ended by signal" in line and not (killed and "signal 9 " in line):
                raise Wrong(line)
        if self.server.process.poll() is not None:
            raise Wrong("the supervisor has ended: " + said)

    def well(self):
        try:
            return (self.server.http("GET", "/health", timeout=2).status == 200
                    and self.has_values(self.server.query(self.account["fulldomain"], "TXT", tcp=True, timeout=2)))
        except (OSError, dns.exception.DNSException, harness.rawhttp.Incomplete, EOFError):
            return False

    def renew(self):
        """A delegate has at most 32 values."""
        self.account = self.server.register()
        self.known, self.maybe = {self.server.publish(self.account)}, set()

    def close(self):
        self.server.discard()
        shutil.rmtree(self.folder, ignore_errors=True)


def command(lab, n, *args):
    """A command whose n-th allocation fails: done, or refused with a message. False: there were not so many."""
    env = harness.environment(LD_PRELOAD=str(lab.library), FAULTY_ALLOC_SELF=str(n))
    done = subprocess.run([harness.BINARY, *map(str, args)], capture_output=True, text=True, timeout=30, env=env,
                          stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 1, 2):
        raise Wrong(f"{args}, allocation {n}: {done.returncode} {done.stderr}")
    if done.returncode and not done.stderr.strip():
        raise Wrong(f"{args}, allocation {n}: ended with {done.returncode} and does not say why")
    return done.returncode != 0


class Another:
    """A server that is not there yet: its start, and what makes its store."""

    def __init__(self, lab):
        self.lab, self.server = lab, harness.Server(preload=lab.library, dns={"workers": 1})
        self.store = self.server.folder / "store"
        self.control = self.server.folder / "control"
        self.lines, self.image = self.server.folder / "lines", self.server.folder / "image"
        self.config = ["-c", self.server.config_path]
        for made in (harness.run("export", "-c", lab.server.config_path, self.lines),
                     harness.run("backup", "-c", lab.server.config_path, self.image)):
            assert made.returncode == 0, made
        self.delegates = self.names(self.lines.read_text())

    @staticmethod
    def names(text):
        return sorted(o["label"] for o in map(json.loads, text.splitlines()) if "label" in o)

    def prepare(self, n):
        shutil.rmtree(self.store, ignore_errors=True)
        self.control.write_bytes(bytes(64))
        self.control.chmod(0o666)
        self.server.stderr_path.write_text("")
        return {"FAULTY_ALLOC": str(self.control), "FAULTY_ALLOC_SELF": str(n)}

    def failed(self):
        return HEAD.unpack_from(self.control.read_bytes())[4] > 0

    def start(self, n):
        """It serves in the end, or ends and says why. Its children count on from where they are forked."""
        more, self.begun = self.prepare(n), time.monotonic()
        os.environ.update(more)
        try:
            self.server.launch()
        finally:
            for name in more:
                del os.environ[name]
        poll(lambda: self.ended() or self.cut_short() or self.serves(), 15, f"a start, allocation {n}")
        if self.cut_short():
            if self.server.process.poll() is None:
                self.server.process.kill()
            self.server.wait(5)
        elif self.server.process.poll() is None:
            self.server.stop()
        elif self.server.wait(0) not in (1, 2) or not self.server.stderr().strip():
            raise Wrong(f"ended with {self.server.process.returncode}: {self.server.stderr()}")
        for line in self.server.stderr().splitlines():
            if "was ended by signal" in line and f"signal {int(signal.SIGSYS)} " not in line:
                raise Wrong(self.server.stderr())
        return self.failed()

    def ended(self):
        return self.server.process.poll() is not None

    def serves(self):
        try:
            return self.server._ready()
        except AssertionError:  # it has ended since it was looked at
            if not self.ended():
                raise
            return True

    def cut_short(self):
        """A known defect: libseccomp 2.5.4 that lacks memory makes a filter that is cut short, and says that it is whole.
        So far each of those lets too little through: the supervisor is ended, or can start nobody, or not even wait."""
        process = self.server.process
        if process.poll() is not None:
            return process.returncode == -signal.SIGSYS
        confined = "Seccomp:\t2" in pathlib.Path(f"/proc/{process.pid}/status").read_text()
        return (": Function not implemented" in self.server.stderr()
                or (confined and time.monotonic() > self.begun + 4 and not self.server.children()))

    def fill(self, n, *args):
        """All of it is there; or it is said why not, and then the same again completes it."""
        env = harness.environment(LD_PRELOAD=str(self.lab.library), **self.prepare(n))
        done = subprocess.run([harness.BINARY, *map(str, args)], capture_output=True, text=True, timeout=30, env=env,
                              stdin=subprocess.DEVNULL)
        if done.returncode not in (0, 1, 2):
            raise Wrong(f"{done.returncode} {done.stderr}")
        if done.returncode and not done.stderr.strip():
            raise Wrong(f"ended with {done.returncode} and does not say why")
        again = harness.run(*args) if done.returncode else done
        there = harness.run("export", *self.config, "-")
        if again.returncode or there.returncode or self.names(there.stdout) != self.delegates:
            raise Wrong(f"not all of it is there: {done.stderr} {again} {there}")
        return self.failed()

    def loops(self):
        return [("serve", self.start), ("import", lambda n: self.fill(n, "import", *self.config, self.lines)),
                ("restore", lambda n: self.fill(n, "restore", *self.config, self.image))]

    def close(self):
        self.server.discard()


ROLES = ["keeper", "api", "dns0"]


def commands_of(lab):
    config = ["-c", lab.server.config_path]
    return [["config", "check", *config], ["config", "print", *config], ["export", *config, "-"],
            ["backup", *config, lab.folder / "backup"], ["store", "check", *config], ["status", *config],
            ["delegate", "list", *config]]
