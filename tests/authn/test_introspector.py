"""An endpoint that is asked over loopback: its answers, its faults, and how often it is asked."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from proxy.authn.claims import Admitted, Refused
from proxy.authn.fetch import Web
from proxy.authn.introspector import Introspector, Introspectors
from proxy.config import Introspection, Issuer
from proxy.model import Identity, Reason
from tests.support.key_server import (
    KeyServer,
    after,
    cut_short,
    document,
    endless,
    key_server,
    never,
    redirect,
    status,
)
from tests.support.steps import driven

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from tests.support.key_server import Answer

START = 1_700_000_000.0
ISSUER, AUDIENCE = "https://issuer.test", "https://mcp.example.com/mcp"
PATH = "/introspect"
TOKEN = b"an-opaque-token"
SAID = {"active": True, "iss": ISSUER, "sub": "agent", "aud": AUDIENCE, "exp": START + 3600, "scope": "read"}
JWT = Identity("agent", ISSUER, ("read",), (AUDIENCE,), {**SAID}, START + 3630)

Outcome = tuple[Admitted | Refused, float]


class Asking:
    """An introspector, the endpoint that it asks, and a clock that stands still."""

    def __init__(self, server: KeyServer, opened: Web) -> None:
        self.server = server
        self.now = START
        self.forms: list[dict[str, Any]] = []
        self.asked = asyncio.Event()
        self.web = opened
        self.introspector = self.made()

    def made(self, **changes: Any) -> Introspector:
        usual = {"url": self.server.url + PATH, "client_id": "keystile", "client_secret": "swordfish"}
        endpoint = Introspection(**{**usual, **changes})
        issuer = Issuer(issuer=ISSUER, audience=[AUDIENCE], leeway=30.0)
        post = partial(self.web.post, insecure=False)
        return Introspector(issuer, endpoint, post, lambda: self.now, size=4)

    def answers(self, answer: Answer) -> None:
        async def recording(request: web.Request) -> web.StreamResponse:
            self.forms.append(dict(await request.post()))
            self.asked.set()
            return await answer(request)

        self.server.answers[PATH] = recording

    async def check(self, token: bytes = TOKEN, introspector: Introspector | None = None) -> Outcome:
        return await driven((introspector or self.introspector).check(token, self.now))

    async def confirm(self, identity: Identity = JWT) -> Outcome:
        return await driven(self.introspector.confirm(TOKEN, identity, self.now))


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    opened = Web()
    async with key_server() as server:
        made = Asking(server, opened)
        made.answers(document(SAID))
        yield made
        await made.introspector.close()
        await opened.close()


def reason(outcome: Outcome) -> Reason | None:
    result = outcome[0]
    return result.deny.reason if isinstance(result, Refused) else None


async def test_a_token_is_asked_about(asking: Asking) -> None:
    result, until = await asking.check()
    assert isinstance(result, Admitted)
    assert (result.identity.id, result.identity.scopes) == ("agent", ("read",))
    assert until == START + 60
    assert asking.forms == [{"token": "an-opaque-token", "token_type_hint": "access_token"}]
    request = asking.server.asked[0]
    assert request.method == "POST"
    assert request.headers["Authorization"] == "Basic a2V5c3RpbGU6c3dvcmRmaXNo"
    assert request.headers["Accept"] == "application/json"


async def test_authentication_in_the_form(asking: Asking) -> None:
    assert reason(await asking.check(introspector=asking.made(client_auth="post"))) is None
    assert asking.forms[0]["client_id"] == "keystile"
    assert asking.forms[0]["client_secret"] == "swordfish"
    assert "Authorization" not in asking.server.asked[0].headers


async def test_a_token_that_is_not_active(asking: Asking) -> None:
    asking.answers(document({"active": False}))
    outcome = await asking.check()
    assert reason(outcome) is Reason.TOKEN_INACTIVE
    assert isinstance(outcome[0], Refused)
    assert outcome[0].identity is None


FAULTS = [
    pytest.param(status(400), "400", id="400"),
    pytest.param(status(401, b'{"error": "invalid_client"}'), "401", id="our own credential is refused"),
    pytest.param(status(403), "403", id="403"),
    pytest.param(status(404), "404", id="404"),
    pytest.param(status(201, json.dumps(SAID).encode()), "201", id="another success"),
    pytest.param(status(204), "204", id="nothing"),
    pytest.param(status(500), "500", id="an error"),
    pytest.param(status(503), "503", id="unavailable"),
    pytest.param(redirect(PATH), "302", id="a redirect"),
    pytest.param(document(b"<html>active</html>"), "JSON", id="HTML"),
    pytest.param(document(b""), "JSON", id="an empty answer"),
    pytest.param(document([SAID]), "JSON", id="a list"),  # type: ignore[arg-type] # any JSON will do
    pytest.param(document({**SAID, "active": "true"}), "active", id="active as text"),
    pytest.param(document({**SAID, "active": 1}), "active", id="active as a number"),
    pytest.param(document({"sub": "agent"}), "active", id="no active"),
    pytest.param(document({**SAID, "x": "x" * 65536}), "64 KiB", id="a large answer"),
    pytest.param(endless, "KiB", id="an endless answer"),
    pytest.param(cut_short, "connection failed", id="an answer that is cut short"),
]


@pytest.mark.parametrize(("answer", "problem"), FAULTS)
async def test_a_fault_lets_nobody_pass(asking: Asking, answer: Answer, problem: str) -> None:
    asking.answers(answer)
    with capture_logs() as lines:
        outcomes = [await asking.check(), await asking.check(), await asking.confirm()]
        asking.answers(document(SAID))
        assert reason(await asking.check()) is None
    assert [reason(outcome) for outcome in outcomes] == [Reason.INTROSPECTION_UNAVAILABLE] * 3
    assert [line["event"] for line in lines] == ["introspection_failed", "introspection_works"]
    assert (lines[0]["issuer"], problem in lines[0]["problem"]) == (ISSUER, True)
    assert not [secret for secret in ("swordfish", "opaque-token", "a2V5") if secret in str(lines)]


async def test_an_endpoint_that_never_answers(asking: Asking) -> None:
    asking.answers(never())
    with capture_logs() as lines:
        assert (
            reason(await asking.check(introspector=asking.made(timeout="50ms")))
            is Reason.INTROSPECTION_UNAVAILABLE
        )
    assert lines[0]["problem"] == "the endpoint took too long"


async def test_an_endpoint_that_is_not_there(asking: Asking) -> None:
    gone = asking.made(url="http://127.0.0.1:1" + PATH)
    assert reason(await asking.check(introspector=gone)) is Reason.INTROSPECTION_UNAVAILABLE


async def test_a_fault_of_our_own_lets_nobody_pass(asking: Asking) -> None:
    await asking.check()
    await asking.web.close()
    with capture_logs() as lines:
        assert reason(await asking.check(b"another")) is Reason.INTROSPECTION_UNAVAILABLE
    assert lines[0]["problem"] == "RuntimeError", "what others' errors say may quote a token"


async def test_plain_http_goes_to_this_machine_only(asking: Asking) -> None:
    away = asking.made(url="http://issuer.test" + PATH)
    with capture_logs() as lines:
        assert reason(await asking.check(introspector=away)) is Reason.INTROSPECTION_UNAVAILABLE
    assert lines[0]["problem"] == "its URL is neither https nor http to this machine"


AGAIN = [
    pytest.param(SAID, 59.9, 1, id="an answer stands for a minute"),
    pytest.param(SAID, 60, 2, id="and no longer"),
    pytest.param({**SAID, "exp": START + 10}, 9.9, 1, id="an answer stands until exp"),
    pytest.param({**SAID, "exp": START + 10}, 10, 2, id="and no longer than that"),
    pytest.param({"active": False}, 9.9, 1, id="an inactive token is remembered for a while"),
    pytest.param({"active": False}, 10, 2, id="a short one"),
    pytest.param({**SAID, "aud": "https://other.test"}, 59.9, 1, id="another's token too"),
]


@pytest.mark.parametrize(("said", "later", "asked"), AGAIN)
async def test_how_often_it_is_asked(asking: Asking, said: dict[str, Any], later: float, asked: int) -> None:
    asking.answers(document(said))
    first = await asking.check()
    asking.now += later
    assert reason(await asking.check()) == reason(first)
    assert len(asking.forms) == asked


async def test_a_revoked_token_is_refused_at_the_next_question(asking: Asking) -> None:
    assert reason(await asking.check()) is None
    asking.answers(document({"active": False}))
    asking.now += 59
    assert reason(await asking.check()) is None
    asking.now += 1
    assert reason(await asking.check()) is Reason.TOKEN_INACTIVE
    asking.now -= 2
    assert reason(await asking.check()) is Reason.TOKEN_INACTIVE, (
        "a clock that steps back brings nothing back"
    )


async def test_a_failure_after_a_good_answer_does_not_prolong_it(asking: Asking) -> None:
    assert reason(await asking.check()) is None
    asking.answers(status(500))
    asking.now += 60
    assert reason(await asking.check()) is Reason.INTROSPECTION_UNAVAILABLE


async def test_everybody_waits_for_one_question(asking: Asking) -> None:
    gate = asyncio.Event()
    asking.answers(after(gate, document(SAID)))
    waiting = [asyncio.create_task(asking.check()) for _ in range(20)]
    await asking.asked.wait()
    waiting.pop(0).cancel()
    gate.set()
    outcomes = await asyncio.gather(*waiting)
    assert {reason(outcome) for outcome in outcomes} == {None}
    assert len(asking.forms) == 1
    assert not asking.introspector._under_way


async def test_two_tokens_are_two_questions(asking: Asking) -> None:
    await asyncio.gather(asking.check(b"one"), asking.check(b"two"))
    assert sorted(form["token"] for form in asking.forms) == ["one", "two"]


async def test_made_up_tokens_push_out_no_honest_one(asking: Asking) -> None:
    await asking.check()
    asking.answers(document({"active": False}))
    for number in range(10):
        await asking.check(b"made-up-%d" % number)
    assert reason(await asking.check()) is None
    assert len(asking.forms) == 11
    assert (len(asking.introspector._active), len(asking.introspector._inactive)) == (1, 4)


async def test_the_time_is_read_again_after_the_wait(asking: Asking) -> None:
    gate = asyncio.Event()
    asking.answers(after(gate, document({**SAID, "exp": START + 10})))
    waiting = asyncio.create_task(asking.check())
    await asking.asked.wait()
    asking.now += 41
    gate.set()
    assert reason(await waiting) is Reason.TOKEN_EXPIRED


async def test_a_jwt_is_confirmed(asking: Asking) -> None:
    result, until = await asking.confirm()
    assert isinstance(result, Admitted)
    assert (result.identity.id, until) == ("agent", START + 60)


DENIED = [
    pytest.param({"active": False}, Reason.TOKEN_INACTIVE, id="not active"),
    pytest.param({**SAID, "sub": "somebody"}, Reason.TOKEN_INACTIVE, id="another's"),
    pytest.param({**SAID, "iss": "https://evil.test"}, Reason.ISSUER_UNKNOWN, id="another issuer's"),
]


@pytest.mark.parametrize(("said", "why"), DENIED)
async def test_a_jwt_that_is_not_confirmed(asking: Asking, said: dict[str, Any], why: Reason) -> None:
    asking.answers(document(said))
    outcome = await asking.confirm()
    assert reason(outcome) is why
    assert isinstance(outcome[0], Refused)
    assert outcome[0].identity == JWT, "its signature held: the log may say whose it is"


async def test_closing_ends_every_question(asking: Asking) -> None:
    asking.answers(never())
    waiting = asyncio.create_task(asking.check())
    await asking.asked.wait()
    await asking.introspector.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_nothing_shows_what_was_said(asking: Asking) -> None:
    await asking.check()
    shown = repr(vars(asking.introspector))
    assert "swordfish" not in shown
    assert str(START + 3600) not in shown


async def test_a_question_ends_with_the_last_who_waits_for_it(asking: Asking) -> None:
    asking.answers(never())
    waiting = [asyncio.ensure_future(asking.check()) for _ in range(2)]
    await asking.asked.wait()
    [question] = asking.introspector._under_way.values()
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    assert not question.task.done()
    waiting[1].cancel()
    await asyncio.gather(waiting[1], question.task, return_exceptions=True)
    assert question.task.cancelled()
    assert asking.introspector._under_way == {}


async def test_made_up_tokens_keep_nobody_waiting_who_was_known(asking: Asking) -> None:
    assert reason(await asking.check(b"known")) is None
    asking.now += 61
    asking.answers(never())
    flood = [asyncio.ensure_future(asking.check(b"made-up-%d" % number)) for number in range(80)]
    done, _ = await asyncio.wait(flood, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert {reason(one.result()) for one in done} == {Reason.INTROSPECTION_UNAVAILABLE}
    assert len(asking.introspector._under_way) == 64
    asking.answers(document(SAID))
    assert reason(await asking.check(b"new")) is Reason.INTROSPECTION_UNAVAILABLE
    assert reason(await asking.check(b"known")) is None
    for one in flood:
        one.cancel()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_every_issuer_that_has_an_endpoint_is_asked_there_and_no_other() -> None:
    async with key_server() as one, key_server() as other:
        endpoints = {"https://one.test": one, "https://other.test": other, "https://none.test": None}
        for name, server in endpoints.items():
            if server is not None:
                server.answers[PATH] = document({**SAID, "iss": name})
        issuers = [
            Issuer(
                issuer=name,
                audience=[AUDIENCE],
                introspection=server
                and {"url": server.url + PATH, "client_id": "keystile", "client_secret": "swordfish"},
            )
            for name, server in endpoints.items()
        ]
        made = Introspectors(issuers, lambda: START)
        try:
            assert made.get("https://none.test") is None
            for name in ("https://one.test", "https://other.test"):
                asked = made.get(name)
                assert asked is not None
                assert reason(await driven(asked.check(TOKEN, START))) is None
        finally:
            await made.close()
        assert (len(one.asked), len(other.asked)) == (1, 1)


async def test_closing_all_ends_every_question() -> None:
    asked = asyncio.Event()

    async def unanswered(request: web.Request) -> web.StreamResponse:
        asked.set()
        return await never()(request)

    async with key_server() as server:
        server.answers[PATH] = unanswered
        endpoint = {"url": server.url + PATH, "client_id": "keystile", "client_secret": "swordfish"}
        made = Introspectors(
            [Issuer(issuer=ISSUER, audience=[AUDIENCE], introspection=endpoint)], lambda: START
        )
        introspector = made.get(ISSUER)
        assert introspector is not None
        waiting = asyncio.create_task(driven(introspector.check(TOKEN, START)))
        await asked.wait()
        await made.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting


OPAQUE = [
    pytest.param(("opaque",), 0, id="the only one"),
    pytest.param(("always",), 0, id="the only one, which is asked about all"),
    pytest.param(("always", "opaque", "always"), 1, id="the one that is for them"),
    pytest.param(("always", "always"), None, id="none, where several are asked about their own"),
    pytest.param((), None, id="none at all"),
]


@pytest.mark.parametrize(("modes", "chosen"), OPAQUE)
async def test_who_is_asked_about_opaque_tokens(modes: tuple[str, ...], chosen: int | None) -> None:
    made = Introspectors(
        [
            Issuer(
                issuer=f"https://{index}.test",
                introspection={"url": "https://a", "client_id": "me", "client_secret": "s", "mode": mode},
            )
            for index, mode in enumerate(modes)
        ],
        lambda: START,
    )
    assert made.for_opaque is (None if chosen is None else made.get(f"https://{chosen}.test"))
    await made.close()
