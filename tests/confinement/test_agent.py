# SPDX-License-Identifier: GPL-3.0-or-later
"""An ACME client works in the agent's sandbox: names are resolved, TLS is spoken, its own files are replaced."""

import http.server
import os
import pathlib
import ssl
import subprocess
import threading

import harness

PROBE = os.environ["ACME_DELEGATE_PROBE"]


def serve(certificate, key):
    """An HTTPS server on loopback; returns it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def probe(folder, *files):
    certificate, key = harness.make_certificate(folder)
    server = serve(certificate, key)
    (folder / "store" / "acme").mkdir(parents=True)
    try:
        url = f"https://localhost:{server.server_address[1]}/"
        return subprocess.run([PROBE, folder / "store", certificate, url, *files], text=True, capture_output=True,
                              timeout=60)
    finally:
        server.shutdown()
        server.server_close()


def test_what_the_agent_does_works_and_others_files_stay_closed(folder):
    key = folder / "tls.key"
    readable = ["/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt"]
    closed = ["/etc/passwd", "/etc/shadow", str(key), str(folder / "store" / "data.mdb"), "/proc/self/maps"]
    (folder / "store").mkdir()
    pathlib.Path(folder / "store" / "data.mdb").write_text("not yours")
    (folder / "store" / "data.mdb").touch()
    done = probe(folder, *readable, *closed)
    assert done.returncode == 0, done
    assert done.stdout.split() == ["resolves", "fetches", "replaces", *readable], done
