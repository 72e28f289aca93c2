"""Patterns of names and URIs: tables, and an obvious matcher run over every short text."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import globs
from proxy.config.faults import UnfitError

MATCHES = [
    pytest.param("a", "a", True, id="a literal"),
    pytest.param("a", "A", False, id="another case"),
    pytest.param("a", "ab", False, id="a longer text"),
    pytest.param("a*", "a", True, id="* is nothing"),
    pytest.param("a*", "a/b\nc", True, id="* is a slash and a line end"),
    pytest.param("*", "", True, id="* is the empty text"),
    pytest.param("a?c", "a/c", True, id="? is any character"),
    pytest.param("a?c", "ac", False, id="? is one character"),
    pytest.param("a*b*c", "a-b-b-c", True, id="* twice"),
    pytest.param("a*b*c", "a-c-b", False, id="* in order"),
    pytest.param("*ab", "aab", True, id="* tries again"),
    pytest.param("a.c", "abc", False, id="a dot is a dot"),
    pytest.param("[a]", "a", False, id="brackets are brackets"),
    pytest.param("a|b", "a", False, id="a bar is a bar"),
    pytest.param("a**?", "ab", True, id="stars beside one another"),
]


@pytest.mark.parametrize(("glob", "text", "expected"), MATCHES)
def test_matches(glob, text, expected):
    assert (globs.compiled([glob]).fullmatch(text) is not None) is expected


def test_one_of_several_patterns_is_enough():
    assert globs.compiled(["a", "b*"]).fullmatch("bc")
    assert not globs.compiled(["a", "b*"]).fullmatch("ac")


def test_no_text_makes_a_pattern_slow():
    assert not globs.compiled(["*a*a*a*a*a*a*a*a*a*b"]).fullmatch("a" * 5000)


COVERS = [
    pytest.param("a", "a", True, id="the same literal"),
    pytest.param("a", "A", False, id="another case"),
    pytest.param("a*", "ab*c", True, id="a wider *"),
    pytest.param("ab*c", "a*", False, id="a narrower *"),
    pytest.param("*", "?", True, id="* over ?"),
    pytest.param("?", "*", False, id="? is not over *"),
    pytest.param("a?", "ab", True, id="? over a letter"),
    pytest.param("a*c*", "abcd", True, id="* twice"),
    pytest.param("*b", "a*b", True, id="* in front"),
    pytest.param("*b", "b*", False, id="* at the other end"),
]


@pytest.mark.parametrize(("general", "special", "expected"), COVERS)
def test_names_that_cover_one_another(general, special, expected):
    assert globs.covers(globs.name(general), globs.name(special)) is expected


URI_COVERS = [
    pytest.param("m://**", "m://a/*", True, id="** over *"),
    pytest.param("m://*", "m://a/b", False, id="* stops at a slash"),
    pytest.param("m://*", "m://a?", True, id="* over ?"),
    pytest.param("m://*", "m://**", False, id="* is not over **"),
    pytest.param("m://a?b", "m://a/b", False, id="? is no slash"),
    pytest.param("**", "m://?/*", True, id="** alone"),
    pytest.param("*://**", "m://a", True, id="any scheme"),
]


@pytest.mark.parametrize(("general", "special", "expected"), URI_COVERS)
def test_uris_that_cover_one_another(general, special, expected):
    assert globs.covers(globs.uri(general), globs.uri(special)) is expected


# Whatever the patterns below can tell apart is told apart by one of these texts.
TEXTS = ["".join(chars) for size in range(6) for chars in product("ab/", repeat=size)]
glob = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "?"]), max_size=4).map("".join)


def name_matched(pattern: str) -> set[str]:
    """Match names by an expression written from the definition alone."""
    expression = re.compile(pattern.replace("*", ".*").replace("?", "."))
    return {text for text in TEXTS if expression.fullmatch(text)}


def uri_matched(pattern: str) -> set[str]:
    expression = re.sub(r"\*\*+|\*|\?", lambda wild: {"*": "[^/]*", "?": "[^/]"}.get(wild[0], ".*"), pattern)
    return {text for text in TEXTS if re.fullmatch(expression, text)}


@settings(deadline=None)
@given(glob)
def test_compiled_patterns_match_what_they_say(pattern):
    expression = globs.compiled([pattern])
    assert {text for text in TEXTS if expression.fullmatch(text)} == name_matched(pattern)


@pytest.mark.parametrize(("read", "matched"), [(globs.name, name_matched), (globs.uri, uri_matched)])
@settings(deadline=None)
@given(one=glob, other=glob)
def test_agrees_with_trying_every_text(read, matched, one, other):
    first, second = matched(one), matched(other)
    if globs.covers(read(one), read(other)):
        assert first >= second
    # Two patterns of four parts that meet do so in eight characters at most; in five where one is short.
    if first & second:
        assert globs.meet(read(one), read(other))
    elif len(one) + len(other) <= 5:
        assert not globs.meet(read(one), read(other))


MEET = [
    pytest.param("a*", "*b", True, id="ends that fit"),
    pytest.param("a*", "b*", False, id="beginnings that do not"),
    pytest.param("*a", "*b", False, id="ends that do not"),
    pytest.param("a?c", "abc", True, id="? and a letter"),
    pytest.param("", "*", True, id="nothing at all"),
]


@pytest.mark.parametrize(("one", "other", "expected"), MEET)
def test_names_that_meet(one, other, expected):
    assert globs.meet(globs.name(one), globs.name(other)) is expected


URIS = [
    "memory://**",
    "**",
    "*",
    "*://a/**",
    "file:///Home/*",
    "m://a/B",
    "m://a/...",
    "m://a/.b",
    "m://a/x?y=/../z",
    "m://a#/../B",
    "**//A",
    "m://*/%C3%A9",
    "m://a/%20",
    "m://a?B",
    "urn:Ab:c",
    "m://User@a/b",
    "m://%C3%A9/a",
    "m://ü",
]


@pytest.mark.parametrize("uri", URIS)
def test_takes(uri):
    assert globs.check_uri(uri) == uri


CHARACTER = "a character that no admitted URI contains"
CASE = "a scheme or host in upper case, which no admitted URI has"
DOT = "a dot segment, which no admitted URI has"
ENCODED = "an encoded slash, backslash or plain character, which no admitted URI has"
REFUSED = [
    pytest.param("", CHARACTER, id="nothing"),
    pytest.param("m://a b", CHARACTER, id="a space"),
    pytest.param("m://a\\b", CHARACTER, id="a backslash"),
    pytest.param("m://a\nb", CHARACTER, id="a line end"),
    pytest.param("m://a\x7f", CHARACTER, id="a delete"),
    pytest.param("m://{id}", CHARACTER, id="a template"),
    pytest.param('m://"a"', CHARACTER, id="quotes"),
    pytest.param("Memory://a", CASE, id="a scheme in upper case"),
    pytest.param("URN:a", CASE, id="a scheme without a host"),
    pytest.param("m://Host/a", CASE, id="a host in upper case"),
    pytest.param("*://hosT/a", CASE, id="a host behind any scheme"),
    pytest.param("m://user@Host/a", CASE, id="a host behind a name"),
    pytest.param("m://a/../b", DOT, id="a dot segment"),
    pytest.param("m://a/.", DOT, id="a dot at the end"),
    pytest.param("**/../b", DOT, id="a dot segment behind **"),
    pytest.param("m://a/b%2Fc", ENCODED, id="an encoded slash"),
    pytest.param("m://a/b%2fc", ENCODED, id="in lower case"),
    pytest.param("m://a/%5c", ENCODED, id="an encoded backslash"),
    pytest.param("m://a/%2e%2E", ENCODED, id="encoded dots"),
    pytest.param("m://a/%41", ENCODED, id="an encoded letter"),
    pytest.param("m://a/%7e", ENCODED, id="an encoded tilde"),
    pytest.param("m://a/%30", ENCODED, id="an encoded digit"),
]


@pytest.mark.parametrize(("uri", "problem"), REFUSED)
def test_refuses(uri, problem):
    with pytest.raises(UnfitError) as raised:
        globs.check_uri(uri)
    assert raised.value.problem == problem
