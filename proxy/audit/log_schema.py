"""What a line of each format may look like, as JSON Schema (draft 2020-12), made of the table of names.

Pure. Knows what kind of value each field has, and which lines have it.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.audit.names import ECS_VERSION, FIELDS, OTEL_BATCH, SCOPE, STATIC_ECS, Format
from proxy.audit.text import CAP
from proxy.audit.translate import METHODS, ORIGINAL, OTHER, SEVERITY, STRAY_TRACE_ID
from proxy.model import Note, Reason

_Schema = dict[str, Any]

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_REASONS: Final = sorted({*Reason, *Note})
_TEXT: Final[_Schema] = {"type": "string"}
_CUT: Final[_Schema] = {"type": "string", "maxLength": CAP}
_TEXTS: Final[_Schema] = {"type": "array", "items": _TEXT}
_COUNT: Final[_Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[_Schema] = {"type": "number", "minimum": 0}
_STAMP: Final[_Schema] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
_STATUS: Final[_Schema] = {"type": "integer", "minimum": 100, "maximum": 999}
_MESSAGE: Final = ("method", "tool", "resource", "prompt", "arguments", "session", "protocol", "client")
_MOST_MESSAGES: Final = 100

_DIGITS: Final = {0: "^[0-9]+$", 1: "^[1-9][0-9]*$", 100: "^[1-9][0-9]{2}$"}
"""Integers from a number on, as the texts that they are in OTel."""
_SCALAR: Final[_Schema] = {
    "type": "object",
    "properties": {
        "stringValue": _CUT,
        "boolValue": {"type": "boolean"},
        "intValue": {"type": "string", "pattern": "^-?[0-9]+$"},
        "doubleValue": {"type": "number"},
    },
    "maxProperties": 1,
    "additionalProperties": False,
}
"""An `AnyValue` that is a text, a number, true, false, or nothing."""

_KINDS: Final[dict[str, _Schema]] = {
    "timestamp": _STAMP,
    "level": {"enum": list(SEVERITY)},
    "event": {"enum": ["access", "stream_open", "access_suppressed", "access_dropped", "checkpoint"]},
    "request_id": _CUT,
    "client_request_id": _CUT,
    "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "client": _CUT,
    "method": _CUT,
    "path": _CUT,
    "status": _STATUS,
    "decision": {"enum": ["allow", "deny", "would_deny"]},
    "reason": {"enum": _REASONS},
    "rule": _CUT,
    "agent_id": {"type": "string", "minLength": 1},
    "agent_name": _TEXT,
    "issuer": {"type": "string", "minLength": 1},
    "scopes": _TEXTS,
    "audit_url": _TEXT,
    "token_id": _TEXT,
    "key_id": _TEXT,
    "audience": _TEXTS,
    "required_scopes": {"type": "array", "items": _TEXT, "minItems": 1},
    "mcp.method": _CUT,
    "mcp.tool": _CUT,
    "mcp.resource": _CUT,
    "mcp.prompt": _CUT,
    "mcp.arguments": {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean", "null"], "maxLength": CAP},
    },
    "mcp.session": _CUT,
    "mcp.protocol": _CUT,
    "mcp.client": _CUT,
    "user_agent": _CUT,
    "bytes_in": _COUNT,
    "bytes_out": _COUNT,
    "duration_ms": _NUMBER,
    "upstream_ms": _NUMBER,
    "upstream_status": _STATUS,
    "worker": _COUNT,
    "sample_rate": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "truncated": {"const": True},
    "until": _STAMP,
    "count": {"type": "integer", "minimum": 1},
    "reasons": {
        "type": "object",
        "propertyNames": {"enum": [*_REASONS, "allow"]},
        "additionalProperties": _COUNT,
    },
    "signature": _TEXT,
    "seq": {"type": "integer", "minimum": 1},
    "prev": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "chain": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
}

_REQUEST: Final = ("request_id", "client", "status", "decision", "worker")
_SUMMARY: Final = ("until", "count", "reasons", "worker")
_ALWAYS: Final = ("timestamp", "level", "event")
_REQUIRED: Final = {
    "access": (*_REQUEST, "bytes_in", "bytes_out", "duration_ms"),
    "stream_open": _REQUEST,
    "access_suppressed": _SUMMARY,
    "access_dropped": _SUMMARY,
    "checkpoint": ("seq", "prev", "chain"),
}
"""What each kind of line always says."""


def log_schema(form: Format) -> _Schema:
    """Return the JSON Schema of a line."""
    made = {"keystile": _keystile, "ecs": _ecs, "otel": _otel}[form]()
    title = f"A line of Keystile's log, format {form}"
    return {"$schema": _DRAFT, "title": title, "description": "LOG.md says what each field means.", **made}


def _described(name: str, schema: _Schema) -> _Schema:
    (meaning,) = (field.meaning for field in FIELDS if field.name == name)
    return {"description": meaning, **schema}


def _message(shown: dict[str, _Schema]) -> _Schema:
    one = {"type": "object", "properties": shown, "additionalProperties": False}
    return {"anyOf": [one, {"type": "array", "maxItems": _MOST_MESSAGES, "items": one}]}


def _keystile() -> _Schema:
    flat = {name: _described(name, kind) for name, kind in _KINDS.items() if "." not in name}
    flat["mcp"] = _message({name: _described(f"mcp.{name}", _KINDS[f"mcp.{name}"]) for name in _MESSAGE})
    return {
        "type": "object",
        "properties": flat,
        "required": list(_ALWAYS),
        # What `log.fields` says.
        "additionalProperties": _TEXT,
        "allOf": [
            {"if": {"properties": {"event": {"const": event}}}, "then": {"required": list(names)}}
            for event, names in _REQUIRED.items()
        ],
    }


def _ecs() -> _Schema:
    places = {field.name: field.ecs for field in FIELDS}
    tree: _Schema = {}
    for name, kind in _KINDS.items():
        if not name.startswith("mcp."):
            _plant(tree, places[name], _described(name, kind))
    _plant(tree, "event.duration", _described("duration_ms", _COUNT))
    _plant(tree, "keystile.mcp", _message({name: _KINDS[f"mcp.{name}"] for name in _MESSAGE}))
    for name, kind in {
        "client.ip": _TEXT,
        "ecs.version": {"const": ECS_VERSION},
        "event.kind": {"const": "event"},
        "event.category": {"const": ["api", "web"]},
        "event.dataset": {"const": "keystile.access"},
        "event.type": {"enum": [["access", "allowed"], ["access", "denied"], ["info"]]},
        "event.outcome": {"enum": ["success", "failure"]},
    }.items():
        _plant(tree, name, kind)
    properties = _grown(tree)["properties"]
    fields = {"type": "object", "additionalProperties": {"anyOf": [_TEXT, {"$ref": "#/$defs/fields"}]}}
    properties |= {name: {"$ref": "#/$defs/fields"} for name in sorted(STATIC_ECS)}
    return {
        "type": "object",
        "properties": {**properties, "labels": {"type": "object", "additionalProperties": _TEXT}},
        "required": ["@timestamp", "ecs", "event", "log", "service"],
        "additionalProperties": False,
        "allOf": [
            {
                "if": _nested({"event.action": {"const": event}}),
                "then": _nested({places[name]: {} for name in (*_ALWAYS, *names)}),
            }
            for event, names in _REQUIRED.items()
        ],
        "$defs": {"fields": fields},
    }


def _plant(tree: _Schema, name: str, schema: _Schema) -> None:
    *way, last = name.split(".")
    for step in way:
        tree = tree.setdefault(step, {"": True})
    tree[last] = schema


def _grown(tree: _Schema) -> _Schema:
    """Return the schema of an object with these members and no others; a tree within has a member ``."""
    properties = {
        name: _grown(part) if "" in part else part for name, part in tree.items() if isinstance(part, dict)
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _nested(leaves: dict[str, _Schema]) -> _Schema:
    """Return the schema of an object that has all of these, each by its way through the objects in it."""
    parts: dict[str, dict[str, _Schema]] = {}
    for name, schema in leaves.items():
        first, _, rest = name.partition(".")
        parts.setdefault(first, {})[rest] = schema
    return {
        "required": list(parts),
        "properties": {name: part[""] if "" in part else _nested(part) for name, part in parts.items()},
    }


def _otel() -> _Schema:
    attributes = {field.otel: _any_value(_KINDS[field.name]) for field in FIELDS if "." in field.otel}
    attributes["http.request.method"] = _any_value({"enum": [*sorted(METHODS), OTHER]})
    attributes |= {ORIGINAL: _any_value(_CUT), STRAY_TRACE_ID: _any_value(_CUT)}
    attributes["error.type"] = _any_value({"anyOf": [{"enum": _REASONS}, {"pattern": "^5[0-9]{2}$"}]})
    messages = {field.otel: attributes[field.otel] for field in FIELDS if field.name.startswith("mcp.")}
    message = _only({"kvlistValue": _only({"values": _pairs(messages)})})
    batch = {"type": "array", "maxItems": _MOST_MESSAGES, "items": message}
    attributes[OTEL_BATCH] = _only({"arrayValue": _only({"values": batch})})
    record = {
        "type": "object",
        "properties": {
            "timeUnixNano": {"type": "string", "pattern": "^[0-9]+$"},
            "severityNumber": {"enum": list(SEVERITY.values())},
            "severityText": _KINDS["level"],
            "eventName": {"enum": [f"keystile.{event}" for event in _REQUIRED]},
            "traceId": _KINDS["trace_id"],
            "attributes": _pairs(attributes),
        },
        "required": ["timeUnixNano", "severityNumber", "severityText", "eventName", "attributes"],
        "additionalProperties": False,
        "allOf": [_otel_required(event, names) for event, names in _REQUIRED.items()],
    }
    resource = {"type": "array", "minItems": 1, "items": _pair(_TEXT, _only({"stringValue": _TEXT}))}
    scope = {"scope": _only({"name": {"const": SCOPE}}), "logRecords": _one(record)}
    whole = {"resource": _only({"attributes": resource}), "scopeLogs": _one(_only(scope))}
    return _only({"resourceLogs": _one(_only(whole))})


def _otel_required(event: str, names: tuple[str, ...]) -> _Schema:
    places = {field.name: field.otel for field in FIELDS}
    has = [{"contains": {"properties": {"key": {"const": places[name]}}}} for name in names]
    return {
        "if": {"properties": {"eventName": {"const": f"keystile.{event}"}}},
        "then": {"properties": {"attributes": {"allOf": has}}},
    }


def _only(properties: dict[str, _Schema]) -> _Schema:
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _one(items: _Schema) -> _Schema:
    return {"type": "array", "minItems": 1, "maxItems": 1, "items": items}


def _pair(key: _Schema, value: _Schema) -> _Schema:
    return _only({"key": key, "value": value})


def _pairs(values: dict[str, _Schema]) -> _Schema:
    """Return the schema of attributes: these, and no others."""
    alike: list[tuple[_Schema, list[str]]] = []
    for name, value in values.items():
        names = next((names for kind, names in alike if kind == value), None)
        if names is None:
            alike.append((value, [name]))
        else:
            names.append(name)
    return {
        "type": "array",
        "items": {
            **_pair({"enum": list(values)}, {"type": "object"}),
            "allOf": [
                {"if": {"properties": {"key": {"enum": names}}}, "then": {"properties": {"value": kind}}}
                for kind, names in alike
            ],
        },
    }


def _any_value(kind: _Schema) -> _Schema:
    """Return the schema of the `AnyValue` that holds a value of that kind."""
    match kind.get("type"):
        case "integer":
            return _only({"intValue": {"type": "string", "pattern": _DIGITS[kind["minimum"]]}})
        case "number":
            return _only({"doubleValue": kind})
        case "array":
            values = {**kind, "items": _any_value(kind["items"])}
            return _only({"arrayValue": _only({"values": values})})
        case "object":
            return _only(
                {"kvlistValue": _only({"values": {"type": "array", "items": _pair(_TEXT, _SCALAR)}})}
            )
    return _only({"boolValue": kind} if kind == {"const": True} else {"stringValue": kind})
