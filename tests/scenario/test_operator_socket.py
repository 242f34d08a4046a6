# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin socket: who may use it, what becomes of its file, and that nobody at it can hinder the API."""

import grp
import os
import pwd
import select
import shutil
import socket
import stat
import subprocess
import time

import pytest

import harness
from harness import IS_ROOT, USER, ZONE, environment, poll, run
from operator_cli import ask, ask_json, list_json, refuse

needs_root = pytest.mark.skipif(not IS_ROOT, reason="other accounts need root; CI runs these tests as root")
GROUP = "games"  # every Debian has it, with nobody in it


@pytest.fixture
def binary(tmp_path_factory):
    """A copy that every account can run: the tree may lie in a home that is closed to others."""
    folder = harness.make_folder()
    yield shutil.copy(harness.BINARY, folder / "acme-delegate")
    shutil.rmtree(folder)


def as_account(binary, server, name, *args, groups=()):
    """Runs a command as another account; the program itself is started as that one."""
    account = pwd.getpwnam(name)
    return subprocess.run([binary, *args, "--socket", str(server.admin_socket)], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL, env=environment(), cwd="/", user=account.pw_uid, group=account.pw_gid,
                          extra_groups=[grp.getgrnam(g).gr_gid for g in groups])


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def raw_connection(server):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    s.connect(str(server.admin_socket))
    return s


# ---- who may


@needs_root
def test_without_a_group(server, binary):
    s = server()
    owner = os.stat(s.admin_socket)
    assert mode_of(s.admin_socket) == 0o600 and owner.st_uid == pwd.getpwnam(USER).pw_uid
    assert ask(s, "status")
    assert as_account(binary, s, USER, "status").returncode == 0, "the server's own account"
    done = as_account(binary, s, "daemon", "status")
    assert (done.returncode, done.stdout) == (1, "") and "no permission" in done.stderr, done
    done = as_account(binary, s, "daemon", "status", groups=[GROUP])
    assert done.returncode == 1 and "admin.group" in done.stderr, done


@needs_root
def test_with_a_group(server, binary):
    s = server(admin={"group": GROUP})
    owner = os.stat(s.admin_socket)
    assert mode_of(s.admin_socket) == 0o660 and owner.st_gid == grp.getgrnam(GROUP).gr_gid
    made = as_account(binary, s, "daemon", "delegate", "add", "by-daemon", groups=[GROUP])
    assert made.returncode == 0, made
    assert as_account(binary, s, "daemon", "status").returncode == 1
    (event,) = [e for e in list_json(s, "Event", "events") if e["name"] == f"by-daemon.{ZONE}"]
    assert event["uid"] == pwd.getpwnam("daemon").pw_uid and event["by"] == "operator"
    assert "operator daemon" in ask(s, "events")


@needs_root
def test_an_open_file_is_not_enough(server, binary):
    """Somebody has loosened the mode of the file: the keeper still looks at who comes."""
    s = server()
    os.chmod(s.admin_socket, 0o666)
    done = as_account(binary, s, "daemon", "status")
    assert done.returncode == 1 and done.stdout == "", done
    assert "turned away at the admin socket" in s.stderr()


def test_a_group_that_is_not_there(make_server):
    one = make_server(admin={"group": "no-such-group"})
    done = run("serve", "-c", one.config_path)
    assert done.returncode == 2 and 'there is no group "no-such-group"' in done.stderr


# ---- the file


def test_it_goes_with_the_server(server):
    s = server()
    assert stat.S_ISSOCK(os.lstat(s.admin_socket).st_mode)
    s.stop()
    assert not s.admin_socket.exists()
    refuse(s, 1, "status", say="no server listens there")


def test_one_that_was_left_over_is_replaced(make_server):
    one = make_server()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(one.admin_socket))
    assert one.admin_socket.exists()
    one.start()
    assert ask(one, "status")


def test_a_file_that_is_no_socket_is_left_alone(make_server):
    one = make_server()
    one.admin_socket.write_text("precious")
    done = run("serve", "-c", one.config_path)
    assert done.returncode == 2 and "no socket" in done.stderr and str(one.admin_socket) in done.stderr
    assert one.admin_socket.read_text() == "precious"
    refuse(one, 1, "status", say="no server listens there")


def test_a_second_server_does_not_take_it(server, make_server):
    first = server()
    second = make_server(admin={"socket": str(first.admin_socket)})
    done = run("serve", "-c", second.config_path)
    assert done.returncode == 2 and "another server listens there" in done.stderr
    name = first.register()["fulldomain"]
    assert ask_json(first, "Delegate", "delegate", "show", name)


def test_reload_keeps_it(server):
    s = server()
    inode = os.stat(s.admin_socket).st_ino
    old = s.children()
    s.hup()
    poll(lambda: (c := s.children()).get("keeper") and not set(c.values()) & set(old.values()), 10, "new children")
    assert os.stat(s.admin_socket).st_ino == inode
    assert ask(s, "status")


def test_no_path_that_is_too_long(make_server, tmp_path):
    long = "/" + "x" * 107
    refuse(make_server(), 2, "status", "--socket", long, say="too long")
    one = make_server(admin={"socket": long})
    done = run("config", "check", one.config_path)
    assert done.returncode == 2 and "107" in done.stderr


