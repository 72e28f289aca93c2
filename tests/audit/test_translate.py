"""A record under other names: what stands where, and that nothing is lost on the way there and back."""

from __future__ import annotations

import pytest

from proxy.audit.names import FIELDS
from proxy.audit.translate import records, to_ecs, to_otel

FULL = {
    "timestamp": "2026-01-01T00:00:00.250Z",
    "level": "warning",
    "event": "access",
    "request_id": "r1",
    "client_request_id": "theirs",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "client": "192.0.2.7",
    "method": "POST",
    "path": "/mcp",
    "status": 403,
    "decision": "deny",
    "reason": "scope_insufficient",
    "rule": "mcp",
    "agent_id": "acc_demo",
    "agent_name": "demo",
    "issuer": "https://agentlair.dev",
    "scopes": ["memory:read"],
    "audit_url": "https://agentlair.dev/audit/acc_demo",
    "token_id": "jti-1",
    "key_id": "key-1",
    "audience": ["https://mcp.example.com/mcp"],
    "required_scopes": ["memory:write"],
    "mcp": {
        "method": "tools/call",
        "tool": "write_memory",
        "resource": "memory://x",
        "prompt": "p",
        "arguments": {"id": "x", "n": 1, "f": 1.5, "b": True, "z": None},
        "session": "ab12",
        "protocol": "2025-11-25",
        "client": "cli",
    },
    "user_agent": "agent/1.0",
    "bytes_in": 17,
    "bytes_out": 1234,
    "duration_ms": 61234.568,
    "upstream_ms": 0.25,
    "upstream_status": 200,
    "worker": 3,
    "sample_rate": 0.25,
    "truncated": True,
    "until": "2026-01-01T00:00:01.750Z",
    "count": 3,
    "reasons": {"path_ambiguous": 1},
    "signature": "a..b",
    "seq": 7,
    "prev": "0" * 64,
    "chain": "0123456789abcdef",
}
RECORDS = [
    pytest.param(FULL, id="every field that there is"),
    pytest.param({name: FULL[name] for name in ("timestamp", "level", "event")}, id="next to nothing"),
    pytest.param({**FULL, "mcp": [{"method": "ping"}, {"tool": "x", "arguments": {}}]}, id="a batch"),
    pytest.param({**FULL, "method": "PURGE"}, id="a method that OTel does not know"),
    pytest.param({**FULL, "method": "_OTHER"}, id="a method that pretends to be none"),
    pytest.param({**FULL, "trace_id": "x\n"}, id="a trace id that is none"),
    pytest.param({**FULL, "client": "unix"}, id="a client without an address"),
    pytest.param({**FULL, "scopes": [], "path": "", "worker": 0}, id="values that are empty"),
]


@pytest.mark.parametrize("members", RECORDS)
@pytest.mark.parametrize("translated", [to_ecs, to_otel])
def test_nothing_is_lost_on_the_way_there_and_back(translated, members):
    document = translated(members, {"service.name": "memory", "env": "prod"})
    assert list(records(document)) == [members]


def test_a_line_of_our_own_is_what_it_is():
    assert list(records(FULL)) == [FULL]


def test_the_table_names_every_field_of_a_record():
    nested = {f"mcp.{name}" for name in FULL["mcp"]}
    assert {field.name for field in FIELDS} == (FULL.keys() - {"mcp"}) | nested


def test_ecs():
    assert to_ecs(FULL, {"service.name": "memory", "data_center.row": "1", "env": "prod"}) == {
        "@timestamp": "2026-01-01T00:00:00.250Z",
        "log": {"level": "warning"},
        "ecs": {"version": "8.17.0"},
        "event": {
            "kind": "event",
            "category": ["api", "web"],
            "type": ["access", "denied"],
            "action": "access",
            "dataset": "keystile.access",
            "outcome": "failure",
            "reason": "scope_insufficient",
            "duration": 61234568000,
        },
        "http": {
            "request": {"id": "r1", "method": "POST", "body": {"bytes": 17}},
            "response": {"status_code": 403, "body": {"bytes": 1234}},
        },
        "url": {"path": "/mcp"},
        "client": {"address": "192.0.2.7", "ip": "192.0.2.7"},
        "trace": {"id": "4bf92f3577b34da6a3ce929d0e0e4736"},
        "rule": {"name": "mcp"},
        "user": {"id": "acc_demo", "name": "demo"},
        "user_agent": {"original": "agent/1.0"},
        "service": {"name": "memory"},
        "labels": {"data_center_row": "1", "env": "prod"},
        "keystile": {
            "client_request_id": "theirs",
            "decision": "deny",
            "issuer": "https://agentlair.dev",
            "scopes": ["memory:read"],
            "audit_url": "https://agentlair.dev/audit/acc_demo",
            "token_id": "jti-1",
            "key_id": "key-1",
            "audience": ["https://mcp.example.com/mcp"],
            "required_scopes": ["memory:write"],
            "mcp": FULL["mcp"],
            "upstream_ms": 0.25,
            "upstream_status": 200,
            "worker": 3,
            "sample_rate": 0.25,
            "truncated": True,
            "until": "2026-01-01T00:00:01.750Z",
            "count": 3,
            "reasons": {"path_ambiguous": 1},
            "signature": "a..b",
            "chain": {"seq": 7, "prev": "0" * 64, "id": "0123456789abcdef"},
        },
    }


