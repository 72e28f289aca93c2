"""TLS on both sides: who is let in, what the other side sees, and certificates that change."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from structlog.testing import capture_logs

from proxy.config import Config, ConfigError, load
from proxy.reading import read
from proxy.wire import TlsError, server_context, unfit_files, upstream_context
from proxy.wire.client import ClientConnection
from tests.support.authorities import Authority, thumbprint_of
from tests.support.harness import TOKEN, keystile, settings_file, token
from tests.support.raw import connect
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import get, http, post

if TYPE_CHECKING:
    from pathlib import Path

BEARER = f"Authorization: Bearer {TOKEN}"
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
EVENTS = (
    http("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")
    + b"9\r\ndata: 1\n\n\r\n",
    Gate("never"),
)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="session")
def own(authority: Authority) -> dict[str, str]:
    """The certificate of the proxy, as its configuration names it."""
    return named(authority.certify("own"))


def named(pair: tuple[Path, Path]) -> dict[str, str]:
    return {"certificate": str(pair[0]), "key": str(pair[1])}


async def test_requests_pass_as_they_do_without(authority: Authority, own: Any, tmp_path: Path) -> None:
    async with (
        upstream([plain(b"one"), plain(b"two"), plain(b"three")]) as server,
        keystile(tmp_path, server.url, tls=own) as proxy,
        connect(proxy.address, authority.client()) as client,
    ):
        await client.write(get("/guarded/1", BEARER) + post(b"body", BEARER, target="/guarded/2"))
        await client.write(get("/3"))
        answers = [(await client.response()).content for _ in range(3)]
        assert client.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        lines = await proxy.lines()
        assert await client.rest() == b""
    assert answers == [b"one", b"two", b"three"]
    assert [request.body for request in server.requests] == [b"", b"body", b""]
    assert {request.value(b"x-forwarded-proto") for request in server.requests} == {b"https"}
    assert [line["client"] for line in lines] == ["127.0.0.1"] * 3


async def test_a_body_of_some_mebibytes_passes_both_ways(
    authority: Authority, own: Any, tmp_path: Path
) -> None:
    body = bytes(range(256)) * (16 * 1024)
    async with (
        upstream([plain(body)]) as server,
        keystile(tmp_path, server.url, tls=own) as proxy,
        connect(proxy.address, authority.client()) as client,
    ):
        sending = asyncio.create_task(client.write(post(body)))
        assert (await client.response()).content == body
        await sending
    assert server.requests[0].body == body


async def test_a_stop_ends_streams_and_finishes_answers(
    authority: Authority, own: Any, tmp_path: Path
) -> None:
    async with (
        upstream([EVENTS, (Gate("go on"), *plain(b"finished"))]) as server,
        keystile(tmp_path, server.url, tls=own) as proxy,
        connect(proxy.address, authority.client()) as stream,
        connect(proxy.address, authority.client()) as client,
    ):
        await stream.write(get("/events"))
        await stream.bytes_until(b"data: 1\n\n\r\n")
        await client.write(get("/slow"))
        await server.arrived(2)
        closing = asyncio.ensure_future(proxy.close())
        assert (await stream.rest()).endswith(b": draining\n\n\r\n0\r\n\r\n")
        server.gates["go on"].set()
        assert (await client.response()).content == b"finished"
        assert await client.rest() == b""
        await closing


@pytest.mark.parametrize("turns", range(4), ids="{} turns of the loop later".format)
async def test_a_stop_meets_a_connection_that_is_just_gone(
    turns: int, authority: Authority, own: Any, tmp_path: Path
) -> None:
    async with (
        upstream([plain(b"fine")]) as server,
        keystile(tmp_path, server.url, tls=own) as proxy,
        connect(proxy.address, authority.client()) as client,
    ):
        await client.write(get("/"))
        assert (await client.response()).content == b"fine"
        (transport,) = proxy.transports()
        connection = transport.get_protocol()
        assert isinstance(connection, ClientConnection)
        transport.abort()
        # It may not have been told yet.
        for _ in range(turns):
            await asyncio.sleep(0)
        connection.drain(time.monotonic())
        assert await client.rest() == b""


VERSIONS = [
    pytest.param({"maximum_version": ssl.TLSVersion.TLSv1_2}, "TLSv1.2", id="TLS 1.2"),
    pytest.param({"minimum_version": ssl.TLSVersion.TLSv1_3}, "TLSv1.3", id="TLS 1.3"),
]


@pytest.mark.parametrize(("settings", "version"), VERSIONS)
async def test_a_version_that_is_spoken(
    settings: dict[str, Any], version: str, authority: Authority, own: Any, tmp_path: Path
) -> None:
    client = authority.client(**settings)
    client.set_alpn_protocols(["h2", "http/1.1"])
    async with (
        keystile(tmp_path, "http://127.0.0.1:9", tls=own) as proxy,
        connect(proxy.address, client) as connection,
    ):
        secured = connection.transport.get_extra_info("ssl_object")
        assert (secured.version(), secured.selected_alpn_protocol()) == (version, "http/1.1")


async def test_older_versions_are_not_spoken(authority: Authority, own: Any, tmp_path: Path) -> None:
    client = authority.client()
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    async with keystile(tmp_path, "http://127.0.0.1:9", tls=own) as proxy:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(proxy.address, client).__aenter__()


STRANGERS = [
    pytest.param("none", "peer did not return a certificate", id="no certificate"),
    pytest.param("stranger", "unable to get local issuer certificate", id="another authority's"),
    pytest.param("expired", "certificate has expired", id="one that has expired"),
]


@pytest.mark.parametrize(("shown", "problem"), STRANGERS)
async def test_whoever_has_no_certificate_of_the_clients_authority(
    shown: str, problem: str, authority: Authority, stranger: Authority, own: Any, tmp_path: Path
) -> None:
    pairs = {
        "none": None,
        "stranger": stranger.certify("theirs", "agent.test"),
        "expired": authority.certify("expired", "agent.test", not_after=PAST),
    }
    good = authority.client(authority.certify("agent", "agent.test"))
    with capture_logs() as told:
        async with (
            upstream() as server,
            keystile(tmp_path, server.url, tls={**own, "client_ca": str(authority.file)}) as proxy,
        ):
            try:
                async with connect(proxy.address, authority.client(pairs[shown])) as client:
                    await client.write(get("/"))
                    assert await client.rest() == b""
            except OSError:
                pass  # with TLS 1.2 the handshake itself fails
            async with connect(proxy.address, good) as client:
                await client.write(get("/guarded", BEARER))
                assert (await client.response()).status == 200
            lines = await proxy.lines()
    assert [request.target for request in server.requests] == [b"/guarded"]
    assert [line["status"] for line in lines] == [200]
    failed = [one for one in told if one["event"] == "tls_handshake_failed"]
    assert [problem in one["problem"].lower().replace("_", " ") for one in failed] == [True], failed


async def test_plain_http_on_a_tls_port_is_closed(own: Any, tmp_path: Path) -> None:
    async with keystile(tmp_path, "http://127.0.0.1:9", tls=own) as proxy, proxy.client() as client:
        await client.write(get("/guarded", BEARER))
        assert b"HTTP" not in await client.rest()
        assert await proxy.lines() == []


async def test_failures_are_told_once_a_second(own: Any, tmp_path: Path) -> None:
    with capture_logs() as told:
        async with keystile(tmp_path, "http://127.0.0.1:9", tls=own) as proxy:
            for _ in range(30):
                async with proxy.client() as client:
                    await client.write(get("/"))
                    await client.rest()
    failed = [one for one in told if one["event"] == "tls_handshake_failed"]
    assert len(failed) < 10
    assert sum(1 + one["others"] for one in failed) <= 30


async def test_a_handshake_has_as_long_as_a_head(own: Any, tmp_path: Path) -> None:
    limits = {"head_timeout": "100ms"}
    async with (
        keystile(tmp_path, "http://127.0.0.1:9", tls=own, limits=limits) as proxy,
        proxy.client() as client,
    ):
        assert await client.rest() == b""


async def test_a_handshake_counts_as_a_connection(authority: Authority, own: Any, tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, tls=own, limits={"connections": 2}) as proxy,
        connect(proxy.address, authority.client()) as client,
    ):
        async with proxy.client(), proxy.client() as third:
            assert await third.rest() == b""
        await client.write(get("/"))
        assert (await client.response()).status == 200
        # As soon as it has gone another may come.
        async with asyncio.timeout(10):
            while True:
                try:
                    async with connect(proxy.address, authority.client()) as other:
                        await other.write(get("/"))
                        assert (await other.response()).status == 200
                        break
                except (OSError, AssertionError):
                    continue


async def test_a_stop_waits_for_handshakes_and_no_longer_than_it_may(
    authority: Authority, own: Any, tmp_path: Path
) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, tls=own, drain="200ms") as proxy,
        proxy.client() as silent,
        connect(proxy.address, authority.client()) as client,
    ):
        await client.write(get("/"))
        assert (await client.response()).status == 200
        await proxy.close()
        assert await silent.rest() == b""
        assert await client.rest() == b""


# ---- tokens that are bound to a certificate (RFC 8705) ----------------------------------------------------------

BOUND = [
    pytest.param("agent", {"x5t#S256": "agent"}, 200, id="its own"),
    pytest.param("other", {"x5t#S256": "agent"}, 401, id="another of the same authority"),
    pytest.param("agent", {"x5t#S256": "agent", "jkt": "A" * 43}, 401, id="to a key as well, without DPoP"),
    pytest.param("agent", {"x5t#S256": "agent", "kid": "a"}, 401, id="to something unknown as well"),
    pytest.param("agent", {"x5t#S256": 5}, 401, id="to no thumbprint"),
    pytest.param("agent", {}, 401, id="to nothing"),
]


@pytest.mark.parametrize(("shown", "cnf", "status"), BOUND)
async def test_a_token_bound_to_a_certificate(
    shown: str, cnf: dict[str, Any], status: int, authority: Authority, own: Any, tmp_path: Path
) -> None:
    pairs = {name: authority.certify(name, f"{name}.test") for name in ("agent", "other")}
    if cnf.get("x5t#S256") == "agent":
        cnf = {**cnf, "x5t#S256": thumbprint_of(pairs["agent"][0])}
    bearer = f"Authorization: Bearer {token(cnf=cnf)}"
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, tls={**own, "client_ca": str(authority.file)}) as proxy,
        connect(proxy.address, authority.client(pairs[shown])) as client,
    ):
        # Verified, and from the cache.
        for _ in range(2):
            await client.write(get("/guarded", bearer))
            assert (await client.response()).status == status
        lines = await proxy.lines()
    assert len(server.requests) == 2 * (status == 200)
    assert {line.get("reason") for line in lines} == {None if status == 200 else "proof_invalid"}


async def test_a_cached_token_is_worth_nothing_to_who_stole_it(
    authority: Authority, own: Any, tmp_path: Path
) -> None:
    agent, thief = (authority.certify(name, f"{name}.test") for name in ("agent", "thief"))
    bearer = f"Authorization: Bearer {token(cnf={'x5t#S256': thumbprint_of(agent[0])})}"
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, tls={**own, "client_ca": str(authority.file)}) as proxy,
        connect(proxy.address, authority.client(agent)) as one,
        connect(proxy.address, authority.client(thief)) as other,
    ):
        for client, status in ((one, 200), (other, 401), (one, 200)):
            await client.write(get("/guarded", bearer))
            assert (await client.response()).status == status
    assert len(server.requests) == 2


@pytest.mark.parametrize(("asks", "told"), [(True, True), (False, None)], ids=["asked for", "not asked for"])
async def test_clients_are_told_that_tokens_may_be_bound(
    asks: bool, told: bool | None, authority: Authority, own: Any, tmp_path: Path
) -> None:
    tls = {**own, "client_ca": str(authority.file)} if asks else own
    async with (
        keystile(tmp_path, "http://127.0.0.1:9", tls=tls) as proxy,
        connect(proxy.address, authority.client(authority.certify("agent", "agent.test"))) as client,
    ):
        await client.write(get("/.well-known/oauth-protected-resource"))
        document = json.loads((await client.response()).content)
    assert document.get("tls_client_certificate_bound_access_tokens") is told


async def test_without_tls_a_bound_token_is_refused(tmp_path: Path) -> None:
    bearer = f"Authorization: Bearer {token(cnf={'x5t#S256': 'A' * 43})}"
    async with (
        upstream() as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/guarded", bearer))
        assert (await client.response()).status == 401
    assert server.requests == []


# ---- certificates that change ---------------------------------------------------------------------------------


def serial(client: Any) -> int:
    return int(client.transport.get_extra_info("ssl_object").getpeercert()["serialNumber"], 16)


async def shows(address: Any, context: ssl.SSLContext, before: int) -> int:
    """Wait until new connections are met with another certificate; return its number."""
    async with asyncio.timeout(20):
        while True:
            async with connect(address, context) as client:
                if serial(client) != before:
                    return serial(client)
            await asyncio.sleep(0.05)


async def test_a_renewed_certificate_meets_new_connections(authority: Authority, tmp_path: Path) -> None:
    pair = authority.certify("renewed")
    with capture_logs() as told:
        async with (
            upstream() as server,
            keystile(tmp_path, server.url, tls=named(pair)) as proxy,
            connect(proxy.address, authority.client()) as client,
        ):
            first = serial(client)
            authority.certify("renewed")
            second = await shows(proxy.address, authority.client(), first)
            # What is half written, or does not fit together, changes nothing.
            pair[1].write_text("-----BEGIN PRIVATE KEY-----\n")
            async with asyncio.timeout(20):
                while "certificate_refused" not in [one["event"] for one in told]:  # noqa: ASYNC110 - a log tells nobody
                    await asyncio.sleep(0.05)
            async with connect(proxy.address, authority.client()) as other:
                assert serial(other) == second
            authority.certify("renewed")
            await shows(proxy.address, authority.client(), second)
            await client.write(get("/"))
            assert (await client.response()).status == 200
            assert serial(client) == first
    assert len([one for one in told if one["event"] == "certificate_renewed"]) == 2


async def test_an_authority_that_is_taken_back_lets_nobody_in(
    authority: Authority, stranger: Authority, own: Any, tmp_path: Path
) -> None:
    clients = tmp_path / "clients.pem"
    clients.write_bytes(stranger.file.read_bytes())
    context = authority.client(stranger.certify("guest", "guest.test"))
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, tls={**own, "client_ca": str(clients)}) as proxy,
    ):
        async with connect(proxy.address, context) as client:
            await client.write(get("/"))
            assert (await client.response()).status == 200
        clients.write_bytes(authority.file.read_bytes())
        async with asyncio.timeout(20):
            while True:
                try:
                    # The same context: a session that could be resumed, would be.
                    async with connect(proxy.address, context) as client:
                        await client.write(get("/"))
                        await client.response()
                except (OSError, AssertionError):
                    break
                await asyncio.sleep(0.05)


# ---- toward the upstream ------------------------------------------------------------------------------------


REACHED = [
    pytest.param("good", {}, None, id="an authority of its own"),
    pytest.param("elsewhere", {"server_name": "memory.test"}, None, id="another name"),
    pytest.param("good", {"ca": None}, "unable to get local issuer certificate", id="an unknown authority"),
    pytest.param("elsewhere", {}, "IP address mismatch", id="a name that is not its own"),
    pytest.param("expired", {}, "certificate has expired", id="a certificate that has expired"),
]


@pytest.mark.parametrize(("shown", "settings", "problem"), REACHED)
async def test_the_upstream_is_verified(
    shown: str, settings: dict[str, Any], problem: str | None, authority: Authority, tmp_path: Path
) -> None:
    pairs = {
        "good": authority.certify("good"),
        "elsewhere": authority.certify("elsewhere", "memory.test"),
        "expired": authority.certify("gone", not_after=PAST),
    }
    tls = {name: value for name, value in {"ca": str(authority.file), **settings}.items() if value}
    with capture_logs() as told:
        async with (
            upstream(tls=authority.server(pairs[shown])) as server,
            keystile(tmp_path, server.url, upstream={"tls": tls or None} if tls else {}) as proxy,
            proxy.client() as client,
        ):
            for _ in range(3):
                await client.write(get("/guarded", BEARER))
                status = (await client.response()).status
                assert status == (200 if problem is None else 502)
            await asyncio.sleep(0)
    assert len(server.requests) == (3 if problem is None else 0)
    said = [one["error"] for one in told if one["event"] == "upstream_unreachable"]
    assert all(problem is not None and problem in one for one in said), said


@pytest.mark.parametrize("shows_one", [True, False], ids=["with one", "without one"])
async def test_an_upstream_that_asks_for_a_certificate(
    shows_one: bool, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    own = named(stranger.certify("edge", "edge.test")) if shows_one else {}
    server_tls = authority.server(authority.certify("good"), stranger)
    async with (
        upstream(tls=server_tls) as server,
        keystile(tmp_path, server.url, upstream={"tls": {"ca": str(authority.file), **own}}) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/guarded", BEARER))
        assert (await client.response()).status == (200 if shows_one else 502)
    assert len(server.requests) == shows_one


# ---- files that cannot be used ----------------------------------------------------------------------------------


def _unfit(name: str, folder: Path, authority: Authority) -> dict[str, Any]:
    certificate, key = authority.certify("fit")
    other = authority.certify("other")
    broken, locked = folder / "broken.pem", folder / "locked.pem"
    broken.write_text("no PEM")
    private = load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    own = {"certificate": str(certificate), "key": str(key)}
    missing = str(folder / "missing.pem")
    upstream_tls = {"url": "https://127.0.0.1:9", "tls": {"ca": str(authority.file), **own}}
    return {
        "no certificate": {"tls": {**own, "certificate": str(broken)}},
        "no certificate there": {"tls": {**own, "certificate": missing}},
        "no key": {"tls": {**own, "key": str(broken)}},
        "no key there": {"tls": {**own, "key": missing}},
        "a passphrase": {"tls": {**own, "key": str(locked)}},
        "another's key": {"tls": {**own, "key": str(other[1])}},
        "no clients' authority": {"tls": {**own, "client_ca": str(broken)}},
        "no upstream's authority": {"upstream": {**upstream_tls, "tls": {"ca": missing}}},
        "another's key for the upstream": {
            "upstream": {**upstream_tls, "tls": {**upstream_tls["tls"], "key": str(other[1])}}  # type: ignore[dict-item]  # a mapping, as above
        },
    }[name]


def _contexts(config: Config) -> None:
    if config.tls is not None:
        server_context(config.tls)
    upstream_context(config.upstream)


UNFIT = [
    ("no certificate", "tls.certificate", "broken.pem: no certificate in PEM"),
    ("no certificate there", "tls.certificate", "missing.pem: No such file"),
    ("no key", "tls.key", "broken.pem: no private key in PEM"),
    ("no key there", "tls.key", "missing.pem: No such file"),
    ("a passphrase", "tls.key", "locked.pem: has a passphrase"),
    ("another's key", "tls.key", "other-key.pem: not the key of"),
    ("no clients' authority", "tls.client_ca", "broken.pem: no certificate in PEM"),
    ("no upstream's authority", "upstream.tls.ca", "missing.pem: No such file"),
    ("another's key for the upstream", "upstream.tls.key", "other-key.pem: not the key of"),
]


@pytest.mark.parametrize(("name", "at", "why"), UNFIT, ids=[name for name, *_ in UNFIT])
def test_a_file_that_cannot_be_used_is_told_with_its_place(
    name: str, at: str, why: str, authority: Authority, tmp_path: Path
) -> None:
    settings = _unfit(name, tmp_path, authority)
    url = settings.get("upstream", {}).get("url", "http://127.0.0.1:9")
    file = settings_file(tmp_path, url, **settings)
    config = load(file, {})
    assert [found for found, _ in unfit_files(config)] == [at]
    with pytest.raises(ConfigError) as refused:
        read(file, {})
    [fault] = refused.value.faults
    assert fault.path == at
    assert why in fault.problem
    # And if it is only found later, when a process begins to serve.
    with pytest.raises(TlsError, match="tls: "):
        _contexts(config)
