"""The stage: a local issuer, the sample upstream and the proxy between them, each on a port of its own."""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from aiohttp import web

from proxy.config import load
from proxy.demo.issuer import issuer_application
from proxy.demo.keys import DevelopmentKey
from proxy.demo.upstream import upstream_application
from proxy.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_HOST: Final = "127.0.0.1"
_USUAL_PORT: Final = 8080
_LIFETIME: Final = 12 * 3600

_CONFIGURATION: Final = """\
listen: {address}
admin: null
upstream: {upstream}
resource: http://{address}/mcp
issuers:
  - issuer: {issuer}
rules:
  - {{name: health, path: /healthz, public: true}}
  - name: mcp
    path: /mcp
    scopes: ["memory:read"]
    mcp:
      - {{tool: "write_*", scopes: ["memory:write"]}}
      - {{tool: "*"}}
  - {{name: api, path: /api/**, scopes: ["api:read"]}}
"""

_TOUR: Final = """\
Keystile listens on http://{address}, in front of a sample server at {upstream}.
The configuration is {file}:

{configuration}
Paste this into another terminal; the tokens are good for twelve hours:

READER={reader}
STRANGER={stranger}

# 200: a public path
curl -isw "\\n" http://{address}/healthz
# 401: no token
curl -isw "\\n" http://{address}/api/echo
# 200: the server shows what reached it: who is calling, and no Authorization
curl -isw "\\n" -H "Authorization: Bearer $READER" http://{address}/api/echo
# 403: a valid token without the scope
curl -isw "\\n" -H "Authorization: Bearer $STRANGER" http://{address}/api/echo
# 200: an MCP tool that says whom the server was told of
curl -isw "\\n" -H "Authorization: Bearer $READER" -H "Content-Type: application/json" \\
  -d '{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {{"name": "whoami"}}}}' http://{address}/mcp
# 403: a tool that needs another scope, and an answer that says which
curl -isw "\\n" -H "Authorization: Bearer $READER" -H "Content-Type: application/json" \\
  -d '{{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {{"name": "write_memory"}}}}' http://{address}/mcp
# 200: the list of tools, which leaves that one out
curl -isw "\\n" -H "Authorization: Bearer $READER" -H "Content-Type: application/json" \\
  -d '{{"jsonrpc": "2.0", "id": 3, "method": "tools/list"}}' http://{address}/mcp
# what a client without a token is told (RFC 9728)
curl -isw "\\n" http://{address}/.well-known/oauth-protected-resource/mcp

Each request writes one line below. Ctrl-C stops everything.
"""


@asynccontextmanager
async def stage(port: int | None) -> AsyncIterator[str]:
    """Run all three on loopback while the block runs, which is given the text to show.

    The proxy listens on `port`: 0 takes a free one, None the usual one or else a free one. Raises OSError
    where the port is taken.
    """
    key = DevelopmentKey.generate()
    at_issuer, at_upstream = _bound(0), _bound(0)
    issuer, upstream = f"http://{_address(at_issuer)}", f"http://{_address(at_upstream)}"
    async with AsyncExitStack() as running:
        await _serve(running, issuer_application(issuer, key), at_issuer)
        await _serve(running, upstream_application(), at_upstream)
        address = _free(port)
        configuration = _CONFIGURATION.format(address=address, upstream=upstream, issuer=issuer)
        file = Path(running.enter_context(TemporaryDirectory(prefix="keystile-demo-"))) / "keystile.yaml"
        file.write_text(configuration)
        server = Server(load(file, {}))
        running.push_async_callback(server.close)
        await server.start()
        audience = f"http://{address}/mcp"
        yield _TOUR.format(
            address=address,
            upstream=upstream,
            file=file,
            configuration="".join(f"  {line}\n" for line in configuration.splitlines()),
            reader=_token(key, issuer, audience, "archivist", ["memory:read", "api:read"]),
            stranger=_token(key, issuer, audience, "passer-by", []),
        )


async def _serve(running: AsyncExitStack, application: web.Application, at: socket.socket) -> None:
    runner = web.AppRunner(application, access_log=None)
    running.push_async_callback(runner.cleanup)
    await runner.setup()
    await web.SockSite(runner, at).start()


def _token(key: DevelopmentKey, issuer: str, audience: str, name: str, scopes: list[str]) -> str:
    now = int(time.time())  # noqa: TID251 - this is a shell: the token is for now
    return key.sign(
        {
            "iss": issuer,
            "sub": f"acc_{name}",
            "aud": audience,
            "iat": now,
            "exp": now + _LIFETIME,
            "jti": secrets.token_hex(8),
            "al_name": name,
            "al_scopes": scopes,
            "al_audit_url": f"{issuer}/audit/acc_{name}",
        }
    )


def _free(port: int | None) -> str:
    """An address that can be bound; the configuration names it, so it has to be known before it is bound."""
    try:
        probe = _bound(_USUAL_PORT if port is None else port)
    except OSError:
        if port is not None:
            raise
        probe = _bound(0)
    with probe:
        return _address(probe)


def _bound(port: int) -> socket.socket:
    return socket.create_server((_HOST, port))


def _address(at: socket.socket) -> str:
    host, port = at.getsockname()
    return f"{host}:{port}"
