"""What claims must say. The signature is taken as held: `check` is called with values."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.authn.claims import Admitted, Expected, Refused, check
from proxy.config import Issuer
from proxy.model import Reason
from tests.support.keys import claims_like_agentlair

NOW = 1_700_000_000
ISSUER = "https://agentlair.dev"
AUDIENCE = "https://mcp.example.com/mcp"

TYPE, MALFORMED, MISSING = Reason.TYPE_REFUSED, Reason.TOKEN_MALFORMED, Reason.CLAIM_MISSING
AUD, EXPIRED, EARLY = Reason.AUDIENCE_MISMATCH, Reason.TOKEN_EXPIRED, Reason.TOKEN_NOT_YET_VALID
REFUSED, PROOF, FOREIGN = Reason.CLAIM_REFUSED, Reason.PROOF_INVALID, Reason.ISSUER_UNKNOWN


def expected(**settings: Any) -> Expected:
    return Expected.of(Issuer(**{"issuer": ISSUER, "audience": [AUDIENCE], **settings}))


def judge(
    payload: dict[str, Any], /, typ: str | None = "JWT", now: float = NOW, **settings: Any
) -> Admitted | Refused:
    return check(expected(**settings), typ, payload, "key-1", now)


def claims(**changes: Any) -> dict[str, Any]:
    return claims_like_agentlair(NOW, **changes)


def with_null(name: str) -> dict[str, Any]:
    return {**claims(), name: None}


# Each is refused for its reason; the flag says whether the refusal still names the agent.
BROKEN = [
    pytest.param(claims(iss="https://agentlair.dev/"), FOREIGN, False, id="an issuer with one slash more"),
    pytest.param(claims(iss=[ISSUER]), FOREIGN, False, id="a list of issuers"),
    pytest.param(claims(iss=None), FOREIGN, False, id="no issuer"),
    pytest.param(claims(aud=None), MISSING, True, id="no audience"),
    pytest.param(with_null("aud"), MALFORMED, True, id="an audience of null"),
    pytest.param(claims(aud=7), MALFORMED, True, id="an audience that is a number"),
    pytest.param(claims(aud={AUDIENCE: 1}), MALFORMED, True, id="an audience that is an object"),
    pytest.param(claims(aud=[AUDIENCE, 7]), MALFORMED, True, id="an audience list with a number"),
    pytest.param(claims(aud=[[AUDIENCE]]), MALFORMED, True, id="an audience list in a list"),
    pytest.param(claims(aud=[]), AUD, True, id="an empty audience list"),
    pytest.param(claims(aud=""), AUD, True, id="an empty audience"),
    pytest.param(claims(aud="https://mcp.example.com"), AUD, True, id="an audience that is a prefix"),
    pytest.param(claims(aud=AUDIENCE + "/"), AUD, True, id="an audience with one slash more"),
    pytest.param(claims(aud=AUDIENCE.upper()), AUD, True, id="an audience in upper case"),
    pytest.param(claims(aud="https://a.test " + AUDIENCE), AUD, True, id="two audiences in one string"),
    pytest.param(claims(exp=None), MISSING, True, id="no expiry"),
    pytest.param(with_null("exp"), MALFORMED, True, id="an expiry of null"),
    pytest.param(claims(exp=str(NOW + 60)), MALFORMED, True, id="an expiry in a string"),
    pytest.param(claims(exp=True), MALFORMED, True, id="an expiry of true"),
    pytest.param(claims(exp=[NOW + 60]), MALFORMED, True, id="an expiry in a list"),
    pytest.param(claims(exp=float("nan")), MALFORMED, True, id="an expiry of NaN"),
    pytest.param(claims(exp=float("inf")), MALFORMED, True, id="an expiry of infinity"),
    pytest.param(claims(exp=10**400), MALFORMED, True, id="an expiry that no double holds"),
    pytest.param(claims(exp=(NOW + 60) * 1000), MALFORMED, True, id="an expiry in milliseconds"),
    pytest.param(claims(exp=253402300800), MALFORMED, True, id="an expiry in the year 10000"),
    pytest.param(claims(exp=-1), MALFORMED, True, id="a negative expiry"),
    pytest.param(claims(exp=0), EXPIRED, True, id="an expiry of zero"),
    pytest.param(claims(exp=False), MALFORMED, True, id="an expiry of false"),
    pytest.param(claims(exp=NOW - 30), EXPIRED, True, id="expired just beyond the leeway"),
    pytest.param(claims(nbf=NOW + 31), EARLY, True, id="not before just beyond the leeway"),
    pytest.param(claims(nbf="soon"), MALFORMED, True, id="a not-before in words"),
    pytest.param(with_null("nbf"), MALFORMED, True, id="a not-before of null"),
    pytest.param(claims(iat=NOW + 31), EARLY, True, id="issued just beyond the leeway"),
    pytest.param(claims(iat=str(NOW)), MALFORMED, True, id="issued at a string"),
    pytest.param(claims(iat=-5), MALFORMED, True, id="issued before 1970"),
    pytest.param(claims(sub=None), MISSING, False, id="no subject"),
    pytest.param(with_null("sub"), MISSING, False, id="a subject of null"),
    pytest.param(claims(sub=7), MISSING, False, id="a subject that is a number"),
    pytest.param(claims(sub=["acc_1"]), MISSING, False, id="a subject in a list"),
    pytest.param(claims(sub=""), REFUSED, False, id="an empty subject"),
    pytest.param(claims(sub=" acc_1"), REFUSED, False, id="a subject that begins with a space"),
    pytest.param(
        claims(sub="acc_1\N{NO-BREAK SPACE}"), REFUSED, False, id="a subject that ends with a kind of space"
    ),
    pytest.param(claims(sub="acc_1\r\nX-Agent-Id: root"), REFUSED, False, id="a subject with a line break"),
    pytest.param(claims(sub="acc\0_1"), REFUSED, False, id="a subject with NUL"),
    pytest.param(claims(sub="acc\x7f"), REFUSED, False, id="a subject with DEL"),
    pytest.param(claims(sub="acc\x85_1"), REFUSED, False, id="a subject with a C1 control"),
    pytest.param(claims(sub="a" * 256), REFUSED, False, id="a subject of 256 characters"),
    pytest.param(claims(al_scopes=["memory:read", ""]), REFUSED, False, id="an empty scope in a list"),
    pytest.param(claims(al_scopes=["memory read"]), REFUSED, False, id="a space in a listed scope"),
    pytest.param(claims(al_scopes=['"admin"']), REFUSED, False, id="quotes in a scope"),
    pytest.param(claims(al_scopes=["a\\b"]), REFUSED, False, id="a backslash in a scope"),
    pytest.param(claims(al_scopes=["a\n"]), REFUSED, False, id="a line feed behind a scope"),
    pytest.param(claims(al_scopes=["é"]), REFUSED, False, id="a scope beyond ASCII"),
    pytest.param(claims(al_scopes=[7]), REFUSED, False, id="a scope that is a number"),
    pytest.param(claims(al_scopes={"admin": True}), REFUSED, False, id="scopes in an object"),
    pytest.param(claims(al_scopes=True), REFUSED, False, id="scopes of true"),
    pytest.param(claims(al_scopes=None, scope="a  b"), REFUSED, False, id="two spaces between scopes"),
    pytest.param(claims(al_scopes=None, scope=" a"), REFUSED, False, id="a space before the scopes"),
    pytest.param(claims(al_scopes=None, scope="a\tb"), REFUSED, False, id="a tab between scopes"),
    pytest.param(claims(cnf={"jkt": "x"}), PROOF, True, id="a token bound by DPoP"),
    pytest.param(with_null("cnf"), PROOF, True, id="a token bound to null"),
    pytest.param(claims(nonce="n"), TYPE, False, id="an ID token by its nonce"),
    pytest.param(claims(at_hash="h"), TYPE, False, id="an ID token by its at_hash"),
    pytest.param(claims(c_hash="h"), TYPE, False, id="an ID token by its c_hash"),
    pytest.param(claims(s_hash="h"), TYPE, False, id="an ID token by its s_hash"),
    pytest.param(claims(events={}), TYPE, False, id="a logout token by its events"),
    pytest.param(claims(token_use="id"), TYPE, False, id="an ID token by Cognito's mark"),
]


@pytest.mark.parametrize(("broken", "reason", "named"), BROKEN)
def test_claims_are_refused_for_what_they_say(broken: dict[str, Any], reason: Reason, *, named: bool) -> None:
    refused = judge(broken)
    assert isinstance(refused, Refused)
    assert refused.deny.reason is reason
    assert (refused.identity is not None) is named


GOOD = [
    pytest.param(claims(), id="AgentLair's own"),
    pytest.param(claims(aud=[AUDIENCE]), id="a list of one audience"),
    pytest.param(claims(aud=["https://a.test", AUDIENCE]), id="one audience of several"),
    pytest.param(claims(exp=NOW - 29), id="expired within the leeway"),
    pytest.param(claims(exp=NOW + 0.5), id="a fraction of a second"),
    pytest.param(claims(exp=253402300799), id="the last second of 9999"),
    pytest.param(claims(nbf=NOW + 30), id="not before within the leeway"),
    pytest.param(claims(iat=NOW + 30), id="issued within the leeway"),
    pytest.param(claims(iat=None, jti=None), id="neither iat nor jti"),
    pytest.param(claims(sub="a" * 255), id="a subject of 255 characters"),
    pytest.param(claims(sub="研究 agent, 50%"), id="a subject beyond ASCII, with a space inside"),
    pytest.param(claims(token_use="access"), id="Cognito's mark of an access token"),
    pytest.param(claims(al_scopes=None), id="no scopes at all"),
]


@pytest.mark.parametrize("good", GOOD)
def test_good_claims_name_the_agent(good: dict[str, Any]) -> None:
    admitted = judge(good)
    assert isinstance(admitted, Admitted)
    assert admitted.identity.id == good["sub"]
    assert admitted.identity.until == good["exp"] + 30
    assert admitted.identity.claims == good


def test_an_identity_holds_what_the_token_said() -> None:
    admitted = judge(claims())
    assert isinstance(admitted, Admitted)
    identity = admitted.identity
    assert identity.id == "acc_7f3k2m9x"
    assert identity.issuer == ISSUER
    assert identity.scopes == ("mcp:tools:read", "memory:read")
    assert identity.audience == (AUDIENCE,)
    assert identity.until == NOW + 3630
    assert identity.name == "research-agent"
    assert identity.audit_url == "https://agentlair.dev/audit/acc_7f3k2m9x"
    assert identity.token_id == "tok_01J9ZC4Q"
    assert identity.key_id == "key-1"
    assert identity.issued_at == NOW


TYPES = [
    pytest.param(None, {}, True, id="no typ"),
    pytest.param("JWT", {}, True, id="JWT"),
    pytest.param("jwt", {}, True, id="JWT in lower case"),
    pytest.param("at+jwt", {}, True, id="at+jwt"),
    pytest.param("application/AT+JWT", {}, True, id="at+jwt as a whole media type, in upper case"),
    pytest.param("", {}, False, id="an empty typ"),
    pytest.param("none", {}, False, id="a typ that says none is not no typ"),
    pytest.param("application/", {}, False, id="half a media type"),
    pytest.param("application/application/jwt", {}, False, id="a media type twice"),
    pytest.param("at+jwt; charset=utf-8", {}, False, id="a parameter"),
    pytest.param(" JWT", {}, False, id="a space"),
    pytest.param("oauth-id-jag+jwt", {}, False, id="an ID-JAG"),
    pytest.param("logout+jwt", {}, False, id="a logout token"),
    pytest.param("dpop+jwt", {}, False, id="a DPoP proof"),
    pytest.param("secevent+jwt", {}, False, id="a security event"),
    pytest.param("JWT", {"types": ["at+jwt"]}, False, id="JWT where only at+jwt is configured"),
    pytest.param(None, {"types": ["at+jwt"]}, False, id="no typ where only at+jwt is configured"),
    pytest.param(
        "at+jwt", {"types": ["application/at+jwt"]}, True, id="a whole media type in the configuration"
    ),
    pytest.param("AT+JWT", {"types": ["At+Jwt"]}, True, id="mixed case in the configuration"),
    pytest.param(None, {"types": ["none"]}, True, id="no typ where only that is configured"),
    pytest.param("JWT", {"types": ["none"]}, False, id="JWT where only no typ is configured"),
    pytest.param("agent+jwt", {"types": ["agent+jwt"]}, True, id="an issuer's own type"),
]


@pytest.mark.parametrize(("typ", "settings", "admitted"), TYPES)
def test_a_type_is_configured_or_refused(
    typ: str | None, settings: dict[str, Any], *, admitted: bool
) -> None:
    judged = judge(claims(), typ, **settings)
    assert isinstance(judged, Admitted) is admitted
    if isinstance(judged, Refused):
        assert judged.deny.reason is TYPE
        assert judged.identity is None


@pytest.mark.parametrize(
    "typ",
    [
        "oauth-id-jag+jwt",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "oauth-authz-req+jwt",
        "client-authentication+jwt",
        "keystile-assertion+jwt",
    ],
)
def test_tokens_of_another_kind_stay_what_they_are_whatever_is_configured(typ: str) -> None:
    for spelt in (typ, typ.upper(), "application/" + typ):
        judged = judge(claims(), typ, types=[spelt, "at+jwt"])
        assert isinstance(judged, Refused)
        assert judged.deny.reason is TYPE
    assert isinstance(judge(claims(), "at+jwt", types=[typ, "at+jwt"]), Admitted)


@pytest.mark.parametrize("mark", ["nonce", "at_hash", "c_hash", "s_hash", "events"])
def test_marks_say_nothing_where_the_type_says_all(mark: str) -> None:
    assert isinstance(judge(claims(**{mark: "x"}), "at+jwt"), Admitted)
    assert isinstance(judge(claims(**{mark: "x"}), None), Refused)
    assert isinstance(judge({**claims(), mark: None}, "JWT"), Refused)


SCOPES = [
    pytest.param({"al_scopes": ["b", "a", "b"]}, ("b", "a"), id="in order, each once"),
    pytest.param({"al_scopes": []}, (), id="an empty list is an answer"),
    pytest.param({"al_scopes": [], "scope": "admin"}, (), id="an empty list hides what comes later"),
    pytest.param({"al_scopes": None, "scope": "a b"}, ("a", "b"), id="a string"),
    pytest.param({"al_scopes": None, "scope": ""}, (), id="an empty string"),
    pytest.param({"al_scopes": None, "scp": ["a", "b"]}, ("a", "b"), id="scp as a list"),
    pytest.param({"al_scopes": None, "scp": "a b"}, ("a", "b"), id="scp as a string"),
    pytest.param({"al_scopes": "a b"}, ("a", "b"), id="AgentLair's as a string"),
    pytest.param({"al_scopes": ["!#[]~:*"]}, ("!#[]~:*",), id="odd characters that a scope may have"),
]


@pytest.mark.parametrize(("changes", "scopes"), SCOPES)
def test_scopes_are_those_of_the_first_claim_that_is_there(
    changes: dict[str, Any], scopes: tuple[str, ...]
) -> None:
    admitted = judge(claims(**changes))
    assert isinstance(admitted, Admitted)
    assert admitted.identity.scopes == scopes
    assert admitted.dropped == ()


GRANTS = [
    pytest.param(["memory:*"], ("memory:read", "memory:read:all"), ("mcp:x", "xmemory:read"), id="a star"),
    pytest.param(
        ["mcp:x"], ("mcp:x",), ("memory:read", "memory:read:all", "xmemory:read"), id="a whole name"
    ),
    pytest.param(
        ["*:read"], ("memory:read", "xmemory:read"), ("memory:read:all", "mcp:x"), id="a star in front"
    ),
    pytest.param(
        ["mcp:?"], (), ("memory:read", "memory:read:all", "mcp:x", "xmemory:read"), id="a literal ?"
    ),
    pytest.param(
        ["mcp:.", "m[ce]*"], (), ("memory:read", "memory:read:all", "mcp:x", "xmemory:read"), id="no regex"
    ),
    pytest.param(
        ["mcp:*", "nothing", "memory:read"],
        ("memory:read", "mcp:x"),
        ("memory:read:all", "xmemory:read"),
        id="any of them",
    ),
    pytest.param(["*"], ("memory:read", "memory:read:all", "mcp:x", "xmemory:read"), (), id="a star alone"),
]


@pytest.mark.parametrize(("grants", "kept", "dropped"), GRANTS)
def test_an_issuer_confers_only_what_it_may(
    grants: list[str], kept: tuple[str, ...], dropped: tuple[str, ...]
) -> None:
    scopes = ["memory:read", "memory:read:all", "mcp:x", "xmemory:read"]
    admitted = judge(claims(al_scopes=scopes), grants=grants)
    assert isinstance(admitted, Admitted)
    assert admitted.identity.scopes == kept
    assert admitted.dropped == dropped


def test_an_issuer_that_may_confer_nothing_confers_nothing() -> None:
    admitted = judge(claims(), grants=())
    assert isinstance(admitted, Admitted)
    assert admitted.identity.scopes == ()
    assert admitted.dropped == ("mcp:tools:read", "memory:read")


LIFETIMES = [
    pytest.param(claims(exp=NOW + 3600, iat=NOW), True, id="exactly the longest"),
    pytest.param(claims(exp=NOW + 3601, iat=NOW), False, id="a second longer"),
    pytest.param(claims(exp=NOW + 60, iat=NOW - 7200), False, id="old, and about to expire"),
    pytest.param(claims(exp=NOW + 3600, iat=None), True, id="no iat counts from now"),
    pytest.param(claims(exp=NOW + 3601, iat=None), False, id="no iat, and longer from now"),
]


@pytest.mark.parametrize(("living", "admitted"), LIFETIMES)
def test_a_token_lives_no_longer_than_its_issuer_may_say(living: dict[str, Any], *, admitted: bool) -> None:
    judged = judge(living, max_lifetime=3600)
    assert isinstance(judged, Admitted) is admitted
    if isinstance(judged, Refused):
        assert judged.deny.reason is REFUSED
        assert judged.identity is not None


REQUIREMENTS = [
    pytest.param({"tenant": ["acme", "beta"]}, {"tenant": "acme"}, True, id="one of a list"),
    pytest.param({"tenant": ["acme", "beta"]}, {"tenant": "evil"}, False, id="none of a list"),
    pytest.param({"tenant": ["acme"]}, {}, False, id="a claim that is not there"),
    pytest.param({"al_trust.score": {"min": 20}}, {"al_trust": {"score": 20}}, True, id="a number inside"),
    pytest.param(
        {"al_trust.score": {"min": 20}}, {"al_trust": {"score": 19.9}}, False, id="a number too small"
    ),
    pytest.param(
        {"al_trust.score": {"min": 1}}, {"al_trust": {"score": True}}, False, id="true is no number"
    ),
    pytest.param({"al_trust.score": {"min": 1}}, {"al_trust": {"score": "99"}}, False, id="nor is a string"),
    pytest.param({"https://a.test/org": "x"}, {"https://a.test/org": "x"}, True, id="a name with dots"),
    pytest.param({"tenant": "acme", "level": "senior"}, {"tenant": "acme"}, False, id="all of them, not one"),
]


@pytest.mark.parametrize(("require", "added", "admitted"), REQUIREMENTS)
def test_an_issuer_may_have_to_say_more(
    require: dict[str, Any], added: dict[str, Any], *, admitted: bool
) -> None:
    judged = judge(claims(**added), require=require)
    assert isinstance(judged, Admitted) is admitted
    if isinstance(judged, Refused):
        assert judged.deny.reason is REFUSED
        assert judged.identity is not None


NAMES = [
    pytest.param({"al_name": None, "client_id": "c", "azp": "a"}, "c", id="client_id after al_name"),
    pytest.param({"al_name": None, "azp": "a"}, "a", id="azp last"),
    pytest.param({"al_name": 7, "azp": "a"}, "a", id="a number is passed over"),
    pytest.param({"al_name": "", "azp": "a"}, "a", id="an empty name is passed over"),
    pytest.param({"al_name": "a\x1b[31m"}, None, id="an escape sequence is passed over"),
    pytest.param({"al_name": "a" * 256}, None, id="an endless name is passed over"),
    pytest.param({"al_name": "Bob \N{ROBOT FACE}"}, "Bob \N{ROBOT FACE}", id="beyond ASCII is fine"),
]


@pytest.mark.parametrize(("changes", "name"), NAMES)
def test_the_name_is_the_first_usable_one(changes: dict[str, Any], name: str | None) -> None:
    admitted = judge(claims(**changes))
    assert isinstance(admitted, Admitted)
    assert admitted.identity.name == name


URLS = [
    pytest.param("https://a.test/x", "https://a.test/x", id="https"),
    pytest.param("http://a.test/x", "http://a.test/x", id="http"),
    pytest.param("javascript:alert(1)", None, id="a script"),
    pytest.param("//a.test/x", None, id="no scheme"),
    pytest.param("https://a.test/\r\nX: y", None, id="a line break"),
    pytest.param("https://a.test/" + "x" * 2033, "https://a.test/" + "x" * 2033, id="2048 characters"),
    pytest.param("https://a.test/" + "x" * 2034, None, id="2049 characters"),
    pytest.param(["https://a.test"], None, id="a list"),
]


@pytest.mark.parametrize(("url", "kept"), URLS)
def test_an_audit_url_is_a_web_address_or_nothing(url: object, kept: str | None) -> None:
    admitted = judge(claims(al_audit_url=url))
    assert isinstance(admitted, Admitted)
    assert admitted.identity.audit_url == kept


@pytest.mark.parametrize("jti", [7, "", "a\n", "a" * 256, ["t"], {}])
def test_a_token_that_cannot_be_named_cannot_be_revoked_and_is_refused(jti: object) -> None:
    refused = judge(claims(jti=jti))
    assert isinstance(refused, Refused)
    assert refused.deny.reason is Reason.TOKEN_MALFORMED
    assert refused.identity is not None


def test_the_id_may_come_from_another_claim_nested_or_not() -> None:
    settings: dict[str, Any] = {"claims": {"id": ["act.sub", "sub"]}}
    nested = judge(claims(act={"sub": "agent-9"}), **settings)
    plain = judge(claims(), **settings)
    assert isinstance(nested, Admitted)
    assert isinstance(plain, Admitted)
    assert (nested.identity.id, plain.identity.id) == ("agent-9", "acc_7f3k2m9x")


@pytest.mark.parametrize(("leeway", "reason"), [(0, EXPIRED), (120, None)])
def test_the_leeway_is_the_issuers(leeway: float, reason: Reason | None) -> None:
    judged = judge(claims(exp=NOW), leeway=leeway)
    assert (judged.deny.reason if isinstance(judged, Refused) else None) is reason


def test_no_detail_quotes_the_token() -> None:
    secret = "s3cr3t-value"
    for broken in (
        claims(sub=secret + "\n"),
        claims(iss=secret),
        claims(aud=secret),
        claims(exp=secret),
        claims(al_scopes=[secret + " "]),
        claims(nonce=secret),
        claims(cnf=secret),
    ):
        refused = judge(broken)
        assert isinstance(refused, Refused)
        assert secret not in refused.deny.detail


THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"  # RFC 9449 section 6.1

PROOFS = [
    pytest.param({"jkt": THUMBPRINT}, THUMBPRINT, id="a DPoP key's thumbprint"),
    pytest.param({"jkt": "-_" * 21 + "A"}, "-_" * 21 + "A", id="a thumbprint of odd characters"),
    pytest.param({"jkt": THUMBPRINT[:-1]}, None, id="a thumbprint of 42 characters"),
    pytest.param({"jkt": THUMBPRINT + "A"}, None, id="a thumbprint of 44 characters"),
    pytest.param({"jkt": THUMBPRINT + "="}, None, id="a padded thumbprint"),
    pytest.param({"jkt": THUMBPRINT + "\n"}, None, id="a line feed behind a thumbprint"),
    pytest.param({"jkt": "+" + THUMBPRINT[1:]}, None, id="a thumbprint in the other base64"),
    pytest.param({"jkt": ""}, None, id="an empty thumbprint"),
    pytest.param({"jkt": None}, None, id="a thumbprint of null"),
    pytest.param({"jkt": 7}, None, id="a thumbprint that is a number"),
    pytest.param({"jkt": [THUMBPRINT]}, None, id="a thumbprint in a list"),
    pytest.param({"JKT": THUMBPRINT}, None, id="a thumbprint under a name in upper case"),
    pytest.param({"jkt": THUMBPRINT, "kid": "k"}, None, id="a thumbprint, and a key that nobody checks"),
    pytest.param({"x5t#S256": THUMBPRINT}, None, id="a certificate's thumbprint"),
    pytest.param({"jkt": THUMBPRINT, "x5t#S256": THUMBPRINT}, None, id="a key and a certificate"),
    pytest.param({}, None, id="nothing to prove"),
    pytest.param(THUMBPRINT, None, id="a bare thumbprint"),
    pytest.param([{"jkt": THUMBPRINT}], None, id="a list of keys"),
    pytest.param(None, None, id="null"),
]


@pytest.mark.parametrize("mode", ["optional", "required"])
@pytest.mark.parametrize(("cnf", "bound_to"), PROOFS)
def test_a_token_is_bound_to_a_key_that_can_be_checked_or_refused(
    cnf: object, bound_to: str | None, mode: str
) -> None:
    judged = judge({**claims(), "cnf": cnf}, dpop=mode)
    assert judged.identity is not None
    assert judged.identity.bound_to == bound_to
    assert (judged.deny.reason if isinstance(judged, Refused) else None) is (
        PROOF if bound_to is None else None
    )


def test_a_binding_means_nothing_where_no_proof_is_checked() -> None:
    refused = judge(claims(cnf={"jkt": THUMBPRINT}), dpop="off")
    assert isinstance(refused, Refused)
    assert refused.deny.reason is PROOF
    assert refused.identity is not None
    assert refused.identity.bound_to is None


@pytest.mark.parametrize("mode", ["off", "optional", "required"])
def test_a_token_without_a_binding_is_bound_to_nothing(mode: str) -> None:
    admitted = judge(claims(), dpop=mode)
    assert isinstance(admitted, Admitted)
    assert admitted.identity.bound_to is None


# Two faults each: the first of the order stands in the log, and nobody is named before the token says whom.
PRECEDENCE = [
    pytest.param("dpop+jwt", {"iss": "https://a.test"}, TYPE, False, id="the type before the issuer"),
    pytest.param(
        "JWT", {"iss": "https://a.test", "aud": "x"}, FOREIGN, False, id="the issuer before the audience"
    ),
    pytest.param("JWT", {"aud": "x", "exp": NOW - 60}, AUD, True, id="the audience before the expiry"),
    pytest.param("JWT", {"aud": "x", "sub": None}, AUD, False, id="the audience before the subject"),
    pytest.param("JWT", {"exp": NOW - 60, "sub": None}, EXPIRED, False, id="the expiry before the subject"),
    pytest.param(
        "JWT", {"exp": NOW - 60, "nbf": "x"}, MALFORMED, True, id="the dates' form before their values"
    ),
    pytest.param(
        "JWT", {"exp": NOW - 60, "nbf": NOW + 60}, EXPIRED, True, id="the expiry before the beginning"
    ),
    pytest.param(
        "JWT", {"nbf": NOW + 60, "exp": NOW + 7200}, EARLY, True, id="the beginning before the lifetime"
    ),
    pytest.param("JWT", {"exp": NOW - 60, "cnf": {}}, EXPIRED, True, id="the expiry before the binding"),
    pytest.param("JWT", {"sub": "", "cnf": {}}, REFUSED, False, id="the subject before the binding"),
    pytest.param(
        "JWT", {"cnf": {}, "tenant": "evil"}, PROOF, True, id="the binding before the issuer's own wishes"
    ),
]


@pytest.mark.parametrize(("typ", "changes", "reason", "named"), PRECEDENCE)
def test_the_first_fault_is_the_one_told(
    typ: str, changes: dict[str, Any], reason: Reason, *, named: bool
) -> None:
    refused = judge(claims(**changes), typ, require={"tenant": "acme"}, max_lifetime=3600)
    assert isinstance(refused, Refused)
    assert refused.deny.reason is reason
    assert (refused.identity is not None) is named


# What the operator reads in the log. Each names the claim or the setting to look at.
DETAILS = [
    pytest.param("a+jwt", {}, "the token's typ is not one of this issuer's `types`", id="type"),
    pytest.param("JWT", {"at_hash": "h"}, "a token with `at_hash` is no access token", id="mark"),
    pytest.param("JWT", {"token_use": "id"}, "the token says that it is an ID token", id="use"),
    pytest.param("JWT", {"iss": "x"}, "the token's iss is not the issuer of its key", id="issuer"),
    pytest.param("JWT", {"aud": None}, "the token has no aud", id="no audience"),
    pytest.param(
        "JWT", {"aud": 7}, "the token's aud is neither a string nor a list of strings", id="odd audience"
    ),
    pytest.param(
        "JWT", {"aud": "x"}, "the token's aud names none of this issuer's `audience`", id="audience"
    ),
    pytest.param("JWT", {"exp": None}, "the token has no exp", id="no expiry"),
    pytest.param("JWT", {"exp": "x"}, "the token's exp is no date in seconds", id="odd expiry"),
    pytest.param("JWT", {"nbf": "x"}, "the token's nbf is no date in seconds", id="odd not-before"),
    pytest.param("JWT", {"iat": "x"}, "the token's iat is no date in seconds", id="odd time of issue"),
    pytest.param("JWT", {"exp": 1}, "the token's exp has passed", id="expired"),
    pytest.param("JWT", {"nbf": NOW + 60}, "the token's nbf lies in the future", id="not yet valid"),
    pytest.param("JWT", {"iat": NOW + 60}, "the token's iat lies in the future", id="issued in the future"),
    pytest.param(
        "JWT", {"exp": NOW + 9000}, "the token lives longer than this issuer's `max_lifetime`", id="lifetime"
    ),
    pytest.param("JWT", {"sub": None}, "the token has no sub, or it is not a string", id="no subject"),
    pytest.param("JWT", {"sub": ""}, "the token's sub cannot be an agent's id", id="odd subject"),
    pytest.param(
        "JWT", {"al_scopes": [""]}, "the token's scopes are not all scope-tokens (RFC 6749)", id="odd scopes"
    ),
    pytest.param(
        "JWT", {"cnf": {}}, "the token is bound to a key, and its proof cannot be checked here", id="binding"
    ),
    pytest.param(
        "JWT",
        {"tenant": "evil"},
        "the token's tenant is not what this issuer's `require` asks for",
        id="wish",
    ),
]


@pytest.mark.parametrize(("typ", "changes", "detail"), DETAILS)
def test_a_refusal_says_what_is_wrong(typ: str, changes: dict[str, Any], detail: str) -> None:
    refused = judge(
        claims(**{"tenant": "acme", **changes}), typ, require={"tenant": "acme"}, max_lifetime=3600
    )
    assert isinstance(refused, Refused)
    assert refused.deny.detail == detail


@pytest.mark.parametrize(
    ("agent", "detail"),
    [
        pytest.param(None, "the token has no azp, or it is not a string", id="none"),
        pytest.param("a\n", "the token's azp cannot be an agent's id", id="odd"),
    ],
)
def test_a_refusal_names_the_claim_that_is_the_id(agent: str | None, detail: str) -> None:
    refused = judge(claims(azp=agent), claims={"id": ["azp", "client_id"]})
    assert isinstance(refused, Refused)
    assert refused.deny.detail == detail


def test_who_is_refused_is_told_as_far_as_the_token_says() -> None:
    undated, nowhere = judge(claims(exp=None, iat=None)), judge(claims(aud=7))
    assert undated.identity is not None
    assert (undated.identity.until, undated.identity.issued_at) == (30, None)
    assert nowhere.identity is not None
    assert nowhere.identity.audience == ()


def test_a_letter_that_lowers_to_another_alphabets_is_another_type() -> None:
    refused = judge(claims(), "to\u212aen+jwt", types=["token+jwt"])
    assert isinstance(refused, Refused)
    assert refused.deny.reason is Reason.TYPE_REFUSED
    assert isinstance(judge(claims(), "TOKEN+jwt", types=["token+jwt"]), Admitted)
