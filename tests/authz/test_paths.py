from __future__ import annotations

from posixpath import normpath
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.authz import canonical
from proxy.authz.paths import _careful, folded
from proxy.model import Deny, Reason

ACCEPTED = [
    pytest.param(b"/", "/", id="the root"),
    pytest.param(b"/mcp", "/mcp", id="a plain path"),
    pytest.param(b"/mcp/", "/mcp/", id="a trailing slash stays"),
    pytest.param(b"/api/v1/users/12345?limit=10", "/api/v1/users/12345", id="the query is cut off"),
    pytest.param(b"/mcp?", "/mcp", id="an empty query"),
    pytest.param(b"/mcp?a=/../b//%2f%zz;\\&c=?", "/mcp", id="the query has its own syntax"),
    pytest.param(b"/.well-known/x", "/.well-known/x", id="a name that begins with a dot"),
    pytest.param(b"/a/..b/.c./d..", "/a/..b/.c./d..", id="dots beside other characters"),
    pytest.param(b"/%61dmin", "/admin", id="an encoded letter is that letter"),
    pytest.param(b"/a%20b", "/a b", id="an encoded space"),
    pytest.param(b"/100%25", "/100%", id="an encoded percent sign"),
    pytest.param(b"/50%25off", "/50%off", id="a percent sign before no hex digits"),
    pytest.param(b"/caf%C3%A9", "/café", id="encoded UTF-8"),
    pytest.param(b"/cafe%CC%81", "/cafe\u0301", id="decomposed UTF-8 stays as it is"),
    pytest.param(b"/%E6%96%87%E6%9B%B8", "/文書", id="encoded CJK"),
    pytest.param(b"/to%20be%E2%80%A6", "/to be…", id="an ellipsis behind other characters"),
    pytest.param(b"/~u/a-b_c.d!$&'()*+,=:@", "/~u/a-b_c.d!$&'()*+,=:@", id="every RFC 3986 path character"),
    pytest.param(b'/"<>[]^`{|}', '/"<>[]^`{|}', id="visible ASCII that RFC 3986 does not name"),
]

