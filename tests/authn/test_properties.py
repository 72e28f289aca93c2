"""Tokens made at random, held against the reference; and honest ones changed at random, which nobody admits."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from proxy.authn import KeySources, Verifier, credential, key_sources
from proxy.authn.credential import digest_of
from proxy.config import Issuer
from proxy.model import Caller, Deny, Identity
from tests.authn.reference import Accepted, Terms, judge
from tests.authn.strategies import (
    ABSENT,
    MUTATIONS,
    TYPES,
    Change,
    changed,
    changes,
    flipped,
    mutated,
    taken,
    tiers,
)
from tests.support.keys import SigningKey, claims_like_agentlair, compact, jwks, make_key, sign_token
from tests.support.proofs import thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis import settings

NOW = 1_700_000_000
PLAIN, STRICT, AUDIENCE = "https://agentlair.dev", "https://strict.test", "https://mcp.example.com/mcp"

ED, ED_2, ES256 = make_key("EdDSA", "ed"), make_key("EdDSA", "ed-2"), make_key("ES256", "es")
RS, PS, ANY_RSA = make_key("RS256", "rs"), make_key("PS256", "ps"), make_key("RS384", "any-rsa")
STRICT_ED, STRICT_ES = make_key("EdDSA", "the strict one's"), make_key("ES256", None)
STRANGER = make_key("EdDSA", "a stranger's")

PLAIN_JWKS = jwks(ED, ED_2, ES256, RS, PS, ANY_RSA.public(alg=None))
STRICT_JWKS = jwks(STRICT_ED.public(kid="ed"), STRICT_ES)
JKT = thumbprint(ED)

ISSUERS = [
    Issuer(issuer=PLAIN, audience=[AUDIENCE], jwks=PLAIN_JWKS),
    Issuer(
        issuer=STRICT,
        audience=[AUDIENCE, "second"],
        jwks=STRICT_JWKS,
        algorithms=["EdDSA", "ES256"],
        types=["at+jwt", "JWT"],
        leeway="5s",
        max_lifetime="1h",
        grants=["mcp:*"],
        require={"tenant": ["acme", "beta"], "al_trust.score": {"min": 20}},
        dpop="optional",
    ),
]
TERMS = [
    Terms(
        PLAIN,
        [AUDIENCE],
        PLAIN_JWKS["keys"],
        ["EdDSA", "Ed25519", "Ed448", "ES256", "ES384", "ES512"]
        + [kind + size for kind in ("RS", "PS") for size in ("256", "384", "512")],
    ),
    Terms(
        STRICT,
        [AUDIENCE, "second"],
        STRICT_JWKS["keys"],
        ["EdDSA", "ES256"],
        types=["at+jwt", "jwt"],
        leeway=5.0,
        max_lifetime=3600.0,
        tenants=["acme", "beta"],
        least_score=20.0,
        granted="mcp:",
        dpop=True,
    ),
]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


@cache
def sources() -> KeySources:
    made = key_sources(ISSUERS, lambda: NOW)
    for issuer in ISSUERS:
        asyncio.run(made[issuer.issuer].load())
    return made


def fresh_verifier() -> Verifier:
    return Verifier(ISSUERS, sources(), lambda one: Caller(one, frozenset(one.scopes), b"", b""))


@cache
def verifier() -> Verifier:
    return fresh_verifier()


def verified(token: bytes, now: float = NOW, by: Verifier | None = None) -> Caller | Deny:
    """Verify; every fetch that is asked for has failed by the time it ends."""
    steps = (by or verifier()).verify(token, now)
    try:
        next(steps)
        while True:
            steps.send(now)
    except StopIteration as ended:
        result: Caller | Deny = ended.value
        return result


def told(identity: Identity) -> Accepted:
    return Accepted(
        id=identity.id,
        issuer=identity.issuer,
        scopes=identity.scopes,
        audience=identity.audience,
        until=identity.until,
        key_id=identity.key_id,
        token_id=identity.token_id,
        issued_at=identity.issued_at,
        bound_to=identity.bound_to,
    )


def agree(token: str, now: float = NOW) -> None:
    """Hold the product against the reference, both ways: nothing passes but what should, and that does."""
    sent = credential(b"Bearer " + token.encode(), repeated=False)
    ours = sent if isinstance(sent, Deny) or sent is None else verified(sent.token, now)
    theirs = judge(token.encode(), TERMS, now)
    if isinstance(theirs, Accepted):
        assert isinstance(ours, Caller), f"refused, {ours}"
        assert told(ours.identity) == theirs
    else:
        assert isinstance(ours, Deny), f"admitted in spite of: {theirs}"


DATES = [
    *(NOW + by for by in (-3600, -30, -29, -5, -4, 0, 1, 5, 6, 30, 31, 3600, 3601)),
    *(NOW + by for by in (-30.000001, -29.999, 30.000001, 3600.5)),
    *(253402300799, 253402300800, 253402300799.5, NOW * 1000, 1e300, -1, 0, True, False, str(NOW + 60)),
    [NOW + 60],
]
SCOPES = [
    *("mcp:read memory:read", "mcp:read  mcp:write", " mcp:read", "mcp:read ", "mcp:a\tmcp:b", "", " "),
    *('"', "\\", "mcp:\x7f", "mcp:\u00e9", "mcp:!#[]~"),
    *([], [""], ["mcp:a", "mcp:a", "b"], ["mcp:a b"], [["mcp:a"]], ["mcp:a", 1], ["mcp:a", None]),
    *({}, {"mcp:a": True}, 0, False),
]
FOREIGN: list[Any] = ["", None, False, {}, "n-1"]
CLAIMS: dict[str, list[Any]] = {
    "iss": [PLAIN, STRICT, PLAIN + "/", PLAIN.upper(), [PLAIN], {PLAIN: 1}],
    "aud": [AUDIENCE, [AUDIENCE], ["x", AUDIENCE], "second", AUDIENCE + "/", ["x"], [], [AUDIENCE, 1], [[]]],
    "exp": DATES,
    "nbf": DATES,
    "iat": DATES,
    "sub": [
        *(
            "a",
            " a",
            "a ",
            "a b",
            "\u00a0a",
            "a\u2003",
            "a\u2028",
            "\u200ba",
            "",
            " ",
            "a\0",
            "\x7f",
            "a\x85b",
        ),
        *("x" * 255, "x" * 256, "\N{GRINNING FACE}" * 255, "\u202eroot", ["a"], {"a": "a"}),
    ],
    "jti": ["t", "", "t\n", "x" * 255, "x" * 256, 7, ["t"]],
    "al_scopes": SCOPES,
    "scope": SCOPES,
    "scp": SCOPES,
    "cnf": [
        *({"jkt": JKT}, {"jkt": JKT[1:]}, {"jkt": JKT + "="}, {"jkt": JKT, "x5t#S256": JKT}, {"jkt": [JKT]}),
        *({"x5t#S256": JKT}, {"jwk": {}}, {}, JKT, [{"jkt": JKT}]),
    ],
    "nonce": FOREIGN,
    "at_hash": FOREIGN,
    "c_hash": FOREIGN,
    "s_hash": FOREIGN,
    "events": FOREIGN,
    "token_use": ["id", "access", "ID", ["id"]],
    "tenant": ["acme", "ACME", ["acme"], ["x", "beta"], [["acme"]], {"acme": "acme"}, True],
    "al_trust": [
        {"score": 20},
        {"score": 19.99},
        {"score": "20"},
        {"score": True},
        {"score": [20]},
        20,
        [20],
    ],
    "al_trust.score": [20, 19, None, "20"],
    "al_name": ["A", "\n", ["A"], "x" * 256],
    "al_audit_url": ["https://a.test/", "javascript:alert(1)", ["https://a.test/"]],
    "client_id": ["c"],
    "sub ": ["root"],
    "Sub": ["root"],
}
HEADERS: dict[str, list[Any]] = {
    "alg": [
        *("EdDSA", "Ed25519", "Ed448", "ES256", "ES384", "RS256", "RS384", "PS256", "PS384", "HS256", "none"),
        *("None", "eddsa", "", " EdDSA", ["EdDSA"]),
    ],
    "typ": TYPES,
    "kid": [
        *("ed", "ed-2", "es", "rs", "ps", "any-rsa", "ED", "", "../../etc/passwd"),
        "x" * 256,
        "x" * 257,
        0,
    ],
    "crit": [[], ["exp"], ["b64"], "b64"],
    "b64": [True, False],
    "jwk": [STRANGER.jwk],
    "jku": ["https://evil.test/jwks.json"],
    "x5u": ["https://evil.test/chain.pem"],
    "x5c": [["MII="]],
    "zip": ["DEF"],
    "cty": ["JWT"],
    "alg ": ["none"],
    "Alg": ["none"],
}


def honest(issuer: str) -> dict[str, Any]:
    """Claims that this issuer's tokens are admitted with."""
    more = {"tenant": "acme", "al_trust": {"score": 20}} if issuer == STRICT else {}
    return {**claims_like_agentlair(NOW), "iss": issuer, **more}


