"""The log file read back from its end: whole lines, in blocks of any size, within bounds."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.admin.past import Reading, backwards

LINES = st.lists(st.binary(max_size=9).filter(lambda line: b"\n" not in line))


@given(LINES, st.sampled_from([b"", b"torn"]), st.integers(1, 40))
def test_every_whole_line_comes_once(tmp_path_factory, lines, tail, block):
    path = tmp_path_factory.getbasetemp() / "access.log"
    data = b"".join(line + b"\n" for line in lines) + tail
    path.write_bytes(data)
    reading = Reading()
    blocks = list(backwards(str(path), reading, block=block))
    assert [line for one in reversed(blocks) for line in one] == lines
    assert reading == Reading(len(data), complete=bool(data))


def written(folder: Path, count: int) -> str:
    path = folder / "access.log"
    path.write_bytes(b"".join(b"%06d\n" % number for number in range(count)))
    return str(path)


def test_the_newest_come_first_and_no_more_than_asked_for(tmp_path):
    reading = Reading()
    blocks = list(backwards(written(tmp_path, 1000), reading, size=300, block=100))
    assert blocks[0][-1] == b"000999"
    assert reading == Reading(300, complete=False)


def test_no_time_is_no_line(tmp_path):
    assert list(backwards(written(tmp_path, 10), Reading(), seconds=0)) == []


def test_a_file_that_is_cut_short_meanwhile_ends_it(tmp_path):
    path, reading = written(tmp_path, 1000), Reading()
    blocks = backwards(path, reading, block=100)
    next(blocks)
    os.truncate(path, 10)
    assert list(blocks) == []
    assert not reading.complete


def test_a_pipe_is_left_to_its_reader(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert list(backwards(str(path), Reading())) == []
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_what_is_not_there_has_no_lines(tmp_path):
    assert list(backwards(str(tmp_path / "none"), Reading())) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_told(tmp_path):
    path = written(tmp_path, 1)
    Path(path).chmod(0)
    with pytest.raises(PermissionError):
        list(backwards(path, Reading()))
