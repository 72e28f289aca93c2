"""The wiring: every room built from one configuration, started, followed by the next, and stopped."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from errno import EADDRINUSE
from typing import TYPE_CHECKING

import structlog

from proxy.admin import Admin, Contact, Probe, Recalled, Reloads, Snapshot, process_usage
from proxy.audit import SIZE, AccessLog, Metrics, Passed, Recent, Sampling
from proxy.authn import KeySetError, RevocationError
from proxy.config import ConfigError, Fault, fixed
from proxy.files import Files
from proxy.gatehouse import Gatehouse, Made, StartError
from proxy.model import Note
from proxy.open_files import allow_files
from proxy.wire import Forwarding, TlsError, Wire, server_context, tls_files, upstream_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from ssl import SSLContext

    from proxy.authn import Replay, Revocations
    from proxy.config import Address, AdminListener, Config
    from proxy.wire import Exchange, Pool

# So often it is seen whether what an earlier configuration has begun to judge is decided.
_LOOK = 0.1
# So often it is seen whether a certificate has been renewed.
_RENEW = 1.0
# What the only process is called where lines of several would be told apart.
_ONLY = "0"

_operations = structlog.get_logger()


class Server:
    """One proxy: `start`, then `address` is served until `close`.

    It listens on `sockets`, or binds what the configuration names. `made` and `used` are what several workers
    share, `worker` is this one's number among them. `alone` says that there are no others: then the admin
    listener is its own.
    """

    def __init__(
        self,
        config: Config,
        sockets: list[socket.socket] | None = None,
        *,
        made: Made | None = None,
        used: Replay | None = None,
        worker: int = 0,
        alone: bool = True,
    ) -> None:
        self.draining = False
        """It has been told to stop: what is in progress is finished, and nobody should come."""
        self._config = config
        self._sockets = sockets
        self._made = made or Made.now()
        self._used = used
        self._worker = worker
        self._alone = alone
        self._metrics = None if config.admin is None else Metrics()
        # Kept only where somebody may look.
        self._recent = None if config.admin is None or config.admin.is_closed else Recent()
        self._probe: Probe | None = None
        self._admin: Admin | None = None
        # The one place that reads the wall clock: everything else is handed `now`.
        self._clock = time.time  # noqa: TID251 - this is the shell
        self._gatehouse: Gatehouse | None = None
        self._wire: Wire | None = None
        self._next: tuple[Config, Gatehouse, Wire] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._reloads = Reloads(last_succeeded_at=self._clock()) if alone else None

    async def start(self) -> None:
        """Open the log, read the key sets, then accept.

        Raises:
            OSError: the log cannot be opened, or the address cannot be bound.
            KeySetError, RevocationError, StartError, TlsError: the configuration asks for what cannot be had.
        """
        sampling = self._sampling(self._config)
        self._log = AccessLog(
            self._config.log, self._worker, metrics=self._metrics, sampling=sampling, recent=self._recent
        )
        try:
            await self._start(self._config)
        except BaseException:
            await self._stop()
            raise
        _warn(self._config)

    async def _start(self, config: Config) -> None:
        forwarding = _forwarding(config)
        self._gatehouse = Gatehouse(
            config, self._log, forwarding, self._clock, made=self._made, used=self._used
        )
        self._gatehouse.watcher = self._end_revoked
        await self._gatehouse.start()
        self._wire = Wire(config, self._gatehouse.gate, forwarding, self._clock)
        self._probe = self._upstream_probe(self._wire.pool)
        if config.admin is not None and self._alone:
            self._admin = await administered(config.admin, lambda: self._config, self._told, self._recalled)
        try:
            await self._wire.listen(self._sockets)
        except OSError as error:
            raise unbound("listen", config.listen, error) from None
        self._log.start(self._wire.loop)
        self._renewing = asyncio.create_task(self._renew())

    def _sampling(self, config: Config) -> Sampling:
        # Workers have it in common, and replicas where it is configured: a trace may pass several of them.
        secret = config.session_key[0].get_secret_value() if config.session_key else self._made.session_key
        return Sampling(config.rules, secret)

    def _upstream_probe(self, pool: Pool) -> Probe:
        return Probe(pool.probe, lambda now: Contact.at(now, pool.reached_at, pool.missed_at))

    @property
    def address(self) -> tuple[str, int] | str:
        """Where it listens: host and port, or the path of a unix socket."""
        assert self._wire is not None  # noqa: S101 - there is no address before `start`
        return self._wire.address

    @property
    def admin_address(self) -> tuple[str, int] | str | None:
        """Where the admin listener is; None where it has none."""
        return None if self._admin is None else self._admin.address

    @property
    def config(self) -> Config:
        """What new requests are served under."""
        return self._config

    async def reload(self, config: Config) -> None:
        """Serve what begins from now on as `config` says; what is in progress ends as it began.

        Raises:
            ConfigError: it cannot take effect, and nothing has changed.
        """
        await self.prepare(config)
        self.commit()
        allow_files(config)

    async def prepare(self, config: Config) -> None:
        """Build all that `config` needs, while everything goes on as before; errors as `reload`."""
        await self.abandon()
        if faults := fixed(self._config, config):
            raise ConfigError(faults)
        if self._gatehouse is None or self._wire is None or self.draining:
            raise ConfigError((Fault("the configuration", None, "too late: it stops", "start it again"),))
        forwarding = _forwarding(config)
        gatehouse = None
        try:
            gatehouse = Gatehouse(
                config,
                self._log,
                forwarding,
                self._clock,
                made=self._made,
                used=self._used,
                before=self._gatehouse,
            )
            await gatehouse.start()
            wire = Wire(config, gatehouse.gate, forwarding, self._clock, self._wire)
        except BaseException as error:
            if gatehouse is not None:
                await gatehouse.close(besides=self._gatehouse)
            if isinstance(error, (KeySetError, RevocationError, StartError, TlsError)):
                raise ConfigError((Fault("the configuration", None, str(error), "mend it"),)) from None
            raise
        self._next = config, gatehouse, wire

    async def abandon(self) -> None:
        """Take back what was prepared."""
        if self._next is not None:
            _, gatehouse, _ = self._next
            self._next = None
            await gatehouse.close(besides=self._gatehouse)

    def commit(self) -> None:
        """Let what was prepared take effect."""
        if self._next is None or self._gatehouse is None or self._wire is None:
            return
        before, wire, probe = self._gatehouse, self._wire, self._probe
        self._config, self._gatehouse, self._wire = self._next
        self._next = None
        _warn(self._config)
        self._log.configure(self._config.log, self._sampling(self._config))
        self._gatehouse.take_over()
        self._wire.take_over()
        if self._wire.pool is wire.pool:
            probe = None
        else:
            self._probe = self._upstream_probe(self._wire.pool)
        task = asyncio.create_task(self._retire(before, wire, self._gatehouse, probe))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _retire(self, gatehouse: Gatehouse, wire: Wire, after: Gatehouse, probe: Probe | None) -> None:
        """Close what only an earlier configuration needs, once nobody is judged under it."""
        if probe is not None:
            await probe.close()
        while wire.is_judging:  # noqa: ASYNC110 - to be told would cost every request something
            await asyncio.sleep(_LOOK)
        await gatehouse.close(besides=after)
        # Whoever was admitted meanwhile was not asked about what is revoked since.
        self._end_revoked(after.revocations)

    async def _renew(self) -> None:
        """Meet new connections with what lies in the certificates' files now, soon after they change."""
        config, files = self._config, Files(tls_files(self._config))
        while True:
            await asyncio.sleep(_RENEW)
            if config is not self._config:
                # Its contexts were made just now.
                config, files = self._config, await asyncio.to_thread(Files, tls_files(self._config))
            if not tls_files(config) or not await asyncio.to_thread(files.have_changed):
                continue
            try:
                contexts = await asyncio.to_thread(_contexts, config)
            except TlsError as error:
                _operations.error("certificate_refused", problem=str(error), remedy="the old one serves")
                continue
            if config is self._config and self._wire is not None:
                self._wire.secure(*contexts)
                _operations.info("certificate_renewed")

    def reloaded(self, succeeded: bool) -> None:  # noqa: FBT001 - as `Reloader` tells it
        """Count a configuration that was read anew."""
        if self._reloads is not None:
            self._reloads.count(self._clock(), succeeded=succeeded)

    def snapshot(self) -> Snapshot:
        """Return how it fares; what is old news of the upstream and of Redis is renewed in the background."""
        if self._gatehouse is None or self._wire is None or self._probe is None:
            return Snapshot(draining=self.draining)
        snapshot = Snapshot(
            wire=self._wire.state(),
            upstream=self._probe.look(),
            log=self._log.state(),
            reloads=self._reloads,
            draining=self.draining,
            observing=self._config.mode == "observe",
            process=process_usage(),
        )
        if self._metrics is not None:
            snapshot.requests, snapshot.sessions = self._metrics.requests(), self._metrics.sessions
        self._gatehouse.show(snapshot, self._clock())
        return snapshot

    def recall(self, number: int, size: int) -> Passed:
        """Return the access lines from that number on, about `size` bytes of them."""
        return Passed([], number, 0) if self._recent is None else self._recent.since(number, size)

    async def _told(self) -> Snapshot:
        return self.snapshot()

    async def _recalled(self, marks: Mapping[str, int]) -> Recalled:
        passed = self.recall(marks.get(_ONLY, 0), SIZE)
        return Recalled(passed.lines, {_ONLY: passed.following}, passed.missed)

    def reopen_log(self) -> None:
        """Open the log file anew, by its name (after it was rotated away)."""
        if self._log is not None:
            self._log.reopen()

    async def close(self) -> None:
        """Finish what is in progress, then stop; every line is in the log afterwards."""
        self.draining = True
        await self._stop()

    def hurry(self) -> None:
        """Cut `close` short: what is in progress now is ended."""
        if self._wire is not None:
            self._wire.hurry()

    async def _stop(self) -> None:
        await self.abandon()
        if self._renewing is not None:
            self._renewing.cancel()
        if self._wire is not None:
            await self._wire.close(Note.DRAINING, self._config.drain)
        await asyncio.gather(*self._retiring)
        if self._admin is not None:
            await self._admin.close()
        if self._probe is not None:
            await self._probe.close()
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


