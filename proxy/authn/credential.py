"""The one credential of a request: what its Authorization header says (RFC 6750 section 2.1).

Knows one header's value; never what a token means. Tokens in queries, bodies and cookies are not looked for.
"""

from __future__ import annotations

import re

from proxy.model import Deny, Reason

# Refused before a byte of it is decoded: no honest token comes near.
MAX_TOKEN_BYTES = 16 * 1024

_SCHEME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*")  # RFC 9110 section 5.6.2
_AFTER_SCHEME = re.compile(rb" ([A-Za-z0-9._~+/-]+=*)")  # token68, RFC 9110 section 11.2
_SECOND = re.compile(rb",[ \t]*bearer", re.IGNORECASE)


def bearer(value: bytes | None, *, repeated: bool) -> bytes | Deny | None:
    """Take the bearer token out of the Authorization value; `repeated` says the header came more than once.

    None: there is no Authorization header. A `Deny` for CREDENTIAL_MISSING: there is one, of another scheme.
    Any other `Deny`: somebody meant to send a bearer token, and it must not be ignored.
    """
    if value is None:
        return None
    # Two credentials are two readings: the upstream, a log or a cache in between might take the other one.
    if repeated or _SECOND.search(value):
        return Deny(Reason.CREDENTIAL_DUPLICATED, "the request carries more than one credential")
    scheme = _SCHEME.match(value)[0]  # type: ignore[index] # the pattern matches the empty string
    if scheme.lower() != b"bearer":
        return Deny(Reason.CREDENTIAL_MISSING, "Authorization is there, but its scheme is not Bearer")
    if len(value) - len(scheme) > MAX_TOKEN_BYTES:
        return Deny(Reason.TOKEN_MALFORMED, "the token is longer than 16 KiB")
    token = _AFTER_SCHEME.fullmatch(value, len(scheme))
    if token is None:
        return Deny(Reason.TOKEN_MALFORMED, "what follows Bearer is not one space and one token")
    return token[1]