KEYS = [(PLAIN, ED), (STRICT, SigningKey("EdDSA", "ed", STRICT_ED.private)), (STRICT, STRICT_ES)]


def heading(key: SigningKey) -> dict[str, Any]:
    return {"alg": key.algorithm, "typ": "JWT", **({} if key.kid is None else {"kid": key.kid})}


EACH_CLAIM = [(name, value) for name, values in CLAIMS.items() for value in [*values, None, ABSENT]]
EACH_HEADER = [(name, value) for name, values in HEADERS.items() for value in [*values, None, ABSENT]]


def test_each_odd_claim_alone() -> None:
    for issuer, key in KEYS:
        for name, value in EACH_CLAIM:
            agree(compact(json.dumps(heading(key)), changed(honest(issuer), {name: value}), key.sign))


def test_each_odd_header_alone() -> None:
    for issuer, key in [*KEYS, (PLAIN, ED_2), (PLAIN, ES256), (PLAIN, ANY_RSA)]:
        for name, value in EACH_HEADER:
            header = changed(heading(key), {name: value})
            agree(compact(header, json.dumps(honest(issuer)), key.sign))


def test_each_odd_value_alone() -> None:
    without = {name: value for name, value in honest(PLAIN).items() if name != "exp"}
    for claims, name in ((without, "exp"), (honest(PLAIN), "x")):
        for value in ODD_VALUES:
            payload = f'{json.dumps(claims)[:-1]}, "{name}": {value}}}'
            agree(compact(json.dumps(heading(ED)), payload, ED.sign))


