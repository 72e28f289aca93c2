"""The process from the outside: how it starts, what it answers to signals, and that its log loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.programs import fetch, file_server, free_port, program, until
from tests.support.raw import connect
from tests.support.service import ISSUER, RESOURCE, RUN, agent_token, keystile, write_configuration
from tests.support.upstream import Gate, plain, upstream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.raw import Address, Client
    from tests.support.service import Service

OPEN = [{"name": "open", "path": "/**", "public": True}]
STOP = [
    pytest.param(signal.SIGTERM, "stdout", id="SIGTERM, log on standard output"),
    pytest.param(signal.SIGTERM, "access.log", id="SIGTERM, log in a file"),
    pytest.param(signal.SIGINT, "stdout", id="SIGINT"),
]


def address(service: Service) -> Address:
    host, _, port = service.url.removeprefix("http://").partition(":")
    return host, int(port)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n".encode()


async def ask(client: Client, paths: list[str]) -> None:
    """Send a request for each path, all at once, and take the answers in order."""
    await client.write(b"".join(get(path) for path in paths))
    for path in paths:
        answer = await client.response()
        assert answer.body == path.encode()


@pytest.mark.parametrize(("number", "output"), STOP)
async def test_a_stop_loses_no_line(tmp_path: Path, number: signal.Signals, output: str) -> None:
    paths = [[f"/{connection}/{request}" for request in range(150)] for connection in range(4)]
    async with upstream() as server:
        with keystile(tmp_path, upstream=server.url, rules=OPEN, log={"output": output}) as service:
            async with (
                connect(address(service)) as first,
                connect(address(service)) as second,
                connect(address(service)) as third,
                connect(address(service)) as fourth,
            ):
                await asyncio.gather(
                    *(
                        ask(client, own)
                        for client, own in zip((first, second, third, fourth), paths, strict=True)
                    )
                )
                # At once: the newest lines have not been written yet.
                service.program.send(number)
                assert await asyncio.to_thread(service.program.wait) == 0
            lines = [line for line in service.lines() if line["event"] == "access"]
    assert sorted(line["path"] for line in lines) == sorted(path for own in paths for path in own)
    assert len({line["request_id"] for line in lines}) == len(lines)
    assert {line["status"] for line in lines} == {200}


async def test_a_stop_waits_for_an_answer_in_progress_and_takes_no_new_request(tmp_path: Path) -> None:
    slow = [Gate("go"), *plain(b"at last")]
    async with upstream([slow]) as server:
        with keystile(tmp_path, upstream=server.url, rules=OPEN) as service:
            async with connect(address(service)) as client:
                await client.write(get("/slow"))
                await server.arrived(1)
                service.program.send(signal.SIGTERM)
                await asyncio.to_thread(until, lambda: not accepts(service), lambda: "closed port")
                server.gates["go"].set()
                assert (await client.response()).body == b"at last"
                assert await asyncio.to_thread(service.program.wait) == 0
            line = service.access(path="/slow")
    assert (line["status"], line["decision"]) == (200, "allow")


def accepts(service: Service) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(address(service)) == 0


async def test_a_log_that_was_rotated_away_is_opened_anew(tmp_path: Path) -> None:
    async with upstream() as server:
        with keystile(tmp_path, upstream=server.url, rules=OPEN) as service:
            rotated = tmp_path / "access.log.1"
            async with connect(address(service)) as client:
                await ask(client, ["/before"])
                service.access(path="/before")
                service.log.rename(rotated)
                await ask(client, ["/between"])
                await asyncio.to_thread(
                    until, lambda: len(service.lines(rotated)) == 2, lambda: "second line"
                )
                service.program.send(signal.SIGHUP)
                await asyncio.to_thread(until, service.log.exists, lambda: "new log")
                await ask(client, ["/after"])
            service.access(path="/after")
    assert [line["path"] for line in service.lines(rotated)] == ["/before", "/between"]
    assert [line["path"] for line in service.lines()] == ["/after"]


async def test_sighup_changes_nothing_where_the_log_is_standard_output(tmp_path: Path) -> None:
    async with upstream() as server:
        with keystile(tmp_path, upstream=server.url, rules=OPEN, log={"output": "stdout"}) as service:
            service.program.send(signal.SIGHUP)
            async with connect(address(service)) as client:
                await ask(client, ["/after"])
            assert service.access(path="/after")["status"] == 200


async def test_what_the_process_itself_says_is_json_on_standard_error(tmp_path: Path) -> None:
    async with upstream() as server:
        with keystile(tmp_path, upstream=server.url, rules=OPEN) as service:
            pass
    events = [json.loads(line)["event"] for line in service.program.errors.splitlines()]
    assert events == ["keys_changed", "listening", "stopped"]
    assert service.program.output == ""


def test_a_bad_configuration_exits_with_2_and_names_every_fault(tmp_path: Path) -> None:
    path = write_configuration(
        tmp_path,
        upstream="http://127.0.0.1:9/with/a/path",
        listen="127.0.0.1:0",
        rulez=[],
        limits={"header_bytes": "many"},
        rules=[
            {"path": "relative", "scopes": ["read"]},
            {"path": "/open", "public": True, "scopes": ["read"]},
        ],
    )
    with program([*RUN, path], tmp_path) as running:
        assert running.wait() == 2
    said = running.errors
    for place in ("upstream", "rulez", "limits.header_bytes", "rules[0].path"):
        assert f" {place}" in said, said
    assert "Traceback" not in said
    assert running.output == ""


CANNOT_START = [
    pytest.param(
        {"listen": "127.0.0.1:TAKEN"},
        1,
        "listen 127.0.0.1:TAKEN: the address is in use",
        id="the port is taken",
    ),
    pytest.param(
        {"listen": "unix:/nowhere/socket"},
        1,
        "listen unix:/nowhere/socket: no such",
        id="no folder for the socket",
    ),
    pytest.param(
        {"listen": "nowhere.invalid:80"}, 1, "listen nowhere.invalid:80: the host has no", id="no such host"
    ),
    pytest.param({"log": {"output": "nowhere/log"}}, 2, "log.output", id="the log's folder is not there"),
    pytest.param(
        {"issuers": [{"issuer": ISSUER, "jwks": "gone.json"}]}, 2, "issuers[0].jwks", id="no such key file"
    ),
    pytest.param(
        {"issuers": [{"issuer": ISSUER, "jwks": "config.yaml"}]}, 2, "config.yaml", id="no key set in it"
    ),
]


@pytest.mark.parametrize(("settings", "code", "named"), CANNOT_START)
def test_what_cannot_start_says_why_in_a_sentence(
    tmp_path: Path, settings: dict[str, Any], code: int, named: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        filled = json.loads(
            json.dumps({"upstream": "http://127.0.0.1:9", **settings}).replace("TAKEN", taken)
        )
        path = write_configuration(tmp_path, rules=OPEN, **filled)
        with program([*RUN, path], tmp_path) as running:
            assert running.wait() == code
    assert named.replace("TAKEN", taken) in running.errors
    assert "Traceback" not in running.errors


async def test_without_a_file_the_environment_is_the_configuration(tmp_path: Path) -> None:
    write_configuration(tmp_path)
    port = free_port()
    async with upstream() as server:
        # Any web server can hand out a key set.
        with file_server(tmp_path, tmp_path / "issuer") as issuer:
            variables = {
                "KEYSTILE_UPSTREAM": server.url,
                "KEYSTILE_JWKS_URI": f"{issuer}/jwks.json",
                "KEYSTILE_JWT_ISSUER": ISSUER,
                "KEYSTILE_JWT_AUDIENCE": RESOURCE,
                "KEYSTILE_SCOPES": "memory:read",
                "KEYSTILE_LISTEN": f"127.0.0.1:{port}",
                "KEYSTILE_ADMIN": "null",
            }
            with program(RUN, tmp_path / "keystile", variables) as running:
                running.says(r'"(listening)"')
                url = f"http://127.0.0.1:{port}/anything"
                tokens = (None, agent_token(al_scopes=["other"]), agent_token())
                answers = [await asyncio.to_thread(fetch, url, token=token) for token in tokens]
            assert running.stop() == 0
    assert [answer.status for answer in answers] == [401, 403, 200]
    logged = [json.loads(line) for line in running.output.splitlines()]
    assert [(line["status"], line.get("agent_id")) for line in logged] == [
        (401, None),
        (403, "acc_7f3k2m9x"),
        (200, "acc_7f3k2m9x"),
    ]


def test_a_log_line_reaches_a_pipe_while_the_process_runs(tmp_path: Path) -> None:
    """A container's log driver reads a pipe: a line must not wait in a buffer for others."""
    fifo = tmp_path / "log.pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with keystile(
            tmp_path / "run", upstream="http://127.0.0.1:9", rules=OPEN, log={"output": str(fifo)}
        ) as service:
            assert fetch(f"{service.url}/refused").status == 502
            line = until(lambda: _read(reader), lambda: "line in the pipe")
    finally:
        os.close(reader)
    assert json.loads(line)["reason"] == "upstream_unreachable"


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except BlockingIOError:
        return b""
