# SPDX-License-Identifier: GPL-3.0-or-later
"""Under a service manager: sockets that it passes (sd_listen_fds(3)) and what it is told (sd_notify(3)). Both protocols are
spoken here by the test, as their manual pages describe them, and once by systemd-socket-activate."""

import os
import re
import select
import signal
import socket
import struct
import subprocess
import time

import pytest

import harness
from harness import FAMILIES, IS_ROOT, LOOPBACK, ZONE, own, poll

INET = {4: socket.AF_INET, 6: socket.AF_INET6}


def bound(family, kind, port, reuse=False, v6only=True, address=None):
    s = socket.socket(INET[family], kind)
    if family == 6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    if reuse:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address or LOOPBACK[family], port))
    if kind == socket.SOCK_STREAM:
        s.listen(64)
    return s


def local(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.bind(str(path))
    own(path)
    s.listen(16)
    return s


def activate(one, sockets, names=None, pid="$$", env=None):
    """Starts the server with these sockets as descriptors 3, 4, ..."""
    passed = [s.fileno() for s in sockets]

    def place():
        high = [os.dup(fd) for fd in passed]
        high = [os.dup2(fd, 200 + i) for i, fd in enumerate(high)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i, inheritable=True)

    command = f'LISTEN_PID={pid} exec "$0" "$@"'
    env = {**harness.environment(), "LISTEN_FDS": str(len(sockets)), **(env or {})}
    if names:
        env["LISTEN_FDNAMES"] = ":".join(names)
    with open(one.stderr_path, "ab") as stderr:
        one.process = subprocess.Popen(
            ["/bin/sh", "-c", command, harness.BINARY, "serve", "-c", str(one.config_path)], stdin=subprocess.DEVNULL,
            stdout=stderr, stderr=stderr, env=env, preexec_fn=place, pass_fds=range(3, 3 + len(sockets)))
    harness.running.append(one)


def inode(fd):
    return os.fstat(fd).st_ino


def inodes_of(pid):
    found = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry.path))
        found |= {int(match[1])} if match else set()
    return found


@pytest.fixture
def close_later():
    kept = []
    yield lambda sockets: kept.extend(sockets) or sockets
    for s in kept:
        s.close()


def all_sockets(one):
    found = [local(one.admin_socket)]
    for family in FAMILIES:
        found += [bound(family, socket.SOCK_DGRAM, one.dns_port), bound(family, socket.SOCK_STREAM, one.dns_port),
                  bound(family, socket.SOCK_STREAM, one.api_port), bound(family, socket.SOCK_STREAM, one.dot_port)]
    return found


def serves_everything(one):
    account = one.register()
    txt = one.publish(account)
    assert one.values(account) == [txt]
    for family in FAMILIES:
        for tcp in (False, True):
            assert one.query(ZONE, "SOA", tcp=tcp, family=family).answer
    assert one.operator("status").returncode == 0


needs_root = pytest.mark.skipif(not IS_ROOT, reason="nobody else may look into the server; CI runs this as root")

# ---- sockets


@needs_root
def test_all_sockets_are_passed(make_server, close_later):
    one = make_server(dot=True)
    sockets = close_later(all_sockets(one))
    activate(one, sockets, ["acme-delegate.socket"] * len(sockets))
    poll(one._ready, 10, "ready")
    serves_everything(one)
    passed = {inode(s.fileno()) for s in sockets}
    assert passed <= inodes_of(one.process.pid), "it has bound some of them itself"
    for role in ("dns0", "dns1"):  # fewer sockets than workers: they have the same
        assert {inode(s.fileno()) for s in sockets if s.type == socket.SOCK_DGRAM} <= inodes_of(one.children()[role])


def test_what_arrives_while_the_server_is_away_is_answered_later(make_server, close_later):
    """The sockets are the manager's, and so is the file of the admin socket."""
    one = make_server(dot=True)
    sockets = close_later(all_sockets(one))
    activate(one, sockets)
    poll(one._ready, 10, "ready")
    one.stop()
    assert one.admin_socket.exists()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.connect((LOOPBACK[4], one.dns_port))
        s.send(harness.dns.message.make_query(ZONE, "SOA").to_wire())
        with socket.create_connection((LOOPBACK[4], one.api_port), timeout=10) as connection:
            activate(one, sockets)
            assert harness.dns.message.from_wire(s.recv(2000)).answer
            assert connection.getpeername()[1] == one.api_port
    poll(one._ready, 10, "ready again")
    serves_everything(one)


@needs_root
def test_what_is_not_passed_is_bound(make_server, close_later):
    one = make_server()
    sockets = close_later([bound(4, socket.SOCK_DGRAM, one.dns_port)])
    activate(one, sockets)
    poll(one._ready, 10, "ready")
    serves_everything(one)
    assert inode(sockets[0].fileno()) in inodes_of(one.children()["dns0"])


