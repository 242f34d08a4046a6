# SPDX-License-Identifier: GPL-3.0-or-later
"""doc/api.md and doc/clients.md are true: their examples are run against a server, in their order, and answer what stands
below them."""

import json
import os
import re
import shutil
import subprocess

import pytest

import harness
from harness import ROOT, URL
from test_openapi import DOCUMENT, OPERATIONS, codes_of

TEXT = (ROOT / "doc" / "api.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)
MINE = [(method, path) for method, path in OPERATIONS if not path.startswith("/v1/admin/")]


def scripts():
    """(script, the answer that stands below it or None)"""
    for i, (kind, text) in enumerate(BLOCKS):
        if kind == "sh":
            below = BLOCKS[i + 1] if i + 1 < len(BLOCKS) else ("sh", "")
            between = TEXT[TEXT.index(text) + len(text) + 4:].lstrip("\n")
            yield text, below if below[0] != "sh" and between.startswith("```" + below[0]) else None


def shape(data):
    """Names and types, not the values themselves."""
    if isinstance(data, dict):
        return {name: shape(child) for name, child in data.items()}
    if isinstance(data, list):
        return [shape(data[0])] if data else []
    return type(data).__name__


def text_shape(text):
    """A text with everything random out of it."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
    return re.sub(r"PASSWORD='[\w-]{40}'", "PASSWORD='SECRET'", text)


CURL = """#!/bin/sh
for argument; do printf '%s\\037' "$argument"; done >>"$CURL_LOG"
printf '\\n' >>"$CURL_LOG"
exec {curl} "$@"
"""


@pytest.fixture(scope="module")
def server():
    with harness.Server(tls=True).running() as one:
        yield one


def run(server, work, script):
    """In a shell, with a curl that trusts the server and notes its arguments."""
    (work / "bin").mkdir()
    (work / "bin" / "curl").write_text(CURL.replace("{curl}", shutil.which("curl")))
    (work / "bin" / "curl").chmod(0o755)
    env = {**os.environ, "PATH": f"{work}/bin:{os.environ['PATH']}", "CURL_LOG": str(work / "curl.log"),
           "CURL_CA_BUNDLE": str(server.folder / "tls.crt"), "HOME": str(work), "no_proxy": "*"}
    script = script.replace(f"API={URL}", f"API=https://localhost:{server.api_port}")
    done = subprocess.run(["sh"], input=script, cwd=work, env=env, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, (done.stderr, [p.read_text() for p in sorted(work.glob("out.*"))][-2:])


@pytest.fixture(scope="module")
def run_through(server, tmp_path_factory):
    """Runs all scripts in one shell; returns what each printed, the arguments of every curl, and the modes of files."""
    work = tmp_path_factory.mktemp("api")
    made = server.operator("token", "add", "--quota", "4", "--json")
    assert made.returncode == 0, made.stderr
    (work / "token").write_text(json.loads(made.stdout)["token"] + "\n")
    run(server, work, "set -eu\n" + "\n".join(f"exec >out.{i}\n{script}" for i, (script, _) in enumerate(scripts())))
    outputs = [(work / f"out.{i}").read_text() for i, _ in enumerate(scripts())]
    calls = [line.split("\x1f")[:-1] for line in (work / "curl.log").read_text().splitlines()]
    return outputs, calls, {p.name: p.stat().st_mode & 0o777 for p in work.glob("*.json")}


@pytest.mark.parametrize("number", [i for i, (_, below) in enumerate(scripts()) if below])
def test_an_answer_is_as_it_stands_there(run_through, number):
    script, (kind, expected) = list(scripts())[number]
    printed = run_through[0][number]
    if kind == "text":
        assert text_shape(printed) == text_shape(expected), script
        return
    found, wanted = json.loads(printed), json.loads(expected)
    if "changes" in found:  # grows with what was done before
        found["changes"], found["resolvers"] = wanted["changes"], wanted["resolvers"]
    assert shape(found) == shape(wanted), script
    assert found.get("error") == wanted.get("error") and found.get("detail") == wanted.get("detail")
    if "txt" in wanted:
        assert printed.strip() == expected.strip()  # byte for byte, as acme-dns


def request_of(arguments):
    """The method and the path template of a curl command."""
    method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "POST" if "-d" in arguments else "GET"
    for url in (a for a in arguments if a.startswith("https://localhost")):
        path = re.sub(r"^https://[^/]*", "", url).split("?")[0]
        for m, template in MINE:
            if m.upper() == method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
                return m, template
    return None


def test_every_operation_has_an_example(run_through):
    shown = {request_of(call) for call in run_through[1]}
    missing = set(MINE) - shown - {("get", "/v1/openapi.json"), ("get", "/v1/health")}
    assert not missing
    assert "/v1/openapi.json" in TEXT
    assert "/v1/health" in TEXT  # the operator's


def test_no_key_is_on_a_command_line(run_through):
    """curl's arguments hold no secret: 40 characters of base64url, but for the file names and the value of 43."""
    for call in run_through[1]:
        for argument in call:
            assert not re.search(r"(?<![\w-])[\w-]{40}(?![\w-])", argument), call


def test_files_with_keys_are_private(run_through):
    assert run_through[2] and all(mode == 0o600 for mode in run_through[2].values()), run_through[2]


def test_every_code_is_listed():
    table = TEXT[TEXT.index("## Errors"):]
    for method, path in MINE:
        for status, response in DOCUMENT["paths"][path][method]["responses"].items():
            if status < "400":
                continue
            for code in codes_of(response):
                rows = [row for row in table.splitlines() if row.startswith("|") and f"`{code}`" in row]
                assert len(rows) == 1 and status in rows[0].split("|")[1], (method, path, status, code)


def test_every_format_is_listed():
    (formats,) = [p["schema"]["enum"] for p in DOCUMENT["paths"]["/v1/credentials"]["get"]["parameters"]
                  if p["name"] == "format"]
    assert all(f"`{name}`" in TEXT for name in formats)


# ---- doc/clients.md


@pytest.fixture(scope="module")
def clients(server, tmp_path_factory):
    text = (ROOT / "doc" / "clients.md").read_text()
    work = tmp_path_factory.mktemp("clients")
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S))
    run(server, work, f"set -eu\nAPI={URL}\nexec >out\n{script}")
    return text, work


