"""The audit question: what it may say, and which lines are part of its answer."""

from __future__ import annotations

import json

import pytest

from proxy.admin.question import QuestionError, answer, read
from proxy.admin.seen import seen
from proxy.audit import Query, search

LINE = {
    "timestamp": "2026-11-22T14:03:07.512Z",
    "event": "access",
    "request_id": "r1",
    "path": "/mcp",
    "decision": "allow",
    "agent_id": "acc_7f3",
    "agent_name": "archivist",
    "issuer": "https://agentlair.dev",
    "mcp": {
        "method": "tools/call",
        "tool": "read_memory",
        "arguments": {"id": "mem 2", "page": 3, "all": True},
    },
}
BATCH = {**LINE, "mcp": [{"tool": "a"}, {"resource": "memory://notes/plan"}, {"prompt": 'Süß "x" [1]'}]}
ANONYMOUS = {
    "timestamp": "2026-11-22T14:03:07.512Z",
    "event": "access",
    "path": "/a",
    "decision": "deny",
    "reason": "credential_missing",
}

FITS = [
    pytest.param({}, LINE, True, id="nothing is asked about"),
    pytest.param({"target": "mem 2"}, LINE, True, id="an argument's value"),
    pytest.param({"target": "3"}, LINE, True, id="a number"),
    pytest.param({"target": "true"}, LINE, True, id="a truth value"),
    pytest.param({"target": "read_memory"}, LINE, True, id="a tool as target"),
    pytest.param({"target": "/mcp"}, LINE, True, id="a path"),
    pytest.param({"target": "mem"}, LINE, False, id="a part of a value"),
    pytest.param({"target": "mem*"}, LINE, True, id="its beginning, with a wildcard"),
    pytest.param({"target": "mem??"}, LINE, True, id="single characters"),
    pytest.param({"target": "MEM*"}, LINE, False, id="another case"),
    pytest.param({"target": "memory://notes/plan"}, BATCH, True, id="a resource in a batch"),
    pytest.param({"target": "memory://**"}, BATCH, True, id="resources by a wildcard"),
    pytest.param({"target": 'Süß "x" [1]'}, BATCH, True, id="a prompt, with all sorts of characters"),
    pytest.param({"target": "*[1]"}, BATCH, True, id="brackets are no wildcard"),
    pytest.param({"target": "*[2]"}, BATCH, False, id="brackets that differ"),
    pytest.param({"tool": "a"}, BATCH, True, id="a tool in a batch"),
    pytest.param({"tool": "read_*"}, LINE, True, id="tools by a wildcard"),
    pytest.param({"tool": "mem 2"}, LINE, False, id="an argument is no tool"),
    pytest.param({"tool": "a"}, ANONYMOUS, False, id="a request without a tool"),
    pytest.param({"agent": "acc_7f3"}, LINE, True, id="an agent by its id"),
    pytest.param({"agent": "archivist"}, LINE, False, id="its name is what it says of itself"),
    pytest.param({"agent": "acc_*"}, ANONYMOUS, False, id="nobody"),
    pytest.param({"issuer": "https://agentlair.*"}, LINE, True, id="an issuer"),
    pytest.param({"reason": "credential_*"}, ANONYMOUS, True, id="a reason"),
    pytest.param({"decision": "deny"}, ANONYMOUS, True, id="a decision"),
    pytest.param({"decision": "deny"}, LINE, False, id="another decision"),
    pytest.param({"agent": "acc_7f3", "tool": "x"}, LINE, False, id="all that is asked about has to fit"),
    pytest.param({"agent": ""}, ANONYMOUS, True, id="what is empty is not asked about"),
    pytest.param({"from": "2026-11-22T14:03:07.512Z"}, LINE, True, id="from its moment on"),
    pytest.param({"from": "2026-11-22T14:03:07.513Z"}, LINE, False, id="from the next on"),
    pytest.param({"to": "2026-11-22T14:03:07.512Z"}, LINE, False, id="up to its moment"),
    pytest.param({"to": "2026-11-22T14:03:07.513Z"}, LINE, True, id="up to the next"),
    pytest.param({"from": "2026-11-22T15:03:07+01:00"}, LINE, True, id="in another zone"),
    pytest.param({"from": "2026-11-22T14:03:07+01:00"}, LINE, True, id="an hour before"),
    pytest.param({"to": "2026-11-22T14:03:07+01:00"}, LINE, False, id="that hour alone"),
]


@pytest.mark.parametrize(("asked", "line", "fits"), FITS)
def test_what_is_part_of_the_answer(asked, line, fits):
    assert bool(list(search(((json.dumps(line).encode(),),), read(asked)))) is fits


FAULTS = [
    pytest.param({"decision": "maybe"}, "decision: write allow, deny, would_deny", id="no decision"),
    pytest.param(
        {"colour": "x"},
        "unknown: ask about target, agent, tool, issuer, reason, decision, from, to",
        id="an unknown name",
    ),
    pytest.param({"from": "yesterday"}, "from: write a time with its zone", id="no time"),
    pytest.param({"to": "2026-11-22T14:00"}, "to: write a time with its zone", id="a time without its zone"),
    pytest.param({"to": "0001-01-01T00:00:00+14:00"}, "to: a time out of range", id="before all times"),
    pytest.param({"target": "x" * 1025}, "target: longer than 1024 characters", id="a target beyond reason"),
]


@pytest.mark.parametrize(("asked", "problem"), FAULTS)
def test_what_makes_no_sense_is_told(asked, problem):
    with pytest.raises(QuestionError, match=f"^{problem}"):
        read(asked)


def test_the_answer_names_each_agent_once_and_the_newest_lines_first():
    texts = [
        json.dumps(
            {**LINE, "timestamp": f"2026-11-22T14:03:{second:02d}.000Z", "agent_id": f"acc_{second % 2}"}
        ).encode()
        for second in range(4)
    ]
    told = answer(
        [
            (entry, line)
            for entry, raw in zip(search((texts,), Query()), texts, strict=True)
            if (line := seen(raw))
        ]
    )
    assert told["count"] == 4
    assert [(row.agent_id, row.calls, row.first[-7:], row.last[-7:]) for row in told["agents"]] == [
        ("acc_0", 2, "00.000Z", "02.000Z"),
        ("acc_1", 2, "01.000Z", "03.000Z"),
    ]
    assert [line.timestamp[-7:] for line in told["lines"]] == ["03.000Z", "02.000Z", "01.000Z", "00.000Z"]
