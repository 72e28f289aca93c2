"""What each field of the access log is called, in each format: one table, for those who write and who read.

Knows names, and what a field means. Must never know values. Pure data: `translate` goes by it, the writers of
lines are held against it by tests, and `config/LOG.md` shows it.

ECS is the Elastic Common Schema (its `user` is who asked: `agent` is whatever ships the log there). OTel is
the data model of OpenTelemetry's log records and its semantic conventions; what those have no name for stands
under `keystile.`, as it does in ECS.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Format = Literal["keystile", "ecs", "otel"]

ECS_VERSION: Final = "8.17.0"
SCOPE: Final = "keystile"
"""The instrumentation scope of OTel records, and what `service.name` is where nobody names it."""
EVENT_PREFIX: Final = "keystile."
"""What stands before `event` in OTel's `eventName`, and in ECS's `event.dataset`."""

ENDS: Final[dict[Format, bytes]] = {"keystile": b"}\n", "ecs": b"}}\n", "otel": b"]}]}]}]}\n"}
"""How a line ends. A further member (in ECS of `keystile`, in OTel an attribute) goes before that, and a
comma before it: what was there is never empty."""


class Field(Struct, frozen=True):
    """One field: its name here (`mcp.tool` is `tool` within `mcp`), in ECS, and in OTel.

    In OTel a name in CamelCase is a field of the log record, any other is an attribute. `absent` says when a
    line does not have it.
    """

    name: str
    ecs: str
    otel: str
    meaning: str
    absent: str = "never"


_UNREAD = "the request could not be read"
_NOBODY = "nobody's signature was verified"
_NO_CLAIM = "nobody's signature was verified, or the token has none"
_NO_MCP = "the request asked an MCP server for nothing, or not for that"
_NOT_YET = "in `stream_open` lines"
_NOT_ASKED = "the upstream was not asked, or has not answered"
_NO_SUMMARY = "in all lines but `access_suppressed` and `access_dropped`"
_NO_CHAIN = "without `log.chain`"

FIELDS: Final = (
    Field(
        "timestamp",
        "@timestamp",
        "timeUnixNano",
        "When the request arrived: UTC, milliseconds (OTel: nanoseconds).",
    ),
    Field(
        "level",
        "log.level",
        "severityText",
        "`info`; `warning` for a refusal; `error` for a status of 500 or more.",
    ),
    Field(
        "event",
        "event.action",
        "eventName",
        "`access`; `stream_open` as a long answer starts; else what became of the lines that it stands for.",
    ),
    Field("request_id", "http.request.id", "keystile.request_id", "What the upstream got as `X-Request-Id`."),
    Field(
        "client_request_id",
        "keystile.client_request_id",
        "keystile.client_request_id",
        "What the client sent as `X-Request-Id`.",
        "it sent none that is fit, or is a trusted proxy",
    ),
    Field(
        "trace_id",
        "trace.id",
        "traceId",
        "The trace (W3C Trace Context): the caller's, or a new one.",
        _UNREAD,
    ),
    Field(
        "client",
        "client.address",
        "client.address",
        "The client's address (ECS: in `client.ip` too where it is one), or `unix`.",
    ),
    Field(
        "method",
        "http.request.method",
        "http.request.method",
        "The method; one that OTel does not know is `_OTHER` there, and in `http.request.method_original`.",
        _UNREAD,
    ),
    Field("path", "url.path", "url.path", "The path, never the query.", _UNREAD),
    Field(
        "status",
        "http.response.status_code",
        "http.response.status_code",
        "The answer's status; 499 where the client left before it.",
    ),
    Field(
        "decision",
        "keystile.decision",
        "keystile.decision",
        "`allow`, `deny`, or `would_deny` where `mode: observe` let it pass.",
    ),
    Field(
        "reason",
        "event.reason",
        "keystile.reason",
        "Why it was refused (OTel: in `error.type` too), passed without a token, or ended early.",
        "there is nothing to say",
    ),
    Field("rule", "rule.name", "keystile.rule", "The rule that decided.", "none matched"),
    Field("agent_id", "user.id", "enduser.id", "Who asked, verified.", _NOBODY),
    Field("agent_name", "user.name", "user.name", "That agent's name.", _NO_CLAIM),
    Field("issuer", "keystile.issuer", "keystile.issuer", "Who issued the token.", _NOBODY),
    Field("scopes", "keystile.scopes", "keystile.scopes", "The token's scopes.", _NOBODY),
    Field(
        "audit_url",
        "keystile.audit_url",
        "keystile.audit_url",
        "Where the issuer tells of that agent.",
        _NO_CLAIM,
    ),
    Field("token_id", "keystile.token_id", "keystile.token_id", "The token's `jti`.", _NO_CLAIM),
    Field("key_id", "keystile.key_id", "keystile.key_id", "The `kid` of the key that signed it.", _NO_CLAIM),
    Field("audience", "keystile.audience", "keystile.audience", "The token's `aud`.", _NOBODY),
    Field(
        "required_scopes",
        "keystile.required_scopes",
        "keystile.required_scopes",
        "The scopes that the rule, or the refused operation, needs.",
        "it needs none",
    ),
    Field("mcp.method", "keystile.mcp.method", "mcp.method.name", "The method of the message.", _NO_MCP),
    Field("mcp.tool", "keystile.mcp.tool", "gen_ai.tool.name", "The tool that is called.", _NO_MCP),
    Field(
        "mcp.resource",
        "keystile.mcp.resource",
        "mcp.resource.uri",
        "The resource, without query and userinfo.",
        _NO_MCP,
    ),
    Field("mcp.prompt", "keystile.mcp.prompt", "gen_ai.prompt.name", "The prompt.", _NO_MCP),
    Field(
        "mcp.arguments",
        "keystile.mcp.arguments",
        "keystile.mcp.arguments",
        "The arguments that `log.arguments` names; lists and objects as JSON text.",
        "none is named, or was sent",
    ),
    Field("mcp.session", "keystile.mcp.session", "mcp.session.id", "A digest of the session's id.", _NO_MCP),
    Field(
        "mcp.protocol",
        "keystile.mcp.protocol",
        "mcp.protocol.version",
        "The version of the protocol that the client speaks.",
        "it does not say",
    ),
    Field(
        "mcp.client",
        "keystile.mcp.client",
        "keystile.mcp.client",
        "What the client calls itself.",
        "it does not say",
    ),
    Field("user_agent", "user_agent.original", "user_agent.original", "`User-Agent`.", "there is none"),
    Field(
        "bytes_in",
        "http.request.body.bytes",
        "http.request.body.size",
        "Bytes of the request's body.",
        _NOT_YET,
    ),
    Field(
        "bytes_out",
        "http.response.body.bytes",
        "http.response.body.size",
        "Bytes of the answer's body.",
        _NOT_YET,
    ),
    Field(
        "duration_ms",
        "event.duration",
        "keystile.duration_ms",
        "From the head of the request to the end of the answer, in milliseconds (ECS: nanoseconds).",
        _NOT_YET,
    ),
    Field(
        "upstream_ms",
        "keystile.upstream_ms",
        "keystile.upstream_ms",
        "From the request to the upstream to the head of its answer, in milliseconds.",
        _NOT_ASKED,
    ),
    Field(
        "upstream_status",
        "keystile.upstream_status",
        "keystile.upstream_status",
        "The status of the upstream's answer.",
        _NOT_ASKED,
    ),
    Field(
        "worker", "keystile.worker", "keystile.worker", "The number of the process among those on one port."
    ),
    Field(
        "sample_rate",
        "keystile.sample_rate",
        "keystile.sample_rate",
        "The share of such requests that have a line: this one stands for 1 / `sample_rate`.",
        "each has one",
    ),
    Field("truncated", "keystile.truncated", "keystile.truncated", "A value was cut.", "none was"),
    Field(
        "until", "keystile.until", "keystile.until", "When the last of those requests arrived.", _NO_SUMMARY
    ),
    Field("count", "keystile.count", "keystile.count", "How many they are.", _NO_SUMMARY),
    Field("reasons", "keystile.reasons", "keystile.reasons", "How many for each reason.", _NO_SUMMARY),
    Field("signature", "keystile.signature", "keystile.signature", "Signs the chain up to here.", _NO_CHAIN),
    Field(
        "seq",
        "keystile.chain.seq",
        "keystile.chain.seq",
        "The number of the line in its chain, from 1.",
        _NO_CHAIN,
    ),
    Field(
        "prev",
        "keystile.chain.prev",
        "keystile.chain.prev",
        "SHA-256 of the line before it in its chain, in hexadecimal.",
        _NO_CHAIN,
    ),
    Field("chain", "keystile.chain.id", "keystile.chain.id", "The id of the chain.", _NO_CHAIN),
)
"""Every field, in the order of a line."""

OTEL_BATCH: Final = "keystile.mcp.batch"
"""The attribute that holds a batch: a list of what else are the attributes of one message."""

STATIC_ECS: Final = frozenset(
    {
        "cloud",
        "container",
        "data_stream",
        "device",
        "faas",
        "host",
        "observer",
        "orchestrator",
        "organization",
        "service",
    }
)
"""Sets of ECS whose names `log.fields` may use in full, as in `service.name`; any other is a label."""
