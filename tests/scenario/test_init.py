# SPDX-License-Identifier: GPL-3.0-or-later
"""The first configuration: by options, by questions on a terminal, and what the records it prints are good for."""

import grp
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import time

import dns.message
import dns.query
import pytest

import harness
from harness import IS_ROOT, environment, poll, run

OPTIONS = ["--yes", "--zone", "auth.example.org", "--address", "198.51.100.7", "--address", "2001:db8::7", "--tls", "proxy"]


def init(*args, **more):
    return run("init", *args, **more)


def written(path):
    done = run("config", "print", path)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_by_options(tmp_path):
    path = tmp_path / "acme-delegate.yaml"
    done = init(*OPTIONS, "--contact", "dns@example.net", "--registration", "closed", "--output", path)
    assert done.returncode == 0, done.stderr
    text = written(path)
    for expected in ("name: auth.example.org", "name: ns1.auth.example.org", 'addresses: [198.51.100.7, 2001:db8::7]',
                     "contact: dns@example.net", '"@ 3600 A 198.51.100.7"', '"@ 3600 AAAA 2001:db8::7"',
                     "url: https://auth.example.org", "mode: closed", "mode: off", 'listen: [0.0.0.0:53, "[::]:53"]',
                     "listen: [127.0.0.1:8080]", "trusted_proxies: [127.0.0.1/32]"):
        assert expected in text.replace("[127.0.0.1]", "[127.0.0.1/32]"), (expected, text)
    assert path.read_text().count("#") > 40, "commented, as the sample is"
    assert run("config", "check", path).returncode == 0
    assert "\nauth.example.org. 3600 IN NS ns1.auth.example.org.\nns1.auth.example.org. 3600 IN A 198.51.100.7\n" \
           "ns1.auth.example.org. 3600 IN AAAA 2001:db8::7\n" in done.stdout
    for port in ("53/udp", "53/tcp", "443/tcp"):
        assert port in done.stdout
    assert "\n_acme-challenge.shop.example.com. 3600 IN CNAME shop.auth.example.org.\n" in done.stdout
    assert "not reachable from the Internet" in done.stderr and "RFC 5737" in done.stderr


def test_the_certificate_comes_by_itself(tmp_path):
    """Without a word about TLS: from Let's Encrypt, and what that needs and says is printed."""
    path = tmp_path / "c.yaml"
    done = init("--yes", "--zone", "auth.example.org", "--address", "198.51.100.7", "--output", path)
    assert done.returncode == 0, done.stderr
    text, said = written(path), " ".join(done.stdout.split())
    assert "mode: acme" in text and "directory: https://acme-v02.api.letsencrypt.org/directory" in text
    assert re.search(r"listen: \[0\.0\.0\.0:443\]", text)
    assert re.search(r"out 443/tcp to the CA, and 53/udp, 53/tcp", said)
    for record in ('issue "letsencrypt.org; accounturi=...; validationmethods=dns-01"', 'issuewild ";"'):
        assert re.search(r"^  auth\.example\.org\. 300 IN CAA 0 " + re.escape(record) + "$", done.stdout, re.M), done.stdout
    for fact in ("Let's Encrypt", "terms of service", "before the records above are set in example.org", "tried again by itself"):
        assert fact in said, fact
    assert not re.search(r"^\S+ 300 IN CAA", done.stdout, re.M), "what nobody has to set is no line to copy"


def test_another_ca(tmp_path):
    path = tmp_path / "c.yaml"
    done = init("--yes", "--zone", "auth.example.org", "--address", "198.51.100.7", "--directory", "https://ca.example.net/dir",
                "--acme-contact", "tls@example.net", "--output", path)
    assert done.returncode == 0, done.stderr
    text = written(path)
    assert "directory: https://ca.example.net/dir" in text and "contact: tls@example.net" in text
    assert "https://ca.example.net/dir" in done.stdout and "letsencrypt" not in done.stdout
    refused = init("--yes", "--zone", "auth.example.org", "--address", "198.51.100.7", "--directory", "http://ca.example.net/dir",
                   "--output", tmp_path / "other.yaml")
    assert refused.returncode == 2 and "https://" in refused.stderr


