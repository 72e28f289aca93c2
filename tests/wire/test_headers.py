"""Header lines by themselves: identity values, and bounds that a table of exchanges cannot reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Config
from proxy.model import Identity, Peer, RequestHead
from proxy.wire.headers import RequestLines, encoded, identity_lines, named_by_connection

ENCODED = [
    pytest.param("acc_7f3k2m9x", "acc_7f3k2m9x", id="plain"),
    pytest.param("a b", "a%20b", id="a space"),
    pytest.param("a,b", "a%2Cb", id="a comma"),
    pytest.param("100%", "100%25", id="a percent sign"),
    pytest.param("a%20b", "a%2520b", id="what is encoded already"),
    pytest.param("J\xfcrgen", "J%C3%BCrgen", id="beyond ASCII"),
    pytest.param("\U0001f511", "%F0%9F%94%91", id="beyond the basic plane"),
    pytest.param("a\r\nX-Agent-Id: b", "a%0D%0AX-Agent-Id:%20b", id="a line end"),
    pytest.param("\x00\x7f", "%00%7F", id="control characters"),
    pytest.param("user@example.com/~*'();=&", "user@example.com/~*'();=&", id="visible marks"),
]


@pytest.mark.parametrize(("value", "expected"), ENCODED)
def test_encoded(value: str, expected: str) -> None:
    assert encoded(value) == expected


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_no_two_values_are_encoded_alike(one: str, other: str) -> None:
    assert (encoded(one) == encoded(other)) is (one == other)
    assert all("!" <= character <= "~" for character in encoded(one))


IDENTITY = Identity("J\xfc,1", "https://issuer.test", ("a", "b"), (), {}, 0.0)
NAMED = Identity(
    "a", "https://issuer.test", (), (), {}, 0.0, name="the agent", audit_url="https://audit.test/a b"
)
ALL = {
    "X-Agent-Id": "id",
    "X-Agent-Scopes": "scopes",
    "X-Agent-Name": "name",
    "X-Agent-Issuer": "issuer",
    "X-Agent-Audit-Url": "audit_url",
}
IDENTITIES = [
    pytest.param(
        {"X-Agent-Id": "id", "X-Agent-Scopes": "scopes"},
        IDENTITY,
        b"X-Agent-Id: J%C3%BC%2C1\r\nX-Agent-Scopes: a b\r\n",
        id="id and scopes",
    ),
    pytest.param({"X-Agent-Scopes": "scopes"}, NAMED, b"X-Agent-Scopes: \r\n", id="no scopes"),
    pytest.param({"X-Agent-Name": "name"}, IDENTITY, b"", id="no name"),
    pytest.param(
        ALL,
        NAMED,
        b"X-Agent-Id: a\r\nX-Agent-Scopes: \r\nX-Agent-Name: the%20agent\r\n"
        b"X-Agent-Issuer: https://issuer.test\r\nX-Agent-Audit-Url: https://audit.test/a%20b\r\n",
        id="everything",
    ),
]


@pytest.mark.parametrize(("headers", "identity", "lines"), IDENTITIES)
def test_identity_lines(headers: dict[str, str], identity: Identity, lines: bytes) -> None:
    assert identity_lines(headers, identity) == lines


CONNECTIONS = [
    pytest.param(b"close", {b"close"}, id="one"),
    pytest.param(b"X-Thing,\tx-other , Close", {b"x-thing", b"x-other", b"close"}, id="several"),
    pytest.param(b"", {b""}, id="none"),
]


@pytest.mark.parametrize(("value", "names"), CONNECTIONS)
def test_named_by_connection(value: bytes, names: set[bytes]) -> None:
    assert named_by_connection(value) == names


def test_names_beyond_what_is_remembered_are_judged_alike() -> None:
    config = Config.model_validate(
        {"upstream": "http://127.0.0.1:1", "hosts": ["edge.test"], "rules": [{"path": "/**", "public": True}]}
    )
    lines = RequestLines(config)
    for number in range(10_000):
        # Each pair is new: one that stays, and one that no client may send.
        sent = ((b"X-%d" % number, b"1"), (b"x_agent_%d" % number, b"1"))
        fields = {name.lower(): value for name, value in sent}
        head = RequestHead("GET", b"/", b"edge.test", sent, fields, frozenset(), Peer("127.0.0.1"))
        assert lines.head(head, b"") == b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX-%d: 1\r\n" % number
    assert len(lines._fates[frozenset()]) < 10_000
