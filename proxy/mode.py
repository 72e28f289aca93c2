"""`mode`: whether what rules refuse is refused, or only noted (observe); all else is refused in either.

Pure. Knows reasons, and nothing of how they were come by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.model import Reason

if TYPE_CHECKING:
    from proxy.config import Config
    from proxy.model import Deny, Opening

WOULD_DENY = "would_deny"
_OF_RULES = frozenset(
    {
        Reason.SCOPE_INSUFFICIENT,
        Reason.CLAIM_REFUSED,
        Reason.OPERATION_REFUSED,
        Reason.ROUTE_UNMATCHED,
        Reason.RATE_LIMITED,
    }
)


class Mode:
    """The `mode` of a configuration; `observes` says that it is `observe`."""

    def __init__(self, config: Config) -> None:
        self.observes = config.mode == "observe"

    def stands(self, refused: Deny, opening: Opening) -> bool:
        """Say whether a refusal stands; one that is only observed is noted in `opening`, the first of them.

        It stands where nobody was authenticated.
        """
        if not self.observes or opening.caller is None or refused.reason not in _OF_RULES:
            return True
        if opening.decision != WOULD_DENY:
            opening.decision, opening.reason = WOULD_DENY, refused.reason
            if refused.entry is not None:
                opening.entry, opening.required = refused.entry, refused.needed or opening.required
        return False
