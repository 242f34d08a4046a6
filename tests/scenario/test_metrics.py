# SPDX-License-Identifier: GPL-3.0-or-later
"""GET /metrics: Prometheus's format, as its own client library reads it; every metric in doc/metrics.md and the other way
round; numbers that are what was done, and that never go back, whoever is killed."""

import os
import re
import signal
import socket
import time

import dns.message
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

import harness
from harness import ROOT, ZONE, poll, value

DOCUMENT = (ROOT / "doc" / "metrics.md").read_text()
ROWS = re.findall(r"^\| `(acme_delegate_\w+)` \| (\w+) \| (.*?) \| (.*?) ?\|$", DOCUMENT, re.M)
BASE_UNITS = ("_seconds", "_bytes")


def serve(**changes):
    port = harness.free_port()
    one = harness.Server(metrics={"listen": [f"127.0.0.1:{port}"]}, **changes)
    one.metrics_port = port
    return one


@pytest.fixture(scope="module")
def server():
    with serve(tls=True, dot=True).running() as one:
        yield one


def fetch(server, method="GET", path="/metrics", headers=()):
    request = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]) + "\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.metrics_port), timeout=5) as s:
        s.sendall(request.encode())
        raw = b""
        while part := s.recv(65536):
            raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    return int(lines[0].split()[1]), fields, body.decode()


def scrape(server):
    """(name, labels) -> value, of every sample."""
    status, _, text = fetch(server)
    assert status == 200
    samples = {}
    for family in text_string_to_metric_families(text):
        for s in family.samples:
            key = (s.name.removeprefix("acme_delegate_"), tuple(sorted(s.labels.items())))
            assert key not in samples, key
            samples[key] = s.value
    return samples


def at(samples, name, **labels):
    return samples.get((name, tuple(sorted(labels.items()))), 0)


def risen(before, after):
    """What has grown, and by how much; gauges and sums of time left out."""
    return {k: v - before.get(k, 0) for k, v in after.items()
            if k[0].endswith(("_total", "_count")) and v != before.get(k, 0)}


# ---- the format


def test_content_type_and_what_else_there_is(server):
    status, fields, text = fetch(server)
    assert (status, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert fetch(server, "HEAD")[2] == "" and fetch(server, "HEAD")[0] == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        status, fields, _ = fetch(server, method)
        assert status == 405 and fields["allow"] == "GET, HEAD"
    for path in ("/", "/metrics/", "/metricsx", "/health", "/register", "/v1/openapi.json", "/update"):
        assert fetch(server, path=path)[0] == 404
    assert text.endswith("\n") and "\r" not in text


def test_strictly_as_openmetrics_where_that_applies(server):
    """The stricter reader wants units, suffixes and buckets in order; a family's HELP and TYPE come first, and once."""
    text = fetch(server)[2]
    stripped = re.sub(r"^(# (?:TYPE|HELP) \w+?)_total( .*)$", r"\1\2", text, flags=re.M)  # families are called so there
    families = list(openmetrics.text_string_to_metric_families(stripped + "# EOF\n"))
    assert len(families) == len(ROWS)
    for f in families:
        assert f.documentation.endswith(".") and f.type in ("counter", "gauge", "histogram"), f
        for s in f.samples:
            assert s.value >= 0, s


def test_names_follow_the_conventions(server):
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", fetch(server)[2], re.M):
        assert re.fullmatch(r"acme_delegate_[a-z0-9_]+", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|microseconds|kb|kilobytes|minutes|days|percent)(_|$)", name), name
        assert "timestamp" not in name or name.endswith("_timestamp_seconds"), name


def test_the_document_has_every_metric_and_no_other(server):
    text = fetch(server)[2]
    kinds = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M)
    helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M))
    assert kinds == [(name, kind) for name, kind, _, _ in ROWS]
    assert helps == {name: meaning for name, _, meaning, _ in ROWS}


def test_labels_are_those_of_the_document_and_bounded(server):
    account = server.register()
    server.publish(account)
    server.query(account["fulldomain"] + ".", "TXT")
    text = fetch(server)[2]
    documented = {name: (set(re.findall(r"`(\w+)`", labels)), labels) for name, _, _, labels in ROWS}
    series = 0
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        for s in family.samples:
            series += 1
            for label, content in s.labels.items():
                assert label == "le" or label in documented[name][0], s
                assert re.fullmatch(r"[\w.+-]{1,24}", content), s
    assert series < 600, "no explosion of labels"
    assert account["subdomain"] not in text and account["username"] not in text and "127.0.0.1" not in text


# ---- the numbers


