"""The `endpoint` event of HTTP with SSE (MCP 2024-11-05): where the upstream wants its messages.

Its URI names a session, so the client never learns it: it gets the path that its stream came from, with the
URI sealed in the query. Resolution follows RFC 3986 section 5, and refuses what that and the WHATWG's URL
standard read differently.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from proxy.config import UnfitError, addresses
from proxy.mcp.sessions import LONGEST

if TYPE_CHECKING:
    from collections.abc import Sequence

# The characters of RFC 3986; a backslash is a slash to browsers.
_URI = re.compile(rb"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
# What servers of that transport call a session in their queries.
_SESSION = re.compile(rb"(?:\A|[&;])[^=&;]*session[^=&;]*(?:[=&;]|\Z)", re.IGNORECASE)
_SEALED = re.compile(rb"[^?]*\?endpoint=([A-Za-z0-9_-]+)")


class Endpoints:
    """Resolves the URIs that one upstream names.

    `origins` are what it may call itself, each "scheme://host[:port]"; the first is where requests go.
    """

    __slots__ = ("_base", "_own")

    def __init__(self, origins: Sequence[str]) -> None:
        self._base = origins[0]
        self._own = frozenset(addresses.url(origin)[:3] for origin in origins)

    def resolved(self, uri: bytes, target: bytes) -> bytes | None:
        """Return path and query of `uri`, as it stands on the stream that `target` asked for.

        None where it is no plain URI, leads elsewhere, or is too long to be sealed.
        """
        if _URI.fullmatch(uri) is None:
            return None
        text = uri.decode("ascii")
        try:
            parts = urlsplit(text)
            # "http:a" and "///a" lead to different places for different readers.
            if not parts.netloc and (parts.scheme or text.startswith("//")):
                return None
            where = addresses.url(urljoin(self._base + target.decode("latin-1"), text))
        except (UnfitError, ValueError):
            return None
        path = (where.path or "/") + where.suffix.partition("#")[0]
        if where[:3] not in self._own or path.startswith("//") or len(path) > LONGEST:
            return None
        return path.encode("latin-1")


def names_session(target: bytes) -> bool:
    """Say whether the query of a target has a parameter that names a session, in some encoding."""
    query = target.partition(b"?")[2]
    return bool(query and (_SESSION.search(query) or _SESSION.search(unquote_to_bytes(query))))


def told(target: bytes, sealed: bytes) -> bytes:
    """Return the URI that the client gets for a sealed one; `target` asked for the stream."""
    return target.partition(b"?")[0] + b"?endpoint=" + sealed


def sealed_endpoint(target: bytes) -> bytes | None:
    """Return the sealed URI in a request target; None unless it is all that the query holds."""
    found = _SEALED.fullmatch(target)
    return None if found is None else found[1]
