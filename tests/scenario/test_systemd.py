# SPDX-License-Identifier: GPL-3.0-or-later
"""The units in contrib/systemd: how much they leave a service, and that what they leave is enough for ours. There is no
systemd running where tests run, so its own tools judge the files, and strace shows what calls the server makes."""

import os
import pwd
import re
import signal
import socket
import subprocess

import pytest

import harness
from harness import FAMILIES, IS_ROOT, ROOT, USER, poll
from test_activation import bound, serves_everything

UNITS = ROOT / "contrib" / "systemd"
SERVICE = UNITS / "acme-delegate.service"
GENERATOR = UNITS / "acme-delegate-generator"
DROP_IN = UNITS / "bind-by-itself.conf"


def settings(*files):
    """All lines "key=value" of units, in order."""
    lines = [line for file in files for line in file.read_text().splitlines() if not line.startswith(("#", "["))]
    return [tuple(line.split("=", 1)) for line in lines if "=" in line]


def exposure(path):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", path], capture_output=True, text=True, timeout=60)
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1])


def test_exposure():
    assert exposure(SERVICE) <= 1.3


def test_the_package_installs_that_unit_and_the_generator():
    """tests/systemd looks at what systemd makes of them."""
    rules = (ROOT / "debian" / "rules").read_text()
    assert "cp contrib/systemd/acme-delegate.service debian/" in rules and DROP_IN.name not in rules


def test_exposure_of_a_server_that_binds_its_ports(folder):
    path = folder / "acme-delegate.service"
    path.write_text(SERVICE.read_text().replace("[Install]", DROP_IN.read_text().split("[Service]")[1] + "[Install]"))
    assert 1.3 < exposure(path) <= 1.7  # that it is more shows that the tool has read it


# ---- the generator


CONFIGURATION = """zones:
  - name: auth.example.org
    nameservers:
      - name: ns1.auth.example.org
        addresses: [198.51.100.7]
dns:
  listen: [198.51.100.7:53, "[2001:db8::7]:53"]
  workers: 3
  tls_listen: ["198.51.100.7:853"]
api:
  listen: [198.51.100.7:443, "[2001:db8::7]:443"]
  url: https://auth.example.org
  tls: {mode: acme}
metrics: {listen: ["127.0.0.1:9153"]}
"""


def generate(folder, configuration):
    """Runs the generator as systemd does; the unit, or None."""
    path, out = folder / "acme-delegate.yaml", folder / "generated"
    out.mkdir()
    if configuration is not None:
        path.write_text(configuration)
    env = harness.environment(ACME_DELEGATE_CONFIGURATION=str(path), ACME_DELEGATE_PROGRAM=harness.BINARY)
    done = subprocess.run([GENERATOR, out, folder / "early", folder / "late"], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and not done.stdout + done.stderr
    made = [p for p in out.rglob("*") if p.is_file()]
    assert set(made) <= {out / "acme-delegate.socket", out / "acme-delegate.service.d" / "admin-group.conf"}
    return out / "acme-delegate.socket" if made else None


def test_systemd_understands_the_units(folder):
    text = re.sub(r"^(Documentation|ConditionPathExists)=.*\n", "", SERVICE.read_text(), flags=re.M)
    service = folder / SERVICE.name
    service.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={harness.BINARY}", text, flags=re.M))
    sockets = generate(folder, CONFIGURATION)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", service, sockets], capture_output=True, text=True, timeout=60)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "acme-delegate." in line]
    assert not ours and done.returncode == 0, done


def test_sockets_are_those_of_the_configuration(folder):
    """A socket of its own for each worker; everything else once."""
    unit = settings(generate(folder, CONFIGURATION))
    dns = ["198.51.100.7:53", "[2001:db8::7]:53"]
    others = ["198.51.100.7:853", "198.51.100.7:443", "[2001:db8::7]:443", "127.0.0.1:9153"]
    assert sorted(value for key, value in unit if key == "ListenDatagram") == sorted(3 * dns)
    assert sorted(value for key, value in unit if key == "ListenStream") == sorted(3 * dns + others)
    # systemd.socket(5): without these it could not be bound, or IPv6 would take IPv4, too.
    assert {("ReusePort", "yes"), ("BindIPv6Only", "ipv6-only")} <= set(unit)
    # A query must not start a server that is stopped for a restore.
    assert ("StopPropagatedFrom", "acme-delegate.service") in unit
    assert ("SourcePath", str(folder / "acme-delegate.yaml")) in unit


def test_a_group_of_operators(folder):
    """systemd gives the admin socket to the group, for the service may not; who of them asks must be known to it."""
    unit = generate(folder, CONFIGURATION + "admin: {group: ops, socket: /run/acme-delegate/admin.sock}\n")
    assert {("ListenSequentialPacket", "/run/acme-delegate/admin.sock"), ("SocketUser", "acme-delegate"), ("SocketGroup", "ops"),
            ("SocketMode", "0660")} <= set(settings(unit))
    drop_in = unit.parent / "acme-delegate.service.d" / "admin-group.conf"
    assert settings(drop_in) == [("PrivateUsers", "no")]


def test_as_many_workers_as_cores(folder):
    unit = settings(generate(folder, CONFIGURATION.replace("workers: 3", "workers: 0")))
    cores = len(os.sched_getaffinity(0))
    assert sum(setting == ("ListenDatagram", "198.51.100.7:53") for setting in unit) == cores


@pytest.mark.parametrize("configuration", [None, "", CONFIGURATION + "no_such_key: 1\n", "\0"])
def test_nothing_is_generated_without_a_good_configuration(folder, configuration):
    assert generate(folder, configuration) is None


# ---- system calls


def groups():
    """The groups of systemd's filters: name -> members, which may be groups."""
    out = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, timeout=60).stdout
    found, name = {}, None
    for line in out.splitlines():
        word = line.split("#")[0].strip()
        if line.startswith("@"):
            name = word
            found[name] = set()
        elif word and name:
            found[name].add(word)
    return found


