"""The dashboard: a page, and what it asks for. It shows, and changes nothing.

A thin shell around values: which page is which, and what each needs. Whoever asks was admitted before.
"""

from __future__ import annotations

import asyncio
import time
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from msgspec import json

from proxy.admin.asking import Asking
from proxy.admin.overview import overview
from proxy.admin.question import QuestionError, read
from proxy.admin.remedies import explained
from proxy.admin.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from aiohttp.web import BaseRequest, Response

    from proxy.admin.seen import Seen
    from proxy.admin.snapshot import Snapshot
    from proxy.admin.watch import Recall
    from proxy.config import Config

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""What the page may load and do: what is here, and nothing else."""
_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
    "/dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
}
_BEAT: Final = 15.0
"""Seconds between two signs of life on a stream without lines."""


class Dashboard:
    """What the page and its questions are answered with; arguments as for `Admin`."""

    def __init__(
        self,
        recall: Recall,
        snapshot: Callable[[], Awaitable[Snapshot]],
        config: Callable[[], Config],
        version: str,
    ) -> None:
        self.watch = Watch(recall)
        self._snapshot = snapshot
        self._config = config
        self._version = version
        self._asking = Asking()
        folder = resources.files("proxy.admin") / "pages"
        self.files: dict[str, tuple[bytes, str]] = {
            path: ((folder / name).read_bytes(), media) for path, (name, media) in _FILES.items()
        }
        """The page's own files by path, each with its Content-Type; they say nothing of this process."""

    def file(self, path: str) -> Response:
        """Return one of the page's files."""
        body, media = self.files[path]
        return web.Response(body=body, headers={"Content-Type": media, "Content-Security-Policy": POLICY})

    async def state(self, _: BaseRequest) -> Response:
        """Return how it fares, and rows of the last while."""
        snapshot, lines = await asyncio.gather(self._snapshot(), self.watch.look())
        now = time.time()  # noqa: TID251 - this is a shell
        shown = await asyncio.to_thread(overview, snapshot, lines, self._config(), self._version, now)
        return _json(200, shown)

    async def audit(self, request: BaseRequest) -> Response:
        """Answer the audit question that the query string asks."""
        try:
            query = read(_once(request.query))
        except QuestionError as error:
            return _json(400, {"problem": str(error)})
        lines = await self.watch.raw()
        config = self._config()
        output = config.log.output
        file = None if output == "stdout" else output
        answer = await self._asking.ask(query, lines, file)
        answer["lines"] = [explained(line, config.scopes) for line in answer["lines"]]
        # A target may stand in an argument alone, and the log shows none but those that it is told to.
        answer["unlogged"] = query.target is not None and not config.log.arguments
        return _json(200, answer)

    async def events(self, admitted: Callable[[], bool]) -> AsyncGenerator[bytes]:
        """Yield server-sent events while `admitted` says so: lines as they come, and how many were missed."""
        viewer = await self.watch.enter()
        try:
            yield b"retry: 2000\n\n"
            while admitted() and not viewer.over:
                lines, missed = await viewer.take(_BEAT)
                if missed:
                    yield b"event: missed\ndata: %d\n\n" % missed
                # Always one line: JSON escapes line ends (WHATWG HTML, section 9.2.6).
                yield b"".join(map(self._event, lines)) or b": nothing new\n\n"
        finally:
            self.watch.leave(viewer)

    def _event(self, line: Seen) -> bytes:
        return b"event: line\ndata: %b\n\n" % json.encode(explained(line, self._config().scopes))

    def close(self) -> None:
        """Show nothing more."""
        self.watch.close()


def _once(query: Mapping[str, str]) -> dict[str, str]:
    asked: dict[str, str] = {}
    for name, value in query.items():
        if name in asked:
            raise QuestionError(f"{name[:32]}: asked about twice")
        asked[name] = value
    return asked


def _json(status: int, value: Any) -> Response:
    return web.Response(status=status, body=json.encode(value), headers={"Content-Type": "application/json"})
