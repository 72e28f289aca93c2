"""The output: whole lines through full disks, unread pipes, rotation, and other writers."""

from __future__ import annotations

import os
import resource
import select
import subprocess
import sys
import threading
from collections import Counter
from time import monotonic

import pytest

from proxy.audit.output import Output


class Warnings(list):
    """Collects what an output complains about; `heard` is set by the first."""

    def __init__(self):
        self.heard = threading.Event()

    def __call__(self, event, **values):
        self.append((event, values))
        self.heard.set()


@pytest.fixture
def warnings():
    return Warnings()


def written_by_thread(output, data):
    """Start writing `data` and return the thread; its result is appended to `thread.out`."""
    out = []
    thread = threading.Thread(target=lambda: out.append(output.write(data)), daemon=True)
    thread.out = out
    thread.start()
    return thread


def read_until(fd, size, seconds=10.0):
    """Read exactly `size` bytes from a pipe."""
    read = b""
    deadline = monotonic() + seconds
    while len(read) < size and select.select([fd], [], [], max(0.0, deadline - monotonic()))[0]:
        read += os.read(fd, size - len(read))
    return read


def test_a_file_is_appended_to(tmp_path, warnings):
    path = tmp_path / "access.log"
    path.write_bytes(b"before\n")
    output = Output(str(path), warnings)
    assert output.write(b"one\ntwo\n") == 8
    output.close()
    assert path.read_bytes() == b"before\none\ntwo\n"


def test_a_new_file_is_not_for_everybody(tmp_path, warnings):
    path = tmp_path / "access.log"
    Output(str(path), warnings).close()
    assert path.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda _: None, id="a folder that does not exist"),
        pytest.param(lambda path: (path.parent.mkdir(), os.mkfifo(path)), id="a FIFO that nobody reads"),
        pytest.param(lambda path: path.mkdir(parents=True), id="a folder"),
    ],
)
def test_an_output_that_cannot_be_opened_is_an_error_at_once(tmp_path, warnings, make):
    path = tmp_path / "folder" / "access.log"
    make(path)
    with pytest.raises(OSError, match=r"access\.log"):
        Output(str(path), warnings)


def test_a_renamed_file_is_finished_and_the_new_one_opened(tmp_path, warnings):
    path, old = tmp_path / "access.log", tmp_path / "access.log.1"
    output = Output(str(path), warnings)
    output.write(b"one\n")
    path.rename(old)
    output.write(b"two\n")
    output.reopen()
    output.write(b"three\n")
    output.close()
    assert old.read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"
    assert warnings == []


def test_reopening_in_vain_keeps_the_old_file(tmp_path, warnings):
    folder, away = tmp_path / "log", tmp_path / "away"
    folder.mkdir()
    output = Output(str(folder / "access.log"), warnings)
    folder.rename(away)
    output.reopen()
    output.write(b"one\n")
    output.close()
    assert (away / "access.log").read_bytes() == b"one\n"
    assert warnings == [("audit_reopen_failed", {"error": "ENOENT"})]


def test_a_full_device_is_tried_until_the_deadline(warnings):
    output = Output("/dev/full", warnings)
    thread = written_by_thread(output, b"one\n")
    output.give_up(monotonic() + 0.3)
    thread.join(10)
    output.close()
    assert thread.out == [0]
    # Tried several times, told once.
    assert warnings == [("audit_output_failing", {"error": "ENOSPC"})]


def test_a_line_that_a_full_disk_tore_stands_whole_in_the_new_file(tmp_path, warnings):
    path = tmp_path / "access.log"
    output = Output(str(path), warnings)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        thread = written_by_thread(output, b"first\nsecond\nthird\n")
        assert warnings.heard.wait(10)
        assert path.read_bytes() == b"first\nseco"
        path.rename(tmp_path / "old.log")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    output.reopen()
    thread.join(10)
    output.close()
    assert thread.out == [19]
    assert path.read_bytes() == b"second\nthird\n"


def test_a_disk_with_room_again_goes_on_where_it_stopped(tmp_path, warnings):
    path = tmp_path / "access.log"
    output = Output(str(path), warnings)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        thread = written_by_thread(output, b"first\nsecond\nthird\n")
        assert warnings.heard.wait(10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    output.reopen()  # The same file as before: nothing is written twice.
    thread.join(10)
    output.close()
    assert path.read_bytes() == b"first\nsecond\nthird\n"


def test_a_full_fifo_is_waited_for(tmp_path, warnings):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output = Output(str(path), warnings)
    data = b"x" * 99 + b"\n"
    thread = written_by_thread(output, data * 10_000)
    assert read_until(reader, 1_000_000) == data * 10_000
    thread.join(10)
    output.close()
    os.close(reader)
    assert thread.out == [1_000_000]
    assert warnings == []


def test_a_fifo_that_lost_its_reader_gets_a_new_one(tmp_path, warnings):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output = Output(str(path), warnings)
    os.close(reader)
    thread = written_by_thread(output, b"one\n")
    assert warnings.heard.wait(10)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    thread.join(10)
    assert os.read(reader, 100) == b"one\n"
    output.close()
    os.close(reader)


WRITER = """
import sys
from proxy.audit.output import Output
path, name = sys.argv[1:]
output = Output(None if path == "-" else path, print)
print("ready", file=sys.stderr, flush=True)
for turn in range(60):
    lines = [f"{name} {turn} {number} {'x' * 80} end\\n" for number in range(200)]
    assert output.write("".join(lines).encode()) > 0
output.close()
"""


def two_writers(path, **options):
    """Two processes that write 12,000 lines each, both under way when this returns."""
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, name], stderr=subprocess.PIPE, **options)
        for name in ("a", "b")
    ]
    for process in processes:
        assert process.stderr.readline() == b"ready\n"
        process.stderr.close()
    return processes


def whole_lines(reader):
    """How many lines of each writer arrive whole, read in small pieces so that the pipe stays full."""
    pieces = list(iter(lambda: os.read(reader, 4096), b""))
    os.close(reader)
    words = [line.split(b" ") for line in b"".join(pieces).split(b"\n")]
    return Counter(line[0] for line in words if len(line) == 5 and line[4] == b"end")


@pytest.mark.parametrize(
    "blocking", [pytest.param(True, id="blocking"), pytest.param(False, id="not blocking")]
)
def test_two_processes_tear_no_line_on_a_pipe_that_both_inherited(blocking):
    reader, writer = os.pipe()
    os.set_blocking(writer, blocking)
    processes = two_writers("-", stdout=writer)
    os.close(writer)
    assert whole_lines(reader) == {b"a": 12_000, b"b": 12_000}
    assert [process.wait(30) for process in processes] == [0, 0]


def test_two_processes_tear_no_line_on_a_fifo_that_each_opened(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    processes = two_writers(str(path))
    os.set_blocking(reader, True)
    assert whole_lines(reader) == {b"a": 12_000, b"b": 12_000}
    assert [process.wait(30) for process in processes] == [0, 0]
