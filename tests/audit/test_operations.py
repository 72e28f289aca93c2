"""The operator's log: JSON lines that carry no secret, and that never stall or fail the caller."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os

import pytest
import structlog

from tests.support.records import operations, operator_log

TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhY2NfZGVtbyJ9.c2lnbmF0dXJl"
LOGGER = structlog.get_logger()


class Opaque:
    def __repr__(self):
        return TOKEN


def refuse(credential):
    raise ValueError(f"cannot read {credential}")


def raised():
    """An exception that carries a token in its text and in its frames."""
    with pytest.raises(ValueError, match="cannot") as caught:
        refuse(TOKEN)
    return caught.value


VALUES = [
    pytest.param("plain text", "plain text", id="text"),
    pytest.param(7, 7, id="a number"),
    pytest.param(None, None, id="nothing"),
    pytest.param(("a", 1), ["a", 1], id="a list"),
    pytest.param("a\r\n\x1b[2J\u2028b", "a\r\n\x1b[2J\u2028b", id="control characters"),
    pytest.param("a\ud800", "a\\ud800", id="a lone surrogate"),
    pytest.param("x" * 513, "x" * 512 + "...", id="long text"),
    pytest.param(f"header {TOKEN} read", "header [removed] read", id="a token"),
    pytest.param("authorization: Bearer abc.def", "authorization: Bearer [removed]", id="a credential"),
    pytest.param("bearer opaque", "bearer [removed]", id="a credential in lower case"),
    pytest.param("https://me:pw@issuer.example/keys", "https://[removed]@issuer.example/keys", id="userinfo"),
    pytest.param("https://issuer.example/a@b", "https://issuer.example/a@b", id="an at sign in a path"),
    pytest.param([TOKEN], ["[removed]"], id="a token in a list"),
    pytest.param({"authorization": TOKEN}, "dict", id="a mapping is told by its type"),
    pytest.param(TOKEN.encode(), "bytes", id="bytes are told by their type"),
    pytest.param(Opaque(), "Opaque", id="an object is told by its type"),
    pytest.param(raised(), "ValueError", id="an exception is told by its type"),
]


@pytest.mark.parametrize(("value", "read"), VALUES)
def test_a_value(tmp_path, value, read):
    with operations(tmp_path / "operations") as said:
        LOGGER.warning("keys_stale", value=value)
        (line,) = said()
    assert list(line) == ["timestamp", "level", "event", "value"]
    assert (line["level"], line["event"], line["value"]) == ("warning", "keys_stale", read)


def test_a_line_is_one_line_of_ascii(tmp_path):
    path = tmp_path / "operations"
    with operations(path):
        LOGGER.info("a\nb\u2028", value="c\x9b\r\nd")
    written = path.read_bytes()
    assert written.isascii()
    assert written.count(b"\n") == 1
    assert written.endswith(b"}\n")


def test_a_line_that_would_not_fit_a_pipe_says_only_what_happened(tmp_path):
    with operations(tmp_path / "operations") as said:
        LOGGER.error("keys_unusable", **{f"key_{number}": "x" * 500 for number in range(10)})
        (line,) = said()
    assert list(line) == ["timestamp", "level", "event", "truncated"]
    assert (line["event"], line["truncated"]) == ("keys_unusable", True)


def test_debug_is_off(tmp_path):
    with operations(tmp_path / "operations") as said:
        LOGGER.debug("noise")
        assert said() == []


# With the exception at hand, what a caller may give beside the event.
FAILURES = [
    pytest.param(lambda _: {"exc_info": True}, id="the exception being handled"),
    pytest.param(lambda error: {"exc_info": error}, id="an exception"),
    pytest.param(
        lambda error: {"exc_info": (type(error), error, error.__traceback__)},
        id="the three parts of an exception",
    ),
    pytest.param(lambda _: {"exc_info": True, "stack_info": True}, id="with a stack"),
]


@pytest.mark.parametrize("values", FAILURES)
def test_an_exception_is_told_by_type_and_place(tmp_path, values):
    path = tmp_path / "operations"
    with operations(path) as said:
        try:
            refuse(TOKEN)
        except ValueError as error:
            LOGGER.error("failed", **values(error))  # noqa: TRY400 - the table says how
        (line,) = said()
    assert TOKEN not in path.read_text()
    assert list(line) == ["timestamp", "level", "event", "error", "place"]
    assert line["error"] == "ValueError"
    assert line["place"].startswith("tests.audit.test_operations:")


def test_an_exception_that_was_never_raised_has_no_place(tmp_path):
    with operations(tmp_path / "operations") as said:
        LOGGER.error("failed", exc_info=ValueError(TOKEN))
        (line,) = said()
    assert (line["error"], line["place"]) == ("ValueError", None)


def test_exc_info_without_an_exception_says_nothing_of_one(tmp_path):
    with operations(tmp_path / "operations") as said:
        LOGGER.error("failed", exc_info=True)  # noqa: LOG014 - there is none
        (line,) = said()
    assert "error" not in line


async def test_what_a_library_logs_is_told_without_its_words(tmp_path):
    path = tmp_path / "operations"
    with operations(path) as said:
        logging.getLogger("aiohttp.server").warning("bad request: %s", TOKEN)
        logging.getLogger("aiohttp.server").info("nothing of interest: %s", TOKEN)
        asyncio.get_running_loop().call_exception_handler({"message": TOKEN, "exception": raised()})
        server, loop = said()
    assert TOKEN not in path.read_text()
    assert (server["level"], server["event"], server["logger"]) == (
        "warning",
        "library_warning",
        "aiohttp.server",
    )
    assert server["spoken"].startswith("test_operations:")
    assert (loop["level"], loop["logger"], loop["error"]) == ("error", "asyncio", "ValueError")
    assert loop["place"].startswith("tests.audit.test_operations:")


def test_a_pipe_that_nobody_reads_loses_lines_and_stalls_nobody():
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, operator_log(stream):
        for number in range(5000):
            LOGGER.warning("event", number=number, text="x" * 100)
    with os.fdopen(reader, "rb") as lines:
        numbers = [json.loads(line)["number"] for line in lines]
    assert 0 < len(numbers) < 5000
    assert numbers == list(range(len(numbers)))


def test_a_pipe_without_a_reader_is_no_reason_to_fail():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, operator_log(stream):
        LOGGER.warning("event")


def test_a_closed_stream_is_no_reason_to_fail():
    stream = io.StringIO()
    with operator_log(stream):
        LOGGER.warning("first")
        assert json.loads(stream.getvalue())["event"] == "first"
        stream.close()
        LOGGER.warning("second")