@needs_root
def test_a_socket_for_each_worker(make_server, close_later):
    """ReusePort=yes and the same ListenDatagram= twice."""
    one = make_server()
    sockets = close_later([bound(4, socket.SOCK_DGRAM, one.dns_port, reuse=True) for _ in range(2)])
    activate(one, sockets)
    poll(one._ready, 10, "ready")
    have = [inodes_of(one.children()[role]) & {inode(s.fileno()) for s in sockets} for role in ("dns0", "dns1")]
    assert len(have[0]) == len(have[1]) == 1 and have[0] != have[1]
    for _ in range(20):  # from many ports, so that both get some
        assert one.query(ZONE, "SOA").answer


@needs_root
def test_who_made_the_sockets_has_counted_the_workers(make_server, close_later):
    """Unless the configuration does: more than there are cores would be left without a reader."""
    one = make_server()
    one.configure(dns={"workers": 0})
    wanted = len(os.sched_getaffinity(0)) + 1
    sockets = close_later([bound(4, socket.SOCK_DGRAM, one.dns_port, reuse=True) for _ in range(wanted)])
    activate(one, sockets)
    poll(one._ready, 10, "ready")
    assert {f"dns{i}" for i in range(wanted)} <= set(one.children())


def refused(one, sockets, **kw):
    activate(one, sockets, **kw)
    assert one.wait(10) == 2
    return one.stderr()


def test_more_sockets_than_workers(make_server, close_later):
    one = make_server()
    sockets = close_later([bound(4, socket.SOCK_DGRAM, one.dns_port, reuse=True) for _ in range(3)])
    assert "set dns.workers: 3" in refused(one, sockets)


def test_a_socket_that_nothing_is_configured_for(make_server, close_later):
    one = make_server()
    port = harness.free_port()
    text = refused(one, close_later([bound(4, socket.SOCK_STREAM, port)]), names=["stray.socket"])
    assert f"127.0.0.1:{port} (TCP) of stray.socket" in text and "dns.listen" in text
    assert "systemctl daemon-reload; systemctl stop acme-delegate; systemctl start acme-delegate" in text


def test_udp_does_not_stand_for_tcp(make_server, close_later):
    """api.listen is TCP: a UDP socket of that address matches nothing."""
    one = make_server()
    text = refused(one, close_later([bound(4, socket.SOCK_DGRAM, one.api_port)]))
    assert f"127.0.0.1:{one.api_port} (UDP)" in text


def test_a_stream_that_does_not_listen(make_server, close_later):
    one = make_server()
    s = socket.socket()
    s.bind((LOOPBACK[4], one.api_port))
    assert "does not listen" in refused(one, close_later([s]))


@pytest.mark.skipif(6 not in FAMILIES, reason="no IPv6 here")
def test_ipv6_that_takes_ipv4_too(make_server, close_later):
    one = make_server()
    s = bound(6, socket.SOCK_DGRAM, one.dns_port, v6only=False, address="::")
    assert "BindIPv6Only=ipv6-only" in refused(one, close_later([s]))


def test_no_socket_at_all(make_server, close_later, folder):
    one = make_server()
    with open(folder / "file", "w") as file:
        assert "is no socket" in refused(one, [file])


def test_another_process_s_sockets_are_left_alone(make_server, close_later):
    """LISTEN_PID names another process: the environment was inherited, the descriptors are somebody else's business."""
    one = make_server()
    activate(one, close_later([bound(4, socket.SOCK_STREAM, harness.free_port())]), pid="1")
    poll(one._ready, 10, "ready")


def test_by_systemd(make_server):
    one = make_server()
    listen = [f"{a}:{one.api_port}" if ":" not in a else f"[{a}]:{one.api_port}" for a in map(LOOPBACK.get, FAMILIES)]
    env = {f"{name}": item for name, item in harness.environment().items()}
    options = [word for address in listen for word in ("-l", address)] + [
        word for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") for word in ("-E", f"{name}={env[name]}")]
    with open(one.stderr_path, "ab") as stderr:
        one.process = subprocess.Popen(["systemd-socket-activate", *options, harness.BINARY, "serve", "-c",
                                        str(one.config_path)], stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
    harness.running.append(one)
    poll(lambda: "Listening on" in one.stderr() and one.stderr().count("Listening on") == len(listen), 10, "listening")
    # The first connection has it started; systemd-socket-activate becomes the server.
    assert one.http("GET", "/health", timeout=10).status in (200, 503)
    poll(one._ready, 10, "ready")
    serves_everything(one)


# ---- telling


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)
        if address[0] != "@":
            os.chmod(address, 0o777)
        self.address = address
        self.senders = set()

    def receive(self, seconds=10):
        """The next message as a dictionary, without signs of life."""
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self.socket], [], [], max(0, end - time.monotonic()))
            assert ready, f"nothing within {seconds} s"
            data, ancillary, _, _ = self.socket.recvmsg(4096, 1024)
            self.senders |= {struct.unpack("3i", d)[0] for level, kind, d in ancillary if kind == socket.SCM_CREDENTIALS}
            message = dict(line.split("=", 1) for line in data.decode().splitlines())
            if message != {"WATCHDOG": "1"}:
                return message


