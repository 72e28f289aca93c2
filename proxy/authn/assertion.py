"""What the upstream can check for itself: a short-lived JWT that says who calls, signed by this proxy.

Pure, with `now` as a value. Knows verified identities and its own key, which signs nothing else; never a
caller's token. `typ` is `JWT`, for some libraries take no other one unless they are told to: instead of a
type of its own (RFC 8725 section 3.11), its key, `iss` and `aud` keep it apart from other tokens (3.12).
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from proxy.config import Assertion
    from proxy.model import Identity

_HEADER = b"X-Agent-Assertion: "


class _Signed(msgspec.Struct, frozen=True, gc=False):
    """A finished header line, and when it may be used (Unix seconds)."""

    line: bytes
    since: float
    until: float


class Assertions:
    """Signs for one upstream. A caller's assertion is signed anew when half of `ttl` is over, not before."""

    def __init__(self, config: Assertion, key: Ed25519PrivateKey, limit: int = 10_000) -> None:
        self._issuer = config.issuer
        self._audience = config.audience
        self._ttl = config.ttl
        self._key = key
        self._limit = limit
        self._signed: dict[tuple[str, str, tuple[str, ...], float], _Signed] = {}
        jwk = _jwk(key)
        self._header = _part({"alg": "EdDSA", "typ": "JWT", "kid": jwk["kid"]})
        self.key_set = msgspec.json.encode({"keys": [jwk]})
        """The public half, as a JWK Set (RFC 7517 section 5)."""

    def line(self, identity: Identity, request_id: str, now: float) -> bytes:
        """Return the header line, ending in CRLF, for a verified identity at `now` (Unix seconds).

        `request_id` goes in where one is signed: it is the request for which that was done.
        """
        # All that an assertion says of a caller: two tokens that agree in it may share one.
        who = (identity.issuer, identity.id, identity.scopes, identity.until)
        signed = self._signed.get(who)
        if signed is None or not signed.since <= now < signed.until:
            if len(self._signed) >= self._limit:
                self._signed.clear()
            line = _HEADER + self._sign(identity, request_id, now) + b"\r\n"
            signed = self._signed[who] = _Signed(line, now, now + self._ttl / 2)
        return signed.line

    def _sign(self, identity: Identity, request_id: str, now: float) -> bytes:
        claims = {
            "iss": self._issuer,
            "sub": identity.id,
            "aud": self._audience,
            "iat": int(now),
            "exp": int(min(now + self._ttl, identity.until)),
            "scope": " ".join(identity.scopes),
            "agent_issuer": identity.issuer,
            "request_id": request_id,
        }
        # A digest of all that is said: the same name for the same assertion, and for no other.
        claims["jti"] = _encoded(sha256(msgspec.json.encode(claims)).digest()[:16])
        text = self._header + b"." + _part(claims)
        return text + b"." + _encoded(self._key.sign(text)).encode()


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half as a JWK (RFC 8037 section 2), named by its thumbprint (RFC 7638)."""
    # In this order, without spaces: the thumbprint is of exactly these bytes.
    members = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(key.public_key().public_bytes_raw())}
    name = _encoded(sha256(msgspec.json.encode(members)).digest())
    return {**members, "kid": name, "use": "sig", "alg": "EdDSA"}


def _part(value: object) -> bytes:
    return _encoded(msgspec.json.encode(value)).encode()


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
