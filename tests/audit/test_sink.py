"""The queue: its bounds, what has room when it is full, and how it ends."""

from __future__ import annotations

import asyncio
import os

import pytest

from proxy.audit.output import Output
from proxy.audit.sink import BOUND, Sink
from tests.support.records import until

LINE = b"x" * 99 + b"\n"


def silent(event, **values):
    """Take a warning that this test is not about."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def sink(path):
    """A sink of 2000 bytes whose writer has not been started: nothing leaves it."""
    return Sink(Output(str(path), silent), bound=2000)


async def ended(sink, grace=5.0):
    sink.close(grace)
    return await asyncio.to_thread(sink.join, 10)


FILLED = [
    pytest.param([("line", 9)], (False, False), id="below half"),
    pytest.param([("line", 10)], (True, False), id="half is full"),
    pytest.param([("minor", 4)], (False, False), id="minor lines below their quarter"),
    pytest.param([("minor", 5)], (False, True), id="minor lines at their quarter"),
    pytest.param([("line", 6), ("minor", 4)], (True, False), id="minor lines fill the queue like others"),
    pytest.param([("kept", 30)], (True, False), id="kept lines beyond the bound"),
]


@pytest.mark.parametrize(("lines", "state"), FILLED)
def test_how_full_it_is(sink, lines, state):
    for kind, number in lines:
        for _ in range(number):
            assert sink.append(LINE, kind == "minor", kind == "kept")
    assert (sink.full, sink.minor_full) == state


async def test_there_is_room_up_to_the_bound_and_beyond_it_only_for_kept_lines(sink, path):
    assert [sink.append(LINE) for _ in range(21)] == [True] * 20 + [False]
    assert not sink.append(b"\n")
    assert sink.append(b"kept\n", False, True)
    sink.start(asyncio.get_running_loop())
    assert await ended(sink) == 0
    assert path.read_bytes() == LINE * 20 + b"kept\n"


async def test_room_comes_back_when_lines_have_left(sink, path):
    for _ in range(5):
        sink.append(LINE, True)
    for _ in range(15):
        sink.append(LINE)
    sink.start(asyncio.get_running_loop())
    await until(lambda: not sink.full and not sink.minor_full)
    assert sink.append(LINE)
    assert await ended(sink) == 0
    assert path.read_bytes() == LINE * 21


async def test_lines_leave_while_it_runs(sink, path):
    sink.start(asyncio.get_running_loop())
    for number in range(3):
        sink.append(b"%d\n" % number)
        await until(lambda line=b"%d\n" % number: path.read_bytes().endswith(line))
    assert await ended(sink) == 0
    assert path.read_bytes() == b"0\n1\n2\n"


async def test_an_idle_sink_opens_the_new_file_at_once(sink, path):
    sink.start(asyncio.get_running_loop())
    path.rename(path.with_suffix(".1"))
    sink.reopen()
    await until(path.exists)
    assert await ended(sink) == 0


async def test_an_end_on_an_output_that_takes_nothing_is_bounded_and_says_what_is_lost():
    sink = Sink(Output("/dev/full", silent), bound=2000)
    sink.start(asyncio.get_running_loop())
    sink.append(LINE)
    sink.append(LINE)
    assert await ended(sink, grace=0.1) == 200


async def test_an_end_loses_nothing_that_a_slow_reader_still_takes(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(Output(str(fifo), silent), BOUND)
    sink.start(asyncio.get_running_loop())
    for _ in range(5000):
        sink.append(LINE)
    end = asyncio.create_task(ended(sink))
    os.set_blocking(reader, True)
    read = await asyncio.to_thread(lambda: b"".join(iter(lambda: os.read(reader, 4096), b"")))
    os.close(reader)
    assert await end == 0
    assert read == LINE * 5000
