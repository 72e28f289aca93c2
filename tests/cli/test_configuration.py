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


_MCP = {
    "rules": [
        {
            "name": "mcp",
            "path": "/mcp",
            "scopes": ["read"],
            "mcp": [{"tool": "read_*"}, {"tool": "delete_*", "scopes": ["write"]}],
        }
    ]
}
_CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s"}}'
MESSAGES = [
    pytest.param(
        ("--body", _CALL % "read_memory"),
        0,
        {"decision": "allow", "rule": "mcp", "entry": "mcp mcp[0]", "needs": "read"},
        id="an entry that admits",
    ),
    pytest.param(
        ("--body", _CALL % "delete_memory"),
        1,
        {
            "decision": "deny",
            "reason": "scope_insufficient",
            "because": "needs scope write to call delete_memory",
            "entry": "mcp mcp[1]",
            "needs": "read write",
        },
        id="an entry that asks for more",
    ),
    pytest.param(
        ("--body", _CALL % "other"),
        1,
        {"reason": "operation_refused", "because": "tool other may not be called here"},
        id="no entry",
    ),
    pytest.param(
        ("--body", "{}"),
        1,
        {"reason": "mcp_malformed", "because": "the body does not say that it is JSON-RPC 2.0"},
        id="no message",
    ),
    pytest.param(
        ("--body", "@call.json"), 0, {"decision": "allow", "entry": "mcp mcp[0]"}, id="a body in a file"
    ),
    pytest.param(
        ("--body", _CALL % "read_memory", "--header", "Mcp-Method: ping"),
        1,
        {"reason": "mcp_mismatch", "because": "Mcp-Method says another method; the body says tools/call"},
        id="a header that disagrees",
    ),
    pytest.param(
        ("--body", _CALL % "read_memory", "--header", "Content-Type: text/plain"),
        1,
        {"reason": "media_type_refused"},
        id="another media type",
    ),
]


@pytest.mark.parametrize(("options", "code", "expected"), MESSAGES)
def test_explain_a_message(
    options: tuple[str, ...],
    code: int,
    expected: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "call.json").write_text(_CALL % "read_memory")
    config = settings_file(tmp_path, "http://127.0.0.1:9", **_MCP)
    exit_code, out, err = run("explain", config, "--path", "/mcp", "--token", TOKEN, *options)
    said = {name: value.strip() for name, _, value in (line.partition(" ") for line in out.splitlines())}
    assert (exit_code, err) == (code, "")
    assert said | expected == said


WRONG = [
    pytest.param(("--body", "@missing.json"), "missing.json", id="a file that is not there"),
    pytest.param(("--header", "no colon"), "no colon", id="a header that is none"),
]


@pytest.mark.parametrize(("options", "why"), WRONG)
def test_explain_says_what_is_wrong_with_what_it_was_given(
    options: tuple[str, ...], why: str, config: Path
) -> None:
    code, out, err = run("explain", config, *options)
    assert (code, out) == (2, "")
    assert why in err


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
