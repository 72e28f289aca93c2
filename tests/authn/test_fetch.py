"""Documents over HTTP: what is taken, whom it is asked of, and every way to fail."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from proxy.authn.fetch import Web, from_url
from proxy.authn.keyset import KeySetError
from tests.support.certificates import certified
from tests.support.key_server import (
    JWKS,
    KeyServer,
    cut_short,
    document,
    endless,
    key_server,
    redirect,
    status,
)
from tests.support.keys import jwks, jwks_bytes, make_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.key_server import Answer

KEY = make_key("EdDSA", "k")
GOOD = document(jwks(KEY))


async def fetched(web: Web, url: str, *, insecure: bool = False) -> set[str | None]:
    return {key.kid for key in (await from_url(web, url, insecure=insecure)).keys.keys}


async def test_a_key_set_is_fetched(server: KeyServer, web: Web) -> None:
    server.serve(GOOD)
    assert await fetched(web, server.jwks_url) == {"k"}
    assert (await from_url(web, server.jwks_url, insecure=False)).document == jwks_bytes(KEY)


FRESH = [
    pytest.param(None, None, id="nothing said"),
    pytest.param("max-age=600", 600.0, id="max-age"),
    pytest.param("public, Max-Age=60, must-revalidate", 60.0, id="among others, in another case"),
    pytest.param('max-age="5"', 5.0, id="quoted"),
    pytest.param("max-age=0", 0.0, id="zero"),
    pytest.param("s-maxage=5", None, id="for shared caches"),
    pytest.param("x-max-age=5", None, id="something else that ends like it"),
    pytest.param("max-age=-1", None, id="negative"),
    pytest.param("max-age=soon", None, id="no number"),
    pytest.param("max-age=9999999999", None, id="beyond reason"),
    pytest.param("no-store", None, id="another directive"),
]


@pytest.mark.parametrize(("told", "expected"), FRESH)
async def test_a_key_set_says_how_long_it_is_fresh(
    server: KeyServer, web: Web, told: str | None, expected: float | None
) -> None:
    server.serve(document(jwks(KEY), **({"Cache-Control": told} if told else {})))
    assert (await from_url(web, server.jwks_url, insecure=False)).max_age == expected


@pytest.mark.parametrize(
    "kind", ["application/json", "application/jwk-set+json", "text/plain", "application/octet-stream"]
)
async def test_any_content_type_will_do(server: KeyServer, web: Web, kind: str) -> None:
    server.serve(document(jwks(KEY), **{"Content-Type": kind}))
    assert await fetched(web, server.jwks_url) == {"k"}


FAULTS = [
    pytest.param(status(500), "500", id="an error"),
    pytest.param(status(404), "404", id="not found"),
    pytest.param(status(401, jwks_bytes(KEY)), "401", id="keys with a status that is not 200"),
    pytest.param(status(203, jwks_bytes(KEY)), "203", id="keys by way of somebody else"),
    pytest.param(status(204), "204", id="no content"),
    pytest.param(redirect("/good"), "302", id="a redirect to good keys"),
    pytest.param(document(b"<html>sign in</html>"), "JSON", id="a login page"),
    pytest.param(document(b""), "JSON", id="nothing"),
    pytest.param(document({"keys": []}), "can be used", id="no keys"),
    pytest.param(document(b" " * 262145), "answer is larger than 256 KiB", id="one byte over 256 KiB"),
    pytest.param(endless, "answer is larger than 256 KiB", id="no end"),
    pytest.param(cut_short, "connection failed", id="less than promised"),
    pytest.param(
        document(gzip.compress(jwks_bytes(KEY)), **{"Content-Encoding": "gzip"}),
        "JSON",
        id="compressed, unasked",
    ),
]


@pytest.mark.parametrize(("answer", "why"), FAULTS)
async def test_a_bad_answer_is_no_key_set(server: KeyServer, web: Web, answer: Answer, why: str) -> None:
    server.serve(answer)
    server.answers["/good"] = GOOD
    with pytest.raises(KeySetError, match=why):
        await fetched(web, server.jwks_url)
    assert [request.path for request in server.asked] == [JWKS]


async def test_a_server_that_speaks_no_http_is_a_failed_connection(web: Web) -> None:
    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(rude, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(KeySetError, match="connection failed"):
            await fetched(web, f"http://127.0.0.1:{port}/")


async def test_a_server_that_is_not_there_is_a_failed_connection(web: Web) -> None:
    async with key_server() as gone:
        url = gone.jwks_url
    with pytest.raises(KeySetError, match="connection failed"):
        await fetched(web, url)


@pytest.mark.parametrize(
    "url", ["http://issuer.test/jwks", "ftp://127.0.0.1/jwks", "file:///etc/passwd", "jwks", ""]
)
async def test_other_urls_are_not_fetched(web: Web, url: str) -> None:
    with pytest.raises(KeySetError, match="neither https nor http"):
        await fetched(web, url)


class Names:
    """A name service: these names, and how often each was asked for."""

    def __init__(self, **names: str) -> None:
        self.names = names
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, _: int) -> list[Any]:
        self.asked.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in self.names[host].split()
        ]


@contextlib.asynccontextmanager
async def named(link_local: bool = False, **names: str) -> AsyncIterator[Web]:
    opened = Web(link_local=link_local, lookup=Names(**names))
    yield opened
    await opened.close()


async def test_plain_http_elsewhere_takes_permission(server: KeyServer) -> None:
    server.serve(GOOD)
    url = server.jwks_url.replace("127.0.0.1", "keys")
    async with named(keys="127.0.0.1") as web:
        with pytest.raises(KeySetError, match="neither https nor http"):
            await fetched(web, url)
        assert await fetched(web, url, insecure=True) == {"k"}


async def test_the_name_localhost_and_ipv6_are_this_machine(server: KeyServer, web: Web) -> None:
    server.serve(GOOD)
    assert await fetched(web, server.jwks_url.replace("127.0.0.1", "localhost")) == {"k"}
    with pytest.raises(KeySetError, match="connection failed"):
        await fetched(web, "http://[::1]:1/")


GUARDED = [
    "http://169.254.169.254/",
    "http://[fe80::1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://100.100.100.200/",
]
GUARDED += ["https://169.254.169.254/", "http://0xa9fea9fe/"]


@pytest.mark.parametrize("url", GUARDED)
async def test_metadata_services_are_not_asked(web: Web, url: str) -> None:
    with pytest.raises(KeySetError, match="allow_link_local"):
        await fetched(web, url, insecure=True)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_does_not_lead_to_metadata_services(address: str, scheme: str) -> None:
    async with named(harmless=address) as web:
        with pytest.raises(KeySetError, match="allow_link_local"):
            await fetched(web, f"{scheme}://harmless/", insecure=True)


async def test_every_address_of_a_name_is_looked_at(server: KeyServer) -> None:
    server.serve(GOOD)
    async with named(two="169.254.169.254 127.0.0.1") as web:
        assert await fetched(web, server.jwks_url.replace("127.0.0.1", "two"), insecure=True) == {"k"}


async def test_no_address_is_forbidden_that_is_permitted() -> None:
    # No such neighbour answers on this port: what fails is the connection.
    async with named(link_local=True, neighbour="::ffff:127.0.0.1") as web:
        with pytest.raises(KeySetError, match="connection failed"):
            await fetched(web, "http://neighbour:1/", insecure=True)


async def test_a_name_that_is_unknown_is_a_failed_connection() -> None:
    async with named() as web:
        with pytest.raises(KeySetError, match="connection failed"):
            await fetched(web, "https://keys.test/")


async def test_a_name_server_that_hangs_delays_nobody_else(server: KeyServer) -> None:
    server.serve(GOOD)
    freed = threading.Event()

    def hanging(*_: object) -> list[Any]:
        freed.wait(10)
        return []

    webs = [Web(lookup=hanging) for _ in range(64)]
    stuck = [asyncio.create_task(fetched(web, "https://stuck.test/")) for web in webs]
    async with named(keys="127.0.0.1") as web:
        async with asyncio.timeout(5):
            assert await fetched(web, server.jwks_url.replace("127.0.0.1", "keys"), insecure=True) == {"k"}
            await asyncio.to_thread(bool)
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    freed.set()
    for web in webs:
        await web.close()


async def test_https_is_checked_against_the_ca(tmp_path: Path) -> None:
    trusted, other = certified(tmp_path / "trusted"), certified(tmp_path / "other")
    async with key_server(trusted.server) as server:
        server.serve(GOOD)
        for ca, outcome in ((trusted.ca, {"k"}), (other.ca, None), (None, None)):
            web = Web(ca=ca)
            if outcome:
                assert await fetched(web, server.jwks_url) == outcome
            else:
                with pytest.raises(KeySetError, match="ClientConnectorCertificateError"):
                    await fetched(web, server.jwks_url, insecure=True)
            await web.close()


async def test_https_is_checked_against_the_name(tmp_path: Path) -> None:
    trusted = certified(tmp_path)
    async with key_server(trusted.server) as server:
        server.serve(GOOD)
        web = Web(ca=trusted.ca, lookup=Names(elsewhere="127.0.0.1"))
        with pytest.raises(KeySetError, match="ClientConnectorCertificateError"):
            await fetched(web, server.jwks_url.replace("127.0.0.1", "elsewhere"))
        await web.close()


@pytest.mark.parametrize("content", [None, "", "-----BEGIN CERTIFICATE-----\nsecret\n"])
async def test_a_ca_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    web = Web(ca=file)
    with pytest.raises(KeySetError, match=r"ca\.pem: no certificates can be read from it"):
        await fetched(web, "https://127.0.0.1:1/")
    await web.close()


async def test_requests_carry_no_cookie_and_take_no_proxy(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    server.serve(document(jwks(KEY), **{"Set-Cookie": "a=b"}))
    async with named(keys="127.0.0.1") as web:
        for _ in range(2):
            assert await fetched(web, server.jwks_url.replace("127.0.0.1", "keys"), insecure=True) == {"k"}
    assert ["Cookie" in request.headers for request in server.asked] == [False, False]
    assert server.asked[0].headers["Accept-Encoding"] == "identity"
