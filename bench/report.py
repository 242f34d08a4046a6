# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, as Markdown: the bounds first, then the figures behind them."""

import math
import os
import pathlib
import platform
import statistics
import subprocess

from data import ACME_DNS_CLIENTS, KINDS
from servers import find_program

OURS = "acme-delegate"
CPU = "server_cpu_us_per_query"
IN_FLIGHT = 256  # 4 sockets with 64 each, what udpblast does by default
MILLION = 1_000_000
MB = 1e6
REFERENCE_SYNC_MS = 0.4
ACME_DNS_UPDATES = 16  # per second and core: bcrypt


class Results:
    """Of one size; what was not measured stays empty."""

    def __init__(self, dataset):
        self.count = dataset.count
        self.live = dataset.live
        self.busy_before = self.busy_meanwhile = 0  # share of the machine that others took
        self.import_seconds = dataset.import_seconds
        self.store_bytes = dataset.store_bytes
        self.starts = []  # seconds
        self.cold_starts = []
        self.index_seconds = None  # None: the index gave up
        self.queries = {}
        self.updates = {}
        self.floor = {}  # the same loads, with the queries sent to an echo
        self.acme_dns_updates = {}
        self.sync_ms = None
        self.first_answer = {}  # other servers' start to first answer, seconds
        self.memory = {}  # of each server: (private, shared, page tables) in bytes, or None


def median(results, key):
    return statistics.median(r[key] for r in results)


def ratios(above, below, key):
    """Within each round."""
    return [x[key] / y[key] for x, y in zip(above, below)]


def number(n):
    return "∞" if n == math.inf else f"{n:,.0f}".replace(",", " ")


def span(values, form=".2f"):
    """Median (least to most)."""
    middle = statistics.median(values)
    if len(values) == 1:
        return f"{middle:{form}}"
    return f"{middle:{form}} ({min(values):{form}} to {max(values):{form}})"


def print_row(cells):
    print(f"| {' | '.join(cells)} |")


def print_head(cells, left=1):
    print_row(cells)
    print_row(["---"] * left + ["---:"] * (len(cells) - left))


def plural(n, what):
    return f"{n} {what}{'s' * (n != 1)}"


# ---- the machine ----


def first_line(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return ((done.stdout + done.stderr).splitlines() or ["?"])[0]


def print_machine(a, folder):
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "?")
    debian = pathlib.Path("/etc/debian_version")
    disk = first_line(["findmnt", "-n", "-o", "FSTYPE", "-T", str(folder)])
    print(f"Machine: {cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, kernel {platform.release()}, {system}"
          f"{' (' + debian.read_text().strip() + ')' if debian.exists() else ''}, store on {disk}.", end="")
    for name, program, option in (("Knot", "knotd", "-V"), ("NSD", "nsd", "-v")):
        if name in a.servers:
            print(f" {first_line([find_program(program, name), option])}.", end="")
    print("\n")


def print_noise(sizes):
    busy = ", ".join(f"{s.busy_before:.0%} before and {s.busy_meanwhile:.0%} during {number(s.count)} names"
                     for s in sizes)
    print(f"Other processes took of the machine: {busy}.")
    if any(max(s.busy_before, s.busy_meanwhile) > 0.1 for s in sizes):
        print("**That is more than 10 %: times and ratios are worse and noisier than on a quiet machine.**")
    print()


# ---- the bounds ----


def nearest(sizes, wanted, have):
    """The size that a bound names, or the largest below it, or the smallest; of those that have what is needed."""
    fit = [s for s in sizes if have(s)]
    return max((s for s in fit if s.count <= wanted), key=lambda s: s.count, default=fit[0] if fit else None)


def at(count, wanted):
    return "" if count == wanted else f" at {number(count)} names"


# Each gives rows: what, bound, measured, whether it is met (None: cannot be told) and, where the bound names a size,
# whether it was measured at that size.


