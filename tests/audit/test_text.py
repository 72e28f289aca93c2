"""What an MCP call looks like in a line: its target, named arguments, no secret of a URI, nothing without end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.audit.line import Lines
from proxy.model import Call
from tests.support.records import closing, opening

CALLS: list[Any] = [
    pytest.param(Call("ping"), {"method": "ping"}, False, id="a method that names nothing"),
    pytest.param(
        Call("tools/call", tool="read_memory", arguments={"id": "a", "n": 1, "x": 1.5, "b": True, "z": None}),
        {
            "method": "tools/call",
            "tool": "read_memory",
            "arguments": {"id": "a", "n": 1, "x": 1.5, "b": True, "z": None},
        },
        False,
        id="plain arguments stay what they are",
    ),
    pytest.param(
        Call("tools/call", arguments={"list": ["a", {"b": 1}]}),
        {"method": "tools/call", "arguments": {"list": '["a",{"b":1}]'}},
        False,
        id="an argument that is no scalar stands as JSON text",
    ),
    pytest.param(
        Call("tools/call", arguments={"n": 2**80, "list": [2**80], "vast": 10**5000}),
        {"method": "tools/call", "arguments": {"n": f"{2**80}", "list": f"[{2**80}]", "vast": "…"}},
        False,
        id="numbers that readers would round stand as text, and vast ones not at all",
    ),
    pytest.param(
        Call("tools/call", tool="t" * 300, arguments={"id": "ä" * 200}),
        {"method": "tools/call", "tool": "t" * 256, "arguments": {"id": "ä" * 128}},
        True,
        id="what is long is cut, between characters",
    ),
    pytest.param(
        Call("resources/read", resource="https://user:secret@host/path?key=secret#secret"),
        {"method": "resources/read", "resource": "https://host/path"},
        False,
        id="a resource loses userinfo, query and fragment",
    ),
    pytest.param(
        Call("resources/read", resource="urn:example:a?=b"),
        {"method": "resources/read", "resource": "urn:example:a"},
        False,
        id="a resource without an authority loses its query",
    ),
    pytest.param(
        Call("prompts/get", prompt="\ud800", session="ab", protocol="2025-11-25", client="cli"),
        {
            "method": "prompts/get",
            "prompt": "\\ud800",
            "session": "ab",
            "protocol": "2025-11-25",
            "client": "cli",
        },
        False,
        id="a lone surrogate stands escaped",
    ),
    pytest.param(
        (Call("ping"), Call("tools/call", tool="x")),
        [{"method": "ping"}, {"method": "tools/call", "tool": "x"}],
        False,
        id="a batch is a list",
    ),
    pytest.param((Call("ping"),) * 120, [{"method": "ping"}] * 100, True, id="a vast batch is cut"),
    pytest.param(
        (*((Call("ping"),) * 100), Call("tools/call", tool="x")),
        [{"method": "tools/call", "tool": "x"}, *[{"method": "ping"}] * 99],
        True,
        id="what names something stays in it",
    ),
]


@pytest.mark.parametrize(("mcp", "shown", "truncated"), CALLS)
def test_a_call_in_its_line(mcp: Call | tuple[Call, ...], shown: object, truncated: bool) -> None:
    line = json.loads(Lines(3).access(opening(mcp=mcp), closing()))
    assert line["mcp"] == shown
    assert line.get("truncated", False) is truncated
    assert json.loads(Lines(3).stream_open(opening(mcp=mcp), 200))["mcp"] == shown
