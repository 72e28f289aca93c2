"""The `jwks_cache` directory: each issuer's last good keys, for a start while the issuer cannot be reached.

Thin I/O. Whoever can write these files chooses whose tokens are accepted: they are private to the user that
Keystile runs as, and one that is not is not believed. Their trouble is logged and never more than that.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import Struct

from proxy.authn.compact import json_object
from proxy.authn.keyset import MAX_BYTES, KeySet, KeySetError, key_set

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What is written around a key set is short.
_MAX_BYTES = MAX_BYTES + 16 * 1024
_FOREIGN_WRITERS = stat.S_IWGRP | stat.S_IWOTH

_log = structlog.get_logger()


class Kept(Struct, frozen=True):
    """Keys as they were fetched at `fetched_at` (Unix seconds)."""

    keys: KeySet
    fetched_at: float


class JwksCache:
    """One issuer's file in the directory.

    `source` is where the keys come from: keys from elsewhere are not this configuration's.
    """

    def __init__(self, folder: Path, issuer: str, source: str | None) -> None:
        self._folder = folder
        self._path = folder / f"{sha256(issuer.encode()).hexdigest()}.json"
        self._about = {"issuer": issuer, "source": source}
        self._problem: str | None = None

    def keep(self, document: bytes, fetched_at: float) -> None:
        """Write a key set that was fetched at `fetched_at` (Unix seconds): all of it, or nothing."""
        head = json.dumps({**self._about, "fetched_at": fetched_at}).encode()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self._path, head.removesuffix(b"}") + b', "jwks": ' + document + b"}\n")
        except OSError as error:
            self._tell(f"{self._path}: {error.strerror}")
        else:
            self._problem = None

    def last(self, now: float) -> Kept | None:
        """Read what was kept; None where that is nothing, or not to be believed at `now` (Unix seconds)."""
        try:
            return self._checked(json_object(_content(self._path)), now)
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = str(error.strerror)
        except KeySetError as error:
            problem = str(error)
        _log.warning("jwks_cache_ignored", issuer=self._about["issuer"], problem=f"{self._path}: {problem}")
        return None

    def _checked(self, kept: Mapping[str, Any] | None, now: float) -> Kept:
        if kept is None:
            raise KeySetError("it is not a plain JSON object")
        if any(name not in kept or kept[name] != value for name, value in self._about.items()):
            raise KeySetError("it is about another issuer, or keys from elsewhere")
        fetched_at = kept.get("fetched_at")
        if not isinstance(fetched_at, int | float) or isinstance(fetched_at, bool):
            raise KeySetError("it does not say when the keys were fetched")
        # `max_stale` counts from that moment: one in the future would make the keys last longer.
        if fetched_at > now:
            raise KeySetError("it was written in the future")
        jwks = kept.get("jwks")
        return Kept(key_set(jwks if isinstance(jwks, dict) else {}), float(fetched_at))

    def _tell(self, problem: str) -> None:
        """Log a problem when it comes, not at each fetch."""
        if problem != self._problem:
            _log.warning("jwks_cache_not_written", issuer=self._about["issuer"], problem=problem)
        self._problem = problem


def _content(path: Path) -> bytes:
    # Neither a link to elsewhere is followed, nor a pipe waited for.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        seen = os.fstat(file.fileno())
        if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & _FOREIGN_WRITERS:
            raise KeySetError("somebody else could have written it")
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise KeySetError("it is too large")
    return content


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, so that no reader ever sees half of it."""
    # A name of its own for each writer: workers and replicas may share the directory.
    draft = path.with_name(f".{path.stem[:16]}-{os.urandom(8).hex()}")
    try:
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
        ) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
