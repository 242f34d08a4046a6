# SPDX-License-Identifier: GPL-3.0-or-later
"""Real resolvers as judges: Unbound, BIND, Knot Resolver and PowerDNS Recursor, each iterating from the root, ask for
1 000 delegates and for the users' names that lead there, before and after updates. Nothing may fail, and a value must
be seen as soon as what was cached before has run out.

What may be cached when the 200 arrives, and so for how long the old state may still be seen:
* No TXT query before the first update: nothing. That other types do not exist was cached for those types alone
  (RFC 2308 section 5: NODATA belongs to QNAME, QTYPE and QCLASS; only NXDOMAIN would hide every type).
* A TXT query before the first update: its NODATA, for the TTL of the SOA in it, negative_ttl.
* Later updates: the set itself, for its TTL, value_ttl.
A second comes on top, because resolvers count in whole seconds, and a tenth, because they take the time from their
event loop: once for all queries that had arrived by then.

Environment: JUDGE_SEED (default: drawn and printed), JUDGE_DELEGATES (default 1000), KEEP=1."""

import concurrent.futures
import dataclasses
import heapq
import multiprocessing
import os
import random
import re
import select
import socket
import struct
import subprocess
import sys
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

import internet
from internet import USERS, ZONE, harness, program

VALUE_TTL, NEGATIVE_TTL, MAX_VALUES = 1, 5, 2
GRACE, LAG = 1.0, 0.1  # seconds, see above
TYPES = ["SOA", "A", "CNAME", "NS", "AAAA", "CAA", "TXT"]
WINDOW = 48  # queries in flight per resolver
TIMEOUT, TRIES = 3.0, 3  # as stub resolvers do it
WORKERS = 8  # clients of the API at once
SHOWN = 5  # failures printed for each resolver and step
OWN_ZONE = dns.name.from_text(ZONE)


# ---- resolvers


@dataclasses.dataclass
class Resolver:
    name: str
    address: str
    version: str


VERSION = re.compile(r"\d+\.\d+\.\d+")


