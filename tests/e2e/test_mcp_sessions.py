"""A session belongs to the agent that opened it, whatever the server thinks of that: nobody else can use it."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest
from mcp import ClientSession
from mcp.client.sse import sse_client

from tests.e2e.agents import initialized, request, say, stream
from tests.e2e.memory import READER, SERVER, WRITER, memory
from tests.support.programs import fetch, free_port, program
from tests.support.service import ISSUER, agent_token, keystile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.service import Service

KEY = "a session key of more than 32 characters"


def own(**claims: object) -> str:
    return agent_token(sub="acc_own", **claims)


OTHER = agent_token(sub="acc_other")


@pytest.fixture(scope="module", params=["python", "everything"])
def upstream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with sessions."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "python":
        with program([sys.executable, SERVER], folder) as server:
            yield server.says(r"running on (http://\S+)")
    else:
        port = free_port()
        node, modules = (request.getfixturevalue(name) for name in ("node", "modules"))
        command = [node, modules / ".bin" / "mcp-server-everything", "streamableHttp"]
        with program(command, folder, {"PORT": str(port)}) as server:
            server.says(r"(listening) on port")
            yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def service(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    rules = [{"name": "mcp", "path": "/mcp", "scopes": ["memory:read"], "mcp": True}]
    with keystile(tmp_path_factory.mktemp("keystile"), upstream=upstream, rules=rules) as running:
        yield running


METHODS = ["POST", "GET", "DELETE"]


@pytest.mark.parametrize("method", METHODS)
def test_another_agent_cannot_use_it(service: Service, method: str) -> None:
    url = f"{service.url}/mcp"
    session = initialized(url, own())
    headers, body = request("tools/list", {}, session)
    sent = body if method == "POST" else None
    with stream(url, OTHER, method, headers=headers, body=sent) as answer:
        assert answer.status == 404
    line = service.access(status=404, method=method, agent_id="acc_other")
    assert (line["reason"], line.get("upstream_status")) == ("session_foreign", None)
    # Its own goes on, deleted by nobody.
    assert say(url, own(), "tools/list", session=session).status == 200


IDS = [
    pytest.param(lambda sealed: sealed[:-1] + ("A" if sealed[-1] != "A" else "B"), id="changed"),
    pytest.param(lambda sealed: sealed[:-4], id="shortened"),
    pytest.param(lambda _: "7215d33e-25e2-47c8-a66f-782cf36d5120", id="as a server makes them"),
]


@pytest.mark.parametrize("changed", IDS)
def test_no_other_id_reaches_the_server(service: Service, changed: Callable[[str], str]) -> None:
    url = f"{service.url}/mcp"
    session = changed(initialized(url, own()))
    assert say(url, own(jti="stray"), "tools/list", session=session).status == 404
    assert "upstream_status" not in service.access(token_id="stray", status=404)


def test_its_agent_goes_on_with_a_new_token(service: Service) -> None:
    url = f"{service.url}/mcp"
    session = initialized(url, own(jti="first"))
    told = say(url, own(jti="second", al_scopes=["memory:read"]), "tools/list", session=session)
    assert told.status == 200
    lines = [service.access(token_id=name, event="access", method="POST") for name in ("first", "second")]
    assert len({line["mcp"]["session"] for line in lines}) == 1
    with stream(
        url, own(), headers={"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    ) as listening:
        assert listening.status == 200
    assert fetch(url, "DELETE", token=own(), headers={"Mcp-Session-Id": session}).status == 200
    told = say(url, own(jti="third"), "tools/list", session=session)
    # The server's own answer: there is no such session any more.
    assert told.status in {400, 404}
    assert service.access(token_id="third", event="access")["upstream_status"] == told.status


def test_it_outlives_the_proxy(upstream: str, tmp_path: Path) -> None:
    """The same key opens what another process has sealed; the first key of a list seals, all of them open."""
    rules = [{"path": "/mcp", "scopes": ["memory:read"], "mcp": True}]

    def running(name: str, *keys: str) -> Service:
        settings = {"session_key": list(keys)} if keys else {}
        return stack.enter_context(keystile(tmp_path / name, upstream=upstream, rules=rules, **settings))

    with ExitStack() as stack:
        url = f"{running('first', KEY).url}/mcp"
        session = initialized(url, own())
    with ExitStack() as stack:
        again, later, strange = running("again", KEY), running("later", "x" * 32, KEY), running("strange")
        assert [
            say(f"{each.url}/mcp", token, "tools/list", session=session).status
            for each, token in ((again, own()), (again, OTHER), (later, own()), (strange, own()))
        ] == [200, 404, 200, 404]


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Keystile before a server that speaks the transport of 2024-11-05."""
    issuers = [{"issuer": ISSUER, "jwks": "jwks.json", "leeway": "0s"}]
    rule = {"name": "sse", "path": "/sse"}
    with memory(tmp_path_factory.mktemp("older"), "sse", rule=rule, issuers=issuers) as running:
        yield running


def test_its_endpoint_is_nobody_elses(older: Service) -> None:
    url = f"{older.url}/sse"
    headers, body = request("tools/list", {}, None)
    with stream(url, own()) as listening:
        told = listening.event()
        assert told["event"] == "endpoint"
        # The server's own URI is in there for nobody to read.
        assert told["data"].startswith("/sse?endpoint=")
        assert "session_id" not in told["data"]
        endpoint = urljoin(url, told["data"])
        assert fetch(endpoint, "POST", token=OTHER, headers=headers, body=body).status == 404
        assert older.access(status=404, method="POST")["reason"] == "session_foreign"
        assert fetch(f"{older.url}/messages/", "POST", token=own(), headers=headers, body=body).status == 404
        assert fetch(endpoint, "POST", token=own(jti="another"), headers=headers, body=body).status == 202


def test_its_stream_ends_with_the_token(older: Service) -> None:
    expires = int(time.time()) + 2
    with stream(f"{older.url}/sse", own(jti="short", exp=expires)) as listening:
        assert listening.event()["event"] == "endpoint"
        assert listening.rest().decode().splitlines()[-2:] == [": token_expired", ""]
        assert time.time() >= expires
    assert older.access(token_id="short", event="access")["reason"] == "token_expired"


async def test_the_sdk_client_speaks_the_older_transport(older: Service) -> None:
    for scopes, names in ((READER, ["recall"]), (WRITER, ["remember", "recall"])):
        headers = {"Authorization": f"Bearer {own(al_scopes=scopes)}"}
        async with (
            sse_client(f"{older.url}/sse", headers=headers) as (reading, writing),
            ClientSession(reading, writing, read_timeout_seconds=20) as session,
        ):
            await session.initialize()
            assert [tool.name for tool in (await session.list_tools()).tools] == names
            recalled = await session.call_tool("recall", {"key": "nothing"})
            assert recalled.content[0].text == "Error executing tool recall"
