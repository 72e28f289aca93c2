"""The lines that are kept for a while: which, how many, and what is told of those that are gone."""

from __future__ import annotations

import pytest

from proxy.audit import Passed, Recent

LINES = [b"one\n", b"two\n", b"three\n"]


def filled(lines: list[bytes], **bounds: int) -> Recent:
    recent = Recent(**bounds)
    for line in lines:
        recent.append(line)
    return recent


SINCE = [
    pytest.param(0, 1000, Passed(LINES, 3, 0), id="all of them"),
    pytest.param(1, 1000, Passed(LINES[1:], 3, 0), id="from the second on"),
    pytest.param(3, 1000, Passed([], 3, 0), id="nothing new"),
    pytest.param(0, 5, Passed(LINES[:2], 2, 0), id="a part, as large as was asked for"),
    pytest.param(2, 1, Passed(LINES[2:], 3, 0), id="one line at least, however long"),
]


@pytest.mark.parametrize(("number", "size", "expected"), SINCE)
def test_lines_are_told_by_number(number, size, expected):
    assert filled(LINES).since(number, size) == expected


BOUNDS = [
    pytest.param(b"%03d\n", 16 * 1004, id="of few bytes, for each takes its place"),
    pytest.param(b"%01000d\n", 16 * 2001, id="of many bytes"),
]


@pytest.mark.parametrize(("written", "size"), BOUNDS)
def test_the_oldest_go(written, size):
    many = [written % number for number in range(100)]
    passed = filled(many, size=size).since(0, 10**6)
    assert 14 <= len(passed.lines) <= 16
    assert passed.lines == many[-len(passed.lines) :]
    assert (passed.following, passed.missed) == (100, 100 - len(passed.lines))


def test_a_line_beyond_all_bounds_is_not_kept():
    assert filled([b"x" * 100], size=1050).since(0, 1000) == Passed([], 1, 1)
