"""The one credential of a request: what its Authorization header says (RFC 6750 2.1, RFC 9449 7.1).

Knows one header's value; never what a token means. Tokens in queries, bodies and cookies are not looked for.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Literal

from msgspec import Struct

from proxy.model import Deny, Reason

# Refused before a byte of it is decoded: no honest token comes near.
MAX_TOKEN_BYTES = 16 * 1024

_SCHEME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*")  # RFC 9110 section 5.6.2
_AFTER_SCHEME = re.compile(rb" ([A-Za-z0-9._~+/-]+=*)")  # token68, RFC 9110 section 11.2
_SECOND = re.compile(rb",[ \t]*(?:bearer|dpop)", re.IGNORECASE)
_SCHEMES: dict[bytes, Literal["Bearer", "DPoP"]] = {b"bearer": "Bearer", b"dpop": "DPoP"}


def digest_of(token: bytes) -> bytes:
    """Return the SHA-256 of a token: what is kept of one that was verified."""
    return sha256(token).digest()


class Credential(Struct, frozen=True, gc=False):
    """An access token, and the scheme under which it came: DPoP promises a proof beside it."""

    token: bytes
    digest: bytes
    scheme: Literal["Bearer", "DPoP"] = "Bearer"

    def __repr__(self) -> str:
        """Say nothing: a traceback or a log that shows this must not show a token."""
        return "<Credential>"


def credential(value: bytes | None, *, repeated: bool) -> Credential | Deny | None:
    """Take the token out of the Authorization value; `repeated` says the header came more than once.

    None: there is no Authorization header. A `Deny` for CREDENTIAL_MISSING: there is one, of another scheme.
    Any other `Deny`: somebody meant to send a token, and it must not be ignored.
    """
    if value is None:
        return None
    # Two credentials are two readings: the upstream, a log or a cache in between might take the other one.
    if repeated or _SECOND.search(value):
        return Deny(Reason.CREDENTIAL_DUPLICATED, "the request carries more than one credential")
    name = _SCHEME.match(value)[0]  # type: ignore[index] # the pattern matches the empty string
    scheme = _SCHEMES.get(name.lower())
    if scheme is None:
        return Deny(
            Reason.CREDENTIAL_MISSING, "Authorization is there, but its scheme is neither Bearer nor DPoP"
        )
    if len(value) - len(name) > MAX_TOKEN_BYTES:
        return Deny(Reason.TOKEN_MALFORMED, "the token is longer than 16 KiB")
    token = _AFTER_SCHEME.fullmatch(value, len(name))
    if token is None:
        return Deny(Reason.TOKEN_MALFORMED, f"what follows {scheme} is not one space and one token")
    return Credential(token[1], digest_of(token[1]), scheme)
