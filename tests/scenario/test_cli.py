# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person types: help, version, config check and print, the local instance."""

import ctypes
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import threading

import dns.message
import dns.query
import pytest

import harness
from harness import IS_ROOT, ROOT, USER, environment, poll, run, txt_of, value

CLONE_NEWNET = 0x40000000
COMMANDS = ["serve", "init", "config", "status", "events", "delegate", "key", "token", "import", "export", "backup", "restore"]
OPERATOR = ["status", "events", "delegate", "key", "token"]  # they ask a running server


def test_help():
    for args in (["--help"], ["-h"], ["help"]):
        done = run(*args)
        assert done.returncode == 0 and done.stderr == ""
        for command in COMMANDS:
            assert re.search(rf"^  {command} +\S", done.stdout, re.M)
        assert max(map(len, done.stdout.splitlines())) <= 80, "a terminal has 80 columns"


def test_version():
    done = run("--version")
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
    assert (done.returncode, done.stdout, done.stderr) == (0, f"acme-delegate {version}\n", "")


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_subcommand(command, option):
    done = run(command, option)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("Usage: acme-delegate " + command)
    assert max(map(len, done.stdout.splitlines())) <= 80, "a terminal has 80 columns"
    assert command == "config" or "-h, --help" in done.stdout
    assert command == "serve" or "Exit status" in done.stdout


def test_help_names_every_action_and_option():
    """What a person looks for in the help is there, and what is there works (test_operator_cli.py)."""
    words = {
        "delegate": "add list show allow alias clear remove --zone --allow --alias --for --yes --everywhere --none",
        "key": "add rotate revoke --at-once --force --for",
        "token": "add list revoke --note --zone --label --prefix --quota --expires --allow",
        "events": "--last --name --follow",
        "status": "",
    }
    for command, expected in words.items():
        text = run(command, "--help").stdout
        for word in [*expected.split(), "--config", "--socket", "--json"]:
            assert re.search(rf"(?<![\w-]){word}(?![\w-])", text), (command, word)
        # A help text after an action is the command's.
        if expected and not expected.startswith("-"):
            assert run(command, expected.split()[0], "--help").stdout == text


def test_what_the_documents_tell_to_type_exists():
    """Each option that doc/administration.md names beside a command is in that command's help, and each action."""
    text = (ROOT / "doc/administration.md").read_text()
    told = re.findall(rf"(?:`|acme-delegate )((?:{'|'.join(COMMANDS)})(?: [^`\n|>;&]*)?)", text)
    assert len(told) > 40
    for line in told:
        command, *rest = line.split()
        help_text = run(command, "--help").stdout
        for word in rest:
            if word.startswith("--"):
                assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", help_text), (line, word)
        if command in ("delegate", "key", "token") and rest:
            assert f"acme-delegate {command} {rest[0]}" in help_text, line


@pytest.mark.parametrize("args", [
    ["delegate"], ["delegate", "frob"], ["delegate", "show"], ["delegate", "show", "a", "b"], ["delegate", "add", "a", "b"],
    ["delegate", "list", "a", "b"], ["delegate", "remove"], ["delegate", "list", "--yes"], ["delegate", "add", "--frob"],
    ["delegate", "add", "--quota", "3"], ["delegate", "clear", "a", "--force"], ["delegate", "allow"], ["delegate", "add", "--zone"],
    ["key"], ["key", "add"], ["key", "revoke", "a"], ["key", "revoke", "a", "b", "c"], ["key", "rotate"], ["key", "list", "a"],
    ["key", "add", "a", "--at-once"], ["key", "rotate", "a", "--force"], ["key", "add", "a", "-x"],
    ["token"], ["token", "list", "a"], ["token", "revoke"], ["token", "add", "a"], ["token", "list", "--quota", "1"],
    ["token", "add", "--quota"], ["token", "show", "a"],
    ["status", "a"], ["status", "--follow"], ["status", "--frob"], ["status", "-c"], ["status", "--socket", ""],
    ["events", "a"], ["events", "--yes"], ["events", "--last", "many"], ["events", "--last"],
    ["backup"], ["backup", "a", "b"], ["backup", "--check"], ["backup", "--frob"], ["restore"], ["restore", "a", "b"],
    ["restore", "--frob"], ["import"], ["import", "a", "b"], ["import", "--frob"], ["export", "a", "b"], ["export", "--frob"]])
