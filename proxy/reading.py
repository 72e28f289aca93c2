"""The configuration, with what lies in files: read at start, and read anew while the proxy runs.

Knows when to read and whom to tell; not what a configuration means, nor how one follows another.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from proxy.authn import KeySetError, assertion_key, unreadable, unusable
from proxy.config import ConfigError, Fault, RevocationFile, load
from proxy.files import Files
from proxy.wire import unfit_files

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path

    from proxy.config import Config

# A changed file is read at the second look that sees it alike: its writer has had time to finish.
_LOOK = 1.0

_operations = structlog.get_logger()


def read(path: Path | None, environ: Mapping[str, str], seen: set[Path] | None = None) -> Config:
    """Load a configuration whose files can be used: what is in them is not the loader's to know.

    Arguments as for `proxy.config.load`.

    Raises:
        ConfigError: it cannot be used; holds every fault.
    """
    config = load(path, environ, seen)
    faults = [Fault(at, None, why, "mend it, or name another") for at, why in unusable(config.issuers)]
    if config.assertion is not None:
        try:
            assertion_key(config.assertion.key)
        except KeySetError as error:
            remedy = "make one, as in openssl genpkey -algorithm ed25519"
            faults.append(Fault("assertion.key", None, str(error), remedy))
    if isinstance(config.revocations, RevocationFile):
        why = unreadable(config.revocations.path)
        if why is not None:
            faults.append(Fault("revocations", None, why, "mend the list; [] revokes nothing"))
    faults += [Fault(at, None, why, "mend it, or name another") for at, why in unfit_files(config)]
    if faults:
        raise ConfigError(tuple(faults))
    return config


class Reloader:
    """Reads the configuration anew when it is asked to, or sees its files change; one reading at a time.

    `files` are those that it was made of. `apply` lets a configuration take effect; it raises ConfigError
    where that cannot be, with nothing changed. `current` gives the one that is in effect. `ended` is told of
    each reading whether that came of it.
    """

    def __init__(
        self,
        path: Path | None,
        environ: Mapping[str, str],
        files: Iterable[Path],
        current: Callable[[], Config],
        apply: Callable[[Config], Awaitable[None]],
        ended: Callable[[bool], None],
    ) -> None:
        self._path = path
        self._environ = environ
        self._current = current
        self._apply = apply
        self._ended = ended
        self._asked = asyncio.Event()
        self._files = Files(files)

    def ask(self) -> None:
        """Have it read anew, as soon as that can be."""
        self._asked.set()

    async def run(self) -> None:
        """Read when it is due, for ever."""
        while True:
            try:
                async with asyncio.timeout(_LOOK if self._current().watch else None):
                    await self._asked.wait()
            except TimeoutError:
                if not await asyncio.to_thread(self._files.have_changed):
                    continue
            self._asked.clear()
            await self._reload()

    async def _reload(self) -> None:
        seen: set[Path] = set()
        succeeded = False
        try:
            # The marks come first: what changes while it is read is seen at the next look.
            await asyncio.to_thread(self._files.mark)
            config = await asyncio.to_thread(self._read, seen)
            await self._apply(config)
        except ConfigError as error:
            for fault in error.faults:
                _operations.error("reload_refused", fault=str(fault))
            _operations.error("reload_failed", faults=len(error.faults), remedy="the old one stays in effect")
        except Exception as error:  # noqa: BLE001 - whatever it was, the old one stays and can be replaced later
            _operations.error("reload_failed", error=type(error).__name__)
        else:
            succeeded = True
            _operations.info("reloaded", rules=len(config.rules), issuers=len(config.issuers))
        self._ended(succeeded)
        await asyncio.to_thread(self._files.follow, seen)

    def _read(self, seen: set[Path]) -> Config:
        path = self._path
        if path is not None and path.exists() and not path.is_file():
            fault = Fault(
                str(path), None, "not a plain file: it cannot be read again", "name one, and restart"
            )
            raise ConfigError((fault,))
        return read(path, self._environ, seen)
