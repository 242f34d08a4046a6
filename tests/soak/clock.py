# SPDX-License-Identifier: GPL-3.0-or-later
"""The wall clock jumps, by a second, a day and a year, ahead and back, while clients update. A value lives for its lifetime
as time passes, whatever the clock says: a challenge under way goes through, and nothing is served for a day longer. Limits
lock nobody out, the audit log keeps its order, a token's expiry is a date and follows the calendar."""

import json
import random
import re
import socket
import struct
import time

import dns.flags

from checker import Violation, finish, harness, question, under_load
from figures import Figures
from shims import HERE, Shim

DAY, YEAR = 86400, 365 * 86400
JUMPS = [DAY, -DAY, YEAR, -YEAR, 1, -1]
LIFETIME = 2  # seconds
PER_HOUR = 60


def expect(condition, what):
    if not condition:
        raise Violation(what)


class Clock:
    def __init__(self):
        self.shim = Shim(HERE / "shifted_clock.c", "SHIFTED_CLOCK", struct.pack("q", 0))
        self.shift = 0

    def jump(self, seconds):
        self.shift += seconds
        self.shim.write(struct.pack("q", self.shift))


def settings(lifetime, **api):
    return dict(dns={"workers": 2, "rate_limit": {"responses_per_second": 200}},
                zone={"max_values": 3, "value_lifetime": lifetime},
                api={"failed_login_delay": "2s", **api})


def published(server, values):
    account = server.register()
    return account, [server.publish(account) for _ in range(values)]


def served_everywhere(server, delegates, when):
    """Some have few values, which are in the index, some more, which are in the store."""
    for account, texts in delegates:
        for tcp in (False, True):
            found = server.values(account, tcp=tcp)
            expect(sorted(found) == sorted(texts), f"{when}: {len(found)} of {len(texts)} values are served")


def lives_by_elapsed_time(clock, seconds):
    """A short-lived value, over a jump: there for that long, and not longer."""
    server = clock.shim.server(**settings(f"{LIFETIME}s"))
    with server.running():
        account, texts = published(server, 1)
        begun = time.monotonic()
        clock.jump(seconds)
        while time.monotonic() - begun < LIFETIME * 0.7:
            found = server.values(account)
            expect(found == texts or time.monotonic() - begun >= LIFETIME, f"gone after a jump of {seconds} s")
            time.sleep(0.05)
        harness.poll(lambda: server.values(account) == [], 2 * LIFETIME, f"gone in time after a jump of {seconds} s")
        # What is published after the jump lives as long.
        account, texts = published(server, 1)
        begun = time.monotonic()
        expect(server.values(account) == texts, "a value published after a jump")
        harness.poll(lambda: server.values(account) == [], 2 * LIFETIME, "and its end")
        expect(time.monotonic() - begun > LIFETIME * 0.9, "it lived too short")


def limits_recover(clock, seconds):
    """The limits are reached, the clock jumps: nobody waits longer than without."""
    server = clock.shim.server(**settings("1h", registration={"mode": "open", "per_address_per_hour": PER_HOUR,
                                                               "per_day": 0}))
    with server.running():
        account = server.register()
        for _ in range(PER_HOUR + 5):
            refused = server.http("POST", "/register")
            if refused.status != 201:
                break
        expect(refused.status == 429, f"the limit was not reached: {refused.status}")
        for _ in range(8):
            server.http("POST", "/update", json.dumps({"subdomain": account["subdomain"], "txt": harness.value()}),
                        {"X-Api-User": account["username"], "X-Api-Key": "x" * 40})
        limited = flood(server, account)
        expect(limited, "the rate limit was not reached")
        clock.jump(seconds)
        again = server.http("POST", "/register")
        expect(again.status == 429 and int(again.headers["retry-after"]) <= 3600 // PER_HOUR + 1,
               f"registration after a jump of {seconds} s: {again.status}, {again.headers.get('retry-after')} s")
        report = server.operator("status").stdout
        expect(re.search(r", up \d+ (s|min) \(", report) and not re.search(r"\d d \d+ h", report.partition("PROCESS")[2]),
               f"times up after a jump of {seconds} s: {report}")
        begun = time.monotonic()
        server.publish(account)
        expect(time.monotonic() - begun < 1, "who has the right key waits")
        harness.poll(lambda: answers_in_full(server, account), 10, f"full answers after a jump of {seconds} s")


def truncated(server, account):
    answer = server.query(account["fulldomain"], "TXT", source="127.0.1.1")
    return bool(answer.flags & dns.flags.TC)


def flood(server, account):
    """Many queries without waiting for answers: also a slow machine sends more than the limit allows."""
    deadline = time.monotonic() + 20
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.1.1", 0))
        s.connect(("127.0.0.1", server.dns_port))
        while time.monotonic() < deadline:
            for _ in range(200):
                s.send(question(account["fulldomain"], 1))
            if truncated(server, account):
                return True
    return False


def answers_in_full(server, account):
    time.sleep(0.1)  # asking is paid for, too
    return not truncated(server, account)


def tokens_follow_the_calendar(clock):
    server = clock.shim.server(**settings("1h", registration={"mode": "token", "per_address_per_hour": 0, "per_day": 0}))
    clock.jump(-clock.shift)  # the command line has the real clock
    with server.running():
        done = server.operator("token", "add", "--expires", "12h", "--json")
        expect(done.returncode == 0, done.stderr)
        headers = {"X-Registration-Token": json.loads(done.stdout)["token"]}
        for shift, status in ((0, 201), (DAY, 403), (-DAY, 201), (-DAY, 201)):
            clock.jump(shift)
            found = server.http("POST", "/register", None, headers)
            expect(found.status == status, f"a token of 12 h, the clock at {clock.shift} s: {found.status}")
        done = server.operator("events", "--json")
        numbers = [json.loads(line)["sequence"] for line in done.stdout.splitlines()]
        expect(numbers and numbers == sorted(set(numbers)), f"the audit log's order: {numbers}")
        clock.jump(DAY)


def jumps_under_load(clock, f, o, rng):
    """Challenges under way, and load, over all jumps in any order."""
    server = clock.shim.server(dns={"workers": 2}, zone={"max_values": 2, "value_lifetime": "1h"})
    with under_load(server, f, o) as load:
        idle = [published(server, n) for n in (1, 2, 2, 1)]
        load.begin()
        jumps = list(JUMPS)
        while f.faults < o.count and not o.over():
            if not jumps:
                jumps = list(JUMPS)
            seconds = jumps.pop(rng.randrange(len(jumps)))
            clock.jump(seconds)
            f.faults += 1
            served_everywhere(server, idle, f"after a jump of {seconds} s")
            time.sleep(rng.uniform(0.05, 0.5))
            load.judge_now()
            if rng.random() < 0.2:
                server.hup()  # the lifetime goes on in the processes that follow
            expect(server.http("GET", "/health").status == 200, "health")
            o.progress(f, load)
        served_everywhere(server, idle, "at the end")
        finish(load, f)


def run(o):
    rng = random.Random(o.seed)
    f = Figures("clock jumps")
    clock = Clock()
    try:
        jumps_under_load(clock, f, o, rng)
        for seconds in (rng.choice((DAY, -DAY)),) if o.quick else (DAY, -DAY, YEAR, -YEAR):
            lives_by_elapsed_time(clock, seconds)
            f.faults += 1
        for seconds in (-DAY,) if o.quick else (-DAY, DAY, -YEAR):
            limits_recover(clock, seconds)
            f.faults += 1
        tokens_follow_the_calendar(clock)
        f.faults += 3
    finally:
        clock.shim.close()
    return f
