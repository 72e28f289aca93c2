"""DPoP proofs (RFC 9449): honest ones, and ones with anything changed, signed with `cryptography` directly."""

from __future__ import annotations

import hashlib
import json
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.support.keys import b64, compact

if TYPE_CHECKING:
    from tests.support.keys import SigningKey

# RFC 7638 section 3.2: the members that make the key.
_MEMBERS = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
_number = count()


def thumbprint(key: SigningKey) -> str:
    """The `jkt` of a token that is bound to this key."""
    jwk = key.jwk
    members = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
    return ath(json.dumps(members, sort_keys=True, separators=(",", ":")).encode())


def ath(token: bytes) -> str:
    return b64(hashlib.sha256(token).digest())


def proof_claims(token: bytes, now: float, method: str, uri: str, **changes: Any) -> dict[str, Any]:
    """An honest proof's claims; one changed to None is left out."""
    whole = {
        "jti": f"proof-{next(_number)}",
        "htm": method,
        "htu": uri,
        "iat": int(now),
        "ath": ath(token),
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def sign_proof(key: SigningKey, claims: dict[str, Any], **header: Any) -> bytes:
    """Sign a proof; `header` members replace `typ`, `alg` and `jwk`, and None leaves one out."""
    public = key.public(use=None, alg=None, kid=None)
    whole = {"typ": "dpop+jwt", "alg": key.algorithm, "jwk": public, **header}
    kept = {name: value for name, value in whole.items() if value is not None}
    return compact(json.dumps(kept), json.dumps(claims), key.sign).encode()