REFUSED = [
    pytest.param(b"", "does not begin", id="nothing"),
    pytest.param(b"*", "does not begin", id="asterisk-form"),
    pytest.param(b"mcp", "does not begin", id="no leading slash"),
    pytest.param(b"?a", "does not begin", id="a query alone"),
    pytest.param(b"http://h/mcp", "does not begin", id="absolute-form"),
    pytest.param(b"%2fmcp", "does not begin", id="an encoded leading slash"),
    pytest.param(b"/.", "dots", id="a single dot at the end"),
    pytest.param(b"/..", "dots", id="two dots at the end"),
    pytest.param(b"/a/./b", "dots", id="a single dot"),
    pytest.param(b"/a/../b", "dots", id="two dots"),
    pytest.param(b"/a/..?q", "dots", id="two dots before the query"),
    pytest.param(b"/a/.../b", "dots", id="three dots alone"),
    pytest.param(b"/a/%2e/b", "dots", id="an encoded dot"),
    pytest.param(b"/a/%2E%2e/b", "dots", id="two encoded dots"),
    pytest.param(b"/a/.%2e/b", "dots", id="a dot and an encoded one"),
    pytest.param(b"/a/%2e./b", "dots", id="an encoded dot and a dot"),
    pytest.param(b"/a/..%20/b", "dots", id="dots before a space, which Windows drops"),
    pytest.param(b"/a/.%20./b", "dots", id="dots around a space"),
    pytest.param(b"/a/%20/b", "dots", id="a space alone"),
    pytest.param(b"//", "empty segment", id="slashes alone"),
    pytest.param(b"//evil.example/mcp", "empty segment", id="a path that reads as an authority"),
    pytest.param(b"/a//b", "empty segment", id="two slashes"),
    pytest.param(b"/a//", "empty segment", id="two slashes at the end"),
    pytest.param(b"/a%2fb", "encoded slash", id="an encoded slash"),
    pytest.param(b"/a%2Fb", "encoded slash", id="an encoded slash in upper case"),
    pytest.param(b"/a%2f..%2fb", "encoded slash", id="encoded slashes around dots"),
    pytest.param(b"/a\\b", "backslash", id="a backslash"),
    pytest.param(b"/a%5cb", "backslash", id="an encoded backslash"),
    pytest.param(b"/a%5C..%5Cb", "backslash", id="an encoded backslash in upper case"),
    pytest.param(b"/a\x00b", "visible ASCII", id="NUL"),
    pytest.param(b"/a b", "visible ASCII", id="a space"),
    pytest.param(b"/a\tb", "visible ASCII", id="a tab"),
    pytest.param(b"/a\x7fb", "visible ASCII", id="DEL"),
    pytest.param(b"/a\r\nb", "visible ASCII", id="a line break"),
    pytest.param(b"/a\n", "visible ASCII", id="a line feed at the end"),
    pytest.param("/é".encode(), "visible ASCII", id="UTF-8 that is not encoded"),
    pytest.param(b"/a?\xe9", "visible ASCII", id="a byte beyond ASCII in the query"),
    pytest.param(b"/a? b", "visible ASCII", id="a space in the query"),
    pytest.param(b"/a%00b", "control", id="an encoded NUL"),
    pytest.param(b"/a%00", "control", id="an encoded NUL at the end"),
    pytest.param(b"/a%0d%0ab", "control", id="an encoded line break"),
    pytest.param(b"/a%09b", "control", id="an encoded tab"),
    pytest.param(b"/a%7fb", "control", id="an encoded DEL"),
    pytest.param(b"/a%c2%85b", "control", id="an encoded C1 control"),
    pytest.param(b"/a%", "percent-encoding", id="a percent sign at the end"),
    pytest.param(b"/a%2", "percent-encoding", id="half a percent-encoding"),
    pytest.param(b"/a%zzb", "percent-encoding", id="a percent-encoding of no hex digits"),
    pytest.param(b"/a%2gb", "percent-encoding", id="one hex digit"),
    pytest.param(b"/a%u002fb", "percent-encoding", id="IIS's own encoding"),
    pytest.param(b"/a%+2b", "percent-encoding", id="a signed number"),
    pytest.param(b"/a%ffb", "UTF-8", id="a byte that is no UTF-8"),
    pytest.param(b"/a%c0%afb", "UTF-8", id="an overlong slash"),
    pytest.param(b"/a%c0%ae%c0%ae/b", "UTF-8", id="overlong dots"),
    pytest.param(b"/a%ed%a0%80b", "UTF-8", id="an encoded surrogate"),
    pytest.param(b"/caf%e9", "UTF-8", id="Latin-1"),
    pytest.param(b"/a%252fb", "twice", id="a slash encoded twice"),
    pytest.param(b"/a%252e%252e/b", "twice", id="dots encoded twice"),
    pytest.param(b"/a%25%32%66b", "twice", id="a slash encoded twice in parts"),
    pytest.param(b"/a%25252fb", "twice", id="a slash encoded three times"),
    pytest.param(b"/%2541dmin", "twice", id="a letter encoded twice"),
    pytest.param(b"/a%25u002fb", "twice", id="IIS's own encoding, encoded"),
    pytest.param(b"/a;b", "parameter", id="a path parameter"),
    pytest.param(b"/a;/b", "parameter", id="an empty path parameter"),
    pytest.param(b"/a%3bb", "parameter", id="an encoded semicolon"),
    pytest.param(b"/a%3Bb", "parameter", id="an encoded semicolon in upper case"),
    pytest.param(b"/a/..;/b", "dots", id="dots before a path parameter"),
    pytest.param(b"/;/b", "empty segment", id="a path parameter alone"),
    pytest.param(b"/a#b", "fragment", id="a fragment"),
    pytest.param(b"/a?b#c", "fragment", id="a fragment behind the query"),
    pytest.param(b"/a%3fb", "encoded ?", id="an encoded question mark"),
    pytest.param(b"/a%23b", "encoded ?", id="an encoded number sign"),
    pytest.param(b"/a%EF%BC%8Fb", "another slash", id="a fullwidth slash"),
    pytest.param(b"/a%E2%84%80b", "another slash", id="a character that holds a slash"),
    pytest.param(b"/a%EF%BC%BCb", "backslash", id="a fullwidth backslash"),
    pytest.param(b"/a/%EF%BC%8E%EF%BC%8E/b", "dots", id="fullwidth dots"),
    pytest.param(b"/a/%E2%80%A5/b", "dots", id="a two dot leader"),
    pytest.param(b"/a/.%E2%80%8D./b", "dots", id="dots around an invisible character"),
    pytest.param(b"/a/%C2%A0/b", "dots", id="a no-break space alone"),
    pytest.param(b"/a/%E2%80%8B/b", "empty segment", id="a zero width space alone"),
    pytest.param(b"/a%EF%BC%85%32%66b", "twice", id="a fullwidth percent sign before hex digits"),
    pytest.param(b"/a%EF%BC%9Fb", "encoded ?", id="a fullwidth question mark"),
]

