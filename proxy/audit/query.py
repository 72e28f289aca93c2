"""The question: which lines it means, and which agents they name.

Knows what an entry says and what is asked. Must never know files or formats. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.audit.entries import Asked, Entry, read_line
from proxy.audit.moments import stamp
from proxy.audit.sieve import Sieve
from proxy.audit.text import capped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINES: Final = frozenset({"access", "stream_open"})
"""The events that are lines of a request."""


class Query(Struct, frozen=True):
    """What is asked for; None asks for nothing in particular.

    `target` is a tool, a resource, a prompt, an argument's value or a path; `agent`, `tool`, `reason` and
    `issuer` are what the fields of these names say. In all of them `*` stands for any characters and `?` for
    one, and a text that says the same character for character is meant in any case. `start` and `end` are
    Unix seconds; `end` itself is not meant any more.
    """

    target: str | None = None
    agent: str | None = None
    tool: str | None = None
    decision: str | None = None
    reason: str | None = None
    issuer: str | None = None
    start: float | None = None
    end: float | None = None


class Matcher:
    """A query, made ready to be asked of many entries."""

    def __init__(self, query: Query) -> None:
        self.sieve = Sieve(query)
        self._start = None if query.start is None else stamp(query.start)
        self._end = None if query.end is None else stamp(query.end)
        self._decision = query.decision
        asked = {"agent_id": query.agent, "issuer": query.issuer, "reason": query.reason}
        self._whole = [(name, Pattern(glob)) for name, glob in asked.items() if glob is not None]
        self._tool = None if query.tool is None else Pattern(query.tool)
        self._target = None if query.target is None else Pattern(query.target)

    def matches(self, entry: Entry) -> list[Asked]:
        """The messages of `entry` that are asked for; a request that is none of MCP counts as one."""
        if not self.covers(entry):
            return []
        asked = entry.asked
        if self._tool is not None:
            asked = [one for one in asked if self._tool(one.tool)]
        if self._target is None or (self._target(entry.path)):
            return asked
        return [one for one in asked if any(map(self._target, one.values()))]

    def spans(self, first: str, last: str) -> bool:
        """Whether a moment that is asked for lies between two, as entries write them."""
        return (self._start is None or last >= self._start) and (self._end is None or first < self._end)

    def covers(self, entry: Entry) -> bool:
        """Whether `entry` is asked for, but for what its messages name."""
        for name, pattern in self._whole:
            if not pattern(getattr(entry, name)):
                return False
        return (
            entry.event in LINES
            and (self._start is None or entry.timestamp >= self._start)
            and (self._end is None or entry.timestamp < self._end)
            and (self._decision is None or entry.decision == self._decision)
        )


class Pattern:
    """Whether a text is meant: the very one, or one that fits the glob. No text makes it slow."""

    def __init__(self, glob: str) -> None:
        # A line shows no more than the first bytes of a text.
        self._exact = frozenset((glob, capped(glob)[0]))
        self._glob = _compiled(glob) if "*" in glob or "?" in glob else None

    def __call__(self, text: str | None) -> bool:
        """Whether `text` is meant; a field that is absent never is."""
        if text is None:
            return False
        return text in self._exact or (self._glob is not None and self._glob.fullmatch(text) is not None)


def _compiled(glob: str) -> re.Pattern[str]:
    # As the globs of rules do it; the configuration's room would bring half a second of imports along.
    first, *later = (".".join(map(re.escape, part.split("?"))) for part in glob.split("*"))
    # The first place where what stands behind a `*` fits is as good as any later one, but for the last.
    between = "".join(f"(?>.*?{part})" for part in later[:-1] if part)
    return re.compile(first + (f"{between}.*{later[-1]}" if later else ""), re.DOTALL)


def search(sources: Iterable[Iterable[bytes]], query: Query) -> Iterator[Entry]:
    """The entries that `query` asks for, in the order of their lines; `mcp` holds the messages that it means.

    A source is any run of lines, with or without their line ends. What is no access line is passed over.
    """
    matcher = Matcher(query)
    for lines in sources:
        for line in lines:
            if not matcher.sieve.passes(line):
                continue
            for entry in read_line(line):
                asked = matcher.matches(entry)
                if asked:
                    entry.mcp = None if entry.mcp is None else asked
                    yield entry
