from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.authz.uri_patterns import compiled, residues
from proxy.config import globs

MATCHES = [
    pytest.param("memory://a", ["memory://a"], ["memory://", "memory://ab", "memory://a/"], id="a literal"),
    pytest.param("memory://a.b", ["memory://a.b"], ["memory://axb"], id="a dot is a dot"),
    pytest.param("memory://*", ["memory://", "memory://a"], ["memory://a/b", "memory:/a"], id="one segment"),
    pytest.param(
        "memory://**", ["memory://", "memory://a/b/c"], ["memory:/a", "xmemory://a"], id="all below"
    ),
    pytest.param(
        "memory://a?", ["memory://ab"], ["memory://a", "memory://a/", "memory://abc"], id="one more"
    ),
    pytest.param("*://a", ["memory://a", "://a"], ["memory://b", "a/b://a"], id="any scheme"),
    pytest.param("**/c", ["memory://a/c", "x/c", "/c"], ["c", "memory://a/xc"], id="everything that ends so"),
    pytest.param("**.md", ["file:///a/b.md", ".md"], ["file:///b.mdx"], id="a final part, across segments"),
    pytest.param("f:///*.md", ["f:///b.md"], ["f:///a/b.md"], id="a final part, in its segment"),
    pytest.param("m://**/x/**", ["m:///x/", "m://a/x/b", "m://a/b/x/"], ["m://a/xb", "m://x"], id="between"),
    pytest.param("m://a**z", ["m://az", "m://a/b/z"], ["m://a", "m://az/"], id="anything between"),
    pytest.param(
        "m://**a*b**c", ["m://xaybc", "m://a/ab/c"], ["m://a/bc"], id="a run that stays in its segment"
    ),
    pytest.param("m://a*b*c", ["m://abc", "m://axbxc"], ["m://ac", "m://ab/c"], id="parts in a row"),
    pytest.param("m://***", ["m://a/b"], ["m:/a"], id="three asterisks are two"),
    pytest.param(
        "db://t(1)+[x]", ["db://t(1)+[x]"], ["db://t11x"], id="what regular expressions read otherwise"
    ),
]


@pytest.mark.parametrize(("pattern", "matching", "other"), MATCHES)
def test_pattern(pattern, matching, other):
    expression = compiled([pattern])
    assert [uri for uri in matching + other if expression.fullmatch(uri)] == matching


def test_any_of_several():
    expression = compiled(["a:1", "b:**"])
    assert [uri for uri in ("a:1", "b:x/y", "a:x", "xb:") if expression.fullmatch(uri)] == ["a:1", "b:x/y"]


def slow(parts, uri):
    """The obvious, slow way."""

    @cache
    def fits(part, char):
        if part == len(parts):
            return char == len(uri)
        here = parts[part]
        may_go = char < len(uri) and (uri[char] != "/" or here == "**")
        if here in ("*", "**"):
            return fits(part + 1, char) or (may_go and fits(part, char + 1))
        return (
            char < len(uri) and (uri[char] == here or (here == "?" and may_go)) and fits(part + 1, char + 1)
        )

    return fits(0, 0)


PATTERNS = st.lists(st.sampled_from(["a", "b", "ab", "/", "*", "**", "?"]), max_size=7).map("".join)
URIS = st.text("ab/", max_size=10)


@given(PATTERNS, URIS)
@settings(deadline=None, max_examples=500)
def test_as_the_slow_way_says(pattern, uri):
    assert (compiled([pattern]).fullmatch(uri) is not None) == slow(globs.uri(pattern), uri)


@given(PATTERNS, URIS, st.integers(0, 10))
@settings(deadline=None, max_examples=300)
def test_what_is_left_matches_the_rest(pattern, uri, cut):
    parts = globs.uri(pattern)
    left = residues(parts, uri[:cut])
    assert any(slow(rest, uri[cut:]) for rest in left) == slow(parts, uri)


LONG = 200_000
ENDLESS = [
    pytest.param("**a*b**", "a", id="a part that never comes"),
    pytest.param("**a*b", "a", id="at the end"),
    pytest.param("**a*b*c**a*b*c", "a/", id="in no segment"),
    pytest.param("a*b*c*d", "ab", id="parts in a row"),
    pytest.param("**?*a*?**b", "aab/", id="one of anything"),
    pytest.param("**aab**aab**aabb", "aab", id="runs in a row"),
]


@pytest.mark.parametrize(("pattern", "again"), ENDLESS)
def test_no_uri_makes_a_pattern_slow(pattern, again):
    # Where each place were tried from each place, this would take minutes.
    assert compiled([pattern]).fullmatch(again * (LONG // len(again))) is None
