# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 as bytes: what a client sends can be written down exactly, and what comes back is read strictly."""

import dataclasses
import ssl


class Incomplete(Exception):
    """The connection ended before a whole response had come."""


@dataclasses.dataclass
class Response:
    status: int
    headers: dict  # lower-case name -> value
    body: bytes
    version: str = "HTTP/1.1"


def request(method, path, body=None, headers=None, host="localhost"):
    """The bytes of a request. A body of None sends no Content-Length at all."""
    if isinstance(body, str):
        body = body.encode()
    fields = {"Host": host, **(headers or {})}
    if body is not None:
        fields.setdefault("Content-Length", str(len(body)))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def _until(sock, buffer, end):
    while end not in buffer:
        part = sock.recv(65536)
        if not part:
            raise Incomplete(bytes(buffer))
        buffer += part


def read_response(sock, buffer=None, head=False):
    """One response. `buffer` (a bytearray) keeps what came beyond it, for pipelined ones. Skips 100 Continue."""
    buffer = bytearray() if buffer is None else buffer
    while True:
        _until(sock, buffer, b"\r\n\r\n")
        top, _, rest = bytes(buffer).partition(b"\r\n\r\n")
        buffer[:] = rest
        status_line, *lines = top.decode("latin-1").split("\r\n")
        version, status, *_ = status_line.split(" ", 2)
        headers = {}
        for line in lines:
            name, colon, text = line.partition(":")
            assert colon and name.lower() not in headers or name.lower() == "vary", f"response header {line!r}"
            headers[name.lower()] = text.strip()
        if status != "100":
            break
    body = b"" if head else _read_body(sock, buffer, headers)
    return Response(int(status), headers, body, version)


def _read_body(sock, buffer, headers):
    assert "transfer-encoding" not in headers, "clients of 2018 need a Content-Length"
    if "content-length" not in headers:
        while part := sock.recv(65536):
            buffer += part
        body = bytes(buffer)
        buffer.clear()
        return body
    length = int(headers["content-length"])
    while len(buffer) < length:
        part = sock.recv(65536)
        if not part:
            raise Incomplete(bytes(buffer))
        buffer += part
    body = bytes(buffer[:length])
    del buffer[:length]
    return body


def is_closed(sock, seconds):
    """True when the peer closes within `seconds`, whatever it still sends."""
    sock.settimeout(seconds)
    try:
        while sock.recv(65536):
            pass
        return True
    except TimeoutError:
        return False
    except OSError:
        return True


def tls_context(version=None, protocol=None):
    """A client that checks no certificate; `version` pins TLS's version, `protocol` is asked for by ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    if protocol:
        context.set_alpn_protocols([protocol])
    return context
