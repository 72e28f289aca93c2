"""The issuers of the table, and their keys: good ones, and in one set every kind that must not be used."""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.keys import SigningKey, b64, jwks, make_key, number

if TYPE_CHECKING:
    from tests.support.keys import JSON

AGENT = "acc_1"
ELSEWHERE = "https://elsewhere.test"
MAIN, OTHER, STRICT, PLAIN = (f"https://{name}.test" for name in ("issuer", "other", "strict", "plain"))
ODD, LONE, DEMANDING, NAMING = (f"https://{name}.test" for name in ("odd", "lone", "demanding", "naming"))
BOUND, REQUIRED, TYPED, CARELESS = (
    f"https://{name}.test" for name in ("bound", "required", "typed", "careless")
)

ED, ED448 = make_key("EdDSA", "ed"), make_key("Ed448", "ed448")
_RSA = make_key("RS256", "rsa").private
# Making an RSA key takes long: all of one issuer share their numbers.
RS = {
    name: SigningKey(name, name.lower(), _RSA)
    for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
}
ES = {name: make_key(name, name.lower()) for name in ("ES256", "ES384", "ES512")}
SIGNERS = {"EdDSA": ED, "Ed448": ED448, **RS, **ES}
"""A key of `MAIN` for every algorithm."""

STRANGER, STRANGE_RSA = make_key("EdDSA", "a stranger's"), make_key("RS256", "strange-rsa")
STRANGE_EC = make_key("ES256", "strange-ec")
OTHERS = SigningKey("EdDSA", "ed", make_key("EdDSA", "others").private)
"""Another issuer's key, of the same name as one of MAIN's."""
PLAIN_RSA = SigningKey("RS256", "plain-rsa", STRANGE_RSA.private)
PLAIN_EC, PLAIN_ED = make_key("ES256", "plain-ec"), make_key("EdDSA", "plain-ed")
LONE_ED, LONE_RSA = make_key("EdDSA", None), SigningKey("RS256", None, STRANGE_RSA.private)
PROVER = make_key("ES256", "prover")

WEAK, SHORT = make_key("RS256", "weak", 1024), make_key("RS256", "2047 bits", 2047)
CUBE = SigningKey("RS256", "e=3", rsa.generate_private_key(3, 2048))
SYMMETRIC = make_key("HS256", "symmetric")
K256 = make_key("ES256K", "es256k")
TWIN_ED, TWIN_EC = make_key("EdDSA", "twin"), make_key("ES256", "twin")
SAME_1, SAME_2 = make_key("EdDSA", "same"), SigningKey("EdDSA", "same", make_key("EdDSA", "same 2").private)


def _factorable() -> SigningKey:
    """A modulus as a broken chip makes them (CVE-2017-15361): a power of 65537 modulo every small prime.

    Here the power is 1. The second prime is made to fit the first one.
    """
    primorial = math.prod(n for n in range(2, 168) if all(n % d for d in range(2, n)))
    numbers = STRANGE_RSA.private.private_numbers()
    fitting = pow(numbers.p, -1, primorial)
    start = 3 * 2**1022 // primorial
    p, q = (
        numbers.p,
        next(q for k in count(start) if pow(3, (q := fitting + k * primorial) - 1, q) == 1 and q & 1),
    )
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return SigningKey("RS256", "factorable", rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key())


FACTORABLE = _factorable()
_NO_POINT_448 = b"\x02" + b"\0" * 55 + b"\x01"


def _ed(kid: str) -> SigningKey:
    return make_key("EdDSA", kid)


def _ec(kid: str) -> SigningKey:
    return make_key("ES256", kid)


def _modulus(key: SigningKey) -> int:
    return int(key.private.public_key().public_numbers().n)


def _off_curve() -> JSON:
    numbers = _ec("off curve").private.public_key().public_numbers()
    return _ec("off curve").public(y=number(numbers.y ^ 1, 32))