def _forwarding(config: Config) -> Forwarding:
    return Forwarding(config.trusted_proxies, "http" if config.tls is None else "https")


def _contexts(config: Config) -> tuple[SSLContext | None, SSLContext | None]:
    return None if config.tls is None else server_context(config.tls), upstream_context(config.upstream)


def _warn(config: Config) -> None:
    if config.mode == "observe":
        _operations.warning("observe_mode", problem="what rules refuse goes on to the upstream")


async def administered(
    listener: AdminListener,
    config: Callable[[], Config],
    snapshot: Callable[[], Awaitable[Snapshot]],
    recall: Callable[[Mapping[str, int]], Awaitable[Recalled]],
) -> Admin:
    """Start an admin listener; arguments as for `Admin`.

    Raises:
        OSError: the address cannot be bound.
    """
    admin = Admin(config, snapshot, recall)
    try:
        await admin.start()
    except OSError as error:
        raise unbound("admin", listener.listen, error) from None
    return admin


def unbound(key: str, address: Address, error: OSError) -> OSError:
    """Say which address could not be bound, why, and what to do; `key` is where it is configured."""
    named = address.unix if address.unix is not None else (address.host or "", address.port or 0)
    return OSError(error.errno, f"{key} {spelled(named)}: {_reason(error)}")


def _reason(error: OSError) -> str:
    """Why the address could not be bound; what asyncio says of it repeats the error's number."""
    if isinstance(error, socket.gaierror):
        return "the host has no address here; mend it"
    if error.errno == EADDRINUSE:
        return "the address is in use; choose another, or end what uses it"
    return f"{os.strerror(error.errno or 0).lower()}; mend the address or the socket's path"


def spelled(address: tuple[str, int] | str) -> str:
    """Return an address as `listen` writes it."""
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
