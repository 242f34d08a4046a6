# SPDX-License-Identifier: GPL-3.0-or-later
"""One process stands still for seconds (SIGSTOP): the others go on. While the api is overloaded, DNS goes on."""

import os
import random
import signal
import time

import dns.exception

from checker import Violation, finish, harness, under_load
from figures import Figures


def updates_meanwhile(load, seconds):
    before = load.acknowledged()
    time.sleep(seconds)
    return load.acknowledged() - before


def stop_one(server, load, role, seconds):
    pid = server.children()[role]
    os.kill(pid, signal.SIGSTOP)
    try:
        done = updates_meanwhile(load, seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
    if role.startswith("dns") and not done:
        raise Violation(f"no update while {role} stood still")
    before = load.acknowledged()
    harness.poll(lambda: load.acknowledged() > before, 5, f"updates after {role} went on")
    if server.children()[role] != pid:
        raise Violation(f"{role} did not survive standing still")


def answers_over_both(server):
    """Also the worker that stood still answers again: from some port everybody is reached."""
    for _ in range(16):
        try:
            server.query(harness.ZONE, "SOA", timeout=2)
        except dns.exception.Timeout:
            raise Violation("a worker does not answer any more") from None


def run(o):
    rng = random.Random(o.seed)
    f = Figures("processes that stop")
    server = harness.Server(dns={"workers": 2}, zone={"max_values": 2, "value_lifetime": "1d"})
    with under_load(server, f, o, writers=2 * o.writers) as load:
        # More writers than usual: an api that is overloaded must not be felt in DNS.
        load.begin()
        turn = []
        while f.faults < o.count and not o.over():
            turn = turn or ["dns0", "dns1", "keeper", "api"]
            stop_one(server, load, turn.pop(rng.randrange(len(turn))), rng.uniform(0.5, 1.5) if o.quick else rng.uniform(1, 6))
            answers_over_both(server)
            load.judge_now()
            f.faults += 1
            o.progress(f, load)
        finish(load, f)
    return f
