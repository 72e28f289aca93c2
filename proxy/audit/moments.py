"""Moments as people say them: `14:00`, a date, ISO 8601, `1h ago`, `yesterday 14:00`.

Pure: the present and the zone are given. Knows calendars, and nothing of logs.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import tzinfo

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO: Final = re.compile(r"(\d{1,9})\s*([smhdw]) ago", re.ASCII)
_DAY: Final = re.compile(r"(today|yesterday)(?: (.+))?")
_CLOCK: Final = re.compile(r"\d\d?:\d\d(?::\d\d(?:\.\d{1,6})?)?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# RFC 3339, its zone optional, and as journalctl prints it: without the "T".
_FULL: Final = re.compile(rf"({_DATE.pattern})[Tt ]({_CLOCK.pattern})(?:[Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
_FORMS: Final = (
    "14:00, 2026-11-22, 2026-11-22T14:00, 2026-11-22T14:00Z, 1h ago, yesterday, yesterday 14:00, now"
)


def moment(said: str, now: float, zone: tzinfo | None = None, *, end: bool = False) -> float:
    """Return what `said` means, in Unix seconds.

    `now` is the present in Unix seconds; a time without a zone is one of `zone`, None being the machine's.
    With `end` a whole day means its end, and an hour that the clocks repeat its second pass.
    Raises ValueError with a sentence for the person who said it.
    """
    text = " ".join(said.split()).lower()
    try:
        if text == "now":
            at = now
        elif found := _AGO.fullmatch(text):
            at = now - int(found[1]) * _SECONDS[found[2]]
        else:
            at = _point(text, datetime.fromtimestamp(now, UTC).astimezone(zone), zone, end=end)
        stamp(at)  # it has to be one that a line can say
    except (ValueError, OverflowError):
        raise ValueError(f"{said!r} is no moment; write one as in {_FORMS}") from None
    return at


def _point(text: str, today: datetime, zone: tzinfo | None, *, end: bool) -> float:
    if found := _DAY.fullmatch(text):
        day = today.date() - timedelta(days=found[1] == "yesterday")
        clock = found[2]
    elif _CLOCK.fullmatch(text):
        day, clock = today.date(), text
    elif _DATE.fullmatch(text):
        day, clock = datetime.fromisoformat(text).date(), None
    elif _FULL.fullmatch(text):
        at = datetime.fromisoformat(re.sub(r"(?<=[t ])(\d):", r"0\1:", text).upper())
        return (at if at.tzinfo else at.replace(tzinfo=zone, fold=end)).timestamp()
    else:
        raise ValueError
    if clock is None:
        at = datetime.combine(day + timedelta(days=end), time())
    else:
        hour, _, rest = clock.partition(":")
        at = datetime.combine(day, time.fromisoformat(f"{hour:0>2}:{rest}"))
    return at.replace(tzinfo=zone, fold=end).timestamp()


def stamp(at: float) -> str:
    """`at` (Unix seconds) as the access line writes it: RFC 3339 in UTC, milliseconds.

    Texts of this form sort as their moments do. Raises ValueError beyond the years 1 to 9999.
    """
    try:
        told = datetime.fromtimestamp(at, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("beyond the calendar") from error
    return f"{told:%Y-%m-%dT%H:%M:%S}.{told.microsecond // 1000:03d}Z".rjust(24, "0")
