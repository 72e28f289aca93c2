"""Pages of the admin listener, asked for as exactly as the tests' own client can, and metrics as Prometheus reads them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.raw import DEADLINE, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.messages import Message
    from tests.support.raw import Address

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
