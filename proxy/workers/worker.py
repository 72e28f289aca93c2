"""A worker's life: it is told what to serve, serves it, and ends with its supervisor at the latest.

It listens on sockets that are not its own, and takes orders from its supervisor. SIGTERM ends it, too, as it
ends a process that has no supervisor.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import socket
import sys
from typing import TYPE_CHECKING

import uvloop

from proxy.audit import configure_operations
from proxy.authn import KeySetError, RevocationError
from proxy.config import Config, ConfigError
from proxy.gatehouse import StartError
from proxy.open_files import allow_files
from proxy.server import Server
from proxy.wire import TlsError
from proxy.workers.channel import Channel
from proxy.workers.messages import (
    Abandon,
    Begin,
    Commit,
    Done,
    Drain,
    Failed,
    Hurry,
    Look,
    Prepare,
    Refused,
    Reopen,
    Repeat,
    Repeated,
    Told,
)
from proxy.workers.proofs import AskedProofs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.workers.messages import Message

_WRONG_INPUT = 2


def work(channel: int, listening: Sequence[int]) -> None:
    """Live: `channel` is the descriptor of the way to the supervisor, `listening` are those of sockets."""
    # What a terminal sends to all processes is the supervisor's to pass on.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sockets = [socket.socket(fileno=descriptor) for descriptor in listening]
    sys.exit(uvloop.run(_live(socket.socket(fileno=channel), sockets)))


async def _live(end: socket.socket, sockets: list[socket.socket]) -> int:
    worker = Worker(sockets)
    worker.channel = await Channel.over(end, worker.answer)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop.set)
    listening = asyncio.create_task(worker.channel.run())
    # Without its supervisor nobody would replace it, or end it.
    listening.add_done_callback(lambda _: worker.stop.set())
    await worker.stop.wait()
    await worker.close()
    worker.channel.close()
    await listening
    return worker.code


class Worker:
    """Answers a supervisor. `code` is what the process exits with."""

    channel: Channel

    def __init__(self, sockets: list[socket.socket]) -> None:
        self.stop = asyncio.Event()
        self.code = 0
        self._sockets = sockets
        self._server: Server | None = None

    async def answer(self, message: Message) -> Message:
        """Do what a message says."""
        if isinstance(message, Begin):
            return await self._begin(message)
        if isinstance(message, (Drain, Hurry)):
            self.stop.set()
        return Done() if self._server is None else await _done(self._server, message)

    async def _begin(self, begin: Begin) -> Message:
        configure_operations(sys.stderr, worker=begin.worker)
        used = AskedProofs(self.channel.ask)
        config = _configuration(begin.config)
        server = Server(config, self._sockets, made=begin.made, used=used, worker=begin.worker, alone=False)
        try:
            await server.start()
        except (KeySetError, RevocationError, StartError, TlsError) as error:
            return Failed(str(error), _WRONG_INPUT)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return Failed(f"{where}{error.strerror}", 1)
        self._server = server
        return Done()

    async def close(self) -> None:
        """Finish what is in progress."""
        if self._server is not None:
            await self._server.close()


def _configuration(pickled: bytes) -> Config:
    config = pickle.loads(pickled)  # noqa: S301 - from the parent, over a socket that nobody else has
    assert isinstance(config, Config)  # noqa: S101 - for type checkers
    return config


async def _done(server: Server, message: Message) -> Message:
    """Have the server do what a message says."""
    match message:
        case Look():
            return Told(server.snapshot())
        case Repeat(number=number, size=size):
            return Repeated(server.recall(number, size))
        case Prepare(config=config):
            try:
                await server.prepare(_configuration(config))
            except ConfigError as error:
                return Refused(error.faults)
        case Commit():
            server.commit()
            allow_files(server.config)
        case Abandon():
            await server.abandon()
        case Reopen():
            server.reopen_log()
        case Hurry():
            server.hurry()
    return Done()