def bound_against(sizes, other, limit):
    """CPU per query beside another server's."""
    s = nearest(sizes, MILLION, lambda s: (OURS, "random") in s.queries and (other, "random") in s.queries)
    if s:
        each = {kind: ratios(s.queries[OURS, kind], s.queries[other, kind], CPU) for kind in KINDS}
        yield (f"CPU per UDP TXT answer, 1 M names, / that of {other}", f"≤ {limit}",
               ", ".join(f"{kind} {span(each[kind])}" for kind in KINDS) + at(s.count, MILLION),
               max(statistics.median(r) for r in each.values()) <= limit, s.count == MILLION)


def bound_growth(sizes):
    small = f"{OURS} {number(sizes[0].count)}"
    s = nearest(sizes, 10 * MILLION, lambda s: (small, "random") in s.queries)
    if s:
        each = {kind: ratios(s.queries[OURS, kind], s.queries[small, kind], CPU) for kind in KINDS}
        yield (f"the same at 10 M / at {number(sizes[0].count)}, side by side", "≤ 1.3",
               ", ".join(f"{kind} {span(each[kind])}" for kind in KINDS) + at(s.count, 10 * MILLION),
               max(statistics.median(r) for r in each.values()) <= 1.3, s.count == 10 * MILLION)


def bound_random(sizes):
    each = {s.count: ratios(s.queries[OURS, "random"], s.queries[OURS, "existing"], CPU)
            for s in sizes if (OURS, "random") in s.queries}
    if each:
        distance = {count: max(m, 1 / m) for count, m in ((c, statistics.median(r)) for c, r in each.items())}
        worst = max(distance, key=distance.get)
        yield ("random / existing names, CPU, worst size", "0.91 to 1.10",
               f"{span(each[worst])} at {number(worst)} names", distance[worst] <= 1.1)


def per_core(rows):
    return [r["ok"] / r["cpu"] for r in rows]


def bound_updates(sizes):
    done = [s for s in sizes if (64, 0) in s.updates]
    if not done:
        return
    s = min(done, key=lambda s: statistics.median(per_core(s.updates[64, 0])))
    ours = per_core(s.updates[64, 0])
    theirs = next((per_core(x.acme_dns_updates[4, 0]) for x in sizes if x.acme_dns_updates), None)
    base = statistics.median(theirs) if theirs else ACME_DNS_UPDATES
    yield ("updates per second of CPU time, 64 clients, worst size",
           f"≥ {number(500 * base)} (500 × acme-dns, {base:.0f}{' measured here' if theirs else ''})",
           f"{span(ours, '.0f')} at {number(s.count)} names", statistics.median(ours) >= 500 * base)
    s = min(done, key=lambda s: median(s.updates[4, 0], "updates_per_s"))
    least = min(median(s.updates[clients, 0], "updates_per_s") for clients in (4, 8, 64))
    fits = s.sync_ms <= REFERENCE_SYNC_MS
    yield ("durable updates per second, least of 4, 8 and 64 clients, worst size",
           "≥ 3 000 on a disk with 0.4 ms fsync",
           f"{number(least)} at {number(s.count)} names, fdatasync takes {s.sync_ms:.2f} ms here",
           least >= 3000 if fits or least >= 3000 else None)


def bound_delay(sizes):
    each = {s.count: ratios(s.updates[4, 2], s.updates[0, 0], "dns_p99_us") for s in sizes if (4, 2) in s.updates}
    if each:
        worst = max(each, key=lambda count: statistics.median(each[count]))
        yield ("DNS p99 while four clients register and update / idle, worst size", "≤ 2",
               f"{span(each[worst])} at {number(worst)} names", statistics.median(each[worst]) <= 2)
    floor = {s.count: ratios(s.floor[4, 2], s.floor[0, 0], "dns_p99_us") for s in sizes if s.floor}
    if floor:
        worst = max(floor, key=lambda count: statistics.median(floor[count]))
        yield ("p99 of an echo beside the same load / idle: what the machine adds, whoever answers", "none",
               f"{span(floor[worst])} at {number(worst)} names", None)


