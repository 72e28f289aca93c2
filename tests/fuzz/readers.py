"""Two strict readers of HTTP/1.1 that are not the product's: h11, and llhttp at its strictest (httptools).

Each takes a whole stream and says which messages stand in it, up to where it reads no further. A body that has
not come whole is told as far as it has come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h11
import httptools

if TYPE_CHECKING:
    from collections.abc import Sequence

Headers = list[tuple[bytes, bytes]]

_AUTHORITY = re.compile(rb"(?i)https?://[^/?]*")


@dataclass
class Read:
    """One message; `start` is its method and target, or its status."""

    start: tuple[bytes, bytes] | int
    headers: Headers
    body: bytes = b""
    is_whole: bool = False

    def values(self, name: bytes) -> list[bytes]:
        return [value for own, value in self.headers if own == name]

    @property
    def path(self) -> bytes:
        """The target in origin-form."""
        assert isinstance(self.start, tuple)
        rest = _AUTHORITY.sub(b"", self.start[1], count=1)
        return rest if rest.startswith(b"/") else b"/" + rest


@dataclass
class Stream:
    """What a reader made of a stream: `rest` is what it has not read, `fault` whether it refused to."""

    messages: list[Read] = field(default_factory=list)
    fault: bool = False
    rest: bytes = b""

    @property
    def whole(self) -> list[Read]:
        return [message for message in self.messages if message.is_whole]


def _lowered(headers: Headers) -> Headers:
    return [(name.lower(), value.strip(b" \t")) for name, value in headers]


# ---- h11 --------------------------------------------------------------------------------------------------


def requests_by_h11(data: bytes) -> Stream:
    stream = Stream(rest=data)
    while stream.rest and not stream.fault:
        connection = h11.Connection(h11.SERVER)
        if not _one_by_h11(connection, stream):
            break
    return stream


def responses_by_h11(data: bytes, methods: Sequence[bytes], *, ended: bool) -> Stream:
    """Answers to requests with these methods, interim ones left out; `ended`: the connection has ended."""
    stream = Stream(rest=data)
    for method in methods:
        connection = h11.Connection(h11.CLIENT)
        connection.send(h11.Request(method=method, target=b"/", headers=[("host", "x")]))
        if stream.fault or not _one_by_h11(connection, stream, ended=ended):
            break
    return stream


def _one_by_h11(connection: h11.Connection, stream: Stream, *, ended: bool = False) -> bool:
    """Read one message; says whether all of it was there."""
    read = None
    try:
        connection.receive_data(stream.rest)
        if ended:
            connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                read = Read((event.method, event.target), _lowered(event.headers.raw_items()))
            elif isinstance(event, h11.Response):
                read = Read(event.status_code, _lowered(event.headers.raw_items()))
            elif isinstance(event, h11.Data) and read is not None:
                read.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and read is not None:
                read.is_whole = True
                stream.rest = connection.trailing_data[0]
                return True
            elif event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return False
    except h11.RemoteProtocolError:
        stream.fault = True
        return False
    finally:
        if read is not None:
            stream.messages.append(read)


# ---- llhttp -----------------------------------------------------------------------------------------------


class _Heard:
    """What llhttp reports; lines behind a head are trailers, and no header lines."""

    def __init__(self) -> None:
        self.stream = Stream()
        self.url = b""
        self.headers: Headers = []
        self.in_head = True
        self.parser: httptools.HttpRequestParser | httptools.HttpResponseParser

    def on_message_begin(self) -> None:
        self.url, self.headers, self.in_head = b"", [], True

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.in_head = False
        parser = self.parser
        if isinstance(parser, httptools.HttpRequestParser):
            start: tuple[bytes, bytes] | int = (parser.get_method(), self.url)
        else:
            start = parser.get_status_code()
        self.stream.messages.append(Read(start, _lowered(self.headers)))

    def on_body(self, body: bytes) -> None:
        self.stream.messages[-1].body += body

    def on_message_complete(self) -> None:
        self.stream.messages[-1].is_whole = True


def requests_by_llhttp(data: bytes) -> Stream:
    heard = _Heard()
    heard.parser = httptools.HttpRequestParser(heard)
    return _fed(heard, data)


def response_by_llhttp(data: bytes, *, ended: bool) -> Stream:
    """The final answer in `data` and what stands behind it; never one to HEAD, of which llhttp is not told."""
    heard = _Heard()
    heard.parser = httptools.HttpResponseParser(heard)
    stream = _fed(heard, data)
    stream.messages = [one for one in stream.messages if isinstance(one.start, int) and one.start >= 200]
    for one in stream.messages[-1:]:
        sized = one.values(b"content-length") or one.values(b"transfer-encoding")
        one.is_whole = one.is_whole or (ended and not sized and not stream.fault)
    return stream


def _fed(heard: _Heard, data: bytes) -> Stream:
    try:
        heard.parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        heard.stream.fault = True
    return heard.stream
