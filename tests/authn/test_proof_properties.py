"""Proofs of possession made at random, and honest ones changed at random, which nobody accepts (RFC 9449)."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from proxy.authn.dpop import Asked, Proof, check_proof
from proxy.model import Deny
from tests.authn.reference import RefusedError, json_object
from tests.authn.strategies import MUTATIONS, TYPES, Change, changed, changes, mutated, taken, tiers
from tests.support.keys import SigningKey, compact, make_key
from tests.support.proofs import ath, proof_claims, sign_proof, thumbprint

NOW = 1_700_000_000
ED, ES256, RS = make_key("EdDSA", "ed"), make_key("ES256", "es"), make_key("RS256", "rs")
PUBLIC = ED.public(use=None, alg=None, kid=None)
TOKEN, URI = b"the.access.token", "https://mcp.example.com/mcp"


def asked(key: SigningKey) -> Asked:
    return Asked(method="POST", uri=URI, ath=ath(TOKEN), thumbprint=thumbprint(key), leeway=5.0)


@cache
def proofs() -> list[tuple[SigningKey, bytes]]:
    return [
        (key, sign_proof(key, proof_claims(TOKEN, NOW, method, URI)))
        for key in (ED, ES256, RS)
        for method in ("POST", "GET")
    ]


@tiers(quick=150, long=20_000)
def test_an_honest_proof_that_is_changed(tier: settings) -> None:
    honest_ones = [proof for _, proof in proofs()]

    @tier
    @given(st.sampled_from([0, 2, 4]), st.integers(0, 5), MUTATIONS)
    @example(0, 1, [taken((True, False, True))])
    def holds(at: int, other: int, by: list[Change]) -> None:
        key, proof = proofs()[at]
        assert isinstance(check_proof(proof, asked(key), NOW), Proof)
        mutant = mutated(proof, proofs()[other][1], by)
        assume(mutant not in honest_ones)
        assert isinstance(check_proof(mutant, asked(key), NOW), Deny)

    holds()


PROOF_CLAIMS: dict[str, list[Any]] = {
    "htm": ["POST", "post", "GET", ["POST"], "POST "],
    "htu": [
        URI,
        URI + "?q",
        URI + "#f",
        URI + "/",
        "HTTPS://MCP.example.com:443/mcp",
        [URI],
        "http://mcp.example.com/mcp",
    ],
    "ath": [ath(TOKEN), ath(b"another"), ath(TOKEN) + "=", TOKEN.decode(), [ath(TOKEN)]],
    "iat": [*(NOW + by for by in (-66, -65.5, -65, -60, 0, 5, 5.5, 6)), str(NOW), True, [NOW]],
    "jti": ["j", "", "x" * 256, "x" * 257, 1, ["j"]],
    "nonce": ["n"],
    "exp": [0, "0"],
}


@tiers(quick=120, long=5_000)
def test_proofs_of_any_kind(tier: settings) -> None:
    @tier
    @given(changes(PROOF_CLAIMS, 3), changes({"typ": TYPES, "crit": [[]], "kid": [0, "k"]}, 1))
    def holds(by: dict[str, Any], header: dict[str, Any]) -> None:
        heads = changed({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": PUBLIC}, header)
        said = changed(proof_claims(TOKEN, NOW, "POST", URI), by)
        passed = isinstance(check_proof(compact(heads, said, ED.sign).encode(), asked(ED), NOW), Proof)
        assert passed is is_good_proof(heads, said)

    holds()


def is_good_proof(header: str, payload: str) -> bool:
    """Go through section 4.3 for a proof that ED has signed, in plain steps."""
    try:
        heads, said = (json_object(text.encode()) for text in (header, payload))
    except RefusedError:
        return False
    if "crit" in heads or "b64" in heads:
        return False
    if "kid" in heads and not (type(heads["kid"]) is str and len(heads["kid"]) <= 256):
        return False
    if heads.get("typ") != "dpop+jwt" or heads.get("alg") != "EdDSA" or heads.get("jwk") != PUBLIC:
        return False
    iat, jti = said.get("iat"), said.get("jti")
    return (
        said.get("htm") == "POST"
        and said.get("htu") in (URI, "HTTPS://MCP.example.com:443/mcp")
        and said.get("ath") == ath(TOKEN)
        and isinstance(iat, int | float)
        and type(iat) is not bool
        and NOW - 65 <= iat <= NOW + 5
        and type(jti) is str
        and 1 <= len(jti) <= 256
    )
