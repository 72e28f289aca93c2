"""Whole tokens: the table of what is admitted and what is refused, and the cache of what was verified."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs

from proxy.authn import Verifier, key_sources
from proxy.authn.credential import digest_of
from proxy.config import Issuer
from proxy.model import Caller, Deny, Identity, Reason, Wait
from tests.support.keys import (
    SigningKey,
    b64,
    claims_like_agentlair,
    compact,
    jwks,
    jwks_bytes,
    make_key,
    sign_token,
)
from tests.support.steps import driven, straight

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.authn import KeySources

NOW = 1_700_000_000
ISSUER, OTHER, STRICT = "https://agentlair.dev", "https://other.test", "https://strict.test"
AUDIENCE = "https://mcp.example.com/mcp"

ED, RS, PS = make_key("EdDSA", "ed"), make_key("RS256", "rs"), make_key("PS256", "ps")
ES256, ES384, ES512 = make_key("ES256", "es256"), make_key("ES384", "es384"), make_key("ES512", "es512")
STRANGER = make_key("EdDSA", "a stranger's")
OTHERS = make_key("RS256", "ed")  # another issuer's key, of the same name
ANY_RSA = make_key("RS384", "any-rsa")

ISSUERS = [
    Issuer(
        issuer=ISSUER,
        audience=[AUDIENCE],
        jwks=jwks(ED, RS, PS, ES256, ES384, ES512, ANY_RSA.public(alg=None)),
    ),
    Issuer(issuer=OTHER, audience=[AUDIENCE], jwks=jwks(OTHERS)),
    Issuer(issuer=STRICT, audience=[AUDIENCE], jwks=jwks(ED, RS), algorithms=["RS256"]),
]

MALFORMED, SIGNATURE, ALGORITHM = (
    Reason.TOKEN_MALFORMED,
    Reason.SIGNATURE_INVALID,
    Reason.ALGORITHM_REFUSED,
)
KEY, FOREIGN, MISSING = Reason.KEY_UNKNOWN, Reason.ISSUER_UNKNOWN, Reason.CLAIM_MISSING


def dress(identity: Identity) -> Caller:
    return Caller(identity, frozenset(identity.scopes), b"", b"")


def claims(**changes: Any) -> dict[str, Any]:
    return claims_like_agentlair(NOW, **changes)


def signed(key: SigningKey = ED, **header: Any) -> str:
    return sign_token(key, claims(), **header)


def saying(**changes: Any) -> str:
    return sign_token(ED, claims(**changes))


def raw(header: str | bytes | None = None, payload: str | bytes | None = None) -> str:
    """An honestly signed token of these very bytes."""
    usual = json.dumps({"alg": "EdDSA", "kid": "ed"})
    return compact(
        usual if header is None else header, json.dumps(claims()) if payload is None else payload, ED.sign
    )


def patched(position: int, text: str) -> str:
    """A good token with one of its three parts replaced."""
    parts = GOOD.split(".")
    parts[position] = text
    return ".".join(parts)


def header_with(extra: str) -> str:
    return raw(header='{"alg": "EdDSA", "kid": "ed", ' + extra + "}")


def payload_with(extra: str) -> str:
    return raw(payload=json.dumps(claims())[:-1] + ", " + extra + "}")


def forged(algorithm: str, kid: str, secret: bytes) -> str:
    """A token signed with a public key as if it were a shared secret (CVE-2022-29217, CVE-2024-33663)."""
    return sign_token(SigningKey(algorithm, kid, secret), claims())


def resigned(key: SigningKey, signature: bytes) -> str:
    return compact(
        json.dumps({"alg": key.algorithm, "kid": key.kid}), json.dumps(claims()), lambda _: signature
    )


def public(
    key: SigningKey, encoding: Encoding, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo
) -> bytes:
    return bytes(key.private.public_key().public_bytes(encoding, form))


def unsigned(algorithm: str) -> str:
    return compact(json.dumps({"alg": algorithm}), json.dumps(claims()), lambda _: b"")


GOOD = signed()
HEADER, PAYLOAD, SIGNED = GOOD.split(".")
ED_RAW = urlsafe_b64decode(ED.jwk["x"] + "=")

ADMITTED = [
    pytest.param(GOOD, id="AgentLair's own"),
    pytest.param(signed(alg="Ed25519"), id="the newer name of EdDSA"),
    pytest.param(signed(RS), id="RS256"),
    pytest.param(signed(PS), id="PS256"),
    pytest.param(signed(ES256), id="ES256"),
    pytest.param(signed(ES384), id="ES384"),
    pytest.param(signed(ES512), id="ES512"),
    pytest.param(sign_token(ANY_RSA, claims()), id="a key without alg takes RS384"),
    pytest.param(signed(kid=None), id="no kid where one Ed25519 key is there"),
    pytest.param(signed(ES256, kid=None), id="no kid where one P-256 key is there"),
    pytest.param(signed(typ=None), id="no typ"),
    pytest.param(signed(typ="at+jwt"), id="typ at+jwt"),
    pytest.param(signed(cty="JWT", foo=[1]), id="header members that mean nothing here"),
    pytest.param(
        signed(jwk=STRANGER.jwk, jku="https://evil.test/", x5u="x", x5c=["y"]),
        id="keys in the header, ignored",
    ),
    pytest.param(sign_token(OTHERS, claims(iss=OTHER)), id="another issuer, a key of the same name"),
    pytest.param(sign_token(RS, claims(iss=STRICT)), id="an issuer's only algorithm"),
    pytest.param(payload_with('"deep": ' + "[" * 31 + "]" * 31), id="as deep as is allowed"),
]

REFUSED = [
    # The shape.
    pytest.param("", MALFORMED, id="nothing"),
    pytest.param("..", MALFORMED, id="two dots"),
    pytest.param("opaque-token", MALFORMED, id="an opaque token"),
    pytest.param(f"{HEADER}.{PAYLOAD}", MALFORMED, id="two parts"),
    pytest.param(f"{GOOD}.", MALFORMED, id="four parts"),
    pytest.param(f"{HEADER}.{PAYLOAD}..{SIGNED}", MALFORMED, id="an empty part between"),
    pytest.param(f"{GOOD}.{SIGNED}.{SIGNED}", MALFORMED, id="five parts, as of a JWE"),
    pytest.param(f" {GOOD}", MALFORMED, id="a space before"),
    pytest.param(f"{GOOD}\n", MALFORMED, id="a line feed behind"),
    pytest.param(
        json.dumps({"payload": PAYLOAD, "protected": HEADER, "signature": SIGNED}),
        MALFORMED,
        id="a JWS in JSON",
    ),
    # base64url.
    pytest.param(patched(2, SIGNED + "=="), MALFORMED, id="padding behind the signature"),
    pytest.param(patched(1, PAYLOAD + "=="), MALFORMED, id="padding behind the payload"),
    pytest.param(
        patched(2, SIGNED[:-1] + chr(ord(SIGNED[-1]) + 1)), MALFORMED, id="stray bits behind the signature"
    ),
    pytest.param(patched(2, SIGNED + "AAA"), MALFORMED, id="half a byte more"),
    pytest.param(patched(2, "+/" + SIGNED[2:]), MALFORMED, id="the alphabet of plain base64"),
    pytest.param(patched(1, PAYLOAD[:9] + "\n" + PAYLOAD[9:]), MALFORMED, id="a line feed in the payload"),
    pytest.param(patched(0, "!" + HEADER), MALFORMED, id="junk before the header"),
    pytest.param(patched(1, "é" + PAYLOAD), MALFORMED, id="beyond ASCII"),
    # JSON.
    pytest.param(raw(header="not json"), MALFORMED, id="a header that is no JSON"),
    pytest.param(raw(header="[]"), MALFORMED, id="a header that is a list"),
    pytest.param(raw(header="null"), MALFORMED, id="a header of null"),
    pytest.param(raw(payload=""), MALFORMED, id="an empty payload"),
    pytest.param(raw(payload="[]"), MALFORMED, id="a payload that is a list"),
    pytest.param(raw(payload='"acc_1"'), MALFORMED, id="a payload that is a string"),
    pytest.param(header_with('"alg": "EdDSA"'), MALFORMED, id="alg twice"),
    pytest.param(payload_with('"sub": "root"'), MALFORMED, id="sub twice"),
    pytest.param(payload_with('"s\\u0075b": "root"'), MALFORMED, id="sub twice, once escaped"),
    pytest.param(payload_with('"x": {"a": 1, "a": 2}'), MALFORMED, id="a name twice, inside"),
    pytest.param(payload_with('"x": NaN'), MALFORMED, id="NaN anywhere"),
    pytest.param(payload_with('"x": 1e999'), MALFORMED, id="an infinite number anywhere"),
    pytest.param(payload_with('"x": "\\udc00"'), MALFORMED, id="half a surrogate pair anywhere"),
    pytest.param(payload_with('"x": ' + "[" * 3000 + "]" * 3000), MALFORMED, id="deeper than Python reads"),
    pytest.param(raw(payload=json.dumps(claims()) + "{}"), MALFORMED, id="two payloads"),
    pytest.param(
        raw(payload=b"\xef\xbb\xbf" + json.dumps(claims()).encode()), MALFORMED, id="a byte order mark"
    ),
    pytest.param(raw(payload=json.dumps(claims()).encode("utf-16")), MALFORMED, id="UTF-16"),
    pytest.param(raw(payload=b'{"sub": "\xff"}'), MALFORMED, id="invalid UTF-8"),
    # The header.
    pytest.param(signed(alg=None), MALFORMED, id="no alg"),
    pytest.param(signed(alg=["EdDSA"]), MALFORMED, id="a list of algs"),
    pytest.param(signed(alg=1), MALFORMED, id="an alg that is a number"),
    pytest.param(header_with('"x": 1, "typ": null'), MALFORMED, id="a typ of null"),
    pytest.param(signed(typ=["JWT"]), MALFORMED, id="a list of typs"),
    pytest.param(signed(kid=7), MALFORMED, id="a kid that is a number"),
    pytest.param(raw(header='{"alg": "EdDSA", "kid": null}'), MALFORMED, id="a kid of null"),
    pytest.param(signed(kid="k" * 257), MALFORMED, id="a kid of 257 characters"),
    pytest.param(signed(crit=["exp"]), MALFORMED, id="crit"),
    pytest.param(signed(crit=[]), MALFORMED, id="an empty crit"),
    pytest.param(signed(b64=False, crit=["b64"]), MALFORMED, id="a payload that is not encoded"),
    pytest.param(signed(b64=True), MALFORMED, id="b64, even if it says nothing new"),
    # The algorithm.
    pytest.param(unsigned("none"), ALGORITHM, id="none"),
    pytest.param(unsigned("None"), ALGORITHM, id="None"),
    pytest.param(unsigned("NONE"), ALGORITHM, id="NONE"),
    pytest.param(unsigned("nOnE"), ALGORITHM, id="nOnE"),
    pytest.param(unsigned(""), ALGORITHM, id="an empty alg"),
    pytest.param(forged("HS256", "ed", ED_RAW), ALGORITHM, id="HS256 with the bytes of the Ed25519 key"),
    pytest.param(forged("HS256", "ed", ED.jwk["x"].encode()), ALGORITHM, id="HS256 with the text of the key"),
    pytest.param(
        forged("HS256", "rs", public(RS, Encoding.PEM)),
        ALGORITHM,
        id="HS256 with the RSA key's PEM",
    ),
    pytest.param(
        forged("HS384", "rs", public(RS, Encoding.DER)),
        ALGORITHM,
        id="HS384 with the RSA key's DER",
    ),
    pytest.param(
        forged("HS512", "ed", public(ED, Encoding.OpenSSH, PublicFormat.OpenSSH)),
        ALGORITHM,
        id="HS512 with the key as OpenSSH has it",
    ),
    pytest.param(forged("HS256", "ed", json.dumps(ED.jwk).encode()), ALGORITHM, id="HS256 with the JWK"),
    pytest.param(forged("HS256", "ed", b""), ALGORITHM, id="HS256 with nothing"),
    pytest.param(signed(alg="eddsa"), ALGORITHM, id="eddsa"),
    pytest.param(signed(alg="Ed448"), ALGORITHM, id="Ed448"),
    pytest.param(signed(make_key("ES256K", "es256")), ALGORITHM, id="ES256K"),
    pytest.param(signed(alg="RSA-OAEP"), ALGORITHM, id="an algorithm for encryption"),
    pytest.param(signed(alg="dir"), ALGORITHM, id="no algorithm for encryption"),
    pytest.param(signed(alg="RS256"), ALGORITHM, id="RS256 on an Ed25519 key"),
    pytest.param(signed(RS, alg="EdDSA"), ALGORITHM, id="EdDSA on an RSA key"),
    pytest.param(signed(RS, alg="PS256"), ALGORITHM, id="PS256 on a key for RS256"),
    pytest.param(signed(RS, alg="RS512"), ALGORITHM, id="RS512 on a key for RS256"),
    pytest.param(signed(ES256, alg="ES512"), ALGORITHM, id="ES512 on P-256"),
    pytest.param(signed(ES384, alg="ES256"), ALGORITHM, id="ES256 on P-384"),
    pytest.param(
        sign_token(ED, claims(iss=STRICT)), ALGORITHM, id="an algorithm that this issuer may not use"
    ),
    # The key.
    pytest.param(signed(STRANGER), KEY, id="a stranger's key"),
    pytest.param(signed(STRANGER, jwk=STRANGER.jwk), KEY, id="a stranger's key in the token"),
    pytest.param(signed(STRANGER, kid="../../../dev/null"), KEY, id="a kid that is a path"),
    pytest.param(signed(STRANGER, kid="x' UNION SELECT 'k"), KEY, id="a kid that is SQL"),
    pytest.param(signed(STRANGER, kid=""), KEY, id="an empty kid"),
    pytest.param(signed(kid="ED"), KEY, id="a kid in another case"),
    pytest.param(signed(ANY_RSA, kid=None, alg="RS256"), KEY, id="no kid where two RSA keys fit"),
    pytest.param(sign_token(RS, claims(iss=OTHER)), KEY, id="a key of another issuer"),
    # The issuer.
    pytest.param(saying(iss=OTHER), ALGORITHM, id="another issuer's name, our key of the same kid"),
    pytest.param(sign_token(OTHERS, claims(iss=OTHER), kid="nobody"), KEY, id="another issuer, another kid"),
    pytest.param(
        sign_token(RS, claims(iss=OTHER), kid="ed"), SIGNATURE, id="another issuer's name and kid, our key"
    ),
    pytest.param(saying(iss=None), MISSING, id="no issuer"),
    pytest.param(saying(iss="https://evil.test"), FOREIGN, id="an issuer that is not configured"),
    pytest.param(saying(iss=ISSUER + "/"), FOREIGN, id="an issuer with one slash more"),
    pytest.param(saying(iss=ISSUER.upper()), FOREIGN, id="an issuer in upper case"),
    pytest.param(saying(iss=[ISSUER]), FOREIGN, id="a list of issuers"),
    pytest.param(saying(iss=7), FOREIGN, id="an issuer that is a number"),
    pytest.param(saying(iss={"a": 1}), FOREIGN, id="an issuer that is an object"),
    pytest.param(saying(iss=""), FOREIGN, id="an empty issuer"),
    # The signature.
    pytest.param(patched(2, ""), SIGNATURE, id="no signature"),
    pytest.param(patched(2, b64(b"\0" * 64)), SIGNATURE, id="a signature of zeros"),
    pytest.param(patched(2, SIGNED[:-2]), SIGNATURE, id="a shorter signature"),
    pytest.param(patched(2, SIGNED + "AAAA"), SIGNATURE, id="a longer signature"),
    pytest.param(patched(2, b64(b"x" * 6000)), SIGNATURE, id="an endless signature"),
    pytest.param(patched(1, b64(json.dumps(claims(sub="root")).encode())), SIGNATURE, id="another payload"),
    pytest.param(patched(0, b64(b'{"alg":"EdDSA","kid":"ed"}')), SIGNATURE, id="another header"),
    pytest.param(signed(STRANGER, kid="ed"), SIGNATURE, id="a stranger's signature under our kid"),
    pytest.param(signed(make_key("RS256", "rs2"), kid="rs"), SIGNATURE, id="another RSA key's signature"),
    pytest.param(resigned(ES256, b"\0" * 64), SIGNATURE, id="ES256 with r and s zero"),
    pytest.param(resigned(ES256, ES256.sign(b"") + b"\0"), SIGNATURE, id="ES256, a byte too long"),
    pytest.param(resigned(ES512, ES256.sign(b"")), SIGNATURE, id="ES512 with a signature of ES256's size"),
    pytest.param(resigned(RS, b"\0" * 256), SIGNATURE, id="RS256 of zeros"),
    # The claims that make it another kind of token, or leave nobody to name; the rest is in test_claims.py.
    pytest.param(saying(nonce="n"), Reason.TYPE_REFUSED, id="an ID token"),
    pytest.param(signed(typ="dpop+jwt"), Reason.TYPE_REFUSED, id="a DPoP proof"),
    pytest.param(saying(sub="a\nb"), Reason.CLAIM_REFUSED, id="an id with a line break"),
    pytest.param(saying(sub=None), MISSING, id="no id"),
]

# The signature held, and the token says whose it is: the refusal names the agent.
REFUSED_BY_NAME = [
    pytest.param(saying(exp=NOW - 31), Reason.TOKEN_EXPIRED, id="expired"),
    pytest.param(saying(nbf=NOW + 31), Reason.TOKEN_NOT_YET_VALID, id="not yet valid"),
    pytest.param(saying(exp=None), MISSING, id="no expiry"),
    pytest.param(saying(exp=str(NOW + 60)), MALFORMED, id="an expiry in a string"),
    pytest.param(saying(aud="https://a.test"), Reason.AUDIENCE_MISMATCH, id="for somebody else"),
    pytest.param(saying(cnf={"jkt": "x"}), Reason.PROOF_INVALID, id="bound to a key"),
]


async def started(issuers: list[Issuer] = ISSUERS, now: float = NOW) -> tuple[KeySources, Verifier]:
    sources = key_sources(issuers, lambda: now)
    verifier = Verifier(issuers, sources, dress)
    for issuer in issuers:
        await sources[issuer.issuer].load()
    return sources, verifier


@pytest.mark.parametrize("token", ADMITTED)
async def test_a_good_token_is_admitted(token: str) -> None:
    _, verifier = await started()
    admitted = await driven(verifier.verify(token.encode(), NOW))
    assert isinstance(admitted, Caller)
    assert admitted.identity.id == "acc_7f3k2m9x"
    assert verifier.cached(digest_of(token.encode()), NOW) is admitted


async def refused(token: str) -> Deny:
    _, verifier = await started()
    denied = await driven(verifier.verify(token.encode(), NOW))
    assert isinstance(denied, Deny)
    assert denied.detail
    assert verifier.cached(digest_of(token.encode()), NOW) is None
    return denied


@pytest.mark.parametrize(("token", "reason"), REFUSED)
async def test_a_bad_token_is_refused_for_its_reason(token: str, reason: Reason) -> None:
    denied = await refused(token)
    assert denied.reason is reason
    assert denied.caller is None


@pytest.mark.parametrize(("token", "reason"), REFUSED_BY_NAME)
async def test_a_refusal_after_the_signature_held_names_the_agent(token: str, reason: Reason) -> None:
    denied = await refused(token)
    assert denied.reason is reason
    assert denied.caller is not None
    assert denied.caller.identity.id == "acc_7f3k2m9x"


async def test_a_token_whose_key_is_known_waits_for_nothing() -> None:
    _, verifier = await started()
    assert isinstance(straight(verifier.verify(GOOD.encode(), NOW)), Caller)


async def test_an_algorithm_that_does_not_fit_is_no_reason_to_fetch() -> None:
    _, verifier = await started()
    denied = straight(verifier.verify(signed(RS, alg="EdDSA").encode(), NOW))
    assert isinstance(denied, Deny)
    assert denied.reason is ALGORITHM


async def test_an_identity_names_the_key_that_verified_it() -> None:
    _, verifier = await started()
    for token, kid in ((GOOD, "ed"), (signed(kid=None), "ed"), (signed(RS), "rs")):
        admitted = await driven(verifier.verify(token.encode(), NOW))
        assert isinstance(admitted, Caller)
        assert admitted.identity.key_id == kid


async def test_a_cached_token_ends_with_its_expiry_and_leeway() -> None:
    _, verifier = await started()
    assert verifier.cached(digest_of(GOOD.encode()), NOW) is None
    admitted = await driven(verifier.verify(GOOD.encode(), NOW))
    assert verifier.cached(digest_of(GOOD.encode()), NOW + 3629) is admitted
    assert verifier.cached(digest_of(GOOD.encode()), NOW + 3630) is None
    denied = await driven(verifier.verify(GOOD.encode(), NOW + 3630))
    assert isinstance(denied, Deny)
    assert denied.reason is Reason.TOKEN_EXPIRED


async def test_two_tokens_never_share_an_entry() -> None:
    _, verifier = await started()
    one, two = saying(sub="one"), saying(sub="two")
    for token in (one, two):
        await driven(verifier.verify(token.encode(), NOW))
    found = [verifier.cached(digest_of(token.encode()), NOW) for token in (one, two, one + "x", one[:-1])]
    assert [caller and caller.identity.id for caller in found] == ["one", "two", None, None]


async def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    sources = key_sources(ISSUERS, lambda: NOW)
    verifier = Verifier(ISSUERS, sources, dress, cache_size=2)
    await sources[ISSUER].load()
    one, two, three = (saying(sub=name).encode() for name in ("one", "two", "three"))
    await driven(verifier.verify(one, NOW))
    await driven(verifier.verify(two, NOW))
    assert verifier.cached(digest_of(one), NOW) is not None
    await driven(verifier.verify(three, NOW))
    assert verifier.cached(digest_of(two), NOW) is None
    assert verifier.cached(digest_of(one), NOW) is not None


async def test_an_identity_is_dressed_once() -> None:
    dressed: list[Identity] = []

    def count(identity: Identity) -> Caller:
        dressed.append(identity)
        return dress(identity)

    sources = key_sources(ISSUERS, lambda: NOW)
    verifier = Verifier(ISSUERS, sources, count)
    await sources[ISSUER].load()
    await driven(verifier.verify(GOOD.encode(), NOW))
    assert all(verifier.cached(digest_of(GOOD.encode()), NOW) for _ in range(3))
    assert len(dressed) == 1


class Clock:
    """A hand-cranked clock."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


