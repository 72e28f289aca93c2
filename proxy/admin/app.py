"""The admin listener: health, readiness, metrics and the configuration, over plain HTTP.

A thin shell around values: it knows who may ask, and which page is which. aiohttp reads the requests, so the
bounds are narrow: one request to a connection, and few seconds for all of it. Nothing is logged as access.
"""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from msgspec import json

from proxy.admin.exposition import exposition
from proxy.admin.hosts import is_own
from proxy.admin.masking import masked
from proxy.admin.readiness import readiness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.web import BaseRequest, Response

    from proxy.admin.snapshot import Snapshot
    from proxy.config import Address, Config

    _Page = Callable[[BaseRequest], Awaitable[Response]]

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_BACKLOG: Final = 64
_MOST: Final = 64
_SECONDS: Final = 10.0
_PATIENCE: Final = 5.0
_LONGEST_LINE: Final = 2048
_LONGEST_FIELD: Final = 4096
_METHODS: Final = ("GET", "HEAD")
# What a page of the web that got here all the same may do with an answer: nothing.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "keystile",
    "X-Content-Type-Options": "nosniff",
}

_operations = structlog.get_logger()
# aiohttp's own reports quote what was asked, and that may be a token that went astray.
_silent = logging.getLogger("keystile.admin")
_silent.disabled = True


class Admin:
    """Serves what `snapshot` gives and the configuration that `config` gives, at `address`.

    A connection has `seconds` for its request and the answer.
    """

    def __init__(
        self,
        address: Address,
        snapshot: Callable[[], Awaitable[Snapshot]],
        config: Callable[[], Config],
        seconds: float = _SECONDS,
    ) -> None:
        self._seconds = seconds
        self._address = address
        self._snapshot = snapshot
        self._config = config
        self._version = _version()
        self._pages: dict[str, _Page] = {
            "/healthz": self._health,
            "/readyz": self._readiness,
            "/metrics": self._metrics,
            "/config": self._configuration,
        }
        self._http = web.Server(
            self._answer,
            access_log=None,
            logger=_silent,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_FIELD,
        )
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
        await self._http.shutdown(timeout=0)

    def _accepted(self) -> asyncio.BaseProtocol:
        if len(self._http.connections) >= _MOST:
            return _Refused()
        connection = self._http()
        asyncio.get_running_loop().call_later(self._seconds, connection.force_close)
        return connection

    async def _answer(self, request: BaseRequest) -> Response:
        response = await self._judged(request)
        response.headers.update(_HEADERS)
        response.force_close()
        return response

    async def _judged(self, request: BaseRequest) -> Response:
        if not is_own(request.headers.getall("Host", []), self._address):
            return _said(421, "Host names another server; ask for localhost, or the address of `admin`")
        page = self._pages.get(request.path)
        if page is None:
            return _said(404, f"no such page; there are {', '.join(self._pages)}")
        if request.method not in _METHODS:
            response = _said(405, "only GET and HEAD")
            response.headers["Allow"] = ", ".join(_METHODS)
            return response
        try:
            async with asyncio.timeout(_PATIENCE):
                return await page(request)
        except Exception as error:  # noqa: BLE001 - whatever it was: nobody can say how the proxy fares
            _operations.error("admin_failed", page=request.path, error=type(error).__name__)
            return _said(503, "how it fares cannot be told")

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


def _said(status: int, text: str) -> Response:
    return web.Response(status=status, text=f"{text}\n", headers={"Content-Type": _TEXT})