@pytest.mark.parametrize("rdtype,shown", [("TXT", "TXT"), ("A", "A"), ("AAAA", "AAAA"), ("NS", "NS"), ("SOA", "SOA"),
                                          ("CAA", "CAA"), ("DNSKEY", "DNSKEY"), ("DS", "DS"), ("CNAME", "CNAME"),
                                          ("ANY", "ANY"), ("HTTPS", "HTTPS"), ("MX", "other"), ("TYPE65280", "other")])
def test_queries_are_counted_by_type_and_code(server, rdtype, shown):
    names = [(ZONE, "NOERROR"), (f"nobody-{rdtype.lower()}.{ZONE}", "NXDOMAIN"), (f"a.b.{ZONE}", "NXDOMAIN")]
    if rdtype != "DS":  # which belongs to the parent
        names.append(("example.com", "REFUSED"))
    before = scrape(server)
    for name, _ in names * 3:
        server.query(name, rdtype)
    after = poll(lambda: (s := scrape(server)) and at(s, "dns_queries_total", transport="udp")
                 == at(before, "dns_queries_total", transport="udp") + 3 * len(names) and s, 5, "counted")
    delta = risen(before, after)
    assert delta.pop(("dns_responses_by_type_total", (("type", shown),))) == 3 * len(names)
    assert not [k for k in delta if k[0] == "dns_responses_by_type_total"]
    for rcode in {r for _, r in names}:
        wanted = 3 * sum(r == rcode for _, r in names)
        assert delta.pop(("dns_responses_by_rcode_total", (("rcode", rcode),))) == wanted
    assert not [k for k in delta if k[0] == "dns_responses_by_rcode_total"]
    assert delta[("dns_response_duration_seconds_count", ())] == 3 * len(names)


def test_transports_and_connections(server):
    before = scrape(server)
    for _ in range(2):
        server.query(ZONE, "SOA", tcp=True)
    streams = [server.stream() for _ in range(3)] + [server.stream(dot=True) for _ in range(2)]
    after = poll(lambda: (s := scrape(server)) and at(s, "dns_connections", transport="tcp") == 3
                 and at(s, "dns_connections", transport="tls") == 2 and s, 5, "connections")
    assert at(after, "dns_queries_total", transport="tcp") - at(before, "dns_queries_total", transport="tcp") == 2
    for transport, count in (("tcp", 5), ("tls", 2)):
        key = ("dns_connections_accepted_total", (("transport", transport),))
        assert after[key] - before[key] == count
    for s in streams:
        s.close()
    poll(lambda: at(s := scrape(server), "dns_connections", transport="tcp") == 0
         and at(s, "dns_connections", transport="tls") == 0, 5, "none is left")


def test_requests_are_counted(server):
    before = scrape(server)
    account = server.register()
    for _ in range(3):
        server.publish(account)
    assert server.update({**account, "password": "x" * 40}, value()).status == 401
    assert server.http("GET", "/health").status == 200
    assert server.http("GET", "/nothing").status == 404
    after = scrape(server)
    for route, code, count in (("register", 201, 1), ("update", 200, 3), ("update", 401, 1), ("health", 200, 1),
                               ("other", 404, 1)):
        key = ("http_responses_total", (("code", str(code)), ("route", route)))
        assert after[key] - before.get(key, 0) == count, key
    delta = risen(before, after)
    assert delta[("registrations_total", ())] == 1 and delta[("changes_total", ())] == 3
    assert delta[("refusals_total", (("reason", "forbidden"),))] == 1
    assert delta[("http_request_duration_seconds_count", (("route", "update"),))] == 4
    assert delta[("commit_requests_count", ())] <= delta[("commit_duration_seconds_count", ())]
    assert 4 <= at(after, "commit_requests_sum") - at(before, "commit_requests_sum")
    poll(lambda: at(scrape(server), "delegates") == at(before, "delegates") + 1
         or at(scrape(server), "delegates") >= 1, 5, "measured")


def test_failed_logins_that_are_slowed():
    with serve(api={"failed_login_delay": "1s"}).running() as one:
        account = one.register()
        for _ in range(8):
            one.update({**account, "password": "x" * 40}, value())
        after = scrape(one)
        assert at(after, "refusals_total", reason="forbidden") == 8
        assert 0 < at(after, "refusals_slowed_total") <= 8


