from __future__ import annotations

import pytest

from proxy.authz import Hosts
from proxy.config import Config

RESOURCE = "https://MCP.example.com/mcp"
LISTED = ["other.example.com", "exact.example.com:443", "my_service", "[fd00::1]", "10.0.0.7"]


def hosts(listen="127.0.0.1:8080", resource=RESOURCE, listed=()):
    return Hosts(
        Config.model_validate(
            {
                "listen": listen,
                "upstream": "http://127.0.0.1:8000",
                "resource": resource,
                "hosts": listed,
                "rules": [{"path": "/**", "public": True}],
            }
        )
    )


ANYWHERE = "0.0.0.0:8080"

ALLOWED = [
    pytest.param(b"mcp.example.com", True, id="the resource's host"),
    pytest.param(b"MCP.Example.COM", True, id="in another case"),
    pytest.param(b"mcp.example.com:443", True, id="with its port"),
    pytest.param(b"mcp.example.com:8080", True, id="with any port"),
    pytest.param(b"other.example.com", True, id="a listed host"),
    pytest.param(b"other.example.com:1", True, id="a listed host with any port"),
    pytest.param(b"exact.example.com:443", True, id="a listed host and port"),
    pytest.param(b"exact.example.com", False, id="without the listed port"),
    pytest.param(b"exact.example.com:8443", False, id="with another than the listed port"),
    pytest.param(b"my_service", True, id="an underscore, as container networks use it"),
    pytest.param(b"10.0.0.7:8080", True, id="a listed address"),
    pytest.param(b"[fd00::1]:8080", True, id="a listed IPv6 address"),
    pytest.param(b"[FD00:0:0::1]", True, id="another spelling of the same address"),
    pytest.param(b"[fd00::2]", False, id="another IPv6 address"),
    pytest.param(b"fd00::1", False, id="IPv6 without brackets"),
    pytest.param(b"", False, id="no host"),
    pytest.param(b"example.com", False, id="the host above"),
    pytest.param(b"x.mcp.example.com", False, id="a host below"),
    pytest.param(b"mcp.example.com.evil.example", False, id="the host as a prefix"),
    pytest.param(b"evilmcp.example.com", False, id="the host as a suffix"),
    pytest.param(b"mcp.example.com.", False, id="a final dot"),
    pytest.param(b"mcp.example.com.:443", False, id="a final dot before the port"),
    pytest.param(b"user@mcp.example.com", False, id="userinfo"),
    pytest.param(b"mcp.example.com@evil.example", False, id="the host as userinfo"),
    pytest.param(b"mcp.example.com:443@evil.example", False, id="host and port as userinfo"),
    pytest.param(b"mcp.example.com:", False, id="an empty port"),
    pytest.param(b"mcp.example.com:65536", False, id="a port out of range"),
    pytest.param(b"mcp.example.com:44x", False, id="a port that is no number"),
    pytest.param(b"mcp.example.com:+443", False, id="a signed port"),
    pytest.param(b"mcp.example.com:443:443", False, id="two ports"),
    pytest.param(b"mcp.example.com/", False, id="a slash"),
    pytest.param(b"mcp.example.com\\", False, id="a backslash"),
    pytest.param(b"mcp.example.com?", False, id="a query"),
    pytest.param(b"mcp.example.com#", False, id="a fragment"),
    pytest.param(b"mcp.example.com, mcp.example.com", False, id="two hosts"),
    pytest.param(b"mcp.example.com ", False, id="a space"),
    pytest.param(b"mcp.example.com\n", False, id="a line feed"),
    pytest.param(b"mcp.example.com\x00", False, id="NUL"),
    pytest.param(b"mcp%2eexample.com", False, id="percent-encoding"),
    pytest.param("mcp.example.c\u043em".encode(), False, id="a Cyrillic letter"),
    pytest.param("\uff4dcp.example.com".encode(), False, id="a fullwidth letter"),
    pytest.param(b"*", False, id="an asterisk"),
    pytest.param(b"localhost", False, id="a loopback name where others can connect"),
    pytest.param(b"127.0.0.1:8080", False, id="a loopback address where others can connect"),
]

