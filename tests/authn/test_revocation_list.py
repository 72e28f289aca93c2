"""The YAML list: what it may say, where its faults are, and how an entry is added to what people wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.authn.revocation import Revocation
from proxy.authn.revocation_list import entries, extended

READ = [
    pytest.param("[]", [], id="an empty list"),
    pytest.param("- jti: 7d1c\n", [Revocation(jti="7d1c")], id="a token"),
    pytest.param("- jti: 007\n- jti: 1e3\n- jti: true\n", [Revocation(jti="007"), Revocation(jti="1e3"), Revocation(jti="true")], id="what looks like numbers stays text"),
    pytest.param("- jti: 'null'\n", [Revocation(jti="null")], id="null in quotes"),
    pytest.param("- {agent: acc_7, issuer: 'https://i.test', before: 2026-07-01T12:00:00Z}", [Revocation(agent="acc_7", issuer="https://i.test", before=1782907200.0)], id="in braces"),
    pytest.param("# all of them\n- key: k\n  before: 1782907200 # seconds\n", [Revocation(key="k", before=1782907200.0)], id="with comments"),
    pytest.param("- agent: ${HOME}\n", [Revocation(agent="${HOME}")], id="no reference is resolved"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), READ)
def test_reads(text: str, expected: list[Revocation]) -> None:
    assert entries(text) == (expected, [])


FAULTS = [
    pytest.param("", ["the list: not a list; write entries as in - jti: 7d1c, or [] for none"], id="an empty file"),
    pytest.param("# soon\n", ["the list: not a list; write entries as in - jti: 7d1c, or [] for none"], id="comments alone"),
    pytest.param("jti: 7d1c", ["line 1, the list: not a list; write entries as in - jti: 7d1c, or [] for none"], id="a mapping"),
    pytest.param("- jti: a\n- jti: b\n  jti: c", ["line 3, [1].jti: a key written twice; keep one of them"], id="a duplicate key"),
    pytest.param("- &x {jti: a}\n- *x", ["line 1, [0]: a YAML anchor; remove it: aliases are not read", "line 2, [1]: a YAML alias; write the value out: aliases are not read"], id="an alias"),
    pytest.param("- !!python/object:os.system {}", ["line 1, [0]: a YAML tag; remove it: the key decides what its value is"], id="a tag"),
    pytest.param("- jti: a\n---\n- jti: b", ["line 2, the list: a second document; keep one document in the file"], id="two documents"),
    pytest.param("- jti: a\n-\n", ["line 2, [1]: not a mapping; write it as in - jti: 7d1c"], id="an entry that is only begun"),
    pytest.param("- jti: a\n- jti:\n", ["line 2, [1].jti: without a value; write one, or leave the key out"], id="a value that is missing"),
    pytest.param("- jti: a\n  befor: 1", ["line 2, [0].befor: unknown key; choose from jti, agent, key, issuer and before"], id="a misspelt key"),
    pytest.param("- 'a b': 1\n  jti: x", ['line 1, [0]."a b": unknown key; choose from jti, agent, key, issuer and before'], id="a strange key"),
    pytest.param(f"- {'k' * 70}: 1\n  jti: x", [f'line 1, [0]."{"k" * 64}": unknown key; choose from jti, agent, key, issuer and before'], id="a long key"),
    pytest.param("- before: 7\n- jti: x\n  before: soon", ["line 1, [0]: names nothing to revoke; add jti, agent, key or issuer", "line 3, [1].before: not a time; write it as in 2026-07-01T12:00:00Z, or as Unix seconds"], id="two faults at once"),
    pytest.param("[" + "x," * 20_001 + "]", ["line 1, the list: more than 20000 entries, which would not be effective within a second; remove what has expired"], id="too many"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FAULTS)
def test_tells_every_fault_and_its_place(text: str, expected: list[str]) -> None:
    assert [str(fault) for fault in entries(text)[1]] == expected


def test_tells_where_syntax_breaks() -> None:
    (fault,) = entries("- jti: a\n- jti: 'secret")[1]
    assert str(fault).startswith("line 2, the list: not YAML: ")
    assert "secret" not in str(fault)


ITEM = Revocation(jti="12", agent="a b")
BLOCK = '- jti: "12"\n  agent: "a b"\n'

EXTENDED = [
    pytest.param("- jti: a\n", "- jti: a\n" + BLOCK, id="a list"),
    pytest.param("- jti: a", "- jti: a\n" + BLOCK, id="a last line without its end"),
    pytest.param("# why\n\n- jti: a # stolen\n\n# end\n", "# why\n\n- jti: a # stolen\n\n# end\n" + BLOCK, id="comments stay"),
    pytest.param("  - jti: a\n", '  - jti: a\n  - jti: "12"\n    agent: "a b"\n', id="a list that is indented"),
    pytest.param("---\n- jti: a\n", "---\n- jti: a\n" + BLOCK, id="a document that is marked"),
    pytest.param("# none\n[]  # yet\n", "# none\n  # yet\n" + BLOCK, id="an empty list gives way"),
    pytest.param("[]", "\n" + BLOCK, id="an empty list and no line's end"),
    pytest.param("[ # none yet\n]\n", '[ # none yet\n {jti: "12", agent: "a b"}]\n', id="an empty list with a comment in it"),
    pytest.param("[{jti: a}]\n# x", '[{jti: a}, {jti: "12", agent: "a b"}]\n# x', id="in brackets"),
    pytest.param("[{jti: 'é['},\n]\n", '[{jti: \'é[\'},\n {jti: "12", agent: "a b"}]\n', id="in brackets with a last comma"),
    pytest.param("- jti: a\n...\n", None, id="nothing goes after the end of a document"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), EXTENDED)
def test_one_entry_more_and_all_else_as_it_was(text: str, expected: str | None) -> None:
    assert extended(text, ITEM) == expected


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.sampled_from(["[]", "- jti: a", "[{jti: a}]"]), _TEXT, st.integers(0, 10**11 - 1))
def test_whatever_an_id_is_it_can_be_written(text: str, agent: str, seconds: int) -> None:
    entry = Revocation(agent=agent, before=float(seconds))
    longer = extended(text, entry)
    assert longer is not None
    assert entries(longer) == ([*entries(text)[0], entry], [])
