"""What was revoked: tokens, agents, keys and issuers whose signatures still hold and are worth nothing.

Pure: entries in, one answer for each identity out. Knows no file, no Redis and no clock; a token's own `iat`
(RFC 7519 section 4.1.6) is all the time there is.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from proxy.config import UnfitError, document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from proxy.model import Identity

MAX_ENTRIES = 20_000
"""As many as are read in time: what is revoked has to be refused within a second."""

_NAMES = ("jti", "agent", "key", "issuer")
_CHOICE = "jti, agent, key, issuer and before"

# RFC 3339 section 5.6; `fromisoformat` alone takes much more.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SECONDS = re.compile(r"\d{1,15}(\.\d{1,6})?", re.ASCII)
# Enough for 3,000 years, and too little for milliseconds that are taken for seconds.
_LATEST = 1e11


class Revocation(Struct, frozen=True):
    """One revocation: of what has every name that it gives, and was issued before `before` (Unix seconds)."""

    jti: str | None = None
    agent: str | None = None
    key: str | None = None
    issuer: str | None = None
    before: float | None = None

    def members(self) -> dict[str, str]:
        """Return what it gives, as people write it."""
        given = {name: getattr(self, name) for name in _NAMES if getattr(self, name) is not None}
        if self.before is not None:
            moment = datetime.fromtimestamp(self.before, UTC).isoformat()
            given["before"] = moment.replace("+00:00", "Z")
        return given

    def canonical(self) -> str:
        """Return it as JSON, keys sorted: always the same text for the same entry."""
        return json.dumps(self.members(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


_Named = tuple[str | None, str | None, str | None, str | None]


class Revocations(Struct, frozen=True):
    """All that is revoked. `moments` maps names to the time (Unix seconds) before which tokens are refused.

    `shapes` says which of the four names are given, once for each combination in use: fifteen at most, so
    that an identity costs a few look-ups, however many entries there are.
    """

    moments: Mapping[_Named, float]
    shapes: frozenset[tuple[bool, bool, bool, bool]]

    @classmethod
    def of(cls, entries: Iterable[Revocation]) -> Self:
        """Index entries; of several about the same names the latest `before` counts, and none is later."""
        moments: dict[_Named, float] = {}
        for entry in entries:
            named = (entry.jti, entry.agent, entry.key, entry.issuer)
            moment = math.inf if entry.before is None else entry.before
            moments[named] = max(moment, moments.get(named, -math.inf))
        return cls._indexed(moments)

    @classmethod
    def _indexed(cls, moments: Mapping[_Named, float]) -> Self:
        shapes = {(jti is not None, a is not None, k is not None, i is not None) for jti, a, k, i in moments}
        return cls(moments, frozenset(shapes))

    def revoked(self, identity: Identity) -> bool:
        """Say whether any entry is about this identity; one without `iat` was issued before every moment."""
        for jti, agent, key, issuer in self.shapes:
            moment = self.moments.get(
                (
                    identity.token_id if jti else None,
                    identity.id if agent else None,
                    identity.key_id if key else None,
                    identity.issuer if issuer else None,
                )
            )
            if moment is not None and (identity.issued_at is None or identity.issued_at < moment):
                return True
        return False

    def joined(self, other: Revocations) -> Revocations:
        """Return what either revokes."""
        moments = dict(self.moments)
        for named, moment in other.moments.items():
            moments[named] = max(moment, moments.get(named, -math.inf))
        return self._indexed(moments)

    def beyond(self, other: Revocations) -> Revocations:
        """Return what this revokes and `other` does not."""
        moments = other.moments
        return self._indexed(
            {name: moment for name, moment in self.moments.items() if moments.get(name, -math.inf) < moment}
        )


NOTHING = Revocations.of(())


def read_revocation(tree: object) -> Revocation | list[document.Slip]:
    """Read one entry from a tree (of YAML or JSON), or tell all that is wrong with it."""
    if not isinstance(tree, dict):
        return [document.Slip((), "not a mapping", "write it as in - jti: 7d1c")]
    slips: list[document.Slip] = []
    values: dict[str, str | float] = {}
    for name, value in tree.items():
        read = _KINDS.get(name)
        try:
            if read is None:
                raise UnfitError("unknown key", f"choose from {_CHOICE}")  # noqa: TRY301 - all are told alike
            values[name] = read(value)
        except UnfitError as error:
            slips.append(document.Slip((name,), error.problem, error.remedy))
    if not slips and tree.keys().isdisjoint(_NAMES):
        slips.append(document.Slip((), "names nothing to revoke", "add jti, agent, key or issuer"))
    return slips or Revocation(**values)  # type: ignore[arg-type] # each of its kind


def _text(value: object) -> str:
    if value is None or value == "":
        raise UnfitError("without a value", "write one, or leave the key out")
    if not isinstance(value, str):
        raise UnfitError("not a single value", "write one value")
    return str(value)


def _time(value: object) -> float:
    """Read a time as Unix seconds."""
    seconds = _seconds(value)
    if seconds is None or not 0 <= seconds < _LATEST:
        raise UnfitError("not a time", "write it as in 2026-07-01T12:00:00Z, or as Unix seconds")
    return seconds


def _seconds(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    if _TIME.fullmatch(value):
        with suppress(ValueError):  # a 13th month, a 25th hour
            return datetime.fromisoformat(value.upper()).timestamp()
    return None


_KINDS: Mapping[str, Callable[[object], str | float]] = {**dict.fromkeys(_NAMES, _text), "before": _time}