@tiers(quick=150, long=5_000)
def test_claims_of_any_kind(tier: settings) -> None:
    @tier
    @given(st.sampled_from(KEYS), changes(CLAIMS, 4), st.sampled_from(["JWT", "at+jwt"]))
    def holds(signer: tuple[str, SigningKey], by: dict[str, Any], typ: str) -> None:
        issuer, key = signer
        header = json.dumps({**heading(key), "typ": typ})
        agree(compact(header, changed(honest(issuer), by), key.sign))

    holds()


@tiers(quick=150, long=5_000)
def test_headers_of_any_kind(tier: settings) -> None:
    signers = [
        *KEYS,
        (PLAIN, ES256),
        (PLAIN, RS),
        (PLAIN, PS),
        (PLAIN, ANY_RSA),
        (PLAIN, STRANGER),
        (STRICT, ED),
    ]

    @tier
    @given(st.sampled_from(signers), changes(HEADERS, 3))
    def holds(signer: tuple[str, SigningKey], by: dict[str, Any]) -> None:
        issuer, key = signer
        algorithm = by.get("alg")
        # An RSA key can sign whatever RSA its header says: then its JWK is what decides.
        fits = key.algorithm[:2] in {"RS", "PS"} and str(algorithm) in {"RS256", "RS384", "PS256", "PS384"}
        used = algorithm if fits else key.algorithm
        header, payload = changed(heading(key), by), json.dumps(honest(issuer))
        agree(compact(header, payload, lambda data: key.sign(data, used)))

    holds()


NAMES = st.sampled_from(
    ['"sub"', '"iss"', '"aud"', '"exp"', '"s\\u0075b"', '"Sub"', '"x"', '"\\ud83d\\ude00"']
)
ODD_VALUES = [
    *(
        '"acc_1"',
        f'"{PLAIN}"',
        f'["{AUDIENCE}"]',
        str(NOW + 60),
        f"{NOW + 60}.0",
        "17e8",
        "1.7000001E+9",
        "0x7",
    ),
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "1e-999",
        "9" * 400,
        "9" * 5000,
        "-0",
        "01",
        "+1",
        "1.",
    ),
    *(
        ".5",
        "1_0",
        "\u0661",
        "\uff11",
        "true",
        "True",
        "null",
        "",
        "'x'",
        '"',
        '"\\x"',
        '"\\u12"',
        '"\t"',
        '"\x7f"',
    ),
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"":1}'),
    *("[" * depth + "]" * depth for depth in (31, 32, 5000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (31, 32)),
    *("[1,]", "[,1]", "[1 2]", "{1:2}", "//", "/**/1"),
]
MEMBERS = st.tuples(NAMES, st.sampled_from(ODD_VALUES)).map(":".join)
SPACES = st.sampled_from(["", "", " ", "\n", "\t\r", "\v", "\u00a0", "\ufeff", "{}", ",", "\0", "//"])


