"""`keystile run`: the proxy, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import resource
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
from proxy.reading import Reloader
from proxy.server import Server, spelled

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.config import Config

# Logs, sockets that listen, key fetches, and clients that are told there are too many.
_OTHER_FILES = 128

_operations = structlog.get_logger()


def run(config: ConfigFile = None) -> None:
    """Serve: SIGTERM or Ctrl-C finishes what is in progress and stops, SIGHUP reads the configuration anew.

    A second SIGTERM or Ctrl-C waits for nothing. SIGHUP also opens the log file anew.
    """
    files: set[Path] = set()
    loaded = read(config, files)
    configure_operations(sys.stderr)
    take_footing()
    _raise_file_limit(loaded)
    try:
        uvloop.run(_serve(loaded, config, files))
    except (KeySetError, RevocationError, StartError) as error:
        raise refused(error) from None
    except OSError as error:
        # An address in use, a log that cannot be opened: the sentence is enough.
        where = f"{error.filename}: " if error.filename else ""
        print(f"keystile: {where}{error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None


def _raise_file_limit(config: Config) -> None:
    """Allow as many open files as the connections of the configuration need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = config.limits.connections + config.upstream.connections + _OTHER_FILES
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < needed:
        _operations.warning("file_limit_too_low", limit=soft, needed=needed)


async def _serve(config: Config, path: Path | None, files: set[Path]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    server = Server(config)

    async def apply(changed: Config) -> None:
        await server.reload(changed)
        _raise_file_limit(changed)

    def told_to_stop() -> None:
        if stop.is_set():
            server.hurry()
        stop.set()

    def told_to_reload() -> None:
        server.reopen_log()
        reloader.ask()

    reloader = Reloader(path, os.environ, files, lambda: server.config, apply)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop)
    loop.add_signal_handler(signal.SIGHUP, told_to_reload)
    await server.start()
    _operations.info("listening", address=spelled(server.address), upstream=config.upstream.url)
    reloading = asyncio.create_task(reloader.run())
    await stop.wait()
    reloading.cancel()
    await asyncio.wait([reloading])
    await server.close()
    _operations.info("stopped")
