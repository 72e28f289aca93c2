from __future__ import annotations

import re

import pytest

from proxy.refusals.challenge import challenge

URL = "https://h/.well-known/oauth-protected-resource/mcp"

CHALLENGES = [
    pytest.param(
        (URL, ("mcp:tools:read",), None, "An access token is needed."),
        f'Bearer resource_metadata="{URL}", scope="mcp:tools:read"',
        id="no credential: no error, and nothing said of one",
    ),
    pytest.param(
        (URL, (), None, ""),
        f'Bearer resource_metadata="{URL}"',
        id="a rule without scopes",
    ),
    pytest.param((None, (), None, ""), "Bearer", id="nothing to say"),
    pytest.param((None, ("a", "b"), None, ""), 'Bearer scope="a b"', id="no resource"),
    pytest.param(
        (URL, ("a",), "invalid_token", "The access token has expired."),
        f'Bearer resource_metadata="{URL}", scope="a", error="invalid_token",'
        ' error_description="The access token has expired."',
        id="a token that is not accepted",
    ),
    pytest.param(
        (None, ("a", "b"), "insufficient_scope", "needs scope b"),
        'Bearer scope="a b", error="insufficient_scope", error_description="needs scope b"',
        id="a scope that is missing",
    ),
    pytest.param(
        (None, ("offline_access", "a"), None, ""), 'Bearer scope="a"', id="offline_access is never asked for"
    ),
    pytest.param((None, ("offline_access",), None, ""), "Bearer", id="not even alone"),
    pytest.param(
        (None, (), "invalid_token", 'a "quoted" \\ line\r\nX-Evil: é'),
        'Bearer error="invalid_token", error_description="a ?quoted? ? line??X-Evil: ?"',
        id="what may not stand in a quoted string",
    ),
    pytest.param(
        (URL, ("a",), None, "", ("ES256", "EdDSA")),
        f'DPoP resource_metadata="{URL}", scope="a", algs="ES256 EdDSA"',
        id="DPoP, with the algorithms of its proofs",
    ),
    pytest.param(
        (None, (), "use_dpop_nonce", "Again.", ("EdDSA",)),
        'DPoP algs="EdDSA", error="use_dpop_nonce", error_description="Again."',
        id="DPoP, and a proof that is not accepted",
    ),
    pytest.param(
        ('https://h/"', ('a"b',), None, ""),
        'Bearer resource_metadata="https://h/?", scope="a?b"',
        id="quotes",
    ),
]


@pytest.mark.parametrize(("arguments", "value"), CHALLENGES)
def test_challenge(arguments, value):
    assert challenge(*arguments) == f"WWW-Authenticate: {value}\r\n".encode()


def test_clients_that_search_with_regular_expressions_find_the_parts():
    line = challenge(URL, ("a", "b"), "insufficient_scope", "needs scope b").decode()
    # The Python SDK's way of reading.
    found = {
        name: re.search(rf'{name}=(?:"([^"]+)"|([^\s,]+))', line)[1]
        for name in ("resource_metadata", "scope", "error")
    }
    assert found == {"resource_metadata": URL, "scope": "a b", "error": "insufficient_scope"}
