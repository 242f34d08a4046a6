# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the binary with a generated configuration and speaks to it. No fixed ports, loopback only, every wait bounded."""

import base64
import contextlib
import json
import os
import pathlib
import pwd
import random
import re
import secrets
import shutil
import signal
import socket
import string
import subprocess
import tempfile
import time

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

import rawhttp

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.path.abspath(os.environ.get("ACME_DELEGATE_BIN", ROOT / "build" / "acme-delegate"))
ZONE = "auth.example.org"
URL = "https://auth.example.org"
COMPAT = "/api/v1/acme-dns-compat"
IS_ROOT = os.geteuid() == 0
USER = "nobody"
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
BASE64URL = string.ascii_letters + string.digits + "-_"
SANITIZER = re.compile(r"Sanitizer|runtime error")

STATIC_RECORDS = [
    "@ 3600 A 198.51.100.1",
    '@ 3600 CAA 0 issue "letsencrypt.org"',
    "www 300 A 192.0.2.80",
    'leaf.b.ent 300 TXT "below an empty non-terminal"',
    "alias 300 CNAME www",
]

running = []  # every server that was started and not stopped yet


def poll(condition, seconds, what):
    """Waits until condition() is true and returns its value; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


FAMILIES = [4, 6] if has_ipv6() else [4]


def _port_is_free(port):
    for family in FAMILIES:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, kind) as s:
                try:
                    s.bind((LOOPBACK[family], port))
                except OSError:
                    return False
    return True


def free_port():
    """A port free over UDP and TCP, IPv4 and IPv6, below the range from which the kernel takes client ports."""
    for _ in range(200):
        port = random.randint(10000, 32000)
        if _port_is_free(port):
            return port
    raise AssertionError("no free port")


def value():
    """A challenge value: 43 characters of base64url, RFC 8555 section 8.4."""
    return "".join(secrets.choice(BASE64URL) for _ in range(43))


def to_yaml(data, indent=0):
    """Enough YAML for our configurations; every string is quoted, a list item on a line of its own."""
    pad = " " * indent
    lines = []
    if isinstance(data, dict):
        for key, item in data.items():
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{pad}{key}:")
                lines.append(to_yaml(item, indent + 2))
            else:
                lines.append(f"{pad}{key}: {json.dumps(item)}")
    else:
        for item in data:
            if isinstance(item, (dict, list)) and item:
                body = to_yaml(item, indent + 2)
                lines.append(f"{pad}- {body.lstrip()}")
            else:
                lines.append(f"{pad}- {json.dumps(item)}")
    return "\n".join(lines)


def merge(base, changes):
    """`changes` laid over `base`; dictionaries are merged, everything else is replaced, None removes a key."""
    out = dict(base)
    for key, item in changes.items():
        if item is None:
            out.pop(key, None)
        elif isinstance(item, dict) and isinstance(out.get(key), dict):
            out[key] = merge(out[key], item)
        else:
            out[key] = item
    return out


def own(path):
    """Gives a path to the account that the server runs as."""
    if IS_ROOT:
        account = pwd.getpwnam(USER)
        os.chown(path, account.pw_uid, account.pw_gid)


def make_folder():
    """A temporary folder that the server's account may enter and write."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="acme-delegate-test-"))
    folder.chmod(0o755)
    own(folder)
    return folder


def make_certificate(folder, name="tls"):
    """A self-signed certificate for localhost; returns the paths of certificate and key."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True)
    for path in (certificate, key):
        path.chmod(0o600)
        own(path)
    return certificate, key


def environment(**more):
    env = dict(os.environ)
    env["ASAN_OPTIONS"] = "detect_leaks=1:exitcode=99:abort_on_error=0:handle_segv=1:print_summary=1"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1:exitcode=99"
    env.update(more)
    return env


def assert_clean(text):
    assert not SANITIZER.search(text), "sanitizer report:\n" + text[-8000:]


def run(*args, timeout=20, env=None, **kw):
    """Runs the binary to its end; stdout and stderr as text."""
    done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=timeout,
                          env=env or environment(), stdin=subprocess.DEVNULL, **kw)
    assert_clean(done.stderr)
    return done


def process_status(pid):
    """/proc/PID/status as a dictionary; None when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def is_alive(pid):
    status = process_status(pid)
    return bool(status) and not status["State"].startswith(("Z", "X"))


