"""Bodies of any size in memory of a fixed size, in both directions, and whoever does not read is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import keystile
from tests.support.process import process
from tests.support.raw import DEADLINE, Endpoint
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import HOST, get, http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.support.harness import Keystile
    from tests.support.process import Process
    from tests.support.raw import Client

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")

_MIB = 1024 * 1024
_BLOCK = os.urandom(64 * 1024)
_GROWTH = 64 * _MIB
# What may lie in sockets and buffers on the way while nobody reads.
_UNDER_WAY = 32 * _MIB
_LONG_ENOUGH = 120.0

SIZES = [
    pytest.param(256 * _MIB, id="256 MiB"),
    pytest.param(1024 * _MIB, id="1 GiB", marks=pytest.mark.long),
]
CODINGS = [pytest.param(False, id="with a length"), pytest.param(True, id="in chunks")]


def _framing(size: int, *, chunked: bool) -> tuple[str, bytes, bytes]:
    """The framing line, a block as framed, and what ends the body."""
    if chunked:
        return "Transfer-Encoding: chunked", b"%x\r\n%b\r\n" % (len(_BLOCK), _BLOCK), b"0\r\n\r\n"
    return f"Content-Length: {size}", _BLOCK, b""


async def _pour(end: Endpoint, size: int, *, chunked: bool) -> tuple[int, int]:
    """Write a body of `size` bytes as fast as it is read; returns length and CRC-32 as framed."""
    _, block, last = _framing(size, chunked=chunked)
    length = checksum = 0
    for piece in [block] * (size // len(_BLOCK)) + [last] * chunked:
        checksum = zlib.crc32(piece, checksum)
        length += len(piece)
        end.transport.write(piece)
        await end.until(lambda: end.is_writable or end.gone, _LONG_ENOUGH)
    return length, checksum


@contextlib.asynccontextmanager
async def _upstream(serve: Callable[[Endpoint], Awaitable[None]]) -> AsyncIterator[str]:
    """An upstream that reads a head, and then does what `serve` does."""
    tasks, ends = [], []

    async def _serve(end: Endpoint) -> None:
        await end.until(lambda: b"\r\n\r\n" in end.received)
        if end.received.startswith(b"GET /small"):
            end.transport.write(http("HTTP/1.1 200 OK", "Connection: close", "Content-Length: 0"))
            return
        del end.received[: end.received.index(b"\r\n\r\n") + 4]
        await serve(end)

    def _opened(end: Endpoint) -> None:
        ends.append(end)
        tasks.append(asyncio.ensure_future(_serve(end)))

    server = await asyncio.get_running_loop().create_server(lambda: Endpoint(_opened), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            await end.abort()


async def _small_requests(proxy: Process, count: int = 1) -> None:
    """Requests that pass meanwhile: they warm up the proxy, and they are the clock of what does not happen."""
    async with proxy.client() as client:
        for _ in range(count):
            await client.write(get("/small"))
            assert (await client.response()).status == 200


@pytest.mark.parametrize("chunked", CODINGS)
@pytest.mark.parametrize("size", SIZES)
async def test_upload(size: int, chunked: bool, tmp_path: Path) -> None:
    came: list[tuple[int, int]] = []
    expected = size + (size // len(_BLOCK)) * (9 * chunked) + 5 * chunked

    async def _read(end: Endpoint) -> None:
        end.count_only()
        await end.until(lambda: end.counted >= expected, _LONG_ENOUGH)
        came.append((end.counted, end.checksum))
        end.transport.write(http("HTTP/1.1 200 OK", "Content-Length: 0"))

    async with _upstream(_read) as url, process(tmp_path, url) as proxy, proxy.client() as client:
        await _small_requests(proxy)
        before = proxy.memory()
        await client.write(http("POST / HTTP/1.1", HOST, _framing(size, chunked=chunked)[0]))
        sent = await _pour(client, size, chunked=chunked)
        assert (await client.response()).status == 200
        assert came == [sent]
        assert proxy.peak() - before < _GROWTH


@pytest.mark.parametrize("chunked", CODINGS)
@pytest.mark.parametrize("size", SIZES)
async def test_download(size: int, chunked: bool, tmp_path: Path) -> None:
    sent: list[tuple[int, int]] = []

    async def _write(end: Endpoint) -> None:
        end.transport.write(http("HTTP/1.1 200 OK", _framing(size, chunked=chunked)[0]))
        sent.append(await _pour(end, size, chunked=chunked))

    async with _upstream(_write) as url, process(tmp_path, url) as proxy, proxy.client() as client:
        await _small_requests(proxy)
        before = proxy.memory()
        await client.write(get("/"))
        await client.bytes_until(b"\r\n\r\n")
        client.count_only()
        await client.until(lambda: bool(sent) and client.counted >= sent[0][0], _LONG_ENOUGH)
        assert (client.counted, client.checksum) == sent[0]
        assert proxy.peak() - before < _GROWTH


async def test_a_client_that_does_not_read_is_waited_for(tmp_path: Path) -> None:
    size = 128 * _MIB
    progress: list[int] = []
    sent: list[tuple[int, int]] = []

    async def _write(end: Endpoint) -> None:
        end.transport.write(http("HTTP/1.1 200 OK", f"Content-Length: {size}"))
        checksum = 0
        for _ in range(size // len(_BLOCK)):
            checksum = zlib.crc32(_BLOCK, checksum)
            end.transport.write(_BLOCK)
            await end.until(lambda: end.is_writable or end.gone, _LONG_ENOUGH)
            progress.append(len(_BLOCK))
        sent.append((size, checksum))

    async with _upstream(_write) as url, process(tmp_path, url) as proxy, proxy.client() as client:
        client.transport.pause_reading()
        await client.write(get("/"))
        await _small_requests(proxy, 400)
        assert sum(progress) < _UNDER_WAY
        await _read_slowly(client, sent)
        assert (client.counted, client.checksum) == sent[0]


async def _read_slowly(client: Client, sent: list[tuple[int, int]]) -> None:
    client.transport.resume_reading()
    await client.bytes_until(b"\r\n\r\n")
    client.count_only()
    await client.until(lambda: bool(sent) and client.counted >= sent[0][0], _LONG_ENOUGH)


async def test_an_upstream_that_does_not_read_is_waited_for(tmp_path: Path) -> None:
    size = 128 * _MIB
    came: list[tuple[int, int]] = []
    read_on = asyncio.Event()

    async def _read(end: Endpoint) -> None:
        end.count_only()
        end.transport.pause_reading()
        await read_on.wait()
        end.transport.resume_reading()
        await end.until(lambda: end.counted >= size, _LONG_ENOUGH)
        came.append((end.counted, end.checksum))
        end.transport.write(http("HTTP/1.1 200 OK", "Content-Length: 0"))

    async with _upstream(_read) as url, process(tmp_path, url) as proxy, proxy.client() as client:
        await client.write(http("POST / HTTP/1.1", HOST, f"Content-Length: {size}"))
        progress: list[int] = []
        checksum = 0

        async def _send() -> None:
            nonlocal checksum
            for _ in range(size // len(_BLOCK)):
                checksum = zlib.crc32(_BLOCK, checksum)
                client.transport.write(_BLOCK)
                await client.until(lambda: client.is_writable, _LONG_ENOUGH)
                progress.append(len(_BLOCK))

        sending = asyncio.ensure_future(_send())
        await _small_requests(proxy, 400)
        assert sum(progress) < _UNDER_WAY
        read_on.set()
        await sending
        assert (await client.response()).status == 200
        assert came == [(size, checksum)]


async def test_a_client_that_asks_and_never_reads_is_not_worked_for_without_end(tmp_path: Path) -> None:
    answered = 0
    body = bytes(256 * 1024)

    async def _write(end: Endpoint) -> None:
        nonlocal answered
        answered += 1
        end.transport.write(
            http("HTTP/1.1 200 OK", "Connection: close", f"Content-Length: {len(body)}", body=body)
        )
        await end.until(lambda: end.ended, _LONG_ENOUGH)

    async with _upstream(_write) as url, process(tmp_path, url) as proxy, proxy.client() as client:
        await _small_requests(proxy)
        before = proxy.memory()
        client.transport.pause_reading()
        client.transport.write(get("/") * 1000)
        await _small_requests(proxy, 1000)
        assert answered * len(body) < _UNDER_WAY
        assert proxy.peak() - before < _GROWTH


async def test_a_client_that_is_refused_and_never_reads_is_not_answered_without_end(tmp_path: Path) -> None:
    async with process(tmp_path, "http://127.0.0.1:9") as proxy, proxy.client() as client:
        await _refused_requests(proxy)
        before = proxy.memory()
        client.transport.pause_reading()
        client.transport.write(get("/guarded") * 40_000)
        await _refused_requests(proxy, 500)
        assert proxy.peak() - before < 16 * _MIB


async def test_refused_bodies_are_dropped_in_step_however_slowly_the_client_reads(tmp_path: Path) -> None:
    """Bodies that arrive while refusals wait to be read must not be taken for requests, nor the reverse."""
    count = 12_000
    request = http(
        "POST /guarded HTTP/1.1", HOST, "Content-Length: 300", body=b"GET / HTTP/1.1\r\n" * 18 + bytes(12)
    )
    sent = request * count + get("/guarded", "X-Last: 1")
    async with keystile(tmp_path, "http://127.0.0.1:9") as proxy, proxy.client() as client:
        client.transport.pause_reading()
        # Odd pieces, so that most of them end within a body.
        for start in range(0, len(sent), 997):
            client.transport.write(sent[start : start + 997])
            await asyncio.sleep(0)
        client.transport.resume_reading()
        for _ in range(count + 1):
            assert (await client.response()).status == 401
        assert client.received == b""
        assert len(await proxy.lines()) == count + 1


async def test_a_client_that_stops_reading_while_its_connection_is_made_is_waited_for(tmp_path: Path) -> None:
    """The transport says only once that it is full: an answer that begins later must know."""
    written = 0

    async def _write(end: Endpoint) -> None:
        nonlocal written
        end.transport.write(http("HTTP/1.1 200 OK", f"Content-Length: {128 * _MIB}"))
        for _ in range(128 * _MIB // len(_BLOCK)):
            end.transport.write(_BLOCK)
            written += len(_BLOCK)
            await end.until(lambda: end.is_writable or end.gone, _LONG_ENOUGH)

    async with (
        _upstream(_write) as url,
        keystile(tmp_path, url) as proxy,
        proxy.client() as client,
        proxy.client() as other,
    ):
        # So nearly full that the refusals before the last request fill it, while that one is on its way.
        await _full(proxy, client, other, 62_000)
        await client.write(get("/guarded") * 15 + get("/"))
        for _ in range(300):
            await other.write(get("/guarded"))
            await other.response()
        assert 0 < written < _UNDER_WAY


async def test_a_client_that_never_reads_its_last_answer_is_given_up(tmp_path: Path) -> None:
    async with (
        keystile(tmp_path, "http://127.0.0.1:9") as proxy,
        proxy.client() as client,
        proxy.client() as other,
    ):
        full = await _full(proxy, client, other, 1)
        client.transport.write(get("/guarded", "Connection: close"))
        async with asyncio.timeout(DEADLINE):
            while full in proxy.transports():
                await other.write(get("/guarded"))
                await other.response()


async def _full(proxy: Keystile, client: Client, other: Client, least: int) -> asyncio.Transport:
    """Have refusals sent to `client`, which does not read, until `least` bytes wait in the proxy's transport."""
    await client.write(get("/guarded"))
    await client.response()
    client.transport.pause_reading()
    name = client.transport.get_extra_info("sockname")
    [full] = [one for one in proxy.transports() if one.get_extra_info("peername") == name]
    while full.get_write_buffer_size() < least:
        await client.write(get("/guarded") * 4)
        await other.write(get("/guarded"))
        await other.response()
    return full