@pytest.mark.parametrize("tls", ["files", "proxy"])
def test_a_certificate_from_elsewhere_has_a_caa_record_of_the_operators(tmp_path, tls):
    """Which is the one that `config check` asks for."""
    path = tmp_path / "c.yaml"
    done = init("--yes", "--zone", "auth.example.org", "--address", "198.51.100.7", "--tls", tls, "--output", path)
    assert done.returncode == 0, done.stderr
    record = re.search(r"^  (- '@ 300 CAA 0 issue \"letsencrypt.org\"')$", done.stdout, re.M)[1]
    assert "out 443" not in " ".join(done.stdout.split())
    assert "CAA" in run("config", "check", path).stderr
    text = path.read_text()
    old = '- "@ 3600 A 198.51.100.7"'
    if old not in text:
        old = "- @ 3600 A 198.51.100.7"
    assert text.count(old) == 1
    path.write_text(text.replace(old, old + "\n      " + record))
    assert "CAA" not in run("config", "check", path).stderr


def test_mode_of_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    assert init(*OPTIONS, "--output", path).returncode == 0
    try:
        group = grp.getgrnam("acme-delegate").gr_gid if IS_ROOT else None
    except KeyError:
        group = None
    st = path.stat()
    assert (st.st_mode & 0o777, st.st_uid) == (0o644 if group is None else 0o640, os.geteuid())
    assert group is None or st.st_gid == group
    assert [p.name for p in tmp_path.iterdir()] == ["c.yaml"], "nothing temporary is left"


