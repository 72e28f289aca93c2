"""Tokens made at random, held against the reference; and honest ones changed at random, which nobody admits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from proxy.authn import KeySources, Verifier, credential, key_sources
from proxy.authn.dpop import Asked, Proof, check_proof
from proxy.config import Issuer
from proxy.model import Caller, Deny, Identity
from tests.authn.reference import ALPHABET, Accepted, RefusedError, Terms, json_object, judge
from tests.support.keys import SigningKey, b64, claims_like_agentlair, compact, jwks, make_key, sign_token
from tests.support.proofs import ath, proof_claims, sign_proof, thumbprint

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


def tiers(quick: int, long: int) -> pytest.MarkDecorator:
    """Run a property on so many examples; the long tier looks much further."""
    return pytest.mark.parametrize(
        "tier",
        [
            pytest.param(settings(max_examples=quick, deadline=None), id="quick"),
            pytest.param(settings(max_examples=long, deadline=None), id="long", marks=pytest.mark.long),
        ],
    )


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


# What a member may be in JSON, plain and odd.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, -1, 10**400, 2**63, 1e308, 1e16, -0.0])
    | st.floats()
    | st.text()
    | st.sampled_from(["", "\0", "\ud800", "\udc00", "\u202e", "\N{GRINNING FACE}", "a\r\nX-Agent-Id: root"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ABSENT = object()

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
    "typ": [
        *("JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT", "none", "None", ""),
        *("application/", "application/application/jwt", "dpop+jwt", "logout+jwt", "oauth-id-jag+jwt"),
        *("secevent+jwt", "id_token", " JWT", "JWT\0", ["JWT"]),
    ],
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


def changes(known: dict[str, list[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    """A few members, each of a value that is likely to matter, or of any, or left out."""
    one = [
        st.tuples(st.just(name), st.sampled_from(values) | st.just(ABSENT) | ANYTHING)
        for name, values in known.items()
    ]
    return st.lists(st.one_of(*one, st.tuples(st.text(), ANYTHING)), max_size=most).map(dict)


def changed(whole: dict[str, Any], by: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in {**whole, **by}.items() if value is not ABSENT})


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


# An honest token, changed. Each makes of the token's bytes, and another's, something else.

Change = Callable[[bytes, bytes], bytes]

PLACES = st.integers(0, 10_000)
BYTES = st.integers(0, 255)
LETTERS = st.sampled_from(ALPHABET.encode())


def flipped(at: int, bit: int) -> Change:
    def change(token: bytes, _: bytes) -> bytes:
        place = at % len(token)
        return token[:place] + bytes([token[place] ^ 1 << bit]) + token[place + 1 :]

    return change


def spliced(at: int, cut: int, put: bytes) -> Change:
    """Insert, delete and replace."""

    def change(token: bytes, _: bytes) -> bytes:
        place = at % (len(token) + 1)
        return token[:place] + put + token[place + cut :]

    return change


def taken(which: tuple[bool, bool, bool]) -> Change:
    """Take some of the three parts from the other token."""

    def change(token: bytes, other: bytes) -> bytes:
        pairs = zip(token.split(b"."), other.split(b"."), which, strict=False)
        return b".".join(theirs if swap else ours for ours, theirs, swap in pairs)

    return change


def reordered(order: tuple[int, ...]) -> Change:
    def change(token: bytes, _: bytes) -> bytes:
        parts = token.split(b".")
        return b".".join(parts[at % len(parts)] for at in order)

    return change


def respelled(which: int, how: str) -> Change:
    """Write a part's very bytes in another base64."""

    def change(token: bytes, _: bytes) -> bytes:
        parts = token.split(b".")
        part = parts[which % len(parts)].decode("latin-1")
        stray = part[:-1] + ALPHABET[(ALPHABET.find(part[-1:]) + 1) % 64] if part else "A"
        spelled = {
            "padded": part + "=" * (-len(part) % 4 or 4),
            "plain": part.replace("-", "+").replace("_", "/"),
            "broken": part[:9] + "\n" + part[9:],
            "junk": "!" + part,
            "stray": stray,
            "longer": part + "A",
        }
        parts[which % len(parts)] = spelled[how].encode("latin-1")
        return b".".join(parts)

    return change


