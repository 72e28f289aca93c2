"""Well-known documents: where a client learns who issues tokens for this server (RFC 9728), and its keys.

Pure. The configured `resource` is the truth; nothing is derived from a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from proxy.config import addresses

if TYPE_CHECKING:
    from proxy.config import Config, Entry, Rule

_WELL_KNOWN = "/.well-known/oauth-protected-resource"
_KEYS = "/.well-known/keystile/jwks.json"
# Everybody may read it from anywhere: browser clients discover it before they have a token.
_OPEN = b"Access-Control-Allow-Origin: *\r\n"
_ALLOW = b"Allow: GET, HEAD, OPTIONS\r\n"
_DOCUMENT = b"Content-Type: application/json\r\nCache-Control: public, max-age=3600\r\n" + _OPEN
_KEY_SET = b"Content-Type: application/jwk-set+json\r\nCache-Control: public, max-age=300\r\n" + _OPEN
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
    """The resource's metadata, at the place that its path names and at the root; and the assertions' key set.

    `proof_algorithms` is every `alg` that a DPoP proof may have, none where proofs are not taken. `key_set`
    is a JWK Set as it travels, None where the upstream gets no assertions.
    """

    def __init__(
        self, config: Config, proof_algorithms: tuple[str, ...] = (), key_set: bytes | None = None
    ) -> None:
        self._documents: dict[str, tuple[bytes, bytes]] = {}
        if config.resource is not None:
            path = unquote(addresses.url(config.resource).path)
            document = msgspec.json.encode(_document(config, config.resource, proof_algorithms))
            for place in (_WELL_KNOWN, (_WELL_KNOWN + path).rstrip("/")):
                self._documents[place] = _DOCUMENT, document
        if key_set is not None:
            self._documents[_KEYS] = _KEY_SET, key_set

    def find(self, method: str, path: str) -> Answer | None:
        """Return status, header lines (each ending in CRLF) and body; None where `path` is another's.

        `path` is canonical; the answer to HEAD has the body, which the wire leaves out.
        """
        if not path.startswith("/.well-known/"):
            return None
        found = self._documents.get(path.rstrip("/"))
        if found is None:
            return None
        if method in {"GET", "HEAD"}:
            return 200, *found
        if method == "OPTIONS":
            return 200, _PREFLIGHT, b""
        return 405, _ALLOW + _OPEN, b""


def _document(config: Config, resource: str, proof_algorithms: tuple[str, ...]) -> dict[str, object]:
    asking: list[Rule | Entry] = []
    for rule in config.rules:
        entries = rule.mcp.entries if rule.mcp is not None else None
        asking += [rule, *(entries or ())]
    scopes = dict.fromkeys(scope for one in asking for scope in (*one.scopes, *one.any_scopes))
    # A refresh token is between the client and its issuer.
    scopes.pop("offline_access", None)
    document = {
        "resource": resource,
        "authorization_servers": [one.issuer for one in config.issuers],
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        "tls_client_certificate_bound_access_tokens": config.tls is not None
        and config.tls.client_ca is not None,
        "dpop_signing_alg_values_supported": proof_algorithms,
        "dpop_bound_access_tokens_required": bool(proof_algorithms)
        and all(one.dpop.mode == "required" for one in config.issuers),
    }
    # Parameters with zero elements must be left out (section 3.2), and false is the default.
    return {name: value for name, value in document.items() if value}
