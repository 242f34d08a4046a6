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
MIB = 1 << 20


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


def encode_query(name):
    wire = struct.pack("!6H", 4711, 0, 1, 0, 0, 0)
    wire += b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return wire + b"\0" + struct.pack("!2H", 16, 1)


def ask(s, wire):
    """(rcode, number of answers), or None when there is no answer within the socket's timeout."""
    try:
        s.send(wire)
        answer = s.recv(4096)
    except TimeoutError:
        return None
    except OSError:  # nobody listens yet
        time.sleep(s.gettimeout())
        return None
    flags, _, answers = struct.unpack_from("!3H", answer, 2)
    return flags & 15, answers


class Server:
    """One running server; its files live in `folder`."""

    checked = True  # gives real answers, which are to be checked
    load = ()  # options for udpblast, other than usual
    probe_rate = 2000  # queries a second: a server far from saturation
    api_port = None

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(mode=0o755)
        self.log = self.folder / "log"
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self, known_name, limit=START_SECONDS):
        """Seconds from exec to the first right answer for a name that exists, asked for every millisecond."""
        wire = encode_query(known_name)
        begin = time.monotonic()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("127.0.0.1", self.port))
            s.settimeout(0.001)
            while ask(s, wire) != (0, 1):
                if self.process.poll() is not None:
                    raise BenchError(f"{self.name} ended with status {self.process.returncode}: {self.last_words()}")
                if time.monotonic() > begin + 1:
                    s.settimeout(0.02)  # it loads a zone: do not take the processor from it
                if time.monotonic() > begin + limit:
                    raise BenchError(f"{self.name} does not answer after {limit} s: {self.last_words()}")
        return time.monotonic() - begin

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote no message"

    def pids(self):
        return descendants(self.process.pid)

    def cpu_seconds(self):
        """What all its processes have used so far, with the threads that have ended."""
        ticks = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # gone meanwhile
            ticks += int(fields[11]) + int(fields[12])  # user and system
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Bytes beyond page cache, all processes together: (private, shared, page tables). Pss counts what n processes
        share as 1/n in each, so the sum has it once. None when the kernel does not let us look."""
        private = shared = tables = 0
        for pid in self.pids():
            try:
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
            except PermissionError:
                return None
            sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in (rollup + status).splitlines()
                     if line.endswith(" kB")}
            private += sizes["Pss_Anon:"]
            shared += sizes["Pss_Shmem:"]
            tables += sizes["VmPTE:"]
        return private, shared, tables

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
        self.process = None

    def _end_left_over(self, pid):
        """Ends a child that has survived its parent; the session tells it from a stranger with the same number."""
        try:
            if os.getsid(pid) == self.process.pid:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def wait_for_api(self):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.api_port), 1) as s:
                    s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    if s.recv(64).startswith(b"HTTP/1.1 200"):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise BenchError(f"the API of {self.name} does not become healthy")


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
  rate_limit: {{responses_per_second: 0}}
api:
  listen: ["127.0.0.1:{self.api_port}"]
  url: http://127.0.0.1:{self.api_port}
  tls: {{mode: off}}
  registration: {{mode: open, per_address_per_hour: 0, per_day: 0}}
store: {{path: {store}}}
log: {{level: info}}
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

    def wait_for_index(self, limit):
        """Until the index is in service: before that DNS reads the store, and the keeper is busy. False: it gave up."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            text = self.log.read_text(errors="replace")
            if ": the index holds " in text:
                return True
            if "; DNS reads the store" in text:
                return False
            time.sleep(0.002 if time.monotonic() < end - limit + 1 else 0.02)
        raise BenchError(f"the index is not in service after {limit} s: {self.last_words()}")


class AcmeDns(Server):
    """The server that this one replaces; `database` has been filled before (data.fill_acme_dns). Written after its
    sources (v1.1 and v2.0.2) and tried with a stand-in that reads the same configuration and database."""

    load = ("-c", "1", "-w", "8")  # it reads its whole table for a query: more in flight are only lost
    probe_rate = 200

    def __init__(self, folder, program, database):
        super().__init__("acme-dns", folder)
        self.program = program
        self.database = database
        self.api_port = free_port()

    def _configure(self, engine):
        (self.folder / "config.cfg").write_text(
            f"""\
[general]
listen = "127.0.0.1:{self.port}"
protocol = "both4"
domain = "{ZONE}"
nsname = "ns1.{ZONE}"
nsadmin = "hostmaster.{ZONE}"
records = ["{ZONE}. NS ns1.{ZONE}.", "ns1.{ZONE}. A 127.0.0.1"]
debug = false
[database]
engine = "{engine}"
connection = "{self.database}"
[api]
ip = "127.0.0.1"
port = "{self.api_port}"
disable_registration = false
tls = "none"
corsorigins = ["*"]
use_header = false
header_name = "X-Forwarded-For"
[logconfig]
loglevel = "error"
logtype = "stdout"
logformat = "text"
"""
        )

    def command(self):
        return [self.program, "-c", str(self.folder / "config.cfg")]

    def start(self, known_name, limit=20):
        """The engine is called sqlite3 in v1 and sqlite in v2, and each ends with the other's name, v2 at a query."""
        said = []
        for engine in ("sqlite3", "sqlite"):
            self._configure(engine)
            try:
                return super().start(known_name, limit)
            except BenchError as e:
                said.append(f"with engine {engine} {e}")
                self.stop()
        raise BenchError("; ".join(said))
