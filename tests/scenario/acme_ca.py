# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA for tests of the ACME client: Debian's pebble, a small DNS server that it asks, and an HTTPS proxy between the
client and pebble, which sees everything and can answer in pebble's place."""

import base64
import contextlib
import dataclasses
import http.client
import http.server
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import dns.message
import dns.rdatatype
import dns.rrset

import harness
from harness import LOOPBACK, free_port, poll

ADDRESS = LOOPBACK[4]
TRY = pathlib.Path(harness.BINARY).parent / "tests" / "scenario" / "acme-try"


def openssl(*arguments, **kw):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True, timeout=30, **kw).stdout


def make_web_certificate(folder):
    """A root for the CA's web server, and that server's certificate: web.pem, web.key, web-root.pem."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=Web root", "-keyout", folder / "web-root.key",
            "-out", folder / "web-root.pem")
    (folder / "web.ext").write_text(f"subjectAltName=IP:{ADDRESS}\n")
    openssl("req", "-new", *curve, "-subj", "/CN=ca", "-keyout", folder / "web.key", "-out", folder / "web.csr")
    openssl("x509", "-req", "-in", folder / "web.csr", "-CA", folder / "web-root.pem", "-CAkey", folder / "web-root.key",
            "-days", "2", "-CAcreateserial", "-extfile", folder / "web.ext", "-out", folder / "web.pem")


class Dns:
    """Answers TXT from `values` (by name, lower case), and everything else with nothing."""

    def __init__(self):
        self.values = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ADDRESS, 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            packet, client = self.socket.recvfrom(4096)
            if packet == b"stop":
                return
            query = dns.message.from_wire(packet)
            reply = dns.message.make_response(query)
            question = query.question[0]
            values = self.values.get(question.name.to_text(omit_final_dot=True).lower(), ())
            if values and question.rdtype == dns.rdatatype.TXT:
                reply.answer.append(dns.rrset.from_text(question.name, 1, "IN", "TXT", *values))
            self.socket.sendto(reply.to_wire(), client)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"stop", (ADDRESS, self.port))
        self.thread.join(10)
        self.socket.close()


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: http.client.HTTPMessage
    body: bytes
    at: float = dataclasses.field(default_factory=time.monotonic)

    def payload(self):
        """What the JWS carries; None for a GET or a POST-as-GET."""
        if not self.body:
            return None
        text = json.loads(self.body)["payload"]
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if text else None


@dataclasses.dataclass
class Reply:
    status: int
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def problem(cls, status, kind, detail="as the test says", headers=(), **more):
        document = {"type": "urn:ietf:params:acme:error:" + kind, "detail": detail, **more}
        return cls(status, {"Content-Type": "application/problem+json", **dict(headers)}, json.dumps(document).encode())

    @classmethod
    def json(cls, document, headers=()):
        return cls(200, {"Content-Type": "application/json", **dict(headers)}, json.dumps(document).encode())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    wbufsize = 65536  # header and body in one piece, or Nagle's algorithm costs 40 ms each time
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, self.headers, body)
        self.server.owner.requests.append(request)
        answer = self.server.owner.answer(request)
        if callable(answer):  # a test that wants the connection itself
            self.close_connection = True
            answer(self)
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name, one)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_POST = do_HEAD = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what some tests are about."""


class Proxy:
    """`instead(request)` may give a Reply (or a function of the handler), None: pebble is asked. `after(request, reply)`
    may change pebble's. `directory` is merged into pebble's directory."""

    def __init__(self, folder, pebble_port):
        self.pebble_port = pebble_port
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE
        self.reset()
        self.server = Server((ADDRESS, 0), Handler)
        self.server.owner = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "web.pem", folder / "web.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"https://{ADDRESS}:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def reset(self):
        self.requests = []
        self.directory = {}
        self.meta = {}
        self.instead = lambda request: None
        self.after = lambda request, reply: reply

    def forward(self, request):
        connection = http.client.HTTPSConnection(ADDRESS, self.pebble_port, timeout=15, context=self.tls)
        with contextlib.closing(connection):
            headers = {k: v for k, v in request.headers.items() if k.lower() not in ("connection", "accept-encoding")}
            connection.request(request.method, request.path, request.body or None, headers)
            got = connection.getresponse()
            body = got.read()
        kept = {}
        for name, value in got.getheaders():
            # Its Retry-After is for patient clients; Go and http.server each have their own idea of the rest.
            if name.lower() not in ("retry-after", "content-length", "transfer-encoding", "connection", "date"):
                kept.setdefault(name, []).append(value)
        return Reply(got.status, kept, body)

    def answer(self, request):
        reply = self.instead(request)
        if reply is not None:
            return reply
        reply = self.forward(request)
        if request.path.startswith("/dir"):
            document = json.loads(reply.body)
            document.update(self.directory)
            document.setdefault("meta", {}).update(self.meta)
            reply.body = json.dumps(document).encode()
        return self.after(request, reply)

    def paths(self, word):
        return [r for r in self.requests if word in r.path]

    def close(self):
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