_STRANGE_N = _modulus(STRANGE_RSA)

NEVER_TYPES = [
    "dpop+jwt",
    "logout+jwt",
    "secevent+jwt",
    "oauth-id-jag+jwt",
    "token-introspection+jwt",
    "oauth-authz-req+jwt",
    "client-authentication+jwt",
    "keystile-assertion+jwt",
]
"""What is no access token, whatever a configuration says."""

UNFIT: list[tuple[str, JSON, SigningKey]] = [
    ("an RSA key of 1024 bits", WEAK.jwk, WEAK),
    ("an RSA key of 2047 bits", SHORT.jwk, SHORT),
    ("an RSA key with e = 3", CUBE.jwk, CUBE),
    ("an RSA key of a broken chip", FACTORABLE.jwk, FACTORABLE),
    ("an RSA key for encryption", PLAIN_RSA.public(kid="enc-rsa", use="enc"), PLAIN_RSA),
    ("a P-256 key that may only agree on keys", _ec("derive").public(key_ops=["deriveKey"]), _ec("derive")),
    ("a key for encryption", _ed("enc").public(use="enc"), _ed("enc")),
    ("a key for another use", _ed("use").public(use="tls"), _ed("use")),
    ("a private key", _ed("private").private_jwk(), _ed("private")),
    ("a private RSA key", PLAIN_RSA.public(kid="private-rsa", p=b64(b"p")), PLAIN_RSA),
    ("a key off the curve", _off_curve(), _ec("off curve")),
    ("a key of secp256k1", K256.jwk, K256),
    ("a point of secp256k1 that says P-256", K256.public(kid="k as p", crv="P-256", alg="ES256"), K256),
    ("a P-256 key for RS256", _ec("EC as RS256").public(alg="RS256"), _ec("EC as RS256")),
    ("a P-256 key for ES384", _ec("ES384 on P-256").public(alg="ES384"), _ec("ES384 on P-256")),
    (
        "a P-256 key that says P-384",
        _ec("P-256 as P-384").public(crv="P-384", alg=None),
        _ec("P-256 as P-384"),
    ),
    ("an RSA key for HS256", PLAIN_RSA.public(kid="rsa as hs", alg="HS256"), PLAIN_RSA),
    ("an RSA key for RSA-OAEP", PLAIN_RSA.public(kid="oaep", alg="RSA-OAEP"), PLAIN_RSA),
    ("an alg that is a list", _ed("algs").public(alg=["EdDSA"]), _ed("algs")),
    ("a key for alg none", _ed("none").public(alg="none"), _ed("none")),
    ("a key that may only sign", _ed("sign").public(key_ops=["sign"]), _ed("sign")),
    ("a key that may do nothing", _ed("no ops").public(key_ops=[]), _ed("no ops")),
    ("key_ops that are no list", _ed("ops").public(key_ops="verify"), _ed("ops")),
    ("a key without kty", _ed("no kty").public(kty=None), _ed("no kty")),
    ("a kty in lower case", _ec("ec").public(kty="ec"), _ec("ec")),
    ("a kty that is made up", _ed("made up").public(kty="EdDSA"), _ed("made up")),
    ("an EC key that says OKP", _ec("EC as OKP").public(kty="OKP"), _ec("EC as OKP")),
    ("a curve in lower case", _ed("crv").public(crv="ed25519"), _ed("crv")),
    ("a curve for agreement", _ed("X25519").public(crv="X25519"), _ed("X25519")),
    ("a key without its x", _ed("no x").public(x=None), _ed("no x")),
    ("an x with padding", _ed("padded").public(x=_ed("padded").jwk["x"] + "="), _ed("padded")),
    ("an x a byte too long", _ed("long").public(x=b64(b"\0" * 33)), _ed("long")),
    ("a coordinate a byte too wide", _ec("wide").public(x="AA" + _ec("wide").jwk["x"]), _ec("wide")),
    ("a modulus without e", PLAIN_RSA.public(kid="no e", e=None), PLAIN_RSA),
    ("a certificate and no key", {"kty": "RSA", "kid": "x5c", "x5c": ["MIIB"]}, PLAIN_RSA),
    ("a kid of 257 characters", _ed("q" * 257).jwk, _ed("q" * 257)),
]
"""Keys that a set may hold and nobody may use: what is odd, the JWK, and who signs with it."""

