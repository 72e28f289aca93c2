"""No JSON-RPC body is admitted in which any reader finds a call that is refused; and two ways of reading agree.

The readers and the rule are those of `tests/mcp/test_reading_properties.py`; here bodies come by the million.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz.frame import Target, at_length, cut, fuzz, kept
from tests.fuzz.message_bytes import body
from tests.mcp.test_reading_properties import check, check_ways

if TYPE_CHECKING:
    from collections.abc import Iterator


class Messages:
    """Counts what was admitted."""

    def __init__(self) -> None:
        self.admitted = 0

    def check(self, data: bytes) -> None:
        self.admitted += check(data)
        check_ways(data)


def smaller(data: bytes) -> Iterator[bytes]:
    yield from cut(data)


def target(rig: Messages) -> Target[bytes]:
    return Target("messages", body, rig.check, smaller)


@pytest.mark.parametrize("data", kept("messages"))
def test_messages_that_were_found(data: bytes) -> None:
    Messages().check(data)


def test_messages_of_any_bytes() -> None:
    rig = Messages()
    fuzz(target(rig), 15_000, seed=5)
    # Enough of them are admitted to say something.
    assert rig.admitted > 2_000


@pytest.mark.long
def test_messages_of_any_bytes_at_length(capsys: pytest.CaptureFixture[str]) -> None:
    at_length(target(Messages()), capsys)
