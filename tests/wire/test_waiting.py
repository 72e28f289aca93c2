"""Requests whose judgement has to wait: for keys that are only now fetched. Everything else goes on meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import ISSUER, JWKS, TOKEN, keystile, token
from tests.support.keys import jwks, make_key
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import HOST, get, http, post

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.harness import Keystile
    from tests.support.upstream import Script

_BEARER = f"Authorization: Bearer {TOKEN}"
_OLD = make_key("EdDSA", "old")
_OLD_BEARER = f"Authorization: Bearer {token(_OLD)}"


def _keys() -> list[Script]:
    """At first an old key alone; once the gate is opened, the one that signed `TOKEN`."""
    old, new = (json.dumps(keys).encode() for keys in (jwks(_OLD), JWKS))
    return [plain(old), (Gate("keys"), *plain(new))]


def _settings(url: str) -> dict[str, object]:
    return {"issuers": [{"issuer": ISSUER, "jwks": f"{url}/jwks", "keys": {"cooldown": "1ms"}}]}


async def _first_keys(proxy: Keystile) -> None:
    async with proxy.client() as client:
        await client.write(get("/guarded/old", _OLD_BEARER))
        assert (await client.response()).status == 200
        for _ in range(50):  # until the cooldown is over
            await client.write(http("TRACE /refused HTTP/1.1", HOST))
            assert (await client.response()).status == 405


async def test_a_request_waits_for_keys_and_is_forwarded_whole(tmp_path: Path) -> None:
    async with (
        upstream(_keys()) as issuer,
        upstream() as server,
        keystile(tmp_path, server.url, **_settings(issuer.url)) as proxy,
        proxy.client() as client,
        proxy.client() as other,
    ):
        await _first_keys(proxy)
        sent = post(b"body", _BEARER, target="/guarded/1")
        await client.write(sent[:-2])
        await issuer.arrived(2)
        await client.write(sent[-2:] + get("/2") + get("/guarded/3", _BEARER))
        # Whoever needs no key is not kept waiting.
        await other.write(get("/other"))
        assert (await other.response()).content == b"/other"
        issuer.gates["keys"].set()
        assert [(await client.response()).content for _ in range(3)] == [b"/guarded/1", b"/2", b"/guarded/3"]
    assert [request.body for request in server.requests] == [b"", b"", b"body", b"", b""]
    assert len(issuer.requests) == 2


@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
async def test_a_client_that_goes_while_its_request_waits(resets: bool, tmp_path: Path) -> None:
    async with (
        upstream(_keys()) as issuer,
        upstream() as server,
        keystile(tmp_path, server.url, **_settings(issuer.url)) as proxy,
    ):
        await _first_keys(proxy)
        async with proxy.client() as client:
            await client.write(get("/guarded", _BEARER))
            await issuer.arrived(2)
            if resets:
                client.reset()
        async with proxy.client() as client:
            await client.write(get("/guarded/2", _BEARER))
            issuer.gates["keys"].set()
            assert (await client.response()).content == b"/guarded/2"
        lines = await proxy.lines()
    assert [request.target for request in server.requests] == [b"/guarded/old", b"/guarded/2"]
    assert [(line["status"], line.get("reason")) for line in lines[-2:]] == [
        (499, "client_closed"),
        (200, None),
    ]