def children_of(parent):
    """(pid, name) of the live children of a process."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        status = process_status(entry.name)
        if status and status["PPid"] == str(parent) and not status["State"].startswith(("Z", "X")):
            found.append((int(entry.name), status["Name"]))
    return found


def roles_of(parent):
    """The same of a server, without the processes that come for one piece of work and go with it."""
    return [(pid, name.removeprefix("delegate-")) for pid, name in children_of(parent)
            if name.startswith("delegate-") and name != "delegate-check"]


class Server:
    """One `serve` process. start() returns when both DNS and API answer."""

    def __init__(self, folder=None, preload=None, tls=False, dot=False, bearer=None, zone=None, **changes):
        self.folder = folder or make_folder()
        self.owns_folder = folder is None
        self.dns_port, self.api_port, self.dot_port = free_port(), free_port(), free_port() if dot else None
        self.stderr_path = self.folder / "stderr"
        self.config_path = self.folder / "config.yaml"
        self.admin_socket = self.folder / "admin.sock"
        self.token_file = self.folder / "operator-token"
        if bearer:
            self.set_bearer(bearer)
        self.preload = preload
        self.tls = tls or dot  # the certificate is the API's
        self.process = None
        self.changes = changes
        self.zone_changes = zone or {}
        self.configure()

    def configure(self, zone=None, **changes):
        """Writes the configuration file, with further changes laid over those made before."""
        self.zone_changes = merge(self.zone_changes, zone or {})
        self.changes = merge(self.changes, changes)
        self.config_path.write_text(to_yaml(self.settings()) + "\n")
        self.config_path.chmod(0o644)

    def set_bearer(self, token):
        """Writes the operator's bearer token."""
        self.token_file.write_text(token + "\n")
        self.token_file.chmod(0o600)
        own(self.token_file)

    def settings(self):
        addresses = [LOOPBACK[f] for f in FAMILIES]
        brackets = [f"[{a}]" if ":" in a else a for a in addresses]
        zone = {
            "name": ZONE,
            "nameservers": [{"name": f"ns1.{ZONE}", "addresses": addresses}],
            "contact": "hostmaster@example.org",
            "records": STATIC_RECORDS,
        }
        api = {
            "listen": [f"{a}:{self.api_port}" for a in brackets],
            "url": URL,
            "base_paths": ["/", COMPAT],
            "tls": {"mode": "off"},
            "registration": {"mode": "open", "per_address_per_hour": 0, "per_day": 0},
            "failed_login_delay": "0s",  # many tests, one address
        }
        if self.tls:
            certificate, key = self.folder / "tls.crt", self.folder / "tls.key"
            if not certificate.exists():
                make_certificate(self.folder)
            api["tls"] = {"mode": "files", "certificate": str(certificate), "key": str(key)}
        base = {
            "zones": [merge(zone, self.zone_changes)],
            "dns": {"listen": [f"{a}:{self.dns_port}" for a in brackets], "workers": 2,
                    "rate_limit": {"responses_per_second": 1000000}},  # many tests, one address
            "api": api,
            "store": {"path": str(self.folder / "store")},
            "admin": {"socket": str(self.admin_socket)},
        }
        if self.token_file.exists():
            base["admin"]["token_file"] = str(self.token_file)
        if self.dot_port:
            base["dns"]["tls_listen"] = [f"{a}:{self.dot_port}" for a in brackets]
        if IS_ROOT:
            base["user"] = USER
        return merge(base, self.changes)

    # ---- life

    def launch(self):
        env = environment()
        if self.preload:
            env["LD_PRELOAD"] = str(self.preload)
            env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
        with open(self.stderr_path, "ab") as stderr:
            self.process = subprocess.Popen([BINARY, "serve", "-c", str(self.config_path)], stdin=subprocess.DEVNULL,
                                            stdout=stderr, stderr=stderr, env=env)
        running.append(self)

    def start(self):
        self.launch()
        poll(self._ready, 10, "server ready")
        return self

    def _ready(self):
        code = self.process.poll()
        assert code is None, f"serve ended with {code}:\n{self.stderr()}"
        # A child that was just forked has its parent's name.
        if not all(name.startswith("delegate-") for _, name in children_of(self.process.pid)):
            return False
        try:
            return self.http("GET", "/health", timeout=1).status == 200 and all(
                self.query(ZONE, "SOA", family=f, timeout=1) for f in FAMILIES)
        except (OSError, dns.exception.DNSException, rawhttp.Incomplete):
            return False

    def stderr(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def stop(self, seconds=20):
        """SIGTERM; the exit status must be 0, no child may be left, no sanitizer may have spoken."""
        pids = [pid for pid, _ in children_of(self.process.pid)]
        self.process.send_signal(signal.SIGTERM)
        code = self.wait(seconds)
        text = self.stderr()
        assert_clean(text)
        assert code == 0, f"exit status {code}:\n{text[-4000:]}"
        left = [pid for pid in pids if is_alive(pid)]
        assert not left, f"children left: {left}"

    def wait(self, seconds):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.stderr()[-4000:]}") from None
        if self in running:
            running.remove(self)
        return code

    @contextlib.contextmanager
    def running(self):
        """Runs while the block does: stopped in order at its end, unless the block has ended it; discarded in any case."""
        try:
            yield self.start()
            if self.process.poll() is None:
                self.stop()
        finally:
            self.discard()

    def discard(self):
        """The end in any case: no process and no file stays. Ends only what this object started."""
        if self.process and self.process.poll() is None:
            pids = [pid for pid, _ in children_of(self.process.pid)]
            self.process.kill()
            self.process.wait()
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if self in running:
            running.remove(self)
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self):
        self.stop()
        return self.start()

    def children(self):
        """Role -> pid: dns0, dns1, ..., dot, api, keeper."""
        return {role: pid for pid, role in roles_of(self.process.pid)}

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    @property
    def data_file(self):
        return pathlib.Path(self.settings()["store"]["path"]) / "data.mdb"

    # ---- DNS

    def query(self, name, rdtype="TXT", tcp=False, family=4, timeout=5, source=None, **kw):
        kw.setdefault("use_edns", 0)
        kw.setdefault("payload", 1232)
        if kw["use_edns"] is False:
            del kw["payload"]
        return self.ask(dns.message.make_query(name, rdtype, **kw), tcp=tcp, family=family, timeout=timeout,
                        source=source)

    def ask(self, message, tcp=False, family=4, timeout=5, source=None):
        send = dns.query.tcp if tcp else dns.query.udp
        return send(message, LOOPBACK[family], port=self.dns_port, timeout=timeout, source=source)

    def ask_bytes(self, wire, timeout=0.5, family=4):
        """Raw datagram in, raw datagram out; None when nothing comes within `timeout`."""
        with socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.connect((LOOPBACK[family], self.dns_port))
            s.send(wire)
            try:
                return s.recv(65535)
            except socket.timeout:
                return None

    def stream(self, dot=False, family=4, timeout=5, source=None):
        """A connection for DNS over TCP, or over TLS."""
        address = (LOOPBACK[family], self.dot_port if dot else self.dns_port)
        s = socket.create_connection(address, timeout=timeout, source_address=source and (source, 0))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return rawhttp.tls_context(protocol="dot").wrap_socket(s, server_hostname="localhost") if dot else s

    def values(self, account, **kw):
        """The values served for a delegate, in the order of the answer (over TCP: never truncated)."""
        kw.setdefault("tcp", True)
        answer = self.query(account["fulldomain"] + ".", "TXT", **kw)
        assert answer.rcode() == dns.rcode.NOERROR, answer
        return txt_of(answer)

    # ---- the operator

    def operator(self, *args, **kw):
        """Runs a command of the binary that asks this server."""
        command, *rest = args
        return run(command, *rest, "-c", self.config_path, **kw)

    # ---- API

    def connect(self, timeout=5, family=4):
        s = socket.create_connection((LOOPBACK[family], self.api_port), timeout=timeout)
        if self.tls:
            s = rawhttp.tls_context().wrap_socket(s, server_hostname="localhost")
        return s

    def raw(self, data, timeout=5, family=4):
        """Sends bytes as they are on a new connection and reads one response."""
        with self.connect(timeout, family) as s:
            s.sendall(data)
            return rawhttp.read_response(s)

    def http(self, method, path, body=None, headers=None, timeout=5, family=4):
        return self.raw(rawhttp.request(method, path, body, headers), timeout, family)

    def register(self, base="", allowfrom=None):
        body = None if allowfrom is None else json.dumps({"allowfrom": allowfrom})
        response = self.http("POST", base + "/register", body)
        assert response.status == 201, response
        return json.loads(response.body)

    def update(self, account, txt, base="", **kw):
        return self.http("POST", base + "/update", json.dumps({"subdomain": account["subdomain"], "txt": txt}),
                         credentials(account), **kw)

    def publish(self, account, txt=None):
        """Updates with a (new) value, which must succeed, and returns the value."""
        txt = txt or value()
        response = self.update(account, txt)
        assert response.status == 200, response
        return txt


def credentials(account):
    return {"X-Api-User": account["username"], "X-Api-Key": account["password"]}


def basic_credentials(account):
    """The headers of lego's httpreq."""
    token = base64.b64encode(f"{account['username']}:{account['password']}".encode()).decode()
    return {"Authorization": "Basic " + token, "Content-Type": "application/json", "Accept": "application/json"}


def txt_of(answer):
    """The TXT texts of an answer section."""
    return [b"".join(r.strings).decode() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.TXT for r in rrset]
