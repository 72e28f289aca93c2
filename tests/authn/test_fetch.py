"""Key sets from URLs, metadata and files: what is taken, and every way to fail."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest

from proxy.authn.fetch import Web, from_file, from_issuer, from_url
from proxy.authn.keyset import KeySet, KeySetError
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
RFC_8414 = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server() as running:
        yield running


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    opened = Web()
    yield opened
    await opened.close()


def kids(keys: KeySet) -> set[str | None]:
    return {key.kid for key in keys.keys}


async def test_a_key_set_is_fetched(server: KeyServer, web: Web) -> None:
    server.serve(GOOD)
    assert kids(await from_url(web, server.jwks_url, insecure=False)) == {"k"}


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
        await from_url(web, server.jwks_url, insecure=False)
    assert [request.path for request in server.asked] == [JWKS]


async def test_a_server_that_speaks_no_http_is_a_failed_connection(web: Web) -> None:
    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(rude, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(KeySetError, match="connection failed"):
            await from_url(web, f"http://127.0.0.1:{port}/", insecure=False)


async def test_a_server_that_is_not_there_is_a_failed_connection(web: Web) -> None:
    async with key_server() as gone:
        url = gone.jwks_url
    with pytest.raises(KeySetError, match="connection failed"):
        await from_url(web, url, insecure=False)


@pytest.mark.parametrize(
    "url", ["http://issuer.test/jwks", "ftp://127.0.0.1/jwks", "file:///etc/passwd", "jwks", ""]
)
async def test_other_urls_are_not_fetched(web: Web, url: str) -> None:
    with pytest.raises(KeySetError, match="neither https nor http"):
        await from_url(web, url, insecure=False)


async def test_plain_http_elsewhere_takes_permission(server: KeyServer, web: Web) -> None:
    server.serve(GOOD)
    # Every address of this machine, and none of them loopback by name.
    url = server.jwks_url.replace("127.0.0.1", "0.0.0.0")
    with pytest.raises(KeySetError, match="neither https nor http"):
        await from_url(web, url, insecure=False)
    assert kids(await from_url(web, url, insecure=True)) == {"k"}


async def test_the_name_localhost_and_ipv6_are_this_machine(server: KeyServer, web: Web) -> None:
    server.serve(GOOD)
    assert kids(await from_url(web, server.jwks_url.replace("127.0.0.1", "localhost"), insecure=False)) == {
        "k"
    }
    with pytest.raises(KeySetError, match="connection failed"):
        await from_url(web, "http://[::1]:1/", insecure=False)


async def test_requests_carry_no_cookie_and_take_no_proxy(
    server: KeyServer, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    server.serve(document(jwks(KEY), **{"Set-Cookie": "a=b"}))
    for _ in range(2):
        await from_url(web, server.jwks_url, insecure=False)
    assert ["Cookie" in request.headers for request in server.asked] == [False, False]
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


DISCOVERED = [
    pytest.param("", [RFC_8414], [RFC_8414, JWKS], id="RFC 8414, no path"),
    pytest.param("/t/1", [RFC_8414 + "/t/1"], [RFC_8414 + "/t/1", JWKS], id="RFC 8414, the path behind it"),
    pytest.param("/t/", [RFC_8414 + "/t"], [RFC_8414 + "/t", JWKS], id="RFC 8414, a slash at the end"),
    pytest.param("/", [RFC_8414], [RFC_8414, JWKS], id="RFC 8414, nothing but a slash"),
    pytest.param("", [OIDC], [RFC_8414, OIDC, JWKS], id="OpenID Connect, no path"),
    pytest.param(
        "/t", ["/t" + OIDC], [RFC_8414 + "/t", "/t" + OIDC, JWKS], id="OpenID Connect, the path before it"
    ),
    pytest.param(
        "/t/", ["/t" + OIDC], [RFC_8414 + "/t", "/t" + OIDC, JWKS], id="OpenID Connect, a slash at the end"
    ),
]


@pytest.mark.parametrize(("path", "served", "asked"), DISCOVERED)
async def test_metadata_names_the_key_set(
    server: KeyServer, web: Web, path: str, served: list[str], asked: list[str]
) -> None:
    issuer = server.url + path
    server.serve(GOOD)
    for place in served:
        server.answers[place] = document({"issuer": issuer, "jwks_uri": server.jwks_url})
    assert kids(await from_issuer(web, issuer, insecure=False)) == {"k"}
    assert [request.path for request in server.asked] == asked


METADATA = [
    pytest.param({"issuer": "{url}/"}, "another issuer", id="an issuer with one slash more"),
    pytest.param({"issuer": None}, "another issuer", id="no issuer"),
    pytest.param({"issuer": ["{url}"]}, "another issuer", id="a list of issuers"),
    pytest.param({"jwks_uri": None}, "no jwks_uri", id="no jwks_uri"),
    pytest.param({"jwks_uri": ["{url}/jwks.json"]}, "no jwks_uri", id="a list of key sets"),
    pytest.param({"jwks_uri": "http://issuer.test/jwks.json"}, "neither https", id="plain http elsewhere"),
    pytest.param({"jwks_uri": "/jwks.json"}, "neither https", id="a relative key set"),
    pytest.param({"jwks_uri": "file:///jwks.json"}, "neither https", id="a file"),
]


def _filled(value: Any, url: str) -> Any:
    if isinstance(value, list):
        return [_filled(item, url) for item in value]
    return value.replace("{url}", url) if isinstance(value, str) else value


@pytest.mark.parametrize(("changes", "why"), METADATA)
async def test_metadata_that_is_not_the_issuers_is_refused(
    server: KeyServer, web: Web, changes: dict[str, Any], why: str
) -> None:
    server.serve(GOOD)
    whole = {"issuer": "{url}", "jwks_uri": "{url}/jwks.json", **changes}
    metadata = {name: _filled(value, server.url) for name, value in whole.items() if value is not None}
    server.answers[RFC_8414] = server.answers[OIDC] = document(metadata)
    with pytest.raises(KeySetError, match=why):
        await from_issuer(web, server.url, insecure=False)
    assert server.fetches == 0


async def test_metadata_that_is_no_json_is_refused(server: KeyServer, web: Web) -> None:
    server.answers[OIDC] = document(b"[]")
    with pytest.raises(KeySetError, match="metadata is not"):
        await from_issuer(web, server.url, insecure=False)


async def test_a_key_set_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(KEY))
    assert kids(await from_file(file)) == {"k"}


async def test_errors_of_files_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>")
    (tmp_path / "large.json").write_bytes(jwks_bytes(KEY) + b" " * 262144)
    for name, why in (
        ("missing.json", "No such file"),
        ("", "Is a directory"),
        ("page.html", "not a plain JSON object"),
        ("large.json", "larger than 256 KiB"),
    ):
        with pytest.raises(KeySetError) as caught:
            await from_file(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert why in str(caught.value)
