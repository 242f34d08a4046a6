# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk is full, syncing fails, the store's file is damaged while the server runs: an update is refused with 500
and JSON, old values stay served, what cannot be known is SERVFAIL and never NXDOMAIN or NODATA, and all is well again
when the cause has gone."""

import concurrent.futures
import ctypes
import json
import os
import pathlib
import signal
import subprocess

import dns.rcode
import pytest

import harness
from harness import IS_ROOT, ZONE, make_folder, own, poll, txt_of, value

CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x00020000, 0x4000, 1 << 18, 2
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def assert_failed(response):
    assert response.status == 500, response
    assert response.headers["content-type"].split(";")[0] == "application/json"
    assert isinstance(json.loads(response.body)["error"], str)


# ---- full disk


@pytest.fixture(scope="module")
def own_mounts():
    """A mount namespace of our own: what is mounted here is nobody else's, and goes with this process."""
    if not IS_ROOT:
        pytest.skip("mounting needs root; CI runs these tests as root")
    checked(libc.unshare(CLONE_NEWNS))
    checked(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))


@pytest.fixture
def small_disk(own_mounts):
    """A folder of 1 MB on a file system of its own."""
    folder = make_folder()
    checked(libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=1m,mode=755"))
    own(folder)
    yield folder
    checked(libc.umount2(str(folder).encode(), MNT_DETACH))
    folder.rmdir()


def fill(folder):
    """Takes all room that is left; returns the file that holds it."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass
    return path


def test_full_disk(server, small_disk):
    one = server(store={"path": str(small_disk / "store")})
    old = [one.register() for _ in range(10)]
    expected = {a["username"]: [one.publish(a)] for a in old}
    filler = fill(small_disk)
    # LMDB lives a while on pages it has freed: registrations need new ones.
    refused, registered = None, []
    for _ in range(2000):
        response = one.http("POST", "/register")
        if response.status != 201:
            refused = response
            break
        registered.append(json.loads(response.body))
    assert refused, "the disk never got full"
    assert_failed(refused)
    for _ in range(20):
        for account in old:
            txt = value()
            response = one.update(account, txt)
            if response.status == 200:
                expected[account["username"]].append(txt)
            else:
                assert_failed(response)
    for account in old:
        assert sorted(one.values(account)) == sorted(expected[account["username"]][-32:])
    for account in registered:
        assert one.values(account) == []
    filler.unlink()
    poll(lambda: one.http("POST", "/register").status == 201, 5, "registrations again")
    for account in old:
        txt = one.publish(account)
        assert txt in one.values(account)
    one.restart()
    for account in old:
        assert set(expected[account["username"]][-31:]) <= set(one.values(account))


def test_start_on_a_full_disk(server, small_disk):
    """A restart must not need room: DNS goes on."""
    one = server(store={"path": str(small_disk / "store")})
    account = one.register()
    txt = one.publish(account)
    filler = fill(small_disk)
    one.stop()
    one.start()
    assert one.values(account) == [txt]
    filler.unlink()
    poll(lambda: one.update(account, value()).status == 200, 5, "updates again")


def test_new_store_on_a_full_disk_is_refused(make_server, small_disk):
    fill(small_disk)
    one = make_server(store={"path": str(small_disk / "store")})
    done = harness.run("serve", "-c", one.config_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and str(small_disk / "store") in done.stderr


# ---- writing and syncing fail


@pytest.fixture(scope="module")
def shim():
    """faulty_io.c as a library, and the flag file that controls it."""
    folder = make_folder()
    library, flag = folder / "faulty_io.so", folder / "flag"
    source = pathlib.Path(__file__).with_name("faulty_io.c")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    flag.write_bytes(b"-")
    own(flag)
    yield library, flag
    library.unlink()
    flag.unlink()
    folder.rmdir()


def switch(flag, what):
    """In place: the processes have the file mapped."""
    with open(flag, "r+b", buffering=0) as f:
        f.write(what)


@pytest.mark.parametrize("what", [b"s", b"w"], ids=["sync", "write"])
def test_failing_disk(server, shim, monkeypatch, what):
    library, flag = shim
    switch(flag, b"-")
    monkeypatch.setenv("FAULTY_IO", str(flag))
    one = server(preload=library)
    account = one.register()
    old = one.publish(account)
    for _ in range(3):
        switch(flag, what)
        for _ in range(5):
            assert_failed(one.update(account, value()))
            assert_failed(one.http("POST", "/register"))
            assert set(one.values(account)) == {old}
            assert txt_of(one.query(account["fulldomain"], "TXT")) == [old]
        switch(flag, b"-")
        poll(lambda: one.update(account, old).status == 200, 5, "updates again")
        assert one.values(account) == [old]
        assert one.http("GET", "/health").status == 200
    newer = one.publish(account)
    one.restart()
    assert sorted(one.values(account)) == sorted([old, newer])


def test_failing_disk_under_load_acknowledges_nothing_false(server, shim, monkeypatch):
    """Group commit: when it fails, all that were in the group fail; none of them is served."""
    library, flag = shim
    switch(flag, b"-")
    monkeypatch.setenv("FAULTY_IO", str(flag))
    one = server(preload=library)
    accounts = [one.register() for _ in range(16)]

    def work(account):
        acknowledged = []
        for _ in range(12):
            txt = value()
            response = one.update(account, txt)
            if response.status == 200:
                acknowledged.append(txt)
            else:
                assert_failed(response)
        return acknowledged

    with concurrent.futures.ThreadPoolExecutor(len(accounts)) as pool:
        futures = [pool.submit(work, a) for a in accounts]
        for i in range(20):
            switch(flag, b"sw"[i % 2:i % 2 + 1] if i % 4 < 2 else b"-")
            assert one.query(ZONE, "SOA").rcode() == dns.rcode.NOERROR
        switch(flag, b"-")
        acknowledged = [f.result() for f in futures]
    for account, expected in zip(accounts, acknowledged):
        assert sorted(one.values(account)) == sorted(expected)


# ---- the store's file is damaged beneath the running server


@pytest.fixture
def without_index(server, shim, monkeypatch):
    """A server on a kernel without shared memory: every answer comes from the store."""
    library, flag = shim
    switch(flag, b"m")
    monkeypatch.setenv("FAULTY_IO", str(flag))
    one = server(preload=library)
    switch(flag, b"-")
    assert "no shared memory for the index" in one.stderr()
    return one


def answer_of(server, account, tcp):
    answer = server.query(account["fulldomain"], "TXT", tcp=tcp)
    assert answer.answer == []
    return answer.rcode()


def destroy(one, damage):
    size = one.data_file.stat().st_size
    if damage == "zeros":
        with open(one.data_file, "r+b") as f:
            f.write(bytes(size))
    else:
        os.truncate(one.data_file, 0 if damage == "truncated" else 4096)


def settled(one):
    """The children, once all that were replaced have gone: as many processes as roles, and the same a while later."""
    seen = []

    def quiet():
        processes = [pid for pid, _ in harness.roles_of(one.process.pid)]
        seen.append(sorted(processes))
        return len(seen) > 20 and seen[-1] == seen[-20] and len(processes) == len(one.children())

    poll(quiet, 10, "children at rest")
    return one.children()


def kill_each(one):
    """Kills every child in turn and waits for its successor."""
    for role, pid in one.children().items():
        os.kill(pid, signal.SIGKILL)
        poll(lambda: one.children().get(role) not in (None, pid), 2, f"{role} back")


@pytest.mark.parametrize("damage", ["truncated", "one-page", "zeros"])
def test_store_destroyed_while_running(server, damage):
    """What was acknowledged is in the index, which needs no disk: renewals under way go through."""
    one = server()
    accounts = [one.register() for _ in range(50)]
    published = [one.publish(a) for a in accounts]
    full = one.register()
    for _ in range(3):  # more than the index holds: the store is asked
        one.publish(full)
    idle = one.register()
    destroy(one, damage)

    def check():
        for account, txt in zip(accounts, published):
            for tcp in (False, True):
                assert txt_of(one.query(account["fulldomain"], "TXT", tcp=tcp)) == [txt]
        answer = one.query(idle["fulldomain"], "TXT")
        assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
        assert one.query(f"nothing-here.{ZONE}", "TXT").rcode() == dns.rcode.NXDOMAIN
        assert one.query(ZONE, "SOA").rcode() == dns.rcode.NOERROR
        # Nothing that happens to the server meanwhile turns "I cannot know" into "there is none".
        assert answer_of(one, full, True) == dns.rcode.SERVFAIL
        assert one.update(accounts[0], value()).status in (500, 503)
        assert one.http("POST", "/register").status in (500, 503)

    poll(lambda: one.query(full["fulldomain"], "TXT").rcode() == dns.rcode.SERVFAIL, 3, "SERVFAIL")
    check()
    poll(lambda: one.http("GET", "/health").status == 503, 3, "health 503")
    poll(lambda: "the store is damaged" in one.stderr(), 10, "the verdict")
    settled(one)
    kill_each(one)
    poll(lambda: one.query(ZONE, "SOA", tcp=True).rcode() == dns.rcode.NOERROR, 2, "workers again")
    check()
    poll(lambda: one.http("GET", "/health").status == 503, 3, "still health 503")


@pytest.mark.parametrize("damage", ["truncated", "one-page", "zeros"])
def test_store_destroyed_without_an_index(without_index, damage):
    one = without_index
    accounts = [one.register() for _ in range(50)]
    for account in accounts:
        one.publish(account)
    destroy(one, damage)
    poll(lambda: answer_of(one, accounts[0], False) == dns.rcode.SERVFAIL, 3, "SERVFAIL")
    failed = one.http("GET", "/health")
    if damage != "zeros":
        poll(lambda: one.http("GET", "/health").status == 503, 3, "health 503")
    assert failed.status in (200, 503)
    poll(lambda: "the store is damaged" in one.stderr(), 10, "the verdict")
    before = settled(one)
    for _ in range(3):
        for account in accounts:
            for tcp in (False, True):
                assert answer_of(one, account, tcp) == dns.rcode.SERVFAIL
        # Nothing that happens to the server meanwhile turns "I cannot know" into "there is none".
        assert one.update(accounts[0], value()).status in (500, 503)
        assert one.http("POST", "/register").status in (500, 503)
    assert one.query(f"nothing-here.{ZONE}", "TXT").rcode() == dns.rcode.SERVFAIL
    assert one.query(ZONE, "SOA").rcode() == dns.rcode.NOERROR, "the zone's own data do not come from the store"
    assert one.query("www.example.com", "A").rcode() == dns.rcode.REFUSED
    # Once the verdict is there nobody touches the store, so nobody dies of it.
    assert one.children() == before
    kill_each(one)
    for account in accounts:
        poll(lambda: answer_of(one, account, True) == dns.rcode.SERVFAIL, 2, "still SERVFAIL")
    poll(lambda: one.http("GET", "/health").status == 503, 3, "still health 503")


def test_store_comes_back(without_index):
    """The file is restored (as from a backup, in place): service resumes without a restart."""
    one = without_index
    account = one.register()
    txt = one.publish(account)
    contents = one.data_file.read_bytes()
    os.truncate(one.data_file, 0)
    poll(lambda: answer_of(one, account, False) == dns.rcode.SERVFAIL, 3, "SERVFAIL")
    poll(lambda: one.http("GET", "/health").status == 503, 3, "health 503")
    with open(one.data_file, "r+b") as f:
        f.write(contents)
    poll(lambda: {one.query(account["fulldomain"], "TXT").rcode() for _ in range(20)} == {dns.rcode.NOERROR}, 5,
         "answers again from every worker")
    poll(lambda: one.http("GET", "/health").status == 200, 5, "health again")
    assert one.values(account) == [txt]
    newer = one.publish(account)
    assert sorted(one.values(account)) == sorted([txt, newer])


def test_an_older_store_comes_back(server):
    """Restored from a backup in place: what DNS says is what the store says, not what the index remembers."""
    one = server()
    account = one.register()
    old = one.publish(account)
    contents = one.data_file.read_bytes()
    newer = one.publish(account)
    assert sorted(one.values(account)) == sorted([old, newer])
    os.truncate(one.data_file, 0)
    poll(lambda: one.http("GET", "/health").status == 503, 3, "health 503")
    with open(one.data_file, "r+b") as f:
        f.write(contents)
    poll(lambda: one.http("GET", "/health").status == 200, 5, "health again")
    poll(lambda: one.values(account) == [old], 2, "the restored value from every worker")
