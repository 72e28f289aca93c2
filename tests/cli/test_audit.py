"""`keystile audit` as a person meets it: what it prints, what it says it could not know, its exit code."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.model import Reason
from tests.support.logs import agent, dropped, line, recall, started, utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANN, BOB = agent("ann"), agent("bob")
DAY = "2025-11-22T"
LOG = b"".join(
    [
        line(f"{DAY}13:59:00", BOB, recall("x")),
        line(f"{DAY}14:03:07", ANN, recall("x")),
        line(f"{DAY}14:04:00", ANN, recall("x", "remember")),
        line(f"{DAY}14:05:00", BOB, recall("y")),
        line(f"{DAY}14:06:00", BOB, recall("x"), decision="deny", reason=Reason.SCOPE_INSUFFICIENT),
        line(f"{DAY}15:30:00", BOB, recall("y")),
    ]
)
HOUR = ["--from", f"{DAY}14:00Z", "--to", f"{DAY}15:00Z"]
TABLE = """\
agent    name  calls  first                last                 tools                 refusals                audit_url
acc_ann  ann       2  2025-11-22 14:03:07  2025-11-22 14:04:00  recall 1, remember 1                          https://agentlair.dev/audit/acc_ann
acc_bob  bob       0  2025-11-22 14:06:00  2025-11-22 14:06:00                        1 (scope_insufficient)  https://agentlair.dev/audit/acc_bob

