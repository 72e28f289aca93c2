"""The key of assertions: read from real files, refused with the file's name and nothing of what is in it."""

from __future__ import annotations

import base64
import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from structlog.testing import capture_logs

from proxy.authn.assertion_key import assertion_key
from proxy.authn.keyset import KeySetError

KEY = ed25519.Ed25519PrivateKey.generate()


def pem(key, encryption=None, form=PrivateFormat.PKCS8):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def written(folder, content, mode=0o600):
    path = folder / "assertion.pem"
    path.write_bytes(content)
    path.chmod(mode)
    return path


TAKEN = [
    pytest.param(pem(KEY), id="as openssl genpkey writes it"),
    pytest.param(pem(KEY).replace(b"\n", b"\r\n"), id="with other line ends"),
    pytest.param(b"a comment\n" + pem(KEY) + b"\n", id="with text around it"),
]


@pytest.mark.parametrize("content", TAKEN)
def test_taken(content, tmp_path):
    with capture_logs() as lines:
        key = assertion_key(written(tmp_path, content))
    assert key.private_bytes_raw() == KEY.private_bytes_raw()
    assert lines == []


REFUSED = [
    pytest.param(b"", id="an empty file"),
    pytest.param(b"secret-words", id="text"),
    pytest.param(b"\x00\xff" * 1000, id="bytes"),
    pytest.param(pem(KEY)[:60], id="half a file"),
    pytest.param(pem(KEY, BestAvailableEncryption(b"secret-words")), id="a key with a password"),
    pytest.param(pem(KEY, form=PrivateFormat.OpenSSH), id="a key in OpenSSH's own format"),
    pytest.param(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), id="a public key"
    ),
    pytest.param(
        b"-----BEGIN PRIVATE KEY-----\n"
        + base64.b64encode(
            KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).replace(
                b"\x2b\x65\x70", b"\x2b\x65\x01"
            )
        )
        + b"\n-----END PRIVATE KEY-----\n",
        id="a kind of key that nobody knows",
    ),
    pytest.param(pem(ed448.Ed448PrivateKey.generate()), id="Ed448"),
    pytest.param(pem(ec.generate_private_key(ec.SECP256R1())), id="ECDSA"),
    pytest.param(pem(rsa.generate_private_key(65537, 2048)), id="RSA"),
]


@pytest.mark.parametrize("content", REFUSED)
def test_refused(content, tmp_path):
    path = written(tmp_path, content)
    with pytest.raises(KeySetError) as told:
        assertion_key(path)
    assert str(told.value) == f"{path}: not an Ed25519 private key in PEM, without a password"
    assert told.value.__context__ is None


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(KeySetError, match="No such file"):
        assertion_key(tmp_path / "nowhere.pem")
    with pytest.raises(KeySetError, match="Is a directory"):
        assertion_key(tmp_path)


MODES = [
    pytest.param(0o600, False, id="for its owner alone"),
    pytest.param(0o640, False, id="for its group, as orchestrators mount secrets"),
    pytest.param(0o644, True, id="for everybody"),
    pytest.param(0o602, True, id="to be written by everybody"),
]


@pytest.mark.parametrize(("mode", "warns"), MODES)
def test_a_file_that_is_open_to_others_is_told(mode, warns, tmp_path):
    path = written(tmp_path, pem(KEY), mode)
    with capture_logs() as lines:
        assertion_key(path)
    expected = {
        "event": "assertion_key_exposed",
        "log_level": "warning",
        "path": os.fspath(path),
        "remedy": "chmod 600",
    }
    assert lines == ([expected] if warns else [])


def test_without_a_file_each_start_makes_its_own():
    assert assertion_key(None).private_bytes_raw() != assertion_key(None).private_bytes_raw()
