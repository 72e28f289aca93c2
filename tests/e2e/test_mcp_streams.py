"""What stays open before a real server ends with the token that opened it, and says so."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.agents import initialized, request, say, stream
from tests.e2e.memory import memory
from tests.support.service import ISSUER, agent_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.agents import Stream
    from tests.support.service import Service

LEGACY = {"MCP-Protocol-Version": "2025-11-25"}
LIFETIME = 5


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Keystile before the Python SDK, with a list of revocations."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "keystile").mkdir()
    (folder / "keystile" / "revoked.yaml").write_text("[]")
    issuers = [{"issuer": ISSUER, "jwks": "jwks.json", "leeway": "1s"}]
    with memory(folder, issuers=issuers, revocations="revoked.yaml") as running:
        yield running


@contextmanager
def opened(service: Service, token: str) -> Iterator[list[Stream]]:
    """The streams that a client keeps open: a session's, and what it has subscribed to without one."""
    url = f"{service.url}/mcp"
    session = initialized(url, token)
    headers, body = request(
        "subscriptions/listen", {"notifications": {"toolsListChanged": True}}, None, modern=True
    )
    with (
        stream(url, token, headers={"Mcp-Session-Id": session, **LEGACY}) as of_session,
        stream(url, token, "POST", headers=headers, body=body) as subscribed,
    ):
        assert "acknowledged" in subscribed.event()["data"]
        yield [of_session, subscribed]


def ends(service: Service, count: int, **members: Any) -> list[dict[str, Any]]:
    """Wait for the last lines of so many streams."""
    service.access(event="access", **members)
    lines = [line for line in service.lines() if {"event": "access", **members}.items() <= line.items()]
    assert len(lines) == count, lines
    return lines


def ended_at(line: dict[str, Any]) -> float:
    started = datetime.fromisoformat(line["timestamp"]).timestamp()
    return started + line["duration_ms"] / 1000


def test_streams_end_with_their_token(service: Service) -> None:
    expires = int(time.time()) + LIFETIME
    token = agent_token(jti="short", exp=expires)
    with opened(service, token) as streams:
        assert [each.status for each in streams] == [200, 200]
        assert [each.rest().decode().splitlines()[-2:] for each in streams] == [[": token_expired", ""]] * 2
    lines = ends(service, 2, token_id="short", reason="token_expired")
    assert [(line["status"], line["decision"]) for line in lines] == [(200, "allow")] * 2
    assert all(expires <= ended_at(line) <= expires + 1.5 for line in lines), lines
    # A request with the same token is refused; the agent comes back with a fresh one.
    assert say(f"{service.url}/mcp", token, "tools/list", modern=True).status == 401
    assert say(f"{service.url}/mcp", agent_token(), "tools/list", modern=True).status == 200


def test_streams_end_when_their_agent_is_revoked(service: Service) -> None:
    with ExitStack() as stack:
        streams = stack.enter_context(opened(service, agent_token(sub="acc_gone", jti="gone")))
        others = stack.enter_context(opened(service, agent_token(sub="acc_stays", jti="stays")))
        revoked = time.time()
        (service.log.parent / "revoked.yaml").write_text("- agent: acc_gone")
        assert [each.rest().decode().splitlines()[-2:] for each in streams] == [[": token_revoked", ""]] * 2
        lines = ends(service, 2, token_id="gone", reason="token_revoked")
        assert all(ended_at(line) - revoked < 1 for line in lines), lines
        assert [
            line for line in service.lines() if line.get("token_id") == "stays" and line.get("reason")
        ] == []
        assert len(others) == 2
