"""The law of the sieve: whatever it holds back, parsing would not have found either, whoever wrote the line."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.audit.entries import read_line
from proxy.audit.query import Matcher, Query
from proxy.audit.sieve import torn
from proxy.audit.translate import to_ecs, to_otel
from proxy.model import Call
from tests.support.logs import agent, at, dropped, line, recall

NOON = "2026-11-22T12:00:00"
ANN = agent("ann")

# Few characters, so that texts meet; among them all that JSON writers treat each in their way.
_CHARS = st.sampled_from([*'ab4./\\"*?<&{}[]:,', "\x7f", "\x1b", "\u2028", "\xe9", "\U0001f9c0", "\x00", " "])
_TEXT = st.text(_CHARS, max_size=8)
_VALUE = st.recursive(
    st.one_of(_TEXT, st.integers(-50, 50), st.floats(allow_nan=False, width=16), st.booleans(), st.none()),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)
_CALL = st.builds(
    lambda tool, resource, key: Call("tools/call", tool, resource, None, {"key": key}),
    _TEXT, st.none() | _TEXT, _VALUE,
)  # fmt: skip


@st.composite
def _written(draw: st.DrawFn) -> bytes:
    """A line of ours, or what became of it in other hands."""
    who = draw(st.none() | st.builds(lambda name: agent(name or "a"), _TEXT))
    mcp = draw(st.none() | _CALL | st.tuples(_CALL, _CALL))
    minute = draw(st.integers(0, 59))
    ours = line(f"2026-11-22T12:{minute:02}:00", who, mcp, path=f"/{draw(_TEXT)}")
    writer = draw(st.sampled_from(_WRITERS))
    return writer(ours.rstrip(b"\n"))


def _escaping(line: bytes, chars: str) -> bytes:
    """Escape characters of strings that need not be escaped."""
    text = json.dumps(json.loads(line), ensure_ascii=False)

    def spelled(found: re.Match[str]) -> str:
        one = found[0]
        return one if one not in chars else "\\/" if one == "/" else f"\\u{ord(one):04x}"

    return re.sub(r"\\u....|\\.|.", spelled, text).encode()


_WRITERS = [
    lambda line: line,
    lambda line: json.dumps(json.loads(line)).encode(),
    lambda line: json.dumps(
        json.loads(line), ensure_ascii=False, separators=(",", ":"), sort_keys=True
    ).encode(),
    lambda line: _escaping(line, "/"),
    lambda line: _escaping(line, "ab"),
    lambda line: _escaping(line, "<&"),
    lambda line: line + b"\r",
    lambda line: json.dumps(to_ecs(json.loads(line), {"service.name": "memory"})).encode(),
    lambda line: json.dumps(to_otel(json.loads(line), {"service.name": "memory"})).encode(),
    lambda line: line[: len(line) // 2],
]

_GLOB = st.one_of(st.none(), _TEXT, _TEXT.map(lambda text: f"*{text}"), st.integers(-50, 50).map(str))
_WHEN = st.none() | st.integers(0, 60).map(lambda minute: at(NOON) + 60 * minute)
_QUERY = st.builds(
    lambda target, agent, tool, start, end: Query(target, agent and f"acc_{agent}", tool, start=start, end=end),
    _GLOB, _GLOB, _GLOB, _WHEN, _WHEN,
)  # fmt: skip


def _parsed(block: bytes, query: Query) -> list[bytes]:
    """The answer by parsing every line."""
    matcher = Matcher(query)
    return [one for one in block.split(b"\n") if any(map(matcher.matches, read_line(one)))]


def _sifted(block: bytes, query: Query) -> list[bytes]:
    matcher = Matcher(query)
    matcher.sieve.learn(block)
    found = ((at, one, read_line(one)) for at, one in matcher.sieve.candidates(block))
    return [block[at : at + len(one)] for at, one, said in found if any(map(matcher.matches, said))]


@given(st.lists(_written(), max_size=6), _QUERY, st.booleans())
@example([line(NOON, ANN, recall(["a/b"])).rstrip()], Query(target="a/b"), True)
def test_no_line_is_lost_and_none_is_added(lines: list[bytes], query: Query, ended: bool) -> None:
    block = b"\n".join(lines) + b"\n" * ended
    expected = _parsed(block, query)
    assert _sifted(block, query) == expected
    sieve = Matcher(query).sieve
    assert [one for one in block.split(b"\n") if sieve.passes(one) and one in expected] == expected


@given(st.data())
def test_whatever_a_line_names_is_found(data: st.DataObject) -> None:
    value = data.draw(_TEXT)
    one = data.draw(st.sampled_from(_WRITERS[:-1]))(line(NOON, ANN, recall(value)).rstrip(b"\n"))
    assert _sifted(one, Query(target=value)) == [one]


SPELLED = [
    pytest.param("a&b-c", rb'"a\u0026b\u002dc"', id="signs"),
    pytest.param("<~z>", rb'"\u003c\u007e\u007A\u003E"', id="the end of ASCII, in either case"),
    pytest.param("a/b", rb'"a\/b"', id="a slash"),
    pytest.param("mem-1", rb'"[\u0022mem\u002D1\u0022]"', id="within a JSON text"),
    pytest.param("mem-1", rb'"[\"mem\\u002d1\"]"', id="twice"),
    pytest.param("42", b'["a",42.00]', id="a number with a point"),
]


@pytest.mark.parametrize(("target", "spelled"), SPELLED)
def test_no_spelling_hides_a_value(target: str, spelled: bytes) -> None:
    one = line(NOON, ANN, recall("HERE")).rstrip(b"\n").replace(b'"HERE"', spelled)
    assert _sifted(one, Query(target=target)) == [one]


HELD = [
    pytest.param(Query(target="mem-1"), [recall("mem-1")], [recall("mem-2"), recall("mem_1")], id="a target"),
    pytest.param(Query(target='"nim"-1'), [recall('"nim"-1')], [recall("n")], id="a target with quotation marks"),
    pytest.param(Query(tool="read_*"), [recall("x", "read_a")], [recall("x", "write_a")], id="a tool"),
    pytest.param(Query(decision="would_deny"), [], [recall("x")], id="a decision"),
    pytest.param(Query(target="47*"), [recall(47), recall("471")], [recall(57)], id="what may be a number"),
    pytest.param(Query(target="x", start=at(NOON)), [recall("x")], [recall("y")], id="a moment as well"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "kept", "held"), HELD)
def test_what_cannot_match_is_not_parsed(query: Query, kept: list[Any], held: list[Any]) -> None:
    lines = [line(NOON, agent("q"), call) for call in kept + held]
    found = [one for _, one in Matcher(query).sieve.candidates(b"".join(lines))]
    assert found == [one.rstrip(b"\n") for one in lines[: len(kept)]]


def test_a_moment_alone_holds_lines_back() -> None:
    lines = [line(f"2026-11-22T{hour}:00:00", ANN, recall("x")) for hour in (11, 12, 13)]
    query = Query(start=at(NOON), end=at("2026-11-22T13:00:00"))
    assert [one for _, one in Matcher(query).sieve.candidates(b"".join(lines))] == [lines[1].rstrip(b"\n")]


_FORMS = [to_ecs, to_otel]


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("separators", [None, (",", ":")], ids=["with spaces", "without"])
def test_a_moment_alone_holds_lines_of_other_formats_back(form: Any, separators: Any) -> None:
    ours = [
        line(f"2026-11-22T{clock}", ANN, recall("x")) for clock in ("11:59:59.999", "12:00:00", "13:00:00")
    ]
    lines = [json.dumps(form(json.loads(one), {}), separators=separators).encode() for one in ours]
    query = Query(start=at(NOON), end=at("2026-11-22T13:00:00"))
    assert [one for _, one in Matcher(query).sieve.candidates(b"\n".join(lines))] == [lines[1]]


@pytest.mark.parametrize("form", _FORMS)
def test_what_tells_of_gaps_passes_in_other_formats(form: Any) -> None:
    told = json.dumps(form(json.loads(dropped("2026-11-22T11:59:59", NOON, 3)), {})).encode()
    for query in (Query(start=at(NOON)), Query(target="x")):
        assert [one for _, one in Matcher(query).sieve.candidates(told)] == [told]


def test_what_tells_of_gaps_passes_whatever_is_asked() -> None:
    told = [dropped(NOON, NOON, 3), line(NOON, ANN, recall("v" * 300)), line(NOON, ANN, recall("y"))]
    found = [one for _, one in Matcher(Query(target="x")).sieve.candidates(b"".join(told))]
    assert found == [one.rstrip(b"\n") for one in told[:2]]


TORN = [
    pytest.param(b'{"a":1}\n{"b":2}\n', [], id="two lines"),
    pytest.param(b'{"a":1}\n{"b":2}', [], id="the last without its end"),
    pytest.param(b'{"a":1}\r\n{"b":2}\r\n', [], id="ends as of another system"),
    pytest.param(b'{"a":1}\n\n  \n{"b":2}\n', [], id="empty lines"),
    pytest.param(b'{"a":1}\n{"b":\n', [8], id="a line without its end"),
    pytest.param(b'"a":1}\n{"b":2}\n', [0], id="a line without its begin"),
    pytest.param(b'{"a":1}\nx{"b":2}\n{"c":3}\n', [8], id="a line with something before it"),
    pytest.param(b"\x00\x00\n", [0], id="no text"),
    pytest.param(b"}\n{", [0, 2], id="halves"),
]


@pytest.mark.parametrize(("block", "places"), TORN)
def test_lines_that_are_not_whole(block: bytes, places: list[int]) -> None:
    assert torn(block) == places
