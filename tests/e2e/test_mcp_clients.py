"""Real clients before an unmodified server: each sees its agent's tools, and tells its person of a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import CLIENTS, Access
from tests.e2e.memory import READER, WRITER, memory
from tests.support.programs import until
from tests.support.service import agent_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.clients import Ask
    from tests.support.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = {"output": "access.log", "arguments": ["key"]}
    with memory(tmp_path_factory.mktemp("clients"), log=log) as running:
        yield running


def recalled(service: Service, token_id: str) -> dict[str, Any] | None:
    """What the log says of the call to `recall` with this token."""
    of_token = (line for line in service.lines() if line.get("token_id") == token_id)
    calls = (line["mcp"] for line in of_token if line["event"] == "access" and "mcp" in line)
    return next((call for call in calls if call.get("tool") == "recall"), None)


@pytest.mark.parametrize(("ask", "needs"), CLIENTS)
async def test_each_agent_sees_and_calls_its_own_tools(
    service: Service, request: pytest.FixtureRequest, ask: Ask, needs: str
) -> None:
    url, key = f"{service.url}/mcp", request.node.callspec.id
    writer = Access(agent_token(sub="acc_writer", jti=f"writer {key}", al_scopes=WRITER))
    kept = {"key": key, "text": "the café opens at 9"}
    told = await ask(url, writer, [("remember", kept), ("recall", {"key": key})])
    assert told.tools == ["remember", "recall"]
    assert told.calls == [f"kept {key}", "the café opens at 9"]
    line = until(lambda: recalled(service, f"writer {key}"), lambda: "line of the call")
    assert line["arguments"] == {"key": key}

    reader = Access(agent_token(sub="acc_reader", al_scopes=READER))
    told = await ask(url, reader, [("recall", {"key": key}), ("remember", kept), ("request_headers", {})])
    assert told.tools == ["recall"]
    assert told.calls[0] == "the café opens at 9"
    assert needs in told.calls[1]
    assert "tool request_headers may not be called here" in told.calls[2]
