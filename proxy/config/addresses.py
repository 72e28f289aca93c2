"""Hosts, ports and URLs as a configuration writes them (RFC 3986), read strictly.

Pure: resolves no name. Whatever two readers could take for two places is refused: userinfo, backslashes,
"127.1", a port out of range, anything beyond visible ASCII.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from proxy.config.faults import UnfitError

PORTS = {"http": 80, "https": 443}
MAX_PORT = 65535

# A unix socket's path and its final NUL fill sun_path, 108 bytes on Linux.
MAX_SOCKET_PATH = 107

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\\]+)(?::([0-9]{1,5}))?", re.ASCII)
_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.ASCII | re.IGNORECASE)
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@]+)", re.ASCII | re.IGNORECASE)
_NAME = re.compile(
    r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*", re.ASCII
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)
_REDIS = re.compile(
    r"(?:(?P<scheme>rediss?)://(?:[^/?#@]*@)?(?P<place>[^/?#@]+)(?:/[0-9]{0,4})?"
    r"|unix://(?:[^/?#@]*@)?/[^?#@]+)(?:\?(?P<options>[^#]*))?"
)
_DATABASE = r"db=[0-9]{1,4}"
_OPTION = re.compile(_DATABASE)
_TLS_OPTION = re.compile(rf"{_DATABASE}|ssl_(?:ca_certs|certfile|keyfile)=[^=]+")


class Url(NamedTuple):
    """A URL taken apart: `host` as `host` returns it; `suffix` is query and fragment."""

    scheme: str
    host: str
    port: int
    path: str
    suffix: str


def url(text: str) -> Url:
    """Take an absolute http or https URL apart.

    Raises:
        UnfitError: it is none, or carries userinfo.
    """
    match = _URL.fullmatch(text)
    if match is None or _VISIBLE.fullmatch(text) is None or "\\" in text:
        raise UnfitError("not an absolute URL", "write https://host/… (or http://host/…)")
    scheme, where = match[1].lower(), match[2]
    if "@" in where:
        raise UnfitError("a URL with userinfo", "leave out what stands before @")
    name, port = authority(where)
    return Url(scheme, name, port or PORTS[scheme], match[3], (match[4] or "") + (match[5] or ""))


def authority(text: str, lowest: int = 1) -> tuple[str, int | None]:
    """Split "host", "host:port" or "[::1]:port"; the host comes back as `host` returns it.

    Raises:
        UnfitError: it is none of these, or the port is below `lowest` or beyond 65535.
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise UnfitError("not a host, or host:port", "write it as in mcp.example.com:8443 or [::1]:8443")
    port = int(match[2]) if match[2] else None
    if port is not None and not lowest <= port <= MAX_PORT:
        raise UnfitError("a port out of range", f"write a port from {lowest} to {MAX_PORT}")
    return host(match[1]), port


def place(text: str) -> str:
    """Return "host" or "host:port" in its one canonical spelling."""
    name, port = authority(text)
    return bracketed(name) if port is None else f"{bracketed(name)}:{port}"


def origin(text: str) -> str:
    """Return an origin, "scheme://host[:port]", as browsers spell it (RFC 6454 section 6.2).

    Raises:
        UnfitError: it is none, or one that anybody's page can have.
    """
    if text == "*":
        raise UnfitError(
            "every page of the web, whose visitors' browsers may reach this server", "name the origins"
        )
    if text.lower() == "null":
        raise UnfitError("null, which sandboxed and local pages of anybody send", "name the origins")
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise UnfitError("not an origin", "write scheme://host or scheme://host:port, without a path")
    scheme = match[1].lower()
    name, port = authority(match[2])
    said = bracketed(name)
    return f"{scheme}://{said}" if port in (None, PORTS.get(scheme)) else f"{scheme}://{said}:{port}"


def host(text: str) -> str:
    """Return a host name or IP address lower-cased and without brackets, in its one canonical spelling."""
    try:
        if text.startswith("["):
            return IPv6Address(text[1:-1]).compressed
        name = text.lower()
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            # "127.1" and "0x7f000001" are addresses to some resolvers and names to others.
            return str(IPv4Address(name))
    except ValueError:
        raise UnfitError(
            "not an IP address", "write all four numbers, or an IPv6 address in brackets"
        ) from None
    if _NAME.fullmatch(name) is None:
        raise UnfitError("not a host name", "write letters, digits, hyphens and dots, without a final dot")
    return name


def bracketed(name: str) -> str:
    """Return a host as an authority spells it: IPv6 in brackets."""
    return f"[{name}]" if ":" in name else name


def is_loopback(name: str) -> bool:
    """Say whether a host (as `host` returns it) can only mean this machine."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def socket_path(text: str) -> str:
    """Return the path of "unix:/path" or "unix:///path"."""
    path = text.removeprefix("unix:").removeprefix("//")
    if not path.startswith("/") or "\0" in path:
        raise UnfitError("not an absolute socket path", "write unix:/path/to/socket")
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise UnfitError("a socket path that is too long", f"keep it within {MAX_SOCKET_PATH} bytes")
    return path


def redis(text: str) -> None:
    """Check the URL of a Redis.

    redis-py reads many URLs otherwise than they look: a password with a / ends the host, /1/2 is database 12,
    an option that it does not know fails at the first command.

    Raises:
        UnfitError: it is none, or says what two readers could read differently; its text shows nothing of it.
    """
    match = _REDIS.fullmatch(text)
    if match is None:
        raise UnfitError(
            "no URL of a Redis",
            "write redis://host:port/0, rediss://host:port/0 or unix:///path; in a password, write %2F for /",
        )
    if match["place"] is not None:
        authority(match["place"])
    known = _TLS_OPTION if match["scheme"] == "rediss" else _OPTION
    if match["options"] is not None and not all(map(known.fullmatch, match["options"].split("&"))):
        raise UnfitError(
            "a URL of a Redis with an option that cannot stand there",
            "choose from db, and for rediss:// also ssl_ca_certs, ssl_certfile and ssl_keyfile",
        )


def listen(text: str) -> tuple[str, int]:
    """Return the host and port of "host:port"; port 0 lets the system choose."""
    # Not by `authority`: it would take "8080" for a bad host and "[::1]" for a good one.
    if re.search(r":[0-9]+\Z", text, re.ASCII) is None:
        raise UnfitError("not an address and a port", "write both, as in 127.0.0.1:8080, or unix:/path")
    name, port = authority(text, lowest=0)
    return name, port or 0


class Target(NamedTuple):
    """Where the upstream is; `authority` is what Host says to it."""

    scheme: str
    host: str
    port: int
    path: str
    authority: str


def target(text: str) -> Target:
    """Take `upstream.url` apart: scheme, host and port alone, or unix:/path.

    Raises:
        UnfitError: it is none, or says more: what is forwarded is the client's own path.
    """
    if text.startswith("unix:"):
        return Target("unix", "", 0, socket_path(text), "localhost")
    parts = url(text)
    if parts.path not in ("", "/") or parts.suffix:
        raise UnfitError(
            "a URL with more than scheme, host and port", "end it there: paths go on as they came"
        )
    name = bracketed(parts.host)
    said = name if parts.port == PORTS[parts.scheme] else f"{name}:{parts.port}"
    return Target(parts.scheme, parts.host, parts.port, "", said)
