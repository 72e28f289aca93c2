"""`keystile revoke`: what it writes, what it says, and what it refuses to write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis as Client
from typer.testing import CliRunner

from proxy.cli import app
from tests.support.harness import ISSUER, JWKS, settings_file
from tests.support.programs import free_port
from tests.support.redis_server import redis_server

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "https://other.test"


def run(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["revoke", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    file = tmp_path / "revoked.yaml"
    file.write_text("# ours\n[]\n")
    return file


@pytest.fixture
def config(tmp_path: Path, listed: Path) -> Path:
    return settings_file(tmp_path, "http://127.0.0.1:9", revocations=listed.name)


WRITTEN = [
    pytest.param(("--jti", "7d1c"), '- jti: "7d1c"\n', "jti 7d1c", id="a token"),
    pytest.param(("--agent", "acc_7"), '- agent: "acc_7"\n', "agent acc_7", id="an agent"),
    pytest.param(("--key", "k-1"), '- key: "k-1"\n', "key k-1", id="a key"),
    pytest.param(("--issuer", ISSUER), f'- issuer: "{ISSUER}"\n', f"issuer {ISSUER}", id="an issuer"),
    pytest.param(
        ("--agent", "acc_7", "--before", "2026-07-01T14:00:00+02:00"),
        '- agent: "acc_7"\n  before: "2026-07-01T12:00:00Z"\n',
        "agent acc_7, issued before 2026-07-01T12:00:00Z",
        id="what an agent was given earlier",
    ),
    pytest.param(
        ("--before", "1782907200", "--issuer", ISSUER, "--agent", "acc_7"),
        f'- agent: "acc_7"\n  issuer: "{ISSUER}"\n  before: "2026-07-01T12:00:00Z"\n',
        f"agent acc_7, issuer {ISSUER}, issued before 2026-07-01T12:00:00Z",
        id="an agent of one issuer",
    ),
]


@pytest.mark.parametrize(("words", "text", "said"), WRITTEN)
def test_it_writes_an_entry_and_says_so(
    words: tuple[str, ...], text: str, said: str, config: Path, listed: Path
) -> None:
    assert run(config, *words) == (0, f"revoked: {said}\n", "")
    assert listed.read_text() == f"# ours\n\n{text}"


def test_nothing_is_written_twice(config: Path, listed: Path) -> None:
    run(config, "--jti", "7d1c")
    before = listed.read_text()
    assert run(config, "--jti", "7d1c") == (0, "already revoked: jti 7d1c\n", "")
    assert listed.read_text() == before


def test_an_id_of_several_issuers_is_said_to_be(tmp_path: Path, listed: Path) -> None:
    issuers = [{"issuer": ISSUER, "jwks": JWKS}, {"issuer": OTHER, "jwks": JWKS}]
    config = settings_file(tmp_path, "http://127.0.0.1:9", revocations=listed.name, issuers=issuers)
    every = "revoked: agent acc_7 (of every issuer; --issuer names one)\n"
    assert run(config, "--agent", "acc_7") == (0, every, "")
    assert run(config, "--agent", "acc_7", "--issuer", OTHER)[1] == f"revoked: agent acc_7, issuer {OTHER}\n"


WRONG = [
    pytest.param((), "names nothing to revoke", id="nothing"),
    pytest.param(("--before", "1782907200"), "names nothing to revoke", id="a time alone"),
    pytest.param(("--jti", ""), "without a value", id="an empty id"),
    pytest.param(("--agent", "a", "--before", "yesterday"), "not a time", id="a time that is none"),
    pytest.param(("--agent", "a", "--issuer", OTHER), f"choose from {ISSUER}", id="a foreign issuer"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_wrong_input_exits_2_and_writes_nothing(
    words: tuple[str, ...], said: str, config: Path, listed: Path
) -> None:
    code, out, err = run(config, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert listed.read_text() == "# ours\n[]\n"


def test_a_configuration_without_a_place_exits_2(tmp_path: Path) -> None:
    config = settings_file(tmp_path, "http://127.0.0.1:9")
    said = "keystile: the configuration has no `revocations`: name a file or a Redis there\n"
    assert run(config, "--jti", "7d1c") == (2, "", said)


def test_a_broken_file_is_left_alone(config: Path, listed: Path) -> None:
    listed.write_text("- jit: 7d1c\n")
    code, out, err = run(config, "--jti", "7d1c")
    assert (code, out) == (2, "")
    assert f"revocations: {listed}: line 1, [0].jit: unknown key; choose from " in err
    assert listed.read_text() == "- jit: 7d1c\n"


async def test_it_writes_to_redis(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, Client.from_url(server.url) as client:
        config = settings_file(tmp_path, "http://127.0.0.1:9", revocations=server.url)
        assert await asyncio.to_thread(run, config, "--jti", "7d1c") == (0, "revoked: jti 7d1c\n", "")
        again = await asyncio.to_thread(run, config, "--jti", "7d1c")
        assert again == (0, "already revoked: jti 7d1c\n", "")
        assert await client.hkeys("keystile:revoked") == [b'{"jti":"7d1c"}']


def test_a_redis_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    url = f"redis://user:s3cret@127.0.0.1:{free_port()}"
    config = settings_file(tmp_path, "http://127.0.0.1:9", revocations=url)
    said = "keystile: the Redis of `revocations` failed (ConnectionError)\n"
    assert run(config, "--jti", "7d1c") == (1, "", said)