@pytest.fixture(params=["path", "abstract"])
def manager(request, folder):
    made = Manager(str(folder / "notify") if request.param == "path" else f"@acme-delegate-test-{os.getpid()}")
    yield made
    made.socket.close()


def launch(one, manager, **more):
    with open(one.stderr_path, "ab") as stderr:
        one.process = subprocess.Popen(
            [harness.BINARY, "serve", "-c", str(one.config_path)], stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
            env={**harness.environment(), "NOTIFY_SOCKET": manager.address, **more})
    harness.running.append(one)


def test_told_when_it_serves_reloads_and_stops(make_server, manager):
    one = make_server(dot=True)
    launch(one, manager)
    assert manager.receive() == {"READY": "1", "STATUS": "Serving 1 zone"}
    assert one.http("GET", "/health", timeout=1).status == 200  # now, not soon
    for family in FAMILIES:
        for tcp in (False, True):
            assert one.query(ZONE, "SOA", tcp=tcp, family=family, timeout=1).answer
    before = int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)
    old = set(one.children().values())
    one.hup()
    reloading = manager.receive()
    assert reloading["RELOADING"] == "1" and before - 1000 <= int(reloading["MONOTONIC_USEC"]) <= before + 10 * 1e6
    assert manager.receive()["READY"] == "1"
    new = set(one.children().values()) - old
    assert len(new) == 5, "told before the new processes were there"
    one.config_path.write_text("nonsense: 1\n")
    one.hup()
    assert manager.receive()["RELOADING"] == "1"
    failed = manager.receive()
    assert failed["READY"] == "1" and "old one" in failed["STATUS"]
    one.process.send_signal(signal.SIGTERM)
    assert manager.receive()["STOPPING"] == "1"
    assert one.wait(20) == 0
    assert manager.senders == {one.process.pid}


def test_not_ready_while_a_process_is_missing(make_server, manager, folder):
    """A keeper that cannot start: the rest serves, but the server as a whole does not."""
    one = make_server()
    launch(one, manager)
    manager.receive()
    poll(lambda: "keeper" in one.children(), 5, "a keeper")
    keeper = one.children()["keeper"]
    os.kill(keeper, signal.SIGSTOP)
    one.hup()
    assert manager.receive()["RELOADING"] == "1"
    ready, _, _ = select.select([manager.socket], [], [], 1)
    assert not ready, "ready although the new keeper waits for the old one's end"
    os.kill(keeper, signal.SIGCONT)
    assert manager.receive()["READY"] == "1"


def test_ready_although_the_ca_cannot_be_reached(make_server, folder):
    """api.tls.mode acme: what there is to serve is served, with a certificate of the server's own, and the agent goes on
    trying. A unit of Type=notify must not be ended for a CA that is away."""
    manager = Manager(str(folder / "notify"))
    one = make_server(tls=True)
    with socket.socket() as s:
        s.bind((LOOPBACK[4], 0))  # bound and not listening: who connects is refused
        one.configure(api={"url": f"https://{ZONE}", "tls": {
            "mode": "acme", "certificate": None, "key": None,
            "acme": {"directory": f"https://{LOOPBACK[4]}:{s.getsockname()[1]}/dir"}}})
        launch(one, manager)
        assert manager.receive() == {"READY": "1", "STATUS": "Serving 1 zone"}
        assert set(one.children()) == {"dns0", "dns1", "keeper", "agent", "api"}
        assert one.query(ZONE, "SOA", timeout=1).answer
        poll(lambda: "there is no certificate yet" in one.stderr(), 10, "an attempt that failed")
        one.hup()
        assert manager.receive()["RELOADING"] == "1"
        assert manager.receive()["READY"] == "1"
        assert one.stop() in (None, 0)
    manager.socket.close()


def test_signs_of_life(make_server, folder):
    manager = Manager(str(folder / "notify"))
    one = make_server()
    launch(one, manager, WATCHDOG_USEC="200000")
    seen, last, gaps, end = 0, None, [], time.monotonic() + 10
    while seen < 8:
        ready, _, _ = select.select([manager.socket], [], [], end - time.monotonic())
        assert ready, f"{seen} signs of life in 10 s"
        if manager.socket.recv(4096) == b"WATCHDOG=1\n":
            now = time.monotonic()
            gaps += [now - last] if last else []
            seen, last = seen + 1, now
    assert sorted(gaps)[len(gaps) // 2] < 0.2, gaps
    manager.socket.close()


def test_nobody_to_tell(make_server, folder):
    """A socket that is not there costs a line in the log, and nothing else."""
    one = make_server()
    with open(one.stderr_path, "ab") as stderr:
        one.process = subprocess.Popen(
            [harness.BINARY, "serve", "-c", str(one.config_path)], stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
            env={**harness.environment(), "NOTIFY_SOCKET": str(folder / "nothing")})
    harness.running.append(one)
    poll(one._ready, 10, "ready")
    assert "cannot tell the service manager" in one.stderr()
