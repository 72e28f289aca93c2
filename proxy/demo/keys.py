"""Development keys and the tokens that they sign: Ed25519, shaped like AgentLair's.

For trying things out only: a private key that lies in a file protects nothing. A JWK for Ed25519 is RFC 8037,
the thumbprint that names it RFC 7638, the token RFC 7519 in the compact form of RFC 7515.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from collections.abc import Mapping


class DevelopmentKey:
    """An Ed25519 key pair, named by its thumbprint."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        # Members in this order, without spaces: RFC 7638 section 3 hashes exactly these bytes.
        members = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(private.public_key().public_bytes_raw())}
        name = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
        self.public: dict[str, str] = {**members, "kid": _encoded(name), "use": "sig", "alg": "EdDSA"}
        """The public half as a JWK."""

    @classmethod
    def generate(cls) -> DevelopmentKey:
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, text: str) -> DevelopmentKey:
        """Read what `private` wrote. Raises ValueError, without the text, where that is something else."""
        try:
            jwk = json.loads(text)
            secret = jwk["d"] if jwk["crv"] == "Ed25519" else ""
            return cls(Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(f"{secret}==")))
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise ValueError("not an Ed25519 private key as a JWK (RFC 8037)") from None

    @property
    def private(self) -> str:
        """The whole key as a JWK: a secret."""
        return json.dumps({**self.public, "d": _encoded(self._private.private_bytes_raw())}, indent=2) + "\n"

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Make a token of `claims`."""
        header = {"alg": "EdDSA", "typ": "JWT", "kid": self.public["kid"]}
        signed = ".".join(
            _encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)
        )
        return f"{signed}.{_encoded(self._private.sign(signed.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
