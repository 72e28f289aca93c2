from __future__ import annotations

import json

import pytest

from proxy.model import Caller, Deny, Identity, Reason
from proxy.refusals import Refusals

RESOURCE = "https://mcp.example.com/mcp"
METADATA = b'resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"'
ALWAYS = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"

ANSWERS = [
    pytest.param(
        Deny(Reason.CREDENTIAL_MISSING),
        ("a", "b"),
        401,
        b"WWW-Authenticate: Bearer " + METADATA + b', scope="a b"\r\n',
        "unauthorized",
        "An access token is needed.",
        id="no credential",
    ),
    pytest.param(
        Deny(Reason.TOKEN_EXPIRED, "exp is 3 s ago"),
        ("a",),
        401,
        b"WWW-Authenticate: Bearer " + METADATA + b', scope="a", error="invalid_token",'
        b' error_description="The access token has expired."\r\n',
        "invalid_token",
        "The access token has expired.",
        id="an expired token: the detail stays here",
    ),
    pytest.param(
        Deny(Reason.CREDENTIAL_DUPLICATED, "two Authorization lines"),
        (),
        400,
        b"WWW-Authenticate: Bearer " + METADATA + b', error="invalid_request",'
        b' error_description="Send one credential only."\r\n',
        "invalid_request",
        "Send one credential only.",
        id="two credentials",
    ),
    pytest.param(
        Deny(Reason.SCOPE_INSUFFICIENT, "needs scope b", needed=("a", "b")),
        ("a", "c"),
        403,
        b"WWW-Authenticate: Bearer " + METADATA + b', scope="a b", error="insufficient_scope",'
        b' error_description="needs scope b"\r\n',
        "insufficient_scope",
        "needs scope b",
        id="a missing scope: all that the operation needs, and which is missing",
    ),
    pytest.param(
        Deny(Reason.SCOPE_INSUFFICIENT),
        ("a",),
        403,
        b"WWW-Authenticate: Bearer " + METADATA + b', scope="a", error="insufficient_scope",'
        b' error_description="The access token lacks a scope."\r\n',
        "insufficient_scope",
        "The access token lacks a scope.",
        id="a missing scope without a detail",
    ),
    pytest.param(
        Deny(Reason.CLAIM_REFUSED, "claim level does not satisfy rule r"),
        ("a",),
        403,
        b"",
        "access_denied",
        "This token may not do this.",
        id="a claim: no challenge, since no other scope would help",
    ),
    pytest.param(
        Deny(Reason.ROUTE_UNMATCHED), (), 404, b"", "not_found", "There is nothing here.", id="no rule"
    ),
    pytest.param(
        Deny(Reason.METHOD_REFUSED),
        (),
        405,
        b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
        "method_not_allowed",
        "This method is not allowed here.",
        id="a method that is never forwarded",
    ),
    pytest.param(
        Deny(Reason.KEYS_UNAVAILABLE),
        (),
        503,
        b"Retry-After: 5\r\n",
        "temporarily_unavailable",
        "The issuer's keys cannot be had at present.",
        id="no keys",
    ),
    pytest.param(
        Deny(Reason.KEYS_UNAVAILABLE, retry_after=30),
        (),
        503,
        b"Retry-After: 30\r\n",
        "temporarily_unavailable",
        "The issuer's keys cannot be had at present.",
        id="a refusal that knows when to come back",
    ),
]


@pytest.mark.parametrize(("deny", "scopes", "status", "lines", "error", "sentence"), ANSWERS)
def test_answer(deny, scopes, status, lines, error, sentence):
    answer = Refusals(RESOURCE).answer(deny, "4f2a", scopes)
    assert answer[:2] == (status, ALWAYS + lines)
    assert json.loads(answer[2]) == {
        "error": error,
        "error_description": sentence,
        "reason": deny.reason,
        "request_id": "4f2a",
    }


def test_no_metadata_without_a_resource():
    _, lines, _ = Refusals(None).answer(Deny(Reason.CREDENTIAL_MISSING), "4f2a", ("a",))
    assert lines == ALWAYS + b'WWW-Authenticate: Bearer scope="a"\r\n'


@pytest.mark.parametrize("reason", Reason)
def test_nothing_of_the_caller_reaches_an_answer(reason):
    identity = Identity(
        "agent-id", "https://issuer.example", ("held",), ("aud",), {"claim": "value"}, 0.0, "agent-name"
    )
    caller = Caller(identity, frozenset({"held"}), b"X-Agent-Id: agent-id\r\n", b'"agent_id":"agent-id"')
    _, lines, body = Refusals(RESOURCE).answer(Deny(reason, caller=caller), "4f2a", ("needed",))
    assert not any(said in lines + body for said in (b"agent", b"issuer.example", b"held", b"value"))
    assert lines.endswith(b"\r\n")
    assert b"\r\n\r\n" not in lines
