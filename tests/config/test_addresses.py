from __future__ import annotations

import pytest

from proxy.config import addresses
from proxy.config.addresses import Target, Url
from proxy.config.faults import UnfitError

READ = [
    pytest.param(
        addresses.url, "https://A.Example", Url("https", "a.example", 443, "", ""), id="a URL in any case"
    ),
    pytest.param(
        addresses.url, "HTTP://a:81/b?c#d", Url("http", "a", 81, "/b", "?c#d"), id="a URL with everything"
    ),
    pytest.param(addresses.url, "https://[::0001]/", Url("https", "::1", 443, "/", ""), id="a URL with IPv6"),
    pytest.param(addresses.place, "MCP.example.com", "mcp.example.com", id="a host in any case"),
    pytest.param(addresses.place, "a_b.local:8443", "a_b.local:8443", id="a host with underscore and port"),
    pytest.param(addresses.place, "[0:0::1]:80", "[::1]:80", id="IPv6 in its one spelling"),
    pytest.param(addresses.place, "a:1", "a:1", id="the first port"),
    pytest.param(addresses.origin, "https://A.Example", "https://a.example", id="an origin in any case"),
    pytest.param(addresses.origin, "HTTPS://a:443", "https://a", id="an origin on its own port"),
    pytest.param(addresses.origin, "http://a:443", "http://a:443", id="an origin on another port"),
    pytest.param(addresses.origin, "http://[0::1]:6274", "http://[::1]:6274", id="an origin with IPv6"),
    pytest.param(
        addresses.origin, "vscode-webview://ab12", "vscode-webview://ab12", id="an origin of an app"
    ),
    pytest.param(addresses.place, "a:65535", "a:65535", id="the last port"),
    pytest.param(addresses.socket_path, "unix:/" + "a" * 106, "/" + "a" * 106, id="the longest socket path"),
    pytest.param(addresses.listen, "0.0.0.0:8080", ("0.0.0.0", 8080), id="every address"),
    pytest.param(addresses.listen, "[::1]:0", ("::1", 0), id="a port that the system chooses"),
    pytest.param(addresses.socket_path, "unix:/run/a.sock", "/run/a.sock", id="a socket"),
    pytest.param(addresses.socket_path, "unix:///run/a.sock", "/run/a.sock", id="a socket with an authority"),
    pytest.param(
        addresses.target,
        "http://127.0.0.1:8000",
        Target("http", "127.0.0.1", 8000, "", "127.0.0.1:8000"),
        id="http",
    ),
    pytest.param(
        addresses.target, "https://a.b/", Target("https", "a.b", 443, "", "a.b"), id="https, its own port"
    ),
    pytest.param(
        addresses.target, "http://[::1]:80", Target("http", "::1", 80, "", "[::1]"), id="an IPv6 upstream"
    ),
    pytest.param(
        addresses.target, "http://a:443", Target("http", "a", 443, "", "a:443"), id="another scheme's port"
    ),
    pytest.param(addresses.target, "unix:/a.sock", Target("unix", "", 0, "/a.sock", "localhost"), id="unix"),
]


@pytest.mark.parametrize(("read", "text", "value"), READ)
def test_reads(read, text, value):
    assert read(text) == value


HOSTS = [
    "",
    "a b",
    "*.a",
    "a.",
    ".a",
    "a..b",
    "-a",
    "a-",
    "a/b",
    "a@b",
    "a:b",
    "a:",
    "a:0",
    "a:65536",
    "a:-1",
    "é.fr",
]
NUMBERS = [
    "127.1",
    "1.2.3.256",
    "0x7f.0.0.1",
    "2130706433",
    "0177.0.0.1",
    "22",
    "a.0x1",
    "1.2.3.4.5",
    "٣.1.1.1",
]
BRACKETS = ["[::1", "::1", "[::1]a", "[1.2.3.4]", "[]", "[::1%eth0]", "[g::]", "a[::1]"]
REFUSED = [
    (
        addresses.place,
        [*HOSTS, *NUMBERS, *BRACKETS, "a" * 64, "http://a", "a?b", "a#b", "a\\b", "a\n", "a:٣"],
    ),
    (
        addresses.url,
        ["", "a", "//a", "/a", "ftp://a", "https:a", "https:/a", "https://", "https:///a", "https://:80"],
    ),
    (
        addresses.url,
        ["https://u@a", "https://u:p@a", "https://a b", "https://a\t", "https://a\\b", "https://é"],
    ),
    (
        addresses.url,
        ["https://a:0", "https://a:99999", "https://a:", "https://127.1", " https://a", "https://a\n"],
    ),
    (
        addresses.listen,
        ["", "8080", ":8080", "a", "a:", "a:65536", "22:22", "*:80", "[::1]", "::1", "a:-1"],
    ),
    (
        addresses.origin,
        [
            "",
            "*",
            "null",
            "NULL",
            "a",
            "//a",
            "https:a",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a?b",
        ],
    ),
    (
        addresses.origin,
        [
            "https://a#b",
            "https://u@a",
            "https://a:0",
            "https://a.",
            "https://a\n",
            "https://*.a",
            "https://é",
        ],
    ),
    (addresses.socket_path, ["unix:", "unix:a", "unix://", "unix:/" + "a" * 107, "unix:/a\0b"]),
    (
        addresses.target,
        ["http://a/b", "http://a//", "http://a?b", "http://a/?b", "http://a#b", "unix:a", "a:80"],
    ),
]


