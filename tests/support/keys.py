"""Keys of every kind, their JWKs, and signed tokens: honest ones, odd ones and forged ones.

Signs with `cryptography` directly, so that a token may say one algorithm and be signed with another,
and so that no test trusts the library under test to make its own input.
"""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

JSON = dict[str, Any]

HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
CURVES: dict[str, tuple[str, ec.EllipticCurve, int]] = {
    "ES256": ("P-256", ec.SECP256R1(), 32),
    "ES384": ("P-384", ec.SECP384R1(), 48),
    "ES512": ("P-521", ec.SECP521R1(), 66),
    "ES256K": ("secp256k1", ec.SECP256K1(), 32),
}


def b64(data: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    """Encode a whole number as Base64urlUInt (RFC 7518 section 2), `size` bytes wide where given."""
    return b64(value.to_bytes(size or max(1, (value.bit_length() + 7) // 8), "big"))


@dataclass(frozen=True)
class SigningKey:
    """A private key, the algorithm it signs with, and the `kid` it goes by."""

    algorithm: str
    kid: str | None
    private: Any = field(repr=False)

    @property
    def jwk(self) -> JSON:
        """The public half as a JWK with kty, use, alg and (where there is one) kid."""
        return self.public()

    def public(self, **changes: Any) -> JSON:
        """Make the public JWK with some members changed; a member changed to None is left out."""
        whole = {
            **_public(self.algorithm, self.private),
            "use": "sig",
            "alg": self.algorithm,
            "kid": self.kid,
        }
        return {name: value for name, value in {**whole, **changes}.items() if value is not None}

    def private_jwk(self, **changes: Any) -> JSON:
        """Make a JWK that gives its secret away (`d`, or `k`), as no key set should."""
        secret = {"d": b64(b"\x01" * 32)} if self.algorithm[:2] != "HS" else {}
        return self.public(**{**secret, **changes})

    def sign(self, data: bytes, algorithm: str | None = None) -> bytes:
        """Sign `data`, with another algorithm of the same key type where one is named."""
        return _sign(self.private, data, algorithm or self.algorithm)


@cache
def make_key(algorithm: str = "EdDSA", kid: str | None = "key-1", bits: int = 2048) -> SigningKey:
    """Make a key; the same arguments give the same key all through a test run (RSA keys are slow to make)."""
    private: Any
    if algorithm in {"EdDSA", "Ed25519"}:
        private = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == "Ed448":
        private = ed448.Ed448PrivateKey.generate()
    elif algorithm in CURVES:
        private = ec.generate_private_key(CURVES[algorithm][1])
    elif algorithm[:2] in {"RS", "PS"}:
        private = rsa.generate_private_key(65537, bits)
    elif algorithm[:2] == "HS":
        private = b"a shared secret of more than 64 bytes, as HS512 would like to have it, for tests"
    else:
        raise ValueError(algorithm)
    return SigningKey(algorithm, kid, private)


def jwks(*keys: SigningKey | Mapping[str, Any]) -> JSON:
    """Make a JWK Set (RFC 7517 section 5) of the public halves, or of JWKs as given."""
    return {"keys": [key.jwk if isinstance(key, SigningKey) else dict(key) for key in keys]}


def jwks_bytes(*keys: SigningKey | Mapping[str, Any]) -> bytes:
    """Make a JWK Set as it travels."""
    return json.dumps(jwks(*keys)).encode()


def claims_like_agentlair(now: float, **changes: Any) -> JSON:
    """Make the claims of an AgentLair token issued at `now`, good for one hour.

    A claim changed to None is left out; `changes` may add others.
    """
    issued = int(now)
    whole: JSON = {
        "iss": "https://agentlair.dev",
        "sub": "acc_7f3k2m9x",
        "aud": "https://mcp.example.com/mcp",
        "iat": issued,
        "exp": issued + 3600,
        "jti": "tok_01J9ZC4Q",
        "al_name": "research-agent",
        "al_scopes": ["mcp:tools:read", "memory:read"],
        "al_audit_url": "https://agentlair.dev/audit/acc_7f3k2m9x",
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def sign_token(key: SigningKey, claims: Mapping[str, Any], **header: Any) -> str:
    """Sign `claims`; `header` members replace `alg`, `typ: JWT` and `kid`, and None leaves one out."""
    whole = {"alg": key.algorithm, "typ": "JWT", "kid": key.kid, **header}
    kept = {name: value for name, value in whole.items() if value is not None}
    return compact(json.dumps(kept), json.dumps(claims), key.sign)


def compact(header: str | bytes, payload: str | bytes, sign: Callable[[bytes], bytes]) -> str:
    """Make a compact JWS (RFC 7515 section 3.1) of exactly these bytes, JSON or not."""
    signing_input = ".".join(
        b64(part.encode() if isinstance(part, str) else part) for part in (header, payload)
    )
    return f"{signing_input}.{b64(sign(signing_input.encode()))}"


def _public(algorithm: str, private: Any) -> JSON:
    if isinstance(private, bytes):
        return {"kty": "oct", "k": b64(private)}
    if isinstance(private, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        curve = "Ed25519" if isinstance(private, ed25519.Ed25519PrivateKey) else "Ed448"
        return {"kty": "OKP", "crv": curve, "x": b64(private.public_key().public_bytes_raw())}
    numbers = private.public_key().public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    name, _, size = CURVES[algorithm]
    return {"kty": "EC", "crv": name, "x": number(numbers.x, size), "y": number(numbers.y, size)}


def _sign(private: Any, data: bytes, algorithm: str) -> bytes:
    if isinstance(private, bytes):
        return hmac.digest(private, data, f"sha{algorithm[2:]}")
    if isinstance(private, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return private.sign(data)
    hashed = HASHES[algorithm[2:5]]
    if isinstance(private, rsa.RSAPrivateKey):
        if algorithm.startswith("PS"):
            return private.sign(data, padding.PSS(padding.MGF1(hashed), hashed.digest_size), hashed)
        return private.sign(data, padding.PKCS1v15(), hashed)
    # JOSE wants r and s side by side, each as wide as the curve (RFC 7518 section 3.4), not DER.
    r, s = decode_dss_signature(private.sign(data, ec.ECDSA(hashed)))
    size = (private.curve.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
