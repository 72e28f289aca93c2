"""Rows about the keys in a set: what must not be used, what anybody could sign with, what is fine (RFC 7517)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.model import Reason
from tests.authn.tokens.issuers import (
    ODD,
    PLAIN_RSA,
    SAME_1,
    SYMMETRIC,
    TWIN_EC,
    TWIN_ED,
    UNFIT,
)
from tests.authn.tokens.making import ABSENT, admitted, build, refused
from tests.authn.tokens.signatures import pkcs1
from tests.support.keys import SigningKey, make_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.authn.tokens.making import Maker, Row

KEY = Reason.KEY_UNKNOWN


def odd(key: SigningKey, kid: str | None = None) -> Maker:
    """A token of the issuer with the odd set."""
    # A key of secp256k1 calls itself one of P-256.
    return build(key, {"kid": kid or key.kid, "alg": key.algorithm.removesuffix("K")}, {"iss": ODD})


def easily(kid: str, algorithm: str, sign: Callable[[bytes], bytes] | bytes) -> Maker:
    """A token that anybody can make, for a key under which everything holds."""
    key = SigningKey(algorithm, kid, b"")
    return build(key, None, {"iss": ODD}, sign=(lambda _: sign) if isinstance(sign, bytes) else sign)


UNUSED: list[Row] = [
    refused(f"signed with {says}", KEY, odd(key, kid=str(jwk["kid"])[:256])) for says, jwk, key in UNFIT
]

EASY: list[Row] = [
    # With e = 1 the signature is the padded text itself.
    refused("an RSA key with e = 1", KEY, easily("e=1", "RS256", pkcs1)),
    refused("an RSA key with an even e", KEY, easily("even e", "RS256", pkcs1)),
    refused("an RSA key with an even modulus", KEY, easily("even n", "RS256", pkcs1)),
    refused("an RSA key with a huge e, which takes long", KEY, easily("huge e", "RS256", pkcs1)),
    # Under the neutral point R = S·B holds for every text: here with S = 0.
    refused("the neutral point of Ed25519", KEY, easily("identity", "EdDSA", b"\x01" + b"\0" * 63)),
    refused("a point of order four of Ed25519", KEY, easily("zero", "EdDSA", b"\x01" + b"\0" * 63)),
    refused("the neutral point of Ed448", KEY, easily("identity 448", "Ed448", b"\x01" + b"\0" * 113)),
    refused("no point of Ed448", KEY, easily("no point 448", "Ed448", b"\0" * 114)),
    refused("the P-256 key 0, 0", KEY, easily("origin", "ES256", b"\0" * 31 + b"\1" + b"\0" * 31 + b"\1")),
    refused("a symmetric key, for what it is", Reason.ALGORITHM_REFUSED, odd(SYMMETRIC)),
    refused("a symmetric key, for RS256", KEY, easily("symmetric", "RS256", b"s" * 256)),
]

FINE: list[Row] = [
    admitted("two keys of one kid: the Ed25519 one", odd(TWIN_ED), issuer=ODD),
    admitted("two keys of one kid: the P-256 one", odd(TWIN_EC), issuer=ODD),
    refused("two keys of one kid and type", KEY, odd(SAME_1)),
    refused(
        "two keys of one kid, and neither is for RS256", Reason.ALGORITHM_REFUSED, odd(PLAIN_RSA, kid="twin")
    ),
    refused(
        "two keys of one kid, and a signature of the other one",
        Reason.SIGNATURE_INVALID,
        build(TWIN_ED, {"kid": "ops and use"}, {"iss": ODD}),
    ),
    refused("no kid in a set of many", KEY, build(TWIN_ED, {"kid": ABSENT}, {"iss": ODD})),
    refused("the kid of another issuer", KEY, build(TWIN_ED)),
    *(
        admitted(says, odd(make_key("EdDSA", kid)), issuer=ODD)
        for says, kid in [
            ("the same key twice", "twice"),
            ("key_ops beside use", "ops and use"),
            ("key_ops with sign and verify, and no use", "both ops"),
            ("a key for Ed25519, a token for EdDSA", "newer"),
            ("a kid that is a path, where the issuer has it", "../../etc/passwd"),
            ("a kid beyond ASCII, where the issuer has it", "ключ"),
            ("a kid of 256 characters, where the issuer has it", "k" * 256),
        ]
    ),
    admitted(
        "an empty kid, where the issuer has it", build(make_key("EdDSA", ""), None, {"iss": ODD}), issuer=ODD
    ),
    admitted("certificates beside a key, ignored", odd(PLAIN_RSA, kid="with x5c"), issuer=ODD),
]

ROWS: list[Row] = [*UNUSED, *EASY, *FINE]
