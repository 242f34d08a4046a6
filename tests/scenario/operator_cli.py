# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the operator's commands share: running them, also on a terminal, and reading what they print."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time

from harness import BINARY, ROOT, assert_clean, environment

SCHEMAS = json.loads((ROOT / "src/api/openapi.json").read_text())["components"]["schemas"]
TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict, "null": type(None)}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def assert_fits(thing, schema):
    """As much of JSON Schema as the document uses: types, members, enums, items, the form of times."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rsplit("/", 1)[1]]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    assert any(type(thing) is TYPES[k] for k in kinds), (thing, schema)
    if "enum" in schema:
        assert thing in schema["enum"], (thing, schema)
    if schema.get("format") == "date-time" and thing is not None:
        assert TIME.fullmatch(thing), thing
    if isinstance(thing, dict):
        assert set(schema["required"]) <= set(thing) <= set(schema["properties"]), (thing, schema)
        for name, member in thing.items():
            assert_fits(member, schema["properties"][name])
    if isinstance(thing, list):
        for item in thing:
            assert_fits(item, schema["items"])


def ask(server, *args, **kw):
    """A command that must succeed; what it prints on standard output."""
    done = server.operator(*args, **kw)
    assert done.returncode == 0, done
    return done.stdout


def ask_json(server, schema, *args, **kw):
    """The same with --json: one object."""
    found = list_json(server, schema, *args, **kw)
    assert len(found) == 1, found
    return found[0]


def list_json(server, schema, *args, **kw):
    """The same: one object a line."""
    found = [json.loads(line) for line in ask(server, *args, "--json", **kw).splitlines()]
    for one in found:
        assert_fits(one, {"$ref": "#/" + schema})
    return found


def refuse(server, status, *args, say=None, **kw):
    """A command that must fail: with a short reason on standard error, and nothing on standard output."""
    done = server.operator(*args, **kw)
    assert (done.returncode, done.stdout) == (status, ""), done
    assert 1 <= len(done.stderr.splitlines()) <= 2, done
    assert "\n\n" not in done.stderr and done.stderr.endswith("\n"), done
    assert say is None or say in done.stderr, (say, done.stderr)
    return done.stderr


def table(text):
    """A table's rows as dictionaries; what stands in a column must begin where its head begins."""
    head, *rows = text.splitlines()
    names = re.split(r" {2,}", head)
    starts = [head.index(n) for n in names] + [None]
    found = []
    for row in rows:
        assert row == row.rstrip() and "\t" not in row
        for start in starts[1:-1]:
            assert len(row) <= start or row[start - 2:start] == "  ", (head, row)
        found.append({n: row[starts[i]:starts[i + 1]].strip() for i, n in enumerate(names)})
    return found


class Terminal:
    """A command on a terminal of its own; standard output and error are both on it."""

    def __init__(self, server, *args, columns=80, only_stderr=False, env=None):
        self.main, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        command, *rest = args
        config = ["-c", str(server.config_path)] if server else []
        self.process = subprocess.Popen(
            [BINARY, command, *map(str, rest), *config], stdin=end,
            stdout=subprocess.PIPE if only_stderr else end, stderr=end, env=env or environment(), start_new_session=True)
        os.close(end)
        self.text = ""

    def read(self, seconds=10):
        """What there is, or None at the end."""
        os.set_blocking(self.main, False)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                more = os.read(self.main, 65536)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            except OSError:  # nobody has the other end any more
                return None
            if not more:
                return None
            self.text += more.decode()
            return self.text
        raise AssertionError(f"nothing came within {seconds} s: {self.text!r}")

    def wait_for(self, words):
        while words not in self.text:
            assert self.read() is not None, self.text
        return self

    def type(self, text):
        os.write(self.main, text.encode())
        return self

    def end(self, seconds=20):
        """Exit status and all that was shown."""
        try:
            if self.process.stdout:
                self.process.stdout.read()
            while self.read(seconds) is not None:
                pass
            status = self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            os.close(self.main)
        text = self.text.replace("\r\n", "\n")
        assert_clean(text)
        return status, text
