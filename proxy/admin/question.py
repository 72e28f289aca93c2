"""The audit question: which agents touched this, from then to then, and what became of it.

Pure. Reads the question from a query string, says whether a line is part of the answer, and puts the answer
together.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from proxy.admin.seen import ACCESS
from proxy.admin.tally import agents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proxy.admin.seen import Operation, Seen

MOST_LINES = 200
"""So many lines are shown; all are counted."""
_LONGEST = 1024
_DECISIONS = ("allow", "deny", "would_deny")
# In a line this text can stand in one way only: nothing in it is ever escaped, and it is no number.
_PLAIN = re.compile(r"(?=.*[A-Za-z])(?!.*(?:true|false|null|inf|nan)$)[A-Za-z0-9_.:-]{3,}", re.ASCII)
_NUMBER = re.compile(r"[0-9.eE+-]+", re.ASCII)


class QuestionError(Exception):
    """The question makes no sense: what is wrong, and what to write."""


class Glob:
    """A text to look for: as it stands, or with `*` and `?` for anything."""

    def __init__(self, text: str) -> None:
        self.text = text
        # fnmatch's expressions take no more time for many wildcards; a bracket is a character like any other.
        wild = "*" in text or "?" in text
        self._pattern = re.compile(translate(text.replace("[", "[[]"))) if wild else None

    def matches(self, value: str) -> bool:
        """Say whether a value is what is looked for."""
        return value == self.text or (self._pattern is not None and self._pattern.match(value) is not None)

    @property
    def literal(self) -> bytes:
        """Bytes that every line with a match has; none where that cannot be said."""
        plain = _PLAIN.fullmatch(self.text) is not None and _NUMBER.fullmatch(self.text) is None
        return self.text.encode() if plain else b""


class Question(Struct, frozen=True):
    """What is asked for; what is None is not asked about. Times are as in the log, the end excluded."""

    target: Glob | None = None
    agent: Glob | None = None
    tool: Glob | None = None
    issuer: Glob | None = None
    reason: Glob | None = None
    decision: str | None = None
    start: str | None = None
    end: str | None = None

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Question:
        """Read what a query string says; empty means not asked about.

        Raises:
            QuestionError: it says something else.
        """
        given = {name: value for name, value in asked.items() if value}
        globs = {name: Glob(_short(name, given.pop(name))) for name in _GLOBS if name in given}
        decision = given.pop("decision", None)
        if decision is not None and decision not in _DECISIONS:
            raise QuestionError(f"decision: write {', '.join(_DECISIONS)}")
        times = {end: _time(name, given.pop(name)) for name, end in _TIMES.items() if name in given}
        if given:
            raise QuestionError(f"unknown: ask about {', '.join((*_GLOBS, 'decision', *_TIMES))}")
        return cls(decision=decision, **globs, **times)  # type: ignore[arg-type]  # a mapping of fields by name

    @property
    def literals(self) -> tuple[bytes, ...]:
        """Bytes that every line of the answer has."""
        asked = (self.target, self.agent, self.tool, self.reason)
        return tuple(glob.literal for glob in asked if glob is not None and glob.literal)

    def fits(self, line: Seen) -> bool:
        """Say whether a line is part of the answer."""
        if self.start is not None and line.timestamp < self.start:
            return False
        if self.end is not None and line.timestamp >= self.end:
            return False
        if self.decision is not None and line.decision != self.decision:
            return False
        return (
            _any(self.agent, (line.agent_id, line.agent_name))
            and _any(self.issuer, (line.issuer,))
            and _any(self.reason, (line.reason,))
            and _any(self.tool, (operation.tool for operation in line.operations))
            and _any(self.target, _targets(line))
        )


_GLOBS = ("target", "agent", "tool", "issuer", "reason")
_TIMES = {"from": "start", "to": "end"}


def _any(glob: Glob | None, values: Iterator[str | None] | Sequence[str | None]) -> bool:
    return glob is None or any(value is not None and glob.matches(value) for value in values)


def _targets(line: Seen) -> Iterator[str | None]:
    """What a request touched, by every name that its line has for it."""
    yield line.path
    for operation in line.operations:
        yield operation.tool
        yield operation.resource
        yield operation.prompt
        yield from _values(operation)


def _values(operation: Operation) -> Iterator[str]:
    for value in (operation.arguments or {}).values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield str(value)


def _short(name: str, text: str) -> str:
    if len(text) > _LONGEST:
        raise QuestionError(f"{name}: longer than {_LONGEST} characters")
    return text


def _time(name: str, text: str) -> str:
    """Return a moment as lines have it: RFC 3339, UTC, milliseconds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise QuestionError(f"{name}: write a time with its zone, as 2026-11-22T14:00:00Z")
    try:
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
    except OverflowError:
        raise QuestionError(f"{name}: a time out of range") from None


def answer(lines: Sequence[Seen]) -> dict[str, Any]:
    """Return the answer: who, and the newest lines, the latest first."""
    calls = [line for line in lines if line.event == ACCESS]
    return {
        "count": len(calls),
        "agents": agents(calls),
        "lines": sorted(calls, key=lambda line: line.timestamp, reverse=True)[:MOST_LINES],
    }
