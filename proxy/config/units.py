"""Text to durations, sizes, counts and truth values.

Pure. A duration or a size without a unit is refused: "30" may mean seconds to one reader and
milliseconds to the next.
"""

from __future__ import annotations

import re

from proxy.config.faults import UnfitError

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

# Nine digits keep every result inside what an event loop's timer can count.
DURATION = r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)$"
SIZE = r"^[0-9]{1,9}(B|KiB|MiB|GiB)$"
COUNT = r"^[0-9]{1,9}$"
RATE = r"^[1-9][0-9]{0,8}/(s|m|h|d)$"

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,9})(B|KiB|MiB|GiB)", re.ASCII)
_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|m|h|d)", re.ASCII)
_SHARE = re.compile(r"0\.[0-9]{1,6}", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)


def duration(text: str) -> float:
    """Return "250ms", "5s", "1.5m", "24h" or "7d" in seconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UnfitError("not a duration", "write a number and ms, s, m, h or d, as in 30s")
    return round(float(match[1]) * SECONDS[match[2]], 6)


def size(text: str) -> int:
    """Return "512B", "32KiB", "4MiB" or "1GiB" in bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UnfitError("not a size", "write a whole number and B, KiB, MiB or GiB, as in 32KiB")
    return int(match[1]) * BYTES[match[2]]


def count(text: str) -> int:
    """Return a whole number written in decimal digits alone."""
    if _COUNT.fullmatch(text) is None:
        raise UnfitError("not a whole number", "write decimal digits alone, as in 256")
    return int(text)


def rate(text: str) -> tuple[int, float]:
    """Return "600/m" as a count and a period in seconds."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise UnfitError("not a rate", "write a whole number above zero, / and s, m, h or d, as in 600/m")
    return int(match[1]), SECONDS[match[2]]


def share(text: str) -> float:
    """Return "0.25" as a number; 0, which is no share, for whatever else it says."""
    return float(text) if _SHARE.fullmatch(text) else 0.0


def flag(text: str) -> bool:
    """Return "true" or "false"; YAML 1.1's yes, on and their kin are refused, not guessed."""
    if text not in ("true", "false"):
        raise UnfitError("neither true nor false", "write true or false")
    return text == "true"
