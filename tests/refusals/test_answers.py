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


PROOFS = ("ES256", "EdDSA")
DPOP = b"WWW-Authenticate: DPoP " + METADATA + b', scope="a", algs="ES256 EdDSA"'
BEARER = b"WWW-Authenticate: Bearer " + METADATA + b', scope="a"'

CHALLENGES = [
    pytest.param(
        Deny(Reason.CREDENTIAL_MISSING), BEARER + b"\r\n" + DPOP + b"\r\n", id="no credential: both schemes"
    ),
    pytest.param(
        Deny(Reason.TOKEN_EXPIRED),
        BEARER
        + b', error="invalid_token", error_description="The access token has expired."\r\n'
        + DPOP
        + b', error="invalid_token", error_description="The access token has expired."\r\n',
        id="an expired token, under either scheme",
    ),
    pytest.param(
        Deny(Reason.PROOF_INVALID, "the proof's htu is another"),
        BEARER
        + b', error="invalid_token",'
        + b' error_description="The proof of possession is missing or not accepted."\r\n'
        + DPOP
        + b', error="invalid_dpop_proof",'
        + b' error_description="The proof of possession is missing or not accepted."\r\n',
        id="a proof that is not accepted",
    ),
    pytest.param(
        Deny(Reason.PROOF_INVALID, lines=b"DPoP-Nonce: abc\r\n"),
        DPOP
        + b', error="use_dpop_nonce",'
        + b' error_description="The proof of possession is missing or not accepted."\r\n'
        + b"DPoP-Nonce: abc\r\n",
        id="a proof without a nonce: DPoP alone, and the nonce",
    ),
    pytest.param(
        Deny(Reason.SCOPE_INSUFFICIENT, needed=("a",)),
        BEARER
        + b', error="insufficient_scope", error_description="The access token lacks a scope."\r\n'
        + DPOP
        + b', error="insufficient_scope", error_description="The access token lacks a scope."\r\n',
        id="a missing scope",
    ),
    pytest.param(Deny(Reason.ROUTE_UNMATCHED), b"", id="no challenge where none would help"),
]


@pytest.mark.parametrize(("deny", "lines"), CHALLENGES)
def test_challenges_where_proofs_are_taken(deny, lines):
    assert Refusals(RESOURCE, PROOFS).answer(deny, "4f2a", ("a",))[1] == ALWAYS + lines


def test_without_proofs_a_refused_proof_is_a_refused_token():
    lines = Refusals(RESOURCE).answer(Deny(Reason.PROOF_INVALID), "4f2a", ("a",))[1]
    assert b"DPoP" not in lines
    assert b'error="invalid_token"' in lines


def test_the_refusals_own_lines_come_last():
    deny = Deny(Reason.RATE_LIMITED, retry_after=7, lines=b"RateLimit: x\r\n")
    assert Refusals(RESOURCE).answer(deny, "4f2a")[1] == ALWAYS + b"Retry-After: 7\r\nRateLimit: x\r\n"


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


RPC = [
    pytest.param(
        Deny(Reason.SCOPE_INSUFFICIENT, "needs scope memory:write to call delete_memory", needed=("a",)),
        b"7",
        403,
        b'{"jsonrpc":"2.0","id":7,"error":{"code":403,"message":"needs scope memory:write to call delete_memory"'
        b',"data":{"reason":"scope_insufficient","request_id":"4f2a"}}}',
        id="a number answers a number, and the sentence says what to do",
    ),
    pytest.param(
        Deny(Reason.OPERATION_REFUSED, "tool x may not be called here"),
        b'"a"',
        403,
        b'{"jsonrpc":"2.0","id":"a","error":{"code":403,"message":"tool x may not be called here",'
        b'"data":{"reason":"operation_refused","request_id":"4f2a"}}}',
        id="a text answers a text",
    ),
    pytest.param(
        Deny(Reason.CREDENTIAL_MISSING),
        b"",
        401,
        b'{"jsonrpc":"2.0","error":{"code":401,"message":"An access token is needed.",'
        b'"data":{"reason":"credential_missing","request_id":"4f2a"}}}',
        id="an id that is not known is left out, never null",
    ),
    pytest.param(
        Deny(Reason.MCP_MISMATCH, "Mcp-Method says ping, the body tools/call"),
        b"1",
        400,
        b'{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"Mcp-Method says ping, the body tools/call",'
        b'"data":{"reason":"mcp_mismatch","request_id":"4f2a"}}}',
        id="headers that disagree have a code of the specification",
    ),
    pytest.param(
        Deny(Reason.OPERATION_UNKNOWN),
        b"1",
        404,
        b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"There is no such operation.",'
        b'"data":{"reason":"operation_unknown","request_id":"4f2a"}}}',
        id="so has a method that is not known",
    ),
    pytest.param(
        Deny(Reason.MCP_MALFORMED),
        b"",
        400,
        b'{"jsonrpc":"2.0","error":{"code":-32600,"message":'
        b'"The body is no JSON-RPC message with only one reading.",'
        b'"data":{"reason":"mcp_malformed","request_id":"4f2a"}}}',
        id="and a body that is no message",
    ),
]


@pytest.mark.parametrize(("deny", "rpc", "status", "said"), RPC)
def test_a_refusal_in_json_rpc(deny, rpc, status, said):
    answer = Refusals(RESOURCE).answer(deny, "4f2a", (), rpc)
    assert (answer[0], answer[2]) == (status, said)
    # The same challenge as elsewhere.
    assert answer[1] == Refusals(RESOURCE).answer(deny, "4f2a")[1]


def test_an_mcp_endpoint_names_its_own_methods():
    _, lines, _ = Refusals(RESOURCE).answer(Deny(Reason.METHOD_REFUSED), "4f2a", (), b"")
    assert lines == ALWAYS + b"Allow: GET, HEAD, POST, DELETE, OPTIONS\r\n"
