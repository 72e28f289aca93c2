from __future__ import annotations

import pytest

from proxy.config import patterns
from proxy.config.faults import UnfitError

WRITTEN = [
    "/",
    "/a",
    "/a/",
    "/a/**",
    "/**",
    "/**/a",
    "/a/**/b",
    "/a*",
    "/*.json",
    "/a/*/b*c",
    "/...a",
    "/über",
    "/a b",
    "/a;b",
]


@pytest.mark.parametrize("pattern", WRITTEN)
def test_takes(pattern):
    assert patterns.check(pattern) == pattern


REFUSED = [
    "",
    "a",
    "*",
    "**",
    "//",
    "/a//b",
    "/a//",
    "/.",
    "/..",
    "/a/../b",
    "/a/./b",
    "/...",
    "/a/. ./b",
    "/ /a",
]
REFUSED += [
    "/a**",
    "/**a",
    "/***",
    "/a/**b/c",
    "/a%20",
    "/%",
    "/a?",
    "/a?b=c",
    "/a#b",
    "/a\\b",
    "/a\n",
    "/\0",
    "/\x85",
]


@pytest.mark.parametrize("pattern", [pytest.param(pattern, id=repr(pattern)) for pattern in REFUSED])
def test_refuses(pattern):
    with pytest.raises(UnfitError):
        patterns.check(pattern)


SEGMENTS = [
    ("/", ()),
    ("/a", ("a",)),
    ("/a/", ("a",)),
    ("/a/**/b", ("a", "**", "b")),
    ("/**/", ("**",)),
]


@pytest.mark.parametrize(("pattern", "parts"), SEGMENTS)
def test_splits_at_slashes(pattern, parts):
    assert patterns.segments(pattern) == parts