def test_wrong_usage_of_what_an_operator_types(args):
    done = run(*args)
    assert done.returncode == 2 and done.stdout == "", done
    assert "acme-delegate" in done.stderr
    for word in args:
        if word in ("frob", "--frob", "many", "--follow", "--yes"):
            assert word in done.stderr
    if args[0] in OPERATOR:
        assert len(done.stderr.splitlines()) == 1, "one line, which no help text buries"


@pytest.mark.parametrize("args", [[], ["sevre"], ["--nonsense"], [""], ["serve", "--nonsense"], ["serve", "-c"],
                                  ["serve", "x"], ["config"], ["config", "chekc"], ["config", "check"],
                                  ["config", "check", "a", "b"], ["config", "print", "a", "b"]])
def test_wrong_usage(args):
    done = run(*args)
    assert done.returncode == 2 and done.stdout == ""
    assert "acme-delegate" in done.stderr
    for word in args:
        if word in ("sevre", "--nonsense", "x"):
            assert word in done.stderr


@pytest.mark.parametrize("form", [["check", "{}"], ["check", "-c", "{}"], ["-c", "{}", "check"]])
def test_config_check(make_server, form):
    one = make_server()
    done = run("config", *(part.format(one.config_path) for part in form))
    assert done.returncode == 0 and done.stderr == "" and str(one.config_path) in done.stdout
    assert not (one.folder / "store").exists(), "checking touches nothing"


def test_config_check_lists_all_problems(make_server):
    one = make_server(zone={"value_ttl": 99, "records": ["@ 3600 A 1.2.3", "www 60 NOTYPE x"]},
                      log={"level": "loud"}, dns={"workers": "many"})
    one.config_path.write_text(one.config_path.read_text().replace("contact:", "contakt:"))
    lines = one.config_path.read_text().splitlines()
    done = run("config", "check", one.config_path)
    assert done.returncode == 2 and done.stdout == ""
    for needle in ("value_ttl: 99", "contakt:", '"loud"', "workers"):
        (number,) = [i for i, line in enumerate(lines, 1) if needle in line]
        assert f"{one.config_path}:{number}: " in done.stderr, (needle, done.stderr)


def test_config_check_finds_bad_records(make_server):
    one = make_server(zone={"records": ["@ 3600 A 1.2.3", "www 60 NOTYPE x", "ok 60 A 192.0.2.1"]})
    lines = one.config_path.read_text().splitlines()
    done = run("config", "check", one.config_path)
    assert done.returncode == 2
    wrong = [i for i, line in enumerate(lines, 1) if "1.2.3" in line or "NOTYPE" in line]
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [str(i) for i in wrong]


def test_config_print_round_trip(make_server):
    one = make_server(zone={"value_lifetime": "90m", "value_ttl": 2}, log={"level": "debug", "format": "json"},
                      api={"trusted_proxies": ["127.0.0.0/8", "2001:db8::/32"]})
    first = run("config", "print", one.config_path)
    assert first.returncode == 0 and first.stderr == ""
    assert "debug" in first.stdout and "hostmaster@example.org" in first.stdout and "2001:db8::/32" in first.stdout
    again = one.folder / "printed.yaml"
    again.write_text(first.stdout)
    second = run("config", "print", "-c", again)
    assert second.returncode == 0 and second.stdout == first.stdout
    one.config_path.write_text(first.stdout)
    one.start()
    one.publish(one.register())


def test_config_print_shows_defaults(make_server):
    done = run("config", "print", make_server().config_path)
    for line in ("value_ttl: 1", "negative_ttl: 5", "max_values: 32"):
        assert line in done.stdout


def test_config_print_of_the_local_instance(folder):
    done = run("config", "print", env=environment(HOME=str(folder), XDG_STATE_HOME=str(folder)))
    assert done.returncode == 0 and "auth.test" in done.stdout
    assert list(folder.iterdir()) == []


