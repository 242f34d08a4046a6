# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that two parsers could read differently, each with the status that refuses it. doc/http.md has a row for
each, which `python3 tests/scenario/framing.py` prints; test_framing.py holds the two together and sends them all."""

import dataclasses
import json
import re

import rawhttp


@dataclasses.dataclass(frozen=True)
class Case:
    """`change` makes the request of a good one, the bytes of which could be carried out; `hidden` stands where one of
    the readings sees another request."""

    name: str
    what: str
    status: int
    rfc: str
    change: object

    def bytes(self, good, hidden):
        return self.change(good, hidden)


def update(account, txt):
    """The good request."""
    body = json.dumps({"subdomain": account["subdomain"], "txt": txt})
    keys = {"X-Api-User": account["username"], "X-Api-Key": account["password"]}
    return rawhttp.request("POST", "/update", body, keys)


# ---- changes


def swap(old, new):
    """Every `old` in the head by `new`."""

    def change(good, _):
        head, end, body = good.partition(b"\r\n\r\n")
        assert old in head + end
        return (head + end).replace(old, new) + body

    return change


def line(text):
    """The first line by this one."""
    return lambda good, _: text + b"\r\n" + good.split(b"\r\n", 1)[1]


def add(text):
    """One more field, the last."""
    return swap(b"\r\n\r\n", b"\r\n" + text + b"\r\n\r\n")


def length(text, name=b"Content-Length"):
    """Content-Length as `text`, N the right one, MORE it and what follows."""

    def change(good, hidden):
        body = good.partition(b"\r\n\r\n")[2]
        new = text.replace(b"MORE", b"%d" % (len(body) + len(hidden))).replace(b"N", b"%d" % len(body))
        return re.sub(rb"Content-Length: \d+", lambda _: name + b": " + new, good)

    return change


def plus(power):
    """A length that is the right one to who calculates modulo 2^power."""
    return lambda good, _: re.sub(rb"Content-Length: (\d+)",
                                  lambda m: b"Content-Length: %d" % (int(m[1]) + 2**power), good)


def second_length(text):
    return add(b"Content-Length: " + text)


def coded(text=b"Transfer-Encoding: chunked", body=None, keeps_length=False, version=b"HTTP/1.1"):
    """A transfer coding; the body in one chunk, unless `body` says otherwise from its octets and the hidden request."""

    def change(good, hidden):
        head, _, content = good.partition(b"\r\n\r\n")
        if not keeps_length:
            head = re.sub(rb"\r\nContent-Length: \d+", b"", head)
        head = head.replace(b"HTTP/1.1", version, 1)
        chunks = body(content, hidden) if body else b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        return head + b"\r\n" + text + b"\r\n\r\n" + chunks

    return change


def bodied(method, path=b"/health"):
    """Content where it has no meaning: the hidden request, which a server that ignores it reads as the next."""
    return lambda good, hidden: (method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                                 % len(hidden) + hidden)


def before(text):
    return lambda good, _: text + good


def instead(text):
    return lambda good, _: text


def hides(text):
    """A length of zero to who reads the line, the right one to who does not."""
    return lambda good, _: re.sub(rb"Content-Length: (\d+)", lambda m: text.replace(b"N", m[1]), good)


CHUNK = "Transfer-Encoding: chunked"
ONE_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n"

GROUPS = {
    "Content-Length": [
        Case("two-equal-lengths", "the length twice, equal", 400, "9110 8.6", length(b"N\r\nContent-Length: N")),
        Case("two-lengths", "two lengths, the smaller last", 400, "9112 6.3", second_length(b"5")),
        Case("two-lengths-larger", "two lengths, the larger last", 400, "9112 6.3",
             length(b"N\r\nContent-Length: MORE")),
        Case("two-lengths-case", "the second in lower case", 400, "9110 5.1", add(b"content-length: 5")),
        Case("length-list", "`N, N`", 400, "9110 8.6", length(b"N, N")),
        Case("length-list-differs", "`N, 5`", 400, "9112 6.3", length(b"N, 5")),
        Case("length-comma-first", "`,N`", 400, "9110 8.6", length(b",N")),
        Case("length-comma-last", "`N,`", 400, "9110 8.6", length(b"N,")),
        Case("length-plus", "`+N`", 400, "9110 8.6", length(b"+N")),
        Case("length-minus", "`-N`", 400, "9110 8.6", length(b"-N")),
        Case("length-zero-first", "`0N`, octal to some", 400, "9110 8.6", length(b"0N")),
        Case("length-hex", "`0xN`", 400, "9110 8.6", length(b"0xN")),
        Case("length-exponent", "`Ne0`", 400, "9110 8.6", length(b"Ne0")),
        Case("length-fraction", "`N.0`", 400, "9110 8.6", length(b"N.0")),
        Case("length-grouped", "`1_N`, a number to Python", 400, "9110 8.6", length(b"1_N")),
        Case("length-unicode", "Arabic digits", 400, "9110 8.6", length("\u0661\u0662".encode())),
        Case("length-wide", "full-width digits", 400, "9110 8.6", length("\uff11\uff12".encode())),
        Case("length-no-break-space", "a no-break space behind it", 400, "9110 8.6", length(b"N\xa0")),
        Case("length-space", "`N N`", 400, "9110 8.6", length(b"N N")),
        Case("length-quoted", '`"N"`', 400, "9110 8.6", length(b'"N"')),
        Case("length-parameter", "`N;a=b`", 400, "9110 8.6", length(b"N;a=b")),
        Case("length-empty", "no number", 400, "9110 8.6", length(b"")),
        Case("length-text", "`many`", 400, "9110 8.6", length(b"many")),
        Case("length-nul", "NUL behind it", 400, "9110 5.5", length(b"N\0")),
        Case("length-31-bits", "N + 2^31", 413, "9110 8.6", plus(31)),
        Case("length-32-bits", "N + 2^32", 413, "9110 8.6", plus(32)),
        Case("length-63-bits", "N + 2^63", 413, "9110 8.6", plus(63)),
        Case("length-64-bits", "N + 2^64", 413, "9110 8.6", plus(64)),
        Case("length-128-bits", "N + 2^128", 413, "9110 8.6", plus(128)),
        Case("length-over-limit", "more than 8192", 413, "9110 15.5.14", length(b"8193")),
        Case("length-underscore", "`Content_Length: N`", 400, "9110 17.10", length(b"N", b"Content_Length")),
        Case("length-underscore-too", "`Content_Length: 0` beside it", 400, "9110 17.10",
             add(b"Content_Length: 0")),
        Case("length-dot", "`Content.Length: 0` beside it", 400, "9110 17.10", add(b"Content.Length: 0")),
        Case("length-name-space", "`Content Length: N`", 400, "9110 5.6.2", length(b"N", b"Content Length")),
        Case("length-space-colon", "`Content-Length : N`", 400, "9112 5.1", length(b"N", b"Content-Length ")),
        Case("length-tab-colon", "a tab before the colon", 400, "9112 5.1", length(b"N", b"Content-Length\t")),
        Case("length-folded", "its number on the next line", 400, "9112 5.2", length(b"\r\n N")),
        Case("length-indented", "a blank before the name", 400, "9112 5.2", length(b"N", b" Content-Length")),
        Case("length-behind-cr", "`X: a` CR `Content-Length: N`", 400, "9112 2.2",
             hides(b"X: a\rContent-Length: N")),
        Case("length-behind-lf", "`X: a` LF `Content-Length: N`", 400, "9112 2.2",
             hides(b"X: a\nContent-Length: N")),
        Case("length-in-form-feed", "a form feed before the number", 400, "9110 5.5", length(b"\x0cN")),
    ],
    "Transfer-Encoding": [
        Case("chunked", "`chunked`", 501, "9112 6.1", coded()),
        Case("chunked-and-length", "`Content-Length`, then `chunked` (CL.TE)", 501, "9112 6.3",
             coded(keeps_length=True, body=lambda c, h: b"0\r\n\r\n" + h)),
        Case("length-and-chunked", "`chunked`, then `Content-Length` (TE.CL)", 501, "9112 6.3",
             coded(CHUNK.encode() + b"\r\nContent-Length: 4", body=lambda c, h: b"%x\r\n%b\r\n0\r\n\r\n" % (len(h), h))),
        Case("chunked-zero-length", "`chunked` and a length of 0", 501, "9112 6.3",
             coded(CHUNK.encode() + b"\r\nContent-Length: 0")),
        Case("chunked-twice", "`chunked` in two fields", 501, "9112 6.1",
             coded(CHUNK.encode() + b"\r\n" + CHUNK.encode())),
        Case("chunked-or-not", "`chunked` and `x` in two fields (TE.TE)", 501, "9112 6.1",
             coded(CHUNK.encode() + b"\r\nTransfer-Encoding: x", keeps_length=True)),
        Case("coding-list", "`gzip, chunked`", 501, "9112 6.1", coded(b"Transfer-Encoding: gzip, chunked")),
        Case("chunked-not-last", "`chunked, identity`", 501, "9112 6.1",
             coded(b"Transfer-Encoding: chunked, identity", keeps_length=True)),
        Case("chunked-comma", "`chunked,`", 501, "9110 5.6.1", coded(b"Transfer-Encoding: chunked,")),
        Case("chunked-parameter", "`chunked;a=b`", 501, "9112 7", coded(b"Transfer-Encoding: chunked;a=b")),
        Case("chunked-quoted", '`"chunked"`', 501, "9112 7", coded(b'Transfer-Encoding: "chunked"', keeps_length=True)),
        Case("chunked-mixed-case", "`cHuNkEd`", 501, "9112 7", coded(b"Transfer-Encoding: cHuNkEd", keeps_length=True)),
        Case("chunked-tab", "a tab before `chunked`", 501, "9112 5.1", coded(b"Transfer-Encoding:\tchunked")),
        Case("chunked-no-space", "`Transfer-Encoding:chunked`", 501, "9112 5.1", coded(b"Transfer-Encoding:chunked")),
        Case("chunked-lower-name", "`transfer-encoding`", 501, "9110 5.1", coded(b"transfer-encoding: chunked")),
        Case("coding-unknown", "`xchunked`", 501, "9112 6.1", coded(b"Transfer-Encoding: xchunked", keeps_length=True)),
        Case("coding-identity", "`identity`", 501, "9112 6.1", coded(b"Transfer-Encoding: identity", keeps_length=True)),
        Case("coding-empty", "no coding named", 501, "9112 6.1", coded(b"Transfer-Encoding:", keeps_length=True)),
        Case("chunked-1.0", "in HTTP/1.0", 501, "9112 6.1", coded(version=b"HTTP/1.0")),
        Case("chunked-1.0-kept", "in HTTP/1.0, `keep-alive`, with a length", 501, "9112 6.1",
             coded(CHUNK.encode() + b"\r\nConnection: keep-alive", keeps_length=True, version=b"HTTP/1.0",
                   body=lambda c, h: b"0\r\n\r\n" + h)),
        Case("chunked-get", "of a GET", 501, "9110 9.3.1",
             lambda good, hidden: b"GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
             + ONE_CHUNK % (len(hidden), hidden)),
        Case("chunk-extension", "a chunk with an extension", 501, "9112 7.1.1",
             coded(body=lambda c, h: b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(c), c))),
        Case("chunk-extension-lf", "LF ends the extension (TERM.EXT)", 501, "9112 7.1.1",
             coded(body=lambda c, h: b"%x;\n%b\r\n0\r\n\r\n" % (len(c), c))),
        Case("chunk-extension-cr", "CR in the extension (EXT.TERM)", 501, "9112 7.1.1",
             coded(body=lambda c, h: b"%x;\rx\r\n%b\r\n0\r\n\r\n" % (len(c), c))),
        Case("chunk-size-hex", "`0x` before the size", 501, "9112 7.1",
             coded(body=lambda c, h: b"0x%x\r\n%b\r\n0\r\n\r\n" % (len(c), c))),
        Case("chunk-size-64-bits", "a size that is small modulo 2^64", 501, "9112 7.1",
             coded(body=lambda c, h: b"%x\r\n%b\r\n0\r\n\r\n" % (len(c) + 2**64, c))),
        Case("chunk-size-plus", "`+` before the size", 501, "9112 7.1",
             coded(body=lambda c, h: b"+%x\r\n%b\r\n0\r\n\r\n" % (len(c), c))),
        Case("chunk-spill", "more octets than the size says", 501, "9112 7.1",
             coded(body=lambda c, h: b"%x\r\n%bXX0\r\n\r\n" % (len(c), c))),
        Case("chunk-lf", "lines of the chunks end in LF", 501, "9112 2.2",
             coded(body=lambda c, h: b"%x\n%b\n0\n\n" % (len(c), c))),
        Case("chunk-trailer", "a length as trailer field", 501, "9110 6.5.1",
             coded(body=lambda c, h: b"%x\r\n%b\r\n0\r\nContent-Length: %d\r\n\r\n" % (len(c), c, len(h)))),
        Case("chunk-trailer-host", "a Host as trailer field", 501, "9110 6.5.1",
             coded(b"Trailer: Host\r\n" + CHUNK.encode(),
                   body=lambda c, h: b"%x\r\n%b\r\n0\r\nHost: x\r\n\r\n" % (len(c), c))),
        Case("coding-space-colon", "`Transfer-Encoding : chunked`", 400, "9112 5.1",
             coded(b"Transfer-Encoding : chunked", keeps_length=True)),
        Case("coding-tab-colon", "a tab before the colon", 400, "9112 5.1",
             coded(b"Transfer-Encoding\t: chunked", keeps_length=True)),
        Case("coding-vertical-tab", "a vertical tab before `chunked`", 400, "9110 5.5",
             coded(b"Transfer-Encoding:\x0bchunked", keeps_length=True)),
        Case("coding-form-feed", "a form feed before `chunked`", 400, "9110 5.5",
             coded(b"Transfer-Encoding:\x0cchunked", keeps_length=True)),
        Case("coding-nul", "NUL behind `chunked`", 400, "9110 5.5",
             coded(b"Transfer-Encoding: chunked\0", keeps_length=True)),
        Case("coding-folded", "`chunked` on the next line", 400, "9112 5.2",
             coded(b"Transfer-Encoding:\r\n chunked", keeps_length=True)),
        Case("coding-indented", "a blank before the name", 400, "9112 5.2",
             coded(b" Transfer-Encoding: chunked", keeps_length=True)),
        Case("coding-behind-lf", "`X: a` LF `Transfer-Encoding: chunked`", 400, "9112 2.2",
             coded(b"X: a\nTransfer-Encoding: chunked", keeps_length=True)),
        Case("coding-behind-cr", "`X: a` CR `Transfer-Encoding: chunked`", 400, "9112 2.2",
             coded(b"X: a\rTransfer-Encoding: chunked", keeps_length=True)),
        Case("coding-underscore", "`Transfer_Encoding`", 400, "9110 17.10",
             coded(b"Transfer_Encoding: chunked", keeps_length=True)),
        Case("coding-name-space", "`Transfer Encoding`", 400, "9110 5.6.2",
             coded(b"Transfer Encoding: chunked", keeps_length=True)),
        Case("coding-soft-hyphen", "a soft hyphen for the hyphen", 400, "9110 5.6.2",
             coded(b"Transfer\xadEncoding: chunked", keeps_length=True)),
        Case("coding-control", "a control character in the name", 400, "9110 5.6.2",
             coded(b"Transfer-Encoding\x01: chunked", keeps_length=True)),
        Case("coding-as-option", "`Connection: Transfer-Encoding` beside it", 400, "9110 7.6.1",
             coded(CHUNK.encode() + b"\r\nConnection: Transfer-Encoding", keeps_length=True)),
    ],
    "Content that has no meaning": [
        Case("content-of-get", "GET with content (CL.0)", 400, "9110 9.3.1", bodied(b"GET")),
        Case("content-of-head", "HEAD with content", 400, "9110 9.3.2", bodied(b"HEAD")),
        Case("content-of-delete", "DELETE with content", 400, "9110 9.3.5", bodied(b"DELETE", b"/v1/values")),
        Case("content-of-options", "OPTIONS with content", 400, "9110 9.3.7", bodied(b"OPTIONS")),
        Case("content-of-trace", "TRACE with content", 400, "9110 9.3.8", bodied(b"TRACE")),
        Case("content-of-others", "content of a method nobody knows", 400, "9110 9.1", bodied(b"SPACEJUMP", b"/update")),
        Case("content-encoded", "`Content-Encoding: gzip`", 415, "9110 8.4", add(b"Content-Encoding: gzip")),
        Case("content-ends-itself", "`Content-Type: multipart/byteranges`", 415, "2616 4.4",
             add(b"Content-Type: multipart/byteranges; boundary=x")),
        Case("type-twice", "two types of content", 400, "9110 5.3",
             add(b"Content-Type: application/json\r\nContent-Type: text/plain")),
    ],
    "Line ends and characters": [
        Case("lf-only", "LF for every CR LF", 400, "9112 2.2", swap(b"\r\n", b"\n")),
        Case("lf-after-field", "LF after one field", 400, "9112 2.2", swap(b"Host: localhost\r\n", b"Host: localhost\n")),
        Case("lf-after-request-line", "LF after the request line", 400, "9112 2.2",
             swap(b" HTTP/1.1\r\n", b" HTTP/1.1\n")),
        Case("lf-ends-head", "LF for the empty line", 400, "9112 2.2", swap(b"\r\n\r\n", b"\r\n\n")),
        Case("lf-lf-ends-head", "LF LF where the head ends", 400, "9112 2.2", swap(b"\r\n\r\n", b"\n\n")),
        Case("cr-only", "CR for every CR LF", 400, "9112 2.2", swap(b"\r\n", b"\r")),
        Case("cr-in-value", "CR within a value", 400, "9112 2.2", add(b"X: a\rb")),
        Case("cr-cr-lf", "CR CR LF", 400, "9112 2.2", add(b"X: a\r")),
        Case("cr-before-colon", "CR before the colon", 400, "9112 2.2", add(b"X\r: a")),
        Case("lf-cr", "LF CR for CR LF", 400, "9112 2.2", swap(b"Host: localhost\r\n", b"Host: localhost\n\r")),
        Case("lf-first", "LF before the request", 400, "9112 2.2", before(b"\n")),
        Case("cr-first", "CR before the request", 400, "9112 2.2", before(b"\r")),
        Case("two-empty-lines-first", "two empty lines before the request", 400, "9112 2.2", before(b"\r\n\r\n")),
        Case("blank-first", "a blank before the request", 400, "9112 3", before(b" ")),
        Case("folded", "a value on two lines", 400, "9112 5.2", add(b"X: a\r\n b")),
        Case("folded-tab", "the same, by a tab", 400, "9112 5.2", add(b"X: a\r\n\tb")),
        Case("folded-host", "Host's value on the next line", 400, "9112 5.2",
             swap(b"Host: localhost", b"Host:\r\n localhost")),
        Case("blank-before-first-field", "a blank before the first field", 400, "9112 2.2",
             swap(b"\r\nHost:", b"\r\n Host:")),
        Case("blank-in-empty-line", "a blank in the empty line", 400, "9112 5.2", swap(b"\r\n\r\n", b"\r\n \r\n\r\n")),
        Case("nul-in-value", "NUL within a value", 400, "9110 5.5", add(b"X: a\0b")),
        Case("nul-in-name", "NUL within a name", 400, "9110 5.6.2", add(b"X\0: a")),
        Case("nul-first", "NUL before the request", 400, "9112 3", before(b"\0")),
        Case("control-in-value", "a control character within a value", 400, "9110 5.5", add(b"X: a\x01b")),
        Case("vertical-tab-in-value", "a vertical tab within a value", 400, "9110 5.5", add(b"X: a\x0bb")),
        Case("form-feed-in-value", "a form feed within a value", 400, "9110 5.5", add(b"X: a\x0cb")),
        Case("escape-in-value", "ESC within a value", 400, "9110 5.5", add(b"X: a\x1b[2Jb")),
        Case("delete-in-value", "DEL within a value", 400, "9110 5.5", add(b"X: a\x7fb")),
    ],
    "Names of fields": [
        Case("no-colon", "a line without colon", 400, "9112 5", add(b"what is this")),
        Case("name-empty", "no name", 400, "9112 5", add(b": value")),
        Case("name-pseudo", "`:path`, a name of HTTP/2", 400, "9113 8.3", add(b":path: /health")),
        Case("name-space", "a blank within the name", 400, "9110 5.6.2", add(b"X Y: a")),
        Case("name-space-colon", "a blank before the colon", 400, "9112 5.1", add(b"X : a")),
        Case("name-bracket", "a bracket in the name", 400, "9110 5.6.2", add(b"X[]: a")),
        Case("name-quoted", "a quoted name", 400, "9110 5.6.2", add(b'"X": a')),
        Case("name-not-ascii", "a letter beyond ASCII", 400, "9110 5.6.2", add("X\u00e9: a".encode())),
        Case("name-kelvin", "the Kelvin sign, a k to some", 400, "9110 5.6.2",
             add("X-Api-\u212aey: a".encode())),
        Case("name-underscore", "`X_Api_Key`", 400, "9110 17.10", add(b"X_Api_Key: a")),
        Case("name-underscore-forwarded", "`X_Forwarded_For`", 400, "9110 17.10", add(b"X_Forwarded_For: 127.0.0.1")),
        Case("name-other-token", "`X!`, a token, but no usual name", 400, "9110 17.10", add(b"X!: a")),
    ],
    "Fields": [
        Case("option-length", "`Connection: Content-Length`", 400, "9110 7.6.1",
             add(b"Connection: close, Content-Length")),
        Case("option-host", "`Connection: Host`", 400, "9110 7.6.1", add(b"Connection: Host")),
        Case("option-key", "`Connection: X-Api-Key`", 400, "9110 7.6.1", add(b"Connection: X-Api-Key")),
        Case("option-forwarded", "`Connection: X-Forwarded-For`", 400, "9110 7.6.1",
             add(b"Connection: close, X-Forwarded-For")),
        Case("option-authorization", "`Connection: keep-alive, Authorization`", 400, "9110 7.6.1",
             add(b"Connection: keep-alive, Authorization")),
        Case("option-unknown", "`Connection: x`", 400, "9110 7.6.1", add(b"Connection: x")),
        Case("option-in-second-field", "the same in a second field", 400, "9110 7.6.1",
             add(b"Connection: keep-alive\r\nConnection: X-Api-User")),
        Case("options-without-comma", "`Connection: close te`", 400, "9110 7.6.1", add(b"Connection: close te")),
        Case("expect-unknown", "`Expect: 200-ok`", 417, "9110 10.1.1", add(b"Expect: 200-ok")),
        Case("expect-masked", "`Expect: y 100-continue`", 417, "9110 10.1.1", add(b"Expect: y 100-continue")),
        Case("expect-list", "`Expect: 100-continue, x`", 417, "9110 10.1.1", add(b"Expect: 100-continue, x")),
        Case("expect-empty", "`Expect:`", 417, "9110 10.1.1", add(b"Expect:")),
        Case("expect-twice", "`Expect: 100-continue`, twice", 400, "9110 5.3",
             add(b"Expect: 100-continue\r\nExpect: 100-continue")),
        Case("authorization-twice", "two keys", 400, "9110 5.3",
             add(b"Authorization: Basic Og==\r\nAuthorization: Basic Og==")),
    ],
    "Host": [
        Case("no-host", "none in HTTP/1.1", 400, "9112 3.2", swap(b"Host: localhost\r\n", b"")),
        Case("two-hosts", "two", 400, "9112 3.2", add(b"Host: elsewhere")),
        Case("two-equal-hosts", "the same twice", 400, "9112 3.2", add(b"Host: localhost")),
        Case("two-hosts-1.0", "two in HTTP/1.0", 400, "9112 3.2",
             lambda good, hidden: add(b"Host: elsewhere")(good, hidden).replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
        Case("two-hosts-case", "`Host` and `HOST`", 400, "9110 5.1", add(b"HOST: localhost")),
        Case("host-list", "`a, b`", 400, "9110 7.2", swap(b"Host: localhost", b"Host: localhost, elsewhere")),
        Case("host-space", "`a b`", 400, "9110 7.2", swap(b"Host: localhost", b"Host: localhost elsewhere")),
        Case("host-path", "`a/b`", 400, "9110 7.2", swap(b"Host: localhost", b"Host: localhost/health")),
        Case("host-user", "`user@a`", 400, "9110 4.2.4", swap(b"Host: localhost", b"Host: elsewhere@localhost")),
        Case("host-percent", "`%61`", 400, "9110 7.2", swap(b"Host: localhost", b"Host: %6cocalhost")),
        Case("host-two-ports", "`a:1:2`", 400, "3986 3.2.3", swap(b"Host: localhost", b"Host: localhost:80:81")),
        Case("host-port-no-number", "`a:b`", 400, "3986 3.2.3", swap(b"Host: localhost", b"Host: localhost:x")),
        Case("host-only-port", "`:80`", 400, "9110 4.2.1", swap(b"Host: localhost", b"Host: :80")),
        Case("host-open-bracket", "`[::1`", 400, "3986 3.2.2", swap(b"Host: localhost", b"Host: [::1")),
        Case("host-behind-bracket", "`[::1]a`", 400, "3986 3.2.2", swap(b"Host: localhost", b"Host: [::1]elsewhere")),
        Case("host-no-break-space", "a no-break space behind it", 400, "9110 7.2",
             swap(b"Host: localhost", b"Host: localhost\xa0")),
        Case("host-underscore", "`_Host` beside it", 400, "9110 17.10", add(b"_Host: elsewhere")),
    ],
    "Request line": [
        Case("version-2.0", "HTTP/2.0", 505, "9112 2.3", swap(b"HTTP/1.1", b"HTTP/2.0")),
        Case("version-2-preface", "the preface of HTTP/2", 505, "9113 3.4", instead(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        Case("version-1.2", "HTTP/1.2", 505, "9112 2.3", swap(b"HTTP/1.1", b"HTTP/1.2")),
        Case("version-0.9", "HTTP/0.9, named", 505, "9112 2.3", swap(b"HTTP/1.1", b"HTTP/0.9")),
        Case("version-none", "no version: HTTP/0.9", 400, "9112 3", swap(b" HTTP/1.1", b"")),
        Case("version-letter", "HTTP/1.x", 400, "9112 2.3", swap(b"HTTP/1.1", b"HTTP/1.x")),
        Case("version-lower", "http/1.1", 400, "9112 2.3", swap(b"HTTP/1.1", b"http/1.1")),
        Case("version-long", "HTTP/1.10", 400, "9112 2.3", swap(b"HTTP/1.1", b"HTTP/1.10")),
        Case("version-zero-first", "HTTP/01.1", 400, "9112 2.3", swap(b"HTTP/1.1", b"HTTP/01.1")),
        Case("version-other-protocol", "HTTPS/1.1", 400, "9112 2.3", swap(b"HTTP/1.1", b"HTTPS/1.1")),
        Case("version-blank-inside", "`HTTP /1.1`", 400, "9112 3", swap(b"HTTP/1.1", b"HTTP /1.1")),
        Case("version-blank-behind", "a blank behind the version", 400, "9112 3", swap(b"HTTP/1.1", b"HTTP/1.1 ")),
        Case("version-twice", "`HTTP/1.1 HTTP/1.0`", 400, "9112 3", swap(b"HTTP/1.1", b"HTTP/1.1 HTTP/1.0")),
        Case("two-blanks", "two blanks before the target", 400, "9112 3", swap(b"POST /", b"POST  /")),
        Case("two-blanks-version", "two blanks before the version", 400, "9112 3", swap(b" HTTP", b"  HTTP")),
        Case("tabs-between", "tabs for the blanks", 400, "9112 3", line(b"POST\t/update\tHTTP/1.1")),
        Case("form-feeds-between", "form feeds for the blanks", 400, "9112 3", line(b"POST\x0c/update\x0cHTTP/1.1")),
        Case("cr-in-request-line", "CR behind the target", 400, "9112 3", swap(b"/update", b"/update\r")),
        Case("method-lower", "`post`", 400, "9110 9.1", swap(b"POST", b"post")),
        Case("method-mixed", "`Post`", 400, "9110 9.1", swap(b"POST", b"Post")),
        Case("method-no-token", "`PO(T`", 400, "9110 5.6.2", swap(b"POST", b"PO(T")),
        Case("method-too-long", "more than 16 letters", 400, "9110 9.1", swap(b"POST", b"POST" * 5)),
        Case("method-none", "none", 400, "9112 3", swap(b"POST /", b"/")),
        Case("method-nul", "NUL within", 400, "9110 5.6.2", swap(b"POST", b"PO\0ST")),
        Case("connect", "CONNECT of a host", 400, "9110 9.3.6", line(b"CONNECT localhost:443 HTTP/1.1")),
        Case("connect-path", "CONNECT of a path", 400, "9112 3.2.3", swap(b"POST", b"CONNECT")),
        Case("target-absolute", "`http://localhost/update`", 400, "9112 3.2.2",
             swap(b"POST /", b"POST http://localhost/")),
        Case("target-absolute-other", "`http://elsewhere/update`", 400, "9112 3.2.2",
             swap(b"POST /", b"POST http://elsewhere/")),
        Case("target-asterisk", "`OPTIONS *`", 400, "9112 3.2.4",
             instead(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        Case("target-asterisk-post", "`POST *`", 400, "9112 3.2.4", swap(b"/update", b"*")),
        Case("target-no-slash", "`update`", 400, "9112 3.2.1", swap(b"/update", b"update")),
        Case("target-at-host", "`@elsewhere/update`", 400, "9112 3.2.1", swap(b"/update", b"@elsewhere/update")),
        Case("target-query-first", "`?/update`", 400, "9112 3.2.1", swap(b"/update", b"?/update")),
        Case("target-fragment", "`/update#x`", 400, "9112 3.2.1", swap(b"/update", b"/update#x")),
        Case("target-percent", "`/%75pdate`", 400, "3986 6.2.2.2", swap(b"/update", b"/%75pdate")),
        Case("target-encoded-nul", "`/update%00`", 400, "3986 7.3", swap(b"/update", b"/update%00")),
        Case("target-encoded-line", "`/update%20HTTP/1.1%0d%0a`", 400, "3986 7.3",
             swap(b"/update", b"/update%20HTTP/1.1%0d%0aX:")),
        Case("target-dot-dot", "`/x/../update`", 400, "3986 6.2.2.3", swap(b"/update", b"/x/../update")),
        Case("target-dot", "`/./update`", 400, "3986 6.2.2.3", swap(b"/update", b"/./update")),
        Case("target-backslash", "`/x\\update`", 400, "3986 3.3", swap(b"/update", b"/x\\update")),
        Case("target-blank", "a blank within", 400, "9112 3.2", swap(b"/update", b"/up date")),
        Case("target-control", "a control character within", 400, "3986 3.3", swap(b"/update", b"/upd\x01ate")),
        Case("target-nul", "NUL within", 400, "3986 3.3", swap(b"/update", b"/upd\0ate")),
        Case("target-not-ascii", "a letter beyond ASCII", 400, "3986 3.3", swap(b"/update", "/upd\u00e9te".encode())),
    ],
    "Size": [
        Case("fields-too-many", "more than 64 fields", 431, "6585 5", add(b"\r\n".join([b"X: a"] * 65))),
        Case("value-too-long", "a value of 9 000 octets", 431, "6585 5", add(b"X: " + b"a" * 9000)),
        Case("name-too-long", "a name of 9 000 octets", 431, "6585 5", add(b"X" * 9000 + b": a")),
        Case("target-too-long", "a target of 9 000 octets", 431, "9112 3", swap(b"/update", b"/" + b"a" * 9000)),
        Case("length-too-long", "a length of 40 digits", 413, "9110 8.6", length(b"9" * 40)),
        Case("other-protocol", "what is no HTTP at all: a TLS record", 400, "9112 2.1",
             instead(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\r\n\r\n")),
    ],
}

CASES = {case.name: case for group in GROUPS.values() for case in group}
assert len(CASES) == sum(map(len, GROUPS.values())), "two cases of one name"

# What looks odd and is taken: every reading of it is the same, or a client needs it. (what, status, RFC, request)
TAKEN = {
    "slashes": ("`//update`", 200, "own rule", swap(b"/update", b"//update")),
    "query": ("a query nobody asks for: ignored", 200, "own rule", swap(b"/update", b"/update?a=%2e%2e/&b")),
    "trace": ("TRACE: never echoed", 405, "9110 9.3.8", instead(b"TRACE /update HTTP/1.1\r\nHost: localhost\r\n\r\n")),
    "content-to-nowhere": ("content for a path that is not there: read, and no request", 404, "9112 9.3",
                           bodied(b"POST", b"/nothing")),
    "content-of-wrong-method": ("content for a path that takes none: read, and no request", 405, "9112 9.3",
                                bodied(b"POST")),
    "empty-line-first": ("one empty line before the request", 200, "9112 2.2", before(b"\r\n")),
    "post-without-length": ("POST without length has no content", 401, "9112 6.3",
                            instead(b"POST /update HTTP/1.1\r\nHost: localhost\r\n\r\n")),
    "blanks-around-value": ("blanks and tabs around a value", 200, "9112 5.1", length(b" \tN\t ")),
    "no-blank": ("no blank behind the colon", 200, "9112 5.1", swap(b": ", b":")),
    "host-empty": ("`Host:`", 200, "9112 3.2", swap(b"Host: localhost", b"Host:")),
    "version-1.0": ("HTTP/1.0, also with `keep-alive`; closed after it", 200, "9112 9.3",
                    lambda good, hidden: add(b"Connection: keep-alive")(good, hidden).replace(b"HTTP/1.1", b"HTTP/1.0")),
    "expect-continue": ("`Expect: 100-continue`", 200, "9110 10.1.1", add(b"Expect: 100-continue")),
    "expect-1.0": ("any expectation in HTTP/1.0: ignored", 200, "9110 10.1.1",
                   lambda good, hidden: add(b"Expect: x")(good, hidden).replace(b"HTTP/1.1", b"HTTP/1.0")),
    "upgrade": ("`Upgrade: h2c`: ignored, never 101", 200, "9110 7.8",
                add(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA")),
    "te": ("`TE`: ignored", 200, "9110 10.1.4", add(b"TE: trailers, deflate;q=0.5\r\nConnection: TE, keep-alive")),
    "trailer": ("`Trailer` without a coding: ignored", 200, "9110 6.6.2", add(b"Trailer: Content-Length")),
    "options-empty": ("`Connection: , close ,,`", 200, "9110 5.6.1.2", add(b"Connection: , close ,,")),
    "proxy-connection": ("`Proxy-Connection`: ignored", 200, "9112 C.2.2", add(b"Proxy-Connection: X-Api-Key")),
    "method-override": ("`X-HTTP-Method-Override`: ignored", 200, "own rule", add(b"X-HTTP-Method-Override: GET")),
    "url-override": ("`X-Original-URL`, `X-Rewrite-URL`: ignored", 200, "own rule",
                     add(b"X-Original-URL: /health\r\nX-Rewrite-URL: /health")),
    "forwarded": ("`X-Forwarded-For` of who is no trusted proxy: ignored", 200, "own rule",
                  add(b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: junk")),
    "forwarded-others": ("`Forwarded`, `X-Real-IP`, `X-Forwarded-Host`: ignored", 200, "own rule",
                         add(b"Forwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nX-Forwarded-Host: elsewhere")),
    "octets-in-value": ("octets above 127 in values without meaning here", 200, "9110 5.5", add(b"X: \xe9\x85\xa0")),
}


def rows(group):
    """The table of one group as doc/http.md has it."""
    for case in GROUPS[group]:
        yield f"| `{case.name}` | {case.what} | {case.status} | {case.rfc} |"


def taken_rows():
    for name, (what, status, rfc, _) in TAKEN.items():
        yield f"| `{name}` | {what} | {status} | {rfc} |"


if __name__ == "__main__":
    for title in GROUPS:
        print(f"### {title}\n| name | what is sent | status | RFC |\n|---|---|---|---|")
        print("\n".join(rows(title)) + "\n")
    print("### Taken\n| name | what is sent | status | RFC |\n|---|---|---|---|")
    print("\n".join(taken_rows()))