def bound_start(sizes):
    for what, each in (("", {s.count: s.starts for s in sizes if s.starts}),
                       (", store not in the page cache", {s.count: s.cold_starts for s in sizes if s.cold_starts})):
        if each:
            worst = max(each, key=lambda count: statistics.median(each[count]))
            yield (f"start to first answer{what}, worst size", "< 100 ms",
                   f"{span([t * 1e3 for t in each[worst]], '.0f')} ms at {number(worst)} names",
                   statistics.median(each[worst]) < 0.1)


def bound_memory(sizes, sparse):
    s = nearest(sizes, MILLION, lambda s: s.memory.get(OURS))
    rows = [("all with a live value", s.count, s.memory[OURS])] if s else []
    if sparse and sparse.memory.get(OURS):
        rows.append(("one in a hundred with a live value", sparse.count, sparse.memory[OURS]))
    for what, count, (private, shared, _) in rows:
        total = (private + shared) / MB
        yield (f"memory beyond page cache, 1 M names, {what}", "< 30 MB",
               f"{total:.1f} MB{at(count, MILLION)}", total < 30, count == MILLION)


def print_bounds(sizes, sparse):
    rows = [*bound_against(sizes, "echo", 1.3), *bound_against(sizes, "Knot", 0.6), *bound_against(sizes, "NSD", 0.6),
            *bound_growth(sizes), *bound_random(sizes), *bound_updates(sizes), *bound_delay(sizes),
            *bound_start(sizes), *bound_memory(sizes, sparse)]
    print("## Bounds\n\nMedian of the rounds, in brackets the least and the most; ratios are taken within a round. "
          "(yes) and (no): measured at another size than the bound names.\n")
    print_head(["what", "bound", "measured", "met"], left=4)
    for what, bound, measured, met, *there in rows:
        text = ("" if bound == "none" else "cannot tell") if met is None else "yes" if met else "**no**"
        print_row([what, bound, measured, f"({text.strip('*')})" if there == [False] else text])
    print("\nNot measured here: what survives kill -9 and power cuts, and what is answered when the store fails. "
          "`make soak` does that.\n")


# ---- details ----


def milliseconds(seconds):
    return span([t * 1e3 for t in seconds], ".0f") if seconds else ""


def memory_cell(memory):
    return f"{(memory[0] + memory[1]) / MB:.1f} ({memory[0] / MB:.1f} + {memory[1] / MB:.1f})" if memory else ""


def print_sizes(sizes, sparse):
    print("## Sizes\n\nMemory: private to each process + shared, each byte once; without page cache, TLS off, before "
          "the updates and after them (with the delegates they registered).\n")
    print_head(["names", "with a live value", "import s", "names per s", "store MB", "start ms", "cold start ms",
                "index in service after ms", "memory MB", "memory after updates MB", "page tables MB"])
    for s in [*sizes, *([sparse] if sparse else [])]:
        memory = s.memory.get(OURS)
        print_row([number(s.count), number(s.live), f"{s.import_seconds:.2f}", number(s.count / s.import_seconds),
                   number(s.store_bytes / MB), milliseconds(s.starts), milliseconds(s.cold_starts),
                   "never" if s.index_seconds is None else number(s.index_seconds * 1e3), memory_cell(memory),
                   memory_cell(s.memory.get(f"{OURS}, after updates")), f"{memory[2] / MB:.1f}" if memory else ""])
    print("\nThe start is measured from exec to the first right answer over UDP, asked for every millisecond (rarer "
          "after a second).\n")


def query_cells(rows, echo):
    """What the table of queries shows of a server and a kind of names."""
    return [number(median(rows, "qps")), f"{median(rows, CPU):.2f}",
            f"{statistics.median(ratios(rows, echo, CPU)):.2f}" if echo else "", number(median(rows, "p50_us")),
            number(median(rows, "p99_us"))]


