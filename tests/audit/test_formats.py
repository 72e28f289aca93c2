"""The lines of every format say the same, under the names of the table; nothing hostile gets out of its string."""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.semconv import attributes
from opentelemetry.semconv._incubating import attributes as incubating

from proxy.audit.formats import fragments, writer
from proxy.audit.names import ENDS
from proxy.audit.names import FIELDS as FIELDS_OF_LINES
from proxy.audit.translate import ORIGINAL, records, to_ecs, to_otel
from proxy.model import Call, Note, Reason
from tests.messages.conversation import EVENTS, bearer
from tests.support.harness import keystile
from tests.support.lines import assert_valid
from tests.support.records import ARRIVAL, caller, closing, opening
from tests.support.upstream import plain, upstream
from tests.wire.exchanges.table import get, http

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = {"service.name": "memory", "env": "prod 100%", "région": 'a"b\u2028'}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALL = Call(
    "tools/call",
    tool="write_memory",
    arguments={"id": "x", "n": 1, "f": 1.5, "b": True, "z": None, "list": ["a"]},
    session="ab12",
    protocol="2025-11-25",
    client="cli",
)

FORMATS = ["keystile", "ecs", "otel"]
RECORDS: list[Any] = [
    pytest.param(opening(), closing(), id="what is unknown is absent"),
    pytest.param(
        opening(
            client_request_id="theirs",
            trace_id=TRACE,
            rule="mcp",
            caller=caller(),
            required=("memory:read",),
            user_agent="agent/1.0",
            mcp=CALL,
        ),
        closing(
            bytes_in=17, bytes_out=1234, seconds=61.2345678, upstream_seconds=0.0000004, upstream_status=201
        ),
        id="everything known",
    ),
    pytest.param(
        opening(decision="deny", reason=Reason.CREDENTIAL_MISSING, method=None, path=None),
        closing(status=401),
        id="a refusal",
    ),
    pytest.param(
        opening(decision="would_deny", reason=Reason.SCOPE_INSUFFICIENT, caller=caller()),
        closing(reason=Note.CLIENT_CLOSED),
        id="a refusal that is only observed",
    ),
    pytest.param(
        opening(reason=Reason.UPSTREAM_UNREACHABLE), closing(status=502), id="a failure of the upstream"
    ),
    pytest.param(opening(), closing(status=500, upstream_status=500), id="a failure without a reason"),
    pytest.param(
        opening(caller=caller(name=None, scopes=(), audit_url=None, token_id=None, key_id=None)),
        closing(),
        id="a token that says next to nothing",
    ),
    pytest.param(opening(mcp=(Call("ping"), CALL)), closing(), id="a batch"),
    pytest.param(opening(mcp=Call()), closing(), id="a message that says nothing"),
    pytest.param(opening(method="PURGE", client="unix"), closing(), id="what others do not know"),
    pytest.param(opening(client="2001:db8::1", path="/" + "x" * 300), closing(), id="what is cut"),
    pytest.param(opening(rule="100%d %b %", path="/%25", user_agent="%s"), closing(), id="percent signs"),
]


def written(form, begun, ended, fields=FIELDS, sample_rate=None):
    """The line of an end, or of a stream's start where `ended` is a status."""
    if begun.caller is not None:
        begun = replace(begun, caller=replace(begun.caller, fragment=fragments(form)(begun.caller.identity)))
    lines = writer(form, 3, fields)
    return (
        lines.stream_open(begun, ended) if isinstance(ended, int) else lines.access(begun, ended, sample_rate)
    )


def unordered(document):
    """`document` of OTel with its attributes by name, each of which is there once."""
    (resource,) = document["resourceLogs"]
    (record,) = resource["scopeLogs"][0]["logRecords"]
    attributes = {one["key"]: one["value"] for one in record["attributes"]}
    assert len(attributes) == len(record["attributes"])
    return {
        **resource["resource"],
        "scope": resource["scopeLogs"][0]["scope"],
        **record,
        "attributes": attributes,
    }


def assert_alike(begun, ended, sample_rate=None):
    plain = json.loads(written("keystile", begun, ended, {}, sample_rate))
    ecs = json.loads(written("ecs", begun, ended, sample_rate=sample_rate))
    otel = json.loads(written("otel", begun, ended, sample_rate=sample_rate))
    assert ecs == to_ecs(plain, FIELDS)
    assert unordered(otel) == unordered(to_otel(plain, FIELDS))
    assert list(records(ecs)) == [plain]
    if plain.get("mcp") == {}:
        # A message that says nothing has no attribute of its own.
        del plain["mcp"]
    assert list(records(otel)) == [plain]


@pytest.mark.parametrize(("begun", "ended"), RECORDS)
def test_the_lines_of_all_formats_say_the_same(begun, ended):
    assert_alike(begun, ended)
    assert_alike(begun, ended, 0.25)
    assert_alike(begun, 200)


def test_a_trace_that_is_none_stands_elsewhere():
    assert_alike(opening(trace_id="no trace"), closing())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("begun", "ended"), RECORDS)
def test_a_line_is_what_its_schema_says(form, begun, ended):
    assert_valid(written(form, begun, ended, sample_rate=0.25), form, fields=True)
    assert_valid(written(form, begun, 200, {}), form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("begun", "ended"), RECORDS)
def test_a_line_ends_where_a_member_can_be_added(form, begun, ended):
    line = written(form, begun, ended)
    assert line.endswith(ENDS[form])
    added = b',"x":1' if form != "otel" else b',{"key":"x","value":{"intValue":"1"}}'
    longer = json.loads(line.removesuffix(ENDS[form]) + added + ENDS[form])
    where = {
        "keystile": lambda: longer,
        "ecs": lambda: longer["keystile"],
        "otel": lambda: unordered(longer)["attributes"],
    }[form]()
    assert list(where)[-1] == "x"