async def test_a_connection_that_was_held_back_serves_the_next_request(tmp_path: Path) -> None:
    """The end of an answer that its client is slow to take must not leave the upstream connection paused."""
    async with (
        upstream([plain(bytes(100_000)), plain(b"next")]) as server,
        keystile(tmp_path, server.url, upstream={"connections": 1}) as proxy,
        proxy.client() as client,
        proxy.client() as other,
    ):
        await _full(proxy, client, other, 1)
        await client.write(get("/"))
        await server.arrived(1)
        await other.write(get("/"))
        assert (await other.response()).body == b"next"
        assert len(server.connections) == 1


async def test_a_client_that_asks_on_and_on_behind_a_quiet_request_is_not_read_without_end(
    tmp_path: Path,
) -> None:
    taken = 0

    async def _ask() -> None:
        nonlocal taken
        piece = get("/") * 1000
        while taken < 128 * _MIB:
            await client.write(piece)
            taken += len(piece)

    async with (
        upstream([(Gate("quiet"), *plain())]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
        proxy.client() as other,
    ):
        await client.write(get("/quiet"))
        await server.arrived(1)
        asking = asyncio.ensure_future(_ask())
        for _ in range(500):
            await other.write(get("/guarded"))
            await other.response()
        asking.cancel()
        await client.abort()
        server.gates["quiet"].set()
        assert taken < _UNDER_WAY


async def _refused_requests(proxy: Process, count: int = 1) -> None:
    async with proxy.client() as client:
        for _ in range(count):
            await client.write(get("/guarded"))
            assert (await client.response()).status == 401