LOOPBACK = [
    pytest.param(b"localhost", True, id="localhost"),
    pytest.param(b"LocalHost:8080", True, id="localhost in another case, with a port"),
    pytest.param(b"127.0.0.1", True, id="127.0.0.1"),
    pytest.param(b"127.0.0.1:8080", True, id="127.0.0.1 with a port"),
    pytest.param(b"127.8.9.10", True, id="another address of 127.0.0.0/8"),
    pytest.param(b"[::1]:8080", True, id="IPv6 loopback"),
    pytest.param(b"[0:0:0:0:0:0:0:1]", True, id="another spelling of it"),
    pytest.param(b"mcp.example.com", True, id="the resource's host"),
    pytest.param(b"127.1", False, id="a short form"),
    pytest.param(b"127.0.0.01", False, id="a leading zero"),
    pytest.param(b"2130706433", False, id="an address as one number"),
    pytest.param(b"0x7f000001", False, id="an address in hexadecimal"),
    pytest.param(b"0.0.0.0", False, id="the unspecified address"),
    pytest.param(b"[::]", False, id="the unspecified IPv6 address"),
    pytest.param(b"128.0.0.1", False, id="an address outside 127.0.0.0/8"),
    pytest.param(b"localhost.", False, id="a final dot"),
    pytest.param(b"x.localhost", False, id="a name below localhost"),
    pytest.param(b"localhost.evil.example", False, id="localhost as a prefix"),
    pytest.param(b"127.0.0.1.evil.example", False, id="an address as a prefix"),
    pytest.param(b"evil.example", False, id="a name that resolves to loopback, for all we know"),
    pytest.param(b"[::1", False, id="half a bracket"),
    pytest.param(b"", False, id="no host"),
]


@pytest.mark.parametrize(("host", "allowed"), ALLOWED)
def test_named_hosts(host, allowed):
    known = hosts(ANYWHERE, listed=LISTED)
    assert [known.allowed(host), known.allowed(host)] == [allowed, allowed]


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:8080", "[::1]:8080", "localhost:8080", "unix:/run/keystile.sock"]
)
@pytest.mark.parametrize(("host", "allowed"), LOOPBACK)
def test_where_only_this_machine_can_connect(listen, host, allowed):
    assert hosts(listen).allowed(host) is allowed


ORIGINS = [
    pytest.param(b"https://mcp.example.com", True, id="the resource's host"),
    pytest.param(b"https://MCP.example.com:8443", True, id="in another case, on any port"),
    pytest.param(b"http://mcp.example.com", True, id="over http"),
    pytest.param(b"https://exact.example.com", True, id="the listed port, which https goes without"),
    pytest.param(b"http://exact.example.com", False, id="http, which has another port"),
    pytest.param(b"http://exact.example.com:443", True, id="the listed port over http"),
    pytest.param(b"https://exact.example.com:8443", False, id="another than the listed port"),
    pytest.param(b"https://[fd00::1]:8080", True, id="a listed IPv6 address"),
    pytest.param(b"https://[fd00::2]", False, id="another IPv6 address"),
    pytest.param(b"https://evil.example", False, id="another host"),
    pytest.param(b"https://mcp.example.com.evil.example", False, id="the host as a prefix"),
    pytest.param(b"https://evil.example#mcp.example.com", False, id="the host in a fragment"),
    pytest.param(b"https://mcp.example.com@evil.example", False, id="the host as userinfo"),
    pytest.param(b"https://evil.example\\.mcp.example.com", False, id="a backslash"),
    pytest.param(b"https://mcp.example.com/", False, id="a path"),
    pytest.param(b"https://mcp.example.com?", False, id="a query"),
    pytest.param(b"https://mcp.example.com.", False, id="a final dot"),
    pytest.param(b"https://mcp.example.com https://evil.example", False, id="two origins"),
    pytest.param(b"https://mcp.example.com:", False, id="an empty port"),
    pytest.param(b"mcp.example.com", False, id="no scheme"),
    pytest.param(b"ftp://mcp.example.com", False, id="another scheme"),
    pytest.param(b"chrome-extension://mcp.example.com", False, id="a browser extension"),
    pytest.param(b"null", False, id="null"),
    pytest.param(b"", False, id="nothing"),
    pytest.param(b"https://", False, id="no host"),
    pytest.param(b"https://mcp.example.com\xff", False, id="no ASCII"),
    pytest.param(b"http://localhost", False, id="loopback where others can connect"),
]


@pytest.mark.parametrize(("origin", "known"), ORIGINS)
def test_origins(origin, known):
    assert hosts(ANYWHERE, listed=LISTED).has_origin(origin) is known


def test_pages_of_this_machine_where_only_it_can_connect():
    assert hosts().has_origin(b"http://localhost:3000")
    assert hosts().has_origin(b"http://[::1]:3000")
    assert not hosts().has_origin(b"http://evil.example:3000")


def test_loopback_alone_where_nothing_is_named():
    known = hosts(resource=None)
    assert known.allowed(b"localhost")
    assert not known.allowed(b"mcp.example.com")


def test_random_hosts_do_not_fill_the_memory():
    known = hosts()
    for number in range(3000):
        known.allowed(b"h%d.example.com" % number)
    assert len(known._memo) <= 1024
    before = len(known._memo)
    assert not known.allowed(b"h" * 300)
    assert len(known._memo) == before