@tiers(quick=150, long=5_000)
def test_json_of_any_spelling(tier: settings) -> None:
    @tier
    @given(
        st.lists(MEMBERS, max_size=2),
        st.lists(st.sampled_from(["sub", "aud", "exp", "jti"]), max_size=2),
        SPACES,
        SPACES,
    )
    def holds(members: list[str], without: list[str], before: str, behind: str) -> None:
        claims = {name: value for name, value in honest(PLAIN).items() if name not in without}
        spelled = ",".join([json.dumps(claims, ensure_ascii=False)[1:-1], *members])
        agree(compact(json.dumps(heading(ED)), f"{before}{{{spelled}}}{behind}", ED.sign))

    holds()


@tiers(quick=120, long=5_000)
def test_any_moment(tier: settings) -> None:
    moments = st.sampled_from([NOW + by for by in (-31, -30, -5.5, -5, 0, 3600, 3604.9, 3605, 3629.9, 3630)])

    @tier
    @given(st.sampled_from(KEYS), moments | st.floats(0, 1e12), changes({"iat": DATES, "nbf": DATES}, 2))
    def holds(signer: tuple[str, SigningKey], now: float, by: dict[str, Any]) -> None:
        issuer, key = signer
        agree(compact(json.dumps(heading(key)), changed(honest(issuer), by), key.sign), now)

    holds()


@cache
def tokens() -> list[bytes]:
    """Tokens that are admitted, of every kind of signature, some of them all but alike."""
    made = [
        *(sign_token(key, honest(PLAIN)) for key in (ED, ED_2, ES256, RS, PS, ANY_RSA)),
        sign_token(ED, {**honest(PLAIN), "sub": "root"}),
        sign_token(ED, honest(PLAIN), typ="at+jwt"),
        sign_token(ED, honest(PLAIN), alg="Ed25519"),
        # The same words, signed again: ES256 and PS256 never give the same signature twice.
        sign_token(ES256, honest(PLAIN)),
        sign_token(PS, honest(PLAIN)),
        sign_token(KEYS[1][1], honest(STRICT)),
        sign_token(STRICT_ES, honest(STRICT)),
    ]
    return [one.encode() for one in made]


TWO = st.tuples(st.integers(0, 12), st.integers(0, 12))


def test_what_is_changed_below_was_honest() -> None:
    assert all(isinstance(verified(token), Caller) for token in tokens())
    assert len(set(tokens())) == 13


@tiers(quick=150, long=20_000)
def test_an_honest_token_that_is_changed(tier: settings) -> None:
    @tier
    @given(TWO, MUTATIONS)
    @example((0, 6), [taken((False, True, False))])
    @example((2, 9), [taken((False, False, True)), flipped(-1, 0)])
    def holds(two: tuple[int, int], by: list[Change]) -> None:
        token, other = (tokens()[at] for at in two)
        mutant = mutated(token, other, by)
        assume(mutant not in tokens())
        assert isinstance(verified(mutant), Deny)
        assert verifier().cached(digest_of(mutant), NOW) is None

    holds()


@tiers(quick=80, long=5_000)
def test_two_tokens_never_share_an_entry(tier: settings) -> None:
    @tier
    @given(
        st.lists(changes(CLAIMS, 2), min_size=2, max_size=2), st.sampled_from([ED, ED_2, ES256]), MUTATIONS
    )
    def holds(both: list[dict[str, Any]], key: SigningKey, by: list[Change]) -> None:
        one, two = (
            compact(json.dumps(heading(key)), changed(honest(PLAIN), each), key.sign).encode()
            for each in both
        )
        made = fresh_verifier()
        alike = mutated(one, two, by)
        assume(alike != one)
        first = verified(one, by=made)
        # Nothing but the very bytes finds it; what they find is what those bytes say.
        assert made.cached(digest_of(alike), NOW) is None
        assert made.cached(digest_of(two), NOW) is None or one == two
        second = verified(two, by=made)
        for token, outcome in ((one, first), (two, second)):
            found = made.cached(digest_of(token), NOW)
            theirs = judge(token, TERMS, NOW)
            assert (found and told(found.identity)) == (theirs if isinstance(theirs, Accepted) else None)
            assert (found is None) is isinstance(outcome, Deny)

    holds()