@pytest.mark.parametrize("form", FORMATS)
def test_a_summary_says_how_many_and_why(form):
    line = writer(form, 1, FIELDS).summary("access_suppressed", {"path_ambiguous": 1}, ARRIVAL, ARRIVAL + 1.5)
    (members,) = records(json.loads(line))
    assert {name: value for name, value in members.items() if name not in FIELDS} == {
        "timestamp": "2026-01-01T00:00:00.250Z",
        "level": "warning",
        "event": "access_suppressed",
        "until": "2026-01-01T00:00:01.750Z",
        "count": 1,
        "reasons": {"path_ambiguous": 1},
        "worker": 1,
    }
    assert line.endswith(ENDS[form])
    assert_valid(line, form, fields=True)


def test_static_fields_stand_at_the_end():
    line = json.loads(written("keystile", opening(), closing()))
    assert list(line.items())[-4:] == [("worker", 3), *FIELDS.items()]


def test_an_otel_line_is_what_a_collector_reads():
    # Its own reader, which knows no other members.
    whole = ParseDict(json.loads(written("otel", *RECORDS[1].values)), LogsData())
    (resource,) = whole.resource_logs
    (record,) = resource.scope_logs[0].log_records
    told = {one.key: one.value for one in record.attributes}
    assert {one.key: one.value.string_value for one in resource.resource.attributes} == FIELDS
    assert resource.scope_logs[0].scope.name == "keystile"
    assert (record.time_unix_nano, record.severity_number) == (1767225600250000000, 9)
    assert record.event_name == "keystile.access"
    assert told["enduser.id"].string_value == "acc_demo"
    assert told["http.response.status_code"].int_value == 200
    assert told["keystile.duration_ms"].double_value == 61234.568
    assert [one.string_value for one in told["keystile.scopes"].array_value.values] == [
        "memory:read",
        "memory:write",
    ]
    arguments = {
        one.key: one.value.WhichOneof("value") for one in told["keystile.mcp.arguments"].kvlist_value.values
    }
    assert arguments == {
        "id": "string_value",
        "n": "int_value",
        "f": "double_value",
        "b": "bool_value",
        "z": None,
        "list": "string_value",
    }


def conventions() -> set[str]:
    packages = (attributes, incubating)
    modules = (
        importlib.import_module(f"{package.__name__}.{found.name}")
        for package in packages
        for found in pkgutil.iter_modules(package.__path__)
    )
    return {value for module in modules for name, value in vars(module).items() if name.isupper()}


def test_what_is_not_named_after_keystile_is_a_name_of_the_conventions():
    named = {field.otel for field in FIELDS_OF_LINES if "." in field.otel} | {ORIGINAL, "error.type"}
    assert {name for name in named if not name.startswith("keystile.")} <= conventions()


texts = st.text(max_size=300)
maybe = st.none() | texts
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
messages = st.builds(
    Call,
    **dict.fromkeys(("method", "tool", "resource", "prompt", "session", "protocol", "client"), maybe),
    arguments=st.none() | st.dictionaries(texts, values | st.lists(values), min_size=1, max_size=3),
)


@given(
    st.builds(
        opening,
        **dict.fromkeys(("request_id", "client"), texts),
        **dict.fromkeys(("client_request_id", "trace_id", "method", "path", "rule", "user_agent"), maybe),
        decision=st.sampled_from(["allow", "deny", "would_deny"]),
        reason=st.none() | st.sampled_from([*Reason, *Note]),
        required=st.lists(texts, max_size=2).map(tuple),
        mcp=st.none() | messages | st.lists(messages, min_size=1, max_size=3).map(tuple),
        caller=st.none()
        | st.builds(caller, id=texts, name=maybe, scopes=st.lists(texts, max_size=2).map(tuple)),
    ),
    st.builds(
        closing,
        status=st.integers(100, 999),
        bytes_in=st.integers(0, 2**60),
        seconds=st.floats(0, 1e6),
        upstream_seconds=st.none() | st.floats(0, 1e6),
        upstream_status=st.none() | st.integers(100, 999),
    ),
)
def test_whatever_a_line_says_all_formats_say_it(begun, ended):
    assert_alike(begun, ended)
    assert_alike(begun, 200)


STREAM = (http("HTTP/1.1 200 OK", EVENTS, "Transfer-Encoding: chunked") + b"9\r\ndata: a\n\n\r\n0\r\n\r\n",)


@pytest.mark.parametrize("form", FORMATS)
async def test_a_proxy_writes_that_format(form: str, tmp_path: Path) -> None:
    log = {"output": "access.log", "format": form, "fields": {"service.name": "memory"}}
    async with upstream([plain(), STREAM]) as server, keystile(tmp_path, server.url, log=log) as proxy:
        async with proxy.client() as client:
            for line in (bearer(), bearer(scope="none"), bearer()):
                await client.write(get("/guarded/x", line))
                await client.response()
        lines = (await proxy.log()).splitlines()
    told = [members for line in lines for members in records(json.loads(line))]
    assert [(one["event"], one["status"], one["decision"], one["agent_id"]) for one in told] == [
        ("access", 200, "allow", "acc_1"),
        ("access", 403, "deny", "acc_1"),
        ("stream_open", 200, "allow", "acc_1"),
        ("access", 200, "allow", "acc_1"),
    ]
    assert all(b"memory" in line for line in lines)
