"""The key that assertions are signed with: read from its file, or made at start.

Thin I/O. Of the file nothing but its path is ever told.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proxy.authn.keyset import KeySetError

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger()


def assertion_key(path: Path | None, made: bytes | None = None) -> Ed25519PrivateKey:
    """Return the key in a file (PEM, PKCS #8, not encrypted); without one, that of the 32 bytes `made`.

    Without either it is a new one.

    Raises:
        KeySetError: the file cannot be read, or holds something else.
    """
    if path is None:
        return Ed25519PrivateKey.generate() if made is None else Ed25519PrivateKey.from_private_bytes(made)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
        exposed = path.stat().st_mode & stat.S_IRWXO
    except OSError as error:
        raise KeySetError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key, exposed = None, 0
    if not isinstance(key, Ed25519PrivateKey):
        raise KeySetError(f"{path}: not an Ed25519 private key in PEM, without a password")
    if exposed:
        _log.warning("assertion_key_exposed", path=str(path), remedy="chmod 600")
    return key
