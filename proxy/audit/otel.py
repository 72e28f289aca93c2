"""From record to bytes: one request, one JSON line of OTLP (a `LogsData` with one log record).

Knows how an attribute is written, and that a value may be hostile. Must never know the output, the clock, or
why a request was decided as it was. Pure, but for memos. What is called how is `names`' to say: `translate`
goes by that table, and tests hold these lines equal to what it makes of the `keystile` ones.

What is the same for many lines is rendered once: how a request ended, a rule, a client, an identity.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.json import Encoder
from msgspec.structs import asdict

from proxy.audit.names import ENDS, FIELDS, OTEL_BATCH
from proxy.audit.text import calls, printable, tamed, whole
from proxy.audit.translate import STRAY_TRACE_ID, TRACE_ID, any_value, to_otel
from proxy.audit.writer import Writer, final, level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.model import Call, Closing, Identity, Note, Opening, Reason

_MEMO: Final = 1024
_FEW: Final = 256  # of what takes some kilobytes where somebody means it to
_encode = Encoder().encode
_END: Final = ENDS["otel"]
_NAMES: Final = {field.name: field.otel for field in FIELDS}


class _Text(Struct, gc=False):
    stringValue: str  # noqa: N815 - as it is written


class _Attribute(Struct, gc=False):
    key: str
    value: _Text | dict[str, object]


def _key(name: str) -> bytes:
    return b',{"key":%b,"value":' % _encode(name)


def _text(name: str) -> bytes:
    """A template for an attribute that is a text."""
    return _key(_NAMES[name]) + b'{"stringValue":%b}}'


def _count(name: str) -> bytes:
    """A template for one that is an integer: a text, for a double has not room for all of them."""
    return _key(_NAMES[name]) + b'{"intValue":"%d"}}'


def _double(name: str) -> bytes:
    """A template for one that is a number."""
    return _key(_NAMES[name]) + b'{"doubleValue":%b}}'


_REQUEST_ID: Final = _text("request_id")
_CLIENT_REQUEST_ID: Final = _text("client_request_id")
_CLIENT: Final = _text("client")
_PATH: Final = _text("path")
_RULE: Final = _text("rule")
_USER_AGENT: Final = _text("user_agent")
_ENDED: Final = _count("bytes_in") + _count("bytes_out") + _double("duration_ms")
_UPSTREAM_MS: Final = _double("upstream_ms")
_UPSTREAM_STATUS: Final = _count("upstream_status")
_SAMPLE_RATE: Final = _double("sample_rate")
_TRUNCATED: Final = _key(_NAMES["truncated"]) + b'{"boolValue":true}}'
_ARGUMENTS: Final = _key(_NAMES["mcp.arguments"]) + b'{"kvlistValue":{"values":%b}}}'
_MESSAGE: Final = ("method", "tool", "resource", "prompt", "session", "protocol", "client")


def fragment(identity: Identity) -> bytes:
    """The attributes of `identity`, made once for a token; nothing is cut, as in `line.fragment`."""
    values: dict[str, str | tuple[str, ...] | None] = {
        "agent_id": identity.id,
        "agent_name": identity.name,
        "issuer": identity.issuer,
        "scopes": identity.scopes,
        "audit_url": identity.audit_url,
        "token_id": identity.token_id,
        "key_id": identity.key_id,
        "audience": identity.audience,
    }
    told = {
        _NAMES[name]: whole(value) if isinstance(value, str) else tuple(map(whole, value))
        for name, value in values.items()
        if value is not None
    }
    return printable(_attributes(told))


class Lines(Writer):
    """Renders the lines of one process."""

    FORMAT = "otel"

    def __init__(self, worker: int, fields: Mapping[str, str]) -> None:
        super().__init__(worker, fields)
        self._kinds = lru_cache(_MEMO)(self._kind)

    def access(self, opening: Opening, closing: Closing, sample_rate: float | None = None) -> bytes:
        """The one line of a request that has ended; see `Writer`."""
        seconds, status = closing.upstream_seconds, closing.upstream_status
        ended = _ENDED % (
            closing.bytes_in,
            closing.bytes_out,
            _encode(int(closing.seconds * 1_000_000 + 0.5) / 1000),
        )
        if seconds is not None:
            ended += _UPSTREAM_MS % _encode(int(seconds * 1_000_000 + 0.5) / 1000)
        if status is not None:
            ended += _UPSTREAM_STATUS % status
        if sample_rate is not None:
            ended += _SAMPLE_RATE % _encode(sample_rate)
        return self._line("access", opening, closing.status, final(opening, closing), ended)

    def stream_open(self, opening: Opening, status: int) -> bytes:
        """The line that says a long answer has started; see `Writer`."""
        return self._line("stream_open", opening, status, opening.reason, b"")

    def _line(
        self, event: str, opening: Opening, status: int, reason: Reason | Note | None, ended: bytes
    ) -> bytes:
        opening, truncated = tamed(opening)
        mcp, cut = (None, False) if opening.mcp is None else calls(opening.mcp)
        stamp, ended_as = self._kinds(event, opening.decision, reason, status, opening.method)
        trace, stray = _trace(opening.trace_id)
        theirs, path, caller = opening.client_request_id, opening.path, opening.caller
        return printable(
            b"".join(
                (
                    stamp % int(opening.timestamp * 1000),
                    trace,
                    ended_as,
                    _REQUEST_ID % _encode(opening.request_id),
                    b"" if theirs is None else _CLIENT_REQUEST_ID % _encode(theirs),
                    stray,
                    _client(opening.client),
                    b"" if path is None else _PATH % _encode(path),
                    _rule(opening.rule),
                    b"" if caller is None else caller.fragment,
                    _required(opening.required),
                    b"" if mcp is None else _mcp(mcp),
                    _user_agent(opening.user_agent),
                    ended,
                    _TRUNCATED if truncated or cut else b"",
                    _END,
                )
            )
        )

    def _kind(
        self, event: str, decision: str, reason: Reason | Note | None, status: int, method: str | None
    ) -> tuple[bytes, bytes]:
        """What is the same for all lines of such requests: a template up to the trace, and what follows."""
        members = {
            "timestamp": "1970-01-01T00:00:00.000Z",
            "level": level(decision, status),
            "event": event,
            "method": method,
            "status": status,
            "decision": decision,
            "reason": reason,
            "worker": self._worker,
        }
        known = {name: value for name, value in members.items() if value is not None}
        line = _encode(to_otel(known, self._fields)).replace(b"%", b"%%")
        start, _, rest = line.removesuffix(_END.rstrip()).partition(b'"timeUnixNano":"0"')
        record, _, attributes = rest.partition(b',"attributes":[')
        stamp = b'%b"timeUnixNano":"%%d000000"%b' % (start, record)
        return stamp, b',"attributes":[' + attributes.replace(b"%%", b"%")


def _attributes(values: Mapping[str, object]) -> bytes:
    return b"".join(b"%b%b}" % (_key(name), _encode(any_value(value))) for name, value in values.items())


def _trace(trace_id: str | None) -> tuple[bytes, bytes]:
    """A trace, as the record has it, or as an attribute where that has no room for it."""
    if trace_id is None:
        return b"", b""
    if TRACE_ID.fullmatch(trace_id) is not None:
        return b',"traceId":' + _encode(trace_id), b""
    return b"", _attributes({STRAY_TRACE_ID: trace_id})


def _mcp(mcp: Call | tuple[Call, ...]) -> bytes:
    if isinstance(mcp, tuple):
        return _attributes({OTEL_BATCH: [_named(call) for call in mcp]})
    told = _message(mcp.method, mcp.tool, mcp.resource, mcp.prompt, mcp.session, mcp.protocol, mcp.client)
    if not mcp.arguments:
        return told
    # Nearly all are texts, and these need no look at their kind.
    arguments = [
        _Attribute(name, _Text(value) if type(value) is str else any_value(value))
        for name, value in mcp.arguments.items()
    ]
    return told + _ARGUMENTS % _encode(arguments)


@lru_cache(_FEW)
def _message(*values: str | None) -> bytes:
    """The texts of a message, in the order of `_MESSAGE`: agents say the same again and again."""
    parts = [
        _text(f"mcp.{name}") % _encode(value)
        for name, value in zip(_MESSAGE, values, strict=True)
        if value is not None
    ]
    return b"".join(parts)


def _named(call: Call) -> dict[str, object]:
    """What are the attributes of one message."""
    return {_NAMES[f"mcp.{name}"]: value for name, value in asdict(call).items() if value is not None}


@lru_cache(_MEMO)
def _client(address: str) -> bytes:
    return _CLIENT % _encode(address)


@lru_cache(_MEMO)
def _rule(name: str | None) -> bytes:
    return b"" if name is None else _RULE % _encode(name)


@lru_cache(_MEMO)
def _user_agent(told: str | None) -> bytes:
    return b"" if told is None else _USER_AGENT % _encode(told)


@lru_cache(_MEMO)
def _required(scopes: tuple[str, ...]) -> bytes:
    return _attributes({_NAMES["required_scopes"]: scopes}) if scopes else b""
