# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx and haproxy in front of a server, as children with the very configuration that doc/http.md gives."""

import re
import shutil
import socket
import subprocess

import harness
import rawhttp
from harness import ROOT, free_port, poll

DOCUMENT = ROOT / "doc" / "http.md"
KINDS = ["nginx", "haproxy"]
AROUND = {
    "nginx": "pid {folder}/pid;\nerror_log {folder}/log info;\nevents {{}}\nhttp {{\naccess_log off;\n"
             "client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n"
             "fastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n{text}\n}}\n",
    "haproxy": "global\n    maxconn 500\n\n{text}\n",
}


def sample(kind):
    """The configuration in the document."""
    blocks = re.findall(rf"```{kind}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 1, f"{len(blocks)} samples for {kind}"
    return blocks[0]


def replaced(text, changes):
    for old, new in changes.items():
        assert old in text, f"the sample has no {old!r}"
        text = text.replace(old, new)
    return text


class Proxy:
    """One proxy before `server`. start() returns when it answers."""

    def __init__(self, kind, server):
        self.kind, self.server = kind, server
        self.folder = harness.make_folder()
        self.port = free_port()
        self.certificate, self.key = harness.make_certificate(self.folder)
        self.process = None

    def _text(self):
        changes = {"127.0.0.1:8080": f"127.0.0.1:{self.server.api_port}"}
        if self.kind == "nginx":
            changes |= {"listen 443 ": f"listen 127.0.0.1:{self.port} ",
                        "/etc/ssl/auth.example.org/chain.pem": str(self.certificate),
                        "/etc/ssl/auth.example.org/key.pem": str(self.key)}
        else:
            both = self.folder / "both.pem"
            both.write_text(self.certificate.read_text() + self.key.read_text())
            changes |= {"bind :443 ": f"bind 127.0.0.1:{self.port} ", "/etc/haproxy/auth.example.org.pem": str(both)}
        return AROUND[self.kind].format(folder=self.folder, text=replaced(sample(self.kind), changes))

    def _command(self, configuration):
        if self.kind == "nginx":
            return ["/usr/sbin/nginx", "-e", f"{self.folder}/log", "-p", str(self.folder), "-c", str(configuration),
                    "-g", "daemon off; master_process off;"]
        return ["/usr/sbin/haproxy", "-db", "-f", str(configuration)]

    def start(self):
        configuration = self.folder / "configuration"
        configuration.write_text(self._text())
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(self._command(configuration), stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output)
        poll(self._ready, 10, f"{self.kind} ready")
        return self

    def _ready(self):
        assert self.process.poll() is None, (self.folder / "output").read_text()
        try:
            return self.ask(rawhttp.request("GET", "/health")).status == 200
        except (OSError, rawhttp.Incomplete):
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, source="127.0.0.1", protocol="http/1.1", timeout=5):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout, (source, 0))
        return rawhttp.tls_context(protocol=protocol).wrap_socket(plain, server_hostname="localhost")

    def ask(self, data, **kw):
        with self.connect(**kw) as s:
            s.sendall(data)
            return rawhttp.read_response(s)
