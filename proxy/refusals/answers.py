"""A refusal as an answer: status, header lines and body, put together from the table.

Pure. Knows no request but its id, and nobody who asks.
"""

from __future__ import annotations

from proxy.model import Deny, Reason
from proxy.refusals.body import body, rpc_body
from proxy.refusals.challenge import challenge
from proxy.refusals.metadata import location
from proxy.refusals.table import TABLE

_ALWAYS = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
# RFC 9110 section 9.3 and RFC 5789, less what is never forwarded (CONNECT, TRACE).
_ALLOW = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
# What reaches an MCP endpoint at all.
_ALLOW_MCP = b"Allow: GET, HEAD, POST, DELETE, OPTIONS\r\n"
# A refusal that hands out a nonce wants it used (RFC 9449 section 9).
_NONCE = b"DPoP-Nonce: "


class Refusals:
    """Words refusals for one resource.

    `resource` is its identifier, None where it has none; `proof_algorithms` is every `alg` that a DPoP proof
    may have, none where proofs are not taken.
    """

    def __init__(self, resource: str | None, proof_algorithms: tuple[str, ...] = ()) -> None:
        self._metadata = None if resource is None else location(resource)
        self._proof_algorithms = proof_algorithms

    def answer(
        self, deny: Deny, request_id: str, scopes: tuple[str, ...] = (), rpc: bytes | None = None
    ) -> tuple[int, bytes, bytes]:
        """Return status, header lines (each ending in CRLF) and body.

        `scopes` is everything the route needs, for the challenge where the refusal itself does not say. `rpc`
        is the JSON-RPC `id` that is answered, empty where it is unknown, None where nobody speaks JSON-RPC.
        """
        reason = deny.reason
        row = TABLE[reason]
        sentence = deny.detail if row.tells and deny.detail else row.sentence
        lines = _ALWAYS
        if row.challenge:
            lines += self._challenges(deny, scopes, row.error, sentence)
        retry_after = row.retry_after if deny.retry_after is None else deny.retry_after
        if retry_after is not None:
            lines += b"Retry-After: %d\r\n" % retry_after
        if reason is Reason.METHOD_REFUSED:
            lines += _ALLOW if rpc is None else _ALLOW_MCP
        if rpc is None:
            said = body(row.error, sentence, reason, request_id)
        else:
            said = rpc_body(row.code or row.status, sentence, reason, request_id, rpc)
        return row.status, lines + deny.lines, said

    def _challenges(self, deny: Deny, scopes: tuple[str, ...], code: str, sentence: str) -> bytes:
        """Challenge with every scheme that is taken here; `code` is the error that Bearer has for it."""
        metadata, needed = self._metadata, deny.needed or scopes
        error = None if deny.reason is Reason.CREDENTIAL_MISSING else code
        bearer = challenge(metadata, needed, error, sentence)
        if not self._proof_algorithms:
            return bearer
        if deny.reason is Reason.PROOF_INVALID:
            error = "invalid_dpop_proof"
            if deny.lines.startswith(_NONCE):
                # Alone: some clients try again only where nothing else is asked for (oauth4webapi).
                bearer, error = b"", "use_dpop_nonce"
        return bearer + challenge(metadata, needed, error, sentence, self._proof_algorithms)
