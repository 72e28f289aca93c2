"""A list of revocations with nothing odd in it, read in half the time: a long one must be effective in time.

Pure. Goes by the same parser's events as `config.document`, and marks no places. It words no fault either:
whatever might be one is left to `revocation_list`, which reads the text again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard, TypeVar

import yaml
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from proxy.authn.revocation import MAX_ENTRIES, Revocation, read_revocation

if TYPE_CHECKING:
    from collections.abc import Callable

    Next = Callable[[], Event | None]

E = TypeVar("E", bound=Event)

_BEGINNING = StreamStartEvent, DocumentStartEvent, SequenceStartEvent
_END = DocumentEndEvent, StreamEndEvent
_NO_VALUE = frozenset({"", "~", "null"})


def plain_entries(text: str) -> list[Revocation] | None:
    """Read a list; None where it may be faulty, or merely be written in a way that few people know."""
    following: Next = yaml.CBaseLoader(text).get_event
    found: list[Revocation] = []
    try:
        if not all(_is_plain(following(), kind) for kind in _BEGINNING):
            return None
        while _is_plain(event := following(), MappingStartEvent):
            read = read_revocation(_pairs(following))
            if not isinstance(read, Revocation) or len(found) == MAX_ENTRIES:
                return None
            found.append(read)
        whole = type(event) is SequenceEndEvent and all(_is_plain(following(), kind) for kind in _END)
    except yaml.YAMLError:
        return None
    return found if whole else None


def _pairs(following: Next) -> dict[str, str] | None:
    """Read a mapping up to its end; None where it holds more than texts, or a key twice."""
    pairs: dict[str, str] = {}
    while _is_plain(key := following(), ScalarEvent):
        value = following()
        if not _is_plain(value, ScalarEvent) or key.value in pairs:
            return None
        if not value.style and value.value in _NO_VALUE:
            return None
        pairs[key.value] = value.value
    return pairs if type(key) is MappingEndEvent else None


def _is_plain(event: Event | None, kind: type[E]) -> TypeGuard[E]:
    """Say whether this is an event of that kind, without an anchor or a tag."""
    return (
        type(event) is kind and getattr(event, "anchor", None) is None and getattr(event, "tag", None) is None
    )