PARAMETERS = [
    pytest.param(b"/a;b/c", "/a;b/c", id="a path parameter passes"),
    pytest.param(b"/a%3bb", "/a;b", id="so does an encoded one"),
    pytest.param(b"/a/..;b/c", None, id="a dot segment with a parameter"),
    pytest.param(b"/a/%2e%2e;/c", None, id="an encoded dot segment with a parameter"),
    pytest.param(b"/a/;b/c", None, id="a parameter without a segment"),
    pytest.param(b"/a;b%2fc", None, id="an encoded slash in a parameter"),
    pytest.param(b"/a;b/../c", None, id="a dot segment behind a parameter"),
]

FOLDED = [
    pytest.param("/Admin", "/admin", id="case"),
    pytest.param("/admin.", "/admin", id="a dot at the end of a name"),
    pytest.param("/admin. ./x", "/admin/x", id="dots and spaces at the end of a name"),
    pytest.param("/admin;v=1/x;y", "/admin/x", id="path parameters"),
    pytest.param("/admin.;v", "/admin", id="a dot before a path parameter"),
    pytest.param("/ad\u200bmin", "/admin", id="an invisible character"),
    pytest.param("/\uff41\uff44min", "/admin", id="fullwidth letters"),
    pytest.param("/\u212aey", "/key", id="the Kelvin sign"),
    pytest.param("/\u017fecret", "/secret", id="the long s"),
    pytest.param("/stra\u00dfe", "/strasse", id="the sharp s"),
    pytest.param("/cafe\u0301", "/café", id="decomposed letters"),
    pytest.param("/admin\u00a0", "/admin", id="a no-break space at the end of a name"),
    pytest.param("/a.b/c d", "/a.b/c d", id="dots and spaces inside a name stay"),
    pytest.param("/", "/", id="the root"),
]


@pytest.mark.parametrize(("target", "path"), ACCEPTED)
def test_one_reading(target, path):
    assert canonical(target, parameters=False) == path


@pytest.mark.parametrize(("target", "said"), REFUSED)
def test_more_than_one_reading(target, said):
    refused = canonical(target, parameters=False)
    assert isinstance(refused, Deny)
    assert refused.reason is Reason.PATH_AMBIGUOUS
    assert said in refused.detail


@pytest.mark.parametrize(("target", "path"), PARAMETERS)
def test_path_parameters_where_allowed(target, path):
    read = canonical(target, parameters=True)
    assert (None if isinstance(read, Deny) else read) == path


def test_every_byte_plain():
    passing = {byte for byte in range(256) if isinstance(canonical(b"/a%cb" % byte, parameters=False), str)}
    # All of visible ASCII but # % ; \ and the ? that begins the query, the slash making two segments.
    assert bytes(sorted(passing)) == (
        b"!\"$&'()*+,-./0123456789:<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"
    )


def test_every_byte_encoded():
    passing = {
        byte for byte in range(256) if isinstance(canonical(b"/a%%%02xb" % byte, parameters=False), str)
    }
    # %25b has but one hex digit behind it; beyond ASCII no byte alone is UTF-8.
    assert bytes(sorted(passing)) == (
        b" !\"$%&'()*+,-.0123456789:<=>@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"
    )


@pytest.mark.parametrize(("path", "key"), FOLDED)
def test_the_most_lenient_reading(path, key):
    assert folded(path) == key


SYNTAX = [
    "/",
    "//",
    ".",
    "..",
    "%2e",
    "%2F",
    "%5c",
    "\\",
    ";",
    "%3b",
    "?",
    "%3f",
    "#",
    "%23",
    "%00",
    " ",
    "%20",
    "%",
    "%25",
]
TEXT = ["a", "B", "~", "*", ":", "%C3%A9", "%e2%80%8b", "%ef%bc%8e", "%ef%bc%8f", "é"]
PIECES = st.sampled_from(["/", *SYNTAX, *TEXT])
TARGETS = st.lists(PIECES, max_size=12).map("".join).map(lambda text: ("/" + text).encode("latin-1"))


@given(TARGETS | st.binary(max_size=40), st.booleans())
@settings(deadline=None, max_examples=200)
@example(b"/.well-known/", False)
def test_the_short_way_says_what_the_long_way_says(target, parameters):
    assert canonical(target, parameters=parameters) == _careful(target, parameters=parameters)


@given(TARGETS, st.booleans())
@settings(deadline=None, max_examples=200)
def test_what_passes_reads_the_same_to_others(target, parameters):
    path = canonical(target, parameters=parameters)
    if isinstance(path, Deny):
        return
    raw = target.decode().partition("?")[0]
    assert unquote(raw, errors="strict") == path
    assert unquote(path) == path
    assert urlsplit(path).path == path
    # urljoin drops an empty parameter.
    assert parameters or urlsplit(urljoin("http://upstream/", raw)).path == raw
    assert normpath(path) == (path.rstrip("/") or "/")
    without = "/".join(name.partition(";")[0] for name in path.split("/"))
    assert normpath(without) == (without.rstrip("/") or "/")
