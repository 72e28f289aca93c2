"""Assertions: what they say, for how long, and that whoever has the published key set can check them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proxy.authn.assertion import Assertions
from proxy.authn.jose import usable_key, verify
from proxy.config import Assertion
from proxy.model import Identity

NOW = 1_800_000_000.75
ISSUER, AUDIENCE = "https://mcp.example.com", "http://127.0.0.1:8000"
# RFC 8037 appendix A: a key, its public half and its thumbprint.
KEY = Ed25519PrivateKey.from_private_bytes(
    base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
)
PUBLIC, THUMBPRINT = (
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
)


def assertions(ttl=300.0, limit=10_000):
    return Assertions(Assertion(issuer=ISSUER, audience=AUDIENCE, ttl=ttl), KEY, limit)


def identity(**changed):
    values = {
        "id": "acc_demo",
        "issuer": "https://agentlair.dev",
        "scopes": ("memory:read", "memory:write"),
        "audience": ("https://mcp.example.com/mcp",),
        "claims": {},
        "until": NOW + 3600,
    }
    return Identity(**values | changed)


@dataclass
class Read:
    """An assertion taken apart by hand, its signature checked."""

    header: dict
    claims: dict


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def read(line):
    name, _, token = line.decode("ascii").removesuffix("\r\n").partition(": ")
    assert name == "X-Agent-Assertion"
    header, claims, signature = token.split(".")
    Ed25519PublicKey.from_public_bytes(decoded(PUBLIC)).verify(
        decoded(signature), f"{header}.{claims}".encode()
    )
    return Read(json.loads(decoded(header)), json.loads(decoded(claims)))


def test_what_it_says():
    line = assertions().line(identity(), "0123456789abcdef", NOW)
    assert line.endswith(b"\r\n")
    assert line.count(b"\n") == 1
    told = read(line)
    assert told.header == {"alg": "EdDSA", "typ": "JWT", "kid": THUMBPRINT}
    name = told.claims.pop("jti")
    assert told.claims == {
        "iss": "https://mcp.example.com",
        "sub": "acc_demo",
        "aud": "http://127.0.0.1:8000",
        "iat": 1_800_000_000,
        "exp": 1_800_000_300,
        "scope": "memory:read memory:write",
        "agent_issuer": "https://agentlair.dev",
        "request_id": "0123456789abcdef",
    }
    assert len(name) == 22


CALLERS = [
    pytest.param({"id": "älice \U0001f916"}, {"sub": "älice \U0001f916"}, id="an id beyond ASCII"),
    pytest.param({"id": 'a"b\\c, %'}, {"sub": 'a"b\\c, %'}, id="an id with quotes, as it is"),
    pytest.param({"scopes": ()}, {"scope": ""}, id="no scopes"),
    pytest.param({"until": NOW + 100}, {"exp": 1_800_000_100}, id="no longer than the identity"),
    pytest.param({"until": NOW + 299.1}, {"exp": 1_800_000_299}, id="nor by a fraction"),
    pytest.param({"until": float("inf")}, {"exp": 1_800_000_300}, id="an identity without an end"),
    pytest.param({"name": "demo", "claims": {"secret": 1}}, {}, id="no other claim goes on"),
]


@pytest.mark.parametrize(("caller", "told"), CALLERS)
def test_callers(caller, told):
    claims = read(assertions().line(identity(**caller), "r", NOW)).claims
    assert told.items() <= claims.items()
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti", "scope", "agent_issuer", "request_id"}


AGAIN = [
    pytest.param(0, {}, True, id="at once"),
    pytest.param(149.9, {}, True, id="before half of its time is over"),
    pytest.param(150, {}, False, id="when half of its time is over"),
    pytest.param(4000, {}, False, id="long after"),
    pytest.param(-0.1, {}, False, id="on a clock that was set back"),
    pytest.param(
        1, {"key_id": "other", "token_id": "other"}, True, id="for another token that says the same"
    ),
    pytest.param(1, {"id": "acc_other"}, False, id="for another agent"),
    pytest.param(1, {"issuer": "https://two.example"}, False, id="for another issuer's"),
    pytest.param(1, {"scopes": ("memory:read",)}, False, id="for other scopes"),
    pytest.param(1, {"scopes": ("memory:write", "memory:read")}, False, id="for scopes in another order"),
    pytest.param(1, {"until": NOW + 100}, False, id="for a token that ends sooner"),
]


@pytest.mark.parametrize(("later", "caller", "same"), AGAIN)
def test_when_it_is_signed_anew(later, caller, same):
    signing = assertions()
    first = signing.line(identity(), "first", NOW)
    second = signing.line(identity(**caller), "second", NOW + later)
    assert (second == first) is same
    assert read(second).claims["request_id"] == ("first" if same else "second")


def test_it_is_good_for_half_of_its_time_at_least():
    signing, start = assertions(ttl=60.0), NOW
    for step in range(300):
        now = start + step
        claims = read(signing.line(identity(), "r", now)).claims
        assert claims["iat"] <= now
        assert claims["exp"] - now > 29


def test_each_has_its_own_name():
    signing = assertions()
    names = {
        read(signing.line(identity(id=f"a{number}"), "r", NOW + 200 * number)).claims["jti"]
        for number in range(50)
    }
    assert len(names) == 50


def test_agents_without_end_do_not_fill_the_memory():
    signing = assertions(limit=10)
    for number in range(50):
        signing.line(identity(id=f"a{number}"), "r", NOW)
        assert len(signing._signed) <= 10


def test_the_key_set_has_the_public_half_alone():
    assert json.loads(assertions().key_set) == {
        "keys": [
            {
                "crv": "Ed25519",
                "kty": "OKP",
                "x": PUBLIC,
                "kid": THUMBPRINT,
                "use": "sig",
                "alg": "EdDSA",
            }
        ]
    }


def test_the_key_is_shown_nowhere():
    secret = KEY.private_bytes_raw()
    signing = assertions()
    shown = repr(signing) + repr(vars(signing))
    for spelling in (secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1]):
        assert spelling not in shown


def test_our_own_reading_of_its_key_set_takes_it():
    signing = assertions()
    key = usable_key(json.loads(signing.key_set)["keys"][0])
    token = signing.line(identity(), "r", NOW).split(b": ")[1].strip()
    text, _, signature = token.rpartition(b".")
    assert verify(key, "EdDSA", text, decoded(signature.decode()))
    assert not verify(key, "EdDSA", text + b"x", decoded(signature.decode()))


def test_another_key_does_not_hold():
    line = Assertions(Assertion(issuer=ISSUER, audience=AUDIENCE), Ed25519PrivateKey.generate()).line(
        identity(), "r", NOW
    )
    with pytest.raises(InvalidSignature):
        read(line)
