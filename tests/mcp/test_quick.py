"""The quick way to read a message finds what the careful way finds, or leaves the body to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.mcp import Reader, Reading
from proxy.mcp.careful import Malformed
from proxy.mcp.quick import Quick

NAMES = frozenset({"project", "level", "a.b"})
QUICK, READER = Quick(NAMES), Reader(NAMES)

# What the clients of the SDKs send: these are to be quick.
COMPACT = [
    pytest.param(b'{"jsonrpc":"2.0","id":1,"method":"ping"}', id="a request without params"),
    pytest.param(
        b'{"method":"tools/list","params":{},"jsonrpc":"2.0","id":0}', id="another order, as in TypeScript"
    ),
    pytest.param(b'{"jsonrpc":"2.0","method":"notifications/initialized"}', id="a notification"),
    pytest.param(b'{"jsonrpc":"2.0","id":"a","method":"prompts/get","params":{"name":"p"}}', id="a prompt"),
    pytest.param(
        b'{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"m://a"}}', id="a resource"
    ),
    pytest.param(
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"project":"p","x":"a\\n\\"b"}}}',
        id="a tool with arguments",
    ),
    pytest.param(
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a.b":1},"_meta":{"progressToken":1,'
        b'"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}}}',
        id="a tool of 2026-07-28",
    ),
]

_VERSION, _CLIENT = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientInfo"
_TEXTS = st.sampled_from(
    [
        '""',
        '"x"',
        '"\x7f"',
        '"\\u0000"',
        '"\\ud800"',
        '"\u00e9"',
        '"\\"project\\""',
        '"project"',
        '"name"',
        '"a\\/b"',
    ]
)
_NUMBERS = st.sampled_from(
    ["0", "-1", "1.50", "1e999", "1e-999", "9" * 30, "9" * 5000, "01", "-", "NaN", "true", "null"]
)
_PLAIN = st.one_of(
    _TEXTS, _NUMBERS, st.sampled_from(["[]", "{}", '["project"]', '{"project":1,"PROJECT":2}'])
)


@st.composite
def _keys(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    """A key as JSON text: mostly one of the names as it is, else as some reader takes it for one."""
    name = draw(st.sampled_from(names))
    spellings = [
        name,
        name,
        name,
        name.upper(),
        f"{name}\\u0000",
        f"\\u{ord(name[0]):04x}{name[1:]}",
        f"{name} ",
    ]
    return f'"{draw(st.sampled_from([*spellings, name.replace("/", chr(92) + "/"), f"{name}x"]))}"'


def _objects(names: tuple[str, ...], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(_keys(names), values).map(":".join), max_size=3)
    return members.map(lambda pairs: f"{{{','.join(pairs)}}}")


_CLIENTS = _objects(("name", "version"), _PLAIN)
_METAS = _objects((_VERSION, _CLIENT, "traceparent", "x"), st.one_of(_TEXTS, _CLIENTS, _PLAIN))
_ARGUMENTS = _objects((*NAMES, "x"), _PLAIN)
_METHODS = st.sampled_from(
    [
        "tools/call",
        "prompts/get",
        "resources/read",
        "resources/subscribe",
        "completion/complete",
        "subscriptions/listen",
        "tasks/get",
        "initialize",
        "ping",
        "",
        "x\x7f",
    ]
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Compact as a rule: it is the short cut that is to be met."""
    params = []
    for key, values in (("name", _TEXTS), ("uri", _TEXTS), ("arguments", _ARGUMENTS), ("_meta", _METAS)):
        if draw(st.booleans()):
            params.append(f"{draw(_keys((key,)))}:{draw(values)}")
    members = ['"jsonrpc":"2.0"', f'"method":"{draw(_METHODS)}"']
    if draw(st.booleans()):
        members.append(f'"id":{draw(st.one_of(_TEXTS, _NUMBERS))}')
    if draw(st.booleans()):
        members.append(f'"params":{{{",".join(draw(st.permutations(params)))}}}')
    if draw(st.integers(0, 9)) == 0:
        members.append(f"{draw(_keys(('method', 'params', 'result', 'x')))}:{draw(_PLAIN)}")
    return f"{{{','.join(draw(st.permutations(members)))}}}".encode()


def agree(body: bytes) -> bool:
    """Say whether the quick way read a body; where it did, the careful way reads the same."""
    quick = QUICK.read(body)
    if quick is None:
        return False
    try:
        careful = READER.read_carefully(body)
    except Malformed as fault:
        raise AssertionError(f"quick reads what careful refuses: {fault}") from None
    assert careful == Reading((quick,))
    return True


@pytest.mark.parametrize("body", COMPACT)
def test_what_clients_send_is_read_the_quick_way(body: bytes) -> None:
    assert agree(body)


@settings(max_examples=600, deadline=None)
@given(bodies())
def test_the_quick_way_reads_as_the_careful_way(body: bytes) -> None:
    agree(body)
