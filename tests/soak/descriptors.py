# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptors run out: with a small limit for each process, and floods of connections to DNS over TCP, DNS over TLS, the API
and the admin socket. DNS over UDP goes on, nobody spins, and when the flood is over all is as before."""

import contextlib
import os
import random
import shlex
import socket
import time

import dns.exception
import dns.rcode

import rawhttp
from checker import Load, Violation, end_well, harness
from figures import Figures

LIMIT = 64        # descriptors of each process, the least with which it starts
CPU_MAX = 0.5     # of one core, while nothing is asked



def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Flood:
    """Connections that are opened and then say nothing."""

    def __init__(self, connect, count):
        self.sockets = []
        for _ in range(count):
            try:
                self.sockets.append(connect())
            except OSError:
                pass  # the backlog is full: that is what is wanted

    def close(self):
        for s in self.sockets:
            s.close()


def tcp(port):
    def connect():
        s = socket.socket()
        s.settimeout(0.05)
        s.connect(("127.0.0.1", port))
        return s
    return connect


def admin(path):
    def connect():
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(0.05)
        s.connect(str(path))
        return s
    return connect


@contextlib.contextmanager
def limited(folder, limit=LIMIT):
    """Servers are started with the small limit meanwhile. (To lower it in a process that runs takes a capability.)"""
    real, wrapper = harness.BINARY, folder / "limited"
    wrapper.write_text(f"#!/bin/sh\nulimit -n {limit}\nexec {shlex.quote(str(real))} \"$@\"\n")
    wrapper.chmod(0o755)
    harness.BINARY = str(wrapper)
    try:
        yield
    finally:
        harness.BINARY = real


def doors(server):
    return {
        "DNS over TCP": (("dns0",), tcp(server.dns_port), lambda: server.query(harness.ZONE, "SOA", tcp=True, timeout=3)),
        "DNS over TLS": (("dot",), tcp(server.dot_port), lambda: server.stream(dot=True, timeout=3).close()),
        "API": (("api",), tcp(server.api_port), lambda: server.http("GET", "/health", timeout=3)),
        # Who holds its few places is there by right; the others are told to come again.
        "admin socket": (("keeper",), admin(server.admin_socket), None),
    }


def works(server, account):
    """Every door lets people in."""
    try:
        if server.http("GET", "/health", timeout=1).status != 200 or server.update(account, harness.value()).status != 200:
            return False
        if server.query(harness.ZONE, "SOA", tcp=True, timeout=1).rcode() != dns.rcode.NOERROR:
            return False
        with server.stream(dot=True, timeout=2):
            pass
        return server.operator("status").returncode == 0
    except (OSError, dns.exception.DNSException, rawhttp.Incomplete):
        return False


def flood_one(server, name, roles, connect, newcomer, seconds):
    pids = {role: pid for role, pid in server.children().items() if role in roles}
    flood = Flood(connect, 60)
    try:
        time.sleep(0.2)
        before = {role: cpu_seconds(pid) for role, pid in pids.items()}
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            if server.query(harness.ZONE, "SOA", timeout=1).rcode() != dns.rcode.NOERROR:
                raise Violation(f"{name} flooded: DNS over UDP")
            time.sleep(0.05)
        took = time.monotonic() - begun
        if newcomer:
            try:
                newcomer()
            except (OSError, dns.exception.DNSException, rawhttp.Incomplete) as error:
                raise Violation(f"{name} flooded: a newcomer is shut out ({error!r})") from None
        for role, pid in pids.items():
            if not harness.is_alive(pid):
                raise Violation(f"{name} flooded: {role} has ended")
            used = (cpu_seconds(pid) - before[role]) / took
            if used > CPU_MAX:
                raise Violation(f"{name} flooded: {role} spins, {used:.0%} of a core")
    finally:
        flood.close()


def too_few_are_refused():
    """A server that cannot work says so at its start."""
    server = harness.Server()
    try:
        with limited(server.folder, LIMIT - 1):
            done = harness.run("serve", "-c", server.config_path)
        if done.returncode != 2 or "LimitNOFILE" not in done.stderr:
            raise Violation(f"started with too few descriptors: {done.returncode}, {done.stderr}")
    finally:
        server.discard()


def run(o):
    f = Figures("descriptors")
    too_few_are_refused()
    rng = random.Random(o.seed)
    server = harness.Server(dot=True, dns={"workers": 1}, zone={"max_values": 2, "value_lifetime": "1d"})
    prober = None
    try:
        with limited(server.folder):
            server.start()
        account = server.register()
        # The load's writers keep connections of their own, so there are none here: only its prober is wanted.
        load = Load(server, writers=1)
        prober = load.prober
        prober.resume()
        while f.faults < o.count and not o.over():
            names = list(doors(server))
            rng.shuffle(names)
            for name in names:
                roles, connect, newcomer = doors(server)[name]
                flood_one(server, name, roles, connect, newcomer, 0.8 if o.quick else 3)
                f.faults += 1
                harness.poll(lambda: works(server, account), 10, f"all doors open again after {name} was flooded")
            load.judge_now()
            o.progress(f)
        prober.pause()
        f.queries, f.silence = prober.answered.value, prober.silence.value
        end_well(server, f, o)
    finally:
        if prober:
            prober.end()
        server.discard()
    return f
