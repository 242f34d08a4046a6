# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain load for a given time: memory and descriptors of each process stay flat. Reloads and visitors who go again in the
middle of what they ask are part of it, because that is what leaks."""

import os
import random
import socket
import time

from checker import Violation, finish, harness, under_load
from figures import Figures

SAMPLES = 40
GROWTH_MAX = 0.02      # of its memory from the second to the last quarter
GROWTH_FREE = 512      # KiB: pages of a heap and of the store that come and go
DESCRIPTORS_FREE = 4


def rss_kib(pid):
    """Memory of its own: what is mapped from the store's file is page cache."""
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("RssAnon")).split()[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def visit(server, account, rng):
    """Half a request, a connection without any, a wrong key, a name that is not there, a query over TCP that is cut."""
    with socket.create_connection(("127.0.0.1", server.api_port), timeout=2) as s:
        if rng.random() < 0.7:
            s.sendall(b"POST /update HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{\"sub")
    with socket.create_connection(("127.0.0.1", server.dns_port), timeout=2) as s:
        s.sendall(b"\0\x20" + bytes(rng.randrange(16)))
    server.http("POST", "/update", "{}", {"X-Api-User": account["username"], "X-Api-Key": "wrong" * 8})
    server.query(f"nobody{rng.random()}.{harness.ZONE}", "TXT", timeout=2)


def judge(name, samples):
    """`samples` of (memory, descriptors); the first quarter is warming up."""
    quarter = len(samples) // 4
    early, late = samples[quarter:2 * quarter], samples[-quarter:]
    before, after = (min(m for m, _ in part) for part in (early, late))
    if after > before * (1 + GROWTH_MAX) + GROWTH_FREE:
        raise Violation(f"{name} grows: {before} KiB, later {after} KiB")
    before, after = (min(d for _, d in part) for part in (early, late))
    if after > before + DESCRIPTORS_FREE:
        raise Violation(f"{name} keeps descriptors: {before}, later {after}")
    return f"{name} {late[0][0]} KiB"


def run(o):
    rng = random.Random(o.seed)
    f = Figures("plain load")
    server = harness.Server(dns={"workers": 2}, zone={"max_values": 2, "value_lifetime": "1d"})
    with under_load(server, f, o) as load:
        account = server.register()
        load.begin()
        children = server.children()
        samples = {name: [] for name in ("supervisor", *children)}
        for number in range(SAMPLES):
            end = time.monotonic() + o.count / SAMPLES
            while time.monotonic() < end:
                visit(server, account, rng)
                time.sleep(0.02)
            for name, pid in {"supervisor": server.process.pid, **children}.items():
                samples[name].append((rss_kib(pid), descriptors(pid)))
            load.judge_now()
            o.progress(f, load, f"{number + 1} samples")
        finish(load, f)
        f.note = ", ".join(judge(name, s) for name, s in sorted(samples.items()))
        if server.children() != children:
            raise Violation("a process was started again")
        reload_often(server, f, 5 if o.quick else 50)
    return f


def reload_often(server, f, times):
    """What a reload leaves behind would be in the supervisor."""
    before = None
    for number in range(times):
        old = set(server.children().values())
        server.hup()
        harness.poll(lambda: len(server.children()) == len(old) and not old & set(server.children().values()), 20, "reloaded")
        f.faults += 1
        if number == 2:  # by then its heap has the size that a reload needs
            before = rss_kib(server.process.pid), descriptors(server.process.pid)
    now = rss_kib(server.process.pid), descriptors(server.process.pid)
    if now[0] > before[0] * 1.1 + GROWTH_FREE or now[1] > before[1]:
        raise Violation(f"reloads leave something behind: {before}, later {now} (KiB, descriptors)")
