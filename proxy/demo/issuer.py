"""A local issuer: its metadata (RFC 8414) and its key set (RFC 7517), and no way to get a token from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from proxy.demo.keys import DevelopmentKey


def issuer_application(url: str, key: DevelopmentKey) -> web.Application:
    """The application that is reached at `url` and whose tokens are signed with `key`."""
    metadata = {
        "issuer": url,
        "jwks_uri": f"{url}/jwks.json",
        "response_types_supported": [],
        "grant_types_supported": [],
    }

    async def describe(_: web.Request) -> web.Response:
        return web.json_response(metadata)

    async def keys(_: web.Request) -> web.Response:
        return web.json_response({"keys": [key.public]})

    application = web.Application()
    application.router.add_get("/.well-known/oauth-authorization-server", describe)
    application.router.add_get("/jwks.json", keys)
    return application
