# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenAPI document: well-formed (OpenAPI 3.1.0), with examples that are right, and true of the running server."""

import json
import re

import pytest

import harness
from harness import ROOT, credentials, value
from v1 import BEARER, Answer, bearer, call

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
DOCUMENT = json.loads((ROOT / "src" / "api" / "openapi.json").read_text())
OPERATIONS = [(method, path) for path, item in DOCUMENT["paths"].items() for method in item]


def operation(method, path):
    return DOCUMENT["paths"][path][method]


def walk(node, where="#"):
    yield where, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        yield from walk(child, f"{where}/{name}")


def resolve(ref):
    assert ref.startswith("#/"), ref
    node = DOCUMENT
    for part in ref[2:].split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None)}


def problems(schema, data, where="$"):
    """What is wrong with data by a JSON schema, as far as the document uses them."""
    if "$ref" in schema:
        yield from problems(resolve(schema["$ref"]), data, where)
    for kind in ("anyOf", "oneOf"):
        if kind in schema:
            fits = sum(not list(problems(one, data, where)) for one in schema[kind])
            if not fits or kind == "oneOf" and fits > 1:
                yield f"{where}: {fits} of {kind} fit"
    for one in schema.get("allOf", []):
        yield from problems(one, data, where)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(data, TYPES[k]) and not (k == "integer" and isinstance(data, bool)) for k in kinds):
        yield f"{where}: {data!r} is not {kinds}"
        return
    if "enum" in schema and data not in schema["enum"]:
        yield f"{where}: {data!r} is none of {schema['enum']}"
    if isinstance(data, dict):
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in data:
                yield f"{where}: no {name}"
        for name, child in data.items():
            if name in properties:
                yield from problems(properties[name], child, f"{where}.{name}")
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from problems(schema["additionalProperties"], child, f"{where}.{name}")
    if isinstance(data, list):
        if len(data) > schema.get("maxItems", len(data)):
            yield f"{where}: too many"
        for i, child in enumerate(data):
            yield from problems(schema.get("items", {}), child, f"{where}[{i}]")


# ---- the document alone


def test_head():
    assert re.fullmatch(r"3\.1\.\d", DOCUMENT["openapi"])
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert len(OPERATIONS) > 30
    assert all(path.startswith("/") and set(item) <= METHODS for path, item in DOCUMENT["paths"].items())


