"""Proofs that were used before: refused for as long as they could be used, within a bound."""

from __future__ import annotations

import pytest

from proxy.authn.replay import UsedProofs
from proxy.model import Reason
from tests.support.steps import straight

NOW = 1_700_000_000.0
ALICE, BOB = ("https://issuer.test", "alice"), ("https://issuer.test", "bob")


def use(
    used: UsedProofs, proof: bytes, agent: tuple[str, str] = ALICE, until: float = NOW + 65, now: float = NOW
) -> Reason | None:
    deny = straight(used.use(agent, proof, until, now))
    return None if deny is None else deny.reason


AGAIN = [
    pytest.param(NOW, id="at once"),
    pytest.param(NOW + 30, id="half a minute later"),
    pytest.param(NOW + 64.9, id="at the last moment"),
]


@pytest.mark.parametrize("later", AGAIN)
def test_a_proof_passes_once(later: float) -> None:
    used = UsedProofs()
    assert use(used, b"one") is None
    assert use(used, b"one", now=later) is Reason.PROOF_INVALID
    assert use(used, b"two", now=later) is None


def test_the_same_digest_with_another_end_is_the_same_proof() -> None:
    used = UsedProofs()
    assert use(used, b"one") is None
    assert use(used, b"one", until=NOW + 125, now=NOW + 60) is Reason.PROOF_INVALID


def test_agents_do_not_meet() -> None:
    used = UsedProofs()
    assert use(used, b"one", ALICE) is None
    assert use(used, b"one", BOB) is None


def test_one_agent_fills_its_own_share_and_no_more() -> None:
    used = UsedProofs(limit=40)
    outcomes = [use(used, b"%d" % number) for number in range(12)]
    assert outcomes == [None] * 10 + [Reason.OVERLOADED] * 2
    assert use(used, b"0") is Reason.PROOF_INVALID, "nothing was pushed out"
    assert use(used, b"0", BOB) is None


def test_all_agents_together_have_a_bound() -> None:
    used = UsedProofs(limit=8)
    agents = [("https://issuer.test", f"agent-{number}") for number in range(9)]
    outcomes = [use(used, b"proof", agent) for agent in agents]
    assert outcomes == [None] * 8 + [Reason.OVERLOADED]


def test_room_comes_back_with_time() -> None:
    used = UsedProofs(limit=4)
    assert use(used, b"one") is None
    assert use(used, b"two", until=NOW + 95) is Reason.OVERLOADED
    assert use(used, b"two", until=NOW + 160, now=NOW + 95) is None
    assert use(used, b"one", until=NOW + 160, now=NOW + 95) is Reason.OVERLOADED


def test_nothing_is_kept_of_what_is_over() -> None:
    used = UsedProofs(limit=1_000)
    for number in range(2_000):
        now = NOW + number
        assert use(used, b"%d" % number, until=now + 65, now=now) is None
    assert sum(len(proofs) for bucket in used._buckets.values() for proofs in bucket.values()) <= 100
    assert used._count <= 100
