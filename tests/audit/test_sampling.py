"""Which requests have no line: only those that went well, of rules that ask for it, a whole trace at a time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from proxy.audit import AccessLog, Metrics, Sampling
from proxy.config import Log, Rule
from proxy.model import Note, Reason
from tests.support.harness import TOKEN, keystile
from tests.support.records import closing, opening
from tests.support.upstream import upstream
from tests.wire.exchanges.table import get

if TYPE_CHECKING:
    from pathlib import Path

RULES = (
    Rule(path="/few", name="few", log={"sample": 0.25}),
    Rule(path="/fewer", name="fewer", log={"sample": 0.000001}),
    Rule(path="/all", name="all"),
)

RATES = [
    pytest.param(opening(rule="few"), closing(), 0.25, id="a request that went well"),
    pytest.param(
        opening(rule="few", reason=Note.PUBLIC), closing(status=304), 0.25, id="one without a token"
    ),
    pytest.param(opening(rule="all"), closing(), None, id="a rule that does not ask for it"),
    pytest.param(opening(), closing(), None, id="no rule"),
    pytest.param(
        opening(rule="few", decision="deny", reason=Reason.SCOPE_INSUFFICIENT),
        closing(status=403),
        None,
        id="a refusal",
    ),
    pytest.param(
        opening(rule="few", decision="deny", reason=Reason.RATE_LIMITED),
        closing(),
        None,
        id="a refusal of any status",
    ),
    pytest.param(
        opening(rule="few", decision="would_deny", reason=Reason.SCOPE_INSUFFICIENT),
        closing(),
        None,
        id="a refusal that is only observed",
    ),
    pytest.param(opening(rule="few", streamed=True), closing(), None, id="a stream whose start has its line"),
    pytest.param(opening(rule="few"), closing(status=101), None, id="an upgraded connection"),
    pytest.param(opening(rule="few"), closing(status=404), None, id="an upstream that refuses"),
    pytest.param(opening(rule="few"), closing(status=502), None, id="an upstream that fails"),
    pytest.param(
        opening(rule="few"), closing(reason=Note.CLIENT_CLOSED), None, id="an answer that ended early"
    ),
]


@pytest.mark.parametrize(("begun", "ended", "rate"), RATES)
def test_the_share_of_such_requests(begun, ended, rate):
    assert Sampling(RULES, "secret").rate(begun, ended) == rate


def test_without_such_rules_there_is_nothing_to_do():
    assert not Sampling(RULES[2:], "secret")
    assert Sampling(RULES, "secret")


def kept(sampling: Sampling, rate: float = 0.25, **changed: str) -> list[bool]:
    (name, form), *_ = changed.items()
    return [sampling.keeps(opening(**{name: form.format(number)}), rate) for number in range(4000)]


def test_about_that_share_is_kept():
    assert 900 < sum(kept(Sampling(RULES, "secret"), trace_id="{:032x}")) < 1100
    assert 900 < sum(kept(Sampling(RULES, "secret"), request_id="{:028x}")) < 1100
    assert sum(kept(Sampling(RULES, "secret"), 0.000001, request_id="{:028x}")) == 0


def test_a_trace_is_kept_whole_by_all_who_have_the_key_in_common():
    one, other = Sampling(RULES, "secret"), Sampling(RULES[:1], "secret")
    traces = [opening(trace_id=f"{number:032x}", request_id=str(number % 7)) for number in range(200)]
    again = [opening(trace_id=f"{number:032x}", request_id="another") for number in range(200)]
    assert [one.keeps(begun, 0.5) for begun in traces] == [other.keeps(begun, 0.5) for begun in again]


def test_nobody_without_the_key_can_choose_a_trace_that_leaves_no_line():
    ours = kept(Sampling(RULES, "secret"), 0.5, trace_id="{:032x}")
    theirs = kept(Sampling(RULES, "guess"), 0.5, trace_id="{:032x}")
    assert 1800 < sum(one == other for one, other in zip(ours, theirs, strict=True)) < 2200


def test_a_hostile_trace_id_is_one_as_well():
    assert Sampling(RULES, "secret").keeps(opening(trace_id="\ud800"), 1.0)


async def test_a_line_tells_what_it_stands_for_and_everything_is_counted(tmp_path: Path) -> None:
    metrics, path = Metrics(), tmp_path / "access.log"
    log = AccessLog(Log(output=str(path)), metrics=metrics, sampling=Sampling(RULES, "secret"))
    log.start(asyncio.get_running_loop())
    for number in range(100):
        log.finished(opening(rule="few", request_id=f"few {number}"), closing())
    log.finished(opening(rule="all"), closing())
    stream = opening(rule="fewer")
    log.opened(stream, 200)
    log.finished(stream, closing())
    log.configure(Log(output=str(path)), Sampling())
    log.finished(opening(rule="fewer"), closing())
    await asyncio.to_thread(log.close)
    *few, every, start, end, later = map(json.loads, path.read_text().splitlines())
    assert 10 < len(few) < 40
    assert {line["sample_rate"] for line in few} == {0.25}
    assert [line.get("sample_rate") for line in (every, start, end, later)] == [None] * 4
    assert start["event"] == "stream_open"
    assert sum(sum(counted.durations) for counted in metrics.requests()) == 103


async def test_refusals_of_a_rule_that_asks_for_few_lines_have_theirs(tmp_path: Path) -> None:
    rules = [
        {"path": "/few", "scopes": ["read"], "log": {"sample": "0.000001"}},
        {"path": "/all", "scopes": ["read"]},
    ]
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=rules) as proxy,
        proxy.client() as client,
    ):
        for path, *lines in (
            ("/few", f"Authorization: Bearer {TOKEN}"),
            ("/few",),
            ("/all", f"Authorization: Bearer {TOKEN}"),
        ):
            await client.write(get(path, *lines))
            await client.response()
        told = [(line["path"], line["status"]) for line in await proxy.lines()]
    assert told == [("/few", 401), ("/all", 200)]
