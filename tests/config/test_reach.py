"""Inclusion of patterns: a table, and an obvious matcher run over every short path."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.patterns import compatible, segments
from proxy.config.reach import Paths, leaves

TABLE = [
    pytest.param("/a", ["/a"], False, id="the same literal"),
    pytest.param("/a/", ["/a"], False, id="a trailing slash makes no difference"),
    pytest.param("/a", ["/A"], True, id="another case"),
    pytest.param("/a", ["/ab"], True, id="a longer literal"),
    pytest.param("/ab", ["/a"], True, id="a shorter literal"),
    pytest.param("/a", [], True, id="nothing before it"),
    pytest.param("/a/b", ["/a/**"], False, id="** over anything below"),
    pytest.param("/a", ["/a/**"], False, id="** over its own root"),
    pytest.param("/ab", ["/a/**"], True, id="** is not a prefix of names"),
    pytest.param("/a/**", ["/a"], True, id="a literal does not cover **"),
    pytest.param("/a/**", ["/**"], False, id="** over **"),
    pytest.param("/", ["/**"], False, id="** over the root"),
    pytest.param("/", ["/*"], True, id="* needs a segment"),
    pytest.param("/a", ["/*"], False, id="* over a literal"),
    pytest.param("/a/b", ["/*"], True, id="* stays within a segment"),
    pytest.param("/*", ["/a"], True, id="a literal does not cover *"),
    pytest.param("/ab*c", ["/a*c"], False, id="* over * in a segment"),
    pytest.param("/a*", ["/a*b"], True, id="a narrower *"),
    pytest.param("/*/b", ["/**/b"], False, id="** in front"),
    pytest.param("/**/b", ["/*/b"], True, id="* is one segment, ** any number"),
    pytest.param("/a/**/b", ["/a/b", "/a/*/**/b"], False, id="two patterns that add up"),
    pytest.param("/a/**", ["/a", "/a/*/**"], False, id="a root and all below"),
    pytest.param("/a/**", ["/a/b/**", "/a/c/**"], True, id="two branches are not all"),
    pytest.param("/**", ["/*", "/*/**"], True, id="all but the root"),
    pytest.param("/**", ["/", "/*", "/*/**"], False, id="all, in parts"),
    pytest.param("/a/**/**", ["/a/**"], False, id="** twice is ** once"),
]


@pytest.mark.parametrize(("pattern", "others", "expected"), TABLE)
def test_leaves(pattern, others, expected):
    assert leaves(pattern, Paths(others)) is expected


def test_a_search_without_end_counts_as_leaving_something():
    others = [f"/{'*'.join(letters)}*" for letters in product("abcd", repeat=4)]
    assert leaves("/*a*b*c*d*a*b*c*d*", Paths(others)) is True


def matches(pattern: str, path: tuple[str, ...]) -> bool:
    """Match the obvious way, by trying everything."""
    return _fits(segments(pattern), path)


def _fits(parts: tuple[str, ...], path: tuple[str, ...]) -> bool:
    if not parts:
        return not path
    if parts[0] == "**":
        return any(_fits(parts[1:], path[count:]) for count in range(len(path) + 1))
    expression = ".*".join(map(re.escape, parts[0].split("*")))
    return bool(path) and re.fullmatch(expression, path[0]) is not None and _fits(parts[1:], path[1:])


# Whatever the patterns below can tell apart is told apart by one of these paths.
NAMES = ["a", "b", "z", "ab", "az", "zb", "azb"]
PATHS = [path for size in range(5) for path in product(NAMES, repeat=size)]

segment = st.sampled_from(["a", "b", "*", "**", "a*", "*b", "ab"])
pattern = st.lists(segment, max_size=2).map(lambda parts: "/" + "/".join(parts))


@settings(deadline=None)
@given(pattern, st.lists(pattern, max_size=3))
def test_agrees_with_trying_every_path(one, others):
    left = any(matches(one, path) and not any(matches(each, path) for each in others) for path in PATHS)
    assert leaves(one, Paths(others)) is left


@settings(deadline=None)
@given(pattern, pattern)
def test_incompatible_patterns_share_no_path(one, other):
    if not compatible(one, other):
        assert not any(matches(one, path) and matches(other, path) for path in PATHS)
