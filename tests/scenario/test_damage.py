# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged store: refused with a message, or the right values, or SERVFAIL; and stores of older formats."""

import json
import os
import pathlib
import shutil
import signal
import tarfile
import time

import dns.rcode
import pytest

import damage
import harness
from harness import ZONE, own, poll, txt_of, value

STORES = pathlib.Path(__file__).with_name("stores")
SAMPLE_S = 15


# ---- random damage


@pytest.fixture(scope="module")
def store():
    return damage.Store()


@pytest.fixture
def judge(store):
    one = damage.Judge(store)
    yield one
    one.discard()


def test_a_store_without_damage_is_served(judge):
    assert damage.before_start(judge, judge.store.bytes) == "served"


def test_random_damage(judge):
    """A sample; tests/soak/damage does more of the same."""
    end, outcomes, seed = time.monotonic() + SAMPLE_S, [], int(time.time())
    while time.monotonic() < end:
        outcomes.append(damage.run_one(judge, seed)[0])
        seed += 1
    assert "refused" in outcomes and "served" in outcomes


def test_truncated_at_every_page(judge):
    """What is missing is missed, unless it was free."""
    outcomes = set()
    for pages in range(0, judge.store.pages, max(judge.store.pages // 8, 1)):
        outcomes.add(damage.before_start(judge, judge.store.bytes[:pages * damage.PAGE]))
    assert outcomes <= {"refused", "served"} and "refused" in outcomes


@pytest.mark.parametrize("page", [0, 1])
def test_a_lost_meta_page(judge, page):
    data = bytearray(judge.store.bytes)
    data[page * damage.PAGE:(page + 1) * damage.PAGE] = bytes(damage.PAGE)
    assert damage.before_start(judge, bytes(data)) == "refused"
    assert "page" in judge.server.stderr()


def test_the_commit_before_the_last_does_not_come_back(judge):
    """The newest meta page tells of a commit long ago: then LMDB would take the other one."""
    data = bytearray(judge.store.bytes)
    at = damage.newest_meta(data) * damage.PAGE + damage.COMMIT_AT
    data[at:at + 8] = bytes(8)
    assert damage.before_start(judge, bytes(data)) == "refused"


# ---- what is said


def damaged_record(one, name):
    """Flips a bit in the first value of a delegate, wherever it is in the file."""
    data = bytearray(one.data_file.read_bytes())
    found = 0
    at = data.find(name)
    while at >= 0:
        data[at] ^= 1
        found += 1
        at = data.find(name, at + 1)
    assert found
    with open(one.data_file, "r+b") as f:
        f.write(data)


def test_store_check_says_what(server):
    one = server()
    txt = one.publish(one.register())
    done = one.operator("store", "check")
    assert done.returncode == 0, done.stderr
    assert "in order" in done.stdout
    one.stop()
    damaged_record(one, txt.encode())
    done = one.operator("store", "check")
    assert done.returncode == 1
    assert "in the table of names is damaged" in done.stderr and "acme-delegate restore" in done.stderr
    refused = harness.run("serve", "-c", one.config_path)
    assert refused.returncode == 2
    assert str(one.data_file.parent) in refused.stderr and "acme-delegate restore" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_backup_of_a_damaged_store_does_not_take_the_place_of_a_good_one(server, tmp_path):
    one = server()
    txt = one.publish(one.register())
    assert one.operator("backup", tmp_path / "b").returncode == 0
    good = (tmp_path / "b").read_bytes()
    one.stop()
    damaged_record(one, txt.encode())
    done = one.operator("backup", tmp_path / "b")
    assert done.returncode == 1 and "damaged" in done.stderr
    assert (tmp_path / "b").read_bytes() == good


def test_damaged_while_it_runs_and_restored(server, tmp_path):
    """Said once, SERVFAIL for what only the store knows, health 503, and all is well again after a restore."""
    one = server()
    account, full = one.register(), one.register()
    txt = one.publish(account)
    three = {one.publish(full) for _ in range(3)}  # more than the index holds
    assert one.operator("backup", tmp_path / "b").returncode == 0
    size = one.data_file.stat().st_size
    with open(one.data_file, "r+b") as f:
        f.write(os.urandom(size))
    poll(lambda: "the store is damaged" in one.stderr(), 10, "the message")
    poll(lambda: one.http("GET", "/health").status == 503, 5, "health 503")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert one.query(ZONE, "SOA", timeout=damage.patience()).rcode() == dns.rcode.NOERROR
        answer = one.query(account["fulldomain"], timeout=damage.patience())
        assert answer.rcode() == dns.rcode.SERVFAIL or txt_of(answer) == [txt]
        answer = one.query(full["fulldomain"], timeout=damage.patience(), tcp=True)
        assert answer.rcode() == dns.rcode.SERVFAIL or set(txt_of(answer)) == three
        assert one.update(account, value()).status in (500, 503)
    assert one.stderr().count("the store is damaged") == 1
    one.stop()
    assert harness.run("serve", "-c", one.config_path).returncode == 2
    done = one.operator("restore", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    one.start()
    assert one.values(account) == [txt] and set(one.values(full)) == three
    one.publish(account)


def test_a_keeper_that_is_killed_is_no_damage(server):
    one = server()
    account = one.register()
    for _ in range(3):
        pid = one.children()["keeper"]
        os.kill(pid, signal.SIGABRT)
        poll(lambda: one.children().get("keeper") not in (None, pid), 3, "keeper back")
    txt = one.publish(account)
    assert one.values(account) == [txt]
    assert "damaged" not in one.stderr()


# ---- stores of older formats


def unpack(one, name):
    """The store of a server of that time, and its accounts with their values."""
    folder = one.data_file.parent
    with tarfile.open(STORES / f"{name}.tar.xz") as t:
        t.extractall(folder.parent, filter="data") if hasattr(tarfile, "data_filter") else t.extractall(folder.parent)
    shutil.rmtree(folder, ignore_errors=True)
    (folder.parent / name / "store").rename(folder)
    for path in (folder, folder / "data.mdb"):
        own(path)
    return json.loads((folder.parent / name / "accounts.json").read_text())


@pytest.mark.parametrize("name", ["format1", "format2"])
def test_an_older_store(make_server, name):
    """Keys work and values are served, before and after it was brought up to date."""
    one = make_server(zone={"value_lifetime": "1h"})
    accounts = unpack(one, name)
    done = one.operator("store", "check")
    assert done.returncode == 0 and f"format {name[-1]}" in done.stdout, done.stderr
    exported = one.operator("export").stdout
    one.start()
    poll(lambda: "no checksum" not in one.operator("store", "check").stdout, 10, "checksums")
    assert "format 3" in one.operator("store", "check").stdout
    for account in accounts:
        assert sorted(one.values(account)) == sorted(account["values"])
        txt = one.publish(account)
        assert txt in one.values(account)
    assert one.update(dict(accounts[0], password="x" * 40), value()).status == 401
    one.restart()
    for account in accounts:
        assert len(one.values(account)) == len(account["values"]) + 1
    assert [line.split('"created"')[0] for line in exported.splitlines()[1:]] == [
        line.split('"created"')[0] for line in one.operator("export").stdout.splitlines()[1:]]


def test_an_older_store_killed_on_the_way(make_server):
    """A large one: the keeper brings it up to date between requests, and goes on where it was."""
    one = make_server()
    accounts = unpack(one, "format2-large")
    one.start()
    assert "no checksum" in one.operator("store", "check").stdout, "nothing to see here: it is up to date already"
    for _ in range(8):
        pid = one.children()["keeper"]
        os.kill(pid, signal.SIGKILL)
        poll(lambda: one.children().get("keeper") not in (None, pid), 3, "keeper back")
        account = accounts[0]
        txt = value()
        poll(lambda: one.update(account, txt).status == 200, 5, "an update")
        assert txt in one.values(account)
        for other in accounts[1:]:
            assert sorted(one.values(other)) == sorted(other["values"])
        assert one.operator("store", "check").returncode == 0
        assert one.query(f"d17.{ZONE}", "TXT").rcode() == dns.rcode.NOERROR
    poll(lambda: "no checksum" not in one.operator("store", "check").stdout, 60, "checksums")
    assert one.operator("store", "check").returncode == 0
