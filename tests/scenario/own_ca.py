# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers with api.tls.mode acme, and the CA they get their certificate from: pebble, asking the server itself, or
through a resolver of its own."""

import contextlib
import socket
import ssl
import subprocess

import harness
from acme_ca import Pebble, Proxy, make_web_certificate
from harness import LOOPBACK, ZONE, free_port, poll

IDENTITY = "ca.example"
HASTE = 100  # milliseconds that stand for a minute


def context(protocol="http/1.1"):
    return harness.rawhttp.tls_context(protocol=protocol)


class Unbound:
    """A resolver that asks the servers of `zones` (name -> port) and nobody else."""

    def __init__(self, folder, zones, port=None):
        self.port = port or free_port()
        path = folder / f"unbound-{self.port}.conf"
        lines = ["server:", f"  interface: {LOOPBACK[4]}@{self.port}", "  do-daemonize: no", "  use-syslog: no",
                 "  username: ''", "  chroot: ''", f"  directory: '{folder}'", "  pidfile: ''", "  module-config: iterator",
                 "  do-not-query-localhost: no", "  cache-max-ttl: 1", "  cache-max-negative-ttl: 1", "  num-threads: 1",
                 "  local-zone: 'test.' nodefault", "remote-control:", "  control-enable: no"]
        for name, at in zones.items():
            lines += ["stub-zone:", f"  name: {name}", f"  stub-addr: {LOOPBACK[4]}@{at}"]
        path.write_text("\n".join(lines) + "\n")
        self.log = open(folder / f"unbound-{self.port}.log", "wb")
        self.process = subprocess.Popen(["unbound", "-d", "-c", path], stdout=self.log, stderr=self.log)
        poll(self.is_up, 10, "unbound answers")

    def is_up(self):
        assert self.process.poll() is None, "unbound has ended"
        with socket.socket() as s:
            return s.connect_ex((LOOPBACK[4], self.port)) == 0

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


class Ca:
    """A CA that looks for challenges at `dns_port`, with a proxy that tests can make misbehave."""

    def __init__(self, folder, dns_port, **environment):
        self.folder = folder
        if not (folder / "web.pem").exists():
            make_web_certificate(folder)
        self.root = folder / "web-root.pem"
        self.root.chmod(0o644)
        with contextlib.ExitStack() as stack:
            self.pebble = Pebble(folder, dns_port, **environment)
            stack.callback(self.pebble.close)
            self.proxy = Proxy(folder, self.pebble.port)
            stack.callback(self.proxy.close)
            self.stack = stack.pop_all()
        self.reset()

    def reset(self):
        self.proxy.reset()
        self.proxy.meta = {"caaIdentities": [IDENTITY, "second." + IDENTITY]}

    @property
    def url(self):
        return self.proxy.url + "/dir"

    @property
    def accounts(self):
        return len(self.proxy.paths("/sign-me-up"))

    def close(self):
        self.stack.close()


def acme_settings(ca, **more):
    return {"mode": "acme", "certificate": None, "key": None,
            "acme": {"directory": ca.url, "ca_file": str(ca.root), **more}}


class Server(harness.Server):
    """A server whose CA looks at it directly, unless another one is given."""

    def __init__(self, host=ZONE, ca=None, acme=None, haste=HASTE, **kw):
        self.host, self.haste = host, haste
        self.own_ca = None
        super().__init__(tls=True, **kw)
        if not ca:
            ca = self.own_ca = Ca(self.folder, self.dns_port)
        self.ca = ca
        self.configure(api={"url": f"https://{host}", "tls": acme_settings(ca, **(acme or {}))})

    def launch(self):
        with harness_environment(ACME_DELEGATE_TEST_HASTE=str(self.haste)):
            super().launch()

    @property
    def acme_folder(self):
        return self.folder / "store" / "acme"

    def certificate(self, port=None, protocol="http/1.1"):
        """What a new connection is shown, as (subject alternative names, issuer, whole certificate)."""
        with socket.create_connection((LOOPBACK[4], port or self.api_port), timeout=10) as plain:
            with context(protocol).wrap_socket(plain, server_hostname=self.host) as s:
                return ssl.DER_cert_to_PEM_cert(s.getpeercert(binary_form=True))

    def has_certificate(self, port=None, protocol="http/1.1"):
        return "Pebble" in issuer(self.certificate(port, protocol))

    def await_certificate(self, seconds=20):
        poll(self.has_certificate, seconds, "a certificate of the CA")
        return self.certificate()

    def count(self, text):
        return self.stderr().count(text)

    def caa(self, name=ZONE, port=None):
        answer = self.query(name, "CAA", tcp=True)
        return sorted(r.to_text() for rrset in answer.answer for r in rrset)

    def discard(self):
        if self.own_ca:
            self.own_ca.close()
            self.own_ca = None
        super().discard()


@contextlib.contextmanager
def harness_environment(**more):
    before = harness.environment
    harness.environment = lambda **kw: before(**more, **kw)
    try:
        yield
    finally:
        harness.environment = before


def look_at(pem, *what, check=True):
    return subprocess.run(["openssl", "x509", "-noout", *what], input=pem, capture_output=True, text=True, check=check,
                          timeout=10).stdout


def issuer(pem):
    return look_at(pem, "-issuer")


def names(pem):
    return look_at(pem, "-ext", "subjectAltName").splitlines()[-1].strip()
