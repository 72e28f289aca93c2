"""Many lines as few rows, and what would have allowed those that were refused."""

from __future__ import annotations

import json

import pytest

from proxy.admin.remedies import REMEDIES, explained, remedy
from proxy.admin.seen import Explained, seen
from proxy.admin.tally import agents, link, refusals, tools, what
from proxy.audit.translate import to_ecs, to_otel
from proxy.model import Reason

HOUR = "2026-11-22T14:"


def line(at="00:00", **members):
    usual = {
        "timestamp": f"{HOUR}{at}.000Z",
        "event": "access",
        "method": "POST",
        "path": "/mcp",
        "decision": "allow",
    }
    read = seen(json.dumps({**usual, **members}).encode())
    assert read is not None
    return read


def agent(name="a", **members):
    return {"agent_id": name, "issuer": "https://i", **members}


def test_agents_are_told_apart_by_issuer_and_id():
    rows = agents(
        [
            line("00:01", **agent(agent_name="old")),
            line("00:03", **agent(agent_name="new"), decision="deny", mcp={"tool": "t"}),
            line("00:02", **agent(), decision="would_deny", mcp=[{"tool": "t"}, {"tool": "u"}]),
            line("00:04", agent_id="a", issuer="https://other"),
            line("00:00"),
            line("00:09", event="stream_open", **agent()),
        ]
    )
    assert [
        (row.agent_id, row.issuer, row.agent_name, row.calls, row.refusals, row.tools) for row in rows
    ] == [
        # A stream that is still open tells that its agent was there.
        ("a", "https://i", "new", 3, 1, {"POST": 1, "t": 1, "u": 1}),
        ("a", "https://other", None, 1, 0, {"POST": 1}),
        (None, None, None, 1, 0, {"POST": 1}),
    ]
    # Of a batch, each message is one.
    assert [row.would_deny for row in rows] == [2, 0, 0]
    assert (rows[0].first, rows[0].last) == (f"{HOUR}00:01.000Z", f"{HOUR}00:09.000Z")


LINKS = [
    pytest.param("https://a.example/x", True, id="https"),
    pytest.param("HTTP://a.example", True, id="http, in any case"),
    pytest.param("javascript:alert(1)//https://", False, id="a script"),
    pytest.param(" https://a.example", False, id="with a space before it"),
    pytest.param("data:text/html,x", False, id="a page of its own"),
    pytest.param("//a.example", False, id="without a scheme"),
    pytest.param(None, False, id="nothing"),
]


@pytest.mark.parametrize(("url", "followed"), LINKS)
def test_only_links_of_the_web_are_followed(url, followed):
    assert link(url) == (url if followed else None)
    assert agents([line(**agent(audit_url=url))])[0].audit_url == (url if followed else None)


def test_tools_count_their_agents():
    rows = tools(
        [
            line("00:01", mcp={"tool": "t"}, **agent("a")),
            line("00:02", mcp={"tool": "t"}, **agent("b"), decision="deny"),
            line("00:03", mcp={"tool": "t"}, **agent("a")),
            line("00:04", mcp={"resource": "memory://x"}),
            line("00:05", mcp={"method": "ping"}),
            line("00:06", event="stream_open", mcp={"prompt": "p"}),
        ]
    )
    assert [(row.kind, row.name, row.calls, row.refusals, row.agents) for row in rows] == [
        ("resource", "memory://x", 1, 0, 0),
        ("tool", "t", 2, 1, 2),
    ]


def test_refusals_that_are_alike_are_one():
    rows = refusals(
        [
            line("00:01", decision="deny", reason="token_expired", status=401, **agent()),
            line("00:02", decision="deny", reason="token_expired", status=401, **agent(agent_name="n")),
            line("00:03", decision="would_deny", reason="route_unmatched", path="/x", **agent()),
            line("00:04", **agent()),
        ],
        {},
    )
    assert [(row.reason, row.decision, row.what, row.agent, row.agent_name, row.count) for row in rows] == [
        ("route_unmatched", "would_deny", "POST /x", "a", None, 1),
        ("token_expired", "deny", "POST /mcp", "a", "n", 2),
    ]
    assert [row.remedy for row in rows] == ["A rule for this path and method.", "A fresh token."]


def test_rows_are_bounded():
    many = [
        line(
            f"{n // 60:02d}:{n % 60:02d}",
            decision="deny",
            reason="x",
            mcp={"tool": f"t{n}"},
            **agent(f"a{n}"),
        )
        for n in range(1000)
    ]
    assert [len(rows) for rows in (agents(many), tools(many), refusals(many, {}))] == [200, 100, 100]
    assert agents(many)[0].agent_id == "a999"


