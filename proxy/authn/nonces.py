"""The server's nonces for DPoP proofs (RFC 9449 sections 8 and 9): a proof with one was not made long before.

Pure, with `now` as a value. Keeps nothing: a nonce is a MAC of the time, so whoever has the key can check it.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

# Seconds for which one nonce is handed out; it is taken for as long again.
_SLOT = 120


class Nonces:
    """Nonces under one `key`, which workers and replicas that serve the same clients must share."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def current(self, now: float) -> str:
        """Return the nonce to hand out at `now` (Unix seconds): 22 characters."""
        return self._made(int(now // _SLOT))

    def holds(self, nonce: object, now: float) -> bool:
        """Say whether a proof's nonce is this slot's, or the last one's."""
        # compare_digest takes ASCII text only; every nonce of ours is.
        if not isinstance(nonce, str) or not nonce.isascii():
            return False
        slot = int(now // _SLOT)
        return any(hmac.compare_digest(nonce, self._made(one)) for one in (slot, slot - 1))

    def _made(self, slot: int) -> str:
        mac = hmac.digest(self._key, b"DPoP-Nonce %d" % slot, "sha256")
        return urlsafe_b64encode(mac[:16]).rstrip(b"=").decode()
