"""Revocations in a file: read, watched, and added to.

Thin I/O around `revocation_list`. It looks at the file's status four times a second, which works for every
way of replacing a file and on every file system, and reads what has changed at the next look, when its writer
has had time to finish. What appears in the file is refused at once; what disappears is admitted
again only after the file has rested, for half of a list may read like a list.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.authn.revocation import Revocation, Revocations
from proxy.authn.revocation_list import entries, extended
from proxy.authn.revocation_source import RevocationError, RevocationSource

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK = 0.25
_REST = 2.0
_MAX_BYTES = 1 << 23
_FAULTS_SHOWN = 20

_Stamp = tuple[int, ...] | None


class FileSource(RevocationSource):
    """The revocations in the file at `path`. `look` is seconds between two looks at it.

    `rest` is how long (seconds) it must have been unchanged before what is gone from it is admitted again.
    """

    def __init__(self, path: Path, look: float = _LOOK, rest: float = _REST) -> None:
        super().__init__()
        self.ready = False
        self._path = path
        self._look_every = look
        self._rest = rest
        self._listed = self.current
        """What the file says; what is refused may be more, for a while."""
        self._listed_at = 0.0
        self._seen: _Stamp = None
        self._read: _Stamp = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the file, and watch it from now on.

        Raises:
            RevocationError: it cannot be read, or is no list of revocations.
        """
        now = asyncio.get_running_loop().time()
        self._seen = self._read = await asyncio.to_thread(_stamp, self._path)
        self._listed = await asyncio.to_thread(_revocations, self._path)
        self._confirmed(now)
        self._adopt(self._listed)
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_every)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - whatever happens, the watch goes on
                self._failed(f"{self._path}: {type(error).__name__}")

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        stamp = await asyncio.to_thread(_stamp, self._path)
        before, self._seen = self._seen, stamp
        if stamp == self._read:
            if self._problem is None:
                self._confirmed(now)
            if now - self._listed_at >= self._rest:
                self._adopt(self._listed)
            return
        if before == self._read:
            return  # Only just changed: the next look reads it, changed again or not.
        at_rest = stamp == before
        try:
            listed = await asyncio.to_thread(_revocations, self._path)
        except RevocationError as error:
            self._listed = self.current
            # While it is being written, a broken file is no news.
            if at_rest:
                self._read = stamp
                self._failed(str(error))
            return
        self._confirmed(now)
        if at_rest:
            self._read = stamp
        self._listed, self._listed_at = listed, now
        self._adopt(self.current.joined(listed))


def unreadable(path: Path) -> str | None:
    """Say what is wrong with a list of revocations, in one sentence or several; None where nothing is."""
    try:
        _revocations(path)
    except RevocationError as error:
        return str(error).replace("\n", ". ")
    return None


def add_to_file(path: Path, item: Revocation) -> bool:
    """Add an entry to the file; False if it was there already.

    The new file replaces the old one whole, with its mode and owner; others who do the same wait meanwhile.

    Raises:
        RevocationError: the file is no list of revocations, its layout takes no further entry, or it cannot
            be read or replaced.
    """
    try:
        # A link stays, and what it points to is replaced.
        return _added(path.resolve(), item)
    except OSError as error:
        raise RevocationError(f"{path}: {error.strerror}") from None


def _added(path: Path, item: Revocation) -> bool:
    with _locked(path.parent) as folder:
        text = _text(path)
        if item in _entries(path, text):
            return False
        longer = extended(text, item)
        if longer is None:
            raise RevocationError(f"{path}: takes no further entry; add it by hand: {item.canonical()}")
        _replace(path, longer, folder, path.stat())
    return True


def _stamp(path: Path) -> _Stamp:
    """Return what changes whenever the file does; None where there is none to see."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _revocations(path: Path) -> Revocations:
    try:
        text = _text(path)
    except FileNotFoundError:
        raise RevocationError(
            f"{path}: no such file; mend its path, or make it: [] revokes nothing"
        ) from None
    except OSError as error:
        raise RevocationError(f"{path}: cannot be read: {error.strerror}; mend its path or mode") from None
    return Revocations.of(_entries(path, text))


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise RevocationError(f"{path}: larger than 8 MiB; remove what has expired")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RevocationError(f"{path}: not UTF-8 text; save it as UTF-8") from None


def _entries(path: Path, text: str) -> list[Revocation]:
    found, faults = entries(text)
    if not faults:
        return found
    told = [f"{path}: {fault}" for fault in faults[:_FAULTS_SHOWN]]
    if len(faults) > _FAULTS_SHOWN:
        told.append(f"and {len(faults) - _FAULTS_SHOWN} more")
    raise RevocationError("\n".join(told))


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the folder's lock: the file's own would go with the file that is replaced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str, folder: int, old: os.stat_result) -> None:
    """Put a new file in the place of `old`; whoever reads meanwhile sees one of them, whole."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            _keep_owner(file.fileno(), old)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    os.fsync(folder)


def _keep_owner(descriptor: int, old: os.stat_result) -> None:
    """Give the new file the old one's owner and mode: the proxy must still be able to read it."""
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o7777)
