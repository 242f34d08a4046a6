# SPDX-License-Identifier: GPL-3.0-or-later
"""Load on a server, and the judgement of what it serves, while faults are injected.

Each writer has a delegate of its own that keeps two values, and publishes numbered ones: it goes on to the next only when
the last is acknowledged. A prober, a process of its own, asks DNS for all of them every 20 ms. What must hold at any time:

* a reply shows nothing older than what was acknowledged before its query was sent (so nothing is lost, and no older value
  comes back), and nothing that was not sent before the reply came;
* once a value was served, later replies show no older state, also after a power cut;
* DNS is never silent for longer than SILENCE_MAX, unless the whole service was ended.
"""

import contextlib
import ctypes
import http.client
import json
import multiprocessing
import os
import pathlib
import random
import re
import secrets
import select
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
import harness  # noqa: E402

HELD = 2             # values a delegate keeps
SILENCE_MAX = 1.0    # seconds
EVERY = 0.02         # seconds between two queries
PATIENCE = 30        # seconds a client tries for one value
TELL_MAX = 20        # violations that are told, of each kind

_fork = multiprocessing.get_context("fork")


class Violation(AssertionError):
    """The server has broken a promise."""


class Ledger:
    """What was sent, acknowledged and seen, in memory that writers and prober share: one place for each writer."""

    def __init__(self, writers):
        self.tag = "".join(secrets.choice(harness.BASE64URL) for _ in range(28))
        self.pattern = re.compile(b"\\x2bS(\\d{3})-(\\d{9})-" + self.tag.encode())
        self.writers = writers
        self.sent = _fork.RawArray(ctypes.c_uint64, writers)
        self.acknowledged = _fork.RawArray(ctypes.c_uint64, writers)
        self.seen = _fork.RawArray(ctypes.c_uint64, writers)

    def value(self, writer, number):
        return f"S{writer:03d}-{number:09d}-{self.tag}"

    def numbers(self, writer, wire):
        """The numbers of a writer's values in a reply; -1 for a value of somebody else."""
        return [int(n) if int(w) == writer else -1 for w, n in self.pattern.findall(wire)]


def problem_of(numbers, others, floor, ceiling):
    """What is wrong with the served set of a delegate, or None. `others`: TXT records that are no value of ours."""
    if others or -1 in numbers:
        return "a value that its writer never sent"
    if not floor:
        return None if not numbers or max(numbers) <= ceiling else "a value that was not sent yet"
    if not numbers:
        return f"nothing, though {floor} was acknowledged"
    if max(numbers) < floor:
        return f"{sorted(numbers)}, though {floor} was acknowledged"
    if max(numbers) > ceiling:
        return f"{sorted(numbers)}, though only {ceiling} was sent"
    if min(numbers) <= max(numbers) - HELD:
        return f"{sorted(numbers)}: an older value has come back"
    if len(set(numbers)) != len(numbers):
        return f"{sorted(numbers)}: twice the same"
    return None


def question(name, ident):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack("!6H", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 16, 1)


# ---- the clients


class Writer(threading.Thread):
    """Publishes 1, 2, 3, ... and keeps the time of each acknowledgement."""

    def __init__(self, number, server, ledger, stop, pace):
        super().__init__(daemon=True)
        self.number, self.server, self.ledger, self.stop, self.pace = number, server, ledger, stop, pace
        self.account = server.register()
        self.history = []      # (time, number) of every acknowledgement
        self.refused = self.broken = 0
        self.slowest = 0.0
        self.problems = []

    def send(self, connection, txt):
        """True: 200 came in full."""
        body = json.dumps({"subdomain": self.account["subdomain"], "txt": txt})
        try:
            connection.request("POST", "/update", body, harness.credentials(self.account))
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.broken += 1
            return False
        if response.status == 200 and json.loads(text) == {"txt": txt}:
            return True
        if response.status < 500:
            self.problems.append(f"writer {self.number}: {response.status} {text!r}")
        self.refused += 1
        return False

    def publish(self, connection, number):
        begun = time.monotonic()
        self.ledger.sent[self.number] = number
        while not self.send(connection, self.ledger.value(self.number, number)):
            if self.problems or self.stop.is_set():
                return False
            if time.monotonic() - begun > PATIENCE:
                self.problems.append(f"writer {self.number}: no acknowledgement within {PATIENCE} s")
                return False
            time.sleep(0.01)
        now = time.monotonic()
        self.history.append((now, number))
        self.ledger.acknowledged[self.number] = number
        self.slowest = max(self.slowest, now - begun)
        return True

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.api_port, timeout=5)
        # What was sent last may or may not be there: it is sent again, as a client would.
        number = max(self.ledger.sent[self.number], 1)
        while not self.stop.is_set() and not self.problems:
            if self.publish(connection, number):
                number += 1
                self.stop.wait(self.pace)
        connection.close()

    def acknowledged_before(self, moment):
        return max((n for t, n in self.history if t < moment), default=0)


