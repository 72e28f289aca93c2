"""WWW-Authenticate: what a client must bring to be let in (RFC 6750 3, RFC 9449 7.1, RFC 9728 5.1).

Pure. The order is for clients that read a challenge with regular expressions: `Bearer` first,
`error_description` last.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NOT_QUOTABLE = re.compile(r"[^ -~]|[\"\\]")


# Rules and the table have few challenges between them, and anonymous callers get one each time.
@lru_cache(maxsize=1024)
def challenge(
    metadata: str | None,
    scopes: tuple[str, ...],
    error: str | None,
    description: str,
    algorithms: tuple[str, ...] = (),
) -> bytes:
    """Return one header line, ending in CRLF.

    `metadata` is the URL of the resource's metadata, `scopes` everything that the operation needs. `error` is
    None where no credential came: then nothing is said of one (RFC 6750 section 3.1). With `algorithms`, of
    proofs, the scheme is DPoP, else Bearer.
    """
    attributes = []
    if metadata is not None:
        attributes.append(_attribute("resource_metadata", metadata))
    # A refresh token is between the client and its issuer.
    asked = " ".join(scope for scope in scopes if scope != "offline_access")
    if asked:
        attributes.append(_attribute("scope", asked))
    if algorithms:
        attributes.append(_attribute("algs", " ".join(algorithms)))
    if error is not None:
        attributes += [_attribute("error", error), _attribute("error_description", description)]
    said = f"{'DPoP' if algorithms else 'Bearer'} {', '.join(attributes)}".rstrip()
    return f"WWW-Authenticate: {said}\r\n".encode()


def _attribute(name: str, value: str) -> str:
    """Write one attribute; what RFC 6750 does not allow inside becomes a question mark."""
    return f'{name}="{_NOT_QUOTABLE.sub("?", value)}"'
