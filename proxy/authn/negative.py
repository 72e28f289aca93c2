"""The negative cache: key ids that no key has, and which of them a later fetch has answered.

Pure, with `now` as a value. A kid is unknown only after a fetch that succeeded and that *began* after the kid
was first seen; until then it may be the issuer's newest key. A clock cannot say which of two came first in
one tick, so fetches are numbered, and a sighting keeps the number of the last one begun.

What is forgotten is asked about again: where made-up kids push one out, its tokens get 503 instead of 401
until the next fetch, but never a 401 that is not true. A kid that a fetch brings is not looked up here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    Pair = tuple[str, str | None]
    """The alg and kid of a token."""


class NegativeCache:
    """First sightings of at most `size` pairs of alg and kid; when it is full, the oldest goes."""

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._sightings: dict[Pair, int] = {}
        self._begun = 0
        self._succeeded = 0
        self._stands_until = -math.inf

    def begin(self) -> int:
        """Count a fetch that begins now; returns its number."""
        self._begun += 1
        return self._begun

    def succeed(self, fetch: int, until: float, removed: Iterable[Pair] = ()) -> None:
        """Note that a fetch brought a key set; what it lacks is unknown `until` then (Unix seconds).

        What it `removed` was seen before it, in the set that it replaces.
        """
        self._succeeded, self._stands_until = fetch, until
        for pair in removed:
            self._note(pair, fetch - 1)

    def is_answered(self, algorithm: str, kid: str | None, now: float) -> bool:
        """Say whether a fetch since the first sighting has answered; the first call is that sighting.

        A token without kid asks for any key that fits its alg: hence the pair.
        """
        pair = algorithm, kid
        seen = self._sightings.get(pair)
        # An answer too old to stand makes the next sighting a first one again.
        if seen is None or (seen < self._succeeded and now >= self._stands_until):
            self._note(pair, self._begun)
            return False
        return seen < self._succeeded

    def _note(self, pair: Pair, fetch: int) -> None:
        self._sightings.pop(pair, None)
        self._sightings[pair] = fetch
        if len(self._sightings) > self._size:
            del self._sightings[next(iter(self._sightings))]
