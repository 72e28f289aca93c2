"""The dashboard over loopback: its page, what it tells live and in rows, the audit question, and who gets in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path

import pytest

from proxy.config import ConfigError
from tests.support.admin import following, page, told
from tests.support.harness import keystile, token
from tests.support.raw import connect
from tests.support.upstream import upstream

ADMIN = "127.0.0.1:0"
SECRET = "0123456789abcdef-the-token"
GUARDED = {"listen": "127.0.0.1:0", "token": SECRET}
EVERYWHERE = {"listen": "0.0.0.0:0"}
BEARER = f"Authorization: Bearer {SECRET}"
PROOF = "ab" * 16
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
PAGES = Path(__file__).parents[2] / "proxy" / "admin" / "pages"

RULES = [
    {
        "name": "mcp",
        "path": "/mcp",
        "scopes": ["read"],
        "mcp": [{"tool": "write_*", "scopes": ["write"]}, {"tool": "*"}],
    },
    {"name": "open", "path": "/open/**", "public": True},
    {"name": "guarded", "path": "/**", "scopes": ["read"]},
]
SETTINGS = {"rules": RULES, "admin": ADMIN, "log": {"output": "access.log", "arguments": ["id"]}}


async def ask(address, path="/open/x", *lines, method="GET", body=b""):
    """Send the proxy a request on a connection of its own."""
    head = [f"{method} {path} HTTP/1.1", "Host: edge.test", "Connection: close", *lines]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    async with connect(address) as client:
        await client.write("\r\n".join([*head, "", ""]).encode() + body)
        return await client.response(method.encode())


async def call(address, tool, memory, agent):
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": {"id": memory}},
    }
    return await ask(
        address,
        "/mcp",
        f"Authorization: Bearer {token(sub=agent)}",
        method="POST",
        body=json.dumps(message).encode(),
    )


async def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_of_others(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        answer = await page(running.admin, "/")
    assert answer.value(b"content-security-policy") == POLICY
    assert answer.value(b"referrer-policy") == b"no-referrer"
    assert answer.value(b"cache-control") == b"no-store"
    text = answer.body.decode()
    assert re.findall(r"""(?:src|href)="(?!#)([^"]*)""", text)[1:] == ["/dashboard.css", "/dashboard.js"]
    assert re.search(r"<script(?! src=)|<style|\son\w+=|style=", text) is None


@pytest.mark.parametrize(
    "word",
    [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
        "DOMParser",
    ],
)
def test_the_script_makes_no_markup_of_what_it_is_told(word):
    assert word not in (PAGES / "dashboard.js").read_text()


async def test_requests_are_told_as_they_come(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        await ask(running.address, "/open/before")
        async with following(running.admin) as stream:
            assert [line["path"] for line in await stream.until(1)] == ["/open/before"]
            await ask(running.address, "/open/after")
            await call(running.address, "write_memory", "x", "acc_1")
            lines = await stream.until(3)
            head = bytes(stream.client.received).partition(b"\r\n\r\n")[0].lower()
    assert b"content-type: text/event-stream" in head
    assert b"cache-control: no-store" in head
    assert b"x-content-type-options: nosniff" in head
    assert [(line["path"], line["decision"]) for line in lines] == [
        ("/open/before", "allow"),
        ("/open/after", "allow"),
        ("/mcp", "deny"),
    ]
    assert lines[2]["agent_id"] == "acc_1"
    assert lines[2]["remedy"] == "A token that also has scope write."
    assert "remedy" not in lines[0]


async def test_rows_say_who_came_and_what_was_refused(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        await call(running.address, "read_memory", "x", "acc_1")
        await call(running.address, "write_memory", "x", "acc_1")
        await ask(running.address, "/guarded")
        state = await told(running.admin, "/state")
    assert (state["mode"], state["status"], state["asks_for_token"]) == ("enforce", "ready", False)
    assert state["uptime_seconds"] >= 0
    assert state["workers"] == {"configured": 1, "answering": 1}
    assert [(one["issuer"], one["usable"]) for one in state["keys"]] == [("https://issuer.test", True)]
    assert {
        name: state["recent"][name] for name in ("calls", "denied", "would_deny", "failed", "untold")
    } == {
        "calls": 3,
        "denied": 2,
        "would_deny": 0,
        "failed": 0,
        "untold": 0,
    }
    assert [(one["agent_id"], one["calls"], one["refusals"], one["tools"]) for one in state["agents"]] == [
        (None, 0, 1, {}),
        ("acc_1", 1, 1, {"read_memory": 1}),
    ]
    assert [(one["name"], one["calls"], one["refusals"], one["agents"]) for one in state["tools"]] == [
        ("write_memory", 0, 1, 1),
        ("read_memory", 1, 0, 1),
    ]
    assert [(one["reason"], one["what"], one["remedy"]) for one in state["refusals"]] == [
        ("credential_missing", "GET /guarded", "An access token in Authorization, with scope read."),
        ("scope_insufficient", "tool write_memory", "A token that also has scope write."),
    ]


QUESTIONS = [
    pytest.param("target=x", [("acc_1", 2), ("acc_2", 1)], id="who touched it"),
    pytest.param("target=y", [("acc_2", 1)], id="who touched another"),
    pytest.param("target=x&tool=write_*", [("acc_1", 1)], id="with a tool"),
    pytest.param("target=x&decision=deny", [("acc_1", 1)], id="and was refused"),
    pytest.param("agent=acc_2", [("acc_2", 2)], id="what an agent did"),
    pytest.param("target=x&to=2020-01-01T00:00:00Z", [], id="before all of it"),
    pytest.param(
        "target=x&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z",
        [("acc_1", 2), ("acc_2", 1)],
        id="in a time",
    ),
]


@pytest.mark.parametrize("output", ["access.log", "stdout"])
@pytest.mark.parametrize(("question", "agents"), QUESTIONS)
async def test_the_audit_question(tmp_path, output, question, agents):
    settings = {**SETTINGS, "log": {"output": output, "arguments": ["id"]}}
    async with upstream() as behind, keystile(tmp_path, behind.url, **settings) as running:
        for tool, memory, agent in (
            ("read_memory", "x", "acc_2"),
            ("read_memory", "y", "acc_2"),
            ("read_memory", "x", "acc_1"),
            ("write_memory", "x", "acc_1"),
        ):
            await call(running.address, tool, memory, agent)
        answer = await told(running.admin, f"/audit?{question}")
    assert sorted((one["agent_id"], one["calls"] + one["refusals"]) for one in answer["agents"]) == agents
    assert answer["count"] == len(answer["lines"]) == sum(calls for _, calls in agents)
    assert not answer["unlogged"]
    named = None if output == "stdout" else str(tmp_path / output)
    assert answer["searched"]["file"] == named


async def test_the_file_is_asked_for_what_memory_has_no_more(tmp_path):
    """Lines of an earlier run, with some between them that are none."""
    old = [
        {
            "timestamp": f"2026-01-0{day}T00:00:00.000Z",
            "event": "access",
            "request_id": f"old{day}",
            "decision": "allow",
            "agent_id": f"acc_{day}",
            "issuer": "https://i",
            "path": "/old",
            "duration_ms": 1.0,
        }
        for day in range(1, 6)
    ]
    written = [json.dumps(line).encode() for line in old]
    (tmp_path / "access.log").write_bytes(
        b"\n".join([*written[:2], b"no line about /old", *written[2:], b""])
    )
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        everything = await told(running.admin, "/audit?target=/old")
        late = await told(running.admin, "/audit?target=/old&from=2026-01-04T00:00:00Z")
    assert sorted(one["agent_id"] for one in everything["agents"]) == [
        "acc_1",
        "acc_2",
        "acc_3",
        "acc_4",
        "acc_5",
    ]
    assert everything["searched"]["complete"]
    assert sorted(one["agent_id"] for one in late["agents"]) == ["acc_4", "acc_5"]


async def test_a_target_that_the_log_does_not_show_is_told(tmp_path):
    settings = {**SETTINGS, "log": {"output": "access.log"}}
    async with upstream() as behind, keystile(tmp_path, behind.url, **settings) as running:
        await call(running.address, "read_memory", "x", "acc_1")
        answer = await told(running.admin, "/audit?target=x")
    assert (answer["count"], answer["unlogged"]) == (0, True)


NONSENSE = [
    pytest.param("colour=blue", "unknown: ask about target", id="an unknown name"),
    pytest.param("from=yesterday", "from: write a time with its zone", id="no time"),
    pytest.param("agent=a&agent=b", "agent: asked about twice", id="two agents"),
]


@pytest.mark.parametrize(("question", "problem"), NONSENSE)
async def test_a_question_without_sense(tmp_path, question, problem):
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        answer = await page(running.admin, f"/audit?{question}")
    assert answer.status == 400
    assert json.loads(answer.body)["problem"].startswith(problem)


async def test_what_is_hostile_comes_back_as_data(tmp_path):
    hostile = "<img src=x onerror=alert(1)>\u2028\u202e'\"&"
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        await call(running.address, hostile, hostile, hostile)
        async with following(running.admin) as stream:
            [line] = await stream.until(1)
        state = await page(running.admin, "/state")
    assert line["agent_id"] == line["mcp"]["tool"] == line["mcp"]["arguments"]["id"] == hostile
    assert state.value(b"content-type") == b"application/json"
    assert [one["agent_id"] for one in json.loads(state.body)["agents"]] == [hostile]


async def test_viewers_are_bounded_and_those_that_leave_make_room(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        async with contextlib.AsyncExitStack() as many:
            for _ in range(8):
                await many.enter_async_context(following(running.admin))
            assert (await page(running.admin, "/events")).status == 503
            assert (await page(running.admin, "/state")).status == 200
        async with asyncio.timeout(10):
            while running._server._admin._dashboard.watch.full:  # noqa: ASYNC110 - nobody tells that there is room
                await asyncio.sleep(0)
        async with following(running.admin) as stream:
            await ask(running.address)
            assert len(await stream.until(1)) == 1


async def test_a_stream_ends_with_the_proxy(tmp_path):
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **SETTINGS) as running,
        following(running.admin) as stream,
    ):
        await running.close()
        await stream.client.until(lambda: stream.client.ended)


async def test_the_lines_of_the_last_while_are_kept_only_where_somebody_may_look(tmp_path):
    async with upstream() as behind:
        kept = []
        for number, admin in enumerate((ADMIN, GUARDED, EVERYWHERE, None)):
            folder = tmp_path / str(number)
            folder.mkdir()
            async with keystile(
                folder, behind.url, **{**SETTINGS, "admin": admin, "resource": "https://edge.test"}
            ) as running:
                await ask(running.address)
                kept.append(len(running._server.recall(0, 1000).lines))
    assert kept == [1, 1, 0, 0]


OUTSIDE = [
    pytest.param("/healthz", 200, id="health"),
    pytest.param("/readyz", 200, id="readiness"),
    pytest.param("/metrics", 200, id="metrics"),
    *(
        pytest.param(path, 403, id=f"not {path}")
        for path in ("/", "/dashboard.js", "/config", "/state", "/events", "/audit")
    ),
]


@pytest.mark.parametrize(("path", "status"), OUTSIDE)
async def test_beyond_loopback_without_a_token(tmp_path, path, status):
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **{**SETTINGS, "admin": EVERYWHERE}) as running,
    ):
        address = ("127.0.0.1", running.admin[1])
        answer = await page(address, path)
        login = await page(address, "/login", BEARER, method="POST")
    assert answer.status == status
    assert status == 200 or b"set admin.token" in answer.body
    assert login.status == 403


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:0"])
@pytest.mark.parametrize("path", ["/config", "/state", "/events", "/audit?target=x"])
async def test_where_a_token_is_asked_for_its_holder_gets_in(tmp_path, listen, path):
    settings = {**SETTINGS, "admin": {"listen": listen, "token": SECRET}}
    async with upstream() as behind, keystile(tmp_path, behind.url, **settings) as running:
        address = ("127.0.0.1", running.admin[1])
        without = await page(address, path, method="HEAD")
        wrong = await page(address, path, "Authorization: Bearer wrong-token-altogether", method="HEAD")
        right = await page(address, path, BEARER, method="HEAD")
        empty = [
            (await page(address, one)).status
            for one in ("/", "/dashboard.css", "/dashboard.js", "/healthz", "/metrics")
        ]
    assert (without.status, wrong.status, right.status) == (401, 401, 200)
    assert without.value(b"www-authenticate") == b"Bearer"
    assert empty == [200] * 5


async def test_a_session_is_begun_used_and_ended(tmp_path):
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **{**SETTINGS, "admin": GUARDED}) as running,
    ):
        begun = await page(running.admin, "/login", BEARER, f"Keystile-Proof: {PROOF}", method="POST")
        said = begun.value(b"set-cookie").decode()
        cookie = f"Cookie: {said.partition(';')[0]}"
        used = await page(running.admin, "/state", cookie, f"Keystile-Proof: {PROOF}")
        # As the upstream would see it, were a browser to bring it to the clients' port.
        stolen = await page(running.admin, "/state", cookie)
        async with following(running.admin, cookie, f"Keystile-Proof: {PROOF}") as stream:
            await ask(running.address)
            assert len(await stream.until(1)) == 1
        ended = await page(running.admin, "/logout", method="POST")
    assert begun.status == 204
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} <= set(said.split("; "))
    assert SECRET not in said
    assert (used.status, stolen.status) == (200, 401)
    assert json.loads(used.body)["asks_for_token"]
    assert b"Max-Age=0" in ended.value(b"set-cookie")


async def test_wrong_tokens_are_few(tmp_path):
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **{**SETTINGS, "admin": GUARDED}) as running,
    ):
        statuses = [
            (
                await page(
                    running.admin,
                    "/login",
                    "Authorization: Bearer no",
                    f"Keystile-Proof: {PROOF}",
                    method="POST",
                )
            ).status
            for _ in range(6)
        ]
        right = await page(running.admin, "/state", BEARER)
    assert statuses == [401] * 5 + [429]
    assert right.status == 429
    assert 0 < int(right.value(b"retry-after")) <= 60


async def test_another_token_takes_effect_with_a_reload(tmp_path):
    other = "fedcba9876543210-another"
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **{**SETTINGS, "admin": GUARDED}) as running,
    ):
        begun = await page(running.admin, "/login", BEARER, f"Keystile-Proof: {PROOF}", method="POST")
        session = (
            f"Cookie: {begun.value(b'set-cookie').decode().partition(';')[0]}",
            f"Keystile-Proof: {PROOF}",
        )
        await running.reload(**{**SETTINGS, "admin": {**GUARDED, "token": other}})
        old = await page(running.admin, "/state", BEARER)
        new = await page(running.admin, "/state", f"Authorization: Bearer {other}")
        over = await page(running.admin, "/state", *session)
    assert (old.status, new.status, over.status) == (401, 200, 401)


async def test_a_page_of_another_site_gets_nothing(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        statuses = [
            (await page(running.admin, path, "Sec-Fetch-Site: cross-site")).status
            for path in ("/state", "/events", "/audit", "/config", "/")
        ]
    assert statuses == [403, 403, 403, 403, 200]


async def test_no_token_of_ours_or_theirs_is_shown(tmp_path, capfd):
    agent = token(sub="acc_1")
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **{**SETTINGS, "admin": GUARDED}) as running,
    ):
        await ask(
            running.address, "/guarded?token=hunter2", f"Authorization: Bearer {agent}", "Cookie: a=hunter2"
        )
        shown = [
            await page(running.admin, path, BEARER)
            for path in ("/state", "/audit", "/config", "/metrics", "/readyz")
        ]
        async with following(running.admin, BEARER) as stream:
            await stream.until(1)
            streamed = bytes(stream.client.received)
    printed = capfd.readouterr()
    everything = b"".join([*(one.body for one in shown), streamed, *(text.encode() for text in printed)])
    for secret in (SECRET, agent, agent.rpartition(".")[2], "hunter2"):
        assert secret.encode() not in everything


async def test_it_is_the_configuration_that_says_who_gets_in(tmp_path):
    """Whether a token is asked for at all is settled at the start."""
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **{**SETTINGS, "admin": GUARDED}) as running,
    ):
        with pytest.raises(ConfigError, match="admin: cannot change while it runs"):
            await running.reload(**SETTINGS)
