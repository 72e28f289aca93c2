"""The access line: its fields, their order, and what a hostile value may do to it (nothing)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.line import Lines, fragment
from proxy.model import Note, Reason
from tests.support.records import ARRIVAL, caller, closing, identity, opening

LINES = [
    pytest.param(
        opening(),
        closing(),
        '{"timestamp":"2026-01-01T00:00:00.250Z","level":"info","event":"access",'
        '"request_id":"0123456789abcdef","client":"192.0.2.7","method":"POST","path":"/mcp","status":200,'
        '"decision":"allow","bytes_in":0,"bytes_out":2,"duration_ms":1.5,"worker":3}\n',
        id="what is unknown is absent",
    ),
    pytest.param(
        opening(
            client_request_id="theirs",
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
            reason=Note.PUBLIC,
            rule="mcp",
            caller=caller(),
            required=("memory:read",),
            user_agent="agent/1.0",
        ),
        closing(
            bytes_in=17,
            bytes_out=1234,
            seconds=61.2345678,
            upstream_seconds=0.0000004,
            upstream_status=201,
            status=201,
            reason=Note.CLIENT_CLOSED,
        ),
        '{"timestamp":"2026-01-01T00:00:00.250Z","level":"info","event":"access",'
        '"request_id":"0123456789abcdef","client_request_id":"theirs",'
        '"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","client":"192.0.2.7","method":"POST","path":"/mcp",'
        '"status":201,"decision":"allow","reason":"client_closed","rule":"mcp","agent_id":"acc_demo",'
        '"agent_name":"demo","issuer":"https://agentlair.dev","scopes":["memory:read","memory:write"],'
        '"audit_url":"https://agentlair.dev/audit/acc_demo","token_id":"jti-1","key_id":"key-1",'
        '"audience":["https://mcp.example.com/mcp"],"required_scopes":["memory:read"],'
        '"user_agent":"agent/1.0","bytes_in":17,"bytes_out":1234,"duration_ms":61234.568,"upstream_ms":0.0,'
        '"upstream_status":201,"worker":3}\n',
        id="everything known stands in the order of the design, the closing's reason above the opening's",
    ),
    pytest.param(
        opening(decision="deny", reason=Reason.CREDENTIAL_MISSING, method=None, path=None),
        closing(status=401),
        '{"timestamp":"2026-01-01T00:00:00.250Z","level":"warning","event":"access",'
        '"request_id":"0123456789abcdef","client":"192.0.2.7","status":401,"decision":"deny",'
        '"reason":"credential_missing","bytes_in":0,"bytes_out":2,"duration_ms":1.5,"worker":3}\n',
        id="a refusal is a warning and names nobody",
    ),
    pytest.param(
        opening(reason=Reason.UPSTREAM_UNREACHABLE),
        closing(status=502),
        '{"timestamp":"2026-01-01T00:00:00.250Z","level":"error","event":"access",'
        '"request_id":"0123456789abcdef","client":"192.0.2.7","method":"POST","path":"/mcp","status":502,'
        '"decision":"allow","reason":"upstream_unreachable","bytes_in":0,"bytes_out":2,"duration_ms":1.5,'
        '"worker":3}\n',
        id="a 5xx is an error",
    ),
    pytest.param(
        opening(caller=caller(name=None, scopes=(), audit_url=None, token_id=None, key_id=None)),
        closing(),
        '{"timestamp":"2026-01-01T00:00:00.250Z","level":"info","event":"access",'
        '"request_id":"0123456789abcdef","client":"192.0.2.7","method":"POST","path":"/mcp","status":200,'
        '"decision":"allow","agent_id":"acc_demo","issuer":"https://agentlair.dev","scopes":[],'
        '"audience":["https://mcp.example.com/mcp"],"bytes_in":0,"bytes_out":2,"duration_ms":1.5,'
        '"worker":3}\n',
        id="a token without scopes says so",
    ),
]


@pytest.mark.parametrize(("begun", "ended", "line"), LINES)
def test_an_access_line(begun, ended, line):
    assert Lines(3).access(begun, ended).decode() == line


def test_a_stream_says_when_it_starts():
    begun = opening(caller=caller(name=None, audit_url=None, token_id=None, key_id=None), required=("x",))
    assert Lines(0).stream_open(begun, 200) == (
        b'{"timestamp":"2026-01-01T00:00:00.250Z","level":"info","event":"stream_open",'
        b'"request_id":"0123456789abcdef","client":"192.0.2.7","method":"POST","path":"/mcp","status":200,'
        b'"decision":"allow","agent_id":"acc_demo","issuer":"https://agentlair.dev",'
        b'"scopes":["memory:read","memory:write"],"audience":["https://mcp.example.com/mcp"],'
        b'"required_scopes":["x"],"worker":0}\n'
    )


def test_a_summary_says_how_many_and_why():
    counts = {"credential_missing": 2, "path_ambiguous": 1}
    assert Lines(1).summary("access_suppressed", counts, ARRIVAL, ARRIVAL + 1.5) == (
        b'{"timestamp":"2026-01-01T00:00:00.250Z","level":"warning","event":"access_suppressed",'
        b'"until":"2026-01-01T00:00:01.750Z","count":3,'
        b'"reasons":{"credential_missing":2,"path_ambiguous":1},"worker":1}\n'
    )


STAMPS = [
    pytest.param(
        (ARRIVAL, ARRIVAL + 0.7499), "2026-01-01T00:00:00.999Z", id="milliseconds are cut, not rounded up"
    ),
    pytest.param(
        (ARRIVAL + 9, ARRIVAL), "2026-01-01T00:00:00.250Z", id="an older request ends after a newer one"
    ),
    pytest.param((0.0,), "1970-01-01T00:00:00.000Z", id="the first second of all"),
]


@pytest.mark.parametrize(("arrivals", "last"), STAMPS)
def test_a_timestamp(arrivals, last):
    lines = Lines(0)
    written = [lines.access(opening(timestamp=at), closing()) for at in arrivals]
    assert json.loads(written[-1])["timestamp"] == last


HOSTILE = [
    pytest.param("a\r\nb\n{}", "a\r\nb\n{}", id="CR and LF"),
    pytest.param('"},{"decision":"allow', '"},{"decision":"allow', id="a quote that would close the string"),
    pytest.param("\x1b[2J\x1b]0;owned\x07", "\x1b[2J\x1b]0;owned\x07", id="ANSI sequences"),
    pytest.param("\x7f\x08\x00", "\x7f\x08\x00", id="DEL, backspace, NUL"),
    pytest.param(
        "a\u2028b\u2029c\x85d\x9b2J", "a\u2028b\u2029c\x85d\x9b2J", id="line separators and C1 controls"
    ),
    pytest.param("\u202egpj.exe", "\u202egpj.exe", id="text direction"),
    pytest.param("a\ud800b\udcffc", "a\\ud800b\\udcffc", id="lone surrogates stand as text"),
    pytest.param("ключ 🔑", "ключ 🔑", id="letters of the world come back as they were"),
    pytest.param("\\u0000\\", "\\u0000\\", id="backslashes"),
]
CLIENT_FIELDS = [
    "request_id",
    "client_request_id",
    "trace_id",
    "client",
    "method",
    "path",
    "user_agent",
    "rule",
]


@pytest.mark.parametrize("field", CLIENT_FIELDS)
@pytest.mark.parametrize(("value", "read"), HOSTILE)
def test_a_hostile_value_stays_inside_one_line(field, value, read):
    for line in (
        Lines(0).access(opening(**{field: value}), closing()),
        Lines(0).stream_open(opening(**{field: value}), 200),
    ):
        assert len(line.decode().splitlines()) == 1
        assert line.endswith(b"}\n")
        assert all(0x20 <= byte < 0x7F for byte in line[:-1])
        assert json.loads(line)[field] == read


@pytest.mark.parametrize(
    "field", ["id", "name", "issuer", "audit_url", "token_id", "key_id", "scopes", "audience"]
)
@pytest.mark.parametrize(("value", "read"), HOSTILE)
def test_a_hostile_claim_stays_inside_one_line(field, value, read):
    several = field in {"scopes", "audience"}
    who = caller(**{field: (value, "b") if several else value})
    line = Lines(0).access(opening(caller=who), closing())
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    name = {"id": "agent_id", "name": "agent_name"}.get(field, field)
    assert json.loads(line)[name] == ([read, "b"] if several else read)


CUT = [
    pytest.param("x" * 256, "x" * 256, False, id="256 bytes stand whole"),
    pytest.param("x" * 257, "x" * 256, True, id="the 257th byte is cut"),
    pytest.param("é" * 128, "é" * 128, False, id="256 bytes of UTF-8 stand whole"),
    pytest.param("é" * 129, "é" * 128, True, id="bytes are counted, not characters"),
    pytest.param("x" + "é" * 128, "x" + "é" * 127, True, id="no character is cut in two"),
    pytest.param("x" * 1_000_000, "x" * 256, True, id="a megabyte"),
    pytest.param(
        "\ud800" * 100_000, "\\ud800" * 42 + "\\ud8", True, id="surrogates count as they are written"
    ),
]


@pytest.mark.parametrize("field", ["client_request_id", "trace_id", "method", "path", "user_agent"])
@pytest.mark.parametrize(("value", "read", "truncated"), CUT)
def test_a_long_value_is_cut_and_the_line_says_so(field, value, read, truncated):
    for line in (
        Lines(0).access(opening(**{field: value}), closing()),
        Lines(0).stream_open(opening(**{field: value}), 200),
    ):
        members = json.loads(line)
        assert members[field] == read
        assert members.get("truncated", False) is truncated
        assert list(members)[-1] == ("truncated" if truncated else "worker")


def test_the_query_never_reaches_the_line():
    line = Lines(0).access(opening(path="/mcp?access_token=secret"), closing())
    assert json.loads(line)["path"] == "/mcp"
    assert b"secret" not in line


def test_an_identity_is_never_cut():
    line = Lines(0).access(opening(caller=caller(id="a" * 255, token_id="t" * 2000)), closing())
    members = json.loads(line)
    assert members["agent_id"] == "a" * 255
    assert members["token_id"] == "t" * 2000
    assert "truncated" not in members


def test_a_fragment_has_no_claims_beyond_its_members():
    assert b"tenant" not in fragment(identity(claims={"tenant": "acme"}))


@given(
    st.fixed_dictionaries(
        {name: st.none() | st.text() for name in CLIENT_FIELDS if name not in {"client", "request_id"}},
        optional={"client": st.text(), "request_id": st.text()},
    )
)
def test_any_text_gives_one_line_that_reads_back(values):
    line = Lines(0).access(opening(**values), closing())
    members = json.loads(line)
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert line[-1:] == b"\n"
    assert [name for name, value in values.items() if value is not None and name not in members] == []
    assert members["decision"] == "allow"