async def test_a_removed_key_takes_its_tokens_with_it_and_no_others(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(ED, ES256))
    issuers = [
        Issuer(issuer=ISSUER, audience=[AUDIENCE], jwks=str(file)),
        Issuer(issuer=OTHER, audience=[AUDIENCE], jwks=jwks(ED)),
    ]
    sources = key_sources(issuers, clock)
    verifier = Verifier(issuers, sources, dress)
    for issuer in issuers:
        await sources[issuer.issuer].load()
    removed, kept, others = signed().encode(), signed(ES256).encode(), saying(iss=OTHER).encode()
    for token in (removed, kept, others):
        assert isinstance(await driven(verifier.verify(token, NOW)), Caller)
    file.write_bytes(jwks_bytes(ES256))
    await sources[ISSUER].refetch()
    assert verifier.cached(digest_of(removed), NOW) is None
    assert verifier.cached(digest_of(kept), NOW) is not None
    assert verifier.cached(digest_of(others), NOW) is not None
    denied = await driven(verifier.verify(removed, NOW))
    assert isinstance(denied, Deny)
    assert denied.reason is KEY
    await sources.close()


async def test_keys_that_grow_too_old_take_their_tokens_with_them(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(ED))
    issuers = [Issuer(issuer=ISSUER, audience=[AUDIENCE], jwks=str(file), keys={"max_stale": "10m"})]
    sources = key_sources(issuers, clock)
    verifier = Verifier(issuers, sources, dress)
    await sources[ISSUER].load()
    assert isinstance(await driven(verifier.verify(GOOD.encode(), NOW)), Caller)
    file.unlink()
    clock.now += 600
    assert verifier.cached(digest_of(GOOD.encode()), clock.now - 1) is not None
    assert verifier.cached(digest_of(GOOD.encode()), clock.now) is None
    denied = await driven(verifier.verify(GOOD.encode(), clock.now))
    assert isinstance(denied, Deny)
    assert denied.reason is Reason.KEYS_UNAVAILABLE
    assert denied.retry_after == 30
    await sources.close()


