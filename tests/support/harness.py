"""Starts the whole product in this event loop: a configuration file, `Server`, a log that is read at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from proxy.config import load
from proxy.server import Server
from tests.support.keys import SigningKey, jwks, make_key, sign_token
from tests.support.lines import assert_valid
from tests.support.raw import Address, Client, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

RESOURCE = "https://edge.test"
LOG = "access.log"
ISSUER = "https://issuer.test"
_KEY = make_key("EdDSA", "test")
JWKS = jwks(_KEY)


def token(key: SigningKey = _KEY, **claims: object) -> str:
    """A token of `ISSUER` for `RESOURCE`, valid until the year 2100 unless `claims` say otherwise."""
    usual = {"iss": ISSUER, "aud": RESOURCE, "sub": "acc_1", "exp": 4102444800, "iat": 1700000000}
    return sign_token(key, {**usual, "scope": "read", **claims})


TOKEN = token()
TOKEN_LINES = ("X-Agent-Id: acc_1", "X-Agent-Scopes: read")

_SETTINGS: Mapping[str, Any] = {
    "listen": "127.0.0.1:0",
    "resource": RESOURCE,
    "issuers": [{"issuer": ISSUER, "jwks": JWKS}],
    "rules": [{"path": "/guarded/**", "scopes": ["read"]}, {"path": "/**", "public": True}],
}


def settings_file(folder: Path, upstream: str, /, **settings: Any) -> Path:
    """A configuration file; `settings` are top-level keys, laid over the usual ones; None leaves one out.

    There is no admin listener unless one is asked for: two tests must not want the same port.
    """
    given = settings.pop("upstream", {})
    merged = {**_SETTINGS, "upstream": {"url": upstream, **given}, "log": {"output": LOG}, **settings}
    file = folder / "keystile.yaml"
    # JSON is YAML, and quicker to write.
    written = {key: value for key, value in merged.items() if value is not None}
    file.write_text(json.dumps({"admin": None, **written}))
    return file


class Keystile:
    """A running proxy."""

    def __init__(self, server: Server, folder: Path, upstream: str) -> None:
        self._logged = server.config.log
        self.address: Address = server.address
        self._server = server
        self._folder = folder
        self._upstream = upstream
        self._log = folder / LOG
        # What stood there before is not of this run.
        self._before = self._log.stat().st_size if self._log.exists() else 0
        self._closed = False

    def client(self) -> AbstractAsyncContextManager[Client]:
        return connect(self.address)

    def transports(self) -> list[asyncio.Transport]:
        """The proxy's own ends of its client connections: for a look at bounds from inside."""
        wire = self._server._wire
        assert wire is not None
        return [connection.transport for connection in wire.traffic.connections]

    def in_progress(self) -> int:
        """How many requests have come and are not answered whole."""
        wire = self._server._wire
        assert wire is not None
        return len(wire.exchanges)

    async def reload(self, /, **settings: Any) -> None:
        """Have these settings, and no others, take effect; `to` names another upstream."""
        self._upstream = settings.pop("to", self._upstream)
        await self._server.reload(load(settings_file(self._folder, self._upstream, **settings), {}))

    @property
    def admin(self) -> Address:
        """Where the admin listener is."""
        address = self._server.admin_address
        assert address is not None
        return address

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._server.close()
            if self._logged.output == str(self._log):
                assert_valid(
                    self._log.read_bytes()[self._before :],
                    self._logged.format,
                    fields=bool(self._logged.fields),
                )

    async def lines(self, event: str = "access") -> list[dict[str, Any]]:
        """Close the proxy, and read the lines of this kind that it has written."""
        await self.close()
        lines = [json.loads(line) for line in self._log.read_bytes().splitlines()]
        return [line for line in lines if line["event"] == event]

    async def log(self) -> bytes:
        """Close the proxy, and read what it has written."""
        await self.close()
        return self._log.read_bytes()


@contextlib.asynccontextmanager
async def keystile(folder: Path, upstream: str, /, **settings: Any) -> AsyncIterator[Keystile]:
    """A proxy before the upstream of this URL, configured by `settings_file`."""
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    server = Server(load(settings_file(folder, upstream, **settings), {}))
    await server.start()
    running = Keystile(server, folder, upstream)
    try:
        yield running
    finally:
        await running.close()
    # What a callback of the loop raises ends no test by itself.
    assert failures == []
