# SPDX-License-Identifier: GPL-3.0-or-later
"""api.tls.mode acme: the API gets its own certificate from a CA (pebble), through its own DNS."""

import pytest

import own_ca
from harness import ZONE, poll
from own_ca import IDENTITY


@pytest.fixture
def acme_server():
    """Makes servers with mode acme, not started yet."""
    made = []

    def make(**kw):
        made.append(own_ca.Server(**kw))
        return made[-1]

    yield make
    for one in made:
        try:
            if one.process and one.process.poll() is None:
                one.stop()
        finally:
            one.discard()


def test_the_first_certificate_at_the_apex(acme_server):
    one = acme_server(zone={"records": []})
    one.start()
    poll(one.has_certificate, 20, "a certificate")
    print(one.stderr())
    assert own_ca.names(one.certificate()) == f"DNS:{ZONE}"
