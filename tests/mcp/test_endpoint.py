"""Where the `endpoint` event of HTTP with SSE leads, and how a client names it."""

from __future__ import annotations

import pytest

from proxy.mcp.endpoint import Endpoints, sealed_endpoint, told

ENDPOINTS = Endpoints(["http://127.0.0.1:8000", "https://mcp.example.com"])

RESOLVED = [
    pytest.param(b"/messages/?session_id=1", b"/messages/?session_id=1", id="an absolute path"),
    pytest.param(b"message?sessionId=1", b"/a/message?sessionId=1", id="a relative path"),
    pytest.param(b"../message", b"/message", id="a path that goes up"),
    pytest.param(b"../../../message", b"/message", id="a path that goes up too far"),
    pytest.param(b"./b/../c", b"/a/c", id="dot segments"),
    pytest.param(b"?sessionId=1", b"/a/sse?sessionId=1", id="a query"),
    pytest.param(b"/m?a=/../b&c=%2f", b"/m?a=/../b&c=%2f", id="a query is not touched"),
    pytest.param(b"/m?a=1#part", b"/m?a=1", id="a fragment is the client's"),
    pytest.param(b"http://127.0.0.1:8000/m?a=1", b"/m?a=1", id="the upstream's own URL"),
    pytest.param(b"HTTP://127.0.0.1:8000/m", b"/m", id="a scheme in another case"),
    pytest.param(b"http://127.0.0.1:8000", b"/", id="the upstream's root"),
    pytest.param(b"http://127.0.0.1:8000?a=1", b"/?a=1", id="the upstream's root with a query"),
    pytest.param(b"//127.0.0.1:8000/m", b"/m", id="the upstream's host alone"),
    pytest.param(b"https://mcp.example.com/m", b"/m", id="another name of it"),
    pytest.param(b"https://MCP.example.com:443/m", b"/m", id="another name of it, spelled out"),
    pytest.param(b"/" + b"x" * 3055, b"/" + b"x" * 3055, id="the longest"),
]


@pytest.mark.parametrize(("uri", "path"), RESOLVED)
def test_a_uri_of_the_upstream_is_resolved(uri: bytes, path: bytes) -> None:
    assert ENDPOINTS.resolved(uri, b"/a/sse?x=/y/z") == path


FOREIGN = [
    pytest.param(b"http://127.0.0.1:8001/m", id="another port"),
    pytest.param(b"http://127.0.0.1/m", id="another port by default"),
    pytest.param(b"https://127.0.0.1:8000/m", id="another scheme"),
    pytest.param(b"http://mcp.example.com/m", id="the scheme of another name"),
    pytest.param(b"http://evil.example/m", id="another host"),
    pytest.param(b"//evil.example/m", id="another host, by a path"),
    pytest.param(b"//evil.example", id="another host alone"),
    pytest.param(b"///evil.example/m", id="three slashes, which browsers read as two"),
    pytest.param(b"http:///evil.example/m", id="no host"),
    pytest.param(b"http:evil", id="a scheme before a relative path"),
    pytest.param(b"javascript:alert(1)", id="another scheme without a host"),
    pytest.param(b"file:///m", id="a file"),
    pytest.param(b"/\\evil.example/m", id="a backslash, which browsers read as a slash"),
    pytest.param(b"http://user@127.0.0.1:8000/m", id="userinfo"),
    pytest.param(b"http://127.0.0.1:8000@evil.example/m", id="a host as userinfo"),
    pytest.param(b"http://127.0.0.1:80000/m", id="a port out of range"),
    pytest.param(b"http://[::1/m", id="half a bracket"),
    pytest.param(b"/.//evil.example/m", id="two slashes once resolved"),
    pytest.param(b"", id="nothing"),
    pytest.param(b" /m", id="a space before it"),
    pytest.param(b"/m n", id="a space within"),
    pytest.param(b"/m\nn", id="two lines"),
    pytest.param(b"/m\tn", id="a tab, which browsers leave out"),
    pytest.param(b"/m\x00", id="a NUL"),
    pytest.param("/ä".encode(), id="no ASCII"),
    pytest.param(b'{"uri":"/m"}', id="JSON"),
    pytest.param(b"/" + b"x" * 3056, id="too long to be sealed"),
]


@pytest.mark.parametrize("uri", FOREIGN)
def test_what_leads_elsewhere_is_not_resolved(uri: bytes) -> None:
    assert ENDPOINTS.resolved(uri, b"/a/sse") is None


TARGETS = [
    pytest.param(b"/sse?endpoint=abc-_09", b"abc-_09", id="the sealed URI"),
    pytest.param(b"/?endpoint=A", b"A", id="at the root"),
    pytest.param(b"/sse", None, id="no query"),
    pytest.param(b"/sse?", None, id="an empty query"),
    pytest.param(b"/sse?endpoint=", None, id="an empty parameter"),
    pytest.param(b"/sse?endpoint", None, id="a parameter without a value"),
    pytest.param(b"/sse?endpoint=a&endpoint=b", None, id="the parameter twice"),
    pytest.param(b"/sse?endpoint=a&x=b", None, id="another parameter behind it"),
    pytest.param(b"/sse?x=b&endpoint=a", None, id="another parameter before it"),
    pytest.param(b"/sse?Endpoint=a", None, id="another case"),
    pytest.param(b"/sse?endpoin%74=a", None, id="an escape in its name"),
    pytest.param(b"/sse?endpoint=%61", None, id="an escape in its value"),
    pytest.param(b"/sse?endpoint=a=", None, id="padding"),
    pytest.param(b"/sse?endpoint=a?endpoint=b", None, id="a second question mark"),
    pytest.param(b"/sse?endpoint=a\n", None, id="a line end"),
    pytest.param(b"/endpoint=a", None, id="the parameter in the path"),
]


@pytest.mark.parametrize(("target", "sealed"), TARGETS)
def test_the_sealed_uri_in_a_target(target: bytes, sealed: bytes | None) -> None:
    assert sealed_endpoint(target) == sealed


def test_a_client_is_told_the_path_of_its_own_stream() -> None:
    assert told(b"/a/sse?x=/y", b"abc") == b"/a/sse?endpoint=abc"
    assert sealed_endpoint(told(b"/a/sse", b"abc")) == b"abc"
