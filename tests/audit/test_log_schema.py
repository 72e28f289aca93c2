"""The schemas of lines: published as they are made, and strict enough to notice what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from proxy.audit import log_schema
from proxy.audit.translate import to_ecs, to_otel
from proxy.cli import app

CONFIG = Path(__file__).parents[2] / "config"
FORMATS = ["keystile", "ecs", "otel"]

PLAIN: dict[str, Any] = {
    "timestamp": "2026-01-01T00:00:00.250Z",
    "level": "info",
    "event": "access",
    "request_id": "r1",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "client": "192.0.2.7",
    "method": "POST",
    "path": "/mcp",
    "status": 200,
    "decision": "allow",
    "agent_id": "acc_demo",
    "issuer": "https://agentlair.dev",
    "scopes": ["read"],
    "audience": [],
    "mcp": {"method": "tools/call", "tool": "x", "arguments": {"id": "x", "n": -1.5, "z": None}},
    "bytes_in": 1,
    "bytes_out": 2,
    "duration_ms": 1.5,
    "worker": 0,
}
CHAINED = {
    "timestamp": "2026-01-01T00:00:00.250Z",
    "level": "info",
    "event": "checkpoint",
    "seq": 1000,
    "prev": "0" * 64,
    "chain": "0123456789abcdef",
}


def fits(form: str, members: dict[str, Any]) -> bool:
    document = {
        "keystile": lambda: members,
        "ecs": lambda: to_ecs(members, {}),
        "otel": lambda: to_otel(members, {}),
    }
    return Draft202012Validator(log_schema(form)).is_valid(document[form]())


@pytest.mark.parametrize("form", FORMATS)
def test_published_schema_is_the_generated_one(form):
    published = (CONFIG / f"log.{form}.schema.json").read_text()
    assert CliRunner().invoke(app, ["schema", "--log", form]).output == published
    assert json.loads(published) == log_schema(form)
    Draft202012Validator.check_schema(log_schema(form))


@pytest.mark.parametrize("form", FORMATS)
def test_a_line_is_one(form):
    assert fits(form, PLAIN)
    assert fits(form, CHAINED)


WRONG = [
    pytest.param({"request_id": None}, id="no request id"),
    pytest.param({"client": None}, id="no client"),
    pytest.param({"status": None}, id="no status"),
    pytest.param({"decision": None}, id="no decision"),
    pytest.param({"bytes_out": None}, id="no bytes"),
    pytest.param({"worker": None}, id="no worker"),
    pytest.param({"event": "access_dropped"}, id="a summary that counts nothing"),
    pytest.param({"event": "checkpoint"}, id="a checkpoint of nothing"),
    pytest.param({"event": "other"}, id="an unknown event"),
    pytest.param({"decision": "maybe"}, id="an unknown decision"),
    pytest.param({"reason": "because"}, id="an unknown reason"),
    pytest.param({"status": 99}, id="a status that is none"),
    pytest.param({"path": 1}, id="a path that is no text"),
    pytest.param({"path": "x" * 257}, id="a path that should be cut"),
    pytest.param({"scopes": "read"}, id="scopes as text"),
    pytest.param({"scopes": [1]}, id="a scope that is no text"),
    pytest.param({"required_scopes": []}, id="required scopes that are none"),
    pytest.param({"truncated": False}, id="nothing that was cut"),
    pytest.param({"sample_rate": 1.5}, id="more than all"),
    pytest.param({"mcp": {"arguments": {"id": ["a"]}}}, id="an argument that is a list"),
    pytest.param({"mcp": [{"tool": 1}]}, id="a tool of a batch that is no text"),
    pytest.param({"mcp": [{"tool": "x"}] * 101}, id="a vast batch"),
    pytest.param({"seq": 0}, id="a chain that begins before it begins"),
    pytest.param({"prev": "x"}, id="a hash that is none"),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("changed", WRONG)
def test_what_is_no_line_does_not_fit(form, changed):
    members = {name: value for name, value in (PLAIN | changed).items() if value is not None}
    assert not fits(form, members)


def test_nothing_else_fits():
    ecs, otel = to_ecs(PLAIN, {}), to_otel(PLAIN, {})
    ecs["keystile"]["token"] = "x"
    record = otel["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    record["attributes"].append({"key": "token", "value": {"stringValue": "x"}})
    assert list(Draft202012Validator(log_schema("ecs")).iter_errors(ecs))
    assert list(Draft202012Validator(log_schema("otel")).iter_errors(otel))
    assert list(Draft202012Validator(log_schema("keystile")).iter_errors({**PLAIN, "token": {"a": 1}}))


def test_fields_of_the_operator_fit():
    fields = {"service.name": "memory", "service.node.name": "a", "host.name": "b", "env": "prod", "a.b": "c"}
    for document, form in (
        ({**PLAIN, **fields}, "keystile"),
        (to_ecs(PLAIN, fields), "ecs"),
        (to_otel(PLAIN, fields), "otel"),
    ):
        assert Draft202012Validator(log_schema(form)).is_valid(document)
