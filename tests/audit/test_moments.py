"""What people say of moments, and what they mean by it: in a zone whose clocks change, at a known present."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from proxy.audit.moments import moment, stamp

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 16, 30, tzinfo=BERLIN).timestamp()

SAID = [
    pytest.param("14:00", False, "2026-11-22T13:00:00.000Z", id="a clock is today's, and local"),
    pytest.param("9:05", False, "2026-11-22T08:05:00.000Z", id="an hour of one digit"),
    pytest.param("14:00:07.25", False, "2026-11-22T13:00:07.250Z", id="with seconds"),
    pytest.param("2026-11-22", False, "2026-11-21T23:00:00.000Z", id="a day begins at its midnight"),
    pytest.param("2026-11-22", True, "2026-11-22T23:00:00.000Z", id="a day as an end ends at the next"),
    pytest.param("2026-11-22T14:00", True, "2026-11-22T13:00:00.000Z", id="a day and a clock"),
    pytest.param("2026-11-22 14:00:01", False, "2026-11-22T13:00:01.000Z", id="with a space"),
    pytest.param("2026-07-01 9:00", False, "2026-07-01T07:00:00.000Z", id="in summer"),
    pytest.param("2026-11-22T14:00Z", False, "2026-11-22T14:00:00.000Z", id="UTC"),
    pytest.param("2026-11-22t14:00:00.5z", False, "2026-11-22T14:00:00.500Z", id="RFC 3339 in small letters"),
    pytest.param("2026-11-22T14:00-05:00", False, "2026-11-22T19:00:00.000Z", id="another zone"),
    pytest.param("1h ago", False, "2026-11-22T14:30:00.000Z", id="an hour ago"),
    pytest.param("90 m ago", False, "2026-11-22T14:00:00.000Z", id="ninety minutes ago"),
    pytest.param("45s ago", False, "2026-11-22T15:29:15.000Z", id="seconds ago"),
    pytest.param("2d ago", False, "2026-11-20T15:30:00.000Z", id="days ago"),
    pytest.param("1w ago", False, "2026-11-15T15:30:00.000Z", id="a week ago"),
    pytest.param("today", False, "2026-11-21T23:00:00.000Z", id="today"),
    pytest.param("yesterday", False, "2026-11-20T23:00:00.000Z", id="yesterday begins"),
    pytest.param("yesterday", True, "2026-11-21T23:00:00.000Z", id="yesterday ends"),
    pytest.param("Yesterday  14:00", True, "2026-11-21T13:00:00.000Z", id="a clock of yesterday"),
    pytest.param("now", False, "2026-11-22T15:30:00.000Z", id="now"),
    pytest.param(
        "2026-10-25T02:30", False, "2026-10-25T00:30:00.000Z", id="an hour that comes twice, its first"
    ),
    pytest.param(
        "2026-10-25T02:30", True, "2026-10-25T01:30:00.000Z", id="an hour that comes twice, its second"
    ),
    pytest.param("2026-10-25", True, "2026-10-25T23:00:00.000Z", id="a day of 25 hours"),
]


@pytest.mark.parametrize(("said", "end", "means"), SAID)
def test_what_is_said_is_what_is_meant(said: str, end: bool, means: str) -> None:
    assert stamp(moment(said, NOW, BERLIN, end=end)) == means


@pytest.mark.parametrize(
    "said",
    [
        "",
        "noon",
        "25:00",
        "14",
        "14:61",
        "2026-13-01",
        "2026-02-30",
        "9999-12-31T23:59-01:00 ",
        "1 year ago",
        "tomorrow",
        "999999999w ago",
        "\u0661\u0664:\u0660\u0660",
        "2026-11-22T14:00 Europe/Berlin",
    ],
)
def test_whatever_else_is_said_is_no_moment(said: str) -> None:
    with pytest.raises(ValueError, match="is no moment; write one as in 14:00, 2026-11-22") as raised:
        stamp(moment(said, NOW, BERLIN, end=True))
    assert repr(said) in str(raised.value)


def test_without_a_zone_it_is_the_machines_own() -> None:
    here = datetime(2026, 11, 22, 14, 0).astimezone()
    assert moment("14:00", here.timestamp()) == here.timestamp()
