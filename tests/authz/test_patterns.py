from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.authz.patterns import compiled
from tests.support.globs import matches

MATCHES = [
    pytest.param("/mcp", ["/mcp"], ["", "/mc", "/mcpx", "/mcp/x", "/x/mcp", "/MCP"], id="a literal"),
    pytest.param("/mcp/", ["/mcp"], ["/mcp/x"], id="a literal with a trailing slash"),
    pytest.param("/", [""], ["/a"], id="the root"),
    pytest.param("/a.c", ["/a.c"], ["/abc"], id="a dot is a dot"),
    pytest.param("/a+(b)[c]$", ["/a+(b)[c]$"], ["/aab"], id="what regular expressions read otherwise"),
    pytest.param("/*", ["/a", "/a.b"], ["", "/a/b"], id="any one segment"),
    pytest.param("/a/*", ["/a/b"], ["/a", "/a/b/c"], id="any one segment below"),
    pytest.param("/a/*/c", ["/a/b/c"], ["/a/c", "/a/b/b/c", "/a/b"], id="any one segment between"),
    pytest.param("/a*", ["/a", "/ab"], ["/b", "/a/b"], id="a prefix"),
    pytest.param("/*.js", ["/x.js", "/.js"], ["/x.json", "/x/y.js"], id="a suffix"),
    pytest.param(
        "/a*b*c", ["/abc", "/axbxc", "/abcbc", "/abbcc"], ["/acb", "/ab/c", "/abcd"], id="literals in a row"
    ),
    pytest.param("/*a*", ["/a", "/xay"], ["/x"], id="a part"),
    pytest.param("/**", ["", "/a", "/a/b/c"], [], id="everything"),
    pytest.param("/api/**", ["/api", "/api/x", "/api/x/y"], ["", "/apix", "/x/api"], id="everything below"),
    pytest.param(
        "/**/x", ["/x", "/a/x", "/a/b/x", "/x/x"], ["", "/ax", "/x/a"], id="everything that ends so"
    ),
    pytest.param(
        "/a/**/z", ["/a/z", "/a/b/z", "/a/z/z"], ["/a", "/az", "/a/zz", "/a/b"], id="anything between"
    ),
    pytest.param(
        "/**/a/b/**/c", ["/a/b/c", "/a/a/b/x/c", "/a/b/a/b/c"], ["/a/x/b/c", "/ab/c"], id="runs between"
    ),
    pytest.param("/**/a/**/b/**", ["/a/b", "/x/a/y/b/z"], ["/b/a", "/ax/b"], id="runs in a row"),
    pytest.param("/**/a*/**/*b", ["/a/b", "/ax/xb", "/y/a/ab"], ["/ab", "/b/a"], id="wildcards between"),
    pytest.param("/**/**/a", ["/a", "/x/a"], ["/x"], id="the same twice"),
    pytest.param("/a/**/*", ["/a/b", "/a/b/c"], ["/a"], id="one segment at least"),
]


@pytest.mark.parametrize(("pattern", "matching", "other"), MATCHES)
def test_pattern(pattern, matching, other):
    expression = compiled([pattern])
    assert [path for path in matching + other if expression.fullmatch(path)] == matching


def test_any_of_several():
    expression = compiled(["/a", "/b/**"])
    assert [path for path in ("/a", "/b", "/b/c", "/a/c", "/c") if expression.fullmatch(path)] == [
        "/a",
        "/b",
        "/b/c",
    ]


SEGMENT = st.text("ab*", min_size=1, max_size=4).map(lambda text: text.replace("**", "*"))
PATTERNS = st.lists(SEGMENT | st.just("**"), max_size=5).map(lambda parts: "/" + "/".join(parts))
PATHS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=6).map(lambda names: "/" + "/".join(names))


@given(PATTERNS, PATHS)
@settings(deadline=None, max_examples=400)
def test_as_the_slow_way_says(pattern, path):
    matched = compiled([pattern]).fullmatch(path.rstrip("/"))
    assert (matched is not None) == matches(pattern, path)
