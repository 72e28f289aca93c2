"""The supervisor: it binds, starts workers, replaces those that die, and passes on what it is told.

It serves no request. What workers share is its own: sockets, the secrets that nobody configured, and which
proofs were used.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import time
from typing import TYPE_CHECKING

import structlog

from proxy.admin import Reloads, Snapshot, process_usage
from proxy.authn import REPLAYED, UsedProofs
from proxy.config import ConfigError, Fault, fixed
from proxy.gatehouse import Made
from proxy.open_files import allow_files
from proxy.server import administered
from proxy.wire import close
from proxy.workers.channel import ClosedError
from proxy.workers.messages import (
    Abandon,
    Begin,
    Commit,
    Done,
    Drain,
    Hurry,
    Prepare,
    Refused,
    Reopen,
    Use,
    Used,
)
from proxy.workers.seat import Seat, WorkerError
from proxy.workers.whole import Whole

if TYPE_CHECKING:
    import socket

    from proxy.admin import Admin
    from proxy.config import Config
    from proxy.workers.messages import Message

# A worker may fetch a new issuer's keys before it is ready.
_PREPARE = 30.0
_PATIENCE = 5.0
# What a worker may take beside `drain`, to flush answers and its log.
_REST = 15.0
# Whoever has lived for so long has not died of how it began.
_LIVED = 10.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0

_operations = structlog.get_logger()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class Supervisor:
    """Workers on `sockets`: one list for each of them."""

    def __init__(self, config: Config, sockets: list[list[socket.socket]]) -> None:
        self.draining = False
        """It has been told to stop."""
        self.config = config
        """What new requests are served under."""
        self._made = Made.now()
        self._used = UsedProofs()
        self._seats = [Seat(number, own, self._answer) for number, own in enumerate(sockets)]
        self._whole = Whole(self._seats, self._own)
        self._reloads = Reloads(last_succeeded_at=_now())
        self._admin: Admin | None = None
        self._changing = asyncio.Lock()
        self._keeping: list[asyncio.Task[None]] = []
        self._telling: set[asyncio.Task[object]] = set()
        name = sockets[0][0].getsockname()
        self.address: tuple[str, int] | str = name if isinstance(name, str) else name[:2]
        """Where they listen: host and port, or the path of a unix socket."""

    async def start(self) -> None:
        """Start every worker; the first one by itself, so that what is wrong is said once.

        Raises:
            OSError: the admin listener's address cannot be bound.
            WorkerError: a worker cannot begin; none is left.
        """
        if self.config.admin is not None:
            self._admin = await administered(
                self.config.admin, lambda: self.config, self._whole.snapshot, self._whole.recall
            )
        try:
            first, *others = self._seats
            await first.fill(self._begin(first))
            async with asyncio.TaskGroup() as group:
                for seat in others:
                    group.create_task(seat.fill(self._begin(seat)))
        except BaseException as error:
            await asyncio.gather(*(seat.end() for seat in self._seats))
            await self._close_admin()
            if isinstance(error, ExceptionGroup):
                raise error.exceptions[0] from None
            raise
        self._keeping = [asyncio.create_task(self._keep(seat)) for seat in self._seats]

    @property
    def admin_address(self) -> tuple[str, int] | str | None:
        """Where the admin listener is; None where there is none."""
        return None if self._admin is None else self._admin.address

    async def reload(self, config: Config) -> None:
        """Have every worker serve as `config` says, or none.

        Raises:
            ConfigError: it cannot take effect, and nothing has changed.
        """
        async with self._changing:
            if faults := fixed(self.config, config):
                raise ConfigError(faults)
            prepared = await self.ask(Prepare(pickle.dumps(config)), _PREPARE)
            refused = next((one for one in prepared if isinstance(one, Refused)), None)
            if refused is not None or None in prepared:
                await self.ask(Abandon())
                silent = Fault("workers", None, "one does not answer", "end it; another takes its place")
                raise ConfigError(refused.faults if refused is not None else (silent,))
            self.config = config
            await asyncio.gather(*map(_commit, self._seats))
        allow_files(config)

    def reloaded(self, succeeded: bool) -> None:  # noqa: FBT001 - as `Reloader` tells it
        """Count a configuration that was read anew."""
        self._reloads.count(_now(), succeeded=succeeded)

    def _own(self) -> Snapshot:
        return Snapshot(
            reloads=self._reloads,
            draining=self.draining,
            process=process_usage(),
            workers=0,
            answering=0,
        )

    async def ask(self, message: Message, seconds: float = _PATIENCE) -> list[Message | None]:
        """Ask every worker that lives; None stands for one that does not answer in time."""
        answers = await asyncio.gather(*(_asked(seat, message, seconds) for seat in self._seats))
        return [answer for answer in answers if not isinstance(answer, ClosedError)]

    def reopen_log(self) -> None:
        """Have every worker open the log file anew."""
        self._tell(Reopen())

    async def close(self) -> None:
        """Have every worker finish what is in progress and end; kill what does not."""
        self.draining = True
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        # The workers' own are open still: they accept who waits, and then nobody else can come.
        for seat in self._seats:
            close(seat.sockets)
        await self.ask(Drain())
        await asyncio.gather(*(seat.end(self.config.drain + _REST) for seat in self._seats))
        await self._close_admin()

    async def _close_admin(self) -> None:
        if self._admin is not None:
            await self._admin.close()

    def hurry(self) -> None:
        """Cut `close` short: what is in progress now is ended."""
        self._tell(Hurry())

    def _tell(self, message: Message) -> None:
        task = asyncio.ensure_future(self.ask(message))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def _begin(self, seat: Seat) -> Begin:
        return Begin(pickle.dumps(self.config), self._made, seat.number)

    async def _keep(self, seat: Seat) -> None:
        """Replace whoever ends, for ever: at once at first, and later the more often it happens."""
        while True:
            code = await seat.ended()
            seat.failures = 0 if seat.age > _LIVED else seat.failures + 1
            pause = (
                min(_FIRST_PAUSE * 2.0 ** min(seat.failures - 1, 16), _LONGEST_PAUSE)
                if seat.failures
                else 0.0
            )
            report = _operations.error if code else _operations.info
            report("worker_died", worker=seat.number, pid=seat.pid, how=_how(code), replaced_in=pause)
            await asyncio.sleep(pause)
            async with self._changing:
                try:
                    await seat.fill(self._begin(seat))
                except Exception as error:  # noqa: BLE001 - whatever it was, it is tried again
                    why = str(error) if isinstance(error, WorkerError) else type(error).__name__
                    _operations.error("worker_not_replaced", worker=seat.number, problem=why)
                else:
                    _operations.info("worker_replaced", worker=seat.number, pid=seat.pid)

    async def _answer(self, message: Message) -> Message:
        """Answer a worker: it asks about proofs alone."""
        if not isinstance(message, Use):
            return Done()
        used = self._used.use(message.agent, message.proof, message.until, message.now)
        try:
            next(used)
        except StopIteration as stop:
            if stop.value is None:
                return Used("first")
            return Used("again" if stop.value is REPLAYED else "full")
        raise AssertionError  # this one waits for nothing


def _now() -> float:
    return time.time()  # noqa: TID251 - this is a shell


async def _commit(seat: Seat) -> None:
    if await _asked(seat, Commit(), _PATIENCE) is None:
        # It would go on under the earlier one; whoever takes its place does not.
        seat.kill()


async def _asked(seat: Seat, message: Message, seconds: float) -> Message | ClosedError | None:
    try:
        return await seat.ask(message, seconds)
    except TimeoutError:
        return None
    except ClosedError as closed:
        return closed


def _how(code: int) -> str:
    try:
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"
