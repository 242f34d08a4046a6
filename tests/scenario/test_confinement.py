# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of a running server hold, and what they cannot do. tests/unit/app/test_sandbox.c tries what an
intruder would; here is seen that the real processes are confined like that, and that nothing they do is refused."""

import base64
import json
import os
import pathlib
import pwd
import re
import resource
import signal
import subprocess
import sys

import pytest

import harness
import rawhttp
from harness import FAMILIES, IS_ROOT, USER, ZONE, poll, process_status

SANITIZED = b"__asan_init" in pathlib.Path(harness.BINARY).read_bytes()
ROLES = ["supervisor", "keeper", "dns0", "dns1", "dot", "api"]


@pytest.fixture(scope="module")
def shared():
    with harness.Server(dot=True, bearer="0123456789" * 4).running() as one:
        load(one)
        yield one


def load(one):
    """Something of everything that a server does."""
    account = one.register()
    txt = one.publish(account)
    for family in FAMILIES:
        for tcp in (False, True):
            assert one.query(account["fulldomain"], tcp=tcp, family=family).answer
    assert one.values(account) == [txt]
    ask_over_tls(one)
    assert one.http("GET", "/health").status == 200
    assert one.operator("status").returncode == 0
    return account


def ask_over_tls(one):
    query = harness.dns.message.make_query(ZONE, "SOA")
    with one.stream(dot=True) as s:
        harness.dns.query.send_tcp(s, query)
        assert harness.dns.query.receive_tcp(s)[0].answer


def processes(one):
    """Role -> pid, the supervisor among them."""
    return {"supervisor": one.process.pid, **one.children()}


# ---- what the kernel says of them


@pytest.mark.parametrize("role", ROLES)
def test_confined_as_the_kernel_sees_it(shared, role):
    status = process_status(processes(shared)[role])
    assert status["Seccomp"] == "2"
    # Its own filter on top of the supervisor's.
    assert status["Seccomp_filters"] == ("1" if role == "supervisor" else "2")
    assert status["NoNewPrivs"] == "1"
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0, name
    if IS_ROOT:
        assert int(status["CapBnd"], 16) == 0
        account = pwd.getpwnam(USER)
        assert status["Uid"].split() == [str(account.pw_uid)] * 4
        assert status["Gid"].split() == [str(account.pw_gid)] * 4
        assert not status["Groups"].strip()


@pytest.mark.parametrize("role", ROLES)
def test_limits(shared, role):
    text = pathlib.Path(f"/proc/{processes(shared)[role]}/limits").read_text()
    limits = {line[:26].strip(): line[26:].split()[:2] for line in text.splitlines()}
    assert limits["Max core file size"] == ["0", "0"]
    if role.startswith("d") or role == "api":
        assert SANITIZED or limits["Max processes"] == ["0", "0"]


@pytest.mark.parametrize("role", ROLES)
def test_no_memory_is_writable_and_code(shared, role):
    maps = pathlib.Path(f"/proc/{processes(shared)[role]}/maps").read_text().splitlines()
    assert [line for line in maps if line.split()[1].startswith("r-x")], "there is no code at all"
    assert not [line for line in maps if "w" in line.split()[1] and "x" in line.split()[1]]


# ---- descriptors


def sockets_of_machine():
    """inode -> (protocol, local port or path, is it listening or unconnected)"""
    found = {}
    for protocol in ("udp", "udp6", "tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
            field = line.split()
            found[field[9]] = (protocol[:3], int(field[1].rsplit(":", 1)[1], 16))
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
        field = line.split()
        found[field[6]] = ("unix", field[7] if len(field) > 7 else "")
    return found


def descriptors(pid):
    """What a process has open, without the three standard ones."""
    known, found = sockets_of_machine(), []
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if int(entry.name) > 2:
            target = os.readlink(entry)
            inode = re.fullmatch(r"socket:\[(\d+)\]", target)
            found.append(known.get(inode[1], ("unknown", target)) if inode else target)
    return found


def expected_descriptors(one, role):
    """Everything of which that role may have one or more."""
    store = one.settings()["store"]["path"]
    reading = {f"{store}/data.mdb", f"{store}/lock.mdb", "/memfd:acme-delegate-index (deleted)", "anon_inode:[eventpoll]"}
    dns = {("udp", one.dns_port), ("tcp", one.dns_port)}
    own = {
        "keeper": {f"{store}/data.mdb", f"{store}/lock.mdb", ("unix", str(one.admin_socket)), ("unix", ""),
                   "anon_inode:[eventfd]"},
        "dns0": dns | reading,
        "dns1": dns | reading,
        "dot": {("tcp", one.dot_port)} | reading,
        "api": {("tcp", one.api_port), ("unix", ""), "anon_inode:[eventpoll]", "anon_inode:[eventfd]"},
    }
    return own[role] | {"anon_inode:[signalfd]"}


@pytest.mark.parametrize("role", ROLES[1:])
def test_descriptors_are_those_of_the_role(shared, role):
    have = descriptors(processes(shared)[role])
    strange = [d for d in have if d not in expected_descriptors(shared, role) and "memfd:" not in str(d)]
    assert not strange, have
    assert len([d for d in have if "memfd:" in str(d)]) <= 1  # the index


def test_each_dns_process_has_its_own_ports(shared):
    for role, ports in (("dns0", {shared.dns_port}), ("dot", {shared.dot_port}), ("api", {shared.api_port})):
        have = descriptors(processes(shared)[role])
        assert {d[1] for d in have if d[0] in ("udp", "tcp")} == ports, role
    assert not [d for d in descriptors(processes(shared)["keeper"]) if d[0] in ("udp", "tcp")]


# ---- nothing that is needed is refused


def test_no_call_is_refused_under_load(make_server, folder):
    """By strace. clone3 is: its arguments cannot be looked at, and the C library then takes clone."""
    one = make_server(dot=True, api={"failed_login_delay": "1s"})
    with open(one.stderr_path, "ab") as stderr:
        one.process = subprocess.Popen(
            ["strace", "-ff", "-o", str(folder / "trace"), harness.BINARY, "serve", "-c", str(one.config_path)],
            stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=harness.environment(ASAN_OPTIONS="detect_leaks=0"))
    main = poll(lambda: [pid for pid, name in harness.children_of(one.process.pid) if name == "acme-delegate"], 10, "started")[0]
    try:
        poll(lambda: answers(one), 30, "ready under strace")
        account = load(one)
        one.update(dict(account, password="x" * 40), harness.value())
        for _ in range(50):  # one after the other: the keeper waits between them
            one.publish(account)
        before = {pid for pid, _ in harness.children_of(main)}
        os.kill(main, signal.SIGHUP)
        poll(lambda: not before & {pid for pid, _ in harness.children_of(main)}, 20, "all replaced")
        poll(lambda: answers(one), 20, "ready again")
        keeper = next(pid for pid, name in harness.children_of(main) if name == "delegate-keeper")
        os.kill(keeper, signal.SIGKILL)
        load(one)
    finally:
        os.kill(main, signal.SIGTERM)
        one.process.wait(30)
    traces = list(folder.glob("trace.*"))
    assert len(traces) > len(ROLES)
    text = "\n".join(path.read_text(errors="replace") for path in traces)
    assert "seccomp(SECCOMP_SET_MODE_FILTER" in text and "recvmmsg(" in text
    assert "SIGSYS" not in text
    refused = [line for line in text.splitlines() if "ENOSYS" in line and not line.startswith("clone3(")]
    assert not refused


def answers(one):
    try:
        return one.http("GET", "/health", timeout=1).status == 200 and one.query(ZONE, "SOA", timeout=1).answer
    except (OSError, harness.dns.exception.DNSException, rawhttp.Incomplete):
        return False


# ---- what is said of it


def test_said_once(shared):
    lines = shared.stderr().splitlines()
    said = [line for line in lines if "every process is confined by: " in line]
    assert len(said) == 1 and "supervisor/app" in said[0]
    assert "seccomp" in said[0]
    status = pathlib.Path("/proc/self/status").read_text()
    assert "Seccomp:" in status  # this machine has it


@pytest.fixture
def no_confinement(folder):
    library = folder / "no_confinement.so"
    source = pathlib.Path(__file__).with_name("no_confinement.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    return library


def test_a_kernel_without_any_of_it_serves_and_says_so_once(server, no_confinement):
    one = server(preload=no_confinement, dot=True)
    load(one)
    said = [line for line in one.stderr().splitlines() if "cannot confine" in line]
    assert len(said) == 1, one.stderr()
    for what in ("seccomp", "Landlock", "TCP ports", "signals"):
        assert what in said[0]
    for pid in processes(one).values():
        assert process_status(pid)["NoNewPrivs"] == "1"
        assert process_status(pid)["Seccomp"] == "0"


def test_a_forbidden_call_is_reported(server):
    one = server()
    pid = one.children()["api"]
    os.kill(pid, signal.SIGSYS)
    poll(lambda: "forbidden system call" in one.stderr(), 5, "a report")
    line = next(line for line in one.stderr().splitlines() if "forbidden system call" in line)
    assert "api" in line and str(pid) in line and "syscall=" in line
    poll(lambda: answers(one), 5, "api again")


# ---- secrets


LOOK_INTO = """
import sys
for pid in sys.argv[1:]:
    try:
        open(f"/proc/{pid}/mem", "rb").close()
        print("open")
    except PermissionError:
        print("closed")
