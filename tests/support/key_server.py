"""A key server on loopback that answers as it is told: well, badly, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

JWKS = "/jwks.json"


class KeyServer:
    """What it answers, by path, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, Answer] = {}
        self.asked: list[web.Request] = []
        self._news = asyncio.Condition()

    @property
    def jwks_url(self) -> str:
        return self.url + JWKS

    @property
    def fetches(self) -> int:
        """How often the key set was asked for."""
        return sum(request.path == JWKS for request in self.asked)

    def serve(self, answer: Answer) -> None:
        """Answer like this to whoever asks for the key set from now on."""
        self.answers[JWKS] = answer

    async def fetched(self, times: int) -> None:
        """Wait until the key set was asked for so many times."""
        async with self._news, asyncio.timeout(10):
            await self._news.wait_for(lambda: self.fetches >= times)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        async with self._news:
            self._news.notify_all()
        answer = self.answers.get(request.path, status(404))
        return await answer(request)


@contextlib.asynccontextmanager
async def key_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[KeyServer]:
    """Run a key server, over https where `tls` is given; requests that still hang at the end are cancelled."""
    server = KeyServer("")
    # `_answer` is the whole application: no router, no middleware.
    runner = web.ServerRunner(web.Server(server._answer), shutdown_timeout=0.1)  # type: ignore[arg-type] # it takes BaseRequest
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def document(content: bytes | dict[str, Any], **headers: str) -> Answer:
    """200 and this document."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Type": "application/json", **headers})

    return answer


def status(code: int, body: bytes = b"") -> Answer:
    """Another status."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, body=body)

    return answer


def redirect(location: str) -> Answer:
    """302."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return answer


def after(event: asyncio.Event, then: Answer) -> Answer:
    """Nothing until the event is set; never, if it is not."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await event.wait()
        return await then(request)

    return answer


def never() -> Answer:
    """Nothing at all."""
    return after(asyncio.Event(), status(500))


async def dripping(request: web.Request) -> web.StreamResponse:
    """Begin to answer, and never end."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"{")
    await asyncio.Event().wait()
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    """Answer without end, as fast as it is read."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b" " * 65536)
    return response


async def cut_short(request: web.Request) -> web.StreamResponse:
    """Promise more than what is sent, and hang up."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"keys": [')
    assert request.transport is not None
    request.transport.close()
    return response
