# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaks the API below /v1/: JSON in, JSON out, with a key, a token, or the operator's bearer token."""

import json

from harness import basic_credentials, credentials

BEARER = "operator-0123456789-operator-0123456789"


def bearer(token=BEARER):
    return {"Authorization": f"Bearer {token}"}


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.body
        is_json = response.headers.get("content-type", "").startswith("application/json")
        self.json = json.loads(response.body) if is_json and response.body else None

    @property
    def error(self):
        return self.json and self.json.get("error")

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body!r}"


def call(server, method, path, who=None, body=None, headers=None):
    """`who`: an account as /register gives it, or headers. `body`: anything that becomes JSON; None: none."""
    fields = dict(headers or {})
    if who:
        fields.update(credentials(who) if "username" in who else who)
    text = None if body is None else json.dumps(body)
    return Answer(server.http(method, path, text, fields))


def expect(answer, status, error=None):
    """A /v1/ answer of that status; a refusal has a code and a sentence that says what to do."""
    assert answer.status == status, answer
    if status >= 400:
        assert set(answer.json) == {"error", "detail"}, answer
        assert answer.json["error"] == error or error is None, answer
        assert len(answer.json["detail"]) > 10 and answer.json["detail"][-1] in ".)", answer
    return answer.json


def account_of(made, server_account=None):
    """What /v1/keys gives is an account, too."""
    return {**(server_account or {}), **made}


__all__ = ["BEARER", "Answer", "account_of", "basic_credentials", "bearer", "call", "expect"]
