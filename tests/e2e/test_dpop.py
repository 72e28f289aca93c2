"""DPoP through the running proxy: real proofs, everything a thief would try, and what clients are told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.harness import ISSUER, JWKS, RESOURCE, keystile, token
from tests.support.keys import SigningKey, make_key
from tests.support.proofs import proof_claims, sign_proof, thumbprint
from tests.support.upstream import upstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.messages import Message
    from tests.support.raw import Client

KEY, THIEF = make_key("EdDSA", "client"), make_key("ES256", "thief")
BOUND = token(cnf={"jkt": thumbprint(KEY)})
PLAIN = token()
RULES = [{"name": "guarded", "path": "/guarded/**", "scopes": ["read"]}]
URI = RESOURCE + "/guarded/x"


def issuers(**dpop: Any) -> list[dict[str, Any]]:
    return [{"issuer": ISSUER, "jwks": JWKS, "dpop": {"mode": "optional", **dpop}}]


def proof(
    key: SigningKey = KEY, access: str = BOUND, header: dict[str, Any] | None = None, **changes: Any
) -> bytes:
    claims = proof_claims(access.encode(), time.time(), "GET", URI)
    kept = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return sign_proof(key, kept, **(header or {}))


async def ask(
    client: Client, *proofs: bytes, scheme: str = "DPoP", access: str = BOUND, target: str = "/guarded/x"
) -> Message:
    lines = [f"GET {target} HTTP/1.1", "Host: edge.test", f"Authorization: {scheme} {access}"]
    lines += [f"DPoP: {one.decode()}" for one in proofs]
    await client.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    return await client.response()


def old(**changes: Any) -> Callable[[], list[bytes]]:
    return lambda: [
        proof(**{name: value(time.time()) if callable(value) else value for name, value in changes.items()})
    ]


REFUSED = [
    pytest.param(list, {}, id="no proof"),
    pytest.param(lambda: [proof(), proof()], {}, id="two DPoP headers"),
    pytest.param(lambda: [b"junk"], {}, id="a proof that is none"),
    pytest.param(old(htu=RESOURCE + "/guarded/y"), {}, id="another path"),
    pytest.param(old(htu="https://evil.test/guarded/x"), {}, id="another server"),
    pytest.param(old(htm="POST"), {}, id="another method"),
    pytest.param(old(key=THIEF), {}, id="another key"),
    pytest.param(
        old(key=THIEF, header={"jwk": KEY.public()}), {}, id="a proof signed by another than it says"
    ),
    pytest.param(old(iat=lambda now: now - 91), {}, id="a stale proof"),
    pytest.param(old(iat=lambda now: now + 35), {}, id="a proof from the future"),
    pytest.param(old(ath=None), {}, id="no ath"),
    pytest.param(old(access=PLAIN), {}, id="another token's ath"),
    pytest.param(old(header={"jwk": KEY.private_jwk()}), {}, id="a private key"),
    pytest.param(old(key=make_key("HS256", None)), {}, id="a symmetric proof"),
    pytest.param(old(header={"typ": "JWT"}), {}, id="another typ"),
    pytest.param(lambda: [proof()], {"scheme": "Bearer"}, id="a bound token as Bearer, with its proof"),
    pytest.param(list, {"scheme": "Bearer"}, id="a bound token as Bearer"),
    pytest.param(old(access=PLAIN), {"access": PLAIN}, id="an unbound token under the scheme DPoP"),
]


@pytest.mark.parametrize(("proofs", "how"), REFUSED)
async def test_what_is_refused(
    tmp_path: Path, proofs: Callable[[], list[bytes]], how: dict[str, str]
) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, issuers=issuers(), rules=RULES) as running,
    ):
        async with running.client() as client:
            answer = await ask(client, *proofs(), **how)
        (line,) = await running.lines()
    assert answer.status == 401
    challenges = answer.values(b"WWW-Authenticate")
    assert [one.split(b" ")[0] for one in challenges] == [b"Bearer", b"DPoP"]
    assert b'error="invalid_token"' in challenges[0]
    assert b'error="invalid_dpop_proof"' in challenges[1]
    assert b'algs="' in challenges[1]
    assert (line["reason"], line["agent_id"], line["decision"]) == ("proof_invalid", "acc_1", "deny")
    assert not server.requests


async def test_a_thousand_proofs_pass_and_none_of_them_twice(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, issuers=issuers(), rules=RULES) as running,
    ):
        async with running.client() as client:
            used = [proof() for _ in range(1_000)]
            statuses = {(await ask(client, one)).status for one in used}
            again = {(await ask(client, one)).status for one in used[::100]}
        lines = await running.lines()
    assert (statuses, again) == ({200}, {401})
    assert len(server.requests) == 1_000
    assert not server.faults
    assert {line["reason"] for line in lines[1_000:]} == {"proof_invalid"}
    sent = server.requests[0]
    assert sent.values(b"X-Agent-Id") == [b"acc_1"]
    assert not sent.values(b"DPoP")
    assert not sent.values(b"Authorization")


async def test_a_query_is_no_part_of_it(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, issuers=issuers(), rules=RULES) as running,
        running.client() as client,
    ):
        assert (await ask(client, proof(), target="/guarded/x?a=1")).status == 200


async def test_unbound_tokens_pass_as_bearer_where_they_may(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, issuers=issuers(), rules=RULES) as running,
        running.client() as client,
    ):
        assert (await ask(client, scheme="Bearer", access=PLAIN)).status == 200
        assert (await ask(client, b"stray", scheme="Bearer", access=PLAIN)).status == 200


async def test_and_nowhere_else(tmp_path: Path) -> None:
    required = issuers(mode="required")
    async with upstream() as server, keystile(tmp_path, server.url, issuers=required, rules=RULES) as running:
        async with running.client() as client:
            assert (await ask(client, scheme="Bearer", access=PLAIN)).status == 401
            assert (await ask(client, proof())).status == 200
        lines = await running.lines()
    assert [line.get("reason") for line in lines] == ["proof_invalid", None]


async def test_a_nonce(tmp_path: Path) -> None:
    answer = (b"HTTP/1.1 200 OK\r\nDPoP-Nonce: upstream\r\nContent-Length: 0\r\n\r\n",)
    async with (
        upstream([answer]) as server,
        keystile(tmp_path, server.url, issuers=issuers(nonce=True), rules=RULES) as running,
        running.client() as client,
    ):
        first = await ask(client, proof())
        assert first.status == 401
        (challenge,) = first.values(b"WWW-Authenticate")
        assert challenge.startswith(b"DPoP ")
        assert b'error="use_dpop_nonce"' in challenge
        (nonce,) = first.values(b"DPoP-Nonce")
        admitted = await ask(client, proof(nonce=nonce.decode()))
        assert admitted.status == 200
        # The next one comes along, so that nobody has to be refused for it; the upstream's own does not.
        (following,) = admitted.values(b"DPoP-Nonce")
        assert (await ask(client, proof(nonce=following.decode()))).status == 200
        assert len(server.requests) == 2
