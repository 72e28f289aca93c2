"""What a DPoP proof must say of the request that brings it (RFC 9449 section 4.3).

Pure, with `now` as a value. Reads a key from the proof's own header, which nothing else here does: the key
speaks for nobody until its thumbprint is the one that a verified token is bound to. Knows no issuer.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from msgspec import Struct

from proxy.authn.compact import parse
from proxy.authn.jose import ALGORITHMS, Key, usable_key, verify
from proxy.config import UnfitError, addresses
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.authn.compact import Parsed
    from proxy.config import Issuer

WINDOW = 60.0
"""How old a proof may be, in seconds, apart from clocks that differ (RFC 9449 section 11.1)."""

# Room for the largest RSA key and its signature; nothing honest comes near.
_MAX_BYTES = 8 * 1024
_MAX_JTI = 256
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")  # RFC 3986 section 2.3


class Asked(Struct, frozen=True, gc=False):
    """The request that the proof must be about.

    `uri` is in the spelling of `target_uri`. `ath` and `thumbprint` (of the key that the token is bound
    to) are base64url of a SHA-256. `leeway` is how far clocks may differ, in seconds.
    """

    method: str
    uri: str
    ath: str
    thumbprint: str
    leeway: float


class Proof(Struct, frozen=True, gc=False):
    """A proof that holds: what it takes to know it again, until when (Unix seconds), and its nonce."""

    jti: str
    until: float
    nonce: object


def proof_algorithms(issuers: Iterable[Issuer]) -> tuple[str, ...]:
    """Return every `alg` that a proof may have, for challenges; none where no issuer's tokens take proofs."""
    return tuple(sorted(ALGORITHMS)) if any(one.dpop.mode != "off" for one in issuers) else ()


def check_proof(proof: bytes, asked: Asked, now: float) -> Proof | Deny:
    """Judge a proof at `now` (Unix seconds); whatever does not hold is PROOF_INVALID."""
    if len(proof) > _MAX_BYTES:
        return refused("the proof is longer than 8 KiB")
    parsed = parse(proof)
    if isinstance(parsed, Deny):
        return refused("the proof is no compact JWS with one reading")
    claims = parsed.claims
    fault = (
        _signature_fault(parsed, asked) or _request_fault(claims, asked) or _time_fault(claims, asked, now)
    )
    if fault is not None:
        return refused(fault)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
        return refused("the proof's jti is not a string of 1 to 256 characters")
    return Proof(jti, claims["iat"] + WINDOW + asked.leeway, claims.get("nonce"))


def refused(detail: str) -> Deny:
    """Refuse for what is wrong with a proof, or with sending none."""
    return Deny(Reason.PROOF_INVALID, detail)


def digest(data: bytes) -> str:
    """Return the base64url SHA-256, as `ath` and `jkt` have it (RFC 9449 sections 4.2 and 6.1)."""
    return _base64url(sha256(data).digest())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def target_uri(text: str) -> str | None:
    """Spell an absolute http or https URI in the one way that is compared; None where it cannot be `htu`.

    RFC 3986 sections 6.2.2 and 6.2.3, as RFC 9449 asks: case of scheme and host, default port, empty path,
    percent-encoding. Dot segments stay: a request with any was refused before.
    """
    try:
        url = addresses.url(text)
    except UnfitError:
        return None
    # RFC 9449 section 4.2 leaves both out of `htu`.
    if url.suffix:
        return None
    port = "" if url.port == addresses.PORTS[url.scheme] else f":{url.port}"
    return f"{url.scheme}://{addresses.bracketed(url.host)}{port}{_ENCODED.sub(_plain, url.path) or '/'}"


def _plain(encoded: re.Match[str]) -> str:
    decoded = unquote(encoded[0])
    return decoded if _UNRESERVED.fullmatch(decoded) else encoded[0].upper()


def _signature_fault(parsed: Parsed, asked: Asked) -> str | None:
    if parsed.typ != "dpop+jwt":
        return "the proof's typ is not dpop+jwt"
    if parsed.algorithm not in ALGORITHMS:
        return "the proof's alg is not an asymmetric one that is supported"
    jwk = parsed.header.get("jwk")
    key = usable_key(jwk) if isinstance(jwk, dict) else "it is no object"
    if not isinstance(key, Key):
        return f"the proof's jwk cannot be used: {key}"
    return _key_fault(key, parsed, asked)


def _key_fault(key: Key, parsed: Parsed, asked: Asked) -> str | None:
    if parsed.algorithm not in key.algorithms:
        return "the proof's alg does not fit its jwk"
    # Before the signature: no such work is done for a key that the token's issuer never saw.
    if _base64url(bytes.fromhex(key.thumbprint)) != asked.thumbprint:
        return "the token is bound to another key than the proof's"
    if not verify(key, parsed.algorithm, parsed.signing_input, parsed.signature):
        return "the proof's signature does not hold under its own key"
    return None


def _request_fault(claims: dict[str, Any], asked: Asked) -> str | None:
    if claims.get("htm") != asked.method:
        return "the proof's htm is not the request's method"
    htu = claims.get("htu")
    if not isinstance(htu, str) or target_uri(htu) != asked.uri:
        return "the proof's htu is not the origin of `resource` and the request's path, without a query"
    if claims.get("ath") != asked.ath:
        return "the proof's ath is not the hash of the token"
    return None


def _time_fault(claims: dict[str, Any], asked: Asked, now: float) -> str | None:
    iat = claims.get("iat")
    if not isinstance(iat, int | float) or isinstance(iat, bool):
        return "the proof's iat is no date in seconds"
    if iat < now - WINDOW - asked.leeway:
        return "the proof's iat is too long ago"
    if iat > now + asked.leeway:
        return "the proof's iat lies in the future"
    return None
