"""Sealed sessions: who can open what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.mcp.sessions import LONGEST, Seals, digest
from proxy.model import Identity

KEY, OTHER_KEY = "k" * 32, "l" * 32
RESOURCE, UPSTREAM = "https://mcp.example.com/mcp", "http://127.0.0.1:8000"
SEALS = Seals([KEY], RESOURCE, UPSTREAM)
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
VALUE = b"0f8fad5b-d9cb-469f-a165-70867728950e"


def agent(id: str, issuer: str = "https://issuer.example", **more: Any) -> Identity:  # noqa: A002 - as the field
    return Identity(id, issuer, (), (), {}, 0.0, **more)


AGENT = agent("agent-1")
SEALED = SEALS.seal("session", VALUE, AGENT)

OPENS = [
    pytest.param(SEALS, AGENT, id="the agent itself"),
    pytest.param(SEALS, agent("agent-1", token_id="2", name="x"), id="the agent with another token"),
    pytest.param(Seals([KEY], RESOURCE, UPSTREAM), AGENT, id="another process with the key"),
    pytest.param(
        Seals([OTHER_KEY, KEY], RESOURCE, UPSTREAM), AGENT, id="a process that seals with a newer key"
    ),
]


@pytest.mark.parametrize(("seals", "identity"), OPENS)
def test_who_can_open(seals: Seals, identity: Identity) -> None:
    assert seals.open("session", SEALED, identity) == VALUE


REFUSED = [
    pytest.param(SEALS, agent("agent-2"), id="another agent"),
    pytest.param(SEALS, agent("Agent-1"), id="an agent in another case"),
    pytest.param(
        SEALS, agent("agent-1", "https://issuer.example/"), id="another issuer's agent of the same name"
    ),
    pytest.param(
        SEALS, agent("example" + "agent-1", "https://issuer."), id="the same letters, parted elsewhere"
    ),
    pytest.param(SEALS, None, id="nobody"),
    pytest.param(Seals([OTHER_KEY], RESOURCE, UPSTREAM), AGENT, id="another key"),
    pytest.param(Seals([KEY + "k"], RESOURCE, UPSTREAM), AGENT, id="a longer key"),
    pytest.param(Seals([KEY], RESOURCE + "2", UPSTREAM), AGENT, id="another resource"),
    pytest.param(Seals([KEY], RESOURCE, "http://127.0.0.1:8001"), AGENT, id="another upstream"),
    pytest.param(
        Seals([KEY], RESOURCE + "h", UPSTREAM[1:]), AGENT, id="resource and upstream parted elsewhere"
    ),
]


@pytest.mark.parametrize(("seals", "identity"), REFUSED)
def test_who_cannot_open(seals: Seals, identity: Identity | None) -> None:
    assert seals.open("session", SEALED, identity) is None


def test_a_seal_is_for_one_purpose() -> None:
    assert SEALS.open("endpoint", SEALED, AGENT) is None
    endpoint = SEALS.seal("endpoint", b"/messages/?session_id=1", AGENT)
    assert SEALS.open("session", endpoint, AGENT) is None
    assert SEALS.open("endpoint", endpoint, AGENT) == b"/messages/?session_id=1"


def test_nobody_is_not_an_agent_without_a_name() -> None:
    nameless = agent("", "")
    assert SEALS.open("session", SEALS.seal("session", VALUE, None), None) == VALUE
    assert SEALS.open("session", SEALS.seal("session", VALUE, None), nameless) is None
    assert SEALS.open("session", SEALS.seal("session", VALUE, nameless), None) is None


def test_the_first_key_seals() -> None:
    both = Seals([OTHER_KEY, KEY], RESOURCE, UPSTREAM)
    assert (
        Seals([OTHER_KEY], RESOURCE, UPSTREAM).open("session", both.seal("session", VALUE, AGENT), AGENT)
        == VALUE
    )
    assert SEALS.open("session", both.seal("session", VALUE, AGENT), AGENT) is None


def test_one_session_has_one_sealed_name_for_each_agent() -> None:
    assert SEALS.seal("session", VALUE, AGENT) == SEALED
    assert SEALS.seal("session", VALUE, agent("agent-2")) != SEALED
    assert VALUE not in SEALED


def test_a_seal_is_stable_across_versions() -> None:
    # Sessions outlive an upgrade only where this stays as it is.
    assert SEALED == b"3qaZCkFU1MRChg4s6WghLMrDTN-qJ6yBxA4igUJOW9njYYDFHeQ9q6QWo1pAVREMpsSzGg"


def test_any_flipped_bit_breaks_it() -> None:
    for i in range(len(SEALED) * 8):
        broken = bytearray(SEALED)
        broken[i // 8] ^= 1 << i % 8
        assert SEALS.open("session", bytes(broken), AGENT) is None


FOREIGN = [
    pytest.param(b"", id="nothing"),
    pytest.param(VALUE, id="the upstream's own id"),
    pytest.param(SEALED[:-1], id="one character less"),
    pytest.param(SEALED[1:], id="without its first character"),
    pytest.param(SEALED[:21], id="shorter than a tag"),
    pytest.param(SEALED + b"A", id="one character more"),
    pytest.param(SEALED + b"AAAA", id="three bytes more"),
    pytest.param(SEALED + b"=", id="padded"),
    pytest.param(SEALED + b"====", id="padded more"),
    pytest.param(SEALED + b"\n", id="with a line end"),
    pytest.param(b" " + SEALED, id="with a space before it"),
    pytest.param(SEALED[:8] + b"." + SEALED[8:], id="with a character that is no base64"),
    pytest.param(SEALED[:8] + b"\xff" + SEALED[8:], id="with a byte that is no ASCII"),
    pytest.param(SEALED + b", " + SEALED, id="twice"),
    pytest.param(b"A" * 4096, id="nonsense of the greatest length"),
    pytest.param(b"A" * 4097, id="nonsense over the bound"),
]


@pytest.mark.parametrize("sealed", FOREIGN)
def test_what_was_not_sealed_here(sealed: bytes) -> None:
    assert SEALS.open("session", sealed, AGENT) is None


@pytest.mark.parametrize(
    "value", [b"ab", b"abcd", b"abc"], ids=["no bits over", "2 bits over", "4 bits over"]
)
def test_a_seal_has_one_spelling(value: bytes) -> None:
    sealed = SEALS.seal("session", value, AGENT)
    spellings = [sealed[:-1] + bytes([last]) for last in ALPHABET]
    assert [s for s in spellings if SEALS.open("session", s, AGENT) is not None] == [sealed]


def test_the_alphabets_are_not_mixed() -> None:
    sealed = next(s for i in range(99) if b"-" in (s := SEALS.seal("session", b"%d" % i, AGENT)))
    assert SEALS.open("session", sealed, AGENT) is not None
    assert SEALS.open("session", sealed.replace(b"-", b"+"), AGENT) is None


def test_the_longest_value_that_can_be_sealed() -> None:
    sealed = SEALS.seal("session", b"x" * LONGEST, AGENT)
    assert len(sealed) == 4096
    assert SEALS.open("session", sealed, AGENT) == b"x" * LONGEST
    assert SEALS.open("session", SEALS.seal("session", b"x" * (LONGEST + 1), AGENT), AGENT) is None


_NAMES = st.text(st.characters(exclude_categories=()), max_size=20)


@given(st.binary(min_size=1, max_size=100), _NAMES, _NAMES, _NAMES, _NAMES)
def test_what_is_sealed_for_one_opens_for_that_one_alone(
    value: bytes, name: str, issuer: str, other_name: str, other_issuer: str
) -> None:
    sealed = SEALS.seal("session", value, agent(name, issuer))
    assert sealed.translate(None, ALPHABET) == b""
    assert SEALS.open("session", sealed, agent(name, issuer)) == value
    same = (name, issuer) == (other_name, other_issuer)
    assert (SEALS.open("session", sealed, agent(other_name, other_issuer)) == value) is same


def test_the_log_names_a_session_by_a_digest() -> None:
    assert digest(b"abc") == "ba7816bf8f01cfea"