"""


def look_into(pids):
    """Opens their memory as the server's account does."""
    account = pwd.getpwnam(USER)
    identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if IS_ROOT else {}
    sleeper = subprocess.Popen(["sleep", "60"], **identity)
    try:
        done = subprocess.run([sys.executable, "-I", "-c", LOOK_INTO, str(sleeper.pid), *map(str, pids)], text=True,
                              capture_output=True, timeout=20, **identity)
    finally:
        sleeper.kill()
        sleeper.wait()
    control, *found = done.stdout.split()
    assert control == "open", done
    return found


def test_memory_is_closed_to_the_same_account(shared):
    if not SANITIZED:  # there the leak check must look at it
        pids = list(processes(shared).values())
        assert look_into(pids) == ["closed"] * len(pids)


def start_with_cores(command, folder):
    lift = (resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(*lift),
                            env=harness.environment(ASAN_OPTIONS="handle_segv=0:disable_coredump=0"))


def dumped_core(process, pid=None):
    os.kill(process.pid, signal.SIGSEGV)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -1
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV
    return os.WCOREDUMP(status)


@pytest.mark.skipif(not IS_ROOT, reason="the limit can be raised by root only")
def test_no_core_is_dumped(make_server, folder):
    control = start_with_cores([sys.executable, "-c", "input()"], folder)
    control_dumps = dumped_core(control)
    one = make_server()
    one.process = start_with_cores([harness.BINARY, "serve", "-c", str(one.config_path)], folder)
    poll(lambda: answers(one), 10, "ready")
    children = one.children()
    for pid in children.values():
        os.kill(pid, signal.SIGSEGV)
    poll(lambda: not set(children.values()) & set(one.children().values()) and answers(one), 10, "all anew")
    assert not dumped_core(one.process)
    cores = [p for p in folder.iterdir() if p.name.startswith("core")]
    assert len(cores) <= control_dumps, cores


