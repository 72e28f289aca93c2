"""The servers of deploy/RECIPES.md with the real software, and Keystile before them with the page's own configuration.

Programs and configurations are taken from the page as they stand; only ports are free ones, and the issuer's
keys are those of the test. Two agents of different scopes come: what arrived, and what the log says of them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import fastmcp
import pytest
import yaml
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from mcp import MCPError
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.docs.pages import ROOT, headings, section
from tests.e2e.nodejs import modules, node
from tests.support.keys import jwks_bytes
from tests.support.programs import Answer, Program, fetch, free_port, program, until
from tests.support.service import AGENT_KEY, RUN, Service, agent_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "deploy" / "RECIPES.md"
FASTMCP = "## A FastMCP server"
TYPESCRIPT = "## A TypeScript MCP server"
DASHBOARD = "## A dashboard with a login of its own"
FLASK = "## A legacy Flask application with Basic auth"
STREAMLIT = "## A Streamlit application"
SECRETS = {
    "SESSION_KEY": "0123456789abcdef0123456789abcdef",
    "UPSTREAM_AUTHORIZATION": "Basic " + base64.b64encode(b"keystile:battery staple").decode(),
}


def test_every_recipe_is_tried() -> None:
    assert headings(PAGE)[1:] == [FASTMCP, TYPESCRIPT, DASHBOARD, FLASK, STREAMLIT]


class Recipe:
    """The blocks of one section of the page, by their language."""

    def __init__(self, heading: str) -> None:
        self._port = free_port()
        self._blocks = section(PAGE, heading)

    def text(self, kind: str, number: int = 0) -> str:
        found = [block.text for block in self._blocks if block.kind == kind]
        return found[number].replace("8000", str(self._port))

    @property
    def line(self) -> dict[str, Any]:
        """What the page says of an access line."""
        told: dict[str, Any] = json.loads(self.text("json"))
        return told

    @contextlib.contextmanager
    def server(self, folder: Path, file: str) -> Iterator[None]:
        """Run the page's program, kept in `file`, by the page's own command, until the block ends."""
        folder.mkdir()
        (folder / file).write_text(self.text("js" if file.endswith(".mjs") else "python"))
        installing, starting = self.text("sh").splitlines()
        tool, _, *packages = installing.split()
        for package in packages:
            assert installed(tool, package), f"{package} is not installed"
        name, *words = starting.split()
        interpreters = {"node": node, "python": lambda: sys.executable}
        command = [interpreters[name]()] if name in interpreters else [sys.executable, "-m", name]
        with program([*command, *words], folder / "run", at=folder) as running:
            until(lambda: self._answers(running), lambda: f"server:\n{running.output}{running.errors}", 60)
            yield

    def _answers(self, running: Program) -> bool:
        assert running.running, running.errors
        with contextlib.suppress(OSError):
            return fetch(f"http://127.0.0.1:{self._port}/").status > 0
        return False

    @contextlib.contextmanager
    def keystile(self, folder: Path) -> Iterator[Service]:
        """Run Keystile as the page configures it, with the keys of `agent_token`."""
        folder.mkdir()
        (folder / "jwks.json").write_bytes(jwks_bytes(AGENT_KEY))
        settings = yaml.safe_load(self.text("yaml"))
        settings["issuers"] = [{**issuer, "jwks": "jwks.json"} for issuer in settings["issuers"]]
        self.audience = settings["resource"]
        file = folder / "keystile.yaml"
        file.write_text(yaml.safe_dump({"listen": "127.0.0.1:0", "admin": None, **settings}))
        with program([*RUN, file], folder, SECRETS) as running:
            service = Service(running, folder / "access.log")
            yield service
        assert service.stop() == 0, running.errors
        assert not [file.name for file in folder.iterdir() if b"eyJ" in file.read_bytes()]

    def token(self, agent: str, *scopes: str) -> str:
        return agent_token(sub=agent, aud=self.audience, al_scopes=list(scopes))


def installed(tool: str, package: str) -> bool:
    if tool == "npm":
        return (modules() / package).is_dir()
    with contextlib.suppress(PackageNotFoundError):
        return bool(version(package))
    return False


@contextlib.contextmanager
def recipe(heading: str, folder: Path, file: str) -> Iterator[tuple[Recipe, Service]]:
    made = Recipe(heading)
    with made.server(folder / "server", file), made.keystile(folder / "keystile") as service:
        yield made, service


def told(service: Service, expected: dict[str, Any]) -> dict[str, Any]:
    """Wait for the access line that has all that the page shows; what `mcp` shows, too."""
    rest = {name: value for name, value in expected.items() if name != "mcp"}

    def look() -> dict[str, Any] | None:
        lines = (
            line for line in service.lines() if line["event"] == "access" and rest.items() <= line.items()
        )
        return next((line for line in lines if fits(line.get("mcp", {}), expected.get("mcp", {}))), None)

    return until(look, lambda: f"line with {expected} in:\n{service.log.read_text()}")


def fits(found: Any, expected: dict[str, Any]) -> bool:
    return isinstance(found, dict) and expected.items() <= found.items()


async def called(url: str, token: str, tool: str, **arguments: str) -> str:
    """What FastMCP's client, as its author would use it, gets for a call: the text, or the error's."""
    transport = StreamableHttpTransport(url, auth=BearerAuth(token))
    async with fastmcp.Client(transport) as client:
        try:
            result = await client.call_tool(tool, arguments)
        except (MCPError, ToolError) as error:
            return str(error)
        return " ".join(part.text for part in result.content)


async def tools(url: str, token: str) -> list[str]:
    async with fastmcp.Client(StreamableHttpTransport(url, auth=BearerAuth(token))) as client:
        return [tool.name for tool in await client.list_tools()]


def test_fastmcp(tmp_path: Path) -> None:
    with recipe(FASTMCP, tmp_path, "server.py") as (page, service):
        url = f"{service.url}/mcp"
        writer = page.token("acc_writer", "memory:read", "memory:write")
        reader = page.token("acc_reader", "memory:read")
        assert asyncio.run(called(url, writer, "remember", id="x", text="nine")) == "kept x"
        assert asyncio.run(called(url, reader, "recall", id="x")) == "nine (acc_writer)"
        assert "needs scope memory:write to call remember" in asyncio.run(
            called(url, reader, "remember", id="y", text="ten")
        )
        told(service, page.line)
        told(service, {"agent_id": "acc_reader", "decision": "deny", "reason": "scope_insufficient"})
        client = tmp_path / "client.py"
        client.write_text(page.text("python", 1))
        shown = [
            output(tmp_path / name, client, url, token) for name, token in (("w", writer), ("r", reader))
        ]
    assert shown == ["remember, recall\n", "recall\n"]


def output(folder: Path, *words: object) -> str:
    with program([sys.executable, *words], folder) as running:
        assert running.wait() == 0, running.errors
        return running.output


def test_typescript(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(modules())
    with recipe(TYPESCRIPT, tmp_path, "server.mjs") as (page, service):
        url = f"{service.url}/mcp"
        writer = page.token("acc_writer", "notes:read", "notes:write")
        reader = page.token("acc_reader")
        assert asyncio.run(called(url, writer, "write_note", id="plan", body="nine")) == "wrote plan"
        assert asyncio.run(called(url, writer, "write_note", id="public-1", body="ten")) == "wrote public-1"
        assert asyncio.run(called(url, writer, "read_note", id="plan")) == "nine (acc_writer)"
        assert asyncio.run(called(url, reader, "read_note", id="public-1")) == "ten (acc_writer)"
        assert "needs scope notes:read" in asyncio.run(called(url, reader, "read_note", id="plan"))
        assert asyncio.run(tools(url, reader)) == ["read_note"]
        told(service, page.line)
        told(service, {"agent_id": "acc_reader", "decision": "deny", "reason": "scope_insufficient"})


def test_dashboard(tmp_path: Path) -> None:
    with recipe(DASHBOARD, tmp_path, "dashboard.py") as (page, service):
        writer = page.token("acc_writer", "memory:write", "memory:read")
        reader = page.token("acc_reader", "memory:read")
        api = f"{service.url}/api/memories"
        assert json.loads(fetch(api, "POST", token=writer, body=b"nine").body) == {
            "text": "nine",
            "by": "acc_writer",
        }
        assert json.loads(fetch(api, token=reader).body) == [{"text": "nine", "by": "acc_writer"}]
        refused = fetch(api, "POST", token=reader, body=b"ten", headers={"X-Agent-Id": "acc_writer"})
        assert refused.status == 403
        assert fetch(api).status == 401
        cookie = logged_in(service.url)
        seen = fetch(f"{service.url}/ui/", headers={"Cookie": cookie, "X-Agent-Id": "acc_writer"})
        assert (seen.status, seen.body) == (200, b"ada sees 1 memories")
        assert fetch(f"{service.url}/ui/", headers={"Cookie": "sessionid=guess"}).status == 403
        assert fetch(api, headers={"Cookie": cookie}).status == 401
        told(service, page.line)
        told(
            service,
            {"agent_id": "acc_reader", "rule": "write", "reason": "scope_insufficient", "status": 403},
        )
        line = told(service, {"path": "/ui/", "reason": "legacy_passthrough", "status": 200})
        assert "agent_id" not in line


def logged_in(url: str) -> str:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = fetch(f"{url}/login", "POST", body=b"user=ada&password=correct+horse", headers=form)
    assert answer.status == 303
    return str(answer.headers["Set-Cookie"]).partition(";")[0]


def test_flask(tmp_path: Path) -> None:
    with recipe(FLASK, tmp_path, "ledger.py") as (page, service):
        writer = page.token("acc_writer", "ledger:read", "ledger:write")
        reader = page.token("acc_reader", "ledger:read")
        api = f"{service.url}/api/entries"
        assert came(fetch(api, "POST", token=writer, body=b"")) == ("keystile", "acc_writer")
        assert came(fetch(api, token=reader)) == ("keystile", "acc_reader")
        assert fetch(api, "POST", token=reader, body=b"").status == 403
        ada = {"Authorization": "Basic " + base64.b64encode(b"ada:correct horse").decode()}
        assert came(fetch(f"{service.url}/", headers={**ada, "X-Agent-Id": "acc_writer"})) == ("ada", None)
        wrong = {"Authorization": "Basic " + base64.b64encode(b"ada:guess").decode()}
        answer = fetch(f"{service.url}/", headers=wrong)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="ledger"')
        assert fetch(api, headers=ada).status == 401
        told(service, page.line)
        told(service, {"agent_id": "acc_reader", "rule": "write", "reason": "scope_insufficient"})
        line = told(service, {"path": "/", "reason": "legacy_passthrough", "status": 200})
        assert "agent_id" not in line


def came(answer: Answer) -> tuple[str, str | None]:
    assert answer.status == 200, answer.body
    seen = json.loads(answer.body)
    return seen["user"], seen["agent"]


def test_streamlit(tmp_path: Path) -> None:
    if find_spec("streamlit") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "streamlit is missing: pip install '.[recipes]'"
        )
    with recipe(STREAMLIT, tmp_path, "app.py") as (page, service):
        writer = page.token("acc_writer", "dashboard:read", "dashboard:use")
        reader = page.token("acc_reader", "dashboard:read")
        assert b"streamlit" in fetch(f"{service.url}/", token=reader).body.lower()
        assert "You are acc_writer" in asyncio.run(drawn(service.url, writer))
        with pytest.raises(InvalidStatus, match="403"):
            asyncio.run(drawn(service.url, reader))
        told(service, page.line)
        told(service, {"agent_id": "acc_reader", "rule": "stream", "reason": "scope_insufficient"})


async def drawn(url: str, token: str) -> str:
    """Open the application as its page does, and return all texts that it draws."""
    from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: PLC0415 - only where it is installed
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: PLC0415 - as above

    asked = BackMsg()
    asked.rerun_script.query_string = ""
    address = f"{url.replace('http', 'ws', 1)}/_stcore/stream"
    sent = {"Authorization": f"Bearer {token}"}
    texts: list[str] = []
    async with (
        asyncio.timeout(60),
        connect(address, subprotocols=["streamlit"], additional_headers=sent, proxy=None) as page,
    ):
        await page.send(asked.SerializeToString())
        message = ForwardMsg()
        while message.WhichOneof("type") != "script_finished":
            message.ParseFromString(await page.recv())
            texts.append(message.delta.new_element.markdown.body)
    return "\n".join(texts)
