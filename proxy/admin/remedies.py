"""What would have allowed a request that was refused, in one sentence for whoever operates the proxy.

Pure. The caller is told less (`proxy/refusals/table.py`): here the configuration may be named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import asdict

from proxy.admin.seen import DENIED, Explained
from proxy.authz import expand
from proxy.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.admin.seen import Seen

REMEDIES: Final[dict[str, str]] = {
    Reason.PATH_AMBIGUOUS: "A path with one reading, without empty, dot or encoded segments.",
    Reason.REQUEST_MALFORMED: "A well-formed request.",
    Reason.CREDENTIAL_DUPLICATED: "One credential, in one Authorization header.",
    Reason.MCP_MALFORMED: "A JSON-RPC message that can be read in one way only.",
    Reason.MCP_MISMATCH: "MCP headers that say what the body says.",
    Reason.CREDENTIAL_MISSING: "An access token in Authorization.",
    Reason.TOKEN_MALFORMED: "A well-formed access token.",
    Reason.SIGNATURE_INVALID: "A token that is signed with one of its issuer's keys.",
    Reason.ALGORITHM_REFUSED: "A token that is signed with an algorithm its issuer is trusted with.",
    Reason.TYPE_REFUSED: "An access token; this one is of another kind.",
    Reason.KEY_UNKNOWN: "A token that is signed with a key its issuer publishes.",
    Reason.ISSUER_UNKNOWN: "A token of an issuer that the configuration names.",
    Reason.AUDIENCE_MISMATCH: "A token that was issued for this resource.",
    Reason.TOKEN_EXPIRED: "A fresh token.",
    Reason.TOKEN_NOT_YET_VALID: "The same token later, or clocks that agree.",
    Reason.CLAIM_MISSING: "A token with every claim that is needed: iss, aud, exp and the agent's id.",
    Reason.TOKEN_REVOKED: "A token that is not revoked.",
    Reason.PROOF_INVALID: "A fresh proof that the caller has the key its token is bound to.",
    Reason.TOKEN_INACTIVE: "A token that its issuer calls active.",
    Reason.SCOPE_INSUFFICIENT: "A token with the scopes that the rule asks for.",
    Reason.CLAIM_REFUSED: "A token whose issuer and claims meet the rule.",
    Reason.OPERATION_REFUSED: "An entry of the rule's mcp that names this operation.",
    Reason.ORIGIN_REFUSED: "An origin that the configuration allows (origins).",
    Reason.UPGRADE_REFUSED: "A rule that allows this upgrade (upgrade: websocket).",
    Reason.ROUTE_UNMATCHED: "A rule for this path and method.",
    Reason.SESSION_FOREIGN: "A session that this agent has opened itself.",
    Reason.OPERATION_UNKNOWN: "A method that MCP knows, or an entry of the rule's mcp that names it.",
    Reason.METHOD_REFUSED: "A method that is allowed on this path.",
    Reason.REQUEST_TIMEOUT: "A request that arrives whole within the time for it.",
    Reason.HOST_REFUSED: "A Host that the configuration names (resource, hosts).",
    Reason.BODY_TOO_LARGE: "A message within limits.mcp_body.",
    Reason.URI_TOO_LONG: "A target within limits.uri_bytes.",
    Reason.MEDIA_TYPE_REFUSED: "A body of type application/json, in UTF-8 and not compressed.",
    Reason.HEADERS_TOO_LARGE: "A header block within limits.header_bytes.",
    Reason.RATE_LIMITED: "A slower pace, or a higher rate on the rule.",
    Reason.INTERNAL_ERROR: "Nothing the caller can do: the operational log says what failed.",
    Reason.UPSTREAM_UNREACHABLE: "An upstream that takes connections.",
    Reason.UPSTREAM_MALFORMED: "A well-formed answer of the upstream.",
    Reason.UPSTREAM_CREDENTIAL_REFUSED: "Credentials that the upstream accepts (upstream.headers).",
    Reason.KEYS_UNAVAILABLE: "The issuer's keys, which could not be had.",
    Reason.INTROSPECTION_UNAVAILABLE: "An answer of what checks tokens, which did not come.",
    Reason.AUDIT_UNAVAILABLE: "Room in the log, whose output is behind.",
    Reason.OVERLOADED: "Less going on at once: a bound of limits is reached.",
    Reason.DRAINING: "A process that is not stopping.",
    Reason.UPSTREAM_TIMEOUT: "An answer of the upstream within upstream.timeouts.",
    Reason.CLIENT_CLOSED: "A client that waits for its answer.",
}
_UNKNOWN: Final = "Nothing is known of this reason here."


def explained(line: Seen, hierarchy: Mapping[str, Iterable[str]]) -> Seen:
    """Return a line with what would have allowed it, where it was refused; `hierarchy` as for `remedy`."""
    if line.decision not in DENIED:
        return line
    return Explained(**asdict(line), remedy=remedy(line, hierarchy))


def remedy(line: Seen, hierarchy: Mapping[str, Iterable[str]]) -> str:
    """Return what would have allowed it; `hierarchy` is the configuration's `scopes`."""
    needed = line.required_scopes or []
    if line.reason == Reason.SCOPE_INSUFFICIENT:
        held = expand(hierarchy, line.scopes or ())
        lacking = [scope for scope in needed if scope not in held]
        if lacking:
            return f"A token that also has {_scopes(lacking)}."
    if line.reason == Reason.CREDENTIAL_MISSING and needed:
        return f"An access token in Authorization, with {_scopes(needed)}."
    return REMEDIES.get(line.reason or "", _UNKNOWN)


def _scopes(scopes: list[str]) -> str:
    return f"scope{'s' if len(scopes) > 1 else ''} {', '.join(scopes)}"
