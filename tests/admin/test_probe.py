"""A probe asks in the background, once for all who look, and not again while it knows."""

from __future__ import annotations

import asyncio

import pytest

from proxy.admin import Contact, Probe


class Asked:
    """Something that answers, or does not, when it is told to."""

    def __init__(self, error=None):
        self.times = 0
        self.answers = asyncio.Event()
        self._error = error

    async def __call__(self):
        self.times += 1
        await self.answers.wait()
        if self._error is not None:
            raise self._error


async def settled(probe):
    """Have it asked, and return what is known then."""
    probe.look()
    await probe._asking
    return probe.look()


OUTCOMES = [
    pytest.param(None, True, id="an answer"),
    pytest.param(ConnectionRefusedError(), False, id="nobody there"),
    pytest.param(TimeoutError(), False, id="no answer in time"),
    pytest.param(ValueError(), False, id="an answer that is none"),
]


@pytest.mark.parametrize(("error", "reachable"), OUTCOMES)
async def test_is_asked_once_for_all(error, reachable):
    asked = Asked(error)
    probe = Probe(asked)
    assert [probe.look() for _ in range(3)] == [Contact(), Contact(), Contact()]
    asked.answers.set()
    assert (await settled(probe)).reachable is reachable
    assert probe._asking is None
    assert asked.times == 1
    await probe.close()


async def test_is_asked_again_when_that_is_old():
    asked = Asked()
    asked.answers.set()
    probe = Probe(asked, recent=0.0)
    await settled(probe)
    await settled(probe)
    assert asked.times >= 2
    await probe.close()


async def test_is_not_asked_where_it_is_known():
    asked = Asked()
    probe = Probe(asked, lambda _: Contact(1.0, 5.0))
    assert probe.look() == Contact(1.0, 5.0)
    await asyncio.sleep(0)
    assert asked.times == 0
    await probe.close()


async def test_is_asked_where_what_is_known_is_old():
    asked = Asked()
    probe = Probe(asked, lambda _: Contact(100.0, None))
    assert probe.look() == Contact(100.0, None)
    await asyncio.sleep(0)
    assert asked.times == 1
    await probe.close()
