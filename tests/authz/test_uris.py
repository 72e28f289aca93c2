"""Resource URIs that have one reading, and those that two servers could read differently."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.authz.uris import canonical_template, canonical_uri, folded
from proxy.model import Reason

CANONICAL = [
    pytest.param("memory://a", id="a scheme of one's own"),
    pytest.param("memory://a/b/c", id="a path"),
    pytest.param("memory://a/b/", id="a final slash"),
    pytest.param("memory://", id="nothing behind the slashes"),
    pytest.param("memory:///a", id="an empty authority"),
    pytest.param("memory:a", id="no slashes"),
    pytest.param("urn:isbn:0451450523", id="a URN"),
    pytest.param("x-memory+v1.0://a", id="digits and signs in a scheme"),
    pytest.param("memory://a/README.md", id="upper case in a path"),
    pytest.param("memory://a/.hidden/..b/c..", id="dots in names"),
    pytest.param("memory://a/b%20c", id="an encoded space"),
    pytest.param("memory://a/b%3Fc", id="an encoded question mark"),
    pytest.param("memory://a/100%25", id="an encoded percent sign"),
    pytest.param("memory://a/b%2Cc", id="an encoded comma"),
    pytest.param("memory://a/caf%C3%A9", id="encoded letters beyond ASCII"),
    pytest.param("memory://a/caf\u00e9", id="letters beyond ASCII"),
    pytest.param("memory://\u30e1\u30e2", id="a host beyond ASCII"),
    pytest.param("memory://a/e\u0301", id="a decomposed letter"),
    pytest.param("memory://a//b", id="an empty segment"),
    pytest.param("memory://a/[id]/x", id="square brackets"),
    pytest.param("memory://a/b;v=1", id="a parameter"),
    pytest.param("memory://a?q=../b&r=1", id="a query, where dots mean nothing"),
    pytest.param("memory://a#b", id="a fragment"),
    pytest.param("postgres://user@db:5432/t", id="userinfo and a port"),
    pytest.param("file:///etc/hosts", id="a file"),
    pytest.param("https://example.com/", id="a web page"),
    pytest.param("https://example.com:8443/a?b=c", id="a web page on its own port"),
    pytest.param("http://127.0.0.1:3000/a", id="an address"),
    pytest.param("http://[::1]:3000/a", id="an IPv6 address"),
    pytest.param("screenshot://https://example.com/a", id="a URI in a URI"),
    pytest.param("memory://" + 2039 * "a", id="of 2048 characters"),
]


@pytest.mark.parametrize("uri", CANONICAL)
def test_one_reading(uri):
    assert canonical_uri(uri) is None


SPACE, CONTROL = "holds a space", "holds a control character"
DOTS, NEEDLESS = "holds a dot segment", "encodes a character that needs no encoding"
SLASH, TWICE = "holds an encoded slash", "is percent-encoded twice"
HOST, WEB = "has a host in upper case", "is no http URL with one reading"
PLACE = "does not write its host and port as they are written everywhere"
LOOKALIKE = "holds a lookalike of / \\ ? # or %"
UPPER, NEVER = "has a scheme in upper case", "holds a character that no URI has"

AMBIGUOUS = [
    pytest.param("", "has no scheme", id="nothing"),
    pytest.param("a", "has no scheme", id="a name"),
    pytest.param("/etc/passwd", "has no scheme", id="a path"),
    pytest.param("//host/a", "has no scheme", id="a host"),
    pytest.param("1a://b", "has no scheme", id="a digit first"),
    pytest.param("m\u0435mory://a", "has no scheme", id="a Cyrillic letter in the scheme"),
    pytest.param("Memory://a", UPPER, id="upper case in the scheme"),
    pytest.param("FILE:///etc", UPPER, id="a scheme in upper case"),
    pytest.param("memory://A", HOST, id="upper case in the host"),
    pytest.param("memory://b/../A", DOTS, id="a dot segment behind a host"),
    pytest.param("memory://user@Host/a", HOST, id="upper case in the host behind userinfo"),
    pytest.param("memory://\u00c9/a", HOST, id="upper case beyond ASCII"),
    pytest.param("memory://%C3%89/a", HOST, id="encoded upper case beyond ASCII"),
    pytest.param("memory://\uff21/a", HOST, id="fullwidth upper case"),
    pytest.param("memory://\u3385/a", HOST, id="a sign for two letters in upper case"),
    pytest.param("memory://a@b@c/d", "holds more than one @ before its host", id="two at signs"),
    pytest.param("memory://a/../b", DOTS, id="two dots"),
    pytest.param("memory://a/./b", DOTS, id="one dot"),
    pytest.param("memory://a/..", DOTS, id="two dots at the end"),
    pytest.param("memory://../a", DOTS, id="two dots for a host"),
    pytest.param("memory:../a", DOTS, id="two dots without slashes"),
    pytest.param("memory:/../a", DOTS, id="two dots at the root"),
    pytest.param("memory://a/..;x/b", DOTS, id="two dots with a parameter"),
    pytest.param("memory://a/.../b", DOTS, id="three dots"),
    pytest.param("memory://a/..%20/b", DOTS, id="two dots and a space"),
    pytest.param("memory://a/%20/b", DOTS, id="a space alone"),
    pytest.param("memory://a/..?b", DOTS, id="two dots before a query"),
    pytest.param("memory://a/%2e%2e/b", NEEDLESS, id="encoded dots"),
    pytest.param("memory://a/.%2E/b", NEEDLESS, id="an encoded dot"),
    pytest.param("memory://a/%61", NEEDLESS, id="an encoded letter"),
    pytest.param("memory://a/%5A", NEEDLESS, id="an encoded upper-case letter"),
    pytest.param("memory://a/%30", NEEDLESS, id="an encoded digit"),
    pytest.param("memory://a/%2D", NEEDLESS, id="an encoded hyphen"),
    pytest.param("memory://a/%5f", NEEDLESS, id="an encoded underscore"),
    pytest.param("memory://a/%7e", NEEDLESS, id="an encoded tilde"),
    pytest.param("memory://a/b%2fc", SLASH, id="an encoded slash"),
    pytest.param("memory://a/b%2Fc", SLASH, id="an encoded slash in upper case"),
    pytest.param("memory://a?p=%2Fc", SLASH, id="an encoded slash in a query"),
    pytest.param("memory://a/b%5cc", "holds an encoded backslash", id="an encoded backslash"),
    pytest.param("memory://a\\b", "holds a backslash", id="a backslash"),
    pytest.param("memory://a/\n", CONTROL, id="a line feed"),
    pytest.param("memory://a/\x00", CONTROL, id="NUL"),
    pytest.param("memory://a/\x7f", CONTROL, id="DEL"),
    pytest.param("memory://a/\x85", CONTROL, id="a control character of Latin-1"),
    pytest.param("mem\tory://a", CONTROL, id="a tab that browsers drop"),
    pytest.param("memory://a/%00", "holds an encoded control character", id="encoded NUL"),
    pytest.param("memory://a/%0A", "holds an encoded control character", id="an encoded line feed"),
    pytest.param("memory://a/%C2%85", "holds an encoded control character", id="one of Latin-1, encoded"),
    pytest.param("memory://a b", SPACE, id="a space"),
    pytest.param(" memory://a", SPACE, id="a space at the begin"),
    pytest.param("memory://a/\u3000", SPACE, id="an ideographic space"),
    pytest.param("memory://a/\u2028", SPACE, id="a line separator"),
    pytest.param("memory://a/{id}", NEVER, id="braces"),
    pytest.param('memory://a/"', NEVER, id="a quote"),
    pytest.param("memory://a/<b>", NEVER, id="angle brackets"),
    pytest.param("file:///C|/x", NEVER, id="a bar for a drive"),
    pytest.param("memory://a/\ud800", "holds half a character", id="a lone surrogate"),
    pytest.param("memory://a/%", "holds a % that begins no percent-encoding", id="a lone percent sign"),
    pytest.param("memory://a/%g0", "holds a % that begins no percent-encoding", id="no hexadecimal digits"),
    pytest.param("memory://a/%u002e", "holds a % that begins no percent-encoding", id="another encoding"),
    pytest.param("memory://a/%FF", "is not UTF-8 when decoded", id="no UTF-8"),
    pytest.param("memory://a/%C0%AF", "is not UTF-8 when decoded", id="an overlong slash"),
    pytest.param("memory://a/%252e", TWICE, id="encoded twice"),
    pytest.param("memory://a/%25u002e", TWICE, id="encoded in two ways"),
    pytest.param("memory://a/\uff0e\uff0e/b", DOTS, id="fullwidth dots"),
    pytest.param("memory://a/%EF%BC%8E%EF%BC%8E/b", DOTS, id="encoded fullwidth dots"),
    pytest.param("memory://a/\u2025/b", DOTS, id="a two-dot leader"),
    pytest.param("memory://a/.\u200b./b", DOTS, id="an invisible character between dots"),
    pytest.param("memory://a/b\uff0fc", LOOKALIKE, id="a fullwidth slash"),
    pytest.param("memory://a/b\uff1fc", LOOKALIKE, id="a fullwidth question mark"),
    pytest.param("memory://a/b\u2100c", LOOKALIKE, id="a sign with a slash in it"),
    pytest.param("http://example.com", "has no path, not even /", id="a web page without a path"),
    pytest.param("https://example.com?q", "has no path, not even /", id="a query without a path"),
    pytest.param("https://example.com:443/a", PLACE, id="a port that goes without saying"),
    pytest.param("http://example.com:080/a", PLACE, id="a port with a leading zero"),
    pytest.param("http://[::0:1]/a", PLACE, id="another spelling of an IPv6 address"),
    pytest.param("http://user@example.com/a", WEB, id="userinfo on the web"),
    pytest.param("http://example.com:/a", WEB, id="an empty port"),
    pytest.param("http://example.com./a", WEB, id="a final dot of a host"),
    pytest.param("http://127.1/a", WEB, id="a short address"),
    pytest.param("http://0x7f000001/a", WEB, id="an address in hexadecimal"),
    pytest.param("http:/example.com/a", WEB, id="one slash"),
    pytest.param("http:example.com/a", WEB, id="no slash"),
    pytest.param("http:///example.com/a", WEB, id="three slashes"),
    pytest.param("http://ex%2Cample.com/a", WEB, id="percent-encoding in a host"),
    pytest.param("file:/etc/hosts", "is no file:///path", id="a file with one slash"),
    pytest.param("memory://a/b\uff052ec", LOOKALIKE, id="a fullwidth percent sign"),
    pytest.param("file://", "is no file:///path", id="a file without a path"),
    pytest.param("file:etc/hosts", "is no file:///path", id="a file with none"),
    pytest.param("file://localhost/etc/hosts", "is no file:///path", id="a file of localhost"),
    pytest.param("file://x/etc/hosts", "is no file:///path", id="a host that readers ignore"),
    pytest.param("file:///etc/hosts?x", "is no file:///path", id="a file with a query"),
    pytest.param("file:///etc/hosts#x", "is no file:///path", id="a file with a fragment"),
    pytest.param("file:///a/x?/../../b", "holds a dot segment", id="dots behind a file's query"),
    pytest.param("memory://a/x?y/../../b", "holds a dot segment", id="dots behind a query"),
    pytest.param("memory://a/x#/../b", "holds a dot segment", id="dots behind a fragment"),
    pytest.param("memory://a/..?b", "holds a dot segment", id="dots before a query"),
    pytest.param(
        "memory://a/e" + "\u0301\u0323" * 16, "stacks marks upon a character", id="a tower of marks"
    ),
    pytest.param("memory://a/" + "\uff9e" * 40, "stacks marks upon a character", id="what becomes marks"),
    pytest.param("memory://" + 2040 * "a", "is longer than 2048 characters", id="too long"),
]


@pytest.mark.parametrize(("uri", "fault"), AMBIGUOUS)
def test_more_than_one_reading(uri, fault):
    deny = canonical_uri(uri)
    assert (deny.reason, deny.detail) == (Reason.OPERATION_REFUSED, f"the resource URI {fault}")


TEMPLATES = [
    pytest.param("memory://{path}", True, id="an expression for a host"),
    pytest.param("memory://a/{id}", True, id="an expression for a name"),
    pytest.param("memory://a/.{id}", True, id="behind a dot"),
    pytest.param("memory://a{?q,r}", True, id="for a query"),
    pytest.param("memory://a", True, id="no expression"),
    pytest.param("file:///{+path}", True, id="for a file's path"),
    pytest.param("https://example.com/{a}/{b}", True, id="on the web"),
    pytest.param("https://{host}/a", True, id="for a host on the web"),
    pytest.param("memory://a/{b}/../{c}", True, id="what stands behind the first is not judged"),
    pytest.param("memory://a/../{id}", False, id="a dot segment before"),
    pytest.param("memory://a/%2f{id}", False, id="an encoded slash before"),
    pytest.param("memory://a/%2{id}", False, id="half an encoding before"),
    pytest.param("Memory://{id}", False, id="a scheme in upper case"),
    pytest.param("memory://A/{id}", False, id="a host in upper case"),
    pytest.param("{uri}", False, id="an expression for all of it"),
    pytest.param("mem{x}", False, id="half a scheme"),
    pytest.param("file://{path}", False, id="for a file's host"),
]


@pytest.mark.parametrize(("template", "canonical"), TEMPLATES)
def test_templates(template, canonical):
    assert (canonical_template(template) is None) == canonical


SAME = [
    pytest.param("memory://a/B", "memory://a/b", id="case"),
    pytest.param("memory://a/b%2Cc", "memory://a/b,c", id="percent-encoding"),
    pytest.param("memory://a/caf%c3%a9", "memory://a/caf\u00e9", id="case of the encoding"),
    pytest.param("file:////etc", "file:///etc", id="empty segments"),
    pytest.param("memory://a/e\u0301", "memory://a/\u00e9", id="Unicode forms"),
    pytest.param("memory://a/b;c", "memory://a/b", id="parameters"),
    pytest.param("memory://a/b.", "memory://a/b", id="a final dot"),
    pytest.param("memory://a/b#c", "memory://a/b", id="a fragment"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_a_lenient_reader_takes_for_the_same(one, other):
    assert folded(one) == folded(other)


TEXTS = st.text(st.sampled_from(list("aA./\\%2eEfF?#:@;{ \x00\u00e9\uff0e\u200b")), max_size=12)


@given(TEXTS)
@settings(deadline=None, max_examples=500)
def test_what_passes_holds_nothing_that_is_refused(text):
    uri = f"memory://{text}"
    if canonical_uri(uri) is None:
        assert not set(uri) & set("\\ {\x00")
        assert not any(encoded in uri.lower() for encoded in ("%2f", "%2e", "%5c"))
        path = uri.replace("\u200b", "").replace("\uff0e", ".").partition("#")[0].partition("?")[0]
        assert not {".", ".."} & set(path.split("/"))
