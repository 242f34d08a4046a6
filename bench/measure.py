# SPDX-License-Identifier: GPL-3.0-or-later
"""One measurement each: queries, starts, updates with queries beside them, and what the machine itself does."""

import math
import os
import subprocess
import sys
import time

from data import KINDS, run
from servers import BenchError

STARTS = 7
FDATASYNCS = 200
SURROUND = 0.5  # seconds by which the load of updates begins before the queries and goes on after them
LOST_SHARE = 1000  # more than one lost in so many is worth a note

# (clients, every how manieth request is a registration; 0: none). Next to each other what is compared.
LOADS = [(0, 0), (4, 2), (4, 0), (1, 0), (8, 0), (64, 0)]
LOADS_ACME_DNS = [(0, 0), (4, 2), (4, 0), (1, 0), (8, 0)]
LOADS_FLOOR = [(0, 0), (4, 2)]  # of these the queries also go to an echo instead


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def parse_result(line):
    return {key: float(value) for key, value in (pair.split("=") for pair in line.split())}


def cpu_seconds_of_machine():
    """All that processes used or the host took away. Not interrupts: with our load these are our packets."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, _, _, stolen = map(int, f.readline().split()[1:9])
    return (user + nice + system + stolen) / os.sysconf("SC_CLK_TCK")


class Others:
    """Which share of the machine processes take that are not ours, from now on."""

    def __init__(self, running=()):
        self.running = running  # servers that go on; those that ended are in our own times
        self.begin, self.used = time.monotonic(), self._used()

    def _used(self):
        ours = sum(os.times()[:4]) + sum(server.cpu_seconds() for server in self.running)
        return cpu_seconds_of_machine() - ours

    def share(self):
        passed = (time.monotonic() - self.begin) * os.cpu_count()
        return max(self._used() - self.used, 0) / passed


def fdatasync_ms(folder):
    """Milliseconds of an fdatasync after overwriting 4 KiB; the median."""
    times = []
    fd = os.open(folder / "fdatasync", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for number in range(FDATASYNCS):
            os.pwrite(fd, bytes([number % 256]) * 4096, 0)
            start = time.perf_counter()
            os.fdatasync(fd)
            times.append(time.perf_counter() - start)
    finally:
        os.close(fd)
    return sorted(times)[len(times) // 2] * 1e3


# ---- queries ----


def blast(a, server, dataset, kind):
    command = [a.tools / "udpblast", "-p", server.port, "-q", dataset.queries(kind), "-t", a.seconds, *server.load,
               "-P", ",".join(map(str, server.pids())), *(["-e"] if a.edns else [])]
    result = parse_result(run(command, a.seconds + 30))
    if server.checked:
        good = result["noerror"] - result["empty"] if kind == "existing" else result["nxdomain"]
        if good != result["answered"]:
            raise BenchError(f"{server.name}: {result['answered'] - good:.0f} of {result['answered']:.0f} answers "
                             f"for {kind} names are wrong")
    if result["answered"] == 0:
        raise BenchError(f"{server.name} answers no query for {kind} names")
    if result["lost"] > result["sent"] / LOST_SHARE:
        say(f"note: {server.name} lost {result['lost']:.0f} of {result['sent']:.0f} queries")
    return result


def queries(a, servers):
    """{(name of server, kind): [result of each round]}; `servers` are pairs with the dataset each is asked for."""
    results = {}
    for number in range(a.rounds):
        for kind in KINDS:
            for server, dataset in servers:
                result = blast(a, server, dataset, kind)
                results.setdefault((server.name, kind), []).append(result)
                say(f"  round {number + 1}/{a.rounds} {server.name:24} {kind:8} {result['qps']:8.0f} q/s "
                    f"{result['server_cpu_us_per_query']:6.2f} us/query")
    return results


# ---- starts ----


def starts(server, dataset, cold):
    """Seconds to the first answer of some starts; the server is stopped after each. `cold`: without the store in the
    page cache."""
    times = []
    name = dataset.existing_name()
    for _ in range(STARTS):
        if cold:
            dataset.forget_page_cache()
        try:
            times.append(server.start(name))
        finally:
            server.stop()
    return times


# ---- updates ----


def count_lost(result):
    """What was never answered came later than everything else."""
    for key, share in (("p50_us", 0.5), ("p99_us", 0.01)):
        if result["lost"] > share * result["sent"]:
            result[key] = math.inf
    return result


def updates_once(a, server, dataset, clients, every, asked):
    """Queries to `asked` at a fixed pace while `clients` update (0: idle); both results in one."""
    load, cpu = None, server.cpu_seconds()
    if clients:
        command = [a.tools / "updblast", "-p", server.api_port, "-k", dataset.known, "-c", clients,
                   "-t", a.seconds + 1, *(["-n", every] if every else [])]
        load = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
        time.sleep(SURROUND)
    try:
        dns = run([a.tools / "udpblast", "-p", asked.port, "-q", dataset.queries("existing"), "-t", a.seconds, "-c", 1,
                   "-r", asked.probe_rate, *(["-e"] if a.edns else [])], a.seconds + 30)
        result = {f"dns_{key}": value for key, value in count_lost(parse_result(dns)).items()}
        if load:
            result.update(parse_result(load.communicate(timeout=30)[0] or "failed=1"))
            if result["failed"] or load.returncode:
                raise BenchError(f"{server.name}: {result['failed']:.0f} requests of {clients} update clients were "
                                 f"refused or lost")
            result["cpu"] = server.cpu_seconds() - cpu
    finally:
        if load and load.poll() is None:
            load.kill()
            load.wait()
    return result


def updates(a, server, dataset, loads, echo=None):
    """{(clients, every): [result of each round]}; 0 clients is the idle server. And the same with the queries sent to
    `echo`, for what the load alone does to them on this machine; empty without one."""
    server.wait_for_api()
    results, floor = {}, {}
    for number in range(a.update_rounds):
        for load in loads:
            for asked, kept in ((server, results), (echo, floor)):
                if not asked or (asked is echo and load not in LOADS_FLOOR):
                    continue
                result = updates_once(a, server, dataset, *load, asked)
                kept.setdefault(load, []).append(result)
                clients, every = load
                what = f"{clients:2} clients{' + register' * bool(every):11}"
                say(f"  round {number + 1}/{a.update_rounds} {server.name} {what} "
                    f"{result.get('updates_per_s', 0):6.0f} updates/s, {asked.name} p99 {result['dns_p99_us']:.0f} us")
    return results, floor
