"""The operator's log: one JSON line on stderr for what happens to the process itself.

Knows nothing of requests. Must never say a secret, whoever calls it: an exception is told by its type and
place only, another library's warning by who spoke and where, for their texts quote what they were given
(aiohttp's parser quotes the token, asyncio the arguments of a callback).
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

# A second net under callers who already log no secrets: tokens, Authorization values, userinfo of URLs.
_SECRET: Final = re.compile(r"\beyJ[\w.-]+|(?<=\bBearer )\S+|(?<=://)[^/@\s]+(?=@)", re.IGNORECASE)
_CAP: Final = 512
_PIPE_BUF: Final = 4096


def configure_operations(stream: TextIO, level: int = logging.INFO, *, worker: int | None = None) -> None:
    """Send structlog's loggers, and the warnings of other libraries, to `stream` as JSON lines.

    What is below `level` (of `logging`) is left out. `worker` is told where there are several. A stream that
    takes nothing more loses lines; it neither stalls the event loop nor raises.
    """

    def numbered(_: object, _method: str, values: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return values if worker is None else {**values, "worker": worker}

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _bare,
            numbered,
            _rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        logger_factory=_Writer(stream),
    )
    logging.getLogger().handlers = [_Libraries()]


class _Writer:
    """structlog's logger, and the factory that returns it: writes lines only where that cannot block."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._fd: int | None = None
        with suppress(OSError):
            self._fd = stream.fileno()

    def __call__(self, *_: object) -> _Writer:
        return self

    def line(self, text: str) -> None:
        # A stderr that is gone is no reason to fail a request.
        with suppress(OSError, ValueError):
            if self._fd is None:
                self._stream.write(text)
                return
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            if poll.poll(0):
                # Past the stream's buffer, which would keep what could not be written and fail again at exit.
                os.write(self._fd, text.encode())

    debug = info = warning = error = critical = line


class _Libraries(logging.Handler):
    """Turns what other libraries log into one event that quotes nothing of it."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger()
        report = logger.error if record.levelno >= logging.ERROR else logger.warning
        spoken = f"{record.module}:{record.lineno}"
        report("library_warning", logger=record.name, spoken=spoken, exc_info=record.exc_info)


def _bare(_logger: object, _method: str, values: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Reduce every value to what cannot carry a secret: no traceback, no object's own words."""
    raised = values.pop("exc_info", None)
    values.pop("stack_info", None)
    if isinstance(raised, tuple):
        raised = raised[1]
    elif raised and not isinstance(raised, BaseException):
        raised = sys.exc_info()[1]
    if raised:
        values["error"] = raised
        values["place"] = _place(raised)
    return {name: _safe(value) for name, value in values.items()}


def _place(raised: BaseException) -> str | None:
    """The module and line where it was raised."""
    last = raised.__traceback__
    if last is None:
        return None
    while last.tb_next is not None:
        last = last.tb_next
    return f"{last.tb_frame.f_globals.get('__name__')}:{last.tb_lineno}"


def _safe(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        text = _SECRET.sub("[removed]", value).encode("utf-8", "backslashreplace").decode()
        return text if len(text) <= _CAP else f"{text[:_CAP]}..."
    if isinstance(value, (tuple, list)):
        return [_safe(item) for item in value]
    return type(value).__name__


def _rendered(_logger: object, _method: str, values: MutableMapping[str, Any]) -> str:
    first = {name: values.pop(name) for name in ("timestamp", "level", "event")}
    line = json.dumps({**first, **values})
    if len(line) >= _PIPE_BUF:
        line = json.dumps({**first, "truncated": True})
    return f"{line}\n"