def test_a_file_that_exists_is_kept(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("mine\n")
    done = init(*OPTIONS, "--output", path)
    assert done.returncode == 1 and "--force" in done.stderr and path.read_text() == "mine\n"
    assert init(*OPTIONS, "--output", path, "--force").returncode == 0
    assert "auth.example.org" in path.read_text()


def test_to_standard_output(tmp_path):
    done = init(*OPTIONS, "--output", "-")
    path = tmp_path / "c.yaml"
    path.write_text(done.stdout)
    assert done.returncode == 0 and "IN NS" in done.stderr and run("config", "check", path).returncode == 0


@pytest.mark.parametrize("change, what", [
    (["--zone", "auth_example"], "label"), (["--zone", "a..example.org"], "not a domain name"),
    (["--zone", "bücher.example.org"], "xn--"), (["--zone", 'a"b.example.org'], "not a domain name"),
    (["--zone", "{a: b}.example.org"], "not a domain name"),
    (["--address", "198.51.100"], "198.51.100"), (["--address", "ns1.example.org"], "not an IPv4 or IPv6 address"),
    (["--nameserver", "ns1.example.net=198.51.100.1"], "outside the zone"), (["--nameserver", "ns 1!"], "!"),
    (["--contact", "not a mail address"], "contact"), (["--url", "http://auth.example.org"], "https://"),
    (["--url", "https://auth.example.org:0"], "port"), (["--url", "https://a b"], "URL"), (["--tls", "maybe"], "acme, files, proxy"),
    (["--tls", "files", "--key", "key.pem"], "absolute"), (["--registration", "all"], "open, token, closed"),
    (["--key", "/key.pem"], "--tls"), (["--zone", ""], "empty")])
def test_a_wrong_answer_as_option(tmp_path, change, what):
    base = [*OPTIONS]
    if change[0] in ("--zone", "--tls"):
        at = base.index(change[0])
        del base[at:at + 2]
    if change[0] == "--address":
        del base[3:7]
    path = tmp_path / "c.yaml"
    done = init(*base, *change, "--output", path)
    assert done.returncode == 2 and what in done.stderr, done.stderr
    assert done.stderr.count("acme-delegate init:") == 1 and not list(tmp_path.iterdir())


def test_what_must_be_said():
    done = init("--yes", "--address", "198.51.100.7")
    assert done.returncode == 2 and "--zone is missing" in done.stderr


@pytest.mark.parametrize("typed", ["", "auth.example.org\n", "auth.example.org\n198.51.100.7\n\n"])
def test_the_input_ends(tmp_path, typed):
    done = subprocess.run([harness.BINARY, "init", "--output", str(tmp_path / "c.yaml")], input=typed, capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 2 and "the input ended" in done.stderr and "--yes" in done.stderr
    assert not list(tmp_path.iterdir())


def test_names_elsewhere(tmp_path):
    """A name server and an API outside the zone: their addresses are another zone's business."""
    path = tmp_path / "c.yaml"
    done = init(*OPTIONS, "--nameserver", "ns1.auth.example.org", "--nameserver", "ns2.auth.example.org=203.0.113.5",
                "--nameserver", "dns.example.net", "--url", "https://api.example.net:8443/acme", "--output", path)
    assert done.returncode == 0, done.stderr
    text = written(path)
    assert "ns2.auth.example.org\n        addresses: [203.0.113.5]" in text and "name: dns.example.net\n        addresses: []" in text
    assert "\nauth.example.org. 3600 IN NS dns.example.net.\n" in done.stdout
    assert "\ndns.example.net. 3600" not in done.stdout and "outside the zone" in done.stdout
    assert "\napi.example.net. 3600 IN A 198.51.100.7\n" in done.stdout and "8443/tcp" in done.stdout
    assert "@ 3600 A" not in text


class Terminal:
    """The program on a pseudo terminal, as somebody sits at it."""

    def __init__(self, *argv):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(harness.BINARY, [harness.BINARY, *argv], environment())
        self.text = ""

    def expect(self, what):
        deadline = time.monotonic() + 20
        while not re.search(what, self.text):
            assert time.monotonic() < deadline, f"no {what!r} in {self.text!r}"
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode()
                except OSError:
                    raise AssertionError(f"ended without {what!r}: {self.text!r}") from None
        seen, self.text = self.text, ""
        return seen

    def type(self, text):
        os.write(self.fd, text.encode() + b"\n")

    def wait(self):
        rest = ""
        try:
            while chunk := os.read(self.fd, 4096):
                rest += chunk.decode()
        except OSError:
            pass  # the other side is closed
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.text + rest


def test_by_questions(tmp_path):
    """Wrong answers are refused at once, and asked again; the default is what Enter gives."""
    path = tmp_path / "c.yaml"
    t = Terminal("init", "--output", str(path))
    t.expect(r"Zone: $")
    t.type("not a name.example")
    assert "not a domain name" in t.expect(r"Zone: $")
    t.type("Auth.Example.org.")
    t.expect(r"Addresses[^:]*: $")
    t.type("10.0.0.300")
    assert "not an IPv4" in t.expect(r"Addresses[^:]*: $")
    t.type("10.0.0.3, 192.0.2.5")
    assert "10.0.0.3 is not reachable from the Internet: private (RFC 1918)" in t.expect(r"Name servers \[ns1.auth.example.org\]: $")
    t.type("")
    t.expect(r"Contact \[hostmaster@example.org\]: $")
    t.type("me@")
    assert "contact" in t.expect(r"Contact [^:]*: $")
    t.type("")
    t.expect(r"URL \[https://auth.example.org\]: $")
    t.type("")
    t.expect(r"TLS \[\w+\]: $")
    t.type("files")
    t.expect(r"Certificate \[\S+\]: $")
    t.type("/nowhere/chain.pem")
    assert "No such file" in t.expect(r"Key \[\S+\]: $")
    t.type("")
    t.expect(r"Registration \[\w+\]: $")
    t.type("")
    status, rest = t.wait()
    assert status == 0, rest
    text = written(path)
    assert "certificate: /nowhere/chain.pem" in text and "contact: hostmaster@example.org" in text
    assert "addresses: [10.0.0.3, 192.0.2.5]" in text and "10.0.0.3" in rest


# ---- on a machine of its own


def in_network(*lines):
    """A shell script in a network and mount namespace of its own; its output."""
    script = "set -e; ip link set lo up; " + "; ".join(lines)
    done = subprocess.run(["unshare", "-n", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=60,
                          env=environment(PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.skipif(not IS_ROOT, reason="a network of its own needs root; CI runs this as root")
def test_addresses_of_the_machine(tmp_path):
    """Public ones are proposed; the private one, loopback and link-local are not."""
    done = in_network("ip addr add 185.49.140.10/24 dev lo", "ip addr add 10.1.2.3/8 dev lo",
                      "ip -6 addr add 2a04:b900::10/64 dev lo nodad", "ip -6 addr add fd00::10/64 dev lo nodad",
                      f"{harness.BINARY} init --yes --zone auth.example.org --tls proxy --output -")
    assert "addresses: [185.49.140.10, 2a04:b900::10]" in done.stdout and "warning" not in done.stderr
    done = in_network("ip addr add 10.1.2.3/8 dev lo",
                      f"! {harness.BINARY} init --yes --zone auth.example.org --tls proxy --output - 2>&1",
                      f"{harness.BINARY} init --zone auth.example.org --output - </dev/null 2>&1 || :")
    assert "--address is missing" in done.stdout and "10.1.2.3, private (RFC 1918)" in done.stdout


@pytest.mark.skipif(not IS_ROOT, reason="a network of its own needs root; CI runs this as root")
def test_port_53_of_another_address_is_taken(tmp_path):
    """As systemd-resolved does: the wildcard cannot be had any more, but the server's own addresses can."""
    holder = tmp_path / "holder.py"
    holder.write_text("import socket, subprocess, sys\n"
                      "s = [socket.socket(socket.AF_INET, t) for t in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]\n"
                      "[x.bind(('127.0.0.53', 53)) for x in s]\ns[1].listen()\n"
                      "sys.exit(subprocess.call(sys.argv[1:]))\n")
    done = in_network("ip addr add 185.49.140.10/24 dev lo",
                      f"/usr/bin/python3 {holder} {harness.BINARY} init --yes --zone auth.example.org --tls proxy --output -")
    assert "listen: [185.49.140.10:53]" in done.stdout and "systemd-resolved" in done.stderr


# What is printed for the parent goes into a parent zone as it is, and a resolver that knows only the root above it finds
# the server by it.
WORLD = """
ip addr add 198.41.0.4/32 dev lo; ip addr add 185.49.140.10/24 dev lo
{binary} init --yes --zone auth.example.org --address 185.49.140.10 --tls proxy --output - 2>{d}/said >{d}/unused
grep ' IN ' {d}/said | grep -v _acme-challenge >{d}/records
printf '%s\\n' '$TTL 3600' '. SOA a.root. h.root. 1 3600 600 86400 300' '. NS a.root.' 'a.root. A 198.41.0.4' >{d}/root.zone
cat {d}/records >>{d}/root.zone
printf 'server:\\n rundir: {d}/knot\\n listen: 198.41.0.4@53\\ndatabase:\\n storage: {d}/knot\\nzone:\\n - domain: .\\n   file: {d}/root.zone\\n   zonefile-sync: -1\\n   journal-content: none\\n' >{d}/knot.conf
mkdir {d}/knot {d}/store; chown {user} {d}/store
printf '. 3600 NS a.root.\\na.root. 3600 A 198.41.0.4\\n' >{d}/hints
printf 'server:\\n interface: 127.0.0.1\\n directory: "{d}"\\n chroot: ""\\n username: ""\\n pidfile: ""\\n use-syslog: no\\n root-hints: {d}/hints\\n do-not-query-localhost: no\\n module-config: "iterator"\\nremote-control:\\n control-enable: no\\n' >{d}/unbound.conf
exec /usr/bin/python3 {d}/world.py
"""

WORLD_PY = """
import subprocess, sys, time

def start(name, *command):
    procs.append(subprocess.Popen(command, stdout=open('{d}/' + name + '.log', 'wb'), stderr=subprocess.STDOUT))

def ask(name, kind):
    deadline = time.monotonic() + 20
    while True:
        out = subprocess.run(['dig', '+short', '+time=2', '+tries=1', '@127.0.0.1', name, kind], capture_output=True, text=True).stdout
        if out.strip() and not out.startswith(';') or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    print(name, kind, out.strip(), flush=True)

procs = []
try:
    start('knot', 'knotd', '-c', '{d}/knot.conf')
    start('unbound', '{d}/unbound', '-d', '-p', '-c', '{d}/unbound.conf')
    ask('.', 'SOA')
    # Now that others have port 53 it must listen on its own address only.
    subprocess.run(['{binary}', 'init', '--yes', '--zone', 'auth.example.org', '--address', '185.49.140.10', '--tls', 'proxy',
                    '--output', '{d}/c.yaml'], check=True)
    text = open('{d}/c.yaml').read()
    for old, new in (('path: /var/lib/acme-delegate', 'path: {d}/store'), ('# user: acme-delegate', 'user: {user}'),
                     ('# socket: /run/acme-delegate', 'socket: {d}/store')):
        assert old in text
        text = text.replace(old, new)
    open('{d}/c.yaml', 'w').write(text)
    start('server', '{binary}', 'serve', '-c', '{d}/c.yaml')
    for name, kind in (('auth.example.org', 'SOA'), ('auth.example.org', 'A'), ('ns1.auth.example.org', 'A')):
        ask(name, kind)
finally:
    for p in procs:
        p.terminate()
    for p in procs:
        p.wait(20)
"""


@pytest.mark.skipif(not IS_ROOT, reason="a network of its own needs root; CI runs this as root")
def test_the_printed_records_lead_to_the_server(folder):
    folder.chmod(0o755)
    values = {"d": folder, "binary": harness.BINARY, "user": harness.USER}
    shutil.copy(shutil.which("unbound", path="/usr/sbin:/usr/bin"), folder / "unbound")  # AppArmor ties the other to /etc
    (folder / "world.py").write_text(WORLD_PY.format(**values))
    done = in_network(*[line for line in WORLD.format(**values).strip().splitlines()])
    logs = "".join(p.read_text() for p in sorted(folder.glob("*.log")))
    assert "auth.example.org SOA ns1.auth.example.org. hostmaster.example.org." in done.stdout, (done.stdout, logs)
    assert "auth.example.org A 185.49.140.10" in done.stdout and "ns1.auth.example.org A 185.49.140.10" in done.stdout
