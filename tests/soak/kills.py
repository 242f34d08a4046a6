# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL at random moments under load: a child (keeper, api, a dns worker) and the whole service in turn, and SIGHUP in
between. Nothing acknowledged is lost; while a child is away DNS goes on."""

import os
import random
import signal
import time

from checker import harness, under_load
from figures import Figures

BACK = 1.0  # seconds for a child to be there again


def kill(pid):
    """False: it had ended by itself, after a reload or with its parent."""
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def kill_child(server, rng):
    role, pid = rng.choice(sorted(server.children().items()))
    while not kill(pid):
        role, pid = rng.choice(sorted(server.children().items()))
    begun = time.monotonic()
    harness.poll(lambda: server.children().get(role) not in (None, pid), 10 * BACK, f"{role} started again")
    return role, time.monotonic() - begun


def end_all(server, rng=random):
    """All processes, in any order but at one moment: nobody is started again meanwhile."""
    server.process.send_signal(signal.SIGSTOP)
    children = list(server.children().values())
    rng.shuffle(children)
    for pid in children:
        kill(pid)
    server.process.kill()
    server.process.wait()
    harness.poll(lambda: not any(harness.is_alive(p) for p in children), 10, "everybody ended")
    if server in harness.running:
        harness.running.remove(server)


def kill_all(server, load, rng):
    load.prober.pause()
    end_all(server, rng)
    begun = time.monotonic()
    server.start()
    load.prober.resume()
    return "all", time.monotonic() - begun


def run(o):
    rng = random.Random(o.seed)
    f = Figures("kill -9")
    server = harness.Server(dns={"workers": 2}, zone={"max_values": 2, "value_lifetime": "1d"})
    with under_load(server, f, o) as load:
        load.begin()
        roles, everybody, slowest = {}, set(server.children()), [0.0, 0.0]
        for number in range(o.count):
            if o.over():
                break
            time.sleep(rng.uniform(0.0, 0.3 if o.quick else 1.0))
            role, took = kill_all(server, load, rng) if number % 2 else kill_child(server, rng)
            roles[role] = roles.get(role, 0) + 1
            slowest[role == "all"] = max(slowest[role == "all"], took)
            f.faults += 1
            if rng.random() < 0.1:
                server.hup()
                roles["(SIGHUP)"] = roles.get("(SIGHUP)", 0) + 1
            load.judge_now()
            harness.poll(lambda: set(server.children()) == everybody, 10 * BACK, "all children there")
            o.progress(f, load, roles)
        load.prober.pause()
        load.end_writers()
        lost = load.judge_served(load.floors())
        load.judge_now()
        server.restart()
        lost += load.judge_served(load.floors())
        f.take(load, lost)
        f.note = ", ".join(f"{role} {n}" for role, n in sorted(roles.items()))
        f.note += f"; slowest return of a child {slowest[0]:.2f} s, of the service {slowest[1]:.2f} s"
    return f
