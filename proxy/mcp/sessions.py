"""Sealed sessions: what the upstream calls a session, or an event, for nobody but the agent who has it.

Nothing is stored: the seal itself says whose it is. AES-SIV (RFC 5297) is deterministic, so one session has
one sealed name per agent, and any process with the key can open it. Who the agent is, this file takes as
given: it never sees a token.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.model import Identity

Purpose = Literal["session", "endpoint", "event"]

LONGEST = 3056
"""Bytes of a value that can be sealed, at most: what is sealed then has 4 KiB."""

_VERSION = b"keystile 1"
_KEY_BYTES = 64  # AES-256 in SIV takes two keys
_LONGEST_SEALED = 4096
_NOBODY = b""


class Seals:
    """Seals what the upstream hands out, for one agent at one server.

    `keys` are texts of enough entropy: the first seals, each one opens. What `resource` and `upstream` say
    is bound into every seal, so that servers which share a key do not share sessions.
    """

    __slots__ = ("_about", "_ciphers")

    def __init__(self, keys: Sequence[str], resource: str, upstream: str) -> None:
        self._ciphers = tuple(AESSIV(_derived(key)) for key in keys)
        where = _prefixed(resource) + _prefixed(upstream)
        self._about: dict[Purpose, bytes] = {
            "session": _VERSION + _prefixed("session") + where,
            "endpoint": _VERSION + _prefixed("endpoint") + where,
            "event": _VERSION + _prefixed("event") + where,
        }

    def seal(self, purpose: Purpose, value: bytes, identity: Identity | None, session: bytes = b"") -> bytes:
        """Seal `value`, 1 to `LONGEST` bytes, for `identity`: base64url (RFC 4648 section 5), not padded.

        What belongs to a session of the upstream's opens in that `session` alone.
        """
        sealed = self._ciphers[0].encrypt(value, self._bound(purpose, identity, session))
        return urlsafe_b64encode(sealed).rstrip(b"=")

    def open(
        self, purpose: Purpose, sealed: bytes, identity: Identity | None, session: bytes = b""
    ) -> bytes | None:
        """Return what was sealed; None where it was not sealed here, for this purpose and this agent."""
        raw = _decoded(sealed)
        if raw is None:
            return None
        about = self._bound(purpose, identity, session)
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(raw, about)
            except InvalidTag:
                continue
        return None

    def _bound(self, purpose: Purpose, identity: Identity | None, session: bytes) -> list[bytes]:
        return [self._about[purpose], _holder(identity), *([session] if session else ())]


def digest(sealed: bytes) -> str:
    """Name a sealed session in the log, where nobody may find one to use."""
    return sha256(sealed).hexdigest()[:16]


def _derived(key: str) -> bytes:
    """Derive the AES-SIV key from a text (RFC 5869)."""
    kdf = HKDF(SHA256(), _KEY_BYTES, salt=None, info=_VERSION + b" AES-256-SIV")
    return kdf.derive(key.encode())


def _holder(identity: Identity | None) -> bytes:
    """Say whose a seal is: `sub` is unique only within its issuer."""
    return _NOBODY if identity is None else _prefixed(identity.issuer) + _prefixed(identity.id)


def _prefixed(text: str) -> bytes:
    """Put its length before a text: no two lists of texts then read alike."""
    # A claim may hold half of a surrogate pair, which plain UTF-8 has no bytes for.
    data = text.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(4, "big") + data


def _decoded(sealed: bytes) -> bytes | None:
    """Undo the base64url; None where it is not spelled as `Seals.seal` spells it."""
    if len(sealed) > _LONGEST_SEALED:
        return None
    try:
        raw = urlsafe_b64decode(sealed + b"=" * (-len(sealed) % 4))
    except binascii.Error:
        return None
    # The decoder skips what is no base64, and ignores the last bits.
    return raw if urlsafe_b64encode(raw).rstrip(b"=") == sealed else None
