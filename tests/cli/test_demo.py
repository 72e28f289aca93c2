"""`keystile demo`: the requests that it prints do what it says they do, and each makes its line."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from tests.support.programs import program

DEMO = (sys.executable, "-m", "proxy", "demo")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the printed requests are made with curl")
def test_every_printed_request_gets_the_answer_that_is_printed_above_it(tmp_path):
    with program((*DEMO, "--port", "0"), tmp_path) as demo:
        demo.says(r"(Ctrl-C stops everything)")
        tour = demo.output
        pasted = tour[tour.index("READER=") : tour.index("Each request")]
        printed = subprocess.run(
            ["sh"], input=pasted, capture_output=True, text=True, timeout=60, check=True
        ).stdout
        assert demo.stop() == 0
        lines = [json.loads(line) for line in demo.output[len(tour) :].splitlines() if line]
    promised = [int(status) for status in re.findall(r"^# (\d+): ", pasted, re.MULTILINE)]
    answered = [int(status) for status in re.findall(r"^HTTP/1.1 (\d+) ", printed, re.MULTILINE)]
    assert promised == [200, 401, 200, 403, 200, 403, 200]
    assert answered == [*promised, 200]
    assert [line["status"] for line in lines] == answered
    assert [line.get("agent_id") for line in lines] == [
        None,
        None,
        "acc_archivist",
        "acc_passer-by",
        "acc_archivist",
        "acc_archivist",
        "acc_archivist",
        None,
    ]
    assert "needs scope memory:write to call write_memory" in printed
    assert printed.count('"name": "write_memory"') + printed.count('"name":"write_memory"') == 0
    assert printed.count('"name": "read_memory"') == 1
    assert '"X-Agent-Id: acc_archivist"' in printed
    assert "Authorization: " not in printed
    reader = re.search(r"READER=(\S+)", tour)[1]
    assert reader not in demo.output[len(tour) :] + demo.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_told_to_and_leaves_nothing_behind(tmp_path, number):
    with program((*DEMO, "--port", "0"), tmp_path / "demo", {"TMPDIR": str(tmp_path)}) as demo:
        demo.says(r"(Ctrl-C stops everything)")
        demo.send(number)
        assert demo.wait() == 0
    assert list(tmp_path.glob("keystile-demo-*")) == []


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with program((*DEMO, "--port", taken.getsockname()[1]), tmp_path) as demo:
            assert demo.wait() == 1
        assert demo.errors.startswith("keystile: ")
        assert demo.errors.endswith("--port 0 takes a free port\n")
        assert "Traceback" not in demo.errors


def test_without_a_port_it_finds_one(tmp_path):
    with program(DEMO, tmp_path) as demo:
        assert demo.says(r"^Keystile listens on http://127\.0\.0\.1:(\d+),")
        assert demo.stop() == 0
