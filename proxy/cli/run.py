"""`keystile run`: the proxy, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import structlog
import typer
import uvloop

from proxy.audit import configure_operations
from proxy.authn import KeySetError, RevocationError
from proxy.cli.configuration import ConfigFile, read, refused
from proxy.cli.footing import take_footing
from proxy.gatehouse import StartError
from proxy.open_files import allow_files
from proxy.reading import Reloader
from proxy.server import Server, spelled, unbound
from proxy.wire import TlsError, passed, shared_out, unlike
from proxy.workers import Supervisor, WorkerError, usable_cores

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from proxy.config import Config

_operations = structlog.get_logger()


def run(config: ConfigFile = None) -> None:
    """Serve: SIGTERM or Ctrl-C finishes what is in progress and stops, SIGHUP reads the configuration anew.

    A second SIGTERM or Ctrl-C waits for nothing. SIGHUP also opens the log file anew.
    """
    files: set[Path] = set()
    loaded = read(config, files)
    configure_operations(sys.stderr)
    take_footing()
    allow_files(loaded)
    try:
        uvloop.run(_serve(loaded, config, files))
    except (KeySetError, RevocationError, StartError, TlsError) as error:
        raise refused(error) from None
    except WorkerError as error:
        print(f"keystile: {error}", file=sys.stderr)
        raise typer.Exit(error.code) from None
    except OSError as error:
        # An address in use, a log that cannot be opened: the sentence is enough.
        where = f"{error.filename}: " if error.filename else ""
        print(f"keystile: {where}{error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None


def _sockets(config: Config, workers: int) -> list[list[socket.socket]]:
    """Return the sockets of each worker: those that were passed in are for all."""
    given = passed(os.environ)
    try:
        other = unlike(given, config.listen)
        if other is not None:
            raise StartError(f"a socket that was passed in listens at {other}; let `listen` say so")
        return [given] * workers if given else shared_out(config.listen, workers)
    except OSError as error:
        raise unbound("listen", config.listen, error) from None


async def _serve(config: Config, path: Path | None, files: set[Path]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    workers = usable_cores() if config.workers == "auto" else config.workers
    sockets = _sockets(config, workers)
    proxy: Server | Supervisor = Server(config, sockets[0]) if workers == 1 else Supervisor(config, sockets)

    def told_to_stop() -> None:
        if stop.is_set():
            proxy.hurry()
        stop.set()

    def told_to_reload() -> None:
        proxy.reopen_log()
        reloader.ask()

    reloader = Reloader(path, os.environ, files, lambda: proxy.config, proxy.reload, proxy.reloaded)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop)
    loop.add_signal_handler(signal.SIGHUP, told_to_reload)
    await proxy.start()
    told: dict[str, object] = {"address": spelled(proxy.address), "upstream": config.upstream.url}
    if proxy.admin_address is not None:
        told["admin"] = spelled(proxy.admin_address)
    if workers > 1:
        told["workers"] = workers
    _operations.info("listening", **told)
    reloading = asyncio.create_task(reloader.run())
    await stop.wait()
    reloading.cancel()
    await asyncio.wait([reloading])
    await proxy.close()
    _operations.info("stopped")
