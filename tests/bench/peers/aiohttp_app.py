"""What a Python user would write with the same libraries: an aiohttp application and client, on uvloop.

python aiohttp_app.py PORT UPSTREAM_PORT JWKS ISSUER AUDIENCE LOG
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import structlog
import uvloop
import yarl
from aiohttp import web
from cachetools import LRUCache
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jose import JOSEError, jwk, jwt
from jose.backends.base import Key

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection"}
OURS = {"host", "authorization", "x-agent-id", "x-agent-scopes", "content-length"}
PORT, UPSTREAM, JWKS, ISSUER, AUDIENCE, LOG = sys.argv[1:]


class Ed25519(Key):  # type: ignore[misc]  # python-jose has no types
    def __init__(self, key: dict[str, str], algorithm: str) -> None:
        super().__init__(key, algorithm)
        self._key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "=="))

    def verify(self, message: bytes, signature: bytes) -> bool:
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


jwk.register_key("EdDSA", Ed25519)
KEYS = {key["kid"]: jwk.construct(key, key["alg"]) for key in json.loads(Path(JWKS).read_bytes())["keys"]}
VERIFIED: LRUCache[bytes, dict[str, Any]] = LRUCache(10_000)
structlog.configure(
    processors=[structlog.processors.JSONRenderer()],
    logger_factory=structlog.WriteLoggerFactory(file=Path(LOG).open("a")),  # noqa: SIM115 - open until the end
    cache_logger_on_first_use=True,
)
log = structlog.get_logger()


def verify(authorization: str) -> dict[str, Any]:
    token = authorization.removeprefix("Bearer ")
    digest = hashlib.sha256(token.encode()).digest()
    known = VERIFIED.get(digest)
    if known is not None and known["exp"] > time.time():
        return known
    key = KEYS[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA", "RS256"], audience=AUDIENCE, issuer=ISSUER)
    VERIFIED[digest] = claims
    return claims


async def handle(request: web.Request) -> web.StreamResponse:
    began = time.perf_counter()
    try:
        claims = verify(request.headers.get("Authorization", ""))
    except (JOSEError, KeyError):
        return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
    headers = [
        (name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP | OURS
    ]
    headers += [("X-Agent-Id", claims["sub"]), ("X-Agent-Scopes", claims["scope"])]
    url = yarl.URL(f"http://127.0.0.1:{UPSTREAM}").join(request.rel_url)
    body = await request.read() if request.body_exists else None
    size = 0
    async with request.app["client"].request(
        request.method, url, headers=headers, data=body, allow_redirects=False
    ) as answer:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        response.headers.extend(
            (name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP
        )
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            size += len(chunk)
            await response.write(chunk)
        await response.write_eof()
    log.info(
        "access",
        timestamp=time.time(),
        agent_id=claims["sub"],
        scopes=claims["scope"],
        method=request.method,
        path=request.path,
        status=answer.status,
        bytes_out=size,
        duration_ms=(time.perf_counter() - began) * 1000,
    )
    return response


async def main() -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    app["client"] = aiohttp.ClientSession(
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(PORT), backlog=1024).start()
    await asyncio.Event().wait()


uvloop.run(main())
