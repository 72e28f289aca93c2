"""What is still open when its token expires: what has no end of its own is ended, whatever it is called."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.messages.conversation import MCP, ask, bearer, post, said
from tests.support.harness import ISSUER, JWKS, RESOURCE, keystile
from tests.support.upstream import Gate, upstream
from tests.wire.exchanges.table import http

if TYPE_CHECKING:
    from pathlib import Path

EVENTS, LINES = "text/event-stream", "application/x-ndjson"
SETTINGS: dict[str, Any] = {
    "rules": [MCP, {"path": "/**"}],
    "issuers": [{"issuer": ISSUER, "jwks": JWKS, "audience": RESOURCE, "leeway": "0s"}],
}
_LISTEN = said("subscriptions/listen", {"notifications": {}})

OPEN = [
    pytest.param(EVENTS, lambda token: ask("GET", token), True, id="the stream of a GET"),
    pytest.param(LINES, lambda token: ask("GET", token), True, id="a GET that is answered in lines"),
    pytest.param(LINES, lambda token: post(_LISTEN, token), True, id="a subscription, in lines"),
    pytest.param(LINES, lambda token: post(said("ping"), token), False, id="the answer to a call"),
    pytest.param(LINES, lambda token: ask("GET", token, target="/file"), False, id="a document elsewhere"),
    pytest.param(EVENTS, lambda token: ask("GET", token, target="/feed"), True, id="events elsewhere"),
]


@pytest.mark.parametrize(("media", "asking", "ends"), OPEN)
async def test_what_ends_with_its_token(media: str, asking: Any, ends: bool, tmp_path: Path) -> None:
    head = http("HTTP/1.1 200 OK", f"Content-Type: {media}", "Transfer-Encoding: chunked")
    script = (head + b"5\r\n: x\n\n\r\n", Gate("after"), b"5\r\n: y\n\n\r\n0\r\n\r\n")
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
        proxy.client() as watch,
    ):
        expires = int(time.time()) + 2
        await client.write(asking(bearer(exp=expires)))
        await client.bytes_until(b": x\n\n\r\n")
        # Another stream of the same token: when that has ended, the time has come.
        server.fixed[b"/watch"] = (
            http("HTTP/1.1 200 OK", f"Content-Type: {EVENTS}", "Transfer-Encoding: chunked")
            + b"5\r\n: x\n\n\r\n",
            Gate("never"),
        )
        await watch.write(ask("GET", bearer(exp=expires), target="/watch"))
        assert b": token_expired" in await watch.rest()
        if ends:
            await client.rest()
        else:
            server.gates["after"].set()
            await client.bytes_until(b"0\r\n\r\n")
        reasons = [line.get("reason") for line in await proxy.lines() if line["path"] != "/watch"]
    assert reasons == ["token_expired" if ends else None]
