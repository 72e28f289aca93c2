"""Rows about the header: alg, crit, keys that a token brings along, kid, typ (RFC 7515, RFC 8725)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.model import Reason
from tests.authn.tokens.issuers import (
    CARELESS,
    ED,
    ED448,
    ES,
    LONE,
    LONE_ED,
    LONE_RSA,
    NEVER_TYPES,
    OTHER,
    PLAIN,
    PLAIN_EC,
    PLAIN_ED,
    PLAIN_RSA,
    RS,
    SIGNERS,
    STRANGER,
    STRICT,
    TYPED,
)
from tests.authn.tokens.making import (
    ABSENT,
    admitted,
    build,
    refused,
    saying,
    signed,
)
from tests.support.keys import SigningKey, b64

if TYPE_CHECKING:
    from tests.authn.tokens.making import Maker, Row

MALFORMED, ALGORITHM = Reason.TOKEN_MALFORMED, Reason.ALGORITHM_REFUSED
TYPE, KEY, SIGNATURE = Reason.TYPE_REFUSED, Reason.KEY_UNKNOWN, Reason.SIGNATURE_INVALID


def unsigned(algorithm: str) -> Maker:
    return build(ED, {"alg": algorithm}, sign=lambda _: b"")


def with_secret(algorithm: str, key: SigningKey, secret: bytes) -> Maker:
    """A token signed with a public key as if that were a shared secret (CVE-2022-29217, CVE-2024-33663)."""
    return signed(SigningKey(algorithm, key.kid, secret))


def public(
    key: SigningKey, encoding: Encoding, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo
) -> bytes:
    return bytes(key.private.public_key().public_bytes(encoding, form))


_RSA, _EC = RS["RS256"], ES["ES256"]
_PKCS1, _POINT = PublicFormat.PKCS1, PublicFormat.UncompressedPoint
SECRETS: list[tuple[str, SigningKey, bytes]] = [
    ("the RSA key's PEM", _RSA, public(_RSA, Encoding.PEM)),
    ("the RSA key's PEM without its last line break", _RSA, public(_RSA, Encoding.PEM).strip()),
    ("the RSA key's PEM of PKCS 1", _RSA, public(_RSA, Encoding.PEM, _PKCS1)),
    ("the RSA key's DER", _RSA, public(_RSA, Encoding.DER)),
    ("the RSA key's DER of PKCS 1", _RSA, public(_RSA, Encoding.DER, _PKCS1)),
    ("the RSA key's line for OpenSSH", _RSA, public(_RSA, Encoding.OpenSSH, PublicFormat.OpenSSH)),
    ("the RSA key's JWK", _RSA, json.dumps(_RSA.jwk).encode()),
    ("the RSA key's modulus", _RSA, _RSA.jwk["n"].encode()),
    ("the P-256 key's PEM", _EC, public(_EC, Encoding.PEM)),
    ("the P-256 key's DER", _EC, public(_EC, Encoding.DER)),
    ("the P-256 key's point", _EC, public(_EC, Encoding.X962, _POINT)),
    ("the P-256 key's JWK without spaces", _EC, json.dumps(_EC.jwk, separators=(",", ":")).encode()),
    ("the Ed25519 key's PEM", ED, public(ED, Encoding.PEM)),
    ("the Ed25519 key's 32 bytes", ED, public(ED, Encoding.Raw, PublicFormat.Raw)),
    ("the Ed25519 key's x", ED, ED.jwk["x"].encode()),
    ("the Ed448 key's 57 bytes", ED448, public(ED448, Encoding.Raw, PublicFormat.Raw)),
    ("the key's own kid", ED, b"ed"),
    ("nothing", ED, b""),
    ("a NUL", ED, b"\0"),
]

NO_TEXT: list[tuple[str, Any]] = [
    ("null", None),
    ("a number", 256),
    ("true", True),
    ("a list with a good one", ["EdDSA", "ed", "JWT"]),
    ("an object", {"EdDSA": 1}),
    ("an empty list", []),
]

ALGORITHMS: list[Row] = [
    *(admitted(f"{name}, by the key of that name", signed(key)) for name, key in SIGNERS.items()),
    admitted("Ed25519, the newer name, on a key for EdDSA", signed(ED, alg="Ed25519")),
    admitted("EdDSA on an Ed448 key", signed(ED448, alg="EdDSA")),
    *(
        admitted(
            f"{name} on an RSA key without alg",
            build(SigningKey(name, "plain-rsa", PLAIN_RSA.private), claims={"iss": PLAIN}),
            issuer=PLAIN,
        )
        for name in RS
    ),
    admitted("ES256 on a P-256 key without alg", saying(PLAIN_EC, iss=PLAIN), issuer=PLAIN),
    admitted("EdDSA on an Ed25519 key without alg", saying(PLAIN_ED, iss=PLAIN), issuer=PLAIN),
    admitted("an issuer's only algorithm", saying(_RSA, iss=STRICT), issuer=STRICT),
    *(
        refused(f"alg {name}", ALGORITHM, unsigned(name))
        for name in ("none", "None", "NONE", "nOnE", "none ", "")
    ),
    refused("alg none on a signed token", ALGORITHM, signed(alg="none")),
    refused(
        "alg none without a kid", ALGORITHM, build(ED, {"alg": "none", "kid": ABSENT}, sign=lambda _: b"")
    ),
    refused("alg none with a letter that looks like it", ALGORITHM, unsigned("n\u043ene")),
    *(
        refused(f"HS256 with {says}", ALGORITHM, with_secret("HS256", key, secret))
        for says, key, secret in SECRETS
    ),
    refused(
        "HS384 with the RSA key's PEM", ALGORITHM, with_secret("HS384", _RSA, public(_RSA, Encoding.PEM))
    ),
    refused(
        "HS512 with the RSA key's DER", ALGORITHM, with_secret("HS512", _RSA, public(_RSA, Encoding.DER))
    ),
    refused("hs256 in lower case", ALGORITHM, signed(SigningKey("HS256", "ed", b"x"), alg="hs256")),
    refused(
        "HS256 with a key in its header",
        ALGORITHM,
        signed(SigningKey("HS256", "x", b"x"), jwk={"kty": "oct", "k": "eA"}),
    ),
    *(
        refused(f"alg {name}", ALGORITHM, signed(alg=name))
        for name in (
            "eddsa",
            "EDDSA",
            "rs256",
            "Es256",
            " EdDSA",
            "EdDSA ",
            "EdDSA\u0000",
            "EdDSA,RS256",
            "ES256K",
            "RS1",
            "HS1",
            "A256GCM",
            "RSA-OAEP",
            "ECDH-ES",
            "dir",
            "ML-DSA-44",
            "\u212aS256",
            "E" * 2000,
        )
    ),
    refused("RS256 on an Ed25519 key", ALGORITHM, signed(ED, alg="RS256")),
    refused("ES256 on an Ed25519 key", ALGORITHM, signed(ED, alg="ES256")),
    refused("Ed448 on an Ed25519 key", ALGORITHM, signed(ED, alg="Ed448")),
    refused("Ed25519 on an Ed448 key", ALGORITHM, signed(ED448, alg="Ed25519")),
    refused("EdDSA on an RSA key", ALGORITHM, signed(_RSA, alg="EdDSA")),
    refused("ES256 on an RSA key", ALGORITHM, signed(_RSA, alg="ES256")),
    refused(
        "PS256 on a key for RS256, signed so", ALGORITHM, signed(SigningKey("PS256", "rs256", _RSA.private))
    ),
    refused(
        "RS256 on a key for PS256, signed so", ALGORITHM, signed(SigningKey("RS256", "ps256", _RSA.private))
    ),
    refused(
        "RS512 on a key for RS256, signed so", ALGORITHM, signed(SigningKey("RS512", "rs256", _RSA.private))
    ),
    refused("ES384 on P-256", ALGORITHM, signed(_EC, alg="ES384")),
    refused("ES512 on P-256", ALGORITHM, signed(_EC, alg="ES512")),
    refused("ES256 on P-384", ALGORITHM, signed(ES["ES384"], alg="ES256")),
    refused("ES256 on P-521", ALGORITHM, signed(ES["ES512"], alg="ES256")),
    refused("RS256 on a P-256 key", ALGORITHM, signed(_EC, alg="RS256")),
    refused("EdDSA on a P-256 key", ALGORITHM, signed(_EC, alg="EdDSA")),
    refused("an algorithm that this issuer may not use, by its own key", ALGORITHM, saying(ED, iss=STRICT)),
    refused(
        "another RSA algorithm than the issuer's",
        ALGORITHM,
        build(SigningKey("PS256", "rs256", _RSA.private), claims={"iss": STRICT}),
    ),
    refused("no alg", MALFORMED, signed(alg=ABSENT)),
    *(refused(f"an alg that is {says}", MALFORMED, signed(alg=value)) for says, value in NO_TEXT),
]

CRITICAL: list[Any] = [["exp"], ["alg"], ["b64"], ["x", "x"], [], [7], "exp", None, {}, False]
EXTENSIONS: list[Row] = [
    *(refused(f"crit {json.dumps(value)}", MALFORMED, signed(crit=value)) for value in CRITICAL),
    refused(
        "crit that names what is there",
        MALFORMED,
        signed(crit=["http://example.com/x"], **{"http://example.com/x": True}),
    ),
    refused("b64 false, and crit", MALFORMED, signed(b64=False, crit=["b64"])),
    refused("b64 false without crit", MALFORMED, signed(b64=False)),
    refused("b64 true, which says nothing new", MALFORMED, signed(b64=True)),
    refused(
        "a payload that is not encoded",
        MALFORMED,
        lambda _: f"{b64(json.dumps({'alg': 'EdDSA', 'b64': False, 'crit': ['b64']}).encode())}.{{}}.AAAA",
    ),
    admitted("Crit in another case means nothing", signed(Crit=["exp"])),
    admitted("zip means nothing without encryption", signed(zip="DEF")),
    admitted("enc means nothing without five parts", signed(enc="A256GCM")),
]

_LURES = {
    "jku": "http://127.0.0.1:9/jwks",
    "x5u": "file:///etc/passwd",
    "x5c": ["MIIB"],
    "x5t": "x",
    "x5t#S256": "y",
}
EMBEDDED: list[Row] = [
    admitted("keys and addresses of keys, ignored", signed(jwk=STRANGER.jwk, **_LURES)),
    admitted("members for keys of every type, ignored", signed(jwk=7, jku=[], x5u=None, x5c="x", x5t={})),
    refused("a stranger's key in the token", KEY, signed(STRANGER, jwk=STRANGER.jwk)),
    refused(
        "a stranger's key in the token, under our kid",
        SIGNATURE,
        signed(STRANGER, kid="ed", jwk=STRANGER.jwk),
    ),
    refused(
        "a stranger's key of our kid in the token",
        SIGNATURE,
        signed(STRANGER, kid="ed", jwk=STRANGER.public(kid="ed")),
    ),
    refused(
        "a stranger's key in the token, without a kid",
        SIGNATURE,
        signed(STRANGER, alg="Ed25519", kid=ABSENT, jwk=STRANGER.jwk),
    ),
    refused("a stranger's addresses of keys", KEY, signed(STRANGER, **_LURES)),
    refused("a stranger's JWK Set in the token", KEY, signed(STRANGER, jwks={"keys": [STRANGER.jwk]})),
]

KIDS: list[Row] = [
    admitted("no kid where one key fits Ed25519", signed(ED, alg="Ed25519", kid=ABSENT)),
    admitted("no kid where one key fits RS256", signed(_RSA, kid=ABSENT)),
    admitted("no kid where one key fits ES512", signed(ES["ES512"], kid=ABSENT)),
    admitted("no kid, and a key without one", saying(LONE_ED, iss=LONE), issuer=LONE),
    admitted("no kid, and an RSA key without kid and alg", saying(LONE_RSA, iss=LONE), issuer=LONE),
    refused("no kid where two keys fit EdDSA", KEY, signed(ED, kid=ABSENT)),
    refused(
        "no kid, and no key of the issuer's that fits", KEY, build(_RSA, {"kid": ABSENT}, {"iss": OTHER})
    ),
    refused("a kid, and a key without one", KEY, build(LONE_ED, {"kid": "lone"}, {"iss": LONE})),
    refused("an empty kid, and a key without one", KEY, build(LONE_ED, {"kid": ""}, {"iss": LONE})),
    *(
        refused(f"a kid that is {says}", KEY, signed(STRANGER, kid=kid))
        for says, kid in [
            ("unknown", "nobody's"),
            ("empty", ""),
            ("a path", "../../../../dev/null"),
            ("a file", "file:///proc/self/environ"),
            ("a URL", "http://169.254.169.254/latest"),
            ("SQL", "x' UNION SELECT 'k';--"),
            ("a command", "key | id"),
            ("a line break", "ed\r\nX-Agent-Id: root"),
            ("a NUL behind ours", "ed\0"),
            ("a NUL", "\0"),
            ("ours and a space", "ed "),
            ("256 characters", "k" * 256),
            ("256 characters beyond ASCII", "\u043a" * 256),
            ("a format", "%s%n{0.__class__}"),
            ("Python's", "__class__"),
        ]
    ),
    refused("our kid in another case", KEY, signed(kid="ED")),
    refused("our kid in letters that look like it", KEY, signed(kid="\u0435d")),
    refused("another key's kid of the same type", SIGNATURE, signed(STRANGER, kid="ed")),
    refused("another key's kid of another type", ALGORITHM, signed(kid="rs256")),
    refused("a kid of 257 characters", MALFORMED, signed(kid="k" * 257)),
    refused("a kid of 10,000 characters", MALFORMED, signed(kid="k" * 10000)),
    *(refused(f"a kid that is {says}", MALFORMED, signed(kid=value)) for says, value in NO_TEXT),
]

TYPES: list[Row] = [
    admitted("no typ", signed(typ=ABSENT)),
    *(
        admitted(f"typ {typ}", signed(typ=typ))
        for typ in (
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "Application/AT+JWT",
            "jwt",
            "Jwt",
            "application/jwt",
        )
    ),
    admitted(
        "typ at+jwt where nothing else is taken", build(ED, {"typ": "at+jwt"}, {"iss": TYPED}), issuer=TYPED
    ),
    *(
        refused(f"typ {typ}", TYPE, signed(typ=typ))
        for typ in (
            *NEVER_TYPES,
            "DPoP+JWT",
            "application/dpop+jwt",
            "application/secevent+jwt",
            "id+jwt",
            "vc+jwt",
            "dc+sd-jwt",
            "kb+jwt",
            "statuslist+jwt",
            "passport",
            "JOSE",
            "JOSE+JSON",
            "JWE",
            "none",
            "None",
            "",
            " JWT",
            "JWT ",
            "JWT\u0000",
            "application/",
            "application/application/jwt",
            "text/jwt",
            "at+jwt; charset=utf-8",
            "at jwt",
            "at+jw\u0442",
            "J" * 5000,
        )
    ),
    admitted(
        "a typ that only this issuer has",
        build(ED, {"typ": "application/Custom+JWT"}, {"iss": CARELESS}),
        issuer=CARELESS,
    ),
    refused(
        "typ at+jwt where another one is asked for", TYPE, build(ED, {"typ": "at+jwt"}, {"iss": CARELESS})
    ),
    *(
        refused(f"typ {typ}, though it is configured", TYPE, build(ED, {"typ": typ}, {"iss": CARELESS}))
        for typ in NEVER_TYPES
    ),
    refused("no typ where at+jwt is asked for", TYPE, build(ED, {"typ": ABSENT}, {"iss": TYPED})),
    refused("typ JWT where at+jwt is asked for", TYPE, build(ED, {"typ": "JWT"}, {"iss": TYPED})),
    *(refused(f"a typ that is {says}", MALFORMED, signed(typ=value)) for says, value in NO_TEXT),
]

ROWS: list[Row] = [*ALGORITHMS, *EXTENSIONS, *EMBEDDED, *KIDS, *TYPES]
