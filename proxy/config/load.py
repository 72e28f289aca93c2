"""From a file, or the environment alone, to a `Config`: the room's only I/O.

Faults of YAML, of references, of shape and of meaning are told together: what is sound of a faulty tree is
judged as well.
"""

from __future__ import annotations

from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

from proxy.config import document, environment, meaning, references, remainder, shape
from proxy.config.document import Slip
from proxy.config.faults import ConfigError, Fault, written
from proxy.config.issuer import JwksFile
from proxy.config.schema import Config
from proxy.config.stores import RevocationFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from proxy.config.faults import Location


def load(path: Path | None, environ: Mapping[str, str], seen: set[Path] | None = None) -> Config:
    """Read and check a configuration.

    Args:
        path: a YAML file; None takes the `KEYSTILE_` variables instead.
        environ: the environment, for those variables and for `${NAME}`.
        seen: takes every file whose text has become part of the configuration.

    Raises:
        ConfigError: it cannot be used; holds every fault.
    """
    if path is None:
        tree, slips = environment.tree(environ)
        return _checked(tree, slips, Path(), _variable_fault)
    seen = set() if seen is None else seen
    seen.add(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise ConfigError((Fault(str(path), None, problem, "mend its path or mode"),)) from None
    except UnicodeDecodeError:
        raise ConfigError((Fault(str(path), None, "not UTF-8 text", "save it as UTF-8"),)) from None
    return _from_yaml(text, path.parent, environ, seen)


def _variable_fault(slip: Slip) -> Fault:
    return Fault(environment.name(slip.location), None, slip.problem, slip.remedy)


def _from_yaml(text: str, folder: Path, environ: Mapping[str, str], seen: set[Path]) -> Config:
    def referred(name: str) -> str:
        seen.add(folder / name)
        return (folder / name).read_bytes().decode()

    read = document.parse(text)
    tree, dangling = references.resolve(read.tree, environ, referred)
    slips = [*read.slips, *dangling]
    told = {slip.location for slip in slips}
    slips += [
        Slip(at, "without a value", "write one, or leave the key out")
        for at in document.nulls(tree)
        if at != ("admin",) and at not in told
    ]

    def fault(slip: Slip) -> Fault:
        line = slip.line or _line(read.lines, slip.location)
        return Fault(written(slip.location), line, slip.problem, slip.remedy)

    return _checked(tree, slips, folder, fault)


def _checked(tree: object, slips: list[Slip], folder: Path, fault: Callable[[Slip], Fault]) -> Config:
    config = shape.check(tree, folder)
    slips += _untold(slips, [] if isinstance(config, Config) else config, tree)
    faulty = [slip.location for slip in slips]
    rest = (
        shape.check(remainder.sound(tree, faulty), folder) if isinstance(tree, dict) and all(faulty) else []
    )
    if isinstance(rest, Config):
        found = _untold(slips, [*meaning.slips(rest), *_absent(rest)], tree)
        slips += [slip for slip in found if not remainder.is_consequence(slip.location, faulty)]
    if slips or not isinstance(config, Config):
        raise ConfigError(tuple(sorted(map(fault, slips), key=lambda one: one.line or 0)))
    return config


def _untold(told: list[Slip], found: list[Slip], tree: object) -> list[Slip]:
    """Place what was found in the tree, and leave out what has been told of the same place."""
    known = {slip.location for slip in told}
    placed = [slip._replace(location=document.placed(slip.location, tree)) for slip in found]
    return [slip for slip in placed if slip.location not in known]


def _absent(config: Config) -> Iterator[Slip]:
    for index, issuer in enumerate(config.issuers):
        if isinstance(issuer.jwks, JwksFile) and not S_ISREG(_mode(issuer.jwks.path)):
            yield _no_file(("issuers", index, "jwks"))
        if issuer.ca is not None and not S_ISREG(_mode(issuer.ca)):
            yield _no_file(("issuers", index, "ca"))
    if (
        config.assertion is not None
        and config.assertion.key is not None
        and not S_ISREG(_mode(config.assertion.key))
    ):
        yield _no_file(("assertion", "key"))
    if isinstance(config.revocations, RevocationFile) and not S_ISREG(_mode(config.revocations.path)):
        yield Slip(("revocations",), "not a file", "mend the path, or make it: [] revokes nothing")
    if config.jwks_cache is not None and _mode(config.jwks_cache) and not S_ISDIR(_mode(config.jwks_cache)):
        yield Slip(("jwks_cache",), "not a directory", "name a directory; one that is missing is made")
    if config.log.output != "stdout" and not S_ISDIR(_mode(Path(config.log.output).parent)):
        yield Slip(("log", "output"), "in a directory that does not exist", "make it, or mend the path")


def _mode(path: Path) -> int:
    """Return what a path leads to, as `st_mode`; 0 where that is nothing, or no path (a name too long)."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _no_file(at: Location) -> Slip:
    # The path itself may be what a reference to a secret became.
    return Slip(at, "not a file", "mend the path: a relative one starts at the configuration's own folder")


def _line(lines: Mapping[Location, int], at: Location) -> int | None:
    """Return the line of a place, or of what is nearest around it."""
    while at and at not in lines:
        at = at[:-1]
    return lines.get(at)
