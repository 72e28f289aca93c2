"""Pages of the admin listener, asked for as exactly as the tests' own client can, and metrics as Prometheus reads them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.raw import DEADLINE, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.messages import Message
    from tests.support.raw import Address, Client

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def page(
    address: Address, path: str, *lines: str, host: str | None = "localhost", method: str = "GET"
) -> Message:
    """Ask for a page; `lines` are further header lines, and `host` None leaves Host out."""
    head = [f"{method} {path} HTTP/1.1", *lines] + ([] if host is None else [f"Host: {host}"])
    async with connect(address) as client:
        client.transport.write("\r\n".join([*head, "", ""]).encode())
        answer = await client.response(method.encode())
        assert await client.rest() == b"", "one request to a connection"
        return answer


async def readiness(address: Address) -> tuple[int, dict[str, Any]]:
    answer = await page(address, "/readyz")
    return answer.status, json.loads(answer.body)


async def readiness_when(
    address: Address, settled: Callable[[dict[str, Any]], object]
) -> tuple[int, dict[str, Any]]:
    """Ask until the answer is as `settled` says: some of it is found out in the background."""
    async with asyncio.timeout(DEADLINE):
        while True:
            told = await readiness(address)
            if settled(told[1]):
                return told


def samples(text: str) -> Samples:
    """Every sample of an exposition: name and labels to value."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def named(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """The name of a sample."""
    return name, frozenset(labels.items())


async def metrics(address: Address) -> Samples:
    answer = await page(address, "/metrics")
    assert answer.status == 200
    return samples(answer.body.decode())


async def told(address: Address, path: str, *lines: str) -> Any:
    """Ask for a page of JSON."""
    answer = await page(address, path, *lines)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


class Following:
    """An event stream of the admin listener."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def until(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many lines have come, and return them all."""
        await self.client.until(lambda: len(self.lines()) >= count)
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        came = re.findall(rb"event: line\ndata: (.*)\n\n", self.client.received)
        return [json.loads(data) for data in came]


@contextlib.asynccontextmanager
async def following(address: Address, *lines: str) -> AsyncIterator[Following]:
    """Follow the requests; `lines` are further header lines."""
    async with connect(address) as client:
        head = ["GET /events HTTP/1.1", "Host: localhost", *lines, "", ""]
        client.transport.write("\r\n".join(head).encode())
        await client.until(lambda: b"retry: " in client.received or client.gone)
        yield Following(client)