class Pebble:
    """`environment`: pebble's own switches. `eab`: MAC keys by key id, and nobody else gets an account."""

    def __init__(self, folder, dns_port, eab=None, **environment):
        self.port, management = free_port(), free_port()
        self.management = f"{ADDRESS}:{management}"
        config = {"listenAddress": f"{ADDRESS}:{self.port}", "managementListenAddress": f"{ADDRESS}:{management}",
                  "certificate": str(folder / "web.pem"), "privateKey": str(folder / "web.key"), "httpPort": 1,
                  "tlsPort": 1, "ocspResponderURL": "", "externalAccountBindingRequired": bool(eab),
                  "externalAccountMACKeys": eab or {}}
        path = folder / f"pebble-{self.port}.json"
        path.write_text(json.dumps({"pebble": config}))
        settings = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0", **environment}
        self.log = open(folder / f"pebble-{self.port}.log", "wb")
        self.process = subprocess.Popen(["pebble", "-config", path, "-dnsserver", f"{ADDRESS}:{dns_port}"],
                                        env={**os.environ, **settings}, stdout=self.log, stderr=self.log)
        poll(self.is_up, 15, "pebble listens")

    def is_up(self):
        assert self.process.poll() is None, "pebble has ended"
        with socket.socket() as s:
            return s.connect_ex((ADDRESS, self.port)) == 0

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


class Ca:
    """All of it. `url` is the directory that the client is told."""

    def __init__(self, **kw):
        self.folder = harness.make_folder()
        self.kw = kw
        make_web_certificate(self.folder)
        with contextlib.ExitStack() as stack:
            self.dns = Dns()
            stack.callback(self.dns.close)
            self.pebble = Pebble(self.folder, self.dns.port, **kw)
            stack.callback(self.pebble.close)
            self.proxy = Proxy(self.folder, self.pebble.port)
            stack.callback(self.proxy.close)
            self.stack = stack.pop_all()
        self.url = self.proxy.url + "/dir"
        self.root = self.folder / "web-root.pem"

    def management(self, path):
        connection = http.client.HTTPSConnection(self.pebble.management, timeout=10, context=self.proxy.tls)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def close(self):
        self.stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def limit_files(size):
    """What a child process does first: no file gets larger than that, as on a full disk. The hard limit stays."""
    if size is None:
        return None

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return limit


class Client:
    """acme-try with its hooks: publishes into the CA's DNS. Everything it says is kept."""

    FAST = {"poll": 20, "first_retry": 100, "longest_retry": 200, "patience": 2000, "wait": 10000, "check": 100,
            "request": 8000}

    def __init__(self, ca, folder, names=("auth.example.org",), allow=None, dns=None, file_size=None, before=(), **settings):
        self.dns, self.folder = dns or ca.dns, folder
        self.allow = allow or (lambda line: True)
        self.lines, self.states, self.published, self.log = [], [], [], []
        settings = {"ca": settings.pop("root", ca.root), **settings}
        arguments = {"directory": ca.url, "folder": folder, **self.FAST, **settings}
        command = [*before, TRY] + [f"{k}={v}" for k, v in arguments.items() if v is not None] + [f"name={n}" for n in names]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, preexec_fn=limit_files(file_size))
        self.threads = [threading.Thread(target=self.serve), threading.Thread(target=self.read_log)]
        for thread in self.threads:
            thread.start()

    def read_log(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    def serve(self):
        for line in self.process.stdout:
            line = line.rstrip("\n")
            word, _, rest = line.partition(" ")
            if word == "report":
                head, _, error = rest.partition(" error=")
                self.states.append({**dict(f.split("=", 1) for f in head.split(" ")), "error": error})
            elif word in ("publish", "permit"):
                self.answer(word, rest, line)
            self.lines.append(line)

    def answer(self, word, rest, line):
        good = self.allow(line)
        if word == "publish" and good:
            name, *values = rest.split(" ")
            self.published.append((name, values))
            self.dns.values["_acme-challenge." + name] = values
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("ok\n" if good else "no\n")
            self.process.stdin.flush()

    def count(self, word):
        return sum(line.startswith(word + " ") for line in self.lines)

    def until(self, condition, what, seconds=15):
        def check():
            if condition():
                return True
            assert self.process.poll() is None, f"the client has ended: {self.log}"
            return False

        try:
            poll(check, seconds, what)
        except AssertionError as e:
            raise AssertionError(f"{e}; its log: " + "\n".join(self.log[-30:])) from None
        return self

    def until_renewed(self, times=1, seconds=15):
        return self.until(lambda: self.count("renewed") >= times, f"{times} certificates", seconds)

    def until_failed(self, times=1, seconds=15):
        self.until(lambda: any(int(s["failures"]) >= times and s["error"] for s in self.states), "failures", seconds)
        return self.states[-1]["error"]

    def stop(self, seconds=5):
        """Told to stop, it does, soon and in good order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds=5):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        for thread in self.threads:
            thread.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        harness.assert_clean("\n".join(self.log))
        return code

    def kill(self):
        self.process.kill()
        self.wait()

    def said(self, text):
        return [line for line in self.log if text in line]