def test_no_server(tmp_path, make_server):
    for command in (["status"], ["delegate", "list"], ["token", "list"], ["events"], ["key", "add", "x"]):
        done = run(*command, "--socket", tmp_path / "none")
        assert (done.returncode, done.stdout) == (1, "") and "no server listens there" in done.stderr
    done = run("status", "-c", tmp_path / "none.yaml")
    assert done.returncode == 2 and "none.yaml" in done.stderr
    done = run("status", env=environment(HOME=str(tmp_path), XDG_STATE_HOME=str(tmp_path)))
    assert done.returncode in (1, 2) and done.stdout == ""


@needs_root
def test_without_a_configuration_the_machine_s_server_is_asked(server, tmp_path):
    """Where no local instance runs. /run and /var/lib are this command's own here."""
    s = server()
    there = "mount --bind {0} /mnt && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && " \
            "mkdir /run/acme-delegate && ln -s /mnt/admin.sock /run/acme-delegate/admin.sock && exec {1}"
    for command in ("status --json", "delegate add by-the-machine"):
        done = subprocess.run(["unshare", "-m", "sh", "-c", there.format(s.folder, f"{harness.BINARY} {command}")],
                              capture_output=True, text=True, timeout=20, env=environment(), stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done
    assert f"by-the-machine.{ZONE}" in done.stdout


def test_a_server_without_a_zone(make_server):
    one = make_server(zones=[])
    for command in (["serve"], ["config", "check"], ["status"], ["delegate", "list"]):
        done = run(*command, "-c", one.config_path)
        assert (done.returncode, done.stdout) == (2, "") and "zones" in done.stderr, done


# ---- hindering


def test_slow_clients_do_not_hinder_the_api(server):
    s = server()
    account = s.register()
    idle = [raw_connection(s) for _ in range(8)]
    talkative = []
    for _ in range(8):
        c = raw_connection(s)
        c.setblocking(False)
        for junk in (b"\0" * 40, b"x", bytes(range(256)) * 4):
            try:
                c.send(junk)
            except (BrokenPipeError, ConnectionResetError, BlockingIOError):
                break
        talkative.append(c)
    started = time.monotonic()
    for _ in range(100):
        s.publish(account)
    assert time.monotonic() - started < 10
    for c in idle + talkative:
        c.close()
    assert ask(s, "status")


def test_output_that_nobody_reads(server):
    """Commands that stand still in the middle keep nothing of the keeper's busy."""
    s = server()
    account = s.register()
    workers = [subprocess.Popen([harness.BINARY, "delegate", "list", "--json", "-c", str(s.config_path)],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment()) for _ in range(4)]
    try:
        for _ in range(50):
            s.publish(account)
    finally:
        for w in workers:
            w.stdout.close()
            w.kill()
            w.wait()
    assert ask(s, "status")


def request_of(server, *command):
    """The bytes of a command's request, and what the server says first: a socket of ours stands between the two."""
    path = server.folder / "between.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(10)
        process = subprocess.Popen([harness.BINARY, *command, "--socket", str(path)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        try:
            client, _ = listener.accept()
            with client, raw_connection(server) as behind:
                client.settimeout(10)
                client.setblocking(True)
                behind.setblocking(True)
                seen = []
                for _ in range(20):
                    ready, _, _ = select.select([client, behind], [], [], 10)
                    assert ready, seen
                    for one in ready:
                        message = one.recv(65536)
                        if not message:
                            return max(seen, key=len)
                        (behind if one is client else client).send(message)
                        if one is client:
                            seen.append(message)
                    if process.poll() is not None:
                        break
                return max(seen, key=len)
        finally:
            process.kill()
            process.wait()
            path.unlink()


def test_requests_whose_answers_nobody_reads(server):
    """Each connection asks for long lists as fast as it can and fetches nothing: it is given up, the API goes on."""
    s = server()
    accounts = [s.register() for _ in range(40)]
    request = request_of(s, "delegate", "list", "--json")
    greedy = [raw_connection(s) for _ in range(6)]
    for g in greedy:
        g.setblocking(False)
    started = time.monotonic()
    sent = 0
    for i in range(60):
        for g in greedy:
            try:
                for _ in range(50):
                    g.send(request)
                    sent += 1
            except OSError:  # it is full, or was given up
                pass
        s.publish(accounts[i % len(accounts)])
    assert sent > 100, "they did ask"
    assert time.monotonic() - started < 15
    for g in greedy:
        g.close()
    poll(lambda: s.operator("status").returncode == 0, 10, "room again")


def test_too_many_connections(server):
    s = server()
    account = s.register()
    many = []
    for _ in range(100):
        try:
            many.append(raw_connection(s))
        except OSError:
            break
    s.publish(account)
    done = s.operator("status")
    assert done.returncode in (0, 1) and (done.stdout or done.stderr), done
    for c in many:
        c.close()
    poll(lambda: s.operator("status").returncode == 0, 10, "room again")
    s.publish(account)


def test_a_command_that_waits_for_a_keeper_that_is_started_again(server):
    s = server()
    keeper = s.children()["keeper"]
    os.kill(keeper, 9)
    assert s.operator("status").returncode == 0, "the socket is the supervisor's, and waits"
    poll(lambda: s.children().get("keeper", keeper) != keeper, 10, "another keeper")
    s.publish(s.register())
