"""No token names anybody unless the tests' own reference, which shares no line with the product, names the same one.

Tokens are made by structure (members of header and claims that are odd, missing, twice, of another type), signed,
and then now and then changed in their bytes. The other way round, what the reference admits is admitted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from proxy.authn import credential
from proxy.authn.credential import digest_of
from proxy.model import Caller, Deny
from tests.authn import strategies
from tests.authn.reference import Accepted, judge
from tests.authn.strategies import ABSENT, ALPHABET, mutated
from tests.authn.test_properties import (
    EACH_CLAIM,
    EACH_HEADER,
    ED,
    ED_2,
    ES256,
    KEYS,
    NOW,
    ODD_VALUES,
    PLAIN,
    STRANGER,
    STRICT,
    TERMS,
    fresh_verifier,
    heading,
    honest,
    tokens,
    told,
    verified,
    verifier,
)
from tests.fuzz.frame import Target, at_length, cut, fuzz, often
from tests.support.keys import compact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.authn.strategies import Change

SIGNERS = [*KEYS, (PLAIN, ED), (PLAIN, ED), (PLAIN, ED_2), (PLAIN, ES256), (PLAIN, STRANGER), (STRICT, ED)]
_MOMENTS = [NOW] * 8 + [
    NOW + by for by in (-31, -30, -5.5, 0.5, 3600, 3604.9, 3605, 3629.9, 3630, 80_000, -(10**9))
]
_NAMES = [
    '"sub"',
    '"iss"',
    '"aud"',
    '"exp"',
    '"alg"',
    '"kid"',
    '"typ"',
    '"s\\u0075b"',
    '"Sub"',
    '"x"',
    '"crit"',
    '"cnf"',
]
_SPACES = ["", "", "", "", " ", "\n", "\t\r", "\v", "\u00a0", "\ufeff", "{}", ",", "\0", "//"]
_SPELLINGS = ["padded", "plain", "broken", "junk", "stray", "longer"]


@dataclass(frozen=True)
class Case:
    """A token: two texts signed by one of the signers, then changed; and when it is shown."""

    header: str
    claims: str
    signer: int
    changes: tuple[Change, ...]
    other: int
    now: float

    def token(self) -> bytes:
        key = SIGNERS[self.signer][1]
        made = compact(self.header, self.claims, key.sign).encode("utf-8", "surrogatepass")
        return mutated(made, tokens()[self.other], list(self.changes))


def make(random: Random) -> Case:
    signer = random.randrange(len(SIGNERS))
    issuer, key = SIGNERS[signer]
    header = _text(random, heading(key), EACH_HEADER, most=random.choice((0, 0, 0, 1, 2)))
    claims = _text(random, honest(issuer), EACH_CLAIM, most=random.choice((0, 0, 1, 2, 4)))
    changes = tuple(_change(random) for _ in range(random.choice((0, 0, 0, 1, 1, 3))))
    return Case(header, claims, signer, changes, random.randrange(13), random.choice(_MOMENTS))


def smaller(case: Case) -> Iterator[Case]:
    for number in range(len(case.changes)):
        yield replace(case, changes=case.changes[:number] + case.changes[number + 1 :])
    for texts in (
        {"now": NOW},
        {"header": json.dumps(heading(SIGNERS[case.signer][1]))},
        {"claims": json.dumps(honest(SIGNERS[case.signer][0]))},
    ):
        yield replace(case, **texts)
    yield from (
        replace(case, claims=text.decode("utf-8", "ignore"))
        for text in cut(case.claims.encode("utf-8", "ignore"))
    )
    yield from (
        replace(case, header=text.decode("utf-8", "ignore"))
        for text in cut(case.header.encode("utf-8", "ignore"))
    )


def _text(random: Random, sound: dict[str, Any], odd: list[tuple[str, Any]], most: int) -> str:
    members = {**sound, **dict(random.choices(odd, k=most))}
    text = json.dumps(
        {name: value for name, value in members.items() if value is not ABSENT},
        ensure_ascii=often(random, 0.5),
    )
    if often(random, 0.1):
        added = f"{random.choice(_NAMES)}:{random.choice(ODD_VALUES)}"
        text = f"{{{added},{text[1:]}" if often(random, 0.5) else f"{text[:-1]},{added}}}"
    if often(random, 0.05):
        text = random.choice(_SPACES) + text + random.choice(_SPACES)
    return text


def _change(random: Random) -> Change:  # noqa: PLR0911 - one for each kind of change
    place, part = random.randrange(10_000), random.randrange(3)
    match random.randrange(7):
        case 0:
            return strategies.flipped(place, random.randrange(8))
        case 1:
            return strategies.spliced(place, random.randrange(4), random.randbytes(random.randrange(4)))
        case 2:
            return strategies.spliced(place, random.choice((0, 1, 400)), random.choice(ALPHABET).encode())
        case 3:
            return strategies.taken((often(random, 0.5), often(random, 0.5), often(random, 0.5)))
        case 4:
            return strategies.reordered(tuple(random.randrange(3) for _ in range(random.randrange(5))))
        case 5:
            return strategies.respelled(part, random.choice(_SPELLINGS))
        case _:
            return strategies.recoded(part, place, random.randrange(256))


class Tokens:
    """The verifier, for the runs of one process."""

    def __init__(self) -> None:
        self.admitted = 0

    def check(self, case: Case) -> None:
        token = case.token()
        sent = credential(b"Bearer " + token, repeated=False)
        # One verifier sees no clock go back.
        by = verifier() if case.now == NOW else fresh_verifier()
        ours = sent if isinstance(sent, Deny) or sent is None else verified(sent.token, case.now, by)
        theirs = judge(token, TERMS, case.now)
        kept = by.cached(digest_of(token), case.now)
        if isinstance(theirs, Accepted):
            assert isinstance(ours, Caller), f"refused: {ours}"
            assert told(ours.identity) == theirs
            assert kept is ours
            self.admitted += 1
        else:
            assert isinstance(ours, Deny), f"admitted in spite of: {theirs}"
            assert kept is None
            assert ours.caller is None or theirs not in NOBODYS, f"named in spite of: {theirs}"


NOBODYS = {
    "signature",
    "iss",
    "alg",
    "alg is not one of the issuer's",
    "no key, or more than one",
    "not three parts",
}
"""Why the reference refuses a token that nobody has signed: such a refusal names nobody (design, section 11)."""


@pytest.fixture
def rig() -> Iterator[Tokens]:
    with capture_logs():
        yield Tokens()


def target(rig: Tokens) -> Target[Case]:
    return Target("tokens", make, rig.check, smaller)


def test_tokens_of_any_make(rig: Tokens) -> None:
    fuzz(target(rig), 1_500, seed=5)
    # Enough of them hold to say something.
    assert rig.admitted > 100


@pytest.mark.long
def test_tokens_of_any_make_at_length(rig: Tokens, capsys: pytest.CaptureFixture[str]) -> None:
    at_length(target(rig), capsys)
