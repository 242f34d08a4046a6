# SPDX-License-Identifier: GPL-3.0-or-later
"""A small internet in a network namespace: a root, top-level domains and a hoster, each a Knot DNS of its own, and
acme-delegate as the name server of auth.example.org. All addresses are on the loopback interface and look public,
because judges rightly find fault with others; nothing leaves the namespace."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import dns.exception
import dns.message
import dns.query
import dns.reversename

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))
import harness  # noqa: E402  the scenarios' server, configuration and API client

SBIN = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
PARENT, ZONE, USERS = "example.org", harness.ZONE, "example.com"

# [IPv4, IPv6] of each name server.
ROOT = ["198.41.0.4", "2001:503:ba3e::2:30"]
TLD = ["192.5.6.30", "2001:503:a83e::2:30"]
HOSTER = ["46.4.10.1", "2a01:4f8:10::1"]
NS1 = ["185.49.140.10", "2a04:b900:10::1"]
NS2 = ["91.198.174.20", "2620:0:862::20"]
RESOLVERS = ["127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14"]  # for the judges that are resolvers

TYPE_OF = {4: "A", 6: "AAAA"}


class JudgeError(Exception):
    """Something a person can act on; shown as one line."""


def program(name, package):
    path = shutil.which(name, path=SBIN)
    if not path:
        raise JudgeError(f"{name} is missing: run scripts/install-deps test, or apt-get install {package}")
    return path


def usable(addresses):
    """Those of an [IPv4, IPv6] pair that this system can use."""
    return [a for a, family in zip(addresses, (4, 6)) if family in harness.FAMILIES]


def address_records(owner, addresses):
    return [f"{owner} 3600 {TYPE_OF[f]} {a}" for a, f in zip(addresses, (4, 6)) if f in harness.FAMILIES]


def delegation(zone, servers):
    """NS records and their glue; servers: name -> addresses."""
    lines = [f"{zone}. 3600 NS {name}" for name in servers]
    for name, addresses in servers.items():
        lines += address_records(name, addresses)
    return lines


def apex(zone, mname, servers):
    origin = f"{zone}." if zone else "."
    return [f"{origin} 3600 SOA {mname} hostmaster.{mname} 1 14400 3600 1209600 300", *delegation(zone, servers)]


def reverse_name(address):
    return dns.reversename.from_address(address).to_text()


class Internet:
    """with Internet() as net: ... ; at the end no process and no file is left."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="acme-delegate-judge-"))
        self.folder.chmod(0o755)
        self.processes = []
        self.server = None

    def __enter__(self):
        for address in [*ROOT, *TLD, *HOSTER, *NS1, *NS2, *RESOLVERS]:  # named takes no others of 127/8
            if ":" not in address:
                subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
            elif 6 in harness.FAMILIES:
                subprocess.run(["ip", "addr", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)
        return self

    def __exit__(self, kind, error, trace):
        if kind and not issubclass(kind, KeyboardInterrupt):
            self.show_logs()
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.server:
            self.server.discard()
        if os.environ.get("KEEP") == "1":
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def show_logs(self):
        logs = [*sorted(self.folder.glob("*/log"))] + ([self.server.stderr_path] if self.server else [])
        for log in logs:
            lines = log.read_text(errors="replace").splitlines() if log.exists() else []
            if lines:
                print(f"--- end of the log {log.parent.name}/{log.name}", *lines[-8:], sep="\n", file=sys.stderr)

    def start(self, name, command, ready):
        """Starts a program with its output in <folder>/<name>/log and waits until ready() is true."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with open(folder / "log", "ab") as log:
            process = subprocess.Popen([str(c) for c in command], cwd=folder, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log)
        self.processes.append(process)

        def check():
            if process.poll() is not None:
                raise JudgeError(f"{name} ended with status {process.returncode}")
            return ready()

        harness.poll(check, 20, f"{name} answers")

    def answers(self, address, name, rdtype):
        """For start(): a resolver or name server gives data."""
        def check():
            try:
                reply = dns.query.udp(dns.message.make_query(name, rdtype, use_edns=0), address, timeout=1)
            except (OSError, dns.exception.DNSException):
                return False
            return bool(reply.answer)
        return check

    def authority(self, name, addresses, zones):
        """A Knot DNS; zones: name -> lines."""
        folder = self.folder / name
        folder.mkdir()
        config = ["server:", f"    rundir: {folder}", "    udp-workers: 1", "    tcp-workers: 1",
                  "    background-workers: 1", *(f"    listen: {a}@53" for a in usable(addresses)),
                  "database:", f"    storage: {folder}", "log:", "  - target: stderr", "    any: warning", "zone:"]
        for zone, lines in zones.items():
            path = folder / f"{zone or 'root'}.zone"
            path.write_text("\n".join(lines) + "\n")
            config += [f"  - domain: {zone}.", f"    file: {path}", "    zonefile-sync: -1",
                       "    journal-content: none"]
        (folder / "knot.conf").write_text("\n".join(config) + "\n")
        some_zone = f"{next(iter(zones))}."
        self.start(name, [program("knotd", "knot"), "-c", folder / "knot.conf"],
                   self.answers(addresses[0], some_zone, "SOA"))

    def parents(self, users, networks=()):
        """Everything above and beside us. `users`: lines of the zone example.com, `networks`: of zonemaster.net."""
        root = {"a.root-servers.net.": ROOT}
        tlds = {"org": {"ns.nic.org.": TLD}, "com": {"ns.nic.com.": TLD}, "net": {"ns.nic.net.": TLD},
                "arpa": {"ns.nic.net.": TLD}}
        hoster = {f"ns1.{PARENT}.": HOSTER}
        ours = {f"ns1.{ZONE}.": NS1, f"ns2.{ZONE}.": NS2}
        self.authority("root", ROOT, {
            "": [*apex("", "a.root-servers.net.", root),
                 *(line for tld, servers in tlds.items() for line in delegation(tld, servers))],
            "root-servers.net": apex("root-servers.net", "a.root-servers.net.", root)})
        pointers = [f"{reverse_name(a)} 3600 PTR {name}" for name, addresses in {**ours, **hoster}.items()
                    for a in addresses]
        self.authority("tld", TLD, {
            "org": [*apex("org", "ns.nic.org.", tlds["org"]), *delegation(PARENT, hoster)],
            "com": [*apex("com", "ns.nic.com.", tlds["com"]), f"{USERS}. 3600 NS ns1.{PARENT}."],
            "net": [*apex("net", "ns.nic.net.", tlds["net"]), *delegation("root-servers.net", root)],
            "zonemaster.net": [*apex("zonemaster.net", "ns.nic.net.", {"ns.nic.net.": []}), *networks],
            "arpa": [*apex("arpa", "ns.nic.net.", {"ns.nic.net.": []}), *pointers]})
        self.authority("hoster", HOSTER, {
            PARENT: [*apex(PARENT, f"ns1.{PARENT}.", hoster), *delegation(ZONE, ours),
                     f"{PARENT}. 3600 MX 10 ns1.{PARENT}."],  # of the zone's contact
            USERS: [*apex(USERS, f"ns1.{PARENT}.", {f"ns1.{PARENT}.": []}), *users]})
        lines = [". 3600 NS a.root-servers.net.", *address_records("a.root-servers.net.", ROOT)]
        self.hints = self.folder / "hints"
        self.hints.write_text("\n".join(lines) + "\n")

    def acme_delegate(self, zone=None, **changes):
        """Our server on the addresses that the parent names, not started yet."""
        listen = [f"[{a}]:53" if ":" in a else f"{a}:53" for a in [*usable(NS1), *usable(NS2)]]
        zone = {"nameservers": [{"name": f"ns1.{ZONE}", "addresses": usable(NS1)},
                                {"name": f"ns2.{ZONE}", "addresses": usable(NS2)}], **(zone or {})}
        # One address asks for a whole /24 of resolvers: what the limit does to floods has its own tests.
        changes = harness.merge({"dns": {"listen": listen, "rate_limit": {"responses_per_second": 0}}}, changes)
        if not has_accounts():
            changes["user"] = "root"
        self.server = Authority(zone=zone, **changes)
        return self.server


def has_accounts():
    """A user namespace made for this run may know one account only."""
    return any(int(line.split()[2]) > 65534 for line in pathlib.Path("/proc/self/uid_map").read_text().splitlines())


class Authority(harness.Server):
    """acme-delegate where its parent says that it is."""

    def ask(self, message, tcp=False, family=4, timeout=5, source=None):
        send = dns.query.tcp if tcp else dns.query.udp
        return send(message, NS1[0 if family == 4 else 1], timeout=timeout, source=source)


def main(judge):
    """Runs judge(internet) -> list of complaints, and turns what goes wrong into an exit status."""
    try:
        with Internet() as net:
            complaints = judge(net)
            if complaints:
                net.show_logs()
    except JudgeError as e:
        print(f"error: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    for text in complaints:
        print(f"FAILED  {text}")
    return 1 if complaints else 0