# ---- the prober


class Asked:
    """One query under way."""

    __slots__ = ("writer", "floor", "seen", "at")

    def __init__(self, ledger, writer, at):
        self.writer, self.at = writer, at
        self.floor = max(ledger.acknowledged[writer], ledger.seen[writer])


class Prober:
    """Asks DNS over UDP from 32 ports in turn (so every worker is asked), every EVERY seconds, in a process of its own."""

    PORTS = 32

    def __init__(self, server, ledger, names):
        self.ledger, self.names, self.port = ledger, names, server.dns_port
        self.paused = _fork.Value(ctypes.c_bool, True, lock=False)
        self.ended = _fork.Value(ctypes.c_bool, False, lock=False)
        self.silence = _fork.Value(ctypes.c_double, 0.0, lock=False)
        self.asked = _fork.Value(ctypes.c_uint64, 0, lock=False)
        self.answered = _fork.Value(ctypes.c_uint64, 0, lock=False)
        self.failed = _fork.Value(ctypes.c_uint64, 0, lock=False)  # SERVFAIL
        self.idle = _fork.Event()                                  # paused, and nothing is counted any more
        self.told = _fork.SimpleQueue()
        self.violations = _fork.Value(ctypes.c_uint64, 0, lock=False)
        self.process = _fork.Process(target=self._main, daemon=True)

    def start(self):
        self.process.start()

    def resume(self):
        self.idle.clear()
        self.paused.value = False

    def pause(self):
        self.paused.value = True
        if not self.idle.wait(10):
            raise Violation("the prober does not answer")

    def end(self):
        self.ended.value = True
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()

    def problems(self):
        found = []
        while not self.told.empty():
            found.append(self.told.get())
        return found

    # the other process

    def _main(self):
        try:
            os.nice(-5)  # what is measured is the server's silence, not ours
        except PermissionError:
            pass
        sockets = []
        for _ in range(self.PORTS):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setblocking(False)
            s.connect(("127.0.0.1", self.port))
            sockets.append(s)
        poller = select.epoll()
        for s in sockets:
            poller.register(s, select.EPOLLIN)
        by_fd = {s.fileno(): s for s in sockets}
        parent = os.getppid()
        while not self.ended.value and os.getppid() == parent:
            if self.paused.value:
                self.idle.set()
                time.sleep(0.005)
            else:
                self._round(sockets, poller, by_fd)

    def _round(self, sockets, poller, by_fd):
        under_way, silent, turn = {}, 0.0, 0
        last = due = time.monotonic()
        while not self.paused.value and not self.ended.value:
            events = poller.poll(max(0.0, min(due - time.monotonic(), EVERY)))
            heard = sum(self._receive(by_fd[fd], under_way) for fd, _ in events)
            now = time.monotonic()
            # Time in which this process did not run is not the server's silence.
            silent = 0.0 if heard else silent + min(now - last, 2 * EVERY)
            self.silence.value = max(self.silence.value, silent)
            last = now
            if now >= due:
                turn += 1
                due = max(due + EVERY, now)
                self._send(sockets[turn % self.PORTS], turn, under_way, now)

    def _send(self, s, turn, under_way, now):
        # Another writer for every turn, and another port: coprime or not, all pairs come up.
        writer = random.randrange(len(self.names))
        ident = turn & 0xffff
        asked = Asked(self.ledger, writer, now)
        try:
            s.send(question(self.names[writer], ident))
        except OSError:
            return  # refused: nobody listens at present; the silence counts on
        under_way[(s.fileno(), ident)] = asked
        self.asked.value += 1

    def _receive(self, s, under_way):
        heard = 0
        while True:
            try:
                wire = s.recv(4096)
            except OSError:
                return heard
            ident = int.from_bytes(wire[:2], "big")
            asked = under_way.pop((s.fileno(), ident), None)
            if asked is None or len(wire) < 12:
                continue
            self._judge(asked, wire)
            heard += 1

    def _judge(self, asked, wire):
        self.answered.value += 1
        rcode, answers = wire[3] & 15, int.from_bytes(wire[6:8], "big")
        if rcode == 2:
            self.failed.value += 1
            return
        w = asked.writer
        numbers = self.ledger.numbers(w, wire)
        problem = f"rcode {rcode}" if rcode else problem_of(numbers, answers - len(numbers), asked.floor,
                                                            self.ledger.sent[w])
        if numbers and not problem:
            self.ledger.seen[w] = max(self.ledger.seen[w], max(numbers))
        if problem:
            self.violations.value += 1
            if self.violations.value <= TELL_MAX:
                self.told.put(f"DNS, writer {w}: {problem}")


