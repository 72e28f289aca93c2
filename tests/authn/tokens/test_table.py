"""Every row of the table, at the pure functions and through a running proxy."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from proxy.authn import Credential, Verifier, credential, key_sources
from proxy.authn.credential import digest_of
from proxy.config import load
from proxy.gate import dress
from proxy.model import Caller, Deny, Reason, Wait
from tests.authn.tokens.issuers import settings
from tests.authn.tokens.making import When
from tests.authn.tokens.table import ROWS
from tests.support.harness import LOG, RESOURCE, keystile, settings_file
from tests.support.proofs import proof_claims, sign_proof
from tests.support.upstream import upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.authn.tokens.making import Row
    from tests.support.harness import Keystile
    from tests.support.messages import Message

NOW = 1_700_000_000
RULES = [{"path": "/row/**"}]
STATUS = {
    Reason.REQUEST_MALFORMED: 400,
    Reason.HEADERS_TOO_LARGE: 431,
    Reason.CLAIM_REFUSED: 403,
}
"""Every other reason that a token may bring is a 401."""
SLACK = 25.0
"""Longer than a request takes, shorter than the leeway."""
IDENTITY = {"agent_id", "agent_name", "issuer", "scopes", "audit_url", "token_id", "key_id", "audience"}


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    """A verifier with every key in it: from here on nothing waits."""
    file = settings_file(
        tmp_path_factory.mktemp("table"), "http://127.0.0.1:1", issuers=settings(), rules=RULES
    )
    config = load(file, {})
    sources = key_sources(config.issuers, lambda: NOW)

    async def read() -> None:
        for issuer in config.issuers:
            await sources[issuer.issuer].load()

    asyncio.run(read())
    return Verifier(config.issuers, sources, dress(config))


def judged(verifier: Verifier, token: bytes) -> tuple[Caller | Deny, int]:
    """Run the pure functions from the header's value to the verdict, and count how often keys were read anew."""
    read = credential(b"Bearer " + token, repeated=False)
    assert read is not None
    if not isinstance(read, Credential):
        return read, 0
    verification = verifier.verify(read.token, NOW)
    given: float | None = None
    readings = 0
    while True:
        try:
            need = verification.send(given)
        except StopIteration as end:
            return end.value, readings
        assert isinstance(need, Wait)
        given, readings = asyncio.run(called(need)), readings + 1


async def called(need: Wait) -> float:
    ended: float = await need.call()
    return ended


@pytest.mark.parametrize("row", [pytest.param(row, id=row.says) for row in ROWS])
def test_each_token_is_judged_as_expected(row: Row, verifier: Verifier) -> None:
    token = row.make(When(NOW, 0.25)).encode()
    verdict, readings = judged(verifier, token)
    # Nothing but a key that may have come meanwhile is a reason to ask an issuer.
    assert not readings or row.reason is Reason.KEY_UNKNOWN
    if isinstance(verdict, Caller):
        assert row.reason is None
        found = (verdict.identity.id, verdict.identity.issuer, verdict.identity.scopes)
        assert found == (row.agent, row.issuer, row.scopes)
        assert verifier.cached(digest_of(token), NOW) is verdict
    else:
        assert verdict.reason is row.reason, verdict.detail
        assert (verdict.caller and verdict.caller.identity.id) == row.agent
        assert verdict.detail
        assert verifier.cached(digest_of(token), NOW) is None


def test_the_table_is_as_large_and_as_mixed_as_it_should_be() -> None:
    assert len({row.says for row in ROWS}) == len(ROWS) >= 250
    assert sum(row.reason is None for row in ROWS) >= 40
    assert {row.reason for row in ROWS} == {
        None,
        Reason.TOKEN_MALFORMED,
        Reason.ALGORITHM_REFUSED,
        Reason.SIGNATURE_INVALID,
        Reason.KEY_UNKNOWN,
        Reason.TYPE_REFUSED,
        Reason.ISSUER_UNKNOWN,
        Reason.AUDIENCE_MISMATCH,
        Reason.TOKEN_EXPIRED,
        Reason.TOKEN_NOT_YET_VALID,
        Reason.CLAIM_MISSING,
        Reason.CLAIM_REFUSED,
        Reason.PROOF_INVALID,
    }


