"""Lines for whoever looks: asked for only then, bounded for each, forgotten soon after."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from proxy.admin import Recalled
from proxy.admin.watch import Viewer, Watch
from proxy.audit import Recent

if TYPE_CHECKING:
    from collections.abc import Mapping


class Source:
    """Lines of a process; `asked` counts how often somebody wanted to know."""

    def __init__(self) -> None:
        self.recent = Recent()
        self.number = 0
        self.asked = 0

    def add(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            line = {"timestamp": f"{self.number:09d}", "event": "access", "request_id": str(self.number)}
            self.recent.append(json.dumps(line).encode() + b"\n")

    async def recall(self, marks: Mapping[str, int]) -> Recalled:
        self.asked += 1
        passed = self.recent.since(marks.get("", 0), 10**9)
        return Recalled(passed.lines, {"": passed.following}, passed.missed)


def ids(lines):
    return [int(line.request_id) for line in lines]


async def test_nobody_asks_where_nobody_looks():
    source = Source()
    watch = Watch(source.recall)
    source.add(3)
    assert source.asked == 0
    assert ids(await watch.look()) == [1, 2, 3]
    assert ids(await watch.look()) == [1, 2, 3]
    assert source.asked == 1, "who looks at once shares an answer"
    watch.close()


async def test_lines_are_bounded():
    source = Source()
    source.add(50)
    watch = Watch(source.recall, size=10 * 1100)
    assert ids(await watch.look()) == list(range(41, 51))
    watch.close()


async def test_a_viewer_gets_the_latest_and_then_what_comes():
    source = Source()
    source.add(150)
    watch = Watch(source.recall)
    viewer = await watch.enter()
    assert ids((await viewer.take(1))[0]) == list(range(51, 151))
    source.add(2)
    assert ids((await viewer.take(10))[0]) == [151, 152]
    watch.leave(viewer)
    asked = source.asked
    await asyncio.sleep(0)
    assert source.asked == asked
    watch.close()


async def test_what_comes_too_fast_is_told():
    source = Source()
    watch = Watch(source.recall)
    viewer = await watch.enter()
    source.add(20_000)
    lines, missed = await viewer.take(10)
    # The newest, and all others counted, those that the process itself no longer had included.
    assert ids(lines) == list(range(19_501, 20_001))
    assert missed == 19_500
    watch.leave(viewer)
    watch.close()


async def test_what_waits_for_one_viewer_is_bounded():
    source = Source()
    source.add(600)
    watch = Watch(source.recall)
    lines = await watch.look()
    viewer = Viewer()
    viewer.give(lines[:400], 0)
    viewer.give(lines[400:], 7)
    told, missed = await viewer.take(1)
    assert len(told) == 500
    assert ids(told)[-1] == 600
    assert missed == 107
    assert await viewer.take(0.01) == ([], 0)
    watch.close()


async def test_viewers_are_bounded():
    watch = Watch(Source().recall)
    viewers = [await watch.enter() for _ in range(8)]
    assert watch.full
    watch.leave(viewers[0])
    assert not watch.full
    watch.close()


async def test_a_source_that_fails_once_is_asked_again():
    source = Source()
    failing = True

    async def recall(marks):
        nonlocal failing
        if failing and marks:
            failing = False
            raise OSError
        return await source.recall(marks)

    watch = Watch(recall)
    viewer = await watch.enter()
    source.add(1)
    assert ids((await viewer.take(10))[0]) == [1]
    watch.close()