def expand(word, known):
    if not word.startswith("@"):
        return {word}
    return set().union(*(expand(member, known) for member in known[word]))


def allowed_calls(*files):
    """As systemd.exec(5) says: the first line is an allow list, "~" takes away."""
    known, calls = groups(), set()
    for value in (value for key, value in settings(*files) if key == "SystemCallFilter"):
        words = set().union(*(expand(word, known) for word in value.lstrip("~").split()))
        calls = calls - words if value.startswith("~") else calls | words
    return calls


# The kernel's own and the loader's: systemd leaves them to everybody, or they are made before the filter is there.
STARTING = {"execve"}


def trace(one, folder, as_account):
    """Starts the server under strace, with its DNS and API sockets passed; returns them."""
    sockets = [bound(f, kind, port) for f in FAMILIES
               for kind, port in ((socket.SOCK_DGRAM, one.dns_port), (socket.SOCK_STREAM, one.dns_port),
                                  (socket.SOCK_STREAM, one.api_port))]

    def place():
        high = [os.dup2(s.fileno(), 200 + i) for i, s in enumerate(sockets)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i, inheritable=True)

    identity = {}
    if IS_ROOT and as_account:
        account = pwd.getpwnam(USER)
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    env = harness.environment(ASAN_OPTIONS="detect_leaks=0", LISTEN_FDS=str(len(sockets)))
    with open(one.stderr_path, "ab") as stderr:
        one.process = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", str(folder / "trace"), "/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"',
             harness.BINARY, "serve", "-c", str(one.config_path)], stdin=subprocess.DEVNULL, stdout=stderr,
            stderr=stderr, env=env, preexec_fn=place, pass_fds=range(3, 3 + len(sockets)), **identity)
    return sockets


def answers(one):
    try:
        return one.http("GET", "/health", timeout=1).status == 200
    except (OSError, harness.rawhttp.Incomplete):
        return False


def calls_made(text):
    """Those of the server: the shell that started it has made others."""
    server = text[text.index(os.path.basename(harness.BINARY)):]
    return set(re.findall(r"^\d+ +(\w+)\(", server, re.M)) - STARTING


def test_the_unit_allows_what_the_server_calls(make_server, folder):
    """From its start, without any privilege, through a reload to its end."""
    one = make_server()
    sockets = trace(one, folder, as_account=True)
    try:
        poll(lambda: answers(one), 30, "ready under strace: " + one.stderr())
        main = next(pid for pid, name in harness.children_of(one.process.pid) if name == "acme-delegate")
        serves_everything(one)
        before = {pid for pid, _ in harness.children_of(main)}
        os.kill(main, signal.SIGHUP)
        poll(lambda: not before & {pid for pid, _ in harness.children_of(main)}, 20, "all replaced")
        poll(lambda: answers(one), 20, "ready again")
        os.kill(main, signal.SIGTERM)
        one.process.wait(30)
    finally:
        for s in sockets:
            s.close()
    made = calls_made((folder / "trace").read_text(errors="replace"))
    assert {"recvmmsg", "landlock_restrict_self", "seccomp", "fdatasync"} <= made
    allowed = allowed_calls(SERVICE)
    assert "open_by_handle_at" not in allowed and "mount" not in allowed and "capset" not in allowed
    refused = made - allowed
    assert not refused


@pytest.mark.skipif(not IS_ROOT, reason="capabilities have to be given")
def test_the_drop_in_allows_giving_up_the_capability():
    assert "capset" in allowed_calls(SERVICE, DROP_IN)