def test_the_store_and_the_certificate(server):
    for _ in range(3):
        server.publish(server.register())
    size = server.data_file.stat().st_size
    s = poll(lambda: (s := scrape(server)) and at(s, "delegates_with_values") >= 3 and s, 5, "measured")
    assert at(s, "store_writable") == 1 and 0 < at(s, "store_size_bytes") <= size + (1 << 20)
    assert at(s, "store_map_bytes") > at(s, "store_size_bytes")
    assert at(s, "delegates") >= at(s, "delegates_with_values")
    assert at(s, "events") > 3 and at(s, "index_in_service") == 1
    assert at(s, "build_info", version="0.1.0") == 1
    now = time.time()
    assert now - 600 < at(s, "start_time_seconds") <= now
    assert now < at(s, "certificate_not_after_timestamp_seconds") < now + 3 * 86400
    assert at(s, "certificate_not_before_timestamp_seconds") <= now + 1
    for process in ("keeper", "api", "dot", "dns0", "dns1"):
        assert at(s, "process_up", process=process) == 1
        assert at(s, "process_confined", process=process, **{"from": "privileges"}) == 1


def test_limited_answers_and_cookies():
    with serve(dns={"rate_limit": {"responses_per_second": 5}}).running() as one:
        wire = dns.message.make_query(f"nobody.{ZONE}", "TXT").to_wire()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.connect(("127.0.0.1", one.dns_port))
            for _ in range(3000):  # a network that was quiet has 1000 at once
                flood.send(wire)
        s = poll(lambda: (s := scrape(one)) and at(s, "dns_responses_limited_total") and s, 5, "limited")
        assert at(s, "dns_responses_truncated_total") >= at(s, "dns_responses_limited_total")


# ---- whatever happens, no counter goes back


def assert_forward(before, after):
    for key, number in before.items():
        if key[0].endswith(("_total", "_count", "_bucket", "_sum")):
            assert after.get(key, -1) >= number, key


def test_counters_never_go_back():
    with serve(tls=True, dot=True).running() as one:
        account = one.register()
        seen = scrape(one)
        for step in ("hup", "dns0", "dns1", "keeper", "api", "dot", "hup", "hup", "keeper"):
            one.publish(account)
            for _ in range(4):
                one.query(account["fulldomain"] + ".", "TXT", tcp=True)
            queries = at(scrape(one), "dns_queries_total", transport="tcp")
            assert queries >= at(seen, "dns_queries_total", transport="tcp") + 4
            before = scrape(one)
            old = one.children()
            if step == "hup":
                one.hup()
                poll(lambda: set(old.values()).isdisjoint((now := one.children()).values()) and len(now) == len(old),
                     15, "everybody replaced")
            else:
                os.kill(old[step], signal.SIGKILL)
                poll(lambda: one.children().get(step) not in (None, old[step]), 10, "started again")

            def answer():
                try:
                    return scrape(one)
                except OSError:
                    return None
            seen = poll(answer, 10, "metrics again")
            assert_forward(before, seen)
            poll(lambda: one.http("GET", "/health").status == 200, 10, "well again")
        assert at(seen, "reloads_total") == 3
        final = scrape(one)
        assert at(final, "process_restarts_total", process="keeper", reason="signal") == 2
        assert at(final, "process_restarts_total", process="dns0", reason="signal") == 1
        assert at(final, "process_restarts_total", process="dns0", reason="exit") == 0
        assert at(final, "changes_total") == 9 and at(final, "registrations_total") == 1


def test_while_the_keeper_hangs(server):
    pid = server.children()["keeper"]
    os.kill(pid, signal.SIGSTOP)
    try:
        poll(lambda: at(scrape(server), "process_up", process="keeper") == 0, 6, "seen")
        assert at(scrape(server), "process_up", process="api") == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    poll(lambda: at(scrape(server), "process_up", process="keeper") == 1, 6, "well again")


# ---- the configuration


def test_off_unless_configured():
    with harness.Server().running() as one:
        assert "metrics on" not in one.stderr()


def test_who_listens_elsewhere_than_on_loopback_is_warned(tmp_path):
    one = harness.Server(metrics={"listen": ["0.0.0.0:9153"]})
    try:
        done = harness.run("config", "check", "-c", one.config_path)
        assert done.returncode == 0 and "can read the metrics" in done.stdout + done.stderr
        one.configure(metrics={"listen": ["127.0.0.1:9153", "[::1]:9153"]})
        done = harness.run("config", "check", "-c", one.config_path)
        assert done.returncode == 0 and "can read the metrics" not in done.stdout + done.stderr
    finally:
        one.discard()


def test_an_endpoint_that_is_taken_is_said(server):
    second = harness.Server(metrics={"listen": [f"127.0.0.1:{server.metrics_port}"]})
    try:
        second.launch()
        assert second.wait(10) == 2 and "metrics" in second.stderr() and "in use" in second.stderr()
    finally:
        second.discard()


def test_a_flood_of_connections_leaves_the_api_alone(server):
    held = [socket.create_connection(("127.0.0.1", server.metrics_port), timeout=5) for _ in range(80)]
    try:
        assert fetch(server)[0] == 200
        assert server.http("GET", "/health").status == 200
    finally:
        for s in held:
            s.close()
