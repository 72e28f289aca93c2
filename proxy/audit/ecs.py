"""From record to bytes: one request, one JSON line of the Elastic Common Schema.

Knows how its fields nest, and that a value may be hostile. Must never know the output, the clock, or why a
request was decided as it was. Pure, but for memos. What stands where is `names`' to say: `translate` goes by
that table, and tests hold these lines equal to what it makes of the `keystile` ones.

What is the same for many lines is rendered once: how an event is sorted, a rule, a client, an identity.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.json import Encoder

from proxy.audit.names import ENDS
from proxy.audit.text import calls, printable, tamed, whole
from proxy.audit.translate import is_address, tail, to_ecs
from proxy.audit.writer import Writer, final, level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.model import Call, Closing, Identity, Note, Opening, Reason

_MEMO: Final = 1024
_encode = Encoder().encode
_END: Final = ENDS["ecs"]


class _User(Struct, omit_defaults=True, gc=False):
    id: str
    name: str | None = None


class _Verified(Struct, omit_defaults=True, gc=False):
    """Who asked, where ECS has no name for it: how `keystile` begins."""

    issuer: str | None = None
    scopes: tuple[str, ...] | None = None
    audit_url: str | None = None
    token_id: str | None = None
    key_id: str | None = None
    audience: tuple[str, ...] | None = None


class _Rest(Struct, omit_defaults=True, gc=False):
    """How `keystile` goes on."""

    decision: str
    client_request_id: str | None = None
    required_scopes: tuple[str, ...] = ()
    mcp: Call | tuple[Call, ...] | None = None
    upstream_ms: float | None = None
    upstream_status: int | None = None
    worker: int | None = None
    sample_rate: float | None = None
    truncated: bool = False


def fragment(identity: Identity) -> bytes:
    """What `identity` fills, made once for a token; nothing is cut, as in `line.fragment`."""
    user = _User(whole(identity.id), None if identity.name is None else whole(identity.name))
    verified = _Verified(
        whole(identity.issuer),
        tuple(map(whole, identity.scopes)),
        None if identity.audit_url is None else whole(identity.audit_url),
        None if identity.token_id is None else whole(identity.token_id),
        None if identity.key_id is None else whole(identity.key_id),
        tuple(map(whole, identity.audience)),
    )
    return printable(b',"user":%b,"keystile":%b,' % (_encode(user), _encode(verified)[:-1]))


class Lines(Writer):
    """Renders the lines of one process."""

    FORMAT = "ecs"

    def __init__(self, worker: int, fields: Mapping[str, str]) -> None:
        super().__init__(worker, fields)
        self._sorted = lru_cache(_MEMO)(self._sort)

    def access(self, opening: Opening, closing: Closing, sample_rate: float | None = None) -> bytes:
        """The one line of a request that has ended; see `Writer`."""
        upstream_seconds = closing.upstream_seconds
        opening, truncated = tamed(opening)
        mcp, cut = (None, False) if opening.mcp is None else calls(opening.mcp)
        rest = _Rest(
            opening.decision,
            opening.client_request_id,
            opening.required,
            mcp,
            None if upstream_seconds is None else int(upstream_seconds * 1_000_000 + 0.5) / 1000,
            closing.upstream_status,
            self._worker,
            sample_rate,
            truncated or cut,
        )
        head = (
            b'%b,"duration":%d},"http":{"request":{"id":%b%b,"body":{"bytes":%d}},"response":{"status_code":%d,"body":{"bytes":%d}}}'
            % (
                self._sorted("access", opening.decision, final(opening, closing), closing.status),
                int(closing.seconds * 1_000_000 + 0.5) * 1000,
                _encode(opening.request_id),
                _member(b"method", opening.method),
                closing.bytes_in,
                closing.status,
                closing.bytes_out,
            )
        )
        return self._line(opening, head, rest)

    def stream_open(self, opening: Opening, status: int) -> bytes:
        """The line that says a long answer has started; see `Writer`."""
        opening, truncated = tamed(opening)
        mcp, cut = (None, False) if opening.mcp is None else calls(opening.mcp)
        rest = _Rest(
            opening.decision,
            opening.client_request_id,
            opening.required,
            mcp,
            worker=self._worker,
            truncated=truncated or cut,
        )
        head = b'%b},"http":{"request":{"id":%b%b},"response":{"status_code":%d}}' % (
            self._sorted("stream_open", opening.decision, opening.reason, status),
            _encode(opening.request_id),
            _member(b"method", opening.method),
            status,
        )
        return self._line(opening, head, rest)

    def _line(self, opening: Opening, head: bytes, rest: _Rest) -> bytes:
        path, trace, agent = opening.path, opening.trace_id, opening.user_agent
        return printable(
            b"".join(
                (
                    b'{"@timestamp":"',
                    self._stamp(opening.timestamp).encode(),
                    head,
                    b"" if path is None else b',"url":{"path":%b}' % _encode(path),
                    _client(opening.client),
                    b"" if trace is None else b',"trace":{"id":%b}' % _encode(trace),
                    _rule(opening.rule),
                    _user_agent(agent),
                    b',"keystile":{' if opening.caller is None else opening.caller.fragment,
                    _encode(rest)[1:-1],
                    _END,
                )
            )
        )

    def _sort(self, event: str, decision: str, reason: Reason | Note | None, status: int) -> bytes:
        """What is the same for all lines of such an event; `event` stays open."""
        members = {
            "timestamp": "",
            "level": level(decision, status),
            "event": event,
            "decision": decision,
            "status": status,
        }
        if reason is not None:
            members["reason"] = reason
        document = to_ecs(members, self._fields)
        sorted_as = {"event": document["event"]}
        for name in ("@timestamp", "event", "http", "keystile"):
            del document[name]
        return b'"%b%b' % (tail(document), tail(sorted_as)[:-1])


def _member(name: bytes, value: str | None) -> bytes:
    return b"" if value is None else b',"%b":%b' % (name, _encode(value))


@lru_cache(_MEMO)
def _client(address: str) -> bytes:
    client = {"address": address, "ip": address} if is_address(address) else {"address": address}
    return b',"client":%b' % _encode(client)


@lru_cache(_MEMO)
def _rule(name: str | None) -> bytes:
    return b"" if name is None else b',"rule":{"name":%b}' % _encode(name)


@lru_cache(_MEMO)
def _user_agent(told: str | None) -> bytes:
    return b"" if told is None else b',"user_agent":{"original":%b}' % _encode(told)