def test_no_secret_in_the_log(server):
    """Whatever is asked with it, right or wrong, at the most talkative level."""
    bearer = "tOken-of-the-operator-" + "z" * 20
    one = server(dot=True, bearer=bearer, log={"level": "debug"}, api={"registration": {"mode": "open"}})
    account = one.register()
    wrong = "wR0ng" + "k" * 35
    secrets = {bearer, account["password"], wrong}
    for password in (account["password"], wrong):
        known = dict(account, password=password)
        one.update(known, harness.value())
        one.http("POST", "/present", json.dumps({"fqdn": "_acme-challenge.x.test.", "value": harness.value()}),
                 harness.basic_credentials(known))
        one.http("POST", f"/register?key={password}", "{broken " + password, {"X-Api-Key": password})
        one.http("GET", "/" + password)
        one.http("GET", "/v1/self", None, {"Authorization": "Bearer " + password})
        basic = base64.b64encode(f"{account['username']}:{password}".encode()).decode()
        secrets.add(basic)
        one.http("POST", "/v1/key/rotate", "{}", {"Authorization": "Basic " + basic})
    for token in (bearer, bearer[:-1] + "y"):
        secrets.add(token)
        one.http("GET", "/v1/admin/status", None, {"Authorization": "Bearer " + token})
        one.http("GET", "/v1/admin/delegates", None, {"Authorization": "Bearer " + token})
    token = json.loads(one.operator("token", "add", "--json").stdout)["token"]
    secrets.add(token)
    made = one.http("POST", "/register", None, {"X-Registration-Token": token})
    secrets.add(json.loads(made.body)["password"])
    one.hup()
    poll(lambda: "new configuration in force" in one.stderr(), 10, "reloaded")
    events = one.operator("events", "--json").stdout
    assert account["subdomain"] in events
    one.stop()
    text = one.stderr() + events
    assert len(secrets) >= 8
    assert not [s for s in secrets if s in text]
