"""The admin listener of `keystile run`: reloads that are counted, and several workers that are told as one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.admin import following, metrics, named, page, readiness, readiness_when, told
from tests.support.programs import fetch, program
from tests.support.raw import DEADLINE, connect
from tests.support.service import RUN, Service, agent_token, keystile, write_configuration
from tests.support.upstream import Gate, plain, upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.admin import Samples
    from tests.support.raw import Address

RULES = [{"name": "guarded", "path": "/guarded"}, {"name": "open", "path": "/**", "public": True}]
SETTINGS: dict[str, Any] = {
    "admin": "127.0.0.1:0",
    "rules": RULES,
    "upstream": "http://127.0.0.1:9",
    "log": {"output": "access.log"},
}

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="whose children processes are is read from /proc"
)


def admin(service: Service) -> Address:
    told = service.program.says(r'^(?=.*"event": ?"listening").*"admin": ?"([^"]+)"')
    host, _, port = told.rpartition(":")
    return host, int(port)


def workers(service: Service) -> list[int]:
    pid = service.program.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Service]:
    """As `keystile`, where errors may be reported."""
    path = write_configuration(folder, **{**SETTINGS, **settings})
    with program([*RUN, path], folder) as process:
        yield Service(process, folder / "access.log")


def total(told: Samples) -> float:
    """How many requests there were."""
    return sum(value for (name, _), value in told.items() if name == "keystile_requests_total")


async def told_when(address: Address, settled: Callable[[Samples], object]) -> Samples:
    """Ask for the metrics until they are as `settled` says."""
    async with asyncio.timeout(DEADLINE):
        while True:
            told = await metrics(address)
            if settled(told):
                return told


async def spread(service: Service, count: int) -> int:
    """Ask on new connections until each of `count` workers has answered; return how often that was."""
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    before = len(service.lines())
    asked, seen = 0, set[int]()
    async with asyncio.timeout(DEADLINE):
        while len(seen) < count:
            async with connect((host, int(port))) as client:
                await client.write(b"GET / HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n")
                await client.response()
            asked += 1
            seen = {line["worker"] for line in service.lines()[before:]}
    return asked


@pytest.mark.parametrize("count", [1, 2])
async def test_reloads_are_counted_by_their_outcome(tmp_path: Path, count: int) -> None:
    with running(tmp_path, workers=count) as service:
        address = admin(service)
        ok, failed = (named("keystile_config_reloads_total", outcome=one) for one in ("ok", "failed"))
        in_force = named("keystile_config_last_reload_successful")
        at = named("keystile_config_last_reload_success_timestamp_seconds")
        start = await metrics(address)
        path = tmp_path / "config.yaml"
        sound = path.read_text()
        path.write_text("nonsense: 1")
        service.program.send(signal.SIGHUP)
        broken = await told_when(address, lambda told: told[failed] == 1)
        unready, slight = await readiness(address)
        path.write_text(sound)
        service.program.send(signal.SIGHUP)
        mended = await told_when(address, lambda told: told[ok] == 1)
        path.write_text(sound.replace("access.log", "other.log"))
        service.program.send(signal.SIGHUP)
        refused = await told_when(address, lambda told: told[failed] == 2)
    assert [(one[ok], one[failed], one[in_force]) for one in (start, broken, mended, refused)] == [
        (0, 0, 1),
        (0, 1, 0),
        (1, 1, 1),
        (1, 2, 0),
    ]
    assert start[at] == broken[at] < mended[at] == refused[at]
    assert unready == 200
    assert "the latest configuration is faulty; the one before it is in force" in slight["problems"]


async def test_workers_are_told_as_one(tmp_path: Path) -> None:
    async with upstream() as behind:
        with keystile(tmp_path, **{**SETTINGS, "upstream": behind.url}, workers=2) as service:
            address = admin(service)
            asked = await spread(service, 2)
            for _ in range(4):
                assert (await asyncio.to_thread(fetch, f"{service.url}/guarded")).status == 401
            url, host = f"{service.url}/guarded", {"Host": "mcp.example.com"}
            assert (await asyncio.to_thread(fetch, url, token=agent_token(), headers=host)).status == 200
            told = await metrics(address)
            code, ready = await readiness_when(address, lambda told: told["upstream"]["reachable"])
            shown = json.loads((await page(address, "/config")).body)
            unread = await asyncio.to_thread(fetch, f"{service.url}/metrics", headers=host)
    public = {"rule": "open", "status": "200", "decision": "allow", "reason": "public"}
    refused = {"rule": "guarded", "status": "401", "decision": "deny", "reason": "credential_missing"}
    allowed = {"rule": "guarded", "status": "200", "decision": "allow", "reason": ""}
    assert told[named("keystile_requests_total", **public)] == asked
    assert told[named("keystile_requests_total", **allowed)] == 1
    assert told[named("keystile_requests_total", **refused)] == 4
    assert told[named("keystile_request_duration_seconds_count", rule="open")] == asked
    assert told[named("keystile_token_cache_misses_total")] == 1
    assert told[named("keystile_key_fetches_total", issuer="https://agentlair.dev", outcome="ok")] >= 2
    assert told[named("keystile_workers")] == told[named("keystile_workers_answering")] == 2
    # Three interpreters, each with all that it has imported.
    assert told[named("process_resident_memory_bytes")] > 3 * 20 * 1024 * 1024
    assert (code, ready["status"], ready["workers"]) == (200, "ready", {"configured": 2, "answering": 2})
    assert [one["issuer"] for one in ready["keys"]] == ["https://agentlair.dev"]
    assert (shown["workers"], shown["resource"]) == (2, "https://mcp.example.com/mcp")
    # The data port has none of it: that was the upstream's own page.
    assert (unread.status, behind.requests[-1].target) == (200, b"/metrics")


async def test_who_does_not_answer_is_counted_and_not_waited_for(tmp_path: Path) -> None:
    """What it had counted still counts."""
    async with upstream() as behind:
        with keystile(tmp_path, **{**SETTINGS, "upstream": behind.url}, workers=2) as service:
            address = admin(service)
            asked = await spread(service, 2)
            before = await metrics(address)
            one, other = workers(service)
            os.kill(one, signal.SIGSTOP)
            without = await metrics(address)
            degraded = await readiness(address)
            os.kill(other, signal.SIGSTOP)
            none = await readiness(address)
            of_none = await metrics(address)
            alive = await page(address, "/healthz")
            for pid in (one, other):
                os.kill(pid, signal.SIGCONT)
            after = await told_when(address, lambda told: told[answering] == 2)
    assert [total(told) for told in (before, without, of_none, after)] == [asked] * 4
    assert [told[answering] for told in (before, without, of_none, after)] == [2, 1, 0, 2]
    assert without[named("keystile_workers")] == 2
    assert (degraded[0], degraded[1]["status"]) == (200, "degraded")
    assert "1 of 2 workers do not answer" in degraded[1]["problems"]
    assert (none[0], none[1]["problems"]) == (503, ["no worker says that it can serve"])
    assert alive.status == 200


answering = named("keystile_workers_answering")


async def test_what_a_worker_has_counted_outlives_it(tmp_path: Path) -> None:
    async with upstream() as behind:
        with running(tmp_path, workers=2, upstream=behind.url) as service:
            address = admin(service)
            asked = await spread(service, 2)
            before = await metrics(address)
            killed = workers(service)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            died = await metrics(address)
            back = await told_when(address, lambda told: told[answering] == 2)
            asked_since = await spread(service, 2)
            after = await metrics(address)
            assert not {*killed} & {*workers(service)}
    cpu = named("process_cpu_seconds_total")
    assert [total(told) for told in (before, died, back)] == [asked] * 3
    assert total(after) == asked + asked_since
    assert before[cpu] <= back[cpu] <= after[cpu]
    # The file is read by each at first, and looked at again every second.
    fetches = named("keystile_key_fetches_total", issuer="https://agentlair.dev", outcome="ok")
    assert before[fetches] >= 2
    assert after[fetches] >= before[fetches] + 2
    assert after[named("keystile_keys", issuer="https://agentlair.dev")] == 1


async def test_the_dashboard_tells_of_all_workers(tmp_path: Path) -> None:
    async with upstream() as behind:
        with running(tmp_path, workers=2, upstream=behind.url) as service:
            address = admin(service)
            asked = await spread(service, 2)
            async with following(address) as stream:
                lines = await stream.until(asked)
                asked += await spread(service, 2)
                lines = await stream.until(asked)
            state = await told(address, "/state")
            answer = await told(address, "/audit?target=/")
            # What a worker kept goes with it; what was seen of it stays, and the file has it all.
            for pid in workers(service):
                os.kill(pid, signal.SIGKILL)
            await told_when(address, lambda told: told[answering] == 2)
            again = await spread(service, 2)
            after = await told(address, "/state")
            everything = await told(address, "/audit?target=/")
    assert {line["worker"] for line in lines} == {0, 1}
    assert len({line["request_id"] for line in lines}) == asked
    assert (state["recent"]["calls"], answer["count"]) == (asked, asked)
    assert state["workers"] == {"configured": 2, "answering": 2}
    assert (after["recent"]["calls"], everything["count"]) == (asked + again, asked + again)


async def test_without_a_worker_that_answers_the_dashboard_still_does(tmp_path: Path) -> None:
    async with upstream() as behind:
        with keystile(tmp_path, **{**SETTINGS, "upstream": behind.url}, workers=2) as service:
            address = admin(service)
            asked = await spread(service, 2)
            before = await told(address, "/state")
            one, *_ = workers(service)
            os.kill(one, signal.SIGSTOP)
            without = await told(address, "/state")
            os.kill(one, signal.SIGCONT)
    assert before["recent"]["calls"] == without["recent"]["calls"] == asked
    assert without["problems"] == ["1 of 2 workers do not answer"]


async def test_who_looks_at_once_shares_an_answer(tmp_path: Path) -> None:
    async with upstream() as behind:
        with keystile(tmp_path, **{**SETTINGS, "upstream": behind.url}, workers=2) as service:
            address = admin(service)
            asked = await spread(service, 2)
            all_told = await asyncio.gather(*(metrics(address) for _ in range(16)))
    assert [total(told) for told in all_told] == [asked] * 16


@pytest.mark.parametrize("count", [1, 2])
async def test_it_is_unready_first_and_gone_last(tmp_path: Path, count: int) -> None:
    async with upstream([[Gate("go"), *plain(b"at last")]]) as behind:
        with keystile(tmp_path, **{**SETTINGS, "upstream": behind.url}, workers=count) as service:
            address = admin(service)
            host, _, port = service.url.removeprefix("http://").rpartition(":")
            async with connect((host, int(port))) as client:
                await client.write(b"GET /slow HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n")
                await behind.arrived(1)
                service.program.send(signal.SIGTERM)
                code, told = await readiness_when(address, lambda told: told["draining"])
                behind.gates["go"].set()
                assert (await client.response()).body == b"at last"
            assert await asyncio.to_thread(service.program.wait) == 0
            with pytest.raises(ConnectionRefusedError):
                async with connect(address):
                    pass
    assert (code, told["status"], "draining" in told["problems"]) == (503, "unready", True)


@pytest.mark.parametrize("count", [1, 2])
async def test_an_address_that_is_taken_ends_it_at_once(tmp_path: Path, count: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        path = write_configuration(tmp_path, **{**SETTINGS, "admin": f"127.0.0.1:{port}", "workers": count})
        with program([*RUN, path], tmp_path) as process:
            assert process.wait() == 1
    assert f"admin 127.0.0.1:{port}: the address is in use" in process.errors
    assert "Traceback" not in process.errors


@pytest.mark.parametrize("count", [1, 2])
async def test_null_opens_nothing(tmp_path: Path, count: int) -> None:
    with keystile(tmp_path, **{**SETTINGS, "admin": None}, workers=count) as service:
        said = [json.loads(line) for line in service.program.errors.splitlines()]
    [listening] = [line for line in said if line["event"] == "listening"]
    assert "admin" not in listening
