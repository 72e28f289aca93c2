"""The access log whole: one line per record, whatever becomes of the output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os

import pytest

from proxy.audit import AccessLog
from proxy.config import Log
from proxy.model import Reason
from tests.support.records import ARRIVAL, caller, closing, opening, operations, until

BOUND = 40_000


def refusal(reason=Reason.CREDENTIAL_MISSING, **changed):
    return opening(decision="deny", reason=reason, **changed)


async def started(path, **options):
    log = AccessLog(Log(output=str(path), **options), worker=1, bound=BOUND)
    log.start(asyncio.get_running_loop())
    return log


async def ended(log, path):
    """Close `log`; every line of its file."""
    await asyncio.to_thread(log.close)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "access.log"


async def test_every_record_is_one_line_in_order_and_an_end_loses_none(path):
    log = await started(path)
    for number in range(100):
        log.finished(opening(request_id=str(number)), closing())
    lines = await ended(log, path)
    assert [line["request_id"] for line in lines] == [str(number) for number in range(100)]
    assert {(line["event"], line["worker"]) for line in lines} == {("access", 1)}


async def test_a_stream_has_two_lines(path):
    log = await started(path)
    stream = opening(caller=caller())
    log.opened(stream, 200)
    log.finished(stream, closing(bytes_out=17))
    first, second = await ended(log, path)
    assert (first["event"], first["agent_id"], first.get("bytes_out")) == ("stream_open", "acc_demo", None)
    assert (second["event"], second["agent_id"], second["bytes_out"]) == ("access", "acc_demo", 17)


async def test_a_rotated_file_is_followed(path, tmp_path):
    log, rotated = await started(path), tmp_path / "access.log.1"
    log.finished(opening(request_id="before"), closing())
    await until(lambda: b"before" in path.read_bytes())
    path.rename(rotated)
    log.reopen()
    log.finished(opening(request_id="after"), closing())
    assert [line["request_id"] for line in await ended(log, path)] == ["after"]
    assert json.loads(rotated.read_bytes())["request_id"] == "before"


async def test_anonymous_refusals_use_a_quarter_and_are_counted_beyond_it(path):
    log = await started(path)
    # No await between the lines, so that none leaves meanwhile.
    for number in range(1000):
        log.finished(refusal(timestamp=ARRIVAL + number), closing(status=401))
    log.finished(refusal(Reason.PATH_AMBIGUOUS, timestamp=ARRIVAL + 1000), closing(status=400))
    assert not log.full
    log.finished(refusal(Reason.SCOPE_INSUFFICIENT, caller=caller()), closing(status=403))
    log.finished(opening(request_id="admitted"), closing())
    *written, named, admitted, summary = await ended(log, path)
    assert 8_000 < sum(len(json.dumps(line, separators=(",", ":"))) + 1 for line in written) < 10_500
    assert {line["reason"] for line in written} == {"credential_missing"}
    assert (named["reason"], named["agent_id"]) == ("scope_insufficient", "acc_demo")
    assert admitted["request_id"] == "admitted"
    assert summary["event"] == "access_suppressed"
    assert summary["reasons"] == {"credential_missing": 1000 - len(written), "path_ambiguous": 1}
    assert summary["count"] == 1001 - len(written)
    assert summary["timestamp"] > written[-1]["timestamp"]
    assert summary["until"] == "2026-01-01T00:16:40.250Z"


async def test_a_full_log_counts_what_it_drops(path):
    log = await started(path)
    for number in range(1000):
        log.finished(opening(request_id=str(number)), closing())
    assert log.full
    log.finished(refusal(), closing(status=401))
    *written, suppressed, dropped = await ended(log, path)
    assert 30_000 < path.stat().st_size < 42_000
    assert [line["request_id"] for line in written] == [str(number) for number in range(len(written))]
    assert (suppressed["event"], suppressed["reasons"]) == ("access_suppressed", {"credential_missing": 1})
    assert (dropped["event"], dropped["reasons"]) == ("access_dropped", {"allow": 1000 - len(written)})


async def test_a_full_log_that_refuses_keeps_every_admitted_line_and_counts_its_own_refusals(path):
    log = await started(path, refuse_when_full=True)
    for number in range(1000):
        log.finished(opening(request_id=str(number)), closing())
    for _ in range(100):
        log.finished(refusal(Reason.AUDIT_UNAVAILABLE, caller=caller()), closing(status=503))
    log.finished(refusal(Reason.SCOPE_INSUFFICIENT, caller=caller()), closing(status=403))
    *written, suppressed, dropped = await ended(log, path)
    assert [line["request_id"] for line in written] == [str(number) for number in range(1000)]
    assert suppressed["reasons"] == {"audit_unavailable": 100}
    assert dropped["reasons"] == {"scope_insufficient": 1}


async def test_refusals_of_a_full_log_use_the_quarter_of_the_anonymous(path):
    log = await started(path, refuse_when_full=True)
    for _ in range(1000):
        log.finished(refusal(Reason.AUDIT_UNAVAILABLE, caller=caller()), closing(status=503))
    *written, summary = await ended(log, path)
    assert sum(len(json.dumps(line, separators=(",", ":"))) + 1 for line in written) < 10_800
    assert summary["reasons"] == {"audit_unavailable": 1000 - len(written)}


async def test_a_pipe_that_nobody_reads_stalls_no_request(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = await started(fifo)
    sent = 0
    while not log.full:
        for _ in range(10):
            log.finished(opening(request_id=str(sent)), closing())
            sent += 1
        await asyncio.sleep(0)
    # What had been admitted meanwhile still has room.
    log.finished(opening(request_id=str(sent)), closing())
    end = asyncio.create_task(asyncio.to_thread(log.close))
    os.set_blocking(reader, True)
    data = await asyncio.to_thread(lambda: b"".join(iter(lambda: os.read(reader, 65536), b"")))
    os.close(reader)
    await end
    written = [json.loads(line)["request_id"] for line in data.splitlines()]
    assert written == [str(number) for number in range(sent + 1)]


async def test_a_summary_comes_of_itself_once_there_is_room(path):
    log = await started(path)
    for _ in range(1000):
        log.finished(opening(), closing())
    await until(lambda: b"access_dropped" in path.read_bytes())
    log.finished(opening(), closing())
    lines = await ended(log, path)
    assert [line["event"] for line in lines[-2:]] == ["access_dropped", "access"]
    assert lines[-2]["count"] == 1000 - (len(lines) - 2)


async def test_a_summary_waits_until_there_is_room_and_the_operator_is_told_once(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    os.close(writer)
    with operations(tmp_path / "operations") as said:
        log = await started(fifo)
        while log._sink.append(b"\n"):
            pass
        log.finished(opening(), closing())
        log.finished(opening(), closing())
        await until(lambda: "audit_lines_dropped" in [event["event"] for event in said()])
        read = b""

        def summarised():
            nonlocal read
            with contextlib.suppress(BlockingIOError):
                read = os.read(reader, 1 << 20)
            return b"access_dropped" in read

        await until(summarised)
        await asyncio.to_thread(log.close)
        os.close(reader)
        assert [event["event"] for event in said()] == ["audit_lines_dropped"]
    (summary,) = [json.loads(line) for line in read.splitlines() if line]
    assert summary["reasons"] == {"allow": 2}


async def test_an_output_that_takes_nothing_is_told_to_the_operator(tmp_path):
    with operations(tmp_path / "operations") as said:
        log = await started("/dev/full")
        for _ in range(1000):
            log.finished(opening(), closing())
        await until(lambda: "audit_lines_dropped" in [event["event"] for event in said()])
        await asyncio.to_thread(log.close)
        failing, dropped, lost = said()
    assert (failing["level"], failing["event"], failing["error"]) == (
        "warning",
        "audit_output_failing",
        "ENOSPC",
    )
    assert (dropped["level"], dropped["event"]) == ("warning", "audit_lines_dropped")
    assert (lost["level"], lost["event"]) == ("error", "audit_lines_lost")
    assert dropped["lines"] > 800
    assert 36_000 < lost["bytes"] < 41_000


async def test_an_output_that_cannot_be_opened_is_an_error_before_anything_runs(tmp_path):
    with pytest.raises(FileNotFoundError):
        AccessLog(Log(output=str(tmp_path / "missing" / "access.log")))


def test_a_log_that_was_never_started_closes(path):
    AccessLog(Log(output=str(path))).close()
    assert path.read_bytes() == b""
