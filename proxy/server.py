"""The wiring: every room built from one configuration, started and stopped in order."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from errno import EADDRINUSE
from typing import TYPE_CHECKING

import structlog

from proxy.audit import AccessLog
from proxy.authn import Verifier, key_sources
from proxy.gate import Gate, dress
from proxy.model import Note
from proxy.wire import Forwarding, Wire

if TYPE_CHECKING:
    from proxy.config import Address, Config

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
        try:
            await self._wire.listen()
        except OSError as error:
            await self._sources.close()
            self._log.close()
            raise OSError(error.errno, f"listen {_configured(config.listen)}: {_reason(error)}") from None
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


def _configured(listen: Address) -> str:
    return _spelled(listen.unix if listen.unix is not None else (listen.host or "", listen.port or 0))


def _reason(error: OSError) -> str:
    """Why the address could not be bound; what asyncio says of it repeats the error's number."""
    if isinstance(error, socket.gaierror):
        return "the host has no address here; mend it"
    if error.errno == EADDRINUSE:
        return "the address is in use; choose another, or end what uses it"
    return f"{os.strerror(error.errno or 0).lower()}; mend the address or the socket's path"


def _spelled(address: tuple[str, int] | str) -> str:
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
