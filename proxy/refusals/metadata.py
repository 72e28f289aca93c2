"""Protected resource metadata: where a client learns who issues tokens for this server (RFC 9728).

Pure. The configured `resource` is the truth; nothing is derived from a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from proxy.config import addresses

if TYPE_CHECKING:
    from proxy.config import Config

_WELL_KNOWN = "/.well-known/oauth-protected-resource"
# Everybody may read it from anywhere: browser clients discover it before they have a token.
_OPEN = b"Access-Control-Allow-Origin: *\r\n"
_ALLOW = b"Allow: GET, HEAD, OPTIONS\r\n"
_DOCUMENT = b"Content-Type: application/json\r\nCache-Control: public, max-age=3600\r\n" + _OPEN
_PREFLIGHT = (
    _OPEN
    + b"Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"
    + b"Access-Control-Allow-Headers: *\r\nAccess-Control-Max-Age: 3600\r\n"
)

Answer = tuple[int, bytes, bytes]


def location(resource: str) -> str:
    """Return the URL of a resource's metadata: its well-known part goes before the path (section 3.1)."""
    scheme, _, rest = resource.partition("://")
    authority, _, path = rest.partition("/")
    return f"{scheme}://{authority}{_WELL_KNOWN}" + (f"/{path}" if path else "")


class Metadata:
    """The one document, at the place that the resource's path names and at the root."""

    def __init__(self, config: Config) -> None:
        self._paths: frozenset[str] = frozenset()
        self._document = b""
        if config.resource is not None:
            path = unquote(addresses.url(config.resource).path)
            self._paths = frozenset({_WELL_KNOWN, (_WELL_KNOWN + path).rstrip("/")})
            self._document = msgspec.json.encode(_document(config, config.resource))

    def find(self, method: str, path: str) -> Answer | None:
        """Return status, header lines (each ending in CRLF) and body; None where `path` is another's.

        `path` is canonical; the answer to HEAD has the body, which the wire leaves out.
        """
        if not path.startswith(_WELL_KNOWN) or path.rstrip("/") not in self._paths:
            return None
        if method in {"GET", "HEAD"}:
            return 200, _DOCUMENT, self._document
        if method == "OPTIONS":
            return 200, _PREFLIGHT, b""
        return 405, _ALLOW + _OPEN, b""


def _document(config: Config, resource: str) -> dict[str, object]:
    rules = config.rules
    scopes = dict.fromkeys(scope for rule in rules for scope in (*rule.scopes, *rule.any_scopes))
    scopes.pop("offline_access", None)
    document = {
        "resource": resource,
        "authorization_servers": [one.issuer for one in config.issuers],
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
    }
    # Parameters with zero elements must be left out (section 3.2).
    return {name: value for name, value in document.items() if value}
