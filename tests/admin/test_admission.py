"""Who sees the dashboard: tables of tokens, sessions and attempts, and of where it listens."""

from __future__ import annotations

import pytest

from proxy.admin.admission import Admission, Attempts, Refusal, Shown, Token
from tests.support.configuration import completed, loaded

TOKEN = "0123456789abcdef"
PROOF = "ab" * 16
NOW = 1_800_000_000.0
NOBODY = Shown([], "", "", "", "10.0.0.1")
HOLDER = Shown([f"Bearer {TOKEN}"], "", PROOF, "", "10.0.0.1")

LOOPBACK = "127.0.0.1:9901"
EVERYWHERE = "0.0.0.0:9901"
WITH_TOKEN = "{listen: 0.0.0.0:9901, token: " + TOKEN + "}"
LOOPBACK_WITH_TOKEN = "{listen: 127.0.0.1:9901, token: " + TOKEN + "}"


def listener(written):
    admin = loaded(completed(f"admin: {written}")).admin
    assert admin is not None
    return admin


def shown(authorization=(), **others):
    return Shown(
        list(authorization), *(others.get(name, "") for name in ("cookie", "proof", "site")), "10.0.0.1"
    )


JUDGED = [
    pytest.param(LOOPBACK, NOBODY, None, id="on loopback anybody is admitted"),
    pytest.param("unix:/run/admin.sock", NOBODY, None, id="and over a unix socket"),
    pytest.param(EVERYWHERE, NOBODY, 403, id="beyond it nobody, without a token that could be shown"),
    pytest.param(EVERYWHERE, HOLDER, 403, id="whatever is shown"),
    pytest.param(WITH_TOKEN, NOBODY, 401, id="where one is asked for, nobody without"),
    pytest.param(WITH_TOKEN, HOLDER, None, id="but its holder"),
    pytest.param(LOOPBACK_WITH_TOKEN, NOBODY, 401, id="on loopback too"),
    pytest.param(LOOPBACK_WITH_TOKEN, HOLDER, None, id="its holder on loopback"),
    pytest.param(WITH_TOKEN, shown([f"bearer  {TOKEN}"]), None, id="the scheme in any case"),
    pytest.param(WITH_TOKEN, shown([f"Bearer {TOKEN}0"]), 401, id="more than the token"),
    pytest.param(WITH_TOKEN, shown([f"Bearer {TOKEN[:-1]}"]), 401, id="less than the token"),
    pytest.param(WITH_TOKEN, shown([f"Basic {TOKEN}"]), 401, id="another scheme"),
    pytest.param(WITH_TOKEN, shown([TOKEN]), 401, id="no scheme"),
    pytest.param(WITH_TOKEN, shown(["Bearer"]), 401, id="a scheme alone"),
    pytest.param(WITH_TOKEN, shown(["Bearer \udce9"]), 401, id="bytes that are no text"),
    pytest.param(WITH_TOKEN, shown([f"Bearer {TOKEN}"] * 2), 401, id="two of them"),
    pytest.param(WITH_TOKEN, shown(cookie=TOKEN, proof=TOKEN), 401, id="the token in another place"),
    pytest.param(LOOPBACK, shown(site="same-origin"), None, id="asked for by the page itself"),
    pytest.param(LOOPBACK, shown(site="none"), None, id="by a person"),
    pytest.param(LOOPBACK, shown(site="cross-site"), 403, id="by a page of another site"),
    pytest.param(LOOPBACK, shown(site="same-site"), 403, id="by a page on another port"),
    pytest.param(WITH_TOKEN, shown([f"Bearer {TOKEN}"], site="cross-site"), 403, id="even with the token"),
]


@pytest.mark.parametrize(("written", "request_", "status"), JUDGED)
def test_who_is_admitted(written, request_, status):
    refusal = Admission().judge(listener(written), request_, NOW)
    assert (None if refusal is None else refusal.status) == status


def test_what_is_not_shown_says_what_to_do():
    refusal = Admission().judge(listener(EVERYWHERE), NOBODY, NOW)
    assert refusal is not None
    assert "set admin.token" in refusal.text


def session(proof=PROOF, now=NOW, token=TOKEN):
    begun = Token(token).session(proof, now)
    assert begun is not None
    return begun


