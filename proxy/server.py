"""The wiring: every room built from one configuration, started and stopped in order."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from errno import EADDRINUSE
from typing import TYPE_CHECKING, Any

import structlog

from proxy.audit import AccessLog
from proxy.authn import (
    Assertions,
    Introspectors,
    Proofs,
    SharedProofs,
    UsedProofs,
    Verifier,
    assertion_key,
    key_sources,
    revocation_source,
)
from proxy.authz import OwnRates, SharedRates
from proxy.gate import Gate, dress
from proxy.model import Note
from proxy.wire import Forwarding, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from proxy.authn import Revocations
    from proxy.config import Address, Config
    from proxy.wire import Exchange

# How long answers in progress may take once the process has been told to stop.
_GRACE = 10.0
# How long a Redis may take that a request waits for.
_PATIENCE = 1.0

_operations = structlog.get_logger()


class StartError(Exception):
    """Something that the configuration asks for cannot be had here; the text says what to do."""


class Gatehouse:
    """The gate and all that it asks: keys, revocations, issuers, Redis. `clock` gives Unix seconds."""

    def __init__(
        self, config: Config, log: AccessLog, forwarding: Forwarding, clock: Callable[[], float]
    ) -> None:
        self._sources = key_sources(config.issuers, clock, cache=config.jwks_cache)
        self._introspectors = Introspectors(config.issuers, clock)
        self._revocations = revocation_source(config.revocations)
        self._revocations.watcher = self._revoked
        self.watcher: Callable[[Revocations], None] | None = None
        """Called when more, or less, is revoked: what is under way is not this class's to end."""
        self._redis = None if config.redis is None else _redis(config.redis.url.get_secret_value())
        self._verifier = Verifier(
            config.issuers, self._sources, dress(config), self._introspectors, self._revocations
        )
        used = UsedProofs() if self._redis is None else SharedProofs(self._redis)
        proofs = Proofs(config.issuers, config.resource, used, secrets.token_bytes(32))
        rates = OwnRates() if self._redis is None else SharedRates(self._redis, config.resource or "")
        signing = config.assertion
        assertions = None if signing is None else Assertions(signing, assertion_key(signing.key))
        self.gate = Gate(config, self._verifier, proofs, rates, log, forwarding, assertions=assertions)

    async def start(self) -> None:
        """Read what lies here, and begin to fetch the rest.

        Raises:
            KeySetError: a key set that is a file or inline cannot be used.
            RevocationError: the revocations cannot be read.
        """
        await self._revocations.start()
        await self._sources.start()

    async def close(self) -> None:
        """Stop every fetch and watch, and close every connection."""
        await self._sources.close()
        await self._introspectors.close()
        await self._revocations.close()
        if self._redis is not None:
            await self._redis.aclose()

    def _revoked(self, revocations: Revocations) -> None:
        self._verifier.forget_revoked()
        if self.watcher is not None:
            self.watcher(revocations)


class Server:
    """One proxy: `start`, then `address` is served until `close`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        # The one place that reads the wall clock: everything else is handed `now`.
        self._clock = time.time  # noqa: TID251 - this is the shell
        self._gatehouse: Gatehouse | None = None
        self._wire: Wire | None = None

    async def start(self) -> None:
        """Open the log, read the key sets, then accept.

        Raises:
            OSError: the log cannot be opened, or the address cannot be bound.
            KeySetError, RevocationError, StartError: the configuration asks for what cannot be had.
        """
        self._log = AccessLog(self._config.log)
        try:
            await self._start(self._config)
        except BaseException:
            await self._stop()
            raise
        if self._config.mode == "observe":
            _operations.warning("observe_mode", problem="what rules refuse goes on to the upstream")
        _operations.info("listening", address=_spelled(self.address), upstream=self._config.upstream.url)

    async def _start(self, config: Config) -> None:
        forwarding = Forwarding(config.trusted_proxies)
        self._gatehouse = Gatehouse(config, self._log, forwarding, self._clock)
        self._gatehouse.watcher = self._end_revoked
        await self._gatehouse.start()
        self._wire = Wire(config, self._gatehouse.gate, forwarding, self._clock)
        try:
            await self._wire.listen()
        except OSError as error:
            raise OSError(error.errno, f"listen {_configured(config.listen)}: {_reason(error)}") from None
        self._log.start(self._wire.loop)

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
        await self._stop()
        _operations.info("stopped")

    async def _stop(self) -> None:
        if self._wire is not None:
            await self._wire.close(Note.DRAINING, _GRACE)
        if self._gatehouse is not None:
            await self._gatehouse.close()
        await asyncio.to_thread(self._log.close)

    def _end_revoked(self, revocations: Revocations) -> None:
        """End what is under way for whoever is revoked now."""

        def chosen(exchange: Exchange) -> bool:
            caller = exchange.opening.caller if exchange.opening is not None else None
            return caller is not None and revocations.revoked(caller.identity)

        if self._wire is not None:
            self._wire.end(chosen, Note.TOKEN_REVOKED)


def _redis(url: str) -> Redis:
    try:
        from redis.asyncio import Redis  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise StartError("`redis` needs redis-py: pip install 'keystile[redis]'") from None
    # Not the default of every version; other kinds of connection do not take it.
    tls: dict[str, Any] = {"ssl_check_hostname": True} if url.startswith("rediss:") else {}
    try:
        return Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE, **tls)
    except ValueError:  # its text may quote the URL, password included
        raise StartError("`redis` is no URL that redis-py knows") from None


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
