"""The strict reading of a token: compact JWS (RFC 7515), base64url and JSON with one meaning each.

Pure. Knows no key and no claim's meaning. Everything two readers could understand differently is
refused here, before python-jose, which takes junk in base64 and the last of duplicate keys, sees a byte.
"""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from msgspec import Struct

from proxy.model import Deny, Reason

MAX_KID_CHARACTERS = 256
_MAX_DEPTH = 32
_JWE_PARTS, _JWS_PARTS = 5, 3
_SURROGATE = re.compile("[\ud800-\udfff]")


class Parsed(Struct, frozen=True, gc=False):
    """A well-formed token of which nothing is verified yet."""

    algorithm: str
    kid: str | None
    typ: str | None
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes
    header: dict[str, Any]

    def __repr__(self) -> str:
        """Say nothing: a traceback or a log that shows this must not show a token."""
        return "<Parsed>"


def parse(token: bytes) -> Parsed | Deny:
    """Read a compact JWS; whatever is not exactly one is TOKEN_MALFORMED.

    `jwk`, `jku`, `x5u` and `x5c` are not looked at: keys come from the configuration only.
    """
    parts = token.split(b".")
    if len(parts) == _JWE_PARTS:
        return _malformed("the token is encrypted (JWE), which is not accepted")
    if len(parts) != _JWS_PARTS:
        return _malformed("the token is no JWT: it has not three parts")
    decoded = [base64url(part) for part in parts]
    header, claims = (None if part is None else json_object(part) for part in decoded[:2])
    signature = decoded[2]
    if header is None or claims is None or signature is None:
        return _malformed("a part of the token is not canonical base64url, or no plain JSON object")
    return _read(header, claims, token.rpartition(b".")[0], signature)


def _read(
    header: dict[str, Any], claims: dict[str, Any], signing_input: bytes, signature: bytes
) -> Parsed | Deny:
    # RFC 7515 section 4.1.11: an extension that is not understood refuses the token, and none is.
    # `b64` (RFC 7797) changes what is signed, and some libraries obey it without `crit`.
    if "crit" in header or "b64" in header:
        return _malformed("the token's header asks for an extension (crit, b64)")
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str):
        return _malformed("the token's header names no alg")
    if "kid" in header and not (isinstance(kid, str) and len(kid) <= MAX_KID_CHARACTERS):
        return _malformed("the token's kid is not a string of at most 256 characters")
    if "typ" in header and not isinstance(typ, str):
        return _malformed("the token's typ is not a string")
    return Parsed(algorithm, kid, typ, claims, signing_input, signature, header)


def base64url(text: bytes) -> bytes | None:
    """Decode unpadded base64url (RFC 7515 section 2); None for every spelling but the canonical one."""
    try:
        decoded = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    # The decoder skips foreign characters and stray bits; only the canonical spelling comes back as it was.
    return decoded if urlsafe_b64encode(decoded).rstrip(b"=") == text else None


def json_object(data: bytes) -> dict[str, Any] | None:
    """Decode a JSON object that every reader understands alike (RFC 7493); None for anything else.

    Refused: invalid UTF-8, a byte order mark, duplicate names at any depth, NaN and Infinity, numbers that
    overflow a double, halves of surrogate pairs, nesting beyond 32 levels.
    """
    try:
        decoded = json.loads(data.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) and _is_sound(decoded, _MAX_DEPTH) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) != len(pairs):
        raise ValueError("duplicate name")
    return whole


def _is_sound(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return _SURROGATE.search(value) is None
    if isinstance(value, dict):
        return depth > 0 and all(_is_sound(k, 0) and _is_sound(v, depth - 1) for k, v in value.items())
    if isinstance(value, list):
        return depth > 0 and all(_is_sound(item, depth - 1) for item in value)
    if isinstance(value, int | float):
        try:
            return math.isfinite(value)
        except OverflowError:
            return False
    return True


def _malformed(detail: str) -> Deny:
    return Deny(Reason.TOKEN_MALFORMED, detail)