async def test_the_time_that_a_fetch_took_counts(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(ES256))
    issuers = [Issuer(issuer=ISSUER, audience=[AUDIENCE], jwks=str(file))]
    sources = key_sources(issuers, clock)
    verifier = Verifier(issuers, sources, dress)
    await sources[ISSUER].load()
    file.write_bytes(jwks_bytes(ED))
    verification = verifier.verify(GOOD.encode(), NOW)
    need = next(verification)
    assert isinstance(need, Wait)
    clock.now += 3630
    denied = await driven(verification, got=await need.call())
    assert isinstance(denied, Deny)
    assert denied.reason is Reason.TOKEN_EXPIRED
    await sources.close()


async def test_scopes_that_an_issuer_may_not_confer_are_dropped_and_logged() -> None:
    issuer = Issuer(issuer=ISSUER, audience=[AUDIENCE], jwks=jwks(ED), grants=["mcp:*"])
    _, verifier = await started([issuer])
    with capture_logs() as lines:
        admitted = await driven(verifier.verify(GOOD.encode(), NOW))
    assert isinstance(admitted, Caller)
    assert admitted.identity.scopes == ("mcp:tools:read",)
    assert lines[-1] == {
        "event": "scopes_dropped",
        "issuer": ISSUER,
        "agent_id": "acc_7f3k2m9x",
        "scopes": ("memory:read",),
        "log_level": "debug",
    }
