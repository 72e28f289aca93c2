"""From record to bytes: one request, one JSON line of the `keystile` format.

Knows the names and the order of the fields, and that a value may be hostile. Must never know the output,
the clock, or why a request was decided as it was. Pure, but for a memo of the current second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.json import Encoder

from proxy.audit.text import calls, printable, tamed, whole
from proxy.audit.translate import tail
from proxy.audit.writer import Writer, final, level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.model import Call, Closing, Identity, Note, Opening, Reason

_encode = Encoder().encode


class _Identity(Struct, omit_defaults=True, gc=False):
    """Who asked: the middle of a line, made once per token."""

    agent_id: str
    agent_name: str | None = None
    issuer: str | None = None
    scopes: tuple[str, ...] | None = None
    audit_url: str | None = None
    token_id: str | None = None
    key_id: str | None = None
    audience: tuple[str, ...] | None = None


class _Before(Struct, omit_defaults=True, gc=False):
    """What stands before the identity, in the order of the line."""

    timestamp: str
    level: str
    event: str
    request_id: str | None = None
    client_request_id: str | None = None
    trace_id: str | None = None
    client: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    decision: str | None = None
    reason: Reason | Note | None = None
    rule: str | None = None


class _After(Struct, omit_defaults=True, gc=False):
    """What stands behind the identity; `required_scopes` is left out when empty, `truncated` when false."""

    required_scopes: tuple[str, ...] = ()
    mcp: Call | tuple[Call, ...] | None = None
    user_agent: str | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    duration_ms: float | None = None
    upstream_ms: float | None = None
    upstream_status: int | None = None
    worker: int | None = None
    sample_rate: float | None = None
    truncated: bool = False


def fragment(identity: Identity) -> bytes:
    """The JSON members of `identity`, without braces; made once for a token.

    Nothing is cut here: the values were signed by a configured issuer and are bounded by the size of a token,
    and a shortened id would be somebody else's.
    """
    members = _Identity(
        whole(identity.id),
        None if identity.name is None else whole(identity.name),
        whole(identity.issuer),
        tuple(map(whole, identity.scopes)),
        None if identity.audit_url is None else whole(identity.audit_url),
        None if identity.token_id is None else whole(identity.token_id),
        None if identity.key_id is None else whole(identity.key_id),
        tuple(map(whole, identity.audience)),
    )
    return printable(_encode(members))[1:-1]


class Lines(Writer):
    """Renders the lines of one process."""

    FORMAT = "keystile"

    def __init__(self, worker: int, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(worker, fields or {})
        self._end = tail(self._fields) + b"}\n"

    def access(self, opening: Opening, closing: Closing, sample_rate: float | None = None) -> bytes:
        """The one line of a request that has ended; see `Writer`."""
        opening, truncated = tamed(opening)
        upstream_seconds = closing.upstream_seconds
        mcp, cut = (None, False) if opening.mcp is None else calls(opening.mcp)
        after = _After(
            opening.required,
            mcp,
            opening.user_agent,
            closing.bytes_in,
            closing.bytes_out,
            int(closing.seconds * 1_000_000 + 0.5) / 1000,
            None if upstream_seconds is None else int(upstream_seconds * 1_000_000 + 0.5) / 1000,
            closing.upstream_status,
            self._worker,
            sample_rate,
            truncated or cut,
        )
        return self._line("access", opening, closing.status, final(opening, closing), after)

    def stream_open(self, opening: Opening, status: int) -> bytes:
        """The line that says a long answer has started; see `Writer`."""
        opening, truncated = tamed(opening)
        mcp, cut = (None, False) if opening.mcp is None else calls(opening.mcp)
        after = _After(
            opening.required, mcp, opening.user_agent, worker=self._worker, truncated=truncated or cut
        )
        return self._line("stream_open", opening, status, opening.reason, after)

    def _line(
        self, event: str, opening: Opening, status: int, reason: Reason | Note | None, after: _After
    ) -> bytes:
        before = _Before(
            self._stamp(opening.timestamp),
            level(opening.decision, status),
            event,
            opening.request_id,
            opening.client_request_id,
            opening.trace_id,
            opening.client,
            opening.method,
            opening.path,
            status,
            opening.decision,
            reason,
            opening.rule,
        )
        head, rest = _encode(before)[:-1], _encode(after)[1:-1]
        if opening.caller is None:
            return printable(b"".join((head, b",", rest, self._end)))
        return printable(b"".join((head, b",", opening.caller.fragment, b",", rest, self._end)))
