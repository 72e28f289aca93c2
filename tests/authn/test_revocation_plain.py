"""The quick reading of a list: it says what the slow one says, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.authn.revocation import MAX_ENTRIES, Revocation
from proxy.authn.revocation_list import placed_entries
from proxy.authn.revocation_plain import plain_entries

PLAIN = [
    pytest.param("[]", [], id="an empty list"),
    pytest.param("- jti: a\n  agent: b\n- key: 1e3\n", [Revocation(jti="a", agent="b"), Revocation(key="1e3")], id="as people write it"),
    pytest.param('- jti: "null"\n  before: 1782907200\n', [Revocation(jti="null", before=1782907200.0)], id="as it is written for them"),
    pytest.param('---\n# old\n[{"jti": "a"}, {issuer: \'b c\'}] # new\n', [Revocation(jti="a"), Revocation(issuer="b c")], id="in brackets, with comments"),
    pytest.param("- jti: a\n" * MAX_ENTRIES, [Revocation(jti="a")] * MAX_ENTRIES, id="as long as it may be"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PLAIN)
def test_reads_what_has_nothing_odd_in_it(text: str, expected: list[Revocation]) -> None:
    assert plain_entries(text) == expected


ODD = [
    pytest.param("", id="an empty text"),
    pytest.param("jti: a", id="a mapping"),
    pytest.param("- a", id="a text in place of an entry"),
    pytest.param("- jti: a\n- jti: b\n  jti: c", id="a key twice"),
    pytest.param("- befor: 7\n  jti: a", id="an unknown key"),
    pytest.param("- before: 7", id="no name"),
    pytest.param("- jti: a\n  before: soon", id="no time"),
    *(
        pytest.param(f"- jti: a\n- jti: {value}", id=f"the value {value}")
        for value in ("", "~", "null", "''")
    ),
    *(pytest.param(f"- jti: {value}", id=f"in place of text {value}") for value in ("[a]", "{a: b}")),
    *(pytest.param(f"{mark} [{{jti: a}}]", id=f"a list with {mark}") for mark in ("&x", "!!seq", "!")),
    *(pytest.param(f"- {mark} {{jti: a}}", id=f"an entry with {mark}") for mark in ("&x", "!!map", "!")),
    *(pytest.param(f"- jti: {mark} a", id=f"a value with {mark}") for mark in ("&x", "!!str", "!")),
    *(pytest.param(f"- {mark} jti: a", id=f"a key with {mark}") for mark in ("&x", "!!str", "!")),
    pytest.param("- &x {jti: a}\n- *x", id="an alias"),
    pytest.param("- jti: a\n---\n- jti: b", id="two documents"),
    pytest.param("- jti: a\n- jti: 'b", id="no YAML at the end"),
    pytest.param("- jti: a\n# \x00", id="a character that is none"),
    pytest.param("- jti: a\n" * (MAX_ENTRIES + 1), id="longer than it may be"),
]


@pytest.mark.parametrize("text", ODD)
def test_leaves_the_rest_to_the_slow_reading(text: str) -> None:
    assert plain_entries(text) is None


LINES = [
    *("- jti: a", "  agent: b c", "  before: 7", "- key: 'null'", "- issuer: https://i.test # why", "", "# c"),
    *("  jti: b", "- jti: null", "- jti: ~", "- jti:", "-", "  before: x", "- jti: *x", "- &x jti: a", "  ! key: k"),
    *("- jti: &x a", "- jti: !!str a", "- ? jti\n  : a", "- jti: |\n    a", "- {jti: a, agent: b}", "- [jti, a]"),
    *("[", "]", ",", "{jti: a}", "'", '"', "---", "...", "%YAML 1.1", "%TAG ! tag:x,2000:", "\t", "\ufeff", "\x85"),
]  # fmt: skip


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=5), max_size=6).map("\n".join))
@example("- jti: a\n  agent: b c\n- issuer: https://i.test # why")
def test_never_says_anything_else_than_the_slow_reading(text: str) -> None:
    plain = plain_entries(text)
    assert plain is None or (plain, []) == placed_entries(text)
