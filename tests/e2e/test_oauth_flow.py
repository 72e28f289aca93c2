"""A client that is told nothing but a URL and its own credentials finds its way to a tool call.

It is refused with a challenge, reads the resource's metadata at Keystile (RFC 9728) and the issuer's at the
issuer (RFC 8414), gets a token for this resource and the challenge's scope, and comes back. Refused a call for
want of a scope, it gets a token that has that too, and calls again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import CLIENTS, Access
from tests.e2e.issuer import CLIENT_ID, oidc_provider
from tests.e2e.memory import WRITER, memory
from tests.support.programs import free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.clients import Ask
    from tests.support.service import Service

SCOPES = " ".join(WRITER)


@pytest.fixture(scope="module")
def guarded(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str, str]]:
    """Keystile before a server, its resource, and the issuer that it trusts."""
    folder = tmp_path_factory.mktemp("flow")
    listen = f"127.0.0.1:{free_port()}"
    resource = f"http://{listen}/mcp"
    with (
        oidc_provider(node, folder / "issuer", {resource: "ES256"}, SCOPES) as issuer,
        memory(
            folder,
            listen=listen,
            resource=resource,
            issuers=[{"issuer": issuer}],
            log={"output": "access.log", "arguments": ["key"]},
        ) as service,
    ):
        yield service, resource, issuer


@pytest.mark.parametrize("ask", [pytest.param(client.values[0], id=client.id) for client in CLIENTS])
async def test_challenges_and_metadata_lead_to_the_tokens_that_are_needed(
    guarded: tuple[Service, str, str], request: pytest.FixtureRequest, ask: Ask
) -> None:
    service, resource, issuer = guarded
    key, before = request.node.callspec.id, len(service.lines())
    calls = [("remember", {"key": key, "text": "b"}), ("recall", {"key": key}), ("request_headers", {})]
    told = await ask(resource, Access(issuer=issuer), calls)
    # The first token was for what the first challenge named.
    assert told.tools == ["recall"]
    assert told.calls[:2] == [f"kept {key}", "b"]
    assert "tool request_headers may not be called here" in told.calls[2]

    def refused() -> list[str]:
        return [line["reason"] for line in service.lines()[before:] if line["decision"] == "deny"]

    until(lambda: refused()[2:], lambda: f"third refusal: {refused()}")
    assert refused() == ["credential_missing", "scope_insufficient", "operation_refused"]
    line = until(lambda: recalled(service, key), lambda: "line of the call")
    assert (line["audience"], line["scopes"]) == ([resource], WRITER)
    assert line["agent_id"] in {CLIENT_ID, "a person"}


def recalled(service: Service, key: str) -> dict[str, Any] | None:
    """The line of the call that asked for what stands under this key."""
    lines = (line for line in service.lines() if line["event"] == "access" and "mcp" in line)
    asked = {"tool": "recall", "arguments": {"key": key}}
    return next((line for line in lines if asked.items() <= line["mcp"].items()), None)
