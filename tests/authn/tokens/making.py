"""A row of the table, and how its token is made: at the moment at which it is judged.

Knows how to sign anything; nothing of the product but the names of its reasons.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.authn.tokens.issuers import AGENT, ED, MAIN
from tests.support.harness import RESOURCE
from tests.support.keys import b64, compact

if TYPE_CHECKING:
    from proxy.model import Reason
    from tests.support.keys import SigningKey


@dataclass(frozen=True)
class When:
    """The moment at which a token is judged (Unix seconds).

    `slack` is how far from an edge a token must stay so that the time until it is judged does not count.
    """

    now: float
    slack: float


@dataclass(frozen=True)
class At:
    """A date as a claim has it: `seconds` from now, and `edge` times the slack beyond."""

    seconds: float
    edge: int = 0

    def date(self, when: When) -> float:
        return when.now + self.seconds + self.edge * when.slack


Maker = Callable[[When], str]
Text = str | bytes
Change = Callable[[str], Text]

ABSENT: Final = object()
"""A member or claim that is left out; None is JSON's null."""


@dataclass(frozen=True)
class Row:
    """One token and what becomes of it.

    `reason` is None where it is admitted. `agent` is who arrives upstream, or whom the log names beside the
    refusal. `scopes` is what arrives with an admitted one. `over_http` is the reason where a whole request is refused
    though the token by itself holds, or where the wire sees the fault first; `prover` signs a proof beside it.
    """

    says: str
    make: Maker
    reason: Reason | None = None
    agent: str | None = None
    scopes: tuple[str, ...] = ("read",)
    issuer: str = MAIN
    over_http: Reason | None = None
    prover: SigningKey | None = None


def admitted(says: str, make: Maker, agent: str = AGENT, **more: Any) -> Row:
    """A token that must work."""
    return Row(says, make, None, agent, **more)


def refused(says: str, reason: Reason, make: Maker, **more: Any) -> Row:
    """A token that is refused, and names nobody: what it says of itself did not hold."""
    return Row(says, make, reason, None, **more)


def named(says: str, reason: Reason, make: Maker, agent: str = AGENT, **more: Any) -> Row:
    """A token that is refused though its signature held: the log names the agent."""
    return Row(says, make, reason, agent, **more)


def usual_claims(when: When, changes: Mapping[str, Any]) -> dict[str, Any]:
    whole = {
        "iss": MAIN,
        "aud": RESOURCE,
        "sub": AGENT,
        "iat": int(when.now) - 10,
        "exp": int(when.now) + 600,
        "scope": "read",
        **changes,
    }
    dated = {name: value.date(when) if isinstance(value, At) else value for name, value in whole.items()}
    return {name: value for name, value in dated.items() if value is not ABSENT}


def usual_header(key: SigningKey, changes: Mapping[str, Any]) -> dict[str, Any]:
    whole = {"alg": key.algorithm, "typ": "JWT", "kid": ABSENT if key.kid is None else key.kid, **changes}
    return {name: value for name, value in whole.items() if value is not ABSENT}


def build(
    key: SigningKey = ED,
    header: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
    sign: Callable[[bytes], bytes] | None = None,
) -> Maker:
    """Sign with `key`, or with whatever `sign` returns; `header` and `claims` are changes to the usual ones."""

    def make(when: When) -> str:
        return compact(
            json.dumps(usual_header(key, header or {})),
            json.dumps(usual_claims(when, claims or {})),
            sign or key.sign,
        )

    return make


def signed(key: SigningKey = ED, /, **header: Any) -> Maker:
    """The usual claims under a header with these members."""
    return build(key, header)


def saying(key: SigningKey = ED, /, **claims: Any) -> Maker:
    """Honestly signed claims."""
    return build(key, None, claims)


def texts(header: Change | None = None, payload: Change | None = None) -> Maker:
    """Honestly signed JSON texts, made of the usual ones: bytes of any kind."""

    def make(when: When) -> str:
        head, body = json.dumps(usual_header(ED, {})), json.dumps(usual_claims(when, {}))
        return compact(header(head) if header else head, payload(body) if payload else body, ED.sign)

    return make


def header_with(members: str) -> Maker:
    return texts(header=lambda text: f"{text[:-1]}, {members}}}")


def payload_with(members: str) -> Maker:
    return texts(payload=lambda text: f"{text[:-1]}, {members}}}")


def parts(change: Callable[[str, str, str], str], make: Maker | None = None) -> Maker:
    """A good token taken apart, and put together otherwise."""
    good = make or signed()
    return lambda when: change(*good(when).split("."))


def resigned(change: Callable[[str, str], str], key: SigningKey = ED) -> Maker:
    """A token whose first two parts are spelled otherwise, and honestly signed as they are spelled."""

    def make(when: When) -> str:
        header, payload, _ = build(key)(when).split(".")
        signing_input = change(header, payload)
        return f"{signing_input}.{b64(key.sign(signing_input.encode()))}"

    return make


def forged(key: SigningKey, signature: Callable[[bytes], bytes] | bytes, **header: Any) -> Maker:
    """The header and claims of a token of `key`, with another signature."""
    fixed = (lambda _: signature) if isinstance(signature, bytes) else signature
    return build(key, header, sign=fixed)
