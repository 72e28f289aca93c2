"""What the Authorization header may say."""

from __future__ import annotations

import pytest

from proxy.authn.credential import Credential, credential, digest_of
from proxy.model import Deny, Reason

MISSING, MALFORMED, DUPLICATED = (
    Reason.CREDENTIAL_MISSING,
    Reason.TOKEN_MALFORMED,
    Reason.CREDENTIAL_DUPLICATED,
)

ACCEPTED = [
    pytest.param(b"Bearer abc.def.ghi", b"abc.def.ghi", id="the usual spelling"),
    pytest.param(b"bearer abc", b"abc", id="the scheme in lower case"),
    pytest.param(b"BEARER abc", b"abc", id="the scheme in upper case"),
    pytest.param(b"Bearer a-._~+/9==", b"a-._~+/9==", id="every character of a token68"),
    pytest.param(b"Bearer " + b"a" * 16383, b"a" * 16383, id="16 KiB, with the space"),
]

REFUSED = [
    pytest.param(b"Basic dXNlcjpwYXNz", MISSING, id="Basic is another scheme"),
    pytest.param(b"BearerX abc", MISSING, id="a scheme that only begins like Bearer"),
    pytest.param(b"abc.def.ghi", MISSING, id="a token without a scheme"),
    pytest.param(b"", MISSING, id="an empty header"),
    pytest.param(b'Digest username="a", realm="b"', MISSING, id="Digest, whose parameters hold commas"),
    pytest.param(b"Bearer", MALFORMED, id="no token"),
    pytest.param(b"Bearer ", MALFORMED, id="a space and no token"),
    pytest.param(b"Bearer  abc", MALFORMED, id="two spaces"),
    pytest.param(b"Bearer\tabc", MALFORMED, id="a tab for the space"),
    pytest.param(b"Bearer\x0babc", MALFORMED, id="a vertical tab for the space"),
    pytest.param(b"Bearer abc def", MALFORMED, id="two tokens"),
    pytest.param(b"Bearer abc ", MALFORMED, id="a space behind the token"),
    pytest.param(b"Bearer abc\n", MALFORMED, id="a line feed behind the token"),
    pytest.param(b"Bearer =abc", MALFORMED, id="padding before the token"),
    pytest.param(b"Bearer abc=d", MALFORMED, id="padding inside the token"),
    pytest.param(b'Bearer "abc"', MALFORMED, id="quotes"),
    pytest.param(b'Bearer token="abc"', MALFORMED, id="a parameter"),
    pytest.param(b"Bearer a,b", MALFORMED, id="a comma"),
    pytest.param(b"Bearer a\xc3\xa9", MALFORMED, id="beyond ASCII"),
    pytest.param(b"Bearer a\x00b", MALFORMED, id="NUL"),
    pytest.param(b"Bearer " + b"a" * 16384, MALFORMED, id="over 16 KiB"),
    pytest.param(b"Bearer abc, Bearer def", DUPLICATED, id="two bearers in one header"),
    pytest.param(b"Bearer abc,bearer def", DUPLICATED, id="two bearers, the second in lower case"),
    pytest.param(b"DPoP abc def", MALFORMED, id="two tokens under DPoP"),
    pytest.param(b"Bearer abc, DPoP def", DUPLICATED, id="a bearer and one with a proof"),
    pytest.param(b"Basic abc, Bearer def", DUPLICATED, id="a bearer hidden behind Basic"),
]


@pytest.mark.parametrize(("value", "token"), ACCEPTED)
def test_a_bearer_token_is_taken_out(value: bytes, token: bytes) -> None:
    assert credential(value, repeated=False) == Credential(token, digest_of(token), "Bearer")


@pytest.mark.parametrize("scheme", [b"DPoP", b"dpop", b"DPOP"])
def test_a_token_that_promises_a_proof(scheme: bytes) -> None:
    assert credential(scheme + b" abc", repeated=False) == Credential(b"abc", digest_of(b"abc"), "DPoP")


def test_a_credential_shows_no_token() -> None:
    assert "secret" not in f"{Credential(b'secret', b'digest', 'DPoP')!r}"


@pytest.mark.parametrize(("value", "reason"), REFUSED)
def test_anything_else_is_refused(value: bytes, reason: Reason) -> None:
    denied = credential(value, repeated=False)
    assert isinstance(denied, Deny)
    assert denied.reason is reason


def test_no_header_is_no_credential() -> None:
    assert credential(None, repeated=False) is None


def test_two_headers_are_two_credentials() -> None:
    denied = credential(b"Bearer abc, Bearer abc", repeated=True)
    assert isinstance(denied, Deny)
    assert denied.reason is DUPLICATED


def test_two_headers_of_other_schemes_are_two_credentials() -> None:
    denied = credential(b"Basic abc, Basic abc", repeated=True)
    assert isinstance(denied, Deny)
    assert denied.reason is DUPLICATED
