"""Which lines a question means, and which agents they name: each case is a log, a question, and its answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.audit import Query, search, summarise
from proxy.audit.entries import read_line
from proxy.model import Call, Reason
from tests.support.logs import agent, at, dropped, line, recall, started

ANN, BOB, EVE = agent("ann"), agent("bob"), agent("eve", issuer="https://other.example")
DENIED: dict[str, Any] = {"decision": "deny", "reason": Reason.SCOPE_INSUFFICIENT}
NOON = "2026-11-22T12:00:00"

LOG = [
    line("2026-11-22T11:59:59.999", ANN, recall("x")),
    line("2026-11-22T12:00:00.000", ANN, recall("x")),
    line("2026-11-22T12:10:00", BOB, recall("x", "remember")),
    line("2026-11-22T12:20:00", BOB, recall("y")),
    line("2026-11-22T12:30:00", EVE, recall("x"), **DENIED),
    line("2026-11-22T12:40:00", EVE, recall("z"), decision="would_deny", reason=Reason.SCOPE_INSUFFICIENT),
    line(
        "2026-11-22T12:50:00",
        None,
        None,
        path="/x",
        method="GET",
        decision="deny",
        reason=Reason.CREDENTIAL_MISSING,
    ),
    line("2026-11-22T13:00:00.000", ANN, Call("resources/read", resource="memory://notes/x")),
    line("2026-11-22T13:10:00", ANN, Call("prompts/get", prompt="x")),
    started("2026-11-22T13:20:00", BOB, recall("x")),
    dropped("2026-11-22T13:30:00", "2026-11-22T13:30:01", 3),
]

QUESTIONS = [
    pytest.param(Query(), "ann ann bob bob eve eve nobody ann ann bob", id="nothing in particular: every line of a request"),
    pytest.param(Query(target="x"), "ann ann bob eve ann bob", id="an argument's value, a prompt"),
    pytest.param(Query(target="*x"), "ann ann bob eve nobody ann ann bob", id="a glob takes the resource and the path, too"),
    pytest.param(Query(target="memory://notes/x"), "ann", id="a resource"),
    pytest.param(Query(target="memory://*"), "ann", id="a glob of resources goes across slashes"),
    pytest.param(Query(target="/x"), "nobody", id="a path"),
    pytest.param(Query(target="recall"), "ann ann bob eve eve bob", id="a tool"),
    pytest.param(Query(target="X"), "", id="case matters"),
    pytest.param(Query(target="?"), "ann ann bob bob eve eve ann bob", id="one character"),
    pytest.param(Query(target="key"), "", id="the name of an argument is no value"),
    pytest.param(Query(agent="acc_bob"), "bob bob bob", id="an agent"),
    pytest.param(Query(agent="bob"), "", id="an agent is its id, not its name"),
    pytest.param(Query(agent="acc_?*b*"), "bob bob bob", id="agents by glob"),
    pytest.param(Query(tool="rem*"), "bob", id="tools by glob"),
    pytest.param(Query(tool="recall", target="y"), "bob", id="a tool and a target"),
    pytest.param(Query(decision="deny"), "eve nobody", id="what was refused"),
    pytest.param(Query(decision="would_deny"), "eve", id="what observe mode let through"),
    pytest.param(Query(reason="scope_insufficient"), "eve eve", id="a reason"),
    pytest.param(Query(issuer="https://other.example"), "eve eve", id="an issuer"),
    pytest.param(Query(issuer="https://agent*"), "ann ann bob bob ann ann bob", id="issuers by glob"),
    pytest.param(Query(start=at(NOON)), "ann bob bob eve eve nobody ann ann bob", id="from is included"),
    pytest.param(Query(end=at(NOON)), "ann", id="to is not"),
    pytest.param(Query(target="x", start=at(NOON), end=at("2026-11-22T13:00:00")), "ann bob eve", id="the question itself"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "who"), QUESTIONS)
def test_a_question_means_these_lines(query: Query, who: str) -> None:
    found = [(entry.agent_id or "acc_nobody").removeprefix("acc_") for entry in search([LOG], query)]
    assert found == who.split()


def test_agents_are_added_up() -> None:
    rows = summarise(search([LOG], Query(target="x")))
    told = [
        (row.agent_id, row.agent_name, row.calls, row.refusals, row.first, row.last, row.tools)
        for row in rows
    ]
    first, noon, one = "2026-11-22T11:59:59.999Z", "2026-11-22T12:10:00.000Z", "2026-11-22T12:30:00.000Z"
    assert told == [
        ("acc_ann", "ann", 3, 0, first, "2026-11-22T13:10:00.000Z", {"recall": 2, "prompts/get": 1}),
        ("acc_bob", "bob", 1, 0, noon, "2026-11-22T13:20:00.000Z", {"remember": 1}),
        ("acc_eve", "eve", 0, 1, one, one, {}),
    ]
    assert [row.open for row in rows] == [0, 1, 0]
    assert rows[2].reasons == {"scope_insufficient": 1}
    assert rows[0].audit_url == "https://agentlair.dev/audit/acc_ann"


def test_observe_mode_is_told_apart() -> None:
    (row,) = summarise(search([LOG], Query(target="z")))
    assert (row.calls, row.would_deny, row.refusals) == (1, 1, 0)


def test_the_same_id_of_two_issuers_is_two_agents() -> None:
    log = [
        line(NOON, agent("a", issuer=issuer), recall("x"))
        for issuer in ("https://a.example", "https://b.example")
    ]
    rows = summarise(search([log], Query(target="x")))
    assert [(row.agent_id, row.issuer) for row in rows] == [("acc_a", "https://a.example"), ("acc_a", "https://b.example")]  # fmt: skip


BATCH = (recall("x"), recall("x"), recall("y", "remember"), Call("ping"))
BATCHES = [
    pytest.param(Query(target="x"), 2, id="two of a batch"),
    pytest.param(Query(target="y"), 1, id="one of a batch"),
    pytest.param(Query(tool="remember", target="x"), 0, id="tool and target of different messages are not one call"),
    pytest.param(Query(target="/mcp"), 4, id="the path of all"),
    pytest.param(Query(), 4, id="all"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "calls"), BATCHES)
def test_each_message_of_a_batch_counts_for_itself(query: Query, calls: int) -> None:
    rows = summarise(search([[line(NOON, ANN, BATCH)]], query))
    assert sum(row.calls for row in rows) == calls


VALUES = [
    pytest.param("x", "x", True, id="a text"),
    pytest.param('say "hi"\\', 'say "hi"\\', True, id="with quotation marks and a backslash"),
    pytest.param(
        "Käse/\u2028\x1b\U0001f9c0", "Käse/\u2028\x1b\U0001f9c0", True, id="with what no line shows as it is"
    ),
    pytest.param("a*b", "a*b", True, id="with a star, which is one"),
    pytest.param(["x", "y"], "y", True, id="a member of a list"),
    pytest.param({"ids": [{"id": 'q"'}]}, 'q"', True, id="a member of a member"),
    pytest.param({"ids": 1}, "ids", False, id="a name within an object is no value"),
    pytest.param(["\\u0041/\u00e9"], "\\u0041/\u00e9", True, id="escapes within escapes"),
    pytest.param(42, "42", True, id="a number"),
    pytest.param(42.0, "42", True, id="the same number with a point"),
    pytest.param("42", "42", True, id="the same number as a text"),
    pytest.param([1, 42.50], "42.5", True, id="a number of a list"),
    pytest.param(142, "42", False, id="another number"),
    pytest.param(-1.5, "-1.5", True, id="a negative number"),
    pytest.param(2**80, str(2**80), True, id="a vast number"),
    pytest.param(True, "true", True, id="a truth value"),
    pytest.param(None, "null", False, id="null is nothing"),
    pytest.param("é" * 200, "é" * 200, True, id="a text that is longer than a line shows"),
    pytest.param("é" * 200, "é" * 199, True, id="another one that is cut to the same"),
    pytest.param("[" * 200, "x", False, id="what looks like JSON and is none"),
]


@pytest.mark.parametrize(("value", "target", "meant"), VALUES)
def test_values_of_arguments(value: object, target: str, meant: bool) -> None:
    log = [line(NOON, ANN, recall(value))]
    assert bool(list(search([log], Query(target=target)))) is meant


STRANGE = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"{", id="torn"),
    pytest.param(b"[]", id="a list"),
    pytest.param(b"{}", id="an empty object"),
    pytest.param(b'{"timestamp":1,"event":"access"}', id="a moment that is a number"),
    pytest.param(b'{"timestamp":"noon","event":"access"}', id="a moment that is none"),
    pytest.param(b'{"timestamp":"2026-11-22T12:00:00.000Z","event":"access","path":"\xff"}', id="no UTF-8"),
    pytest.param(b'{"timestamp":"2026-11-22T12:00:00.000Z","event":{}}', id="an event that is an object"),
    pytest.param(b'{"mcp":' + b"[" * 100_000, id="deep"),
    pytest.param(b"\x00" * 4096, id="what a power cut leaves"),
]


@pytest.mark.parametrize("raw", STRANGE)
def test_what_is_no_access_line_is_none(raw: bytes) -> None:
    assert not read_line(raw)
    assert list(search([[raw]], Query())) == []


def test_moments_of_other_writers_are_understood() -> None:
    told = json.loads(line(NOON, ANN, recall("x")))
    zoned = [
        dict(told, timestamp=text) for text in ("2026-11-22T13:00:00+01:00", "2026-11-22T12:00:00.000999Z")
    ]
    found = search([[json.dumps(one).encode() for one in zoned]], Query(start=at(NOON), end=at(NOON) + 0.001))
    assert [entry.timestamp for entry in found] == ["2026-11-22T12:00:00.000Z"] * 2


def test_no_glob_is_slow() -> None:
    log = [line(NOON, ANN, recall("a" * 256))]
    assert list(search([log], Query(target="*a" * 100 + "b"))) == []
