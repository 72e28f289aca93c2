"""Whatever is admitted calls nothing that is refused, in any reading of its bytes; and two ways of reading agree.

Bodies are written by hand here, so that they can say what no JSON library would write: keys twice, in another
case, in escapes, with a NUL behind. They are read by readers that share nothing with the product.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.authz import Admitted, Operations
from proxy.config import Rule
from proxy.mcp.careful import Malformed
from proxy.mcp.message import Reading
from proxy.mcp.quick import Quick
from proxy.mcp.reader import Reader
from proxy.model import Deny

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALLOWED = {("tools/call", "read"), ("prompts/get", "greet")}
OPEN = re.compile(r"memory://open/(?!\.{1,2}\Z)[^/\\]*")
RULE = Rule(
    path="/mcp",
    mcp=[
        {"tool": "read"},
        {"tool": "save", "arguments": {"project": "demo"}},
        {"resource": "memory://open/*"},
        {"prompt": "greet"},
    ],
)
OPERATIONS = Operations(RULE, (), {})
NAMES = frozenset({"project"})
READER, QUICK = Reader(NAMES), Quick(NAMES)

# ---- bodies --------------------------------------------------------------------------------------------------

_KEYS = ["jsonrpc", "id", "method", "params", "name", "uri", "arguments", "_meta", "ref", "project"]
_METHODS = ["tools/call", "resources/read", "prompts/get", "ping", "initialize", "Tools/Call"]
_TARGETS = ["read", "delete", "save", "greet", "memory://open/a", "memory://closed/a", "demo", "other"]


def _spellings(key: str) -> st.SearchStrategy[str]:
    """A key as JSON text, almost always as it is."""
    quoted = json.dumps(key)
    twins = [
        quoted.upper(),
        quoted.capitalize(),
        json.dumps(key.title()),
        f'"\\u{ord(key[0]):04x}{key[1:]}"',
        f'"{key}\\u0000"',
        f'"{key}\\u0000x"',
        json.dumps(key.replace("s", "\u017f")),
        json.dumps(key.replace("s", "\u017f"), ensure_ascii=False),
        json.dumps(key.replace("k", "\u212a")),
        f'"{key} "',
    ]
    return st.one_of(st.just(quoted), st.just(quoted), st.just(quoted), st.sampled_from(twins))


_SPACE = st.sampled_from(["", "", "", " ", "\n", "\t \r\n"])
_SCALARS = st.sampled_from(["1", '"1"', "null", "true", "1e2", '"2.0"', "[]", "{}", "-0", "1.0"])


def _text(values: list[str]) -> st.SearchStrategy[str]:
    def spelled(value: str) -> st.SearchStrategy[str]:
        escaped = "".join(f"\\u{ord(char):04x}" for char in value)
        return st.sampled_from([json.dumps(value), json.dumps(value), f'"{escaped}"'])

    return st.sampled_from(values).flatmap(spelled)


@st.composite
def _object(
    draw: st.DrawFn, members: st.SearchStrategy[tuple[str, str]], least: list[tuple[str, str]]
) -> str:
    pairs = [*least, *draw(st.lists(members, max_size=2))]
    pairs = draw(st.permutations(pairs)) if draw(st.booleans()) else pairs
    space = draw(_SPACE)
    return f"{{{space}{','.join(f'{space}{key}{space}:{space}{value}' for key, value in pairs)}{space}}}"


@st.composite
def _params(draw: st.DrawFn) -> str:
    value = st.one_of(_text(_TARGETS), _SCALARS)
    key = st.sampled_from(_KEYS).flatmap(_spellings)
    argument = draw(_object(st.tuples(key, value), [(draw(_spellings("project")), draw(_text(_TARGETS)))]))
    least = [(draw(_spellings(draw(st.sampled_from(["name", "uri"])))), draw(_text(_TARGETS)))]
    if draw(st.booleans()):
        least.append((draw(_spellings("arguments")), argument))
    return draw(_object(st.tuples(key, st.one_of(value, st.just(argument))), least))


@st.composite
def _message(draw: st.DrawFn) -> str:
    params = draw(_params())
    value = st.one_of(_text(_METHODS), _SCALARS, st.just(params), _params())
    key = st.sampled_from(_KEYS[:5]).flatmap(_spellings)
    least = [
        (draw(_spellings("jsonrpc")), '"2.0"'),
        (draw(_spellings("method")), draw(_text(_METHODS))),
        (draw(_spellings("params")), params),
    ]
    if draw(st.booleans()):
        least.insert(1, ('"id"', draw(st.sampled_from(["1", '"a"', "null", "1.5"]))))
    return draw(_object(st.tuples(key, value), least))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    text = draw(_message())
    if draw(st.integers(0, 4)) == 0:
        text = f"[{','.join([text, *draw(st.lists(_message(), max_size=2))])}]"
    encoding = draw(st.sampled_from(["utf-8"] * 8 + ["utf-16", "utf-16-le", "utf-8-sig", "latin-1"]))
    data = text.encode(encoding, "replace")
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 2)) :]
    return data


# ---- readers of servers --------------------------------------------------------------------------------------


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _folding(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """As encoding/json of Go: a key fits a field in any case, and the last that fits counts."""
    return {key.casefold(): value for key, value in pairs}


def _folding_first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return _first_wins([(key.casefold(), value) for key, value in pairs])


def _trimming(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """As a reader written in C, to which a key ends at a NUL."""
    return {key.partition("\0")[0]: value for key, value in pairs}


def _read_by(hook: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> Callable[[bytes], Any]:
    # As `json.loads` does: UTF-16 and a mark at the beginning are readings, too.
    return lambda body: json.loads(body, object_pairs_hook=hook)


READINGS: list[tuple[str, Callable[[bytes], Any]]] = [
    ("json, the last counts", json.loads),
    ("orjson", orjson.loads),
    ("the first counts", _read_by(_first_wins)),
    ("case does not count", _read_by(_folding)),
    ("case does not count, the first does", _read_by(_folding_first)),
    ("keys end at a NUL", _read_by(_trimming)),
]


def executed(document: Any) -> Iterator[tuple[str, str, Any]]:
    """What a server does that was given this: method, name, arguments."""
    for message in document if isinstance(document, list) else [document]:
        if not isinstance(message, dict):
            continue
        method, params = message.get("method"), message.get("params")
        key = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}.get(str(method))
        if key is not None and isinstance(params, dict) and isinstance(params.get(key), str):
            yield str(method), params[key], params.get("arguments")


def admitted(body: bytes) -> Reading | None:
    """What the product makes of it, where every operation in it may be performed."""
    read = READER.read(body)
    if isinstance(read, Deny):
        return None
    operations = [operation for message in read.messages for operation in message.operations]
    judged = [OPERATIONS.judge(operation, None) for operation in operations]
    return read if all(isinstance(one, Admitted) for one in judged) else None


def may(method: str, name: str, arguments: Any) -> bool:
    if (method, name) == ("tools/call", "save"):
        return isinstance(arguments, dict) and arguments.get("project") == "demo"
    if method == "resources/read":
        return OPEN.fullmatch(name) is not None
    return (method, name) in ALLOWED


def check(body: bytes) -> bool:
    """Say whether a body was admitted; where it was, no reader may find a refused call in it."""
    if admitted(body) is None:
        return False
    for says, reader in READINGS:
        try:
            document = reader(body)
        except ValueError:
            continue
        for method, name, arguments in executed(document):
            assert may(method, name, arguments), (says, body)
    return True


def check_ways(body: bytes) -> None:
    """The quick way finds what the careful way finds, or nothing."""
    quick = QUICK.read(body)
    if quick is not None:
        try:
            careful = READER.read_carefully(body)
        except Malformed as fault:
            raise AssertionError(f"quick reads what careful refuses: {fault}") from None
        assert careful == Reading((quick,))


_TWIN = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"},"Params":{"name":"delete"}}'
_PLAIN = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"project":"x"}}}'
)


_ADMITTED = [
    ("tools/call", "name", "read", "delete"),
    ("tools/call", "name", "save", "delete"),
    ("resources/read", "uri", "memory://open/a", "memory://closed/a"),
    ("prompts/get", "name", "greet", "plan"),
]


@st.composite
def twins(draw: st.DrawFn) -> bytes:
    """An admitted call, compact or not, in which one key that decides has a twin that asks for what is refused."""
    method, key, target, refused = draw(st.sampled_from(_ADMITTED))
    space = draw(_SPACE)

    def written(members: list[tuple[str, str]], where: str, value: str) -> str:
        own = [(json.dumps(name), said) for name, said in members]
        if doubled == where:
            own.insert(draw(st.integers(0, len(own))), (draw(_spellings(where)), value))
        return f"{{{','.join(f'{space}{name}:{space}{said}' for name, said in own)}}}"

    doubled = draw(st.sampled_from(["method", "params", key, "arguments", "project"]))
    arguments = written([("project", '"demo"')], "project", '"other"')
    other = f'{{"{key}":{json.dumps(refused)}}}'
    params = [(key, json.dumps(target)), ("arguments", arguments)]
    inner = written(params, key, json.dumps(refused))
    if doubled == "arguments":
        inner = written(params, "arguments", '{"project":"other"}')
    outer = [("jsonrpc", '"2.0"'), ("id", "1"), ("method", json.dumps(method)), ("params", inner)]
    if doubled == "method":
        # What the other method asks for has to be refused, whatever it is called with.
        return written(outer, "method", '"tools/call"' if key == "uri" else '"resources/read"').encode()
    return written(outer, "params", other).encode()


@settings(max_examples=600)
@given(twins())
def test_a_twin_of_a_key_that_decides(body: bytes) -> None:
    check(body)
    check_ways(body)


@settings(max_examples=200)
@given(bodies())
@example(_TWIN)
@example(_PLAIN)
def test_nothing_that_is_admitted_calls_what_is_refused_in_any_reading(body: bytes) -> None:
    check(body)
    check_ways(body)


COMPACT = [
    _PLAIN,
    b'{"jsonrpc":"2.0","id":"a","method":"resources/read","params":{"uri":"memory://open/a"}}',
    b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"save","arguments":{"project":"demo"}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"traceparent":"00-x"}}}',
]


@settings(max_examples=500)
@given(st.sampled_from(COMPACT), st.data())
def test_bytes_that_are_changed(body: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        piece = data.draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b'"', b"{", b"}", b",", b":", b"\\"]))
        )
        body = body[:at] + piece + body[at + data.draw(st.integers(0, 3)) :]
    check(body)
    check_ways(body)


def test_bodies_are_admitted_often_enough_to_say_something() -> None:
    assert check(_PLAIN)
    assert all(QUICK.read(body) is not None for body in COMPACT)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None)
@given(bodies())
def test_nothing_that_is_admitted_calls_what_is_refused_at_length(body: bytes) -> None:
    check(body)
    check_ways(body)