@pytest.mark.parametrize(
    ("read", "text"),
    [
        pytest.param(read, text, id=f"{read.__name__} {text[:20]!r}")
        for read, texts in REFUSED
        for text in texts
    ],
)
def test_refuses(read, text):
    with pytest.raises(UnfitError):
        read(text)


REDIS = [
    "redis://a",
    "redis://a/",
    "redis://[::1]:6379/15",
    "redis://user:p%2Fw%40@redis_1:6379/0",
    "redis://:p:w!&=@a",
    "redis://a?db=2",
    "rediss://a:6380/0?db=1&ssl_ca_certs=/etc/ca.pem&ssl_certfile=a.pem&ssl_keyfile=b.pem",
    "unix:///run/redis.sock",
    "unix://:pw@/run/redis.sock?db=1",
]


@pytest.mark.parametrize("text", REDIS)
def test_takes_the_url_of_a_redis(text):
    addresses.redis(text)


NO_REDIS = [
    pytest.param("redis:a", id="no slashes"),
    pytest.param("REDIS://a", id="a scheme in capitals"),
    pytest.param("redis+tls://a", id="another scheme"),
    pytest.param("redis://", id="no host"),
    pytest.param("redis://:pw@", id="a password alone"),
    pytest.param("redis://:pw@:6379", id="a port alone"),
    pytest.param("redis://a:", id="an empty port"),
    pytest.param("redis://a:65536", id="a port out of range"),
    pytest.param("redis://a:pw", id="a port that is none"),
    pytest.param("redis://127.1", id="half an address"),
    pytest.param("redis://a/cache", id="a database by name, which redis-py takes for 0"),
    pytest.param("redis://a/1/2", id="a path, which redis-py takes for database 12"),
    pytest.param("redis://a#b", id="a fragment"),
    pytest.param("redis://:p/w@a", id="a password with / as it is"),
    pytest.param("redis://:p?w@a", id="a password with ? as it is"),
    pytest.param("redis://:p#w@a", id="a password with # as it is"),
    pytest.param("redis://:p@w@a", id="a password with @ as it is"),
    pytest.param("redis://a?", id="a ? and nothing"),
    pytest.param("redis://a?timeout=5", id="an option that redis-py does not know"),
    pytest.param("redis://a?db=x", id="a database that is no number"),
    pytest.param("redis://a?db=1&", id="an option without a name"),
    pytest.param("redis://a?ssl_ca_certs=a.pem", id="an option of TLS without TLS"),
    pytest.param("rediss://a?ssl_cert_reqs=none", id="TLS with anybody"),
    pytest.param("rediss://a?ssl_ca_certs=", id="an option without a value"),
    pytest.param("unix://run/redis.sock", id="a socket with a host"),
    pytest.param("unix:/run/redis.sock", id="a socket as elsewhere"),
    pytest.param("unix://", id="no socket"),
    pytest.param("unix:///a?ssl_ca_certs=a.pem", id="a socket with TLS"),
    pytest.param("redis://a\n", id="a line end"),
]


@pytest.mark.parametrize("text", NO_REDIS)
def test_refuses_what_a_redis_client_could_read_otherwise(text):
    with pytest.raises(UnfitError):
        addresses.redis(text)


LOOPBACK = [
    ("localhost", True),
    ("127.0.0.1", True),
    ("127.9.9.9", True),
    ("::1", True),
    ("0.0.0.0", False),
    ("::", False),
    ("10.0.0.1", False),
    ("localhost.example.com", False),
    ("127.0.0.1.example.com", False),
]


@pytest.mark.parametrize(("host", "loopback"), LOOPBACK)
def test_loopback_is_what_can_only_mean_this_machine(host, loopback):
    assert addresses.is_loopback(host) is loopback