def test_references_lead_somewhere_and_components_are_used():
    used = set()
    for where, node in walk(DOCUMENT):
        if isinstance(node, dict) and "$ref" in node:
            assert isinstance(resolve(node["$ref"]), dict), where
            used.add(node["$ref"])
    for name in DOCUMENT["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in used, name


def test_operation_ids_are_unique():
    ids = [operation(*o)["operationId"] for o in OPERATIONS]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("method,path", OPERATIONS)
def test_operation(method, path):
    o = operation(method, path)
    assert o["summary"].endswith((".", "?")) and o["responses"]
    declared = {p["name"] for p in o.get("parameters", []) if p["in"] == "path"}
    assert declared == set(re.findall(r"{(\w+)}", path))
    for p in o.get("parameters", []):
        assert p["in"] in ("path", "query", "header") and "schema" in p and (p["in"] != "path" or p["required"] is True)
    for requirement in o["security"]:
        assert set(requirement) <= set(DOCUMENT["components"]["securitySchemes"])
    for status, response in o["responses"].items():
        assert re.fullmatch(r"[2-5]\d\d", status) and response["description"]
        for media in response.get("content", {}).values():
            assert "schema" in media
        if status >= "400":
            codes = codes_of(response)
            assert codes and codes == sorted(set(codes))
    if method in ("get", "delete"):
        assert "requestBody" not in o  # RFC 9110 sections 9.3.1 and 9.3.5: it would have no meaning


def codes_of(response):
    schema = response["content"]["application/json"]["schema"]
    return next(s["properties"]["error"]["enum"] for s in schema["allOf"] if "properties" in s)


def test_examples_are_of_their_schema():
    seen = 0
    for where, node in walk(DOCUMENT):
        if not isinstance(node, dict):
            continue
        schema = node if "type" in node else node.get("schema")
        examples = node.get("examples", [])
        examples = [e["value"] for e in examples.values()] if isinstance(examples, dict) else examples
        for example in [*examples, *([node["example"]] if "example" in node else [])]:
            seen += 1
            assert not list(problems(schema, example)), where
    assert seen >= 18


def test_what_changes_something_has_an_example():
    for method, path in OPERATIONS:
        body = operation(method, path).get("requestBody")
        if body and not path.startswith("/v1/admin/"):
            assert "example" in body["content"]["application/json"], (method, path)


def test_refusals_of_the_http_reader_are_named():
    """As doc/http.md has them, which its own tests hold to the code."""
    table = (ROOT / "doc" / "http.md").read_text().split("## 2.")[0]
    codes = re.findall(r"^\| \d+ \| `(\w+)` \|", table, re.M)
    assert len(codes) >= 7
    here = (ROOT / "doc" / "api.md").read_text()
    assert all(code in DOCUMENT["info"]["description"] and f"`{code}`" in here for code in codes)


# ---- the document and the server


@pytest.fixture(scope="module")
def office():
    with harness.Server(bearer=BEARER).running() as one:
        yield one


def body_for(o, account):
    body = o.get("requestBody")
    if not body:
        return None
    media = body["content"]["application/json"]
    example = dict(media.get("example", {}))
    for name, text in (("subdomain", account["subdomain"]), ("fqdn", account["fulldomain"] + "."),
                       ("txt", value()), ("allowfrom", ["127.0.0.0/8", "::1/128"])):
        if name in example:
            example[name] = text
    if not example and "allowfrom" in media["schema"].get("required", []):
        example["allowfrom"] = ["127.0.0.0/8"]
    if not example and "aliases" in media["schema"].get("required", []):
        example["aliases"] = ["example.com"]
    return example


def check(method, path, answer):
    """The status, the code and the form of an answer are those of the document."""
    responses = operation(method, path)["responses"]
    assert str(answer.status) in responses, (method, path, answer)
    response = responses[str(answer.status)]
    if answer.status >= 400:
        assert answer.error in codes_of(response), (method, path, answer)
        for header in response.get("headers", {}):
            assert header.lower() in answer.headers, (method, path, answer)
    if "content" not in response:
        assert not answer.body, (method, path, answer)
        return
    kind = answer.headers["content-type"].split(";")[0]
    assert kind in response["content"], (method, path, answer)
    if kind == "application/json":
        found = list(problems(response["content"][kind]["schema"], answer.json))
        assert not found, (method, path, found, answer)


def right_of(path, account):
    return bearer(BEARER) if path.startswith(("/v1/admin/", "/v1/health")) else credentials(account)


@pytest.mark.parametrize("method,path", OPERATIONS)
def test_success_is_as_described(office, method, path):
    account = office.register()
    office.publish(account)
    token = call(office, "POST", "/v1/admin/tokens", bearer(), {"note": "for a test"}).json
    target = token["id"] if "/tokens/" in path else account["username"]
    there = (path.replace("{name}", account["fulldomain"]).replace("{id}", target)
             .replace("{value}", value()).replace("{domain}", "example.com"))
    if method == "delete" and "/keys/" in path:
        there += "?force=true"
    body = body_for(operation(method, path), account)
    if "storage" in path and method == "post":
        body = {k: account[k] for k in ("fulldomain", "subdomain", "username", "password")}
    answer = call(office, method.upper(), there, right_of(path, account), body)
    assert answer.status < 300, (method, path, answer)
    check(method, path, answer)


@pytest.mark.parametrize("path,status", [("/v1/credentials", "get"), ("/v1/register", "post")])
def test_every_format_is_as_described(office, path, status):
    (formats,) = [p["schema"]["enum"] for p in operation(status, path)["parameters"] if p["name"] == "format"]
    account = office.register()
    kinds = set()
    for name in formats:
        answer = call(office, status.upper(), f"{path}?format={name}&domain=example.com&domain=*.example.com",
                      account if status == "get" else None)
        assert answer.status < 300, answer
        check(status, path, answer)
        kinds.add(answer.headers["content-type"].split(";")[0])
    (success,) = [r for s, r in operation(status, path)["responses"].items() if s < "300"]
    assert kinds == set(success["content"])
    answer = call(office, status.upper(), f"{path}?format=nginx", account if status == "get" else None)
    check(status, path, answer)
    assert all(name in answer.json["detail"] for name in formats)


BAD = [None, "nothing", [], {"value": 1}, {"allowfrom": "x"}, {"allowfrom": ["x"]}, {"aliases": [1]}, {"label": []},
       {"at_once": 1}, {"fqdn": 1}, {"subdomain": 1}, {"quota": "x"}, {"expires": "x"}]


@pytest.mark.parametrize("method,path", OPERATIONS)
def test_refusals_are_as_described(office, method, path):
    """Whatever is sent, with a right, a wrong and no key: nothing is answered that is not in the document."""
    account = office.register()
    wrong = {**account, "password": "x" * 40}
    there = re.sub(r"{\w+}", "nothing", path)
    for who in (credentials(account), credentials(wrong), None, bearer("x" * 40), bearer(BEARER)):
        for query in ("", "?x=1", "?format=&domain=%", "?limit=x&after=x&wait=x"):
            for body in BAD if "requestBody" in operation(method, path) else BAD[:1]:
                answer = call(office, method.upper(), there + query, who, body)
                check(method, path, answer)
    if "requestBody" in operation(method, path):
        response = office.http(method.upper(), there, "{", right_of(path, account))
        check(method, path, Answer(response))


def test_the_served_document_is_this_one(office):
    assert call(office, "GET", "/v1/openapi.json").json == DOCUMENT
