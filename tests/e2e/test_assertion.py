"""An assertion, checked by a library that upstreams use, which is given nothing but where the key set is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.harness import RESOURCE, TOKEN, keystile
from tests.support.upstream import upstream

SCRIPT = Path(__file__).parent / "verify_assertion.mjs"
DEADLINE = 20.0


async def verified(node: str, *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        node, SCRIPT, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode == 0, errors.decode()
    return dict(json.loads(output))


@pytest.mark.parametrize(
    "has_file", [pytest.param(True, id="a key in a file"), pytest.param(False, id="a key made at start")]
)
async def test_jose_takes_it(has_file: bool, node: str, tmp_path: Path) -> None:
    if has_file:
        key = Ed25519PrivateKey.generate()
        (tmp_path / "key.pem").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
    settings = {"ttl": "1m", **({"key": "key.pem"} if has_file else {})}
    async with upstream() as server, keystile(tmp_path, server.url, assertion=settings) as proxy:
        async with proxy.client() as client:
            lines = ["GET /guarded/ HTTP/1.1", "Host: edge.test", f"Authorization: Bearer {TOKEN}", "", ""]
            await client.write("\r\n".join(lines).encode())
            assert (await client.response()).status == 200
        assertion = server.requests[0].value(b"x-agent-assertion")
        assert assertion is not None
        host, port = proxy.address
        keys = f"http://{host}:{port}/.well-known/keystile/jwks.json"
        said = await verified(node, keys, RESOURCE, server.url, assertion.decode())
    payload = said["payload"]
    assert (payload["sub"], payload["scope"], payload["exp"] - payload["iat"]) == ("acc_1", "read", 60)
