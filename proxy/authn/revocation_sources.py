"""From what the configuration says to where revocations are read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.authn.revocation_file import FileSource, add_to_file
from proxy.authn.revocation_redis import RedisSource, add_to_redis
from proxy.authn.revocation_source import RevocationSource
from proxy.config import RevocationFile, RevocationRedis

if TYPE_CHECKING:
    from proxy.authn.revocation import Revocation


def revocation_source(configured: RevocationFile | RevocationRedis | None) -> RevocationSource:
    """Make the source that `revocations` names; without one, nothing is ever revoked."""
    if isinstance(configured, RevocationFile):
        return FileSource(configured.path)
    if isinstance(configured, RevocationRedis):
        return RedisSource(configured.url.get_secret_value())
    return RevocationSource()


def revoke(configured: RevocationFile | RevocationRedis, item: Revocation, now: float) -> bool:
    """Write an entry where `revocations` says, at `now` (Unix seconds); False if it was there already.

    Raises:
        RevocationError: what is there cannot be read or written, or takes no further entry.
    """
    if isinstance(configured, RevocationFile):
        return add_to_file(configured.path, item)
    return add_to_redis(configured.url.get_secret_value(), item, now)