def test_config_sample_is_a_good_configuration(folder):
    sample = run("config", "sample")
    assert sample.returncode == 0 and sample.stdout.count("#") > 10
    text = " ".join(sample.stdout.replace("#", " ").split())
    for promise in ("one of open, token, closed; default open", "/run/acme-delegate/admin.sock", "Group whose members may use",
                    "32 to 64 characters", "who changed what", "a duration from 0s to 2s"):
        assert promise in text, promise
    path = folder / "sample.yaml"
    path.write_text(sample.stdout)
    done = run("config", "check", path)
    assert done.returncode == 0, done.stderr


# ---- serve without a configuration


def in_own_network(work):
    """Runs work() in a thread with a loopback interface of its own, where the built-in ports are free."""
    result = []

    def body():
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            result.append((True, work()))
        except BaseException as error:  # handed on to the caller
            result.append((False, error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    ok, outcome = result[0]
    if not ok:
        raise outcome
    return outcome


def use_local_instance(folder, user):
    """Starts it, does what its text says, stops it; returns what it printed."""
    out = folder / "out"
    env = environment(HOME=str(folder / "home"))
    if user:  # a copy, for the tree may lie in a home that is closed to others
        argv = [shutil.copy(harness.BINARY, folder / "acme-delegate"), "serve"]
    else:  # root's store lies in /var/lib: here in one that only this process sees
        argv = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o mode=755 tmpfs /var/lib && exec "$0" serve', harness.BINARY]
    # One stream each, as on a terminal; the account changes before the program starts.
    with open(out, "wb") as stream:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                                   env=env, cwd="/", **user)
    try:
        text = poll(lambda: (t := out.read_text()) and "dig" in t and t or process.poll() is not None and t, 10, "its text")
        assert process.poll() is None, text
        api = re.search(r"http://(127\.0\.0\.1|localhost|\[::1\]):(\d+)", text)
        port = re.search(r"dig @(\S+) -p (\d+)", text)
        assert api and port, text
        curl = ["curl", "-sS", "--max-time", "5", "--retry", "5", "--retry-connrefused", "-X", "POST"]
        done = subprocess.run([*curl, f"{api[0]}/register"], check=True, capture_output=True, timeout=30)
        account = json.loads(done.stdout)
        assert account["fulldomain"].endswith(".auth.test")
        txt = value()
        done = subprocess.run([*curl, f"{account['server_url']}/update", "-H", f"X-Api-User: {account['username']}", "-H",
                               f"X-Api-Key: {account['password']}", "-d",
                               json.dumps({"subdomain": account["subdomain"], "txt": txt})],
                              check=True, capture_output=True, timeout=30)
        assert json.loads(done.stdout) == {"txt": txt}
        inside = [] if user else ["nsenter", "-t", str(process.pid), "-m", "-r"]
        for command in (["status"], ["delegate", "show", account["fulldomain"]]):
            done = subprocess.run([*inside, argv[0] if user else harness.BINARY, *command], check=True, capture_output=True,
                                  text=True, timeout=30, env=env, cwd="/", stdin=subprocess.DEVNULL, **user)
            assert "auth.test" in done.stdout
        query = dns.message.make_query(account["fulldomain"], "TXT")
        assert txt_of(dns.query.udp(query, port[1], port=int(port[2]), timeout=5)) == [txt]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    harness.assert_clean(out.read_text())
    return out.read_text()


@pytest.mark.skipif(not IS_ROOT, reason="a network of its own needs root; CI runs this as root")
@pytest.mark.parametrize("account", ["ordinary", "root"])
def test_local_instance(folder, account):
    """An ordinary person in a home of her own; or root in a container, whose home is closed to others."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    user = {}
    if account == "ordinary":
        harness.own(home)
        entry = pwd.getpwnam(USER)
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    else:
        os.chown(folder, 0, 0)
    text = in_own_network(lambda: use_local_instance(folder, user))
    assert "auth.test" in text and "loopback" in text
    if user:
        assert (home / ".local/state/acme-delegate/data.mdb").is_file()
    else:
        assert "/var/lib/acme-delegate-local" in text and list(home.iterdir()) == []