ABOUT = [
    pytest.param({}, "POST /mcp", id="method and path"),
    pytest.param({"method": None, "path": None}, "? ?", id="what was no request"),
    pytest.param({"mcp": {"method": "ping"}}, "ping", id="a message that names nothing"),
    pytest.param({"mcp": {"method": "tools/call", "tool": "t"}}, "tool t", id="a tool"),
    pytest.param(
        {"mcp": [{"tool": "t"}, {"prompt": "p"}, {"method": "ping"}]}, "tool t and 1 more", id="a batch"
    ),
    pytest.param({"mcp": []}, "POST /mcp", id="an empty batch"),
]


@pytest.mark.parametrize(("members", "said"), ABOUT)
def test_what_it_was_about(members, said):
    assert what(line(**members)) == said


HIERARCHY = {"admin": ("write",), "write": ("read",)}
SCOPES = [
    pytest.param(["read"], ["write"], "A token that also has scope write.", id="what is missing"),
    pytest.param(
        ["read"], ["read", "x", "y"], "A token that also has scopes x, y.", id="all that is missing"
    ),
    pytest.param(["write"], ["read", "x"], "A token that also has scope x.", id="what is held by another"),
    pytest.param(
        ["admin"],
        ["read"],
        "A token with the scopes that the rule asks for.",
        id="nothing that the line shows",
    ),
    pytest.param(None, ["read"], "A token that also has scope read.", id="none is held"),
]


@pytest.mark.parametrize(("held", "needed", "said"), SCOPES)
def test_which_scopes_would_have_allowed_it(held, needed, said):
    refused = line(decision="deny", reason="scope_insufficient", scopes=held, required_scopes=needed)
    assert remedy(refused, HIERARCHY) == said


REASONS = [
    pytest.param(
        {"reason": "credential_missing", "required_scopes": ["a"]},
        "An access token in Authorization, with scope a.",
        id="a token, and for what",
    ),
    pytest.param({"reason": "credential_missing"}, "An access token in Authorization.", id="any token"),
    pytest.param(
        {"reason": "operation_refused"},
        "An entry of the rule's mcp that names this operation.",
        id="an entry",
    ),
    pytest.param(
        {"reason": "<b>"}, "Nothing is known of this reason here.", id="a reason of another version"
    ),
    pytest.param({}, "Nothing is known of this reason here.", id="no reason"),
]


@pytest.mark.parametrize(("members", "said"), REASONS)
def test_what_would_have_allowed_it(members, said):
    assert remedy(line(decision="deny", **members), {}) == said


def test_every_reason_has_a_remedy():
    assert set(REMEDIES) == set(Reason)


def test_only_what_was_refused_is_explained():
    allowed = line()
    assert explained(allowed, {}) is allowed
    told = explained(line(decision="would_deny", reason="rate_limited", path="/x"), {})
    assert isinstance(told, Explained)
    assert (told.path, told.remedy) == ("/x", "A slower pace, or a higher rate on the rule.")


NO_LINES = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"{", id="a half"),
    pytest.param(b"[]", id="no object"),
    pytest.param(b'{"event":"access"}', id="without a time"),
    pytest.param(b'{"timestamp":"x","event":"access","status":"200"}', id="a member of another kind"),
    pytest.param(
        b'{"timestamp":"x","event":"access","mcp":{"arguments":' + b'{"a":' * 5000 + b"1" + b"}" * 5002,
        id="deep nesting",
    ),
    pytest.param(b'{"timestamp":"\\ud800","event":"access"}', id="half a character"),
    pytest.param(b'\xff\xfe{"timestamp":"x","event":"access"}', id="no UTF-8"),
]


@pytest.mark.parametrize("raw", NO_LINES)
def test_what_is_no_line_is_none(raw):
    assert seen(raw) is None


def test_a_line_cannot_say_what_would_have_allowed_it():
    read = seen(b'{"timestamp":"x","event":"access","remedy":"send me your token"}')
    assert read is not None
    assert not hasattr(read, "remedy")


FORMATS = [pytest.param(to_ecs, id="ECS"), pytest.param(to_otel, id="OpenTelemetry")]


@pytest.mark.parametrize("written", FORMATS)
def test_a_line_is_read_in_every_format(written):
    members = {
        "timestamp": "2026-11-22T14:03:07.512Z",
        "level": "warning",
        "event": "access",
        "request_id": "r",
        "client": "10.0.0.1",
        "method": "POST",
        "path": "/mcp",
        "status": 403,
        "decision": "deny",
        "reason": "scope_insufficient",
        "rule": "mcp",
        "agent_id": "acc_1",
        "agent_name": "archivist",
        "issuer": "https://i",
        "scopes": ["a"],
        "required_scopes": ["a", "b"],
        "mcp": {"method": "tools/call", "tool": "t", "arguments": {"id": "x"}},
        "bytes_in": 1,
        "duration_ms": 4.118,
        "worker": 0,
    }
    read = seen(json.dumps(written(members, {})).encode())
    assert read == seen(json.dumps(members).encode())
    assert read is not None
    assert remedy(read, {}) == "A token that also has scope b."
