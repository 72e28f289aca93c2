"""How keys, verified tokens and revocations fare, as values for whoever operates the proxy.

Pure, and nothing here is secret: names of issuers, numbers and ages.
"""

from __future__ import annotations

from msgspec import Struct


class KeysState(Struct, frozen=True):
    """One issuer's keys.

    `age` is seconds since they were last read, None where they never were; `stale` says that the latest
    attempt failed. `fetched` and `failed` count the attempts. `asks` says that the issuer is asked about
    tokens that need none of its keys.
    """

    issuer: str
    keys: int = 0
    usable: bool = False
    stale: bool = False
    age: float | None = None
    fetched: int = 0
    failed: int = 0
    asks: bool = False


class Attempts(Struct):
    """How often reading something was tried, and how that ended."""

    succeeded: int = 0
    failed: int = 0


class Looked(Struct):
    """How often a cache was asked, and what it knew."""

    hits: int = 0
    misses: int = 0


class TokensState(Struct, frozen=True):
    """The cache of verified tokens: how many it holds, how often it knew one and how often not."""

    entries: int = 0
    hits: int = 0
    misses: int = 0


class RevocationsState(Struct, frozen=True):
    """What is revoked, and whether that is known to be so.

    `age` is seconds since the source was last seen to say so, None where it never was; `failing` says that
    reading it has failed since; `failures` counts that.
    """

    entries: int = 0
    ready: bool = True
    failing: bool = False
    age: float | None = None
    failures: int = 0
