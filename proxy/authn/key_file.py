"""A key set in a file. Thin I/O: errors are `KeySetError`, name the file, and quote nothing of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.authn.fetch import Fetched
from proxy.authn.keyset import MAX_BYTES, KeySetError, read_key_set

if TYPE_CHECKING:
    from pathlib import Path


class KeyFile:
    """Reads one file again and again; what is in it is taken apart only when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = Fetched()

    async def read(self) -> Fetched:
        """Read the key set in another thread; errors as `read_now`."""
        return await asyncio.to_thread(self.read_now)

    def read_now(self) -> Fetched:
        """Read the key set.

        Raises:
            KeySetError: the file cannot be read, or is no key set.
        """
        try:
            document = self._head()
            # The whole text is compared: a file may change twice within one tick of its modification time.
            if document != self._last.document:
                self._last = Fetched(read_key_set(document), document)
        except OSError as error:
            raise KeySetError(f"{self._path}: {error.strerror}") from None
        except KeySetError as error:
            raise KeySetError(f"{self._path}: {error}") from None
        return self._last

    def _head(self) -> bytes:
        """Read no more than what shows that a file is too large."""
        with self._path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
