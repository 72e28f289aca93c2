"""Several workers on one port, as a process with children: what one answers all answer, whoever dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.authorities import Authority
from tests.support.load import RULES, Load
from tests.support.programs import fetch, free_port, program, until
from tests.support.raw import connect
from tests.support.service import RUN, Service, agent_token, keystile, write_configuration
from tests.support.upstream import Gate, plain, upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.raw import Address, Client

OPEN = [{"name": "open", "path": "/**", "public": True}]

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="whose children processes are is read from /proc"
)


def address(service: Service) -> Address:
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    return host, int(port)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def lives(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def mortal(folder: Path, **settings: Any) -> Iterator[Service]:
    """As `keystile`, for tests that kill: errors may be reported, and the end is the test's own."""
    path = write_configuration(folder, log={"output": "access.log"}, **settings)
    with program([*RUN, path], folder) as running:
        yield Service(running, folder / "access.log")


def said(service: Service, event: str) -> list[dict[str, Any]]:
    """What the processes have told of this kind of event."""
    lines = map(json.loads, service.program.errors.splitlines())
    return [line for line in lines if line["event"] == event]


async def ask(client: Client, target: str) -> int:
    await client.write(f"GET {target} HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n".encode())
    return (await client.response()).status


async def asked_of_each(service: Service, count: int) -> None:
    """Ask on new connections until each of `count` workers has answered."""
    async with asyncio.timeout(20):
        while len({line["worker"] for line in service.lines() if line["event"] == "access"}) < count:
            async with connect(address(service)) as client:
                assert await ask(client, "/") == 200


async def test_every_worker_answers_and_says_which_it_is(tmp_path: Path) -> None:
    async with upstream() as server:
        with keystile(tmp_path, upstream=server.url, rules=OPEN, workers=3) as service:
            await asked_of_each(service, 3)
            started = children(service.program.pid)
            assert len(started) == 3
        lines = [line for line in service.lines() if line["event"] == "access"]
    assert {line["worker"] for line in lines} == {0, 1, 2}
    assert [line["workers"] for line in said(service, "listening")] == [3]
    assert not any(map(lives, started))


async def test_every_worker_speaks_tls_and_renews_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.certify("edge")
    context = authority.client()
    tls = {"certificate": str(certificate), "key": str(key)}
    numbers: set[str] = set()

    async def seen(service: Service) -> str:
        async with connect(address(service), context) as client:
            assert await ask(client, "/") == 200
            return str(client.transport.get_extra_info("ssl_object").getpeercert()["serialNumber"])

    async with upstream() as server:
        with keystile(tmp_path / "edge", upstream=server.url, rules=OPEN, workers=2, tls=tls) as service:
            async with asyncio.timeout(20):
                while len({line["worker"] for line in service.lines() if line["event"] == "access"}) < 2:
                    numbers.add(await seen(service))
            assert len(numbers) == 1
            authority.certify("edge")
            await asyncio.to_thread(
                until, lambda: len(said(service, "certificate_renewed")) == 2, lambda: "renewal in both"
            )
            assert numbers.isdisjoint([await seen(service) for _ in range(10)])


async def test_auto_is_one_for_each_usable_core(tmp_path: Path) -> None:
    with keystile(tmp_path, upstream="http://127.0.0.1:9", rules=OPEN, workers="auto") as service:
        cores = len(os.sched_getaffinity(0))
        started = children(service.program.pid)
    # One core is served by the process itself.
    assert len(started) == (cores if cores > 1 else 0)


async def test_on_a_unix_socket_all_share_it(tmp_path: Path) -> None:
    where = tmp_path / "keystile.sock"
    async with upstream() as server:
        path = write_configuration(
            tmp_path,
            upstream=server.url,
            rules=OPEN,
            workers=2,
            listen=f"unix:{where}",
            log={"output": "access.log"},
        )
        with program([*RUN, path], tmp_path) as running:
            running.says(r'"(listening)"')
            for _ in range(20):
                async with connect(str(where)) as client:
                    assert await ask(client, "/") == 200
            assert len(children(running.pid)) == 2
        assert running.stop() == 0


