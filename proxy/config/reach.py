"""Whether path patterns leave anything to one another, decided exactly.

Pure. A canonical path without its trailing slash is a text of "/segment" parts, "/" itself the empty text.
Patterns are one automaton over such texts: a set of its states is an integer, and one character moves all of
them with a few shifts (Baeza-Yates and Gonnet's shift-and). A search walks two automata side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.patterns import segments

if TYPE_CHECKING:
    from collections.abc import Iterable

# Stands for every character that no pattern names; none may name NUL.
_OTHER = "\0"

# Patterns that nobody writes can need exponentially many states: past this, they leave something.
_MAX_STATES = 2000


class Paths:
    """The set of paths that at least one of some patterns matches."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._size = 0
        self.start = 0
        self.accept = 0
        self.forever = 0  # states that accept whatever follows
        self.step: dict[str, int] = {}  # states that this character moves on by one
        self._stay_in_segment = 0  # inside "*"
        self._stay = 0  # inside "**"
        self._skip = 0  # states that move on by one without a character
        self._skip_two = 0
        for pattern in patterns:
            self._add(pattern)
        self.start = self._closed(self.start)

    def _add(self, pattern: str) -> None:
        self.start |= 1 << self._size
        for segment in segments(pattern):
            if segment == "**":
                self._add_any()
                continue
            for char in f"/{segment}":
                if char == "*":
                    self._stay_in_segment |= 1 << self._size
                    self._skip |= 1 << self._size
                else:
                    self.step[char] = self.step.get(char, 0) | 1 << self._size
                self._size += 1
        self.accept |= 1 << self._size
        if segments(pattern)[-1:] == ("**",):
            self.forever |= 1 << self._size - 1
        self._size += 1

    def _add_any(self) -> None:
        """Add "**": nothing at all, or a slash and then anything."""
        before, inside = 1 << self._size, 1 << self._size + 1
        self.step["/"] = self.step.get("/", 0) | before
        self._skip_two |= before
        self._stay |= inside
        self._skip |= inside
        self._size += 2

    def _closed(self, states: int) -> int:
        while True:
            more = states | (states & self._skip) << 1 | (states & self._skip_two) << 2
            if more == states:
                return states
            states = more

    def after(self, states: int, char: str) -> int:
        """Return the states that `char` leads to."""
        stay = self._stay if char == "/" else self._stay | self._stay_in_segment
        return self._closed((states & self.step.get(char, 0)) << 1 | states & stay)

    def choices(self, states: int, alphabet: Iterable[str]) -> Iterable[str]:
        """Return the characters worth trying: all where a wildcard is open, else those named here."""
        if states & (self._stay | self._stay_in_segment):
            return alphabet
        return [char for char, movers in self.step.items() if states & movers]


def leaves(pattern: str, others: Paths) -> bool:
    """Say whether `pattern` matches a path that none of the `others` matches."""
    mine = Paths((pattern,))
    alphabet = [*(mine.step.keys() | others.step.keys() | {"/"}), _OTHER]
    waiting = [(mine.start, others.start, False)]
    seen = set(waiting)
    while waiting and len(seen) <= _MAX_STATES:
        here, there, after_slash = waiting.pop()
        if there & others.forever:
            continue
        if here & mine.accept and not there & others.accept and not after_slash:
            return True
        for char in mine.choices(here, alphabet):
            # No canonical path has an empty segment.
            if after_slash and char == "/":
                continue
            state = (mine.after(here, char), others.after(there, char), char == "/")
            if state[0] and state not in seen:
                seen.add(state)
                waiting.append(state)
    return bool(waiting)
