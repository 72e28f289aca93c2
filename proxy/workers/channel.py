"""Messages between two processes over a socket pair: each has a number, and an answer of the same number.

Knows lengths, numbers and ends. Must never know what a message says. A frame is its length (four bytes, the
highest first) and a msgpack array: whether it is an answer, its number, the message.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from proxy.workers.messages import Message  # noqa: TC001 - the decoder reads the annotation

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

_LENGTH = 4

_operations = structlog.get_logger()


class _Frame(Struct, frozen=True, array_like=True):
    answers: bool
    number: int
    message: Message


_encoder = Encoder()
_decoder = Decoder(_Frame)


class ClosedError(Exception):
    """The other process has gone."""


class Channel:
    """One end. `answer` is asked for the answer to each message that comes, several at a time."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Callable[[Message], Awaitable[Message]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._numbers = count()
        self._awaited: dict[int, asyncio.Future[Message]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def over(cls, end: socket.socket, answer: Callable[[Message], Awaitable[Message]]) -> Channel:
        """Make an end of a connected socket."""
        return cls(*await asyncio.open_unix_connection(sock=end), answer)

    async def run(self) -> None:
        """Read until the other process is gone."""
        try:
            while True:
                length = int.from_bytes(await self._reader.readexactly(_LENGTH))
                self._take(_decoder.decode(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.close()

    async def ask(self, message: Message, seconds: float) -> Message:
        """Send a message and return its answer.

        Raises:
            TimeoutError: none came within so many seconds.
            ClosedError: the other process has gone.
        """
        if self._closed:
            raise ClosedError
        number = next(self._numbers)
        answer = self._awaited[number] = asyncio.get_running_loop().create_future()
        self._send(_Frame(answers=False, number=number, message=message))
        try:
            async with asyncio.timeout(seconds):
                found: Message = await answer
                return found
        finally:
            del self._awaited[number]

    def close(self) -> None:
        """End it: whoever waits for an answer is told."""
        self._closed = True
        for answer in self._awaited.values():
            if not answer.done():
                answer.set_exception(ClosedError())
        self._writer.close()

    def _take(self, frame: _Frame) -> None:
        if not frame.answers:
            task = asyncio.create_task(self._give(frame))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        answer = self._awaited.get(frame.number)
        if answer is not None and not answer.done():
            answer.set_result(frame.message)

    async def _give(self, frame: _Frame) -> None:
        try:
            message = await self._answer(frame.message)
        except Exception as error:  # noqa: BLE001 - no answer is the answer: whoever asks gives up in time
            kind = type(frame.message).__name__
            _operations.error("message_failed", message=kind, error=type(error).__name__)
            return
        self._send(_Frame(answers=True, number=frame.number, message=message))

    def _send(self, frame: _Frame) -> None:
        if not self._closed:
            data = _encoder.encode(frame)
            self._writer.write(len(data).to_bytes(_LENGTH) + data)