async def test_a_worker_that_is_killed_is_replaced_and_its_waiting_clients_are_served(tmp_path: Path) -> None:
    async with upstream() as server:
        with mortal(tmp_path, upstream=server.url, rules=OPEN, workers=2) as service:
            await asked_of_each(service, 2)
            before = children(service.program.pid)
            os.kill(before[0], signal.SIGKILL)
            # Whoever connects meanwhile waits, if need be, and is refused by nobody.
            async with asyncio.TaskGroup() as group:
                for _ in range(40):
                    group.create_task(_served(service))
            await asyncio.to_thread(until, lambda: said(service, "worker_replaced"), lambda: "replacement")
            after = children(service.program.pid)
            assert len(after) == 2
            assert before[1] in after
            assert before[0] not in after
            assert service.stop() == 0
    [died] = said(service, "worker_died")
    assert (died["pid"], died["how"]) == (before[0], "signal SIGKILL")


async def _served(service: Service) -> None:
    async with connect(address(service)) as client:
        assert await ask(client, "/") == 200


async def test_a_worker_that_dies_again_and_again_is_replaced_later_and_later(tmp_path: Path) -> None:
    with mortal(tmp_path, upstream="http://127.0.0.1:9", rules=OPEN, workers=2) as service:
        for number in range(1, 4):
            [first, *_] = sorted(children(service.program.pid))
            victim = max(children(service.program.pid)) if number > 1 else first
            os.kill(victim, signal.SIGKILL)
            await asyncio.to_thread(
                until, lambda n=number: len(said(service, "worker_replaced")) == n, lambda: "replacement"
            )
        pauses = [line["replaced_in"] for line in said(service, "worker_died")]
        assert service.stop() == 0
    assert pauses == [0.1, 0.2, 0.4]


async def test_all_die_with_the_supervisor(tmp_path: Path) -> None:
    async with upstream() as server:
        with mortal(tmp_path, upstream=server.url, rules=OPEN, workers=2) as service:
            workers = children(service.program.pid)
            service.program.send(signal.SIGKILL)
            await asyncio.to_thread(service.program.wait)
            await asyncio.to_thread(until, lambda: not any(map(lives, workers)), lambda: f"end of {workers}")
    with socket.socket() as attempt:
        assert attempt.connect_ex(address(service)) != 0


CANNOT_START = [
    pytest.param(
        {"issuers": [{"issuer": "https://a.test", "jwks": "config.yaml"}]}, 2, "the key set is not", id="keys"
    ),
    pytest.param({"log": {"output": "."}}, 1, "keystile: ", id="log"),
]


@pytest.mark.parametrize(("settings", "code", "named"), CANNOT_START)
def test_what_no_worker_can_start_with_is_said_once(
    settings: dict[str, Any], code: int, named: str, tmp_path: Path
) -> None:
    path = write_configuration(tmp_path, upstream="http://127.0.0.1:9", rules=OPEN, workers=3, **settings)
    with program([*RUN, path], tmp_path) as running:
        assert running.wait() == code
    assert running.errors.count(named) == 1, running.errors
    assert "Traceback" not in running.errors


async def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        port = other.getsockname()[1]
        path = write_configuration(
            tmp_path, upstream="http://127.0.0.1:9", rules=OPEN, workers=2, listen=f"127.0.0.1:{port}"
        )
        with program([*RUN, path], tmp_path) as running:
            assert running.wait() == 1
    assert "the address is in use" in running.errors


async def test_sigterm_drains_every_worker(tmp_path: Path) -> None:
    slow = [Gate("go"), *plain(b"at last")]
    async with upstream([slow]) as server:
        with keystile(tmp_path, upstream=server.url, rules=OPEN, workers=2) as service:
            async with contextlib.AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(connect(address(service))) for _ in range(8)]
                for client in clients:
                    await client.write(b"GET /slow HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n")
                await server.arrived(8)
                service.program.send(signal.SIGTERM)
                await asyncio.to_thread(until, lambda: not accepts(service), lambda: "closed port")
                server.gates["go"].set()
                answers = [await client.response() for client in clients]
                assert await asyncio.to_thread(service.program.wait) == 0
    assert [answer.body for answer in answers] == [b"at last"] * 8
    assert {answer.value(b"connection") for answer in answers} == {b"close"}
    lines = [line for line in service.lines() if line["event"] == "access"]
    assert Counter(line["status"] for line in lines) == {200: 8}


def accepts(service: Service) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(address(service)) == 0


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    async with upstream([[Gate("never")]]) as server:
        with keystile(tmp_path, upstream=server.url, rules=OPEN, workers=2, drain="60s") as service:
            async with connect(address(service)) as client:
                await client.write(b"GET /slow HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n")
                await server.arrived(1)
                service.program.send(signal.SIGTERM)
                await asyncio.to_thread(until, lambda: not accepts(service), lambda: "closed port")
                service.program.send(signal.SIGTERM)
                assert await asyncio.to_thread(service.program.wait) == 0
        [line] = [line for line in service.lines() if line["event"] == "access"]
    assert line["reason"] == "draining"