LATER = f"{int(NOW) + 999999}"
SESSIONS = [
    pytest.param(session(), PROOF, 0, None, id="a session"),
    pytest.param(session(), PROOF, 43199, None, id="for twelve hours"),
    pytest.param(session(), PROOF, 43200, 401, id="and no longer"),
    pytest.param(session(), "cd" * 16, 0, 401, id="the cookie with another's proof"),
    pytest.param(session(), "", 0, 401, id="the cookie alone, as another port of the host sees it"),
    pytest.param("", PROOF, 0, 401, id="the proof alone"),
    pytest.param(session(token="f" * 16), PROOF, 0, 401, id="begun with another token"),
    pytest.param(f"{LATER}.{session().partition('.')[2]}", PROOF, 0, 401, id="a later end"),
    pytest.param(f"0{session()}", PROOF, 0, 401, id="the same end in another spelling"),
    pytest.param(f"{session()}0", PROOF, 0, 401, id="a longer signature"),
    pytest.param(session().upper(), PROOF, 0, 401, id="another spelling of the signature"),
    pytest.param("x.y", PROOF, 0, 401, id="nonsense"),
    pytest.param("é" * 70, "é" * 32, 0, 401, id="nonsense beyond ASCII"),
]


@pytest.mark.parametrize(("cookie", "proof", "later", "status"), SESSIONS)
def test_a_session_holds_with_its_proof_for_its_time(cookie, proof, later, status):
    refusal = Admission().judge(listener(WITH_TOKEN), shown(cookie=cookie, proof=proof), NOW + later)
    assert (None if refusal is None else refusal.status) == status


BEGUN = [
    pytest.param(WITH_TOKEN, HOLDER, session(), id="with the token"),
    pytest.param(WITH_TOKEN, shown([f"Bearer {TOKEN}"]), 400, id="without a proof"),
    pytest.param(WITH_TOKEN, shown([f"Bearer {TOKEN}"], proof="ab"), 400, id="with one that can be guessed"),
    pytest.param(WITH_TOKEN, shown(cookie=session(), proof=PROOF), 401, id="a session begins no other"),
    pytest.param(WITH_TOKEN, shown(["Bearer wrong"], proof=PROOF), 401, id="with a wrong token"),
    pytest.param(WITH_TOKEN, shown([f"Bearer {TOKEN}"], proof=PROOF, site="cross-site"), 403, id="elsewhere"),
    pytest.param(EVERYWHERE, HOLDER, 403, id="where nothing is shown"),
    pytest.param(LOOPBACK, HOLDER, 404, id="where no token is asked for"),
]


@pytest.mark.parametrize(("written", "request_", "expected"), BEGUN)
def test_how_a_session_begins(written, request_, expected):
    begun = Admission().begin(listener(written), request_, NOW)
    assert (begun.status if isinstance(begun, Refusal) else begun) == expected


def test_after_five_wrong_tokens_none_is_looked_at_for_a_minute():
    admission, wrong = Admission(), shown(["Bearer wrong"])
    asked = listener(WITH_TOKEN)
    statuses = [admission.judge(asked, wrong, NOW + second) for second in range(6)]
    assert [one.status for one in statuses if one is not None] == [401] * 5 + [429]
    right = admission.judge(asked, HOLDER, NOW + 10)
    assert right is not None
    assert (right.status, right.lines) == (429, {"Retry-After": "50"})
    # A session was begun before, and cannot be guessed.
    assert admission.judge(asked, shown(cookie=session(), proof=PROOF), NOW + 10) is None
    # From elsewhere, and later, it is looked at.
    assert admission.judge(asked, Shown(HOLDER.authorization, "", "", "", "10.0.0.2"), NOW + 10) is None
    assert admission.judge(asked, HOLDER, NOW + 60) is None


ALIKE = [
    pytest.param("2001:db8::1", "2001:db8::ffff", True, id="one network of IPv6"),
    pytest.param("2001:db8::1", "2001:db8:0:1::1", False, id="two networks of IPv6"),
    pytest.param("10.0.0.1", "10.0.0.2", False, id="two addresses of IPv4"),
    pytest.param("::ffff:10.0.0.1", "::ffff:10.0.0.2", False, id="two addresses of IPv4 in IPv6"),
    pytest.param("fe80::1%eth0", "fe80::1%eth1", True, id="two zones"),
    pytest.param("", "", True, id="a unix socket"),
]


@pytest.mark.parametrize(("one", "other", "alike"), ALIKE)
def test_whose_attempts_count_together(one, other, alike):
    attempts = Attempts()
    for _ in range(5):
        attempts.failed(one, NOW)
    assert (attempts.wait(other, NOW) > 0) is alike


def test_attempts_take_a_bounded_place():
    attempts = Attempts()
    for number in range(5000):
        attempts.failed(f"10.0.{number // 256}.{number % 256}", NOW)
    assert len(attempts._wrong) == 1000


def test_a_token_is_never_shown():
    assert TOKEN not in repr(Token(TOKEN)) + repr(vars(Token)) + repr(Admission())
