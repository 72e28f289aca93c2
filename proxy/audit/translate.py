"""The same record under other names: from the members of a `keystile` line to ECS and OTel, and back.

Goes by the table in `names`. Knows how each format nests and types a value. Must never know files. Pure.
This is the plain and slow way: access lines are written by `ecs` and `otel`, which tests hold equal to it.

An OTel line is one `LogsData` of OTLP in its JSON encoding: what the Collector's `otlpjsonfile` receiver
takes as it is, and its `filelog` receiver with the `otlpjson` connector. A bare LogRecord would need an
operator for each field.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from msgspec.json import Encoder

from proxy.audit.names import ECS_VERSION, EVENT_PREFIX, FIELDS, OTEL_BATCH, SCOPE, STATIC_ECS
from proxy.audit.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from proxy.audit.names import Format

SEVERITY: Final = {"info": 9, "warning": 13, "error": 17}
"""OTel's number for each level."""
METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
"""Those that OTel's conventions know; any other is `OTHER` there, and stands in `ORIGINAL`."""
OTHER: Final = "_OTHER"
ORIGINAL: Final = "http.request.method_original"
TRACE_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
"""What `traceId` must look like: a Collector would refuse the whole line for another."""
STRAY_TRACE_ID: Final = "keystile.trace_id"

_encode = Encoder().encode
_NANOSECONDS: Final = 1_000_000
_FAILED: Final = 400
_BROKEN: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IN_RECORD: Final = frozenset({"timestamp", "level", "event", "trace_id"})
_FLAT: Final = tuple(field for field in FIELDS if "." not in field.name)
_ATTRIBUTES: Final = {field.name: field.otel for field in _FLAT if field.name not in _IN_RECORD}
_BACK: Final = {
    **{otel: name for name, otel in _ATTRIBUTES.items()},
    ORIGINAL: "method",
    STRAY_TRACE_ID: "trace_id",
}
_MCP: Final = {field.name.removeprefix("mcp."): field.otel for field in FIELDS if "." in field.name}
_MCP_BACK: Final = {otel: name for name, otel in _MCP.items()}


def written(form: Format, members: Mapping[str, Any], fields: Mapping[str, str]) -> bytes:
    """Return a line of that format; for lines of which there are few."""
    if form == "keystile":
        return printable(_encode({**members, **fields}) + b"\n")
    document = to_ecs(members, fields) if form == "ecs" else to_otel(members, fields)
    return printable(_encode(document) + b"\n")


def tail(members: Mapping[str, Any]) -> bytes:
    """Return `members` as they stand behind others: each after a comma."""
    return b"," + printable(_encode(members)[1:-1]) if members else b""


