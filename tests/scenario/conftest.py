# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the black-box tests. ACME_DELEGATE_BIN names the binary (default: build/acme-delegate)."""

import os
import shutil

import pytest

import harness


def pytest_configure(config):
    if not os.access(harness.BINARY, os.X_OK):
        raise pytest.UsageError(f"no binary at {harness.BINARY}: build it first or set ACME_DELEGATE_BIN")


@pytest.fixture(autouse=True)
def no_sanitizer_report():
    """Whatever a test asks, no server may have written a sanitizer's report meanwhile."""
    yield
    for server in list(harness.running):
        harness.assert_clean(server.stderr())


@pytest.fixture
def folder():
    path = harness.make_folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_server():
    """A factory of servers that are not started yet; they are stopped, or discarded after a failure, at the end."""
    made = []

    def make(**kw):
        made.append(harness.Server(**kw))
        return made[-1]

    yield make
    try:
        for server in made:
            if server.process and server.process.poll() is None:
                server.stop()
    finally:
        for server in made:
            server.discard()


@pytest.fixture
def server(make_server):
    """A factory of running servers: server(zone={...}, api={...}, tls=True, ...)."""

    def start(**kw):
        return make_server(**kw).start()

    return start


@pytest.fixture(scope="module")
def shared():
    """One running server for all tests of a module that leave it as it is (registering does)."""
    with harness.Server().running() as one:
        yield one
