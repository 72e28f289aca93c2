"""What property tests draw from: JSON that is odd, members that are changed, honest tokens that are tampered with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from tests.authn.reference import ALPHABET
from tests.support.keys import b64


def tiers(quick: int, long: int) -> pytest.MarkDecorator:
    """Run a property on so many examples; the long tier looks much further."""
    return pytest.mark.parametrize(
        "tier",
        [
            pytest.param(settings(max_examples=quick, deadline=None), id="quick"),
            pytest.param(settings(max_examples=long, deadline=None), id="long", marks=pytest.mark.long),
        ],
    )


# What a member may be in JSON, plain and odd.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, -1, 10**400, 2**63, 1e308, 1e16, -0.0])
    | st.floats()
    | st.text()
    | st.sampled_from(["", "\0", "\ud800", "\udc00", "\u202e", "\N{GRINNING FACE}", "a\r\nX-Agent-Id: root"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ABSENT = object()

TYPES: list[Any] = [
    *("JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT", "none", "None", ""),
    *("application/", "application/application/jwt", "dpop+jwt", "logout+jwt", "oauth-id-jag+jwt"),
    *("secevent+jwt", "id_token", " JWT", "JWT\0", ["JWT"]),
]
"""What `typ` may say."""


def changes(known: dict[str, list[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    """A few members, each of a value that is likely to matter, or of any, or left out."""
    one = [
        st.tuples(st.just(name), st.sampled_from(values) | st.just(ABSENT) | ANYTHING)
        for name, values in known.items()
    ]
    return st.lists(st.one_of(*one, st.tuples(st.text(), ANYTHING)), max_size=most).map(dict)


def changed(whole: dict[str, Any], by: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in {**whole, **by}.items() if value is not ABSENT})


# What is done to an honest token or proof. Each makes of its bytes, and another's, something else.

Change = Callable[[bytes, bytes], bytes]

PLACES = st.integers(0, 10_000)
BYTES = st.integers(0, 255)
LETTERS = st.sampled_from(ALPHABET.encode())


def flipped(at: int, bit: int) -> Change:
    def change(token: bytes, _: bytes) -> bytes:
        place = at % len(token)
        return token[:place] + bytes([token[place] ^ 1 << bit]) + token[place + 1 :]

    return change


def spliced(at: int, cut: int, put: bytes) -> Change:
    """Insert, delete and replace."""

    def change(token: bytes, _: bytes) -> bytes:
        place = at % (len(token) + 1)
        return token[:place] + put + token[place + cut :]

    return change


def taken(which: tuple[bool, bool, bool]) -> Change:
    """Take some of the three parts from the other token."""

    def change(token: bytes, other: bytes) -> bytes:
        pairs = zip(token.split(b"."), other.split(b"."), which, strict=False)
        return b".".join(theirs if swap else ours for ours, theirs, swap in pairs)

    return change


def reordered(order: tuple[int, ...]) -> Change:
    def change(token: bytes, _: bytes) -> bytes:
        parts = token.split(b".")
        return b".".join(parts[at % len(parts)] for at in order)

    return change


def respelled(which: int, how: str) -> Change:
    """Write a part's very bytes in another base64."""

    def change(token: bytes, _: bytes) -> bytes:
        parts = token.split(b".")
        part = parts[which % len(parts)].decode("latin-1")
        stray = part[:-1] + ALPHABET[(ALPHABET.find(part[-1:]) + 1) % 64] if part else "A"
        spelled = {
            "padded": part + "=" * (-len(part) % 4 or 4),
            "plain": part.replace("-", "+").replace("_", "/"),
            "broken": part[:9] + "\n" + part[9:],
            "junk": "!" + part,
            "stray": stray,
            "longer": part + "A",
        }
        parts[which % len(parts)] = spelled[how].encode("latin-1")
        return b".".join(parts)

    return change


def recoded(which: int, at: int, byte: int) -> Change:
    """Change a byte of what a part means, and write that as it should be."""

    def change(token: bytes, _: bytes) -> bytes:
        parts = token.split(b".")
        bits = "".join(f"{max(0, ALPHABET.find(chr(one))):06b}" for one in parts[which % len(parts)])
        meant = [int(bits[place : place + 8], 2) for place in range(0, len(bits) // 8 * 8, 8)] or [0]
        meant[at % len(meant)] = byte
        parts[which % len(parts)] = b64(bytes(meant)).encode()
        return b".".join(parts)

    return change


CHANGES = st.one_of(
    st.builds(flipped, PLACES, st.integers(0, 7)),
    st.builds(spliced, PLACES, st.integers(0, 3), st.binary(max_size=3)),
    st.builds(spliced, PLACES, st.integers(0, 1), LETTERS.map(lambda one: bytes([one]))),
    st.builds(spliced, PLACES, st.integers(0, 400), st.just(b"")),
    st.builds(taken, st.tuples(st.booleans(), st.booleans(), st.booleans())),
    st.builds(reordered, st.lists(st.integers(0, 2), max_size=5).map(tuple)),
    st.builds(
        respelled,
        st.integers(0, 2),
        st.sampled_from(["padded", "plain", "broken", "junk", "stray", "longer"]),
    ),
    st.builds(recoded, st.integers(0, 2), PLACES, BYTES),
)
MUTATIONS = st.lists(CHANGES, min_size=1, max_size=3)


def mutated(token: bytes, other: bytes, by: list[Change]) -> bytes:
    for change in by:
        token = change(token, other) or b"."
    return token
