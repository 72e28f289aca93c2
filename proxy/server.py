"""The wiring: every room built from one configuration, started and stopped in order."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from proxy.audit import AccessLog
from proxy.authn import Verifier, key_sources
from proxy.gate import Gate, dress
from proxy.model import Note
from proxy.wire import Forwarding, Wire

if TYPE_CHECKING:
    from proxy.config import Config

# How long answers in progress may take once the process has been told to stop.
_GRACE = 10.0

_operations = structlog.get_logger()


class Server:
    """One proxy: `start`, then `address` is served until `close`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        # The one place that reads the wall clock: everything else is handed `now`.
        self._clock = time.time  # noqa: TID251 - this is the shell
        self._sources = key_sources(config.issuers, self._clock)
        self._wire: Wire | None = None

    async def start(self) -> None:
        """Open the log, read the key sets, then accept.

        Raises:
            OSError: the log cannot be opened, or the address cannot be bound.
            KeySetError: a key set that is a file or inline cannot be used.
        """
        config = self._config
        self._log = AccessLog(config.log)
        await self._sources.start()
        forwarding = Forwarding(config.trusted_proxies)
        verifier = Verifier(config.issuers, self._sources, dress(config))
        self._wire = Wire(config, Gate(config, verifier, self._log, forwarding), forwarding, self._clock)
        await self._wire.listen()
        self._log.start(self._wire.loop)
        _operations.info("listening", address=_spelled(self.address), upstream=config.upstream.url)

    @property
    def address(self) -> tuple[str, int] | str:
        """Where it listens: host and port, or the path of a unix socket."""
        assert self._wire is not None  # noqa: S101 - there is no address before `start`
        return self._wire.address

    def reopen_log(self) -> None:
        """Open the log file anew, by its name (after it was rotated away)."""
        self._log.reopen()

    async def close(self) -> None:
        """Finish what is in progress, then stop; every line is in the log afterwards."""
        if self._wire is not None:
            await self._wire.close(Note.DRAINING, _GRACE)
        await self._sources.close()
        await asyncio.to_thread(self._log.close)
        _operations.info("stopped")


def _spelled(address: tuple[str, int] | str) -> str:
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