def _rewrite(folder: Path, **settings: Any) -> None:
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **settings}))


async def test_a_reload_reaches_every_worker_or_none(tmp_path: Path) -> None:
    async with upstream() as server:
        with mortal(tmp_path, upstream=server.url, rules=OPEN, workers=2) as service:
            await asked_of_each(service, 2)
            _rewrite(tmp_path, rules=[{"name": "closed", "path": "/**", "scopes": ["none"]}])
            service.program.send(signal.SIGHUP)
            await asyncio.to_thread(until, lambda: said(service, "reloaded"), lambda: "reload")
            async with contextlib.AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(connect(address(service))) for _ in range(12)]
                assert {await ask(client, "/") for client in clients} == {401}
                _rewrite(tmp_path, rules=[{"name": "open", "path": "/**", "publik": True}])
                service.program.send(signal.SIGHUP)
                await asyncio.to_thread(until, lambda: said(service, "reload_refused"), lambda: "refusal")
                assert {await ask(client, "/") for client in clients} == {401}
            assert service.stop() == 0
    assert {line["worker"] for line in service.lines() if line.get("rule") == "closed"} == {0, 1}


async def test_sessions_and_proofs_are_shared(tmp_path: Path) -> None:
    """What one worker sealed opens at another, without a configured key."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: upstreams-own\r\n"
    answer = (head + b'Content-Length: 36\r\n\r\n{"jsonrpc":"2.0","id":1,"result":{}}',)
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}'
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    token = agent_token()
    rules = [{"name": "mcp", "path": "/mcp", "mcp": True}]
    async with upstream([answer]) as server:
        with keystile(tmp_path, upstream=server.url, rules=rules, workers=2) as service:

            def told(**more: str) -> Any:
                return fetch(
                    f"{service.url}/mcp", "POST", token=token, headers={**headers, **more}, body=body
                )

            session = (await asyncio.to_thread(told)).headers["Mcp-Session-Id"]
            async with asyncio.timeout(20):
                while len({line["worker"] for line in service.lines()}) < 2:
                    more = {"Mcp-Session-Id": session}
                    assert (await asyncio.to_thread(lambda: told(**more))).status == 200  # noqa: B023 - awaited here
    assert session != "upstreams-own"


async def test_lines_of_several_workers_never_tear(tmp_path: Path) -> None:
    """On a pipe with a reader that is slow now and then."""
    fifo = tmp_path / "log.pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    read = bytearray()
    async with upstream() as server:
        path = write_configuration(
            tmp_path, upstream=server.url, rules=RULES, workers=2, log={"output": str(fifo)}
        )
        with program([*RUN, path], tmp_path) as running:
            service = Service(running, fifo)
            load = Load(address(service), rate=400, connections=16)
            asking = asyncio.create_task(load.run())
            while load.books.sent < 600:
                await asyncio.sleep(0.05)
                with contextlib.suppress(BlockingIOError):
                    read += os.read(reader, 7000)
            load.stop()
            await asking
            running.send(signal.SIGTERM)
            os.set_blocking(reader, True)
            while piece := await asyncio.to_thread(os.read, reader, 65536):
                read += piece
            assert running.wait() == 0
    os.close(reader)
    lines = [json.loads(line) for line in read.splitlines()]
    assert load.books.unlogged(lines) == []
    assert {line["worker"] for line in lines if line["event"] == "access"} == {0, 1}


def test_sockets_that_were_passed_in_are_listened_on(tmp_path: Path) -> None:
    """As systemd does it (sd_listen_fds)."""
    port = free_port()
    path = write_configuration(
        tmp_path,
        upstream="http://127.0.0.1:9",
        rules=OPEN,
        workers=2,
        listen=f"127.0.0.1:{port}",
        log={"output": "access.log"},
    )
    with socket.create_server(("127.0.0.1", port)) as listening:

        def passed() -> None:
            os.dup2(listening.fileno(), 3)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")

        with (tmp_path / "stderr").open("wb") as errors:
            started = subprocess.Popen(
                (*RUN, str(path)),
                preexec_fn=passed,  # noqa: PLW1509 - only there LISTEN_PID is known
                pass_fds=(3,),
                stderr=errors,
            )
        try:
            until(
                lambda: "listening" in (tmp_path / "stderr").read_text(),
                (tmp_path / "stderr").read_text,
            )
            assert fetch(f"http://127.0.0.1:{port}/").status == 502
        finally:
            started.terminate()
            assert started.wait(20) == 0