def test_settings_of_every_client_can_be_had(clients):
    text, work = clients
    made = {p.name for p in work.iterdir()}
    assert {"acme-dns.json", "httpreq.env", "traefik.txt", "Caddyfile", "secret.yaml", "acmedns-registration.json",
            "acmedns.env", "certificate.ps1"} <= made
    for name in made - {"bin", "out", "curl.log"}:
        assert (work / name).stat().st_mode & 0o777 == 0o600
    assert "\nexample.com, *.example.com {\n" in (work / "Caddyfile").read_text()
    (formats,) = [p["schema"]["enum"] for p in DOCUMENT["paths"]["/v1/credentials"]["get"]["parameters"]
                  if p["name"] == "format"]
    assert all(f"`{name}`" in text for name in formats)


def test_proxmox_takes_four_lines(clients):
    """pve's plugin data: NAME=value a line, taken as it stands."""
    lines = (clients[1] / "out").read_text().splitlines()
    assert [line.split("=")[0] for line in lines] == [
        "ACMEDNS_BASE_URL", "ACMEDNS_USERNAME", "ACMEDNS_PASSWORD", "ACMEDNS_SUBDOMAIN"]
    assert not any("'" in line or '"' in line for line in lines)


@pytest.mark.parametrize("name", ["api.md", "clients.md"])
def test_links_lead_somewhere(name):
    text = (ROOT / "doc" / name).read_text()
    headings = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        assert not file or (ROOT / "doc" / file).exists() or file == "administration.md", target
        assert not anchor or file or anchor in headings, target
