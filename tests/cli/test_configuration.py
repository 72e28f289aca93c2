"""`check`, `explain` and `schema`: what they print and how they exit."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from tests.support.harness import ISSUER, JWKS, LOG, TOKEN, settings_file, token

FILE = Path(__file__).parents[2] / "config" / "keystile.schema.json"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return settings_file(tmp_path, "http://127.0.0.1:9")


def run(*words: str | Path, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_a_sound_configuration_is_ok(config: Path) -> None:
    code, out, err = run("check", config)
    assert (code, out, err) == (0, "ok: 1 issuer(s), 2 rule(s), upstream http://127.0.0.1:9\n", "")


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("upstraem: http://x\nissuers: [{issuer: 'https://i.test', leeway: 5}]\nrules: 3\n")
    code, out, err = run("check", file)
    assert (code, out) == (2, "")
    for place in ("upstraem", "issuers[0].leeway", "rules"):
        assert f"{place}: " in err


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    code, _, err = run("run", tmp_path / "none.yaml")
    assert code == 2
    assert "none.yaml" in err


def test_the_schema_is_the_one_that_ships() -> None:
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out) == json.loads(FILE.read_text())
    assert out == FILE.read_text()


EXPLAINED = [
    pytest.param(("--path", "/open"), "", 0, {"decision": "allow", "reason": "public"}, id="a public path"),
    pytest.param(
        ("--path", "/guarded/a", "--token", "-"),
        TOKEN + "\n",
        0,
        {"decision": "allow", "agent": "acc_1", "issuer": ISSUER, "scopes": "read", "needs": "read"},
        id="a good token from standard input",
    ),
    pytest.param(
        ("--path", "/guarded/a", "--token", token(scope="other")),
        "",
        1,
        {"decision": "deny", "reason": "scope_insufficient", "because": "needs scope read", "agent": "acc_1"},
        id="a token without the scope",
    ),
    pytest.param(
        ("--path", "/guarded/a"), "", 1, {"decision": "deny", "reason": "credential_missing"}, id="no token"
    ),
    pytest.param(
        ("--path", "/a//b"), "", 1, {"decision": "deny", "reason": "path_ambiguous"}, id="an ambiguous path"
    ),
    pytest.param(
        ("--path", "/open", "--host", "evil.test"),
        "",
        1,
        {"decision": "deny", "reason": "host_refused"},
        id="a foreign host",
    ),
]


@pytest.mark.parametrize(("options", "stdin", "code", "expected"), EXPLAINED)
def test_explain(
    options: tuple[str, ...], stdin: str, code: int, expected: dict[str, str], config: Path
) -> None:
    exit_code, out, err = run("explain", config, *options, stdin=stdin)
    said = {name: value.strip() for name, _, value in (line.partition(" ") for line in out.splitlines())}
    assert (exit_code, err) == (code, "")
    assert said | expected == said
    assert TOKEN not in out


def test_explain_leaves_the_log_alone(config: Path, tmp_path: Path) -> None:
    assert run("explain", config, "--path", "/open")[0] == 0
    assert not (tmp_path / LOG).exists()


def test_the_version() -> None:
    assert run("--version") == (0, f"keystile {version('keystile')}\n", "")


UNUSABLE = [
    pytest.param({"keys": []}, "no key that can be used", id="no key"),
    pytest.param({"keys": [{"kty": "oct", "k": "AAAA"}]}, "private or symmetric", id="a shared secret"),
    pytest.param({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "zzz"}]}, "its x is not", id="a broken key"),
    pytest.param("garbage.json", "not a plain JSON object", id="a file of something else"),
    pytest.param("one.json", "it is a single key", id="a file of one key"),
]


@pytest.mark.parametrize("command", ["check", "run", "explain"])
@pytest.mark.parametrize(("jwks", "why"), UNUSABLE)
def test_keys_that_cannot_be_used_are_faults(jwks: object, why: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "garbage.json").write_text("garbage")
    (tmp_path / "one.json").write_text(json.dumps(JWKS["keys"][0]))
    issuers = [{"issuer": f"https://{name}.test", "jwks": jwks} for name in ("a", "b")]
    code, out, err = run(command, settings_file(tmp_path, "http://127.0.0.1:9", issuers=issuers))
    assert (code, out) == (2, "")
    for index in (0, 1):
        assert f"issuers[{index}].jwks: " in err
    assert err.count(why) == 2
    assert "2 faults; nothing was done" in err


FILES_UNUSABLE = [
    pytest.param(
        {"revocations": "bad"}, "- {agent: [a, b]}", "revocations: ", "line 1, [0].agent", id="a list"
    ),
    pytest.param(
        {"assertion": {"key": "bad"}}, "no key", "assertion.key: ", "not an Ed25519", id="a signing key"
    ),
    pytest.param(
        {"issuers": [{"issuer": "https://a.test", "ca": "bad"}]},
        "no certificate",
        "issuers[0].ca: ",
        "no certificates",
        id="an authority",
    ),
]


@pytest.mark.parametrize(("settings", "content", "place", "why"), FILES_UNUSABLE)
def test_files_that_cannot_be_used_are_faults(
    settings: dict[str, object], content: str, place: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_text(content)
    code, out, err = run("check", settings_file(tmp_path, "http://127.0.0.1:9", **settings))
    assert (code, out) == (2, "")
    assert place in err
    assert why in err
