"""Logs read in parts and by several processes say what they say when read in one."""

from __future__ import annotations

import gzip
import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from proxy.audit import Gaps, Query, Tally, scan, source
from proxy.audit.blocks import LONGEST, cuts, line_at, part
from proxy.audit.translate import to_ecs, to_otel
from tests.support.logs import agent, line, recall, started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINES = [
    line(f"2026-11-22T12:{n // 60:02}:{n % 60:02}", agent(f"a{n % 7}"), recall(f"m{n % 11}"))
    for n in range(600)
]
WAYS = [
    pytest.param({"processes": 1}, id="in one"),
    pytest.param({"processes": 1, "piece": 1000}, id="in small parts"),
    pytest.param({"processes": 3, "piece": 10_000}, id="by three processes"),
]


def _asked(files: list[Path], query: Query, **way: Any) -> tuple[Tally, Gaps, list[bytes]]:
    tally, gaps, lines = Tally(), Gaps(), []
    for found in scan([source(str(file)) for file in files], query, **way):
        tally.merge(found.tally)
        gaps.merge(found.gaps)
        lines += found.lines
    return tally, gaps, lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "access.log"
    file.write_bytes(b"".join(LINES))
    return file


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ending", [b"\n", b""], ids=["ended", "without the last newline"])
def test_every_way_finds_the_same(log: Path, way: dict[str, int], ending: bytes) -> None:
    log.write_bytes(b"".join(LINES).rstrip() + ending)
    tally, gaps, _ = _asked([log], Query(target="m3"), **way)
    expected = [n for n in range(600) if n % 11 == 3]
    assert sum(row.calls for row in tally.rows()) == len(expected)
    assert {row.agent_id: row.calls for row in tally.rows()} == {
        f"acc_a{k}": sum(n % 7 == k for n in expected) for k in range(7)
    }
    assert (gaps.first, gaps.last) == ("2026-11-22T12:00:00.000Z", "2026-11-22T12:09:59.000Z")


@pytest.mark.parametrize("way", WAYS)
def test_lines_come_in_their_order(log: Path, way: dict[str, int]) -> None:
    _, _, lines = _asked([log, log], Query(target="m3"), lines=True, **way)
    expected = [one.rstrip() for n, one in enumerate(LINES) if n % 11 == 3]
    assert lines == expected * 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("backwards", [False, True], ids=["oldest log first", "newest log first"])
def test_a_stream_is_one_call_wherever_its_end_stands(
    tmp_path: Path, way: dict[str, int], *, backwards: bool
) -> None:
    """Of those that started early, one ends in its own part, one much later, one in the next log, one never."""
    ids, between = ("at once", "later", "in the next", "never"), LINES[1:300]
    first = [started("2026-11-22T12:00:00", agent("s"), recall("m3"), request_id=one) for one in ids]
    ends = [line("2026-11-22T12:00:00", agent("s"), recall("m3"), request_id=one) for one in ids[:3]]
    logs = [tmp_path / "access.log.1", tmp_path / "access.log"]
    logs[0].write_bytes(b"".join([*first, ends[0], *between, ends[1]]))
    logs[1].write_bytes(b"".join([*LINES[300:310], ends[2], *LINES[310:]]))
    tally, _, _ = _asked(logs[:: -1 if backwards else 1], Query(agent="acc_s"), **way)
    (row,) = tally.rows()
    assert (row.calls, row.open) == (3, 1)


@pytest.mark.parametrize("way", WAYS)
def test_bad_lines_are_named_by_their_numbers(log: Path, way: dict[str, int]) -> None:
    lines = [b"{torn\n" if n in {0, 299, 300, 599} else one for n, one in enumerate(LINES)]
    log.write_bytes(b"".join(lines))
    packed = log.with_suffix(".gz")
    packed.write_bytes(gzip.compress(b"".join(lines)))
    _, gaps, _ = _asked([log, packed], Query(target="m3"), **way)
    assert gaps.malformed == 8
    named = [f"{log}:{n}" for n in (1, 300, 301, 600)] + [f"{packed}:1"]
    assert list(map(str, gaps.places)) == named


def test_parts_end_where_lines_end(log: Path) -> None:
    held = log.read_bytes()
    for piece in (1, 400, 5_000, 1_000_000):
        places = cuts(source(str(log)), piece)
        assert (places[0], places[-1]) == (0, len(held))
        assert all(held[place - 1 : place] == b"\n" for place in places[1:])
    assert line_at(str(log), len(LINES[0]) + len(LINES[1])) == 3


def test_what_has_no_end_is_no_line_and_takes_no_more_than_its_bound(log: Path) -> None:
    log.write_bytes(LINES[0] + b'{"x":"' + b"x" * (2 * LONGEST) + b"\n" + LINES[3])
    blocks = [len(block.data) for block in part(str(log), 0, log.stat().st_size)]
    assert max(blocks) <= LONGEST
    tally, gaps, _ = _asked([log], Query(target="m3"))
    assert (len(tally.rows()), gaps.malformed > 0) == (1, True)


def _line_of(form: Callable[[Any, Any], Any]) -> list[bytes]:
    return [json.dumps(form(json.loads(one), {})).encode() + b"\n" for one in LINES]


@pytest.mark.parametrize("form", [to_ecs, to_otel])
@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(target="m3"),
        Query(tool="rec*", agent="acc_a1"),
        Query(start=1795348830.0, end=1795348835.0),
    ],
    ids=["nothing", "target", "tool", "time"],
)
def test_other_formats_say_the_same(log: Path, form: Callable[[Any, Any], Any], query: Query) -> None:
    ours, _, _ = _asked([log], query)
    other = log.with_suffix(".other")
    other.write_bytes(b"".join(_line_of(form)))
    theirs, gaps, _ = _asked([other], query)
    assert (theirs.rows(), gaps.malformed) == (ours.rows(), 0)
    assert ours.rows()


def test_formats_may_be_mixed_line_by_line(log: Path) -> None:
    log.write_bytes(b"".join(LINES[:3] + _line_of(to_ecs)[3:6] + _line_of(to_otel)[6:9]))
    tally, gaps, _ = _asked([log], Query())
    assert (sum(row.calls for row in tally.rows()), gaps.malformed) == (9, 0)


def test_records_that_a_collector_has_put_together_count_each(log: Path) -> None:
    records = [to_otel(json.loads(one), {})["resourceLogs"][0] for one in LINES[:5]]
    log.write_text(json.dumps({"resourceLogs": records}) + "\n")
    tally, _, lines = _asked([log], Query(), lines=True)
    assert (sum(row.calls for row in tally.rows()), len(lines)) == (5, 1)


def test_a_pipe_is_a_log(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[b"".join(LINES)])
    writer.start()
    tally, _, _ = _asked([pipe], Query(target="m3"))
    writer.join()
    assert sum(row.calls for row in tally.rows()) == 55