1 agent, 2 calls; 1 refusal
"""


@pytest.fixture(autouse=True)
def _in_utc() -> Iterator[None]:
    with utc():
        yield


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "access.log"
    file.write_bytes(LOG)
    return file


def audit(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_the_table_names_who_did_it(log: Path) -> None:
    told = audit(log, "--target", "x", *HOUR)
    assert (told.exit_code, told.stdout, told.stderr) == (0, TABLE, "")


def test_a_stream_without_an_end_is_told(log: Path) -> None:
    log.write_bytes(started(f"{DAY}14:00:00", ANN, recall("x"), request_id="a"))
    told = audit(log, "--target", "x")
    assert (told.exit_code, told.stdout.splitlines()[-1]) == (0, "1 agent, 0 calls; 1 stream without an end")
    assert told.stdout.splitlines()[1].split()[:5] == ["acc_ann", "ann", "0", "+", "1"]


def test_lines_come_as_they_are(log: Path) -> None:
    told = audit(log, "--target", "x", *HOUR, "--lines")
    lines = LOG.splitlines(keepends=True)
    assert told.stdout_bytes == lines[1] + lines[2] + lines[4]


def test_json_is_for_programs(log: Path) -> None:
    told = json.loads(audit(log, "--target", "x", *HOUR, "--json").stdout)
    ann, bob = told["agents"]
    assert ann == {
        "agent_id": "acc_ann",
        "agent_name": "ann",
        "issuer": "https://agentlair.dev",
        "first": "2025-11-22T14:03:07.000Z",
        "last": "2025-11-22T14:04:00.000Z",
        "calls": 2,
        "refusals": 0,
        "would_deny": 0,
        "open": 0,
        "tools": {"recall": 1, "remember": 1},
        "reasons": {},
        "audit_url": "https://agentlair.dev/audit/acc_ann",
    }
    assert (bob["agent_id"], bob["calls"], bob["reasons"]) == ("acc_bob", 0, {"scope_insufficient": 1})
    assert told["query"] == {"target": "x", "start": 1763820000.0, "end": 1763823600.0}
    assert told["log"] == {
        "first": "2025-11-22T13:59:00.000Z",
        "last": "2025-11-22T15:30:00.000Z",
        "dropped": 0,
        "truncated": 0,
        "malformed": 0,
        "places": [],
        "failed": [],
    }


def test_csv_is_for_spreadsheets_and_runs_nothing_there(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(line(f"{DAY}14:00:00", agent("eve", id="=1+1", name='@"x",y'), recall("x")))
    (row,) = csv.DictReader(io.StringIO(audit(file, "--csv").stdout, newline=""))
    assert (row["agent"], row["name"], row["calls"], row["tools"]) == ("'=1+1", '\'@"x",y', "1", "recall 1")


WRONG = [
    pytest.param(["--from", "25:00"], "'25:00' is no moment", id="no moment"),
    pytest.param(["--from", "9999-01-01"], "is yet to come; name the day", id="a moment that is yet to come"),
    pytest.param(["--from", "15:00Z"], "is no moment", id="a zone without a day"),
    pytest.param([*HOUR[2:], "--from", f"{DAY}15:00Z"], "is not after --from", id="an end before the begin"),
    pytest.param(["--decision", "denied"], "denied: choose from allow, deny, would_deny", id="no decision"),
    pytest.param(["--reason", "scope_insuficient"], "scope_insuficient: choose from", id="no reason"),
    pytest.param(["--target", ""], "names nothing", id="an empty target"),
    pytest.param(["--json", "--csv"], "choose one of them", id="two forms"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG)
def test_wrong_input_is_told(log: Path, arguments: list[str], told: str) -> None:
    result = audit(log, *arguments)
    assert result.exit_code == 2
    assert told in " ".join(word for word in result.stderr.split() if word != "│")


def test_a_log_that_is_not_there_is_told_before_anything_is_read(log: Path, tmp_path: Path) -> None:
    told = audit(log, tmp_path / "gone.log")
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr == f"keystile: {tmp_path}/gone.log: No such file or directory\n"


NOTHING = "keystile: nothing was found"
GAPS = [
    pytest.param(
        LOG, ["--target", "q"], 1,
        [f"{NOTHING}; the value of an argument is only logged where log.arguments names it, a resource without its query"],
        id="what could have been logged, and was not",
    ),
    pytest.param(LOG, ["--agent", "acc_q"], 1, [NOTHING], id="nothing"),
    pytest.param(
        LOG, ["--from", f"{DAY}13:00Z", "--to", f"{DAY}17:00Z"], 0,
        [
            "keystile: the log begins at 2025-11-22 13:59:00, after --from",
            "keystile: the log has nothing after 2025-11-22 15:30:00, which is before --to",
        ],
        id="a log that is shorter than what is asked for",
    ),
    pytest.param(
        dropped(f"{DAY}13:59:59", f"{DAY}14:00:00", 1200) + LOG, ["--target", "x", *HOUR], 0,
        ["keystile: 1,200 lines found no room in the log (access_dropped)"],
        id="lines that were dropped",
    ),
    pytest.param(LOG + dropped(f"{DAY}15:00:00", f"{DAY}15:00:01", 9), ["--target", "x", *HOUR], 0, [], id="dropped at another time"),
    pytest.param(
        line(f"{DAY}14:00:00", BOB, recall(["z" * 300, "x"])) + LOG, ["--target", "x", *HOUR], 0,
        ["keystile: 1 line with cut values (truncated) may have named it"],
        id="a value that was cut",
    ),
    pytest.param(
        b"{torn\n" + LOG + b"x\n" * 6, ["--target", "x", *HOUR], 0,
        ["keystile: 7 lines could not be read: {log}:1, {log}:8, {log}:9, {log}:10, {log}:11, …"],
        id="lines that are none",
    ),
    pytest.param(
        LOG + b'{"x" oops}\n{"x": 1}\n', ["--target", "x", *HOUR], 0,
        ["keystile: 2 lines could not be read: {log}:7, {log}:8"],
        id="lines that only look like some",
    ),
    pytest.param(b"", [], 1, [NOTHING], id="an empty log"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "arguments", "code", "told"), GAPS)
def test_what_the_log_cannot_say_is_said(
    log: Path, content: bytes, arguments: list[str], code: int, told: list[str]
) -> None:
    log.write_bytes(content)
    result = audit(log, *arguments)
    assert result.exit_code == code
    assert result.stderr.splitlines() == [one.replace("{log}", str(log)) for one in told]


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    told = audit(tmp_path)
    assert (told.exit_code, told.stderr) == (2, f"keystile: {tmp_path}: Is a directory\n")


def _zstd(data: bytes) -> bytes:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    packed: bytes = import_module(name).compress(data)
    return packed


@pytest.mark.parametrize("packed", [gzip.compress, _zstd, bytes], ids=["gzip", "zstd", "plain"])
def test_compressed_logs_and_standard_input_are_read(log: Path, packed: Any) -> None:
    log.write_bytes(packed(LOG))
    assert audit(log, "--target", "x", *HOUR).stdout == TABLE
    command = [sys.executable, "-m", "proxy", "audit", "-", "--target", "x", *HOUR]
    told = subprocess.run(command, input=packed(LOG), capture_output=True, check=True)
    assert told.stdout.decode() == TABLE


def test_several_logs_are_one(tmp_path: Path) -> None:
    lines = LOG.splitlines(keepends=True)
    names = [tmp_path / name for name in ("access.log.2.gz", "access.log.1", "access.log")]
    names[0].write_bytes(gzip.compress(b"".join(lines[:2])))
    names[1].write_bytes(b"".join(lines[2:3]).rstrip())
    names[2].write_bytes(b"".join(lines[3:]))
    assert audit(*names, "--target", "x", *HOUR).stdout == TABLE


def test_a_torn_archive_answers_as_far_as_it_goes(log: Path) -> None:
    log.write_bytes(gzip.compress(LOG)[:-9])
    told = audit(log, "--target", "x", *HOUR)
    assert (told.exit_code, told.stdout) == (2, TABLE)
    assert told.stderr.startswith(f"keystile: {log}: Compressed file ended before")


HOSTILE = agent("eve", name="\x1b[2J\x9b1m\u202e[bold]x\r\n")


def test_no_name_repaints_a_terminal(log: Path) -> None:
    log.write_bytes(line(f"{DAY}14:00:00", HOSTILE, recall("x")))
    told = audit(log).stdout
    assert "\\u001b[2J\\u009b1m\\u202e[bold]x\\r\\n" in told
    assert all(char.isprintable() for one in told.split("\n") for char in one)


def test_lines_of_other_writers_do_not_either(log: Path) -> None:
    told = json.loads(line(f"{DAY}14:00:00", agent("eve", name="é\x9b1m"), recall("x")))
    log.write_text(json.dumps(told, ensure_ascii=False))
    shown = _on_a_terminal([str(log), "--lines"])
    assert "é\\u009b1m" in shown
    assert json.loads(shown) == told


def test_a_terminal_gets_a_table_that_fits(log: Path) -> None:
    shown = _on_a_terminal([str(log), "--target", "x", *HOUR])
    assert max(len(re.sub(r"\x1b\[\d*m", "", one)) for one in shown.splitlines()) <= 100
    assert "1 agent, 2 calls; 1 refusal" in shown


def test_a_long_read_shows_a_bar_on_a_terminal(log: Path) -> None:
    with log.open("ab") as file:
        file.truncate(140 * 1024 * 1024)
    shown = _on_a_terminal([str(log), "--target", "x", "--json"])
    assert "reading" in shown
    assert '"malformed": ' in shown


def test_an_interrupt_ends_all_that_reads(log: Path) -> None:
    log.write_bytes(LOG * 30_000)
    command = [sys.executable, "-m", "proxy", "audit", str(log), "--lines"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        os.killpg(running.pid, signal.SIGINT)
        _, errors = running.communicate()
    assert running.returncode == 130
    assert b"Traceback" not in errors


def _on_a_terminal(arguments: list[str]) -> str:
    ours, theirs = pty.openpty()
    environment = dict(os.environ, COLUMNS="100", TERM="xterm", NO_COLOR="1")
    command = [sys.executable, "-m", "proxy", "audit", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        told = b""
        try:
            while data := os.read(ours, 4096):
                told += data
        except OSError:  # the other side is gone: Linux says EIO
            pass
        finally:
            os.close(ours)
        assert running.wait() == 0, told
    return told.decode().replace("\r\n", "\n")


def test_the_command_is_there_without_the_proxy() -> None:
    code = "import sys, proxy.cli.audit; print({'aiohttp', 'pydantic', 'jose', 'cryptography'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"
