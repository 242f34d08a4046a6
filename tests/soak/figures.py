# SPDX-License-Identifier: GPL-3.0-or-later
"""What a loop of faults has found, and the options it runs with."""

import time


class Figures:
    def __init__(self, name):
        self.name = name
        self.faults = self.acknowledged = self.refused = self.queries = self.failed = 0
        self.lost = []
        self.silence = None    # seconds; None: not measured
        self.note = ""
        self.error = None
        self.seconds = 0.0

    def take(self, load, lost):
        self.acknowledged += load.acknowledged()
        self.refused += load.refused()
        self.queries += load.prober.answered.value
        self.failed += load.prober.failed.value
        self.silence = max(self.silence or 0.0, load.prober.silence.value)
        self.lost += lost
        if lost:
            self.error = "; ".join(lost[:5])

    def passed(self):
        return not self.error and not self.lost


HEAD = f"{'':26} {'faults':>7} {'acknowledged':>12} {'refused':>8} {'lost':>5} {'queries':>8} {'silence':>8} {'time':>7}"


def row(f):
    silence = "-" if f.silence is None else f"{f.silence:.2f} s"
    return (f"{f.name:26} {f.faults:7} {f.acknowledged:12} {f.refused:8} {len(f.lost):5} {f.queries:8} {silence:>8} "
            f"{f.seconds:5.0f} s")


def table(all_figures):
    lines = [HEAD]
    for f in all_figures:
        lines.append(row(f) + ("" if f.passed() else "  FAILED"))
        if f.note:
            lines.append("    " + f.note)
        if f.error:
            lines += ["    " + line for line in f.error.splitlines()]
    return "\n".join(lines)


class Options:
    """How long and how hard. `over()`: the time given to this loop is used up."""

    def __init__(self, count, seconds, seed, quick, writers=8, slack=1.0, verbose=True):
        self.count, self.seconds, self.seed, self.quick, self.writers = count, seconds, seed, quick, writers
        self.slack = slack     # by how much a slow machine or a sanitizer may exceed a bound of time
        self.verbose = verbose
        self.begun = self.told = time.monotonic()

    def over(self):
        return time.monotonic() - self.begun > self.seconds

    def progress(self, f, load=None, extra=""):
        now = time.monotonic()
        if not self.verbose or now - self.told < 10:
            return
        self.told = now
        more = f", {load.acknowledged()} acknowledged, silence {load.prober.silence.value:.2f} s" if load else ""
        print(f"   {f.name}: {f.faults} of {self.count} after {now - self.begun:.0f} s{more} {extra}", flush=True)
