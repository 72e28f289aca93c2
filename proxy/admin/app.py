"""The admin listener: health, readiness, metrics, the configuration and the dashboard, over plain HTTP.

A thin shell around values: it knows who may ask, and which page is which. aiohttp reads the requests, so the
bounds are narrow: one request to a connection, and few seconds for all of it but a stream. Nothing is logged
as access.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiohttp import web
from msgspec import json

from proxy.admin.admission import COOKIE, LIFETIME, PROOF, Admission, Refusal, Shown
from proxy.admin.dashboard import Dashboard
from proxy.admin.exposition import exposition
from proxy.admin.hosts import is_own
from proxy.admin.masking import masked
from proxy.admin.readiness import readiness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.web import BaseRequest, RequestHandler, Response, StreamResponse

    from proxy.admin.snapshot import Snapshot
    from proxy.admin.watch import Recall
    from proxy.config import AdminListener, Config

    _Page = Callable[[BaseRequest], Awaitable[Response]]

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_BACKLOG: Final = 64
_MOST: Final = 64
_SECONDS: Final = 10.0
_PATIENCE: Final = 5.0
_FAREWELL: Final = 0.1
# A stream is begun anew now and then.
_LONGEST_STREAM: Final = 3600.0
_LONGEST_LINE: Final = 4096
_LONGEST_FIELD: Final = 4096
_METHODS: Final = ("GET", "HEAD")
_EVENTS: Final = "/events"
_LOGIN: Final = "/login"
_LOGOUT: Final = "/logout"
# What a page of the web that got here all the same may do with an answer: nothing.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "keystile",
    "X-Content-Type-Options": "nosniff",
}

_operations = structlog.get_logger()
# aiohttp's own reports quote what was asked, and that may be a token that went astray.
_silent = logging.getLogger("keystile.admin")
_silent.disabled = True


class Admin:
    """Serves what `snapshot` tells, the configuration of `config`, and the lines that `recall` brings.

    It listens where the configuration says at first; whom it shows more than health and metrics is up to the
    configuration in force. A connection has `seconds` for its request and the answer; a stream has longer.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        snapshot: Callable[[], Awaitable[Snapshot]],
        recall: Recall,
        seconds: float = _SECONDS,
    ) -> None:
        self._seconds = seconds
        self._config = config
        self._address = self._listener().listen
        self._snapshot = snapshot
        self._version = _version()
        self._dashboard = Dashboard(recall, snapshot, config, self._version)
        self._admission = Admission()
        self._open: dict[str, _Page] = {
            "/healthz": self._health,
            "/readyz": self._readiness,
            "/metrics": self._metrics,
        }
        self._guarded: dict[str, _Page] = {
            "/config": self._configuration,
            "/state": self._dashboard.state,
            "/audit": self._dashboard.audit,
            # The head of a stream, where only that is asked for.
            _EVENTS: self._nothing,
        }
        self._posted = {_LOGIN: self._begin, _LOGOUT: self._end}
        self._http = web.Server(
            self._answer,
            handler_cancellation=True,
            access_log=None,
            logger=_silent,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_FIELD,
        )
        self._streaming: set[object] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind and accept.

        Raises:
            OSError: the address cannot be bound.
        """
        loop, address = asyncio.get_running_loop(), self._address
        if address.unix is not None:
            self._server = await loop.create_unix_server(self._accepted, address.unix, backlog=_BACKLOG)
        else:
            self._server = await loop.create_server(
                self._accepted, address.host, address.port or 0, backlog=_BACKLOG
            )

    @property
    def address(self) -> tuple[str, int] | str:
        """Where it listens: host and port, or the path of the unix socket."""
        if self._address.unix is not None:
            return self._address.unix
        assert self._server is not None  # noqa: S101 - there is no address before `start`
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def close(self) -> None:
        """Accept nothing more, and end what is under way."""
        if self._server is not None:
            self._server.close()
        self._dashboard.close()
        # To aiohttp, no time at all is any time.
        await self._http.shutdown(timeout=_FAREWELL)

    def _listener(self) -> AdminListener:
        listener = self._config().admin
        assert listener is not None  # noqa: S101 - where there is none, nobody makes an `Admin`
        return listener

    def _accepted(self) -> asyncio.BaseProtocol:
        if len(self._http.connections) >= _MOST:
            return _Refused()
        connection = self._http()
        asyncio.get_running_loop().call_later(self._seconds, self._overdue, connection)
        return connection

    def _overdue(self, connection: RequestHandler) -> None:
        if connection not in self._streaming:
            connection.force_close()

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        response: StreamResponse | None = self._misled(request) or self._unadmitted(request)
        if response is None and (request.path, request.method) == (_EVENTS, "GET"):
            if not self._dashboard.watch.full:
                return await self._stream(request)
            response = _said(503, "too many follow already; close another page", **{"Retry-After": "5"})
        if response is None:
            response = await self._shown(request)
        response.headers.update({**_HEADERS, **response.headers})
        response.force_close()
        return response

    def _misled(self, request: BaseRequest) -> Response | None:
        """Refuse what is meant for another server, or for nobody."""
        if not is_own(request.headers.getall("Host", []), self._address):
            return _said(421, "Host names another server; ask for localhost, or the address of `admin`")
        pages = (*self._open, *self._guarded, *self._dashboard.files)
        if request.path not in pages and request.path not in self._posted:
            return _said(404, f"no such page; there are {', '.join(pages)}")
        methods = ("POST",) if request.path in self._posted else _METHODS
        if request.method not in methods:
            return _said(405, f"only {' and '.join(methods)}", Allow=", ".join(methods))
        return None

    def _unadmitted(self, request: BaseRequest) -> Response | None:
        """Refuse whoever may not see this page."""
        if request.path in self._guarded:
            refusal = self._admission.judge(self._listener(), _shown_by(request), _now())
        elif request.path in self._dashboard.files:
            refusal = self._admission.page(self._listener())
        else:
            return None
        return None if refusal is None else _refused(refusal)

    async def _shown(self, request: BaseRequest) -> Response:
        if request.path in self._posted:
            return self._posted[request.path](request)
        if request.path in self._dashboard.files:
            return self._dashboard.file(request.path)
        page = self._open.get(request.path) or self._guarded[request.path]
        try:
            async with asyncio.timeout(_PATIENCE):
                return await page(request)
        except Exception as error:  # noqa: BLE001 - whatever it was: nobody can say how the proxy fares
            _operations.error("admin_failed", page=request.path, error=type(error).__name__)
            return _said(503, "how it fares cannot be told")

    async def _stream(self, request: BaseRequest) -> StreamResponse:
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        response.force_close()
        self._streaming.add(request.protocol)
        stream = self._dashboard.events(lambda: self._unadmitted(request) is None)
        try:
            await response.prepare(request)
            async with aclosing(stream), asyncio.timeout(_LONGEST_STREAM):
                async for events in stream:
                    async with asyncio.timeout(_PATIENCE):
                        await response.write(events)
        except (TimeoutError, ConnectionError):
            # Whoever reads no longer, or for so long, comes again.
            request.protocol.force_close()
        finally:
            self._streaming.discard(request.protocol)
        return response

    def _begin(self, request: BaseRequest) -> Response:
        begun = self._admission.begin(self._listener(), _shown_by(request), _now())
        if isinstance(begun, Refusal):
            return _refused(begun)
        return _session(begun, LIFETIME)

    def _end(self, _: BaseRequest) -> Response:
        return _session("", 0)

    async def _nothing(self, _: BaseRequest) -> Response:
        return web.Response(headers={"Content-Type": "text/event-stream"})

    async def _health(self, _: BaseRequest) -> Response:
        return _said(200, "ok")

    async def _readiness(self, _: BaseRequest) -> Response:
        judged = readiness(await self._snapshot())
        body = {"status": judged.status, "problems": judged.problems, **judged.facts}
        return web.Response(
            status=200 if judged.ready else 503, body=json.encode(body), headers={"Content-Type": _JSON}
        )

    async def _metrics(self, request: BaseRequest) -> Response:
        snapshot = await self._snapshot()
        accept = request.headers.get("Accept", "")
        # Thousands of lines take a while; requests do not wait for them.
        body, media = await asyncio.to_thread(exposition, snapshot, self._version, accept)
        return web.Response(body=body, headers={"Content-Type": media})

    async def _configuration(self, _: BaseRequest) -> Response:
        return web.Response(body=json.encode(masked(self._config())), headers={"Content-Type": _JSON})


class _Refused(asyncio.Protocol):
    """A connection beyond the bound."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()


def _version() -> str:
    try:
        return version("keystile")
    except PackageNotFoundError:  # run from its sources
        return "unknown"


def _now() -> float:
    return time.time()  # noqa: TID251 - this is a shell


def _shown_by(request: BaseRequest) -> Shown:
    return Shown(
        request.headers.getall("Authorization", []),
        request.cookies.get(COOKIE, ""),
        request.headers.get(PROOF, ""),
        request.headers.get("Sec-Fetch-Site", ""),
        request.remote or "",
    )


def _session(cookie: str, seconds: int) -> Response:
    response = web.Response(status=204)
    response.set_cookie(COOKIE, cookie, max_age=seconds, path="/", httponly=True, samesite="Strict")
    return response


def _refused(refusal: Refusal) -> Response:
    return _said(refusal.status, refusal.text, **refusal.lines)


def _said(status: int, text: str, **lines: Any) -> Response:
    return web.Response(status=status, text=f"{text}\n", headers={"Content-Type": _TEXT, **lines})