# ---- all together


class Load:
    """Writers and prober on one server, which may end and come back meanwhile."""

    def __init__(self, server, writers=8, pace=0.0):
        self.server, self.count, self.pace = server, writers, pace
        self.ledger = Ledger(writers)
        self.stop = threading.Event()
        self.writers = [Writer(i, server, self.ledger, self.stop, pace) for i in range(writers)]
        self.prober = Prober(server, self.ledger, [w.account["fulldomain"] for w in self.writers])
        self.prober.start()  # before there are threads
        self.done = 0        # acknowledgements of rounds that are over

    def begin(self):
        self.stop.clear()
        for w in self.writers:
            w.start()
        self.prober.resume()

    def end_writers(self):
        self.stop.set()
        for w in self.writers:
            w.join(PATIENCE + 10)
            if w.is_alive():
                raise Violation(f"writer {w.number} hangs")

    def renew_writers(self):
        """Threads for another round, with the same delegates."""
        self.done += sum(len(w.history) for w in self.writers)
        fresh = []
        for old in self.writers:
            w = Writer.__new__(Writer)
            threading.Thread.__init__(w, daemon=True)
            for name in ("number", "server", "ledger", "stop", "pace", "account", "refused", "broken", "slowest",
                         "problems"):
                setattr(w, name, getattr(old, name))
            w.history = []
            fresh.append(w)
        self.writers = fresh

    def close(self):
        self.stop.set()
        self.prober.end()

    def acknowledged(self):
        return self.done + sum(len(w.history) for w in self.writers)

    def refused(self):
        return sum(w.refused for w in self.writers)

    def problems(self):
        return [p for w in self.writers for p in w.problems] + self.prober.problems()

    def judge_now(self):
        """Raises Violation for what was noticed up to now."""
        found = self.problems()
        if found:
            raise Violation("\n".join(found[:TELL_MAX]))

    def floors(self, moment=None):
        """For each writer the number that must be served: acknowledged (before `moment`), or seen in DNS."""
        if moment is None:
            return [max(self.ledger.acknowledged[i], self.ledger.seen[i]) for i in range(self.count)]
        return [w.acknowledged_before(moment) for w in self.writers]

    def judge_served(self, floors):
        """Asks for each writer's values, over UDP and TCP. Returns how many acknowledged values are missing; raises for
        anything that is worse than a loss."""
        lost = []
        for w, floor in zip(self.writers, floors):
            for tcp in (False, True):
                wire = self.server.query(w.account["fulldomain"], "TXT", tcp=tcp, timeout=5).to_wire()
                numbers = self.ledger.numbers(w.number, wire)
                answers = int.from_bytes(wire[6:8], "big")
                problem = f"rcode {wire[3] & 15}" if wire[3] & 15 else problem_of(
                    numbers, answers - len(numbers), floor, self.ledger.sent[w.number])
                if problem:
                    lost.append(f"writer {w.number}: {problem}")
        return lost


def finish(load, f):
    """The writers end, and all that they were told is judged."""
    load.prober.pause()
    load.end_writers()
    f.take(load, load.judge_served(load.floors()))
    load.judge_now()


def end_well(server, f, o):
    """`f` has been taken of all load."""
    if f.silence >= SILENCE_MAX * o.slack:
        raise Violation(f"DNS was silent for {f.silence:.2f} s")
    harness.assert_clean(server.stderr())
    server.stop()


@contextlib.contextmanager
def under_load(server, f, o, writers=None, pace=0.0):
    """A server from its start to its orderly end, and load on it, which has not begun."""
    load = None
    try:
        server.start()
        load = Load(server, writers=writers or o.writers, pace=pace)
        yield load
        end_well(server, f, o)
    finally:
        if load:
            load.close()
        server.discard()
