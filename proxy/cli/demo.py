"""`keystile demo`: an issuer, an upstream and the proxy in one process, and requests to paste."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Annotated

import typer
import uvloop

from proxy.audit import configure_operations


def demo(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="The proxy's port; 0 takes a free one. Default: 8080, or a free one."
        ),
    ] = None,
) -> None:
    """Run an issuer, a sample MCP server and the proxy on loopback, and print requests to paste.

    The access lines appear below them. Ctrl-C or SIGTERM stops it.
    """
    configure_operations(sys.stderr)
    try:
        uvloop.run(_play(port))
    except OSError as error:
        print(f"keystile: {error}; --port 0 takes a free port", file=sys.stderr)
        raise typer.Exit(1) from None


async def _play(port: int | None) -> None:
    from proxy.demo import stage  # noqa: PLC0415 - brings aiohttp.web, for which `run` should not wait

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with stage(port) as tour:
        print(tour, flush=True)
        await stop.wait()
