# SPDX-License-Identifier: GPL-3.0-or-later
"""Children are killed with SIGKILL while clients update: nothing acknowledged is lost, nobody waits for long."""

import http.client
import json
import os
import random
import signal
import threading
import time

import dns.exception
import dns.rcode
import pytest

import rawhttp
from harness import ZONE, credentials, poll, value

KILLS = 60  # and 1000 in tests/soak
CLIENTS = 8
BACK_SECONDS = 1.0


class Client(threading.Thread):
    """Publishes one value after the other; goes on to the next only when the last is acknowledged."""

    def __init__(self, server, stop):
        super().__init__()
        self.server, self.stop = server, stop
        self.account = server.register()
        self.acknowledged = []
        self.unexpected = []
        self.retries = 0

    def send(self, connection, txt):
        """True: 200 came in full. The connection may break, and a keeper that was killed may leave a 5xx."""
        try:
            body = json.dumps({"subdomain": self.account["subdomain"], "txt": txt})
            connection.request("POST", "/update", body, credentials(self.account))
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        if response.status == 200 and text == b'{"txt": "%s"}' % txt.encode():
            return True
        if response.status < 500:
            self.unexpected.append((response.status, text))
        return False

    def publish(self, connection, txt):
        deadline = time.monotonic() + 10
        while not self.send(connection, txt):
            self.retries += 1
            if self.unexpected or time.monotonic() > deadline:
                self.unexpected.append("no acknowledgement within 10 s")
                return
            time.sleep(0.01)  # a client that retries without pause only heats the machine
        self.acknowledged.append(txt)

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.api_port, timeout=5)
        while not self.stop.is_set() and not self.unexpected:
            self.publish(connection, value())
        connection.close()


class Watcher(threading.Thread):
    """Asks DNS every 50 ms. A query lost with a killed worker is asked again, and answered within a second."""

    def __init__(self, server, stop, account, expected):
        super().__init__()
        self.server, self.stop, self.account, self.expected = server, stop, account, expected
        self.wrong = []
        self.asked = self.lost = 0

    def ask(self):
        deadline = time.monotonic() + BACK_SECONDS
        while True:
            self.asked += 1
            try:
                found = self.server.values(self.account, tcp=False, timeout=0.25)
                return None if found == [self.expected] else found
            except dns.exception.Timeout:
                self.lost += 1
                if time.monotonic() > deadline:
                    return "no answer within a second"
            except AssertionError as error:
                return str(error)

    def run(self):
        while not self.stop.wait(0.05) and not self.wrong:
            problem = self.ask()
            if problem:
                self.wrong.append(problem)


def is_back(server, role, old_pid):
    """The role has a new process and its service answers."""
    if server.children().get(role) in (None, old_pid):
        return False
    try:
        if role.startswith("dns"):
            return server.query(ZONE, "SOA", timeout=0.2).rcode() == dns.rcode.NOERROR
        return server.http("GET", "/health", timeout=0.5).status == 200
    except (OSError, dns.exception.DNSException, rawhttp.Incomplete):
        return False


def kill_one(server, rng, number):
    role, pid = rng.choice(sorted(server.children().items()))
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    poll(lambda: is_back(server, role, pid), BACK_SECONDS, f"{role} back after kill {number}")
    return role, time.monotonic() - killed


# Up to two values of a delegate are in the index, more are not: both ways must keep what they promised.
@pytest.mark.parametrize("held, kills", [(2, KILLS // 3), (32, KILLS)])
def test_no_acknowledged_value_is_lost(server, held, kills):
    seed = random.randrange(2 ** 32)
    print("seed", seed)
    rng = random.Random(seed)
    one = server(dns={"workers": 2}, zone={"max_values": held, "value_lifetime": "1d"})
    everybody = set(one.children())
    assert everybody == {"dns0", "dns1", "api", "keeper"}
    watched = one.register()
    stop = threading.Event()
    watcher = Watcher(one, stop, watched, one.publish(watched))
    clients = [Client(one, stop) for _ in range(CLIENTS)]
    for thread in (watcher, *clients):
        thread.start()
    back = []
    try:
        for number in range(kills):
            back.append(kill_one(one, rng, number))
            poll(lambda: set(one.children()) == everybody, BACK_SECONDS, "all children there")
    finally:
        stop.set()
        for thread in (watcher, *clients):
            thread.join(20)
    print("slowest return", max(back, key=lambda b: b[1]), "acknowledged", [len(c.acknowledged) for c in clients],
          "retries", sum(c.retries for c in clients), "queries", watcher.asked, "lost", watcher.lost)
    assert {role for role, _ in back} == everybody, "every role was killed at least once"
    assert watcher.wrong == []
    for client in clients:
        assert client.unexpected == []
        assert len(client.acknowledged) > 20
        served = one.values(client.account)
        # A request that was cut may have been carried out once more later, so allow for half of them to be gone.
        assert set(client.acknowledged[-held // 2:]) <= set(served), "an acknowledged value is missing"
        assert set(served) <= set(client.acknowledged), "a value that nobody published"
        assert len(served) <= held
    one.restart()
    for client in clients:
        assert set(client.acknowledged[-held // 2:]) <= set(one.values(client.account)), "missing after a restart"


def test_killing_a_worker_again_and_again_delays_no_other_role(server):
    """A child that keeps dying is started again each time within a second, however often."""
    one = server(dns={"workers": 1})
    for role in ("dns0", "keeper", "api"):
        for _ in range(8):
            pid = one.children()[role]
            os.kill(pid, signal.SIGKILL)
            poll(lambda: is_back(one, role, pid), BACK_SECONDS, f"{role} back")


@pytest.mark.parametrize("attempt", range(10))
def test_everything_killed_at_once(server, attempt):
    """Right after the start, when all of them are due again at nearly the same moment."""
    one = server(dns={"workers": 4})
    account = one.register()
    txt = one.publish(account)
    for _ in range(2):
        before = one.children()
        assert len(before) == 6
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + BACK_SECONDS
        for role, pid in before.items():
            poll(lambda: is_back(one, role, pid), deadline - time.monotonic(), f"{role} back")
        assert one.values(account) == [txt]
    assert one.update(account, value()).status == 200