async def test_each_token_is_judged_as_expected_over_http(tmp_path: Path) -> None:
    """One proxy for the whole table: what one row leaves behind must not change the next."""
    async with upstream() as server, keystile(tmp_path, server.url, issuers=settings(), rules=RULES) as proxy:
        exchanges = [await asked(proxy, at, row) for at, row in enumerate(ROWS)]
        lines = await proxy.lines()
    log = (tmp_path / LOG).read_bytes()
    arrived = {request.target: request for request in server.requests}
    assert not server.faults
    assert len(arrived) == len(server.requests)
    assert len(lines) == len(ROWS)
    problems = [
        (row.says, problem)
        for at, (row, exchange, line) in enumerate(zip(ROWS, exchanges, lines, strict=True))
        for problem in (
            *answer_problems(row, exchange),
            *line_problems(row, line, target(at)),
            *upstream_problems(row, arrived.pop(target(at), None)),
            *(f"{part!r} stands in the log" for part in telling(exchange.token) if part in log),
        )
    ]
    assert problems == []
    assert arrived == {}


@dataclass(frozen=True)
class Exchange:
    token: bytes
    status: int
    answer: bytes


def target(at: int) -> bytes:
    return b"/row/%d" % at


async def asked(proxy: Keystile, at: int, row: Row) -> Exchange:
    """Send one row in a request of its own, on a connection of its own."""
    now = time.time()
    token = row.make(When(now, SLACK)).encode()
    lines = [b"GET %b HTTP/1.1" % target(at), b"Host: edge.test"]
    if row.prover is None:
        lines.append(b"Authorization: Bearer " + token)
    else:
        proof = sign_proof(row.prover, proof_claims(token, now, "GET", RESOURCE + target(at).decode()))
        lines += [b"Authorization: DPoP " + token, b"DPoP: " + proof]
    async with proxy.client() as client:
        await client.write(b"\r\n".join([*lines, b"", b""]))
        answer = await client.response()
    return Exchange(token, answer.status, b"\r\n".join([answer.start, *answer.lines, answer.body]))


def telling(token: bytes) -> list[bytes]:
    """The parts of a token that must be nowhere else."""
    return [part for part in token.split(b".") if len(part) >= 12]


def expected(row: Row) -> tuple[Reason | None, str | None]:
    """What becomes of the whole request: the reason, and who is named."""
    seen_by_the_wire = row.over_http in {Reason.REQUEST_MALFORMED, Reason.HEADERS_TOO_LARGE}
    return row.over_http or row.reason, None if seen_by_the_wire else row.agent


def answer_problems(row: Row, exchange: Exchange) -> Iterator[str]:
    reason, _ = expected(row)
    status = 200 if reason is None else STATUS.get(reason, 401)
    if exchange.status != status:
        yield f"answered with {exchange.status}, not {status}"
    for part in telling(exchange.token):
        if part in exchange.answer:
            yield "its answer quotes the token"


def line_problems(row: Row, line: dict[str, Any], path: bytes) -> Iterator[str]:
    reason, agent = expected(row)
    told = line.get("reason"), line["decision"], line.get("agent_id")
    if told != (reason, "allow" if reason is None else "deny", agent):
        yield f"its line says {told}"
    if agent is None and (said := IDENTITY & line.keys()):
        yield f"its line says {sorted(said)} of a token that names nobody"
    if agent is not None and line["issuer"] != row.issuer:
        yield f"its line names the issuer {line['issuer']}"
    if line.get("path", path.decode()) != path.decode():
        yield f"its line is about {line['path']}"


def upstream_problems(row: Row, request: Message | None) -> Iterator[str]:
    if expected(row)[0] is not None:
        if request is not None:
            yield "it was refused, and arrived"
        return
    if request is None:
        yield "it was admitted, and did not arrive"
        return
    assert row.agent is not None
    visible = (one if "!" <= one <= "~" and one not in "%," else quote(one, safe="") for one in row.agent)
    wanted = {
        b"x-agent-id": "".join(visible).encode(),
        b"x-agent-scopes": " ".join(row.scopes).encode(),
        b"x-agent-issuer": row.issuer.encode(),
        b"authorization": None,
        b"dpop": None,
    }
    for name, value in wanted.items():
        if request.value(name) != value:
            yield f"{name!r} arrived as {request.value(name)!r}"
