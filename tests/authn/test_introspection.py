"""What an endpoint is asked, and what its answers mean."""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs

import pytest

from proxy.authn.claims import Admitted, Expected, Refused
from proxy.authn.introspection import (
    AnswerError,
    confirm,
    expected_answer,
    is_opaque,
    judge,
    question,
    read_answer,
    stands_until,
)
from proxy.config import Introspection, Issuer
from proxy.model import Identity, Reason

NOW = 1_700_000_000.0
ISSUER, AUDIENCE = "https://issuer.test", "https://mcp.example.com/mcp"

PLAIN = Issuer(issuer=ISSUER, audience=[AUDIENCE], leeway=30.0)
BOUND = PLAIN.model_copy(update={"dpop": type(PLAIN.dpop)(mode="optional")})
JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def endpoint(**changes: Any) -> Introspection:
    usual = {"url": "https://issuer.test/introspect", "client_id": "id", "client_secret": "secret"}
    return Introspection(**{**usual, **changes})


OPAQUE = [
    pytest.param(b"mF_9.B5f-4.1JqM.x", True, id="three dots"),
    pytest.param(b"0123456789abcdef", True, id="no dot"),
    pytest.param(b"ory_at_abc.def", True, id="one dot"),
    pytest.param(b"a.b.c", False, id="a signed JWT's three parts"),
    pytest.param(b"a.b.c.d.e", False, id="an encrypted JWT's five parts"),
    pytest.param(b"..", False, id="three empty parts"),
]


@pytest.mark.parametrize(("token", "opaque"), OPAQUE)
def test_is_opaque(token: bytes, opaque: bool) -> None:
    assert is_opaque(token) is opaque


def test_basic_authentication() -> None:
    body, headers = question(endpoint(client_id="a:b c", client_secret="p+w%é"), b"tok+en/=")
    assert parse_qs(body.decode()) == {"token": ["tok+en/="], "token_type_hint": ["access_token"]}
    assert b64decode(headers["Authorization"].removeprefix("Basic ")) == b"a%3Ab+c:p%2Bw%25%C3%A9"
    assert headers["Accept"] == "application/json"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_authentication_in_the_form() -> None:
    body, headers = question(endpoint(client_auth="post", client_secret="p&w=é"), b"token")
    assert parse_qs(body.decode()) == {
        "token": ["token"],
        "token_type_hint": ["access_token"],
        "client_id": ["id"],
        "client_secret": ["p&w=é"],
    }
    assert "Authorization" not in headers


READ = [
    pytest.param(b'{"active": true, "sub": "a"}', {"sub": "a"}, id="active"),
    pytest.param(b'{"active": true}', {}, id="active, and nothing else"),
    pytest.param(b'{"active": false}', None, id="not active"),
    pytest.param(b'{"active": false, "sub": "a"}', None, id="not active, with more"),
]


@pytest.mark.parametrize(("document", "said"), READ)
def test_answers(document: bytes, said: dict[str, Any] | None) -> None:
    assert read_answer(document) == said


UNREADABLE = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"<html>", id="HTML"),
    pytest.param(b"true", id="true alone"),
    pytest.param(b'[{"active": true}]', id="a list"),
    pytest.param(b"{}", id="no active"),
    pytest.param(b'{"active": "true"}', id="active as text"),
    pytest.param(b'{"active": 1}', id="active as a number"),
    pytest.param(b'{"active": null}', id="active null"),
    pytest.param(b'{"Active": true}', id="active in another case"),
    pytest.param(b'{"active": false, "active": true}', id="active twice"),
    pytest.param(b'{"active": true, "exp": NaN}', id="NaN"),
    pytest.param(b'\xef\xbb\xbf{"active": true}', id="a byte order mark"),
    pytest.param(b'{"active": true, "x": "' + b"x" * 65536 + b'"}', id="too large"),
    pytest.param(b'{"active": true, "x": ' + b"[" * 40 + b"]" * 40 + b"}", id="too deep"),
]


@pytest.mark.parametrize("document", UNREADABLE)
def test_what_is_no_answer(document: bytes) -> None:
    with pytest.raises(AnswerError) as fault:
        read_answer(document)
    assert "xxx" not in str(fault.value)