def print_queries(a, s):
    print(f"### {number(s.count)} names, {number(s.live)} with a live value\n")
    columns = ["CPU µs per query", "× echo", "p50 µs", "p99 µs"]
    print_head(["server", "**existing:** q/s", *columns, "**random:** q/s", *columns, "start ms", "memory MB"])
    for name in dict.fromkeys(name for name, _ in s.queries):
        cells = [query_cells(s.queries[name, kind], s.queries.get(("echo", kind))) for kind in KINDS]
        start = s.first_answer.get(name)
        print_row([name, *cells[0], *cells[1], number(start * 1e3) if start else "", memory_cell(s.memory.get(name))])
    if s.count > a.peer_names and {"Knot", "NSD"} & set(a.servers):
        print(f"\nKnot and NSD were left out above {number(a.peer_names)} names (`--peer-names`): they hold all names "
              "in memory, which a small machine does not have.")
    print()


def print_all_queries(a, sizes):
    print(f"## UDP TXT queries {'with' if a.edns else 'without'} EDNS\n\nOn loopback, {IN_FLIGHT} queries in flight, "
          "one worker or thread for each server, the load beside it. CPU is that of all processes of a server. "
          "Existing: names with a live value, in random order. Random: names that do not exist. "
          f"{plural(a.rounds, 'round')} of {a.seconds} s, servers taking turns.")
    if a.acme_dns:
        print("acme-dns is asked with 8 queries in flight: it reads its whole table for each. (Its configuration and "
              "database are made after its sources, and were tried with a stand-in only when this was written.)")
    print()
    for s in sizes:
        if s.queries:
            print_queries(a, s)


def print_update_rows(results):
    for (clients, every), rows in sorted(results.items()):
        cells = [""] * 5
        if clients:
            cells = [number(median(rows, "updates_per_s")),
                     number(median(rows, "registrations_per_s")) if every else "",
                     f"{median(rows, 'p50_us') / 1e3:.2f}", f"{median(rows, 'p99_us') / 1e3:.2f}",
                     "" if every else number(statistics.median(per_core(rows)))]
        delay = ratios(rows, results[0, 0], "dns_p99_us")
        print_row([f"{clients or 'none'}{', every other request registers' * bool(every)}", *cells,
                   number(median(rows, "dns_p50_us")), number(median(rows, "dns_p99_us")), span(delay, ".1f")])
    print()


def print_all_updates(a, sizes):
    done = [s for s in sizes if s.updates or s.acme_dns_updates]
    if not done:
        return
    print(f"## Updates\n\nDurable and authenticated, over plain HTTP with kept-alive connections, each client with its "
          f"own delegate and a new value each time; 2 000 DNS queries per second beside them (∞: "
          f"so many were not answered). {plural(a.update_rounds, 'round')} of {a.seconds + 1} s.\n")
    for s in done:
        for name, results in ((OURS, s.updates), ("acme-dns", s.acme_dns_updates)):
            if results:
                print(f"### {name}, {number(s.count)} names (fdatasync of 4 KiB: {s.sync_ms:.2f} ms)\n")
                if name != OURS:
                    print(f"With 200 DNS queries per second, and at most {ACME_DNS_CLIENTS} clients.\n")
                print_head(["update clients", "updates per s", "registrations per s", "p50 ms", "p99 ms",
                            "updates per CPU s", "DNS p50 µs", "DNS p99 µs", "DNS p99 × idle"])
                print_update_rows(results)


def print_report(a, folder, sizes, sparse):
    print("# acme-delegate: bench\n")
    print_machine(a, folder)
    print_noise(sizes)
    print_bounds(sizes, sparse)
    print_sizes(sizes, sparse)
    if any(s.queries for s in sizes):
        print_all_queries(a, sizes)
    print_all_updates(a, sizes)
