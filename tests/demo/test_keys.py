"""Development keys: what RFC 8037 and RFC 7638 say of them, and that a broken one says nothing of itself."""

from __future__ import annotations

import base64
import json

import pytest

from proxy.demo import DevelopmentKey

# RFC 8037, appendix A.1 to A.4: key, thumbprint, and a signature over a fixed text.
SECRET = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def whole(**changed):
    members = {"kty": "OKP", "crv": "Ed25519", "d": SECRET, "x": PUBLIC, **changed}
    return json.dumps({name: value for name, value in members.items() if value is not None})


def decoded(part):
    return base64.urlsafe_b64decode(part + "==")


def test_the_public_half_is_named_by_its_thumbprint():
    assert DevelopmentKey.read(whole()).public == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": PUBLIC,
        "kid": THUMBPRINT,
        "use": "sig",
        "alg": "EdDSA",
    }


def test_a_key_is_read_back_as_it_was_written():
    key = DevelopmentKey.generate()
    assert "d" not in key.public
    assert DevelopmentKey.read(key.private).private == key.private


def test_a_token_says_what_it_was_given():
    header, claims, signature = DevelopmentKey.read(whole()).sign({"sub": "acc_1"}).split(".")
    assert json.loads(decoded(header)) == {"alg": "EdDSA", "typ": "JWT", "kid": THUMBPRINT}
    assert json.loads(decoded(claims)) == {"sub": "acc_1"}
    assert len(decoded(signature)) == 64


BROKEN = [
    pytest.param("", id="nothing"),
    pytest.param(f'"{SECRET}"', id="no mapping"),
    pytest.param("[]", id="a list"),
    pytest.param(whole(d=None), id="a public key"),
    pytest.param(whole(crv="Ed448"), id="another curve"),
    pytest.param(whole(crv=None), id="no curve"),
    pytest.param(whole(d=SECRET[:-4]), id="a secret that is too short"),
    pytest.param(whole(d=7), id="a secret that is a number"),
    pytest.param(whole(d="é" * 43), id="a secret that is not base64url"),
    pytest.param(whole()[:-1], id="half a file"),
]


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_key_is_refused_without_being_quoted(text):
    with pytest.raises(ValueError, match="not an Ed25519 private key") as refused:
        DevelopmentKey.read(text)
    assert SECRET[:20] not in str(refused.value)
    assert refused.value.__cause__ is None
