"""What a row of the table of exchanges says, and the short words that rows are written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.upstream import Answer, echo, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

WHOLE, TRICKLED, PIPELINED, BEHIND = "whole", "byte by byte", "pipelined", "behind another request"
"""The manners in which a row's bytes are given."""

HOST = "Host: edge.test"
TOLD = (b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: edge.test")
"""What the upstream is told of the client, where nobody else is believed."""


@dataclass(frozen=True)
class Refused:
    """An answer of the proxy's own."""

    status: int
    reason: str
    closes: bool = False


@dataclass(frozen=True)
class Cut:
    """An answer that ends too early, with its connection: exactly these bytes, then the end."""

    sent: bytes
    reason: str
    status: int = 200


Reply = bytes | Refused | Cut


@dataclass(frozen=True)
class Exchange:
    """One row.

    `sent` is what the client writes; `answers` is what the upstream does; `arrives` the requests
    that must reach it, without the lines that the proxy adds to every request; `replies` what must come back. `closes` says
    that the connection ends then; else it must serve another request. `methods` are those of the answered requests,
    in turn. `told` are the forwarding lines that arrive, `config` is laid over the settings of the harness, `connections` is how many the upstream sees, further request included.
    """

    sent: bytes
    arrives: tuple[bytes, ...]
    replies: tuple[Reply, ...]
    answers: tuple[Answer, ...] = (plain(),)
    closes: bool = False
    methods: tuple[bytes, ...] = (b"GET",)
    told: tuple[bytes, ...] = TOLD
    connections: int | None = None
    config: Mapping[str, object] = field(default_factory=dict)
    reason: str | None = "public"
    """The reason on the access line of what is forwarded."""
    skips: tuple[str, ...] = ()
    """Manners in which the row makes no sense, or takes too long."""


def http(*lines: str, body: bytes = b"") -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + body


def get(target: str = "/", *lines: str) -> bytes:
    return http(f"GET {target} HTTP/1.1", HOST, *lines)


def post(body: bytes, *lines: str, target: str = "/") -> bytes:
    return http(f"POST {target} HTTP/1.1", HOST, *lines, f"Content-Length: {len(body)}", body=body)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def post_chunked(body: bytes, *lines: str, target: str = "/") -> bytes:
    return http(f"POST {target} HTTP/1.1", HOST, *lines, "Transfer-Encoding: chunked", body=body)


def arrived(start: str = "GET / HTTP/1.1", *lines: str, body: bytes = b"") -> bytes:
    return http(start, *lines, body=body)


def arrived_post(body: bytes, *lines: str, target: str = "/") -> bytes:
    return http(f"POST {target} HTTP/1.1", *lines, f"Content-Length: {len(body)}", body=body)


def ok(body: bytes = b"ok", *lines: str) -> bytes:
    return http("HTTP/1.1 200 OK", *lines, f"Content-Length: {len(body)}", body=body)


def ok_chunked(body: bytes, *lines: str) -> bytes:
    return http("HTTP/1.1 200 OK", *lines, "Transfer-Encoding: chunked", body=body)


GET = get()
ARRIVED = arrived()
OK = ok()

__all__ = [
    "ARRIVED",
    "BEHIND",
    "GET",
    "HOST",
    "OK",
    "PIPELINED",
    "TOLD",
    "TRICKLED",
    "WHOLE",
    "Cut",
    "Exchange",
    "Refused",
    "Reply",
    "arrived",
    "arrived_post",
    "chunked",
    "echo",
    "get",
    "http",
    "ok",
    "ok_chunked",
    "plain",
    "post",
    "post_chunked",
]
