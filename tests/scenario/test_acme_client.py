# SPDX-License-Identifier: GPL-3.0-or-later
"""The ACME client (src/acme) against pebble, with a proxy between that plays what pebble does not (RFC 8555, RFC 9773)."""

import contextlib
import json
import pathlib
import stat

import pytest

import acme_ca
from acme_ca import Ca, Client, Reply

NAME = "auth.example.org"


@pytest.fixture(scope="module")
def common():
    """One CA for the tests that leave it as it is."""
    ca = Ca(PEBBLE_ALTERNATE_ROOTS="2")
    yield ca
    ca.close()


@pytest.fixture
def ca(common):
    common.proxy.reset()
    common.dns.values.clear()
    yield common


@pytest.fixture
def client(ca, folder):
    """Makes clients of the common CA, in the test's folder; they are stopped at the end."""
    made = []

    def make(**kw):
        made.append(Client(kw.pop("ca", ca), kw.pop("folder", folder), **kw))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.stop()


def read_state(folder):
    return json.loads((folder / "state.json").read_text())


def names_of(path):
    text = acme_ca.openssl("x509", "-in", path, "-noout", "-ext", "subjectAltName")
    return sorted(word.strip() for word in text.splitlines()[-1].replace("DNS:", "").split(","))


# ---- an order that goes well


def test_a_certificate_is_ordered_and_installed(ca, client, folder):
    one = client(names=(NAME, "other.example.org"), contact="admin@example.org").until_renewed()
    path = folder / "certificate.pem"
    assert names_of(path) == [NAME, "other.example.org"]
    assert acme_ca.openssl("x509", "-in", path, "-noout", "-pubkey") == acme_ca.openssl("pkey", "-in", path, "-pubout")
    assert path.read_text().count("BEGIN CERTIFICATE") == 2  # with its intermediate
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert not file.name.endswith(".new")
    account = ca.proxy.paths("/sign-me-up")[0].payload()
    assert account["termsOfServiceAgreed"] is True and account["contact"] == ["mailto:admin@example.org"]
    # Each name's values come in one piece, and are gone at the end.
    counts = [(n, len(v)) for n, v in one.published]
    assert sorted(counts[:2]) == [(NAME, 1), ("other.example.org", 1)]
    assert sorted(counts[2:]) == [(NAME, 0), ("other.example.org", 0)]
    # RFC 8555 section 8.4: the base64url of a SHA-256.
    assert all(len(v) == 43 for _, values in one.published for v in values)
    # The operator's hook is heard between the account and the order.
    lines = [line.split(" ")[0] for line in one.lines if not line.startswith("report")]
    assert lines[0] == "permit" and lines[-1] == "renewed"
    assert one.stop() == 0
