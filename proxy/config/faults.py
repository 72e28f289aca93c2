"""What is wrong with a configuration, in words for the person who wrote it.

Knows where a fault is and how it reads; never a value out of the file, which may be a secret.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

Location = tuple[str | int, ...]


_SIMPLE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SHOWN = 64


def written(at: Location) -> str:
    """Write a location as a YAML path: rules[2].claims["al_trust.score"]."""
    text = ""
    for step in at:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _SIMPLE_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step[:_SHOWN])}]"
    return text or "the file"


class UnfitError(ValueError):
    """A value that its key cannot take: what is wrong, and what to write instead; never the value."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `path` as in "rules[2].scopes" (or a variable's name), `line` counted from 1."""

    path: str
    line: int | None
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"line {self.line}, {self.path}" if self.line else self.path
        return f"{where}: {self.problem}; {self.remedy}"


class ConfigError(Exception):
    """The configuration cannot be used; `faults` holds every reason, in the order of the file."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults
