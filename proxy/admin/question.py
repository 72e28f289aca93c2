"""The audit question as a query string asks it, and its answer as the page shows it.

Pure. What a question means is the audit room's (`Query`): the page and the command line give the same answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from proxy.admin.tally import linked
from proxy.audit import Query, summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.admin.seen import Seen
    from proxy.audit import Entry

MOST_LINES = 200
"""So many lines are shown; all are counted."""
_LONGEST = 1024
_DECISIONS = ("allow", "deny", "would_deny")
_TEXTS = ("target", "agent", "tool", "issuer", "reason")
_TIMES = {"from": "start", "to": "end"}
_EARLIEST = datetime.fromisoformat("0001-01-01T00:00:00Z").timestamp()
_LATEST = datetime.fromisoformat("9999-12-31T23:59:59Z").timestamp()


class QuestionError(Exception):
    """The question makes no sense: what is wrong, and what to write."""


def read(asked: Mapping[str, str]) -> Query:
    """Read what a query string says; empty means not asked about.

    Raises:
        QuestionError: it says something else.
    """
    given = {name: value for name, value in asked.items() if value}
    texts = {name: _short(name, given.pop(name)) for name in _TEXTS if name in given}
    decision = given.pop("decision", None)
    if decision is not None and decision not in _DECISIONS:
        raise QuestionError(f"decision: write {', '.join(_DECISIONS)}")
    times = {end: _time(name, given.pop(name)) for name, end in _TIMES.items() if name in given}
    if given:
        raise QuestionError(f"unknown: ask about {', '.join((*_TEXTS, 'decision', *_TIMES))}")
    return Query(decision=decision, **texts, **times)  # type: ignore[arg-type]  # fields by name


def _short(name: str, text: str) -> str:
    if len(text) > _LONGEST:
        raise QuestionError(f"{name}: longer than {_LONGEST} characters")
    return text


def _time(name: str, text: str) -> float:
    """Return a moment in Unix seconds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise QuestionError(f"{name}: write a time with its zone, as 2026-11-22T14:00:00Z")
    at = moment.timestamp()
    # A line can say years of four digits alone.
    if not _EARLIEST <= at <= _LATEST:
        raise QuestionError(f"{name}: a time out of range")
    return at


def answer(found: Sequence[tuple[Entry, Seen]]) -> dict[str, Any]:
    """Return the answer: who, and the newest lines, the latest first."""
    lines = sorted((line for _, line in found), key=lambda line: line.timestamp, reverse=True)
    return {
        "count": len(lines),
        "agents": linked(summarise(entry for entry, _ in found)),
        "lines": lines[:MOST_LINES],
    }
