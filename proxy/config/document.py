"""YAML text to a tree of dicts, lists and text, with the line of every place in it.

Reads libyaml's events, not Python objects: what loaders let pass (aliases, duplicate keys, tags, several
documents) is a fault here, and no scalar changes its meaning on the way ("on", "22:22" and "1e3" stay what
was written). Knows no key of ours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import yaml
from yaml import CBaseLoader
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.config.faults import Location

MAX_DEPTH = 20

_NULL = frozenset({"", "~", "null"})

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?", re.ASCII)


class Plain(str):
    """A scalar written without quotes: the only kind that may mean a number or a truth value."""

    __slots__ = ()


class Slip(NamedTuple):
    """A fault whose place is still a location in the tree; `line` where the tree has no such place."""

    location: Location
    problem: str
    remedy: str
    line: int | None = None


class Document(NamedTuple):
    """A file's tree; `lines` counts from 1; `slips` is what YAML allows and a configuration does not."""

    tree: object
    lines: dict[Location, int]
    slips: list[Slip]


def parse(text: str) -> Document:
    """Read the one document in `text`; an unreadable one comes back as a slip and an empty tree."""
    return _Reader(text).document()


def core(value: str) -> object:
    """Return what a scalar means (YAML 1.2's JSON schema): text, a number or a truth value."""
    if not isinstance(value, Plain):
        return value
    if value in ("true", "false"):
        return value == "true"
    if match := _NUMBER.fullmatch(value):
        return float(value) if match[2] else int(value)
    return str(value)


def nulls(tree: object, at: Location = ()) -> Iterator[Location]:
    """Find every place that was left without a value."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from nulls(value, (*at, key))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from nulls(item, (*at, index))
    elif tree is None:
        yield at


def placed(at: Location, tree: object) -> Location:
    """Cut what shorthand added to a location: nothing lies below a scalar, or apart from its key.

    A list that stands for a mapping has no key.
    """
    place: list[str | int] = []
    for step in at:
        if isinstance(tree, dict) and step != "[key]":
            tree = tree.get(step, tree)
        elif isinstance(tree, list):
            if not isinstance(step, int):
                continue
            tree = tree[step]
        else:
            break
        place.append(step)
    return tuple(place)


def mapped(tree: object, scalar: Callable[[str], object]) -> object:
    """Return the tree with `scalar` applied to all text in it, keys apart."""
    if isinstance(tree, dict):
        return {key: mapped(value, scalar) for key, value in tree.items()}
    if isinstance(tree, list):
        return [mapped(item, scalar) for item in tree]
    return scalar(tree) if isinstance(tree, str) else tree


class _TooDeepError(Exception):
    """Recursion ends here, long before Python's own limit."""


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


class _Reader:
    """One pass over the events of one text."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Event] = yaml.parse(text, Loader=CBaseLoader)
        self._lines: dict[Location, int] = {}
        self._slips: list[Slip] = []

    def document(self) -> Document:
        tree: object = None
        try:
            tree = self._documents()
        except _TooDeepError:
            self._slips.append(Slip((), f"nested deeper than {MAX_DEPTH} levels", "flatten it"))
        except yaml.MarkedYAMLError as error:
            # libyaml's own words; the snippet that str(error) adds may hold a secret.
            line = error.problem_mark.line + 1 if error.problem_mark else None
            self._slips.append(Slip((), f"not YAML: {error.problem}", "mend the syntax", line))
        except yaml.YAMLError:
            self._slips.append(Slip((), "not YAML: a character that YAML does not allow", "remove it"))
        return Document(tree, self._lines, self._slips)

    def _documents(self) -> object:
        tree: object = None
        seen = False
        for event in self._events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if seen:
                line = _line(event)
                self._slips.append(Slip((), "a second document", "keep one document in the file", line))
                break
            tree, seen = self._node(next(self._events), ()), True
        return tree

    def _node(self, event: Event, at: Location) -> object:
        self._lines.setdefault(at, _line(event))
        if len(at) > MAX_DEPTH:
            raise _TooDeepError
        if isinstance(event, AliasEvent):
            self._slips.append(Slip(at, "a YAML alias", "write the value out: aliases are not read"))
            return Plain()
        self._check(event, at)
        if isinstance(event, MappingStartEvent):
            return self._mapping(at)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(at)
        assert isinstance(event, ScalarEvent)  # noqa: S101 - the only node event left
        if event.style:
            return event.value
        return None if event.value in _NULL else Plain(event.value)

    def _check(self, event: Event, at: Location) -> None:
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self._slips.append(Slip(at, "a YAML anchor", "remove it: aliases are not read"))
        if getattr(event, "tag", None) not in (None, "!"):
            self._slips.append(Slip(at, "a YAML tag", "remove it: the key decides what its value is"))

    def _mapping(self, at: Location) -> dict[str, object]:
        pairs: dict[str, object] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event, at)
            line = _line(event)
            here = (*at, key)
            if key in pairs:
                self._slips.append(Slip(here, "a key written twice", "keep one of them", line))
                self._node(next(self._events), here)
                continue
            self._lines[here] = line
            pairs[key] = self._node(next(self._events), here)
        return pairs

    def _key(self, event: Event, at: Location) -> str:
        key = self._node(event, (*at, "?"))
        if not isinstance(key, str) or not isinstance(core(key), str):
            self._slips.append(Slip(at, "a key that is not text", "quote it", _line(event)))
        elif "${" in key:
            self._slips.append(Slip(at, "a reference in a key", "use ${…} in values", _line(event)))
        return str(key) if isinstance(key, str) else "?"

    def _sequence(self, at: Location) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._node(event, (*at, len(items))))
        return items
