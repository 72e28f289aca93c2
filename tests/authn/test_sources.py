"""Issuers side by side: where the keys of each come from, and that none waits for another."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from proxy.authn import KeySetError, key_sources, unusable
from proxy.authn.jose import Key
from proxy.model import Deny, Reason
from tests.support.certificates import certified
from tests.support.key_server import KeyServer, document, key_server, never, status
from tests.support.keys import jwks, jwks_bytes, make_key
from tests.support.sources import ISSUER, OTHER, Clock, ask, issuer, started

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = make_key("EdDSA", "old"), make_key("EdDSA", "new")
GOOD = document(jwks(OLD))
UNKNOWN, UNAVAILABLE = Reason.KEY_UNKNOWN, Reason.KEYS_UNAVAILABLE


async def test_one_issuers_outage_is_not_anothers(server: KeyServer, clock: Clock) -> None:
    server.serve(never())
    server.answers["/other"] = GOOD
    async with started(clock, issuer(server.jwks_url), issuer(f"{server.url}/other", OTHER)) as sources:
        assert await ask(sources, clock, "old", OTHER) == "old"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(sources, clock, "old"), 0.05)
        # One waits, and the other is still found without waiting.
        assert isinstance(sources[OTHER].select("EdDSA", "old", clock.now), Key)


async def test_keys_are_discovered(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    server.answers["/.well-known/oauth-authorization-server"] = document(
        {"issuer": server.url, "jwks_uri": server.jwks_url}
    )
    async with started(clock, issuer(None, server.url)) as sources:
        assert await ask(sources, clock, "old", server.url) == "old"


async def test_metadata_that_no_parser_takes_is_an_outage(server: KeyServer, clock: Clock) -> None:
    server.answers["/.well-known/oauth-authorization-server"] = document(
        {"issuer": server.url, "jwks_uri": "https://[secret"}
    )
    with capture_logs() as lines:
        async with started(clock, issuer(None, server.url)) as sources:
            assert await ask(sources, clock, "old", server.url) == UNAVAILABLE
    assert [line["problem"] for line in lines] == ["its URL is neither https nor http to this machine"]


async def test_an_issuers_own_ca_is_used(clock: Clock, tmp_path: Path) -> None:
    trusted = certified(tmp_path)
    async with key_server(trusted.server) as server:
        server.serve(GOOD)
        issuers = issuer(server.jwks_url, ca=trusted.ca), issuer(server.jwks_url, OTHER)
        async with started(clock, *issuers) as sources:
            assert await ask(sources, clock, "old") == "old"
            assert await ask(sources, clock, "old", OTHER) == UNAVAILABLE


PERMISSIONS = [
    pytest.param({}, "neither https nor http to this machine", id="plain http"),
    pytest.param({"allow_insecure": True}, "allow_link_local", id="a metadata service"),
]


@pytest.mark.parametrize(("settings", "why"), PERMISSIONS)
@pytest.mark.parametrize("jwks_url", ["http://169.254.169.254/jwks.json", None])
async def test_each_permission_is_its_own(
    clock: Clock, jwks_url: str | None, settings: dict[str, bool], why: str
) -> None:
    with capture_logs() as lines:
        async with started(clock, issuer(jwks_url, "http://169.254.169.254", **settings)) as sources:
            assert await ask(sources, clock, "old", "http://169.254.169.254") == UNAVAILABLE
    assert why in lines[0]["problem"]


async def test_link_local_addresses_take_permission(clock: Clock) -> None:
    url = "https://169.254.169.254/jwks.json"
    with capture_logs() as lines:
        async with started(clock, issuer(url)) as sources:
            assert await ask(sources, clock, "old") == UNAVAILABLE
    assert "allow_link_local" in lines[0]["problem"]
    with capture_logs() as lines:
        async with started(clock, issuer(url, allow_link_local=True), patience=0.05) as sources:
            assert await ask(sources, clock, "old") == UNAVAILABLE
    assert "allow_link_local" not in lines[0]["problem"]


async def test_inline_keys_are_there_at_start(clock: Clock) -> None:
    async with started(clock, issuer(jwks(OLD))) as sources:
        found = sources[ISSUER].select("EdDSA", "old", clock())
        assert isinstance(found, Key)
        for number in range(50):
            assert await ask(sources, clock, f"new {number}") == UNKNOWN


async def test_a_file_is_read_at_start_and_again(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(OLD))
    async with started(clock, issuer(str(file))) as sources:
        assert isinstance(sources[ISSUER].select("EdDSA", "old", clock()), Key)
        file.write_bytes(b"half a fi")
        assert await ask(sources, clock, "new") == UNAVAILABLE
        assert await ask(sources, clock, "old") == "old"
        clock.now += 31
        file.write_bytes(jwks_bytes(NEW))
        assert await ask(sources, clock, "new") == "new"
        assert await ask(sources, clock, "old") == UNKNOWN
        # A file needs no cooldown.
        for number in range(50):
            assert await ask(sources, clock, f"made up {number}") == UNKNOWN
        file.write_bytes(jwks_bytes(OLD))
        clock.now += 1
        assert await ask(sources, clock, "old") == "old"


async def test_a_file_that_changes_is_read_without_a_token(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(OLD))
    async with started(clock, issuer(str(file))) as sources:
        removed = asyncio.Event()
        sources[ISSUER].watcher = lambda _: removed.set()
        file.write_bytes(jwks_bytes(NEW))
        async with asyncio.timeout(5):
            await removed.wait()
        assert isinstance(sources[ISSUER].select("EdDSA", "new", clock()), Key)


BROKEN = [
    pytest.param("missing.json", "missing.json: No such file", id="a file that is not there"),
    pytest.param(
        {"keys": []}, "issuer https://issuer.test: the key set has no key", id="inline, and no keys"
    ),
    pytest.param(jwks(make_key("HS256")), "private or symmetric", id="inline, and no key that can be used"),
]


@pytest.mark.parametrize(("source", "why"), BROKEN)
async def test_broken_local_keys_are_an_error_at_start(
    server: KeyServer, clock: Clock, source: object, why: str
) -> None:
    sources = key_sources([issuer(server.jwks_url, OTHER), issuer(source)], clock)
    with pytest.raises(KeySetError, match=why):
        await sources.start()
    await sources.close()
    assert server.fetches == 0


async def test_kept_keys_survive_a_restart_without_the_issuer(
    server: KeyServer, clock: Clock, tmp_path: Path
) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        assert await ask(sources, clock, "old") == "old"
    server.serve(never())
    clock.now += 86399
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        # Without waiting for the issuer.
        assert isinstance(sources[ISSUER].select("EdDSA", "old", clock.now), Key)
        unknown = sources[ISSUER].select("EdDSA", "new", clock.now)
        assert isinstance(unknown, Deny)
        assert unknown.reason is UNAVAILABLE
    clock.now += 1
    server.serve(status(500))
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        assert await ask(sources, clock, "old") == UNAVAILABLE


async def test_kept_keys_give_way_to_the_issuers(server: KeyServer, clock: Clock, tmp_path: Path) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        assert await ask(sources, clock, "old") == "old"
    server.serve(document(jwks(NEW)))
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        changed = asyncio.Event()
        sources[ISSUER].watcher = lambda _: changed.set()
        await changed.wait()
        assert await ask(sources, clock, "old") == UNKNOWN
    server.serve(status(500))
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        assert await ask(sources, clock, "new") == "new"
        assert await ask(sources, clock, "old") == UNAVAILABLE


async def test_every_fetch_makes_kept_keys_younger(server: KeyServer, clock: Clock, tmp_path: Path) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        assert await ask(sources, clock, "old") == "old"
    clock.now += 3600
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        await sources[ISSUER].refetch()
    server.serve(status(500))
    clock.now += 86399
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        assert await ask(sources, clock, "old") == "old"


async def test_keys_kept_from_elsewhere_are_not_used(server: KeyServer, clock: Clock, tmp_path: Path) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url), cache=tmp_path) as sources:
        assert await ask(sources, clock, "old") == "old"
    async with started(clock, issuer(f"{server.url}/moved"), cache=tmp_path) as sources:
        assert await ask(sources, clock, "old") == UNAVAILABLE


async def test_local_keys_are_not_kept(clock: Clock, tmp_path: Path) -> None:
    async with started(clock, issuer(jwks(OLD)), cache=tmp_path):
        pass
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - an answer at once, whatever runs


async def test_keys_that_cannot_be_kept_are_used_all_the_same(
    server: KeyServer, clock: Clock, tmp_path: Path
) -> None:
    server.serve(GOOD)
    (tmp_path / "file").touch()
    with capture_logs() as lines:
        async with started(clock, issuer(server.jwks_url), cache=tmp_path / "file") as sources:
            assert await ask(sources, clock, "old") == "old"
    assert {line["event"] for line in lines} == {
        "jwks_cache_ignored",
        "keys_changed",
        "jwks_cache_not_written",
    }


async def test_every_local_key_set_that_cannot_be_used_is_told_at_once(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "good.json").write_bytes(jwks_bytes(OLD))
    (tmp_path / "empty.json").write_text('{"keys": []}')
    issuers = [
        issuer(jwks(OLD)),
        issuer({"keys": [make_key("HS256").jwk]}),
        issuer(str(tmp_path / "good.json")),
        issuer(str(tmp_path / "empty.json")),
        issuer(str(tmp_path / "gone.json")),
        issuer("https://nobody.test/jwks.json"),
        issuer(None),
    ]
    faults = unusable(issuers)
    assert [place for place, _ in faults] == ["issuers[1].jwks", "issuers[3].jwks", "issuers[4].jwks"]
    assert "private or symmetric" in faults[0][1]
    assert "no key that can be used" in faults[1][1]
    assert faults[2][1]


async def test_a_ca_that_holds_no_certificate_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    issuers = [
        issuer(None, ca=certified(tmp_path).ca),
        issuer(None, ca=tmp_path / "empty.pem"),
        issuer({"keys": []}, ca=tmp_path / "gone.pem"),
    ]
    assert [place for place, _ in unusable(issuers)] == ["issuers[1].ca", "issuers[2].jwks", "issuers[2].ca"]
