"""The list of revocations as people keep it: YAML text to entries, and one entry more beside theirs.

Pure. Reads as strictly as the configuration is read: no alias, no duplicate key, no tag; a scalar is its
text. Every fault has its place. Knows no file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from proxy.authn.revocation import MAX_ENTRIES, Revocation, read_revocation
from proxy.authn.revocation_plain import plain_entries
from proxy.config import Fault, document

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN = 64


def entries(text: str) -> tuple[list[Revocation], list[Fault]]:
    """Read a list of revocations; where there is any fault, the entries are not to be used."""
    plain = plain_entries(text)
    return (plain, []) if plain is not None else placed_entries(text)


def placed_entries(text: str) -> tuple[list[Revocation], list[Fault]]:
    """As `entries`, of a text of any kind, and slowly: it knows the place of everything."""
    read = document.parse(text)
    found, slips = ([], read.slips) if read.slips else _entries(read.tree)
    return found, [_fault(read, slip) for slip in slips]


def _entries(tree: object) -> tuple[list[Revocation], list[document.Slip]]:
    if not isinstance(tree, list):
        # Nothing at all is a fault too: it is how a file looks while it is being written.
        return [], [document.Slip((), "not a list", "write entries as in - jti: 7d1c, or [] for none")]
    if len(tree) > MAX_ENTRIES:
        problem = f"more than {MAX_ENTRIES} entries, which would not be effective within a second"
        return [], [document.Slip((), problem, "remove what has expired")]
    found: list[Revocation] = []
    slips: list[document.Slip] = []
    for index, item in enumerate(tree):
        one = read_revocation(item)
        if isinstance(one, Revocation):
            found.append(one)
        else:
            slips += [slip._replace(location=(index, *slip.location)) for slip in one]
    return found, slips


def extended(text: str, item: Revocation) -> str | None:
    """Return a faultless list with one entry more, all else as it was; None where that cannot be done."""
    wanted = [*entries(text)[0], item]
    for candidate in _candidates(text, item):
        if entries(candidate) == (wanted, []):
            return candidate
    return None


def _candidates(text: str, item: Revocation) -> Iterator[str]:
    """Write the entry in all ways that the layout may ask for; only those that read as wanted are good."""
    start, end, flow = _bounds(text)
    if not flow:
        lines = text if text.endswith("\n") else f"{text}\n"
        column = start - (text.rfind("\n", 0, start) + 1)
        yield lines + "".join(f"{' ' * column}{line}" for line in _block(item).splitlines(keepends=True))
        return
    # An empty pair of brackets gives way to one entry a line.
    if not text[start + 1 : end].strip():
        rest = text[:start] + text[end + 1 :]
        yield (rest if rest.endswith("\n") else f"{rest}\n") + _block(item)
    written = f"{{{', '.join(_lines(item))}}}"
    yield f"{text[:end]}, {written}{text[end:]}"
    yield f"{text[:end]} {written}{text[end:]}"


def _bounds(text: str) -> tuple[int, int, bool]:
    """Find where the outer list begins and where its closing bracket stands, and whether it has brackets."""
    events = list(yaml.parse(text, Loader=yaml.CBaseLoader))
    first = next(event for event in events if isinstance(event, yaml.SequenceStartEvent))
    last = next(event for event in reversed(events) if isinstance(event, yaml.SequenceEndEvent))
    assert first.start_mark is not None  # noqa: S101 - what was parsed has its place
    assert last.start_mark is not None  # noqa: S101 - as above
    return first.start_mark.index, last.start_mark.index, bool(first.flow_style)


def _block(item: Revocation) -> str:
    return "- " + "\n  ".join(_lines(item)) + "\n"


def _lines(item: Revocation) -> list[str]:
    return [f"{name}: {_quoted(value)}" for name, value in item.members().items()]


def _quoted(text: str) -> str:
    """Write text in double quotes (YAML 1.2 section 7.3.1), so that it means nothing but itself."""
    return f'"{"".join(map(_sign, text))}"'


def _sign(sign: str) -> str:
    if sign in ('"', "\\"):
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


def _fault(read: document.Document, slip: document.Slip) -> Fault:
    line = slip.line or read.lines.get(slip.location)
    return Fault(_written(slip.location), line, slip.problem, slip.remedy)


def _written(location: tuple[str | int, ...]) -> str:
    """Write a location as a YAML path, as in [2].jti; a key may be any text."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" for step in location]
    return "".join(steps) or "the list"


def _shown(key: str) -> str:
    return key if key.isidentifier() and len(key) <= _SHOWN else json.dumps(key[:_SHOWN])
