"""Bound tokens, and the proofs that come with them: every request judged, without an event loop."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.authn.credential import Credential, digest_of
from proxy.authn.proofs import Proofs
from proxy.authn.replay import UsedProofs
from proxy.config import Issuer
from proxy.model import Caller, Deny, Identity, Peer, Reason, RequestHead
from tests.support.keys import SigningKey, make_key
from tests.support.proofs import ath, proof_claims, sign_proof, thumbprint
from tests.support.steps import straight

NOW = 1_700_000_000.0
TOKEN = b"the.access.token"
RESOURCE = "https://mcp.example.com/mcp"
ORIGIN = "https://mcp.example.com"
OPTIONAL, REQUIRED, NONCED, OFF = (
    f"https://{name}.test" for name in ("optional", "required", "nonced", "off")
)

KEY, SECOND, THIEF = make_key("EdDSA", "ed"), make_key("ES256", "second"), make_key("EdDSA", "a thief's")
WEAK = make_key("RS256", "weak", 1024)
SECRET = make_key("HS256", None)


def issuer(name: str, **dpop: Any) -> Issuer:
    return Issuer(issuer=name, audience=[RESOURCE], leeway=5.0, dpop=dpop)


ISSUERS = [
    issuer(OPTIONAL, mode="optional"),
    issuer(REQUIRED, mode="required"),
    issuer(NONCED, mode="optional", nonce=True),
    issuer(OFF),
]


def proofs(resource: str | None = RESOURCE, limit: int = 10_000) -> Proofs:
    return Proofs(ISSUERS, resource, UsedProofs(limit), b"k" * 32)


def caller(name: str = OPTIONAL, *, bound: bool = True, key: SigningKey = KEY) -> Caller:
    bound_to = thumbprint(key) if bound else None
    identity = Identity("agent", name, (), (RESOURCE,), {}, NOW + 3600, bound_to=bound_to)
    return Caller(identity, frozenset(), b"", b"")


def proof(uri: str = RESOURCE, method: str = "POST", key: SigningKey = KEY, **changes: Any) -> bytes:
    return sign_proof(key, proof_claims(TOKEN, NOW, method, uri, **changes))


def head(*values: bytes, target: bytes = b"/mcp", method: str = "POST") -> RequestHead:
    lines = tuple((b"DPoP", value) for value in values)
    fields = {b"dpop": b", ".join(values)} if values else {}
    repeated = frozenset({b"dpop"} if len(values) > 1 else ())
    return RequestHead(method, target, b"mcp.example.com", lines, fields, repeated, Peer("127.0.0.1"))


def dpop(token: bytes = TOKEN) -> Credential:
    return Credential(token, digest_of(token), "DPoP")


def bearer() -> Credential:
    return Credential(TOKEN, digest_of(TOKEN), "Bearer")


def judged(
    judge: Proofs, request: RequestHead, credential: Credential, who: Caller, now: float = NOW
) -> Deny | None:
    return straight(judge.judge(request, credential, who, now))


PASS = [
    pytest.param(head(proof()), dpop(), caller(), id="a bound token with its proof"),
    pytest.param(head(proof()), dpop(), caller(REQUIRED), id="where every token must be bound"),
    pytest.param(head(proof(), target=b"/mcp?a=1&b=%20"), dpop(), caller(), id="a query, which no htu has"),
    pytest.param(
        head(proof(ORIGIN + "/a/b", "GET"), target=b"/a/b", method="GET"), dpop(), caller(), id="another path"
    ),
    pytest.param(
        head(proof(ORIGIN + "/caf%c3%a9"), target=b"/caf%C3%A9"), dpop(), caller(), id="percent-encoding"
    ),
    pytest.param(head(proof(nonce="whatever")), dpop(), caller(), id="a nonce that nobody asked for"),
    pytest.param(head(), bearer(), caller(bound=False), id="an unbound token as Bearer, where that may be"),
    pytest.param(head(), bearer(), caller(OFF, bound=False), id="where nothing is bound"),
    pytest.param(
        head(b"junk"), bearer(), caller(bound=False), id="an unbound token as Bearer, and a stray header"
    ),
]


@pytest.mark.parametrize(("request_", "credential", "who"), PASS)
def test_what_passes(request_: RequestHead, credential: Credential, who: Caller) -> None:
    assert judged(proofs(), request_, credential, who) is None


REFUSED = [
    pytest.param(head(), bearer(), caller(), "scheme Bearer", id="a bound token as Bearer"),
    pytest.param(
        head(proof()), bearer(), caller(), "scheme Bearer", id="a bound token as Bearer, with its proof"
    ),
    pytest.param(
        head(), bearer(), caller(REQUIRED, bound=False), "required", id="an unbound token, required"
    ),
    pytest.param(
        head(proof()), dpop(), caller(bound=False), "bound to no key", id="an unbound token under DPoP"
    ),
    pytest.param(head(proof()), dpop(), caller(OFF, bound=False), "bound to no key", id="DPoP, switched off"),
    pytest.param(head(), dpop(), caller(), "no proof", id="no proof"),
    pytest.param(head(proof(), proof()), dpop(), caller(), "more than one", id="two DPoP headers"),
    pytest.param(head(b""), dpop(), caller(), "compact JWS", id="an empty proof"),
    pytest.param(head(proof(key=THIEF)), dpop(), caller(), "another key", id="another key's proof"),
    pytest.param(head(proof(ORIGIN + "/x")), dpop(), caller(), "htu", id="another path's proof"),
    pytest.param(head(proof("https://evil.test/mcp")), dpop(), caller(), "htu", id="another server's proof"),
    pytest.param(
        head(proof(RESOURCE + "?a=1"), target=b"/mcp?a=1"), dpop(), caller(), "htu", id="a query in htu"
    ),
    pytest.param(head(proof(method="GET")), dpop(), caller(), "htm", id="another method's proof"),
    pytest.param(head(proof(iat=NOW - 66)), dpop(), caller(), "too long ago", id="a stale proof"),
    pytest.param(head(proof(iat=NOW + 6)), dpop(), caller(), "future", id="a proof from the future"),
    pytest.param(head(proof(ath=None)), dpop(), caller(), "ath", id="no ath"),
    pytest.param(head(proof(ath=ath(b"x"))), dpop(), caller(), "ath", id="another token's ath"),
    pytest.param(head(proof()), dpop(b"another.token.x"), caller(), "ath", id="another token"),
    pytest.param(
        head(sign_proof(KEY, proof_claims(TOKEN, NOW, "POST", RESOURCE), jwk=KEY.private_jwk())),
        dpop(),
        caller(),
        "private",
        id="a private jwk",
    ),
    pytest.param(head(proof(key=SECRET)), dpop(), caller(), "asymmetric", id="a symmetric alg"),
    pytest.param(head(proof(key=WEAK)), dpop(), caller(), "2048", id="a weak key"),
]


@pytest.mark.parametrize(("request_", "credential", "who", "why"), REFUSED)
def test_what_is_refused(request_: RequestHead, credential: Credential, who: Caller, why: str) -> None:
    deny = judged(proofs(), request_, credential, who)
    assert deny is not None
    assert (deny.reason, deny.caller, deny.lines) == (Reason.PROOF_INVALID, who, b"")
    assert why in deny.detail


def test_a_thousand_valid_proofs_pass_and_none_of_them_twice() -> None:
    judge, who = proofs(), caller()
    requests = [head(proof()) for _ in range(1_000)]
    assert [judged(judge, request, dpop(), who) for request in requests] == [None] * 1_000
    again = [judged(judge, request, dpop(), who, NOW + 30) for request in requests]
    assert {deny and (deny.reason, deny.detail) for deny in again} == {
        (Reason.PROOF_INVALID, "the proof was used before")
    }


def test_the_same_jti_in_a_new_proof_is_a_replay() -> None:
    judge = proofs()
    assert judged(judge, head(proof(jti="one")), dpop(), caller()) is None
    deny = judged(judge, head(proof(jti="one", iat=NOW + 1)), dpop(), caller())
    assert deny is not None
    assert deny.detail == "the proof was used before"


def test_two_keys_of_an_agent_may_use_the_same_jti() -> None:
    judge = proofs()
    assert judged(judge, head(proof(jti="one")), dpop(), caller()) is None
    assert judged(judge, head(proof(jti="one", key=SECOND)), dpop(), caller(key=SECOND)) is None


def test_a_refused_proof_uses_up_nothing() -> None:
    judge, request = proofs(), head(proof())
    assert judged(judge, request, dpop(b"another.token.x"), caller()) is not None
    assert judged(judge, request, dpop(), caller()) is None


def test_an_agent_that_floods_is_told_so() -> None:
    judge = proofs(limit=4)
    assert judged(judge, head(proof()), dpop(), caller()) is None
    deny = judged(judge, head(proof()), dpop(), caller())
    assert deny is not None
    assert (deny.reason, deny.caller) == (Reason.OVERLOADED, caller())


RESOURCES = [
    pytest.param("https://mcp.example.com", "https://mcp.example.com/mcp", id="no path"),
    pytest.param("HTTPS://MCP.example.com:443/x?y", "https://mcp.example.com/mcp", id="odd, but the same"),
    pytest.param("http://[::1]:8080/x", "http://[::1]:8080/mcp", id="IPv6 and a port"),
]


@pytest.mark.parametrize(("resource", "uri"), RESOURCES)
def test_the_origin_is_the_resources(resource: str, uri: str) -> None:
    assert judged(proofs(resource), head(proof(uri)), dpop(), caller()) is None


def test_without_a_resource_nothing_can_be_proved() -> None:
    deny = judged(proofs(None), head(proof("/mcp")), dpop(), caller())
    assert deny is not None
    assert "htu" in deny.detail


CONCERN = [
    pytest.param(bearer(), caller(bound=False), False, id="an ordinary token"),
    pytest.param(bearer(), caller(OFF, bound=False), False, id="an ordinary token, switched off"),
    pytest.param(bearer(), caller(), True, id="a bound token as Bearer"),
    pytest.param(dpop(), caller(bound=False), True, id="an unbound token under DPoP"),
    pytest.param(dpop(), caller(OFF, bound=False), True, id="DPoP, switched off"),
    pytest.param(bearer(), caller(REQUIRED, bound=False), True, id="an unbound token, required"),
]


@pytest.mark.parametrize(("credential", "who", "concerned"), CONCERN)
def test_whom_it_concerns(credential: Credential, who: Caller, concerned: bool) -> None:
    assert proofs().concern(credential, who.identity) is concerned


def test_a_nonce_is_asked_for_and_then_taken() -> None:
    judge, who = proofs(), caller(NONCED)
    deny = judged(judge, head(proof()), dpop(), who)
    assert deny is not None
    assert (deny.reason, deny.caller) == (Reason.PROOF_INVALID, who)
    name, _, nonce = deny.lines.decode().rstrip("\r\n").partition(": ")
    assert name == "DPoP-Nonce"
    assert judged(judge, head(proof(nonce=nonce)), dpop(), who, NOW + 30) is None
    old = judged(judge, head(proof(nonce=nonce, iat=NOW + 300)), dpop(), who, NOW + 300)
    assert old is not None
    assert old.lines.startswith(b"DPoP-Nonce: ")
    assert old.lines != deny.lines


def test_admitted_requests_bring_the_next_nonce() -> None:
    judge = proofs()
    line = judge.fresh_nonce(NONCED, NOW)
    nonce = line.decode().removeprefix("DPoP-Nonce: ").removesuffix("\r\n")
    assert judged(judge, head(proof(nonce=nonce)), dpop(), caller(NONCED)) is None
    assert [judge.fresh_nonce(name, NOW) for name in (OPTIONAL, REQUIRED, OFF, "https://unknown.test")] == [
        b""
    ] * 4


def test_a_foreign_nonce_is_no_nonce() -> None:
    deny = judged(proofs(), head(proof(nonce="made-up")), dpop(), caller(NONCED))
    assert deny is not None
    assert deny.lines.startswith(b"DPoP-Nonce: ")
