"""A refusal as an answer: status, header lines and body, put together from the table.

Pure. Knows no request but its id, and nobody who asks.
"""

from __future__ import annotations

from proxy.model import Deny, Reason
from proxy.refusals.body import body
from proxy.refusals.challenge import challenge
from proxy.refusals.metadata import location
from proxy.refusals.table import TABLE

_ALWAYS = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
# RFC 9110 section 9.3 and RFC 5789, less what is never forwarded (CONNECT, TRACE).
_ALLOW = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"


class Refusals:
    """Words refusals for one resource; `resource` is its identifier, None where it has none."""

    def __init__(self, resource: str | None) -> None:
        self._metadata = None if resource is None else location(resource)

    def answer(self, deny: Deny, request_id: str, scopes: tuple[str, ...] = ()) -> tuple[int, bytes, bytes]:
        """Return status, header lines (each ending in CRLF) and body.

        `scopes` is everything the route needs, for the challenge where the refusal itself does not say.
        """
        reason = deny.reason
        row = TABLE[reason]
        sentence = deny.detail if row.tells and deny.detail else row.sentence
        lines = _ALWAYS
        if row.challenge:
            error = None if reason is Reason.CREDENTIAL_MISSING else row.error
            lines += challenge(self._metadata, deny.needed or scopes, error, sentence)
        retry_after = row.retry_after if deny.retry_after is None else deny.retry_after
        if retry_after is not None:
            lines += b"Retry-After: %d\r\n" % retry_after
        if reason is Reason.METHOD_REFUSED:
            lines += _ALLOW
        return row.status, lines, body(row.error, sentence, reason, request_id)
