"""Which requests have no line: of rules that ask for it, most of those that went well.

Pure. Knows records, and a key that nobody else knows. Whatever was refused, or would have been, failed, ended
early or went on as a stream has its line.

A trace has all its lines or none, in every process with the same key. That key keeps a caller, who chooses
the id of its trace, from choosing one that leaves no line.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.config import Rule
    from proxy.model import Closing, Opening

_DIGEST: Final = 8
_ALL: Final = 2 ** (8 * _DIGEST)
_FAILED: Final = 400  # RFC 9110 section 15.5
_SWITCHED: Final = 101


class Sampling:
    """What the rules ask for; false where none does. `secret` is any text that is secret."""

    def __init__(self, rules: Iterable[Rule] = (), secret: str = "") -> None:
        self._rates = {rule.name: rule.log.sample for rule in rules if rule.log.sample is not None}
        self._key = blake2b(secret.encode(), person=b"keystile sample").digest()

    def __bool__(self) -> bool:
        return bool(self._rates)

    def rate(self, opening: Opening, closing: Closing) -> float | None:
        """Return the share of such requests that have a line; None where each has."""
        if opening.rule is None or opening.decision != "allow" or opening.streamed:
            return None
        if closing.reason is not None or closing.status >= _FAILED or closing.status == _SWITCHED:
            return None
        return self._rates.get(opening.rule)

    def keeps(self, opening: Opening, rate: float) -> bool:
        """Return whether this request is among that share."""
        subject = opening.trace_id or opening.request_id
        digest = blake2b(
            subject.encode("utf-8", "surrogatepass"), digest_size=_DIGEST, key=self._key
        ).digest()
        return int.from_bytes(digest) < rate * _ALL