def recoded(which: int, at: int, byte: int) -> Change:
    """Change a byte of what a part means, and write that as it should be."""

    def change(token: bytes, _: bytes) -> bytes:
        parts = token.split(b".")
        bits = "".join(f"{max(0, ALPHABET.find(chr(one))):06b}" for one in parts[which % len(parts)])
        meant = [int(bits[place : place + 8], 2) for place in range(0, len(bits) // 8 * 8, 8)] or [0]
        meant[at % len(meant)] = byte
        parts[which % len(parts)] = b64(bytes(meant)).encode()
        return b".".join(parts)

    return change


CHANGES = st.one_of(
    st.builds(flipped, PLACES, st.integers(0, 7)),
    st.builds(spliced, PLACES, st.integers(0, 3), st.binary(max_size=3)),
    st.builds(spliced, PLACES, st.integers(0, 1), LETTERS.map(lambda one: bytes([one]))),
    st.builds(spliced, PLACES, st.integers(0, 400), st.just(b"")),
    st.builds(taken, st.tuples(st.booleans(), st.booleans(), st.booleans())),
    st.builds(reordered, st.lists(st.integers(0, 2), max_size=5).map(tuple)),
    st.builds(
        respelled,
        st.integers(0, 2),
        st.sampled_from(["padded", "plain", "broken", "junk", "stray", "longer"]),
    ),
    st.builds(recoded, st.integers(0, 2), PLACES, BYTES),
)
MUTATIONS = st.lists(CHANGES, min_size=1, max_size=3)


def mutated(token: bytes, other: bytes, by: list[Change]) -> bytes:
    for change in by:
        token = change(token, other) or b"."
    return token


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
        assert verifier().cached(mutant, NOW) is None

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
        assert made.cached(alike, NOW) is None
        assert made.cached(two, NOW) is None or one == two
        second = verified(two, by=made)
        for token, outcome in ((one, first), (two, second)):
            found = made.cached(token, NOW)
            theirs = judge(token, TERMS, NOW)
            assert (found and told(found.identity)) == (theirs if isinstance(theirs, Accepted) else None)
            assert (found is None) is isinstance(outcome, Deny)

    holds()


# A proof of possession, changed (RFC 9449 section 4.3).

PUBLIC = ED.public(use=None, alg=None, kid=None)
TOKEN, URI = b"the.access.token", "https://mcp.example.com/mcp"


def asked(key: SigningKey) -> Asked:
    return Asked(method="POST", uri=URI, ath=ath(TOKEN), thumbprint=thumbprint(key), leeway=5.0)


@cache
def proofs() -> list[tuple[SigningKey, bytes]]:
    return [
        (key, sign_proof(key, proof_claims(TOKEN, NOW, method, URI)))
        for key in (ED, ES256, RS)
        for method in ("POST", "GET")
    ]


@tiers(quick=150, long=20_000)
def test_an_honest_proof_that_is_changed(tier: settings) -> None:
    honest_ones = [proof for _, proof in proofs()]

    @tier
    @given(st.sampled_from([0, 2, 4]), st.integers(0, 5), MUTATIONS)
    @example(0, 1, [taken((True, False, True))])
    def holds(at: int, other: int, by: list[Change]) -> None:
        key, proof = proofs()[at]
        assert isinstance(check_proof(proof, asked(key), NOW), Proof)
        mutant = mutated(proof, proofs()[other][1], by)
        assume(mutant not in honest_ones)
        assert isinstance(check_proof(mutant, asked(key), NOW), Deny)

    holds()


PROOF_CLAIMS: dict[str, list[Any]] = {
    "htm": ["POST", "post", "GET", ["POST"], "POST "],
    "htu": [
        URI,
        URI + "?q",
        URI + "#f",
        URI + "/",
        "HTTPS://MCP.example.com:443/mcp",
        [URI],
        "http://mcp.example.com/mcp",
    ],
    "ath": [ath(TOKEN), ath(b"another"), ath(TOKEN) + "=", TOKEN.decode(), [ath(TOKEN)]],
    "iat": [*(NOW + by for by in (-66, -65.5, -65, -60, 0, 5, 5.5, 6)), str(NOW), True, [NOW]],
    "jti": ["j", "", "x" * 256, "x" * 257, 1, ["j"]],
    "nonce": ["n"],
    "exp": [0, "0"],
}


@tiers(quick=120, long=5_000)
def test_proofs_of_any_kind(tier: settings) -> None:
    @tier
    @given(changes(PROOF_CLAIMS, 3), changes({"typ": HEADERS["typ"], "crit": [[]], "kid": [0, "k"]}, 1))
    def holds(by: dict[str, Any], header: dict[str, Any]) -> None:
        heads = changed({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": PUBLIC}, header)
        said = changed(proof_claims(TOKEN, NOW, "POST", URI), by)
        passed = isinstance(check_proof(compact(heads, said, ED.sign).encode(), asked(ED), NOW), Proof)
        assert passed is is_good_proof(heads, said)

    holds()


def is_good_proof(header: str, payload: str) -> bool:
    """Go through section 4.3 for a proof that ED has signed, in plain steps."""
    try:
        heads, said = (json_object(text.encode()) for text in (header, payload))
    except RefusedError:
        return False
    if "crit" in heads or "b64" in heads:
        return False
    if "kid" in heads and not (type(heads["kid"]) is str and len(heads["kid"]) <= 256):
        return False
    if heads.get("typ") != "dpop+jwt" or heads.get("alg") != "EdDSA" or heads.get("jwk") != PUBLIC:
        return False
    iat, jti = said.get("iat"), said.get("jti")
    return (
        said.get("htm") == "POST"
        and said.get("htu") in (URI, "HTTPS://MCP.example.com:443/mcp")
        and said.get("ath") == ath(TOKEN)
        and isinstance(iat, int | float)
        and type(iat) is not bool
        and NOW - 65 <= iat <= NOW + 5
        and type(jti) is str
        and 1 <= len(jti) <= 256
    )
