"""`keystile run`: the proxy, until it is told to stop."""

from __future__ import annotations

import asyncio
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
from proxy.server import Server, StartError

if TYPE_CHECKING:
    from proxy.config import Config

# Logs, sockets that listen, key fetches, and clients that are told there are too many.
_OTHER_FILES = 128


def run(config: ConfigFile = None) -> None:
    """Serve: SIGTERM or Ctrl-C finishes what is in progress and stops, SIGHUP reopens the log file."""
    loaded = read(config)
    configure_operations(sys.stderr)
    take_footing()
    _raise_file_limit(loaded)
    try:
        uvloop.run(_serve(loaded))
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
        structlog.get_logger().warning("file_limit_too_low", limit=soft, needed=needed)


async def _serve(config: Config) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    server = Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, server.reopen_log)
    await server.start()
    await stop.wait()
    await server.close()