def to_ecs(members: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the members of a line as a document of ECS; `fields` are those of `log.fields`."""
    document: dict[str, Any] = {}
    for field in _FLAT:
        if field.name in members:
            _put(document, field.ecs, members[field.name])
    if "mcp" in members:
        _put(document, "keystile.mcp", members["mcp"])
    if "duration_ms" in members:
        document["event"]["duration"] = round(members["duration_ms"] * _NANOSECONDS)
    if "client" in members and is_address(members["client"]):
        document["client"]["ip"] = members["client"]
    document["event"] |= categories(members.get("decision"), members.get("status", 0))
    document["ecs"] = {"version": ECS_VERSION}
    for name, value in {"service.name": SCOPE, **fields}.items():
        _put(document, ecs_name(name), value)
    if "keystile" in document:
        # Where a chain is added to a line: see `names.ENDS`.
        document["keystile"] = document.pop("keystile")
    return document


def categories(decision: str | None, status: int) -> dict[str, Any]:
    """How ECS sorts an event; only lines of a request have a `decision`."""
    sorted_as: dict[str, Any] = {"kind": "event", "category": ["api", "web"], "dataset": "keystile.access"}
    if decision is None:
        return {**sorted_as, "type": ["info"]}
    denied = decision == "deny"
    outcome = "failure" if denied or status >= _FAILED else "success"
    return {**sorted_as, "type": ["access", "denied" if denied else "allowed"], "outcome": outcome}


def ecs_name(name: str) -> str:
    """What a static field is called in ECS: a name of its own, or a label, which has no dots."""
    parts = name.split(".")
    return name if len(parts) > 1 and parts[0] in STATIC_ECS else f"labels.{'_'.join(parts)}"


@lru_cache(4096)
def is_address(text: str) -> bool:
    """Whether `client.ip` may say so: Elasticsearch refuses a document for what is no IP address there."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return text.isascii()


def to_otel(members: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the members of a line as a `LogsData`; `fields` are those of `log.fields`."""
    attributes = [(_ATTRIBUTES[name], value) for name, value in members.items() if name in _ATTRIBUTES]
    attributes += _method(members) + _error(members)
    record: dict[str, Any] = {
        "timeUnixNano": str(_nanoseconds(members["timestamp"])),
        "severityNumber": SEVERITY[members["level"]],
        "severityText": members["level"],
        "eventName": EVENT_PREFIX + members["event"],
    }
    trace_id = members.get("trace_id")
    if trace_id is not None and TRACE_ID.fullmatch(trace_id):
        record["traceId"] = trace_id
    elif trace_id is not None:
        attributes.append((STRAY_TRACE_ID, trace_id))
    mcp = members.get("mcp")
    if isinstance(mcp, list):
        attributes.append((OTEL_BATCH, [{_MCP[name]: value for name, value in one.items()} for one in mcp]))
    elif mcp is not None:
        attributes += [(_MCP[name], value) for name, value in mcp.items()]
    record["attributes"] = _pairs(attributes)
    resource = _pairs({"service.name": SCOPE, **fields}.items())
    scope = {"scope": {"name": SCOPE}, "logRecords": [record]}
    return {"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [scope]}]}


def _method(members: Mapping[str, Any]) -> list[tuple[str, Any]]:
    method = members.get("method")
    return [] if method is None or method in METHODS else [(_ATTRIBUTES["method"], OTHER), (ORIGINAL, method)]


def _error(members: Mapping[str, Any]) -> list[tuple[str, Any]]:
    told = error_type(members.get("decision"), members.get("reason"), members.get("status", 0))
    return [] if told is None else [("error.type", told)]


def error_type(decision: str | None, reason: str | None, status: int) -> str | None:
    """Return what OTel calls the kind of failure; None where the request was served."""
    if decision is None or (decision != "deny" and status < _BROKEN):
        return None
    return reason or str(status)


def _pairs(values: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    # The last one of a name counts, as in a mapping: the names of attributes are unique.
    return [{"key": key, "value": any_value(value)} for key, value in dict(values).items()]


def any_value(value: object) -> dict[str, Any]:
    """Return a value of JSON as an `AnyValue`, in which integers are texts; null is an empty one."""
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [any_value(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _pairs(value.items())}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value} if isfinite(value) else {}
    return {} if value is None else {"stringValue": value}


def records(document: object) -> Iterator[dict[str, Any]]:
    """Return what a line says, as the members of `keystile` lines; `document` is its JSON, in any format.

    That is one record, or as many as a Collector has put together. What is none of ours yields nothing; a
    value may be of any type, as it was found.
    """
    if not isinstance(document, dict):
        return
    if "resourceLogs" in document:
        for resource in _dicts(document["resourceLogs"]):
            for scope in _dicts(resource.get("scopeLogs")):
                yield from map(_from_otel, _dicts(scope.get("logRecords")))
    elif "@timestamp" in document:
        yield _from_ecs(document)
    elif "timestamp" in document:
        yield document


def _from_ecs(document: dict[str, Any]) -> dict[str, Any]:
    found = ((field.name, _get(document, field.ecs)) for field in _FLAT)
    members = {name: value for name, value in found if value is not None}
    mcp = _get(document, "keystile.mcp")
    if mcp is not None:
        members["mcp"] = mcp
    duration = members.get("duration_ms")
    if isinstance(duration, int | float):
        members["duration_ms"] = duration / _NANOSECONDS
    return members


def _from_otel(record: dict[str, Any]) -> dict[str, Any]:
    attributes = _mapping(record.get("attributes"))
    members: dict[str, Any] = {}
    event, severity = record.get("eventName"), record.get("severityText")
    with suppress(KeyError, ValueError, TypeError, OverflowError):
        members["timestamp"] = _stamp(int(record["timeUnixNano"]))
    if isinstance(event, str):
        members["event"] = event.removeprefix(EVENT_PREFIX)
    if isinstance(severity, str):
        members["level"] = severity
    if record.get("traceId"):
        members["trace_id"] = record["traceId"]
    # In the order of the table, the original of a method after what stands for it.
    members |= {name: attributes[otel] for otel, name in _BACK.items() if otel in attributes}
    batch = attributes.get(OTEL_BATCH)
    mcp = _message(attributes)
    if isinstance(batch, list):
        members["mcp"] = [_message(one) for one in batch if isinstance(one, dict)]
    elif mcp:
        members["mcp"] = mcp
    return members


def _message(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: attributes[otel] for otel, name in _MCP_BACK.items() if otel in attributes}


def _mapping(pairs: object) -> dict[str, Any]:
    return {
        pair["key"]: _plain(pair.get("value")) for pair in _dicts(pairs) if isinstance(pair.get("key"), str)
    }


def _plain(value: object) -> Any:
    """Return the value of JSON that an `AnyValue` holds; None for what holds none."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((kind, held),) = value.items()
    if kind == "arrayValue" and isinstance(held, dict):
        values = held.get("values")
        return [_plain(one) for one in values] if isinstance(values, list) else []
    if kind == "kvlistValue" and isinstance(held, dict):
        return _mapping(held.get("values"))
    if kind == "intValue":
        try:
            return int(held)
        except (ValueError, TypeError, OverflowError):
            return None
    return held if kind in {"stringValue", "boolValue", "doubleValue"} else None


def _dicts(values: object) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def _put(document: dict[str, Any], name: str, value: object) -> None:
    *way, last = name.split(".")
    for step in way:
        document = document.setdefault(step, {})
    document[last] = value


def _get(document: object, name: str) -> Any:
    for step in name.split("."):
        if not isinstance(document, dict):
            return None
        document = document.get(step)
    return document


def _nanoseconds(stamp: str) -> int:
    return (datetime.fromisoformat(stamp) - _EPOCH) // timedelta(milliseconds=1) * _NANOSECONDS


def _stamp(nanoseconds: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=nanoseconds // _NANOSECONDS)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
