from __future__ import annotations

import pytest

from proxy.config.document import Plain, core, parse, placed

TREES = [
    pytest.param("a: b", {"a": "b"}, id="text"),
    pytest.param(
        "a: on\nb: 22:22\nc: 1e3\nd: 0o7\ne: 2024-01-01",
        {"a": "on", "b": "22:22", "c": "1e3", "d": "0o7", "e": "2024-01-01"},
        id="what YAML 1.1 reads otherwise",
    ),
    pytest.param(
        "a: ~\nb: null\nc:\nd: 'null'", {"a": None, "b": None, "c": None, "d": "null"}, id="nothing"
    ),
    pytest.param("a: [x, {b: c}]", {"a": ["x", {"b": "c"}]}, id="lists and mappings"),
    pytest.param("<<: {a: b}", {"<<": {"a": "b"}}, id="no merge key"),
    pytest.param("a: |\n  x\n  y\n", {"a": "x\ny\n"}, id="a block of text"),
    pytest.param("'1': a\n\"true\": b", {"1": "a", "true": "b"}, id="quoted keys"),
    pytest.param("", None, id="an empty file"),
    pytest.param("# nothing\n", None, id="comments alone"),
    pytest.param("---\na: b\n...\n", {"a": "b"}, id="one marked document"),
]


@pytest.mark.parametrize(("text", "tree"), TREES)
def test_reads(text, tree):
    document = parse(text)
    assert (document.tree, document.slips) == (tree, [])


SLIPS = [
    pytest.param("a: b\na: c", [(("a",), "a key written twice", 2)], id="a duplicate key"),
    pytest.param(
        "a:\n  b: 1\n  'b': 2", [(("a", "b"), "a key written twice", 3)], id="a duplicate in quotes"
    ),
    pytest.param(
        "a: &x b\nc: *x", [(("a",), "a YAML anchor", None), (("c",), "a YAML alias", None)], id="an alias"
    ),
    pytest.param("&x a: b", [(("?",), "a YAML anchor", None)], id="an anchor on a key"),
    pytest.param("a: !!int 5", [(("a",), "a YAML tag", None)], id="a tag"),
    pytest.param(
        "a: !!python/object:os.system []", [(("a",), "a YAML tag", None)], id="a tag that makes objects"
    ),
    pytest.param("x: y\n5: a", [((), "a key that is not text", 2)], id="a number as key"),
    pytest.param("true: a", [((), "a key that is not text", 1)], id="a truth value as key"),
    pytest.param("~: a", [((), "a key that is not text", 1)], id="nothing as key"),
    pytest.param("? [a, b]\n: c", [((), "a key that is not text", 1)], id="a list as key"),
    pytest.param("${X}: c", [((), "a reference in a key", 1)], id="a reference as key"),
    pytest.param("a: b\n---\nc: d", [((), "a second document", 2)], id="a second document"),
    pytest.param(
        "a: \x01", [((), "not YAML: a character that YAML does not allow", None)], id="a control character"
    ),
    pytest.param("[" * 30 + "]" * 30, [((), "nested deeper than 20 levels", None)], id="a deep nest"),
    pytest.param("[" * 100_000, [((), "nested deeper than 20 levels", None)], id="a nest without end"),
]


@pytest.mark.parametrize(("text", "slips"), SLIPS)
def test_tells(text, slips):
    assert [(slip.location, slip.problem, slip.line) for slip in parse(text).slips] == slips


BROKEN = [("a: [b", 1), ("a: b\n\tc: d", 2), ("a: b\nc: 'd", 2), ("a: b: c", 1), ("a: b\nc", 2)]


@pytest.mark.parametrize(("text", "line"), BROKEN)
def test_tells_where_syntax_breaks(text, line):
    (slip,) = parse(text).slips
    assert slip.problem.startswith("not YAML: ")
    assert abs(slip.line - line) <= 1


def test_first_of_two_equal_keys_stays():
    assert parse("a: b\na: {c: d}").tree == {"a": "b"}


def test_every_place_has_its_line():
    lines = parse("a:\n  - b\n  -\n    c: d\ne: {f: g,\n  h: i}").lines
    assert {at: lines[at] for at in [("a",), ("a", 0), ("a", 1, "c"), ("e", "f"), ("e", "h")]} == {
        ("a",): 1,
        ("a", 0): 2,
        ("a", 1, "c"): 4,
        ("e", "f"): 5,
        ("e", "h"): 6,
    }


CORE = [
    ("true", True),
    ("false", False),
    ("5", 5),
    ("-5", -5),
    ("0", 0),
    ("1.50", 1.5),
    ("True", "True"),
    ("yes", "yes"),
    ("05", "05"),
    ("0x5", "0x5"),
    ("1e3", "1e3"),
    ("1_000", "1_000"),
    (".5", ".5"),
    (".nan", ".nan"),
    (".inf", ".inf"),
    ("1" * 400, "1" * 400),
    ("٣", "٣"),
]


@pytest.mark.parametrize(("text", "value"), CORE)
def test_plain_scalars_mean_what_json_means(text, value):
    assert core(Plain(text)) == value
    assert type(core(Plain(text))) is type(value)
    assert core(text) == text


PLACES = [
    pytest.param(("a", 0), {"a": "x"}, ("a",), id="a list that was written as its item"),
    pytest.param(("a", "url"), {"a": "x"}, ("a",), id="a mapping that was written as text"),
    pytest.param(("a", "b"), {"a": {}}, ("a", "b"), id="a key that is missing"),
    pytest.param(("a", "b c", "[key]"), {"a": {"b c": "x"}}, ("a", "b c"), id="a key's own fault"),
    pytest.param(("a", 1), {"a": ["x", "y"]}, ("a", 1), id="an item"),
    pytest.param(
        ("a", "list", 1, "b"),
        {"a": ["x", {"b": "y"}]},
        ("a", 1, "b"),
        id="a mapping that was written as a list",
    ),
]


@pytest.mark.parametrize(("at", "tree", "place"), PLACES)
def test_places_faults_where_they_were_written(at, tree, place):
    assert placed(at, tree) == place
