"""Real issuers that rotate, remove and lose their keys, and Keystile in front of a plain server."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.issuer import Rotating, rotating
from tests.support.keys import claims_like_agentlair, make_key, sign_token
from tests.support.programs import Answer, fetch, file_server, free_port, until
from tests.support.service import keystile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.service import Service

RESOURCE = "https://files.example.com"
ISSUERS = ["oidc_provider", "oauth2_mock_server"]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("upstream")
    (folder / "files").mkdir()
    (folder / "files" / "report").write_text("the report\n")
    with file_server(folder / "files", folder / "server") as url:
        yield url


@contextlib.contextmanager
def trusting(folder: Path, upstream: str, *issuers: dict[str, Any], **settings: Any) -> Iterator[Service]:
    rules = [{"name": "read", "path": "/**", "scopes": ["files:read"]}]
    configured = {"upstream": upstream, "resource": RESOURCE, "rules": rules, **settings}
    with keystile(folder, issuers=list(issuers), **configured) as running:
        yield running


def shown(service: Service, token: str) -> tuple[int, str]:
    """Show a token, after the cooldown where it has to wait: the status, and the reason in the challenge."""

    def look() -> Answer | None:
        answer = fetch(f"{service.url}/report", token=token)
        return None if answer.status == 503 and answer.headers["Retry-After"] == "1" else answer

    answer = until(look, lambda: "answer other than 503")
    return answer.status, "" if answer.status == 200 else json.loads(answer.body)["reason"]


@pytest.mark.parametrize("name", ISSUERS)
def test_keys_are_rotated_and_removed(node: str, tmp_path: Path, upstream: str, name: str) -> None:
    keys = {"refresh": "1h", "cooldown": "300ms"}
    with (
        rotating(node, name, tmp_path / "issuer", RESOURCE) as issuer,
        trusting(tmp_path / "keystile", upstream, {"issuer": issuer.url, "keys": keys}) as service,
    ):
        first = issuer.token("key-1")
        assert shown(service, first) == (200, "")

        issuer.rotate(keep=1)
        second = issuer.token("key-2")
        assert shown(service, second) == (200, "")
        assert shown(service, first) == (200, "")

        issuer.remove(keep=1)
        made_up = sign_token(make_key("ES256", "made up"), claims_like_agentlair(time.time(), iss=issuer.url))
        assert shown(service, made_up) == (401, "key_unknown")
        assert shown(service, first) == (401, "key_unknown")
        assert shown(service, second) == (200, "")

        issuer.rotate(keep=0)
        assert shown(service, issuer.token("key-3")) == (200, "")
        assert shown(service, second) == (401, "key_unknown")


@pytest.fixture(scope="module")
def issuers(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Rotating]]:
    folder = tmp_path_factory.mktemp("issuers")
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(rotating(node, name, folder / name, RESOURCE)) for name in ISSUERS]


def test_two_issuers_side_by_side(tmp_path: Path, upstream: str, issuers: list[Rotating]) -> None:
    one, other = issuers
    configured = [{"issuer": one.url}, {"issuer": other.url, "jwks": f"{other.url}/jwks"}]
    kept = tmp_path / "kept"
    with trusting(tmp_path / "first", upstream, *configured, jwks_cache=str(kept)) as service:
        # Both call their key "key-1", and both keys are of one kind.
        tokens = [issuer.token("key-1") for issuer in issuers]
        assert [fetch(f"{service.url}/report", token=token).status for token in tokens] == [200, 200]
        foreign = sign_token(make_key("ES256", "key-1"), claims_like_agentlair(time.time(), iss=other.url))
        assert shown(service, foreign) == (401, "signature_invalid")

        before = one.fetches
        forger = make_key("ES256", "a forger's")
        claims = claims_like_agentlair(time.time(), iss=one.url)
        answers = [
            fetch(f"{service.url}/report", token=sign_token(forger, claims, kid=f"made up {number}")).status
            for number in range(300)
        ]
        assert answers.count(401) >= 1
        assert set(answers) == {401, 503}
        assert one.fetches - before <= 2
        assert [fetch(f"{service.url}/report", token=token).status for token in tokens] == [200, 200]

        # It hangs now: whoever asks for a key of it waits, and nobody else does.
        one.program.send(signal.SIGSTOP)
        try:
            assert [fetch(f"{service.url}/report", token=token).status for token in tokens] == [200, 200]
            with trusting(tmp_path / "second", upstream, *configured, jwks_cache=str(kept)) as restarted:
                # Kept keys are there at once, and the other issuer is not waited for.
                assert [fetch(f"{restarted.url}/report", token=token).status for token in tokens] == [
                    200,
                    200,
                ]
        finally:
            one.program.send(signal.SIGCONT)


def test_an_issuer_that_starts_later(node: str, tmp_path: Path, upstream: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    early = sign_token(make_key("ES256", "key-1"), claims_like_agentlair(time.time(), iss=url))
    with trusting(tmp_path / "keystile", upstream, {"issuer": url, "keys": {"cooldown": "1s"}}) as service:
        answer = fetch(f"{service.url}/report", token=early)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        with rotating(node, "oidc_provider", tmp_path / "issuer", RESOURCE, port) as issuer:
            assert shown(service, issuer.token("key-1")) == (200, "")
        assert shown(service, early) == (401, "signature_invalid")
    assert '"event": "keys_not_refreshed"' in service.program.errors