def version(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    return VERSION.search(done.stdout + done.stderr).group()


def numbers(text):
    return tuple(int(n) for n in text.split("."))


def copied(net, path):
    """A copy of a program: Debian's AppArmor profiles tie the ones in /usr/sbin to the folders in /etc and /var."""
    copy = net.folder / os.path.basename(path)
    if not copy.exists():
        copy.write_bytes(open(path, "rb").read())
        copy.chmod(0o755)
    return copy


def start(net, resolver, command):
    net.start(resolver.name, command, net.answers(resolver.address, f"www.{USERS}", "A"))
    return resolver


def start_unbound(net, address):
    path = program("unbound", "unbound")
    resolver = Resolver("Unbound", address, version(path, "-V"))
    hardened = ["glue", "below-nxdomain", "dnssec-stripped", "referral-path", "algo-downgrade", "short-bufsize",
                "large-queries"]
    if numbers(resolver.version) >= (1, 19, 0):
        hardened.append("unknown-additional")
    config = net.folder / "unbound.conf"
    lines = [f"interface: {address}", f'directory: "{net.folder}"', 'chroot: ""', 'username: ""', 'pidfile: ""',
             "use-syslog: no", "num-threads: 1", 'module-config: "iterator"', f'root-hints: "{net.hints}"',
             f"do-ip6: {'yes' if 6 in harness.FAMILIES else 'no'}", "do-not-query-localhost: no",
             "use-caps-for-id: yes", "qname-minimisation: yes", "qname-minimisation-strict: yes", "log-servfail: yes",
             "edns-buffer-size: 1232", *(f"harden-{what}: yes" for what in hardened)]
    config.write_text("server:\n" + "".join(f"  {line}\n" for line in lines) +
                      "remote-control:\n  control-enable: no\n")
    return start(net, resolver, [copied(net, path), "-d", "-p", "-c", config])


def start_bind(net, address):
    path = program("named", "bind9")
    config = net.folder / "named.conf"
    config.write_text(f"""\
options {{
    directory "{net.folder}";
    listen-on {{ {address}; }};
    listen-on-v6 {{ none; }};
    dnssec-validation no;
    qname-minimization strict;
    allow-query {{ any; }};
    allow-recursion {{ any; }};
    empty-zones-enable no;
    session-keyfile none;
    pid-file none;
    max-cache-size 100M;
}};
controls {{ }};
zone "." {{ type hint; file "{net.hints}"; }};
""")
    return start(net, Resolver("BIND", address, version(path, "-v")), [copied(net, path), "-g", "-n", 1, "-c", config])


def start_knot_resolver(net, address):
    path = program("kresd", "knot-resolver")
    roots = ", ".join(f"'{a}'" for a in internet.usable(internet.ROOT))
    config = net.folder / "kresd.conf"
    # min_ttl: by default it keeps everything for at least 5 seconds, and the bound to be tested is ours.
    config.write_text(f"""\
net.listen('{address}', 53, {{ kind = 'dns' }})
net.ipv6 = {'true' if 6 in harness.FAMILIES else 'false'}
trust_anchors.remove('.')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
hints.root({{ ['a.root-servers.net.'] = {{ {roots} }} }})
cache.size = 50 * MB
cache.min_ttl(0)
""")
    config.write_text("modules.load('hints > iterate')\n" + config.read_text())
    folder = net.folder / "kresd"
    folder.mkdir()
    resolver = Resolver("Knot Resolver", address, version(path, "--version"))
    return start(net, resolver, [path, "-n", "-c", config, folder])


def start_powerdns(net, address):
    path = program("pdns_recursor", "pdns-recursor")
    resolver = Resolver("PowerDNS Recursor", address, version(path, "--version"))
    folder = net.folder / "pdns"
    folder.mkdir()
    sources = ["0.0.0.0", "::"][:len(harness.FAMILIES)]
    if numbers(resolver.version) >= (5, 0, 0):  # YAML; 4.8 does not know it, 5.2 nothing else by default
        (folder / "recursor.yml").write_text(harness.to_yaml({
            "incoming": {"listen": [address]},
            "outgoing": {"source_address": sources, "dont_query": ["0.0.0.0/32"]},
            "dnssec": {"validation": "off"},
            "recursor": {"hint_file": str(net.hints), "socket_dir": str(folder), "threads": 1,
                         "security_poll_suffix": ""},
        }) + "\n")
    else:
        (folder / "recursor.conf").write_text("".join(f"{line}\n" for line in [
            f"local-address={address}", f"query-local-address={', '.join(sources)}", "dont-query=", "dnssec=off",
            f"hint-file={net.hints}", f"socket-dir={folder}", "threads=1", "security-poll-suffix=", "write-pid=no",
            "setuid=0", "setgid=0"]))
    return start(net, resolver, [path, f"--config-dir={folder}", "--daemon=no", "--disable-syslog"])


STARTERS = [start_unbound, start_bind, start_knot_resolver, start_powerdns]


# ---- questions and what must come back


@dataclasses.dataclass
class Question:
    """`values` None: there is no such name. What the resolver may say is judged in the functions below."""
    name: str
    rdtype: str
    values: list = None
    target: str = None  # of the CNAME that the name is
    old: list = None  # values that may be seen until `deadline`
    updated: float = 0.0  # when the 200 came
    deadline: float = 0.0
    wire: bytes = None


def encode(question):
    query = dns.message.make_query(question.name, question.rdtype, use_edns=0, payload=1232)
    return query.to_wire()[2:]


def expected_types(q, values):
    """Types of the sets in a right answer section."""
    found = [dns.rdatatype.CNAME] if q.target else []
    if values and q.rdtype == "TXT":
        found.append(dns.rdatatype.TXT)
    return found


def wrong_ttl(reply):
    """Caches count down from our TTLs, so nobody may see larger ones."""
    for rrset in reply.answer:
        if rrset.rdtype == dns.rdatatype.TXT and rrset.ttl > VALUE_TTL:
            return f"TTL of the values is {rrset.ttl}"
    for rrset in reply.authority:
        if rrset.rdtype == dns.rdatatype.SOA and rrset.name == OWN_ZONE and rrset.ttl > NEGATIVE_TTL:
            return f"TTL of the SOA is {rrset.ttl}"
    return None


def fault(reply, q, values):
    """What is wrong with a reply if these are the values, or None."""
    rcode = dns.rcode.NXDOMAIN if values is None else dns.rcode.NOERROR
    if reply.rcode() != rcode:
        return f"{dns.rcode.to_text(reply.rcode())} instead of {dns.rcode.to_text(rcode)}"
    if reply.flags & dns.flags.TC:
        return "truncated"
    if [r.rdtype for r in reply.answer] != expected_types(q, values):
        return f"answer {[r.to_text() for r in reply.answer]}"
    if q.target and reply.answer[0][0].target != dns.name.from_text(q.target):
        return f"CNAME to {reply.answer[0][0].target}"
    if values and q.rdtype == "TXT" and sorted(harness.txt_of(reply)) != sorted(values):
        return f"values {harness.txt_of(reply)} instead of {values}"
    return wrong_ttl(reply)


class Run:
    """Asks one resolver many questions, WINDOW at a time; a question may be put off and asked again."""

    def __init__(self, address, questions, seed):
        self.random = random.Random(seed)
        self.questions = questions
        self.due = [(0.0, i) for i in range(len(questions))]  # (when, index), a heap
        self.flying = {}  # id -> (index, sent first, sent last, tries)
        self.asked = self.again = 0
        self.failures = []
        self.delays = []  # seconds between a 200 and the first sight of the value
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.connect((address, 53))

    def fail(self, q, why):
        self.failures.append(f"{q.name} {q.rdtype}: {why}")

    def send(self, index, first, tries):
        q = self.questions[index]
        if q.wire is None:
            q.wire = encode(q)
        number = self.random.randrange(65536)
        while number in self.flying:
            number = self.random.randrange(65536)
        now = time.monotonic()
        self.flying[number] = (index, first or now, now, tries)
        self.socket.send(struct.pack("!H", number) + q.wire)
        self.asked += 1

    def judge(self, index, sent, reply):
        q = self.questions[index]
        why = fault(reply, q, q.values)
        if why is None:
            if q.updated:
                self.delays.append(time.monotonic() - q.updated)
        elif sent < q.deadline and fault(reply, q, q.old) is None:
            later = time.monotonic() + self.random.uniform(0.1, 0.8)
            heapq.heappush(self.due, (min(later, max(q.deadline, time.monotonic())), index))
        elif q.updated:
            bound = q.deadline - q.updated
            self.fail(q, f"{why}, asked {sent - q.updated:.2f} s after the update, bound {bound:.1f} s")
        else:
            self.fail(q, why)

    def receive(self):
        while True:
            try:
                wire = self.socket.recv(65535, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            entry = self.flying.pop(int.from_bytes(wire[:2], "big"), None)
            if entry is None:
                continue  # the answer to an earlier try
            try:
                self.judge(entry[0], entry[1], dns.message.from_wire(wire))
            except dns.exception.DNSException as e:
                self.fail(self.questions[entry[0]], f"malformed reply: {e}")

    def give_up_old(self, now):
        for number, (index, first, last, tries) in list(self.flying.items()):
            if now - last < TIMEOUT:
                continue
            del self.flying[number]
            if tries == TRIES:
                self.fail(self.questions[index], f"no reply to {TRIES} queries")
            else:
                self.again += 1
                self.send(index, first, tries + 1)

    def run(self):
        checked = time.monotonic()
        while self.due or self.flying:
            now = time.monotonic()
            while self.due and len(self.flying) < WINDOW and self.due[0][0] <= now:
                self.send(heapq.heappop(self.due)[1], None, 1)
            wait = 0.2 if not self.due or len(self.flying) >= WINDOW else max(0.0, min(0.2, self.due[0][0] - now))
            select.select([self.socket], [], [], wait)
            self.receive()
            if now - checked > 0.2:
                checked = now
                self.give_up_old(now)
        self.socket.close()
        return self


def ask_one(work):
    """In a process of its own: (asked, asked again, failures, delays)."""
    address, questions, seed = work
    run = Run(address, questions, seed).run()
    return run.asked, run.again, run.failures, run.delays


# ---- the story


class Delegate:
    def __init__(self, number, account):
        self.account = account
        self.name = account["fulldomain"] + "."
        self.alias = f"_acme-challenge.host{number}.{USERS}."
        self.values = []
        self.old = []
        self.updated = 0.0

    def question(self, rdtype, alias, **kw):
        if alias:
            return Question(self.alias, rdtype, self.values, self.name, **kw)
        return Question(self.name, rdtype, self.values, **kw)


class Matrix:
    def __init__(self, net, seed, count):
        self.net = net
        self.random = random.Random(seed)
        self.server = net.acme_delegate(
            zone={"value_ttl": VALUE_TTL, "negative_ttl": NEGATIVE_TTL, "max_values": MAX_VALUES}).start()
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            accounts = list(pool.map(lambda _: self.server.register(), range(count)))
        self.delegates = [Delegate(i, account) for i, account in enumerate(accounts)]
        half = count // 2
        self.asked, self.unasked = self.delegates[:half], self.delegates[half:]  # for TXT before the first update
        self.resolvers = []
        self.complaints = []
        self.total = 0
        self.pool = None

    def start_resolvers(self):
        for starter, address in zip(STARTERS, internet.RESOLVERS):
            resolver = starter(self.net, address)
            self.resolvers.append(resolver)
            print(f"   {resolver.name:18} {resolver.address}  {resolver.version}")
        self.pool = multiprocessing.get_context("fork").Pool(len(self.resolvers))

    def ask(self, title, make):
        """All resolvers at once, each in its own order; make() -> questions."""
        work = []
        for resolver in self.resolvers:
            questions = make()
            self.random.shuffle(questions)
            work.append((resolver.address, questions, self.random.random()))
        begin = time.monotonic()
        results = self.pool.map(ask_one, work, 1)
        print(f"\n{title} ({time.monotonic() - begin:.1f} s)", flush=True)
        for resolver, result in zip(self.resolvers, results):
            self.report(title, resolver, *result)

    def report(self, title, resolver, asked, again, failures, delays):
        self.total += asked
        line = f"   {resolver.name:18} {asked:6} queries, {again} repeated, {len(failures)} failures"
        if delays:
            delays.sort()
            line += f"; seen after {delays[len(delays) // 2]:.2f} s (median), {delays[-1]:.2f} s (last)"
        print(line)
        for text in failures[:SHOWN]:
            print(f"      {text}")
        if failures:
            self.complaints.append(f"{resolver.name}: {title}: {len(failures)} of {asked} queries")

    def unknown_names(self):
        """Names that do not exist, some of them close to ones that do."""
        names = []
        for d in self.random.sample(self.delegates, len(self.delegates) // 2):
            label, _, rest = d.name.partition(".")
            names += [f"_acme-challenge.{d.name}", f"{label}x.{rest}", f"{label[:-1]}.{rest}", f"{label}.foo.{rest}"]
        names += [f"unknown{self.random.randrange(10**9)}.{ZONE}." for _ in self.delegates]
        return [Question(name, self.random.choice(TYPES)) for name in names]

    def static_names(self):
        ent = [Question(f"{name}.{ZONE}.", t, []) for name in ("ent", "b.ent") for t in TYPES]
        return ent + [Question(f"leaf.b.ent.{ZONE}.", t, []) for t in TYPES if t != "TXT"]

    def everything(self, without_txt=()):
        """Every type of every delegate and alias, among names that do not exist."""
        without_txt = set(without_txt)
        questions = [d.question(t, alias) for d in self.delegates for t in TYPES for alias in (False, True)
                     if t != "TXT" or d not in without_txt]
        return questions + self.unknown_names() + self.static_names()

    def txt(self, delegates):
        return [d.question("TXT", self.random.random() < 0.5) for d in delegates]

    def change(self, d, withdraw=False):
        value = d.values[0] if withdraw else harness.value()
        if withdraw:
            body = f'{{"fqdn": "{d.name}", "value": "{value}"}}'
            response = self.server.http("POST", "/cleanup", body, harness.basic_credentials(d.account))
        else:
            response = self.server.update(d.account, value)
        d.updated = time.monotonic()
        if response.status != 200:
            raise internet.JudgeError(f"the API says {response}")
        d.old = d.values
        # The oldest makes room.
        d.values = [v for v in d.values if v != value] if withdraw else (d.values + [value])[-MAX_VALUES:]

    def change_all(self, **kw):
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda d: self.change(d, **kw), self.delegates))
        return time.monotonic() - begin

    def seen(self, delegates, ttl):
        """The new values, `ttl` being that of what may be cached; None: nothing of it is."""
        return [d.question("TXT", self.random.random() < 0.5, old=d.old, updated=d.updated,
                           deadline=d.updated + ttl + GRACE + LAG if ttl else d.updated) for d in delegates]

    def update(self, what, ttl, **kw):
        self.ask(f"{what}: TXT just before", lambda: self.txt(self.delegates))
        took = self.change_all(**kw)
        self.ask(f"{what}, made within {took:.1f} s: bound {ttl} s + {GRACE:.0f} s",
                 lambda: self.seen(self.delegates, ttl))

    def first_update(self):
        self.ask("First update: TXT just before, one half of the delegates", lambda: self.txt(self.asked))
        took = self.change_all()
        # Those of which nothing can be cached first: they must be right at once.
        self.ask(f"First update, made within {took:.1f} s, the other half: nothing cached, bound 0 s",
                 lambda: self.seen(self.unasked, None))
        self.ask(f"First update, the half whose NODATA is cached: bound {NEGATIVE_TTL} s + {GRACE:.0f} s",
                 lambda: self.seen(self.asked, NEGATIVE_TTL))

    def run(self):
        self.ask("Before the first update, random order", lambda: self.everything(self.unasked))
        self.first_update()
        self.ask("After the first update, random order", self.everything)
        self.update("Second update (two values)", VALUE_TTL)
        self.update("Third update (the oldest makes room)", VALUE_TTL)
        self.update("Withdrawal of one value", VALUE_TTL, withdraw=True)
        self.update("Withdrawal of the other", VALUE_TTL, withdraw=True)
        self.server.stop()
        print(f"\n{self.total} queries to {len(self.resolvers)} resolvers")
        return self.complaints


def judge(net):
    seed = int(os.environ.get("JUDGE_SEED") or random.SystemRandom().randrange(10**9))
    count = int(os.environ.get("JUDGE_DELEGATES") or 1000)
    print(f"Resolvers from the root to {count} delegates, over IPv{' and IPv'.join(map(str, harness.FAMILIES))}; "
          f"seed {seed} (JUDGE_SEED)")
    matrix = Matrix(net, seed, count)
    net.parents([f"www.{USERS}. 60 A 46.4.10.2",
                 *(f"{d.alias} 3600 CNAME {d.name}" for d in matrix.delegates)])
    matrix.start_resolvers()
    try:
        return matrix.run()
    finally:
        matrix.pool.terminate()


if __name__ == "__main__":
    sys.exit(internet.main(judge))
