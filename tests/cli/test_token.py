"""`keystile token`: the keys it makes and keeps, and tokens that the proxy itself accepts."""

from __future__ import annotations

import base64
import json

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from tests.support.harness import settings_file

ISSUER = "https://issuer.test"
NEEDED = ("token", "--issuer", ISSUER, "--audience", "https://edge.test")


def run(*words, stdin=None):
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def claims(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def test_the_first_token_makes_the_keys_and_says_so(tmp_path):
    folder = tmp_path / "dev" / "keys"
    code, out, err = run(*NEEDED, "--keys", folder)
    assert code == 0
    assert len(out.splitlines()) == 1
    assert out.count(".") == 2
    private, public = folder / "private.jwk", folder / "jwks.json"
    assert err == f"made {private}: keep it secret\nmade {public}: name it in the issuer's `jwks:`\n"
    assert private.stat().st_mode & 0o777 == 0o600
    (key,) = json.loads(public.read_text())["keys"]
    assert (key["kty"], key["crv"], key["alg"], "d" in key) == ("OKP", "Ed25519", "EdDSA", False)
    assert json.loads(private.read_text())["d"] not in out + err


def test_the_next_token_keeps_them_silently(tmp_path):
    run(*NEEDED, "--keys", tmp_path)
    before = [(tmp_path / name).read_text() for name in ("private.jwk", "jwks.json")]
    code, out, err = run(*NEEDED, "--keys", tmp_path)
    assert (code, out.count("."), err) == (0, 2, "")
    assert [(tmp_path / name).read_text() for name in ("private.jwk", "jwks.json")] == before


def test_a_token_is_shaped_like_agentlair(tmp_path):
    words = (
        "--subject",
        "acc_7f3",
        "--name",
        "archivist",
        "--scope",
        "read",
        "--scope",
        "write delete",
        "--lifetime",
        "2h",
    )
    made = claims(run(*NEEDED, "--keys", tmp_path, *words)[1])
    assert list(made) == ["iss", "sub", "aud", "iat", "exp", "jti", "al_name", "al_scopes", "al_audit_url"]
    assert (made["iss"], made["sub"], made["aud"]) == (ISSUER, "acc_7f3", "https://edge.test")
    assert made["exp"] - made["iat"] == 7200
    assert (made["al_name"], made["al_scopes"]) == ("archivist", ["read", "write", "delete"])
    assert made["al_audit_url"] == "https://issuer.test/audit/acc_7f3"


CLAIMS = [
    pytest.param("tenant=acme", "tenant", "acme", id="text"),
    pytest.param("level=3", "level", 3, id="a number"),
    pytest.param('al_trust={"score": 20}', "al_trust", {"score": 20}, id="a mapping"),
    pytest.param("note=a=b", "note", "a=b", id="an equals sign in the value"),
    pytest.param("sub=acc_2", "sub", "acc_2", id="one that has an option of its own"),
    pytest.param("empty=", "empty", "", id="empty text"),
]


@pytest.mark.parametrize(("given", "name", "value"), CLAIMS)
def test_another_claim(tmp_path, given, name, value):
    assert claims(run(*NEEDED, "--keys", tmp_path, "--claim", given)[1])[name] == value


WRONG = [
    pytest.param(("--lifetime", "1"), "--lifetime", id="a lifetime without a unit"),
    pytest.param(("--lifetime", "h"), "--lifetime", id="a unit without a number"),
    pytest.param(("--lifetime", ""), "--lifetime", id="no lifetime at all"),
    pytest.param(("--lifetime", "-1h"), "--lifetime", id="a lifetime that is over"),
    pytest.param(("--claim", "tenant"), "--claim", id="a claim without a value"),
    pytest.param(("--claim", "=acme"), "--claim", id="a claim without a name"),
]


@pytest.mark.parametrize(("words", "option"), WRONG)
def test_wrong_input_exits_2_and_makes_nothing(tmp_path, words, option):
    code, out, err = run(*NEEDED, "--keys", tmp_path / "keys", *words)
    assert (code, out) == (2, "")
    assert option in err
    assert not (tmp_path / "keys").exists()


UNFIT = [
    pytest.param("private.jwk", "{}", "not an Ed25519 private key", id="a private key that is none"),
    pytest.param("jwks.json", '{"keys": []}', "does not hold the key", id="a key set without the key"),
    pytest.param("jwks.json", "[]", "does not hold the key", id="a key set that is none"),
    pytest.param("jwks.json", "{", "does not hold the key", id="a key set that is not JSON"),
    pytest.param("private.jwk", None, "has no private.jwk", id="a key set without its private key"),
]


@pytest.mark.parametrize(("name", "text", "said"), UNFIT)
def test_files_that_do_not_fit_are_left_alone(tmp_path, name, text, said):
    run(*NEEDED, "--keys", tmp_path)
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    code, out, err = run(*NEEDED, "--keys", tmp_path)
    assert (code, out) == (1, "")
    assert said in err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = run(*NEEDED, "--keys", tmp_path / "file" / "keys")
    assert (code, out) == (1, "")
    assert err.startswith("keystile: ")


ADMITTED = [
    pytest.param(("--scope", "read"), 0, id="with the scope"),
    pytest.param(("--scope", "write"), 1, id="without the scope"),
    pytest.param(("--scope", "read", "--claim", "exp=1"), 1, id="expired"),
    pytest.param(("--scope", "read", "--audience", "https://other.test"), 1, id="for another audience"),
]


@pytest.mark.parametrize(("words", "code"), ADMITTED)
def test_the_proxy_takes_its_tokens(tmp_path, words, code):
    keys = tmp_path / "keys"
    _, token, _ = run(*NEEDED, "--keys", keys, *words)
    issuers = [{"issuer": ISSUER, "jwks": str(keys / "jwks.json")}]
    file = settings_file(tmp_path, "http://127.0.0.1:9", issuers=issuers)
    explained = run("explain", file, "--path", "/guarded/x", "--token", "-", stdin=token)
    assert explained[0] == code, explained