# Keys under which anybody can sign: each has its forgery in the table.
EASY: list[JSON] = [
    PLAIN_RSA.public(kid="e=1", e="AQ"),
    PLAIN_RSA.public(kid="even e", e=number(65538)),
    PLAIN_RSA.public(kid="even n", n=number(_STRANGE_N - 1)),
    PLAIN_RSA.public(kid="huge e", e=number((1 << 2000) + 1)),
    SYMMETRIC.jwk,
    _ed("identity").public(x=b64(b"\x01" + b"\0" * 31)),
    _ed("zero").public(x=b64(b"\0" * 32)),
    make_key("Ed448", "identity 448").public(x=b64(b"\x01" + b"\0" * 56)),
    make_key("Ed448", "no point 448").public(x=b64(_NO_POINT_448)),
    _ec("origin").public(x=b64(b"\0" * 32), y=b64(b"\0" * 32)),
]

FINE: list[JSON] = [
    TWIN_ED.jwk,
    TWIN_EC.jwk,
    SAME_1.jwk,
    SAME_2.jwk,
    _ed("twice").jwk,
    _ed("twice").jwk,
    _ed("ops and use").public(key_ops=["verify"]),
    _ed("both ops").public(key_ops=["sign", "verify"], use=None),
    _ed("newer").public(alg="Ed25519"),
    _ed("../../etc/passwd").jwk,
    _ed("ключ").jwk,
    _ed("").jwk,
    _ed("k" * 256).jwk,
    PLAIN_RSA.public(kid="with x5c", x5c=["MIIB"], x5t="x", x5u="https://evil.test/", extra={"a": [1]}),
]


def settings() -> list[dict[str, Any]]:
    """The issuers as a configuration has them."""
    return [
        {"issuer": MAIN, "jwks": jwks(*SIGNERS.values())},
        {"issuer": OTHER, "jwks": jwks(OTHERS), "audience": [ELSEWHERE]},
        {"issuer": STRICT, "jwks": jwks(ED, RS["RS256"]), "algorithms": ["RS256"]},
        {
            "issuer": PLAIN,
            "jwks": jwks(*(key.public(alg=None, use=None) for key in (PLAIN_RSA, PLAIN_EC, PLAIN_ED))),
        },
        {"issuer": ODD, "jwks": {"keys": [*(jwk for _, jwk, _ in UNFIT), *EASY, *FINE]}},
        {"issuer": LONE, "jwks": jwks(LONE_ED, LONE_RSA.public(alg=None))},
        {
            "issuer": DEMANDING,
            "jwks": jwks(ED),
            "max_lifetime": "1h",
            "leeway": "0s",
            "require": {"al_trust.score": {"min": 20}, "tenant": ["acme", "beta"], "human": False},
            "grants": ["mcp:*", "read"],
        },
        {
            "issuer": NAMING,
            "jwks": jwks(ED),
            "claims": {"id": ["https://a.b/agent", "act.sub"], "scopes": ["permissions", "scope"]},
        },
        {"issuer": TYPED, "jwks": jwks(ED), "types": ["at+jwt"]},
        {"issuer": CARELESS, "jwks": jwks(ED), "types": [*NEVER_TYPES, "custom+jwt"]},
        {"issuer": BOUND, "jwks": jwks(ED), "dpop": "optional"},
        {"issuer": REQUIRED, "jwks": jwks(ED), "dpop": "required"},
    ]
