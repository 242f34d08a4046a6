# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers under measurement: how each is configured, started, recognized as ready and stopped.

All listen on loopback, on ports free at the time, with one worker (or thread) and the same zone."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import time

ZONE = "auth.test"
START_SECONDS = 120
STOP_SECONDS = 20
SBIN = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class BenchError(Exception):
    """Something a person can act on; shown as one line."""


def free_port():
    """A port that is free for UDP and TCP on loopback."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
    raise BenchError("no free port on 127.0.0.1")


def find_program(name, package):
    path = shutil.which(name, path=SBIN)
    if not path:
        raise BenchError(f"{name} is not installed: run scripts/install-deps bench, or apt-get install {package}")
    return path


def descendants(pid):
    """The process and all processes that come from it."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # gone meanwhile
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for parent in found:
        found += parents.get(parent, [])
    return found


def txt_query(port, name):
    """(rcode, number of answers) of one TXT query over UDP, or None."""
    wire = struct.pack("!6H", 4711, 0, 1, 0, 0, 0)
    wire += b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack("!2H", 16, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        try:
            s.connect(("127.0.0.1", port))
            s.send(wire)
            answer = s.recv(4096)
        except OSError:
            return None
    flags, _, answers = struct.unpack_from("!3H", answer, 2)
    return flags & 15, answers


class Server:
    """One running server; its files live in `folder`."""

    checked = True  # gives real answers, which are to be checked

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(mode=0o755)
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self, known_name):
        self.log = self.folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + START_SECONDS
        while txt_query(self.port, known_name) != (0, 1):
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with status {self.process.returncode}: {self.last_words()}")
            if time.monotonic() > end:
                raise BenchError(f"{self.name} does not answer after {START_SECONDS} s: {self.last_words()}")
            time.sleep(0.02)

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote no message"

    def pids(self):
        return descendants(self.process.pid)

    def stop(self):
        if not self.process:
            return
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
        for pid in pids:
            self._end_left_over(pid)

    def _end_left_over(self, pid):
        """Ends a child that has survived its parent; the session tells it from a stranger with the same number."""
        try:
            if os.getsid(pid) == self.process.pid:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Echo(Server):
    checked = False

    def __init__(self, folder, program):
        super().__init__("echo", folder)
        self.program = program

    def command(self):
        return [self.program, str(self.port)]


class Knot(Server):
    def __init__(self, folder, zone_file):
        super().__init__("Knot", folder)
        self.program = find_program("knotd", "knot")
        (self.folder / "knot.conf").write_text(
            f"""\
server:
    rundir: {self.folder}
    listen: 127.0.0.1@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {self.folder}
log:
  - target: stderr
    any: warning
zone:
  - domain: {ZONE}
    file: {zone_file}
    zonefile-sync: -1
    journal-content: none
"""
        )

    def command(self):
        return [self.program, "-c", str(self.folder / "knot.conf")]


class Nsd(Server):
    def __init__(self, folder, zone_file):
        super().__init__("NSD", folder)
        self.program = find_program("nsd", "nsd")
        # minimal-responses: an answer without the zone's NS set, as the other servers give it. No rate limit.
        (self.folder / "nsd.conf").write_text(
            f"""\
server:
    ip-address: 127.0.0.1@{self.port}
    server-count: 1
    username: ""
    database: ""
    zonesdir: "{self.folder}"
    pidfile: "{self.folder}/nsd.pid"
    xfrdfile: "{self.folder}/xfrd.state"
    xfrdir: "{self.folder}"
    zonelistfile: "{self.folder}/zone.list"
    minimal-responses: yes
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {ZONE}
    zonefile: {zone_file}
"""
        )

    def command(self):
        return [self.program, "-d", "-c", str(self.folder / "nsd.conf")]


class AcmeDelegate(Server):
    """Ours; `store` has been filled before."""

    def __init__(self, folder, program, store):
        super().__init__("acme-delegate", folder)
        self.program = program
        self.api_port = free_port()
        self._give_away(store)
        (self.folder / "acme-delegate.yaml").write_text(
            f"""\
zones:
  - name: {ZONE}
    nameservers:
      - {{name: ns1.{ZONE}, addresses: [127.0.0.1]}}
dns:
  listen: ["127.0.0.1:{self.port}"]
  workers: 1
  rate_limit: {{responses_per_second: 1000000}}
api:
  listen: ["127.0.0.1:{self.api_port}"]
  url: http://127.0.0.1:{self.api_port}
  tls: {{mode: off}}
store: {{path: {store}}}
log: {{level: warning}}
"""
        )

    @staticmethod
    def _give_away(store):
        """Started as root the server drops to this account, which must then own the store."""
        if os.geteuid() != 0:
            return
        try:
            account = pwd.getpwnam("acme-delegate")
        except KeyError:
            account = pwd.getpwnam("nobody")
        for path in [store, *store.iterdir()]:
            os.chown(path, account.pw_uid, account.pw_gid)

    def command(self):
        return [self.program, "serve", "-c", str(self.folder / "acme-delegate.yaml")]
