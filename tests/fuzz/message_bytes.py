"""JSON-RPC messages as bytes: calls that are admitted, in which something says something else to some reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fuzz.frame import hurt, often, some

if TYPE_CHECKING:
    from random import Random

_KEYS = ["jsonrpc", "id", "method", "params", "name", "uri", "arguments", "_meta", "ref", "project"]
_ADMITTED = [
    *(("tools/call", "name", "read"), ("tools/call", "name", "read"), ("tools/call", "name", "save")),
    *(("resources/read", "uri", "memory://open/a"), ("prompts/get", "name", "greet")),
]
_METHODS = [
    "tools/call",
    "resources/read",
    "prompts/get",
    "ping",
    "initialize",
    "Tools/Call",
    "tasks/get",
    "tools/list",
]
_TARGETS = [
    "read",
    "save",
    "greet",
    "memory://open/a",
    "delete",
    "memory://closed/a",
    "memory://open/../closed/a",
    "Read",
    "read\0",
    "",
]
_SCALARS = [
    "1",
    '"1"',
    "null",
    "true",
    "1e2",
    '"2.0"',
    "[]",
    "{}",
    "-0",
    "1.0",
    '"demo"',
    "1e999",
    "NaN",
    "01",
    '"\\ud800"',
    "[[]]",
]
_SPACES = [""] * 20 + [" "] * 5 + ["\n", "\t \r\n", "\u00a0", "/**/"]
_ENCODINGS = ["utf-8"] * 30 + ["utf-16", "utf-16-le", "utf-8-sig", "latin-1", "utf-32"]
_PIECES = [
    *(
        b'"',
        b"{",
        b"}",
        b",",
        b":",
        b"\\",
        b"\\u0000",
        b"\x00",
        b"[",
        b"]",
        b"\xff",
        b"\xc0\x80",
        b"\xef\xbb\xbf",
        b"//",
        b"\n",
        b"e9",
    ),
    *(
        b'"name":"delete",',
        b'"method":"tools/call",',
        b'"params":{"name":"delete"},',
        b',"Name":"delete"',
        b'{"a":1}',
        b"[" * 40,
    ),
]


def body(random: Random) -> bytes:
    text = _message(random)
    if often(random, 0.1):
        text = f"[{','.join([text, *(_message(random) for _ in range(random.randrange(3)))])}]"
    data = text.encode(random.choice(_ENCODINGS), "replace")
    return hurt(random, data, _PIECES) if often(random, 0.25) else data


def _message(random: Random) -> str:
    method, key, target = random.choice(_ADMITTED)
    if often(random, 0.15):
        method = random.choice(_METHODS)
    if often(random, 0.15):
        target = random.choice(_TARGETS)
    params = [(key, _text(random, target))]
    if often(random, 0.5):
        arguments = [("project", _text(random, random.choice(("demo", "demo", "other"))))]
        params.append(("arguments", _object(random, arguments)))
    members = [("jsonrpc", '"2.0"'), ("method", _text(random, method)), ("params", _object(random, params))]
    if often(random, 0.9):
        members.insert(1, ("id", random.choice(("1", "2", '"a"', '"b"', "1.5", "null", "{}"))))
    return _object(random, members)


def _object(random: Random, members: list[tuple[str, str]]) -> str:
    """Its members, some of them with a twin that says something else, some spelled in another way, in any order."""
    said = [(json.dumps(key), value) for key, value in members]
    if often(random, 0.05):
        at = random.randrange(len(said))
        said[at] = (_spelled(random, members[at][0]), said[at][1])
    if often(random, 0.15):
        key = random.choice([key for key, _ in members] + some(random, _KEYS, 1))
        said.insert(random.randint(0, len(said)), (_spelled(random, key), _value(random)))
    if often(random, 0.1):
        random.shuffle(said)
    space = random.choice(_SPACES)
    return f"{{{space}{','.join(f'{space}{key}{space}:{space}{value}' for key, value in said)}{space}}}"


def _value(random: Random) -> str:
    if often(random, 0.3):
        return random.choice(_SCALARS)
    if often(random, 0.3):
        return f'{{"{random.choice(("name", "uri", "project"))}":{_text(random, random.choice(_TARGETS))}}}'
    return _text(random, random.choice((*_TARGETS, *_METHODS)))


def _text(random: Random, value: str) -> str:
    if often(random, 0.05):
        return '"' + "".join(f"\\u{ord(one):04x}" for one in value) + '"'
    return json.dumps(value).replace("/", "\\/") if often(random, 0.05) else json.dumps(value)


def _spelled(random: Random, key: str) -> str:
    """A key as some reader takes it for this one."""
    quoted = json.dumps(key)
    return random.choice(
        (
            *(
                quoted,
                quoted.upper(),
                json.dumps(key.title()),
                json.dumps(key.swapcase()),
                f'"\\u{ord(key[0]):04x}{key[1:]}"',
            ),
            *(
                f'"{key}\\u0000"',
                f'"{key}\\u0000x"',
                f'"{key} "',
                f'"\\ufeff{key}"',
                f'"{key}\\u200b"',
                f"'{key}'",
                key,
            ),
            *(
                json.dumps(key.replace("s", "\u017f")),
                json.dumps(key.replace("k", "\u212a")),
                json.dumps(key.replace("i", "\u0131")),
            ),
            json.dumps(key.replace("s", "\u017f"), ensure_ascii=False),
        )
    )
