"""Which place of revocations a configuration means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from proxy.authn.revocation import NOTHING, Revocation, Revocations
from proxy.authn.revocation_sources import revocation_source, revoke
from proxy.config import RevocationFile, RevocationRedis
from tests.support.records import until
from tests.support.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

A, B = Revocation(agent="a"), Revocation(agent="b", before=7.0)


async def test_without_a_place_nothing_is_revoked_and_all_is_ready() -> None:
    source = revocation_source(None)
    await source.start()
    assert (source.ready, source.current, source.failures) == (True, NOTHING, 0)
    await source.close()


@pytest.fixture(params=["file", "redis"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[RevocationFile | RevocationRedis]:
    if request.param == "file":
        (tmp_path / "revoked.yaml").write_text("[]")
        yield RevocationFile(path=tmp_path / "revoked.yaml")
    else:
        async with redis_server(tmp_path) as server:
            yield RevocationRedis(url=SecretStr(server.url))


async def test_what_is_written_is_known(place: RevocationFile | RevocationRedis) -> None:
    assert await asyncio.to_thread(revoke, place, A, 0.0)
    source = revocation_source(place)
    assert not source.ready
    await source.start()
    try:
        assert (source.ready, source.current) == (True, Revocations.of([A]))
        assert not await asyncio.to_thread(revoke, place, A, 0.0)
        assert await asyncio.to_thread(revoke, place, B, 0.0)
        await until(lambda: source.current == Revocations.of([A, B]))
    finally:
        await source.close()