STANDS = [
    pytest.param({}, 60, id="no exp: a minute"),
    pytest.param({"exp": NOW + 3600}, 60, id="a late exp: a minute"),
    pytest.param({"exp": NOW + 10}, 10, id="an early exp"),
    pytest.param({"exp": NOW - 10}, -10, id="an exp that is over"),
    pytest.param({"exp": "soon"}, 60, id="an exp of another type, which is refused later"),
]


@pytest.mark.parametrize(("said", "seconds"), STANDS)
def test_how_long_an_answer_stands(said: dict[str, Any], seconds: float) -> None:
    assert stands_until(said, NOW) == NOW + seconds


def said(**changes: Any) -> dict[str, Any]:
    whole = {
        "iss": ISSUER,
        "sub": "agent",
        "aud": AUDIENCE,
        "exp": NOW + 600,
        "iat": NOW - 5,
        "scope": "read write",
        "client_id": "client",
        "token_type": "Bearer",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def judged(answer: dict[str, Any], issuer: Issuer = PLAIN) -> Admitted | Refused:
    return judge(expected_answer(Expected.of(issuer)), answer, NOW + 60, NOW)


def test_an_answer_becomes_an_identity() -> None:
    result = judged(said(jti="j"))
    assert isinstance(result, Admitted)
    identity = result.identity
    assert (identity.id, identity.issuer, identity.name) == ("agent", ISSUER, "client")
    assert (identity.scopes, identity.audience) == (("read", "write"), (AUDIENCE,))
    assert (identity.until, identity.token_id, identity.key_id) == (NOW + 630, "j", None)


TAKEN = [
    pytest.param(said(), PLAIN, None, id="everything"),
    pytest.param(said(iss=None), PLAIN, None, id="no iss: this issuer was asked"),
    pytest.param(said(exp=None), PLAIN, None, id="no exp"),
    pytest.param(said(iat=None, scope=None, client_id=None, token_type=None), PLAIN, None, id="little"),
    pytest.param(said(aud=["https://other.test", AUDIENCE]), PLAIN, None, id="two audiences"),
    pytest.param(said(token_type="bearer"), PLAIN, None, id="token_type in another case"),
    pytest.param(said(token_type="access_token"), PLAIN, None, id="token_type of some servers"),
    pytest.param(said(token_use="access_token"), PLAIN, None, id="token_use, as Hydra has it"),
    pytest.param(said(typ="Bearer"), PLAIN, None, id="typ, as Keycloak has it"),
    pytest.param(said(token_type="DPoP", cnf={"jkt": JKT}), BOUND, JKT, id="a bound token"),
    pytest.param(said(cnf={"jkt": JKT}), BOUND, JKT, id="a bound token that says Bearer"),
]


@pytest.mark.parametrize(("answer", "issuer", "bound_to"), TAKEN)
def test_what_is_taken(answer: dict[str, Any], issuer: Issuer, bound_to: str | None) -> None:
    result = judged(answer, issuer)
    assert isinstance(result, Admitted), result
    assert result.identity.bound_to == bound_to


def test_without_exp_it_speaks_for_as_long_as_it_may_be_used() -> None:
    result = judged(said(exp=None))
    assert isinstance(result, Admitted)
    assert result.identity.until == NOW + 60


NOT_TAKEN = [
    pytest.param(said(iss="https://evil.test"), PLAIN, Reason.ISSUER_UNKNOWN, id="another issuer"),
    pytest.param(said(iss=[ISSUER]), PLAIN, Reason.ISSUER_UNKNOWN, id="issuers in a list"),
    pytest.param(said(aud=None), PLAIN, Reason.CLAIM_MISSING, id="no aud: for whom it may concern"),
    pytest.param(said(aud="https://other.test"), PLAIN, Reason.AUDIENCE_MISMATCH, id="another's audience"),
    pytest.param(said(aud=[]), PLAIN, Reason.AUDIENCE_MISMATCH, id="no audience in the list"),
    pytest.param(said(aud=7), PLAIN, Reason.TOKEN_MALFORMED, id="aud a number"),
    pytest.param(said(sub=None), PLAIN, Reason.CLAIM_MISSING, id="nobody"),
    pytest.param(said(sub=""), PLAIN, Reason.CLAIM_REFUSED, id="an empty sub"),
    pytest.param(said(exp=NOW - 31), PLAIN, Reason.TOKEN_EXPIRED, id="active, and expired"),
    pytest.param(said(exp="soon"), PLAIN, Reason.TOKEN_MALFORMED, id="exp as text"),
    pytest.param(said(exp=True), PLAIN, Reason.TOKEN_MALFORMED, id="exp true"),
    pytest.param(said(nbf=NOW + 31), PLAIN, Reason.TOKEN_NOT_YET_VALID, id="not yet valid"),
    pytest.param(said(scope='rea"d'), PLAIN, Reason.CLAIM_REFUSED, id="an unfit scope"),
    pytest.param(said(token_type="refresh_token"), PLAIN, Reason.TYPE_REFUSED, id="a refresh token"),
    pytest.param(said(token_type="N_A"), PLAIN, Reason.TYPE_REFUSED, id="no token type"),
    pytest.param(said(token_type=["Bearer"]), PLAIN, Reason.TYPE_REFUSED, id="token types in a list"),
    pytest.param(said(token_use="refresh_token"), PLAIN, Reason.TYPE_REFUSED, id="Hydra's refresh token"),
    pytest.param(said(token_use="id"), PLAIN, Reason.TYPE_REFUSED, id="Cognito's ID token"),
    pytest.param(said(typ="Refresh"), PLAIN, Reason.TYPE_REFUSED, id="Keycloak's refresh token"),
    pytest.param(said(typ="ID"), PLAIN, Reason.TYPE_REFUSED, id="Keycloak's ID token"),
    pytest.param(said(nonce="n"), PLAIN, Reason.TYPE_REFUSED, id="the nonce of an ID token"),
    pytest.param(said(cnf={"jkt": JKT}), PLAIN, Reason.PROOF_INVALID, id="bound, and DPoP is off"),
    pytest.param(said(cnf={"x5t#S256": JKT}), BOUND, Reason.PROOF_INVALID, id="bound to a certificate"),
    pytest.param(said(token_type="DPoP"), BOUND, Reason.PROOF_INVALID, id="bound, and not said to what"),
]


@pytest.mark.parametrize(("answer", "issuer", "reason"), NOT_TAKEN)
def test_what_is_not_taken(answer: dict[str, Any], issuer: Issuer, reason: Reason) -> None:
    result = judged(answer, issuer)
    assert isinstance(result, Refused)
    assert result.deny.reason is reason


CLAIMS = {
    "iss": ISSUER,
    "sub": "agent",
    "aud": AUDIENCE,
    "exp": NOW + 600,
    "scope": "read write",
    "nonce": "which at+jwt may have",
}
JWT = Identity("agent", ISSUER, ("read", "write"), (AUDIENCE,), CLAIMS, NOW + 630, key_id="key")


def confirmed(answer: dict[str, Any], identity: Identity = JWT, issuer: Issuer = PLAIN) -> Admitted | Refused:
    return confirm(Expected.of(issuer), identity, answer, NOW)


CONFIRMED = [
    pytest.param({}, ("read", "write"), 630, id="active, and nothing else"),
    pytest.param({"sub": "agent", "iss": ISSUER, "aud": AUDIENCE}, ("read", "write"), 630, id="it agrees"),
    pytest.param({"scope": "read"}, ("read",), 630, id="a scope was taken away"),
    pytest.param({"scope": ""}, (), 630, id="every scope was taken away"),
    pytest.param({"scope": "read write admin"}, ("read", "write"), 630, id="no scope is added"),
    pytest.param({"al_scopes": ["write"]}, ("write",), 630, id="scopes under the issuer's own name"),
    pytest.param({"exp": NOW + 10}, ("read", "write"), 40, id="an earlier end"),
    pytest.param({"exp": NOW + 9999}, ("read", "write"), 630, id="a later end, which does not count"),
]


@pytest.mark.parametrize(("answer", "scopes", "seconds"), CONFIRMED)
def test_an_answer_about_a_jwt(answer: dict[str, Any], scopes: tuple[str, ...], seconds: float) -> None:
    result = confirmed(answer)
    assert isinstance(result, Admitted)
    assert (result.identity.scopes, result.identity.until) == (scopes, NOW + seconds)
    assert (result.identity.id, result.identity.key_id) == ("agent", "key")
    agreed = {name: value for name, value in CLAIMS.items() if answer.get(name, value) == value}
    assert result.identity.claims == agreed


def test_a_claim_that_the_answer_contradicts_satisfies_no_rule() -> None:
    own = {**CLAIMS, "role": "admin", "tenant": "acme"}
    identity = Identity("agent", ISSUER, ("read",), (AUDIENCE,), own, NOW + 630)
    result = confirmed({"role": "reader", "tenant": "acme", "level": "senior"}, identity)
    assert isinstance(result, Admitted)
    assert {name: result.identity.claims.get(name) for name in ("role", "tenant", "level")} == {
        "role": None,
        "tenant": "acme",
        "level": None,
    }


LISTED = [
    pytest.param({"scope": ["read"]}, ("read",), id="a list named scope"),
    pytest.param({"scp": ["read"]}, ("read",), id="a list named scp"),
    pytest.param({"scp": "read"}, ("read",), id="text named scp"),
    pytest.param({"scope": "read write", "scp": ["write"]}, ("write",), id="two that disagree"),
    pytest.param({"scope": 7}, (), id="a number"),
    pytest.param({"scope": ["read", 7]}, ("read",), id="a list with a number"),
]


@pytest.mark.parametrize(("answer", "scopes"), LISTED)
def test_scopes_are_taken_away_however_the_answer_lists_them(
    answer: dict[str, Any], scopes: tuple[str, ...]
) -> None:
    own = {**CLAIMS, "al_scopes": ["read", "write"]}
    identity = Identity("agent", ISSUER, ("read", "write"), (AUDIENCE,), own, NOW + 630)
    result = confirmed(answer, identity)
    assert isinstance(result, Admitted)
    assert result.identity.scopes == scopes


def test_a_scope_that_the_token_has_under_another_name_can_be_taken_away_too() -> None:
    own = {**CLAIMS, "al_scopes": ["read", "write"]}
    identity = Identity("agent", ISSUER, ("read", "write"), (AUDIENCE,), own, NOW + 630)
    result = confirmed({"scope": "read"}, identity)
    assert isinstance(result, Admitted)
    assert result.identity.scopes == ("read",)


CONTRADICTED = [
    pytest.param({"sub": "somebody"}, Reason.TOKEN_INACTIVE, id="another subject"),
    pytest.param({"sub": None}, Reason.CLAIM_MISSING, id="no subject"),
    pytest.param({"iss": "https://evil.test"}, Reason.ISSUER_UNKNOWN, id="another issuer"),
    pytest.param({"aud": "https://other.test"}, Reason.AUDIENCE_MISMATCH, id="another audience"),
    pytest.param({"exp": NOW - 31}, Reason.TOKEN_EXPIRED, id="expired"),
    pytest.param({"token_type": "refresh_token"}, Reason.TYPE_REFUSED, id="a refresh token"),
    pytest.param({"cnf": {"jkt": JKT}}, Reason.PROOF_INVALID, id="bound, and DPoP is off"),
    pytest.param({"token_type": "DPoP"}, Reason.PROOF_INVALID, id="bound to nobody knows what"),
]


@pytest.mark.parametrize(("answer", "reason"), CONTRADICTED)
def test_an_answer_that_contradicts_a_jwt(answer: dict[str, Any], reason: Reason) -> None:
    result = confirmed(answer)
    assert isinstance(result, Refused)
    assert (result.deny.reason, result.identity) == (reason, JWT)


def test_an_answer_with_another_binding_is_about_another_token() -> None:
    result = confirmed({"cnf": {"jkt": JKT}}, issuer=BOUND)
    assert isinstance(result, Refused)
    assert result.deny.reason is Reason.TOKEN_INACTIVE


ELSEWHERE = [
    pytest.param({"client_id": "another"}, id="another agent"),
    pytest.param({"sub": "another"}, id="another subject, which is not the agent's id here"),
]


@pytest.mark.parametrize("answer", ELSEWHERE)
def test_agents_named_by_another_claim(answer: dict[str, Any]) -> None:
    named = PLAIN.model_copy(update={"claims": PLAIN.claims.model_copy(update={"id": ("client_id",)})})
    identity = Identity("client", ISSUER, (), (AUDIENCE,), {**CLAIMS, "client_id": "client"}, NOW + 630)
    assert isinstance(confirmed({}, identity, named), Admitted)
    result = confirmed(answer, identity, named)
    assert isinstance(result, Refused)
    assert result.deny.reason is Reason.TOKEN_INACTIVE