def test_otel():
    few = ("timestamp", "level", "event", "trace_id", "method", "status", "decision", "reason", "scopes")
    members = {
        **{name: FULL[name] for name in few},
        "mcp": {"tool": "x", "arguments": {"id": "x", "z": None}},
    }
    assert to_otel(members, {"env": "prod"}) == {
        "resourceLogs": [
            {
                "resource": {
                    "attributes": [
                        {"key": "service.name", "value": {"stringValue": "keystile"}},
                        {"key": "env", "value": {"stringValue": "prod"}},
                    ]
                },
                "scopeLogs": [
                    {
                        "scope": {"name": "keystile"},
                        "logRecords": [
                            {
                                "timeUnixNano": "1767225600250000000",
                                "severityNumber": 13,
                                "severityText": "warning",
                                "eventName": "keystile.access",
                                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                                "attributes": [
                                    {"key": "http.request.method", "value": {"stringValue": "POST"}},
                                    {"key": "http.response.status_code", "value": {"intValue": "403"}},
                                    {"key": "keystile.decision", "value": {"stringValue": "deny"}},
                                    {
                                        "key": "keystile.reason",
                                        "value": {"stringValue": "scope_insufficient"},
                                    },
                                    {
                                        "key": "keystile.scopes",
                                        "value": {"arrayValue": {"values": [{"stringValue": "memory:read"}]}},
                                    },
                                    {"key": "error.type", "value": {"stringValue": "scope_insufficient"}},
                                    {"key": "gen_ai.tool.name", "value": {"stringValue": "x"}},
                                    {
                                        "key": "keystile.mcp.arguments",
                                        "value": {
                                            "kvlistValue": {
                                                "values": [
                                                    {"key": "id", "value": {"stringValue": "x"}},
                                                    {"key": "z", "value": {}},
                                                ]
                                            }
                                        },
                                    },
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }


FOREIGN = [
    pytest.param(None, id="null"),
    pytest.param([], id="a list"),
    pytest.param("timestamp", id="a text"),
    pytest.param({}, id="nothing"),
    pytest.param({"resourceLogs": 1}, id="no list of resources"),
    pytest.param({"resourceLogs": [1, {"scopeLogs": [None, {"logRecords": {}}]}]}, id="no records"),
]


@pytest.mark.parametrize("document", FOREIGN)
def test_what_is_none_of_ours_says_nothing(document):
    assert list(records(document)) == []


ODD = [
    pytest.param({}, {}, id="nothing at all"),
    pytest.param(
        {"timeUnixNano": "x", "eventName": 1, "severityText": 2, "attributes": 3}, {}, id="wrong types"
    ),
    pytest.param({"timeUnixNano": 10**40}, {}, id="a moment beyond all calendars"),
    pytest.param({"timeUnixNano": 0}, {"timestamp": "1970-01-01T00:00:00.000Z"}, id="a moment as a number"),
    pytest.param(
        {
            "attributes": [
                1,
                {"key": 2},
                {"key": "keystile.rule"},
                {"key": "url.path", "value": {"bytesValue": "eA=="}},
            ]
        },
        {"rule": None, "path": None},
        id="values that are none",
    ),
    pytest.param(
        {
            "attributes": [
                {"key": "keystile.worker", "value": {"intValue": "x"}},
                {"key": "keystile.scopes", "value": {"arrayValue": {}}},
                {"key": "keystile.mcp.arguments", "value": {"kvlistValue": 1}},
                {"key": "http.response.status_code", "value": {"intValue": 200}},
            ]
        },
        {"worker": None, "scopes": [], "status": 200, "mcp": {"arguments": None}},
        id="values that are broken",
    ),
]


@pytest.mark.parametrize(("record", "members"), ODD)
def test_an_odd_record_never_raises(record, members):
    assert list(records({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})) == [members]


def test_a_collector_puts_records_together():
    one = to_otel(FULL, {})["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    both = {"resourceLogs": [{"scopeLogs": [{"logRecords": [one, one]}]}]}
    assert list(records(both)) == [FULL, FULL]
