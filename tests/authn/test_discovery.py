"""Metadata of issuers: where it is looked for, what it must say, and what it cannot make Keystile do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.authn.discovery import from_issuer, metadata_urls
from proxy.authn.fetch import Web
from proxy.authn.keyset import KeySetError
from tests.support.certificates import certified
from tests.support.key_server import JWKS, KeyServer, document, key_server, redirect, status
from tests.support.keys import jwks, make_key

if TYPE_CHECKING:
    from pathlib import Path

GOOD = document(jwks(make_key("EdDSA", "k")))
RFC_8414 = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"


async def discovered(web: Web, issuer: str, *, insecure: bool = False) -> set[str | None]:
    return {key.kid for key in (await from_issuer(web, issuer, insecure=insecure)).keys.keys}


def test_the_places_are_those_of_the_specifications() -> None:
    # RFC 8414 section 3.1 and section 5 have these very examples.
    assert metadata_urls("https://example.com/issuer1") == (
        "https://example.com/.well-known/oauth-authorization-server/issuer1",
        "https://example.com/.well-known/openid-configuration/issuer1",
        "https://example.com/issuer1/.well-known/openid-configuration",
    )
    assert metadata_urls("https://example.com") == (
        "https://example.com/.well-known/oauth-authorization-server",
        "https://example.com/.well-known/openid-configuration",
    )


DISCOVERED = [
    pytest.param("", [RFC_8414], [RFC_8414, JWKS], id="RFC 8414, no path"),
    pytest.param("/t/1", [RFC_8414 + "/t/1"], [RFC_8414 + "/t/1", JWKS], id="RFC 8414, the path behind it"),
    pytest.param("/t/", [RFC_8414 + "/t"], [RFC_8414 + "/t", JWKS], id="RFC 8414, a slash at the end"),
    pytest.param("/", [RFC_8414], [RFC_8414, JWKS], id="RFC 8414, nothing but a slash"),
    pytest.param("", [OIDC], [RFC_8414, OIDC, JWKS], id="OpenID Connect, no path"),
    pytest.param(
        "/t/1",
        [OIDC + "/t/1"],
        [RFC_8414 + "/t/1", OIDC + "/t/1", JWKS],
        id="OpenID Connect, the path behind it",
    ),
    pytest.param(
        "/t",
        ["/t" + OIDC],
        [RFC_8414 + "/t", OIDC + "/t", "/t" + OIDC, JWKS],
        id="OpenID Connect, the path before it",
    ),
    pytest.param(
        "/t/",
        ["/t" + OIDC],
        [RFC_8414 + "/t", OIDC + "/t", "/t" + OIDC, JWKS],
        id="OpenID Connect, a slash at the end",
    ),
    pytest.param("/t", [RFC_8414 + "/t", "/t" + OIDC], [RFC_8414 + "/t", JWKS], id="the first one counts"),
]


@pytest.mark.parametrize(("path", "served", "asked"), DISCOVERED)
async def test_metadata_names_the_key_set(
    server: KeyServer, web: Web, path: str, served: list[str], asked: list[str]
) -> None:
    issuer = server.url + path
    server.serve(GOOD)
    for place in served:
        server.answers[place] = document({"issuer": issuer, "jwks_uri": server.jwks_url})
    assert await discovered(web, issuer) == {"k"}
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
        await discovered(web, server.url)
    assert server.fetches == 0


async def test_metadata_that_is_no_json_is_refused(server: KeyServer, web: Web) -> None:
    server.answers[OIDC] = document(b"[]")
    with pytest.raises(KeySetError, match="metadata is not"):
        await discovered(web, server.url)


async def test_metadata_that_is_refused_is_looked_for_elsewhere(server: KeyServer, web: Web) -> None:
    server.serve(GOOD)
    server.answers[RFC_8414] = document({"issuer": "https://other.test", "jwks_uri": server.jwks_url})
    server.answers[OIDC] = document({"issuer": server.url, "jwks_uri": server.jwks_url})
    assert await discovered(web, server.url) == {"k"}


async def test_the_problem_says_what_each_place_answered(server: KeyServer, web: Web) -> None:
    server.answers[RFC_8414] = document({"issuer": "https://other.test"})
    server.answers[OIDC] = redirect("/elsewhere")
    with pytest.raises(KeySetError) as caught:
        await discovered(web, server.url)
    assert (
        str(caught.value)
        == "discovery: the issuer's metadata is about another issuer; the answer was 302, not 200"
    )


async def test_a_key_set_that_fails_is_not_looked_for_elsewhere(server: KeyServer, web: Web) -> None:
    server.serve(status(500))
    server.answers[RFC_8414] = document({"issuer": server.url, "jwks_uri": server.jwks_url})
    with pytest.raises(KeySetError, match="the answer was 500"):
        await discovered(web, server.url)
    assert [request.path for request in server.asked] == [RFC_8414, JWKS]


async def test_metadata_does_not_lead_to_a_metadata_service(server: KeyServer, web: Web) -> None:
    server.answers[RFC_8414] = document(
        {"issuer": server.url, "jwks_uri": "https://169.254.169.254/latest/meta-data"}
    )
    with pytest.raises(KeySetError, match="link-local"):
        await discovered(web, server.url)


async def test_metadata_over_https_does_not_lead_to_plain_http(server: KeyServer, tmp_path: Path) -> None:
    server.serve(GOOD)
    trusted = certified(tmp_path)
    web = Web(ca=trusted.ca)
    async with key_server(trusted.server) as safe:
        safe.serve(GOOD)
        safe.answers[RFC_8414] = document({"issuer": safe.url, "jwks_uri": server.jwks_url})
        with pytest.raises(KeySetError, match="not https"):
            await discovered(web, safe.url)
        assert await discovered(web, safe.url, insecure=True) == {"k"}
        safe.answers[RFC_8414] = document({"issuer": safe.url, "jwks_uri": safe.jwks_url})
        assert await discovered(web, safe.url) == {"k"}
    await web.close()
