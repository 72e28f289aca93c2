"""One proof against one request: what holds, and everything that does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.authn.dpop import Asked, Proof, check_proof, digest, proof_algorithms, target_uri
from proxy.config import Issuer
from proxy.model import Deny, Reason
from tests.support.keys import SigningKey, compact, make_key
from tests.support.proofs import ath, proof_claims, sign_proof, thumbprint

NOW = 1_700_000_000.0
TOKEN = b"the.access.token"
URI = "https://mcp.example.com/mcp"

ED, ES256, RS = make_key("EdDSA", "ed"), make_key("ES256", "es256"), make_key("RS256", "rs")
THIEF = make_key("EdDSA", "a thief's")
WEAK = make_key("RS256", "weak", 1024)
SECRET = make_key("HS256", None)


def claims(**changes: Any) -> dict[str, Any]:
    return proof_claims(TOKEN, NOW, "POST", URI, **changes)


def asked(key: SigningKey = ED, **changes: Any) -> Asked:
    usual = {"method": "POST", "uri": URI, "ath": ath(TOKEN), "thumbprint": thumbprint(key), "leeway": 5.0}
    return Asked(**{**usual, **changes})


def saying(**changes: Any) -> bytes:
    return sign_proof(ED, claims(**changes))


def headed(**changes: Any) -> bytes:
    return sign_proof(ED, claims(), **changes)


def patched(position: int, text: bytes) -> bytes:
    parts = saying().split(b".")
    parts[position] = text
    return b".".join(parts)


HOLD = [
    pytest.param(saying(), asked(), id="Ed25519"),
    pytest.param(headed(alg="Ed25519"), asked(), id="the newer name of EdDSA"),
    pytest.param(sign_proof(ES256, claims()), asked(ES256), id="ES256"),
    pytest.param(sign_proof(RS, claims()), asked(RS), id="RS256"),
    pytest.param(
        compact(
            json.dumps({"typ": "dpop+jwt", "alg": "PS256", "jwk": RS.public(alg=None, use=None)}),
            json.dumps(claims()),
            lambda data: RS.sign(data, "PS256"),
        ).encode(),
        asked(RS),
        id="PS256, which an RSA key may sign too",
    ),
    pytest.param(headed(jwk=ED.jwk), asked(), id="a jwk with use, alg and kid"),
    pytest.param(headed(kid="x"), asked(), id="a kid in the header, which means nothing"),
    pytest.param(saying(iat=NOW + 0.5), asked(), id="a fraction of a second"),
    pytest.param(saying(iat=NOW - 65), asked(), id="as old as may be"),
    pytest.param(saying(iat=NOW + 5), asked(), id="as early as clocks may differ"),
    pytest.param(saying(jti="j" * 256), asked(), id="the longest jti"),
    pytest.param(saying(exp=NOW - 9999), asked(), id="an exp, which a proof has not"),
    pytest.param(saying(nonce=[1]), asked(), id="a nonce, which is another's to judge"),
    pytest.param(saying(htu="HTTPS://MCP.example.COM:443/mcp"), asked(), id="another spelling of the origin"),
    pytest.param(saying(htu="https://mcp.example.com/%6Dcp"), asked(), id="another spelling of the path"),
    pytest.param(
        saying(htu="https://mcp.example.com"),
        asked(uri="https://mcp.example.com/"),
        id="an empty path is a slash",
    ),
]


@pytest.mark.parametrize(("proof", "request_"), HOLD)
def test_what_holds(proof: bytes, request_: Asked) -> None:
    assert isinstance(check_proof(proof, request_, NOW), Proof)


def test_what_is_remembered() -> None:
    proof = saying(jti="one", iat=NOW - 10, nonce="n")
    assert check_proof(proof, asked(), NOW) == Proof("one", NOW + 55, "n")


FAIL = [
    # The shape.
    pytest.param(b"", "no compact JWS", id="nothing"),
    pytest.param(b"a.b", "no compact JWS", id="two parts"),
    pytest.param(b"a.b.c.d.e", "no compact JWS", id="five parts"),
    pytest.param(saying() + b"=", "no compact JWS", id="padding"),
    pytest.param(saying() + b", " + saying(), "no compact JWS", id="two proofs in one line"),
    pytest.param(patched(1, b"bm8gSlNPTg"), "no compact JWS", id="a payload that is not JSON"),
    pytest.param(headed(crit=["b64"], b64=False), "no compact JWS", id="crit"),
    pytest.param(
        compact('{"typ":"dpop+jwt","alg":"EdDSA","alg":"none"}', "{}", ED.sign).encode(),
        "no compact JWS",
        id="a name that comes twice",
    ),
    pytest.param(saying(extra="x" * 8192), "longer than 8 KiB", id="too long"),
    # The header.
    pytest.param(headed(typ=None), "typ", id="no typ"),
    pytest.param(headed(typ="JWT"), "typ", id="an ordinary JWT"),
    pytest.param(headed(typ="at+jwt"), "typ", id="an access token"),
    pytest.param(headed(typ="DPoP+JWT"), "typ", id="typ in another case"),
    pytest.param(headed(typ="application/dpop+jwt"), "typ", id="typ in its long form"),
    pytest.param(headed(alg="none"), "alg is not", id="alg none"),
    pytest.param(headed(alg="None"), "alg is not", id="alg None"),
    pytest.param(sign_proof(SECRET, claims()), "alg is not", id="a symmetric alg"),
    pytest.param(
        sign_proof(SECRET, claims(), jwk=ED.public(alg=None)), "alg is not", id="a MAC under a public key"
    ),
    pytest.param(headed(alg="ES256K"), "alg is not", id="an alg that is not supported"),
    pytest.param(headed(alg="RS256"), "does not fit", id="an alg that does not fit the key"),
    pytest.param(headed(jwk=ED.public(alg="RS256")), "does not fit", id="a jwk whose alg does not fit it"),
    pytest.param(headed(jwk=None), "it is no object", id="no jwk"),
    pytest.param(headed(jwk="key"), "it is no object", id="a jwk that is text"),
    pytest.param(headed(jwk=[ED.jwk]), "it is no object", id="a jwk in a list"),
    pytest.param(headed(jwk={}), "kty", id="an empty jwk"),
    pytest.param(headed(jwk=ED.private_jwk()), "private", id="a private jwk"),
    pytest.param(headed(jwk=SECRET.jwk), "symmetric", id="a symmetric jwk"),
    pytest.param(sign_proof(WEAK, claims()), "2048", id="a weak key"),
    pytest.param(headed(jwk=ED.public(use="enc")), "use", id="a key for encryption"),
    pytest.param(headed(jwk=None, jku="https://evil.test/"), "it is no object", id="a key elsewhere"),
    # Whose it is.
    pytest.param(sign_proof(THIEF, claims()), "another key", id="a thief's own key"),
    pytest.param(
        sign_proof(THIEF, claims(), jwk=ED.jwk), "signature", id="a thief who names the owner's key"
    ),
    pytest.param(patched(2, b"AAAA"), "signature", id="a signature of zeros"),
    pytest.param(patched(2, b""), "signature", id="no signature"),
    # The request.
    pytest.param(saying(htm=None), "htm", id="no htm"),
    pytest.param(saying(htm="GET"), "htm", id="another method"),
    pytest.param(saying(htm="post"), "htm", id="the method in another case"),
    pytest.param(saying(htm=["POST"]), "htm", id="methods in a list"),
    pytest.param(saying(htu=None), "htu", id="no htu"),
    pytest.param(saying(htu=1), "htu", id="an htu that is a number"),
    pytest.param(saying(htu="/mcp"), "htu", id="a path alone"),
    pytest.param(saying(htu="https://evil.example.com/mcp"), "htu", id="another host"),
    pytest.param(saying(htu="http://mcp.example.com/mcp"), "htu", id="another scheme"),
    pytest.param(saying(htu="https://mcp.example.com:8443/mcp"), "htu", id="another port"),
    pytest.param(saying(htu="http://127.0.0.1:8000/mcp"), "htu", id="the upstream's own address"),
    pytest.param(saying(htu="https://mcp.example.com/mcp2"), "htu", id="another path"),
    pytest.param(saying(htu="https://mcp.example.com/MCP"), "htu", id="the path in another case"),
    pytest.param(saying(htu="https://mcp.example.com/mcp/"), "htu", id="a slash more"),
    pytest.param(saying(htu="https://mcp.example.com/x/../mcp"), "htu", id="dot segments"),
    pytest.param(saying(htu="https://mcp.example.com/%2Fmcp"), "htu", id="an encoded slash"),
    pytest.param(saying(htu=URI + "?a=1"), "htu", id="a query"),
    pytest.param(saying(htu=URI + "#a"), "htu", id="a fragment"),
    pytest.param(saying(htu="https://mcp.example.com@evil.test/mcp"), "htu", id="userinfo"),
    pytest.param(saying(htu=""), "htu", id="an empty htu"),
    pytest.param(saying(ath=None), "ath", id="no ath"),
    pytest.param(saying(ath=ath(b"another.token")), "ath", id="another token's ath"),
    pytest.param(saying(ath=ath(TOKEN) + "="), "ath", id="a padded ath"),
    pytest.param(saying(ath=True), "ath", id="an ath that is no text"),
    # The time.
    pytest.param(saying(iat=None), "no date", id="no iat"),
    pytest.param(saying(iat=str(NOW)), "no date", id="an iat that is text"),
    pytest.param(saying(iat=True), "no date", id="an iat that is true"),
    pytest.param(saying(iat=NOW - 66), "too long ago", id="a stale proof"),
    pytest.param(saying(iat=-1e300), "too long ago", id="a proof from before everything"),
    pytest.param(saying(iat=NOW + 6), "future", id="a proof from the future"),
    pytest.param(saying(iat=10**300), "future", id="a proof from beyond everything"),
    pytest.param(saying(iat=NOW * 1000), "future", id="milliseconds"),
    pytest.param(saying(jti=None), "jti", id="no jti"),
    pytest.param(saying(jti=""), "jti", id="an empty jti"),
    pytest.param(saying(jti=7), "jti", id="a jti that is a number"),
    pytest.param(saying(jti="j" * 257), "jti", id="a jti that is too long"),
]


@pytest.mark.parametrize(("proof", "why"), FAIL)
def test_what_does_not_hold(proof: bytes, why: str) -> None:
    deny = check_proof(proof, asked(), NOW)
    assert isinstance(deny, Deny)
    assert deny.reason is Reason.PROOF_INVALID
    assert why in deny.detail


ELSEWHERE = [
    pytest.param({"method": "PUT"}, "htm", id="sent with another method"),
    pytest.param({"uri": "https://mcp.example.com/admin"}, "htu", id="sent to another path"),
    pytest.param({"uri": "https://other.example.com/mcp"}, "htu", id="sent to another server"),
    pytest.param({"ath": ath(b"another.token")}, "ath", id="sent with another token"),
    pytest.param({"thumbprint": thumbprint(THIEF)}, "another key", id="sent with a token of another key"),
    pytest.param({"thumbprint": ""}, "another key", id="sent with a token that is bound to nothing"),
]


@pytest.mark.parametrize(("changes", "why"), ELSEWHERE)
def test_an_honest_proof_elsewhere(changes: dict[str, Any], why: str) -> None:
    deny = check_proof(saying(), asked(**changes), NOW)
    assert isinstance(deny, Deny)
    assert why in deny.detail


def test_a_minute_later_it_is_worth_nothing() -> None:
    proof = check_proof(saying(), asked(), NOW)
    assert isinstance(proof, Proof)
    assert isinstance(check_proof(saying(), asked(), proof.until), Proof)
    assert isinstance(check_proof(saying(), asked(), proof.until + 0.001), Deny)


def test_no_byte_of_a_proof_can_be_changed() -> None:
    proof = saying()
    changed = [proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :] for at in range(len(proof))]
    assert not [one for one in changed if isinstance(check_proof(one, asked(), NOW), Proof)]


URIS = [
    pytest.param("https://h", "https://h/", id="no path"),
    pytest.param("https://h/", "https://h/", id="a path of one slash"),
    pytest.param("HTTPS://H/P", "https://h/P", id="scheme and host have no case, the path has"),
    pytest.param("https://h:443/p", "https://h/p", id="the default port of https"),
    pytest.param("http://h:80/p", "http://h/p", id="the default port of http"),
    pytest.param("https://h:80/p", "https://h:80/p", id="another's default port"),
    pytest.param("https://[::1]:8443/p", "https://[::1]:8443/p", id="IPv6"),
    pytest.param("https://[0:0::1]/p", "https://[::1]/p", id="IPv6 in another spelling"),
    pytest.param("https://h/%7eme/%c3%a9", "https://h/~me/%C3%A9", id="percent-encoding"),
    pytest.param("https://h/%2f%5c%00", "https://h/%2F%5C%00", id="what is special stays encoded"),
    pytest.param("https://h/%2561", "https://h/%2561", id="decoded once only"),
    pytest.param("https://h/a/../b/./c", "https://h/a/../b/./c", id="dot segments stay"),
    pytest.param("https://h//p", "https://h//p", id="empty segments stay"),
    pytest.param("https://h/p?q", None, id="a query"),
    pytest.param("https://h/p?", None, id="an empty query"),
    pytest.param("https://h/p#", None, id="an empty fragment"),
    pytest.param("https://u@h/p", None, id="userinfo"),
    pytest.param("https://h:0/p", None, id="port 0"),
    pytest.param("https://h/p\\q", None, id="a backslash"),
    pytest.param("https://h/é", None, id="what is not ASCII"),
    pytest.param("https://h/p\n", None, id="a line feed"),
    pytest.param(" https://h/p", None, id="a space"),
    pytest.param("wss://h/p", None, id="another scheme"),
    pytest.param("h/p", None, id="no scheme"),
    pytest.param("", None, id="nothing"),
]


@pytest.mark.parametrize(("text", "spelled"), URIS)
def test_target_uri(text: str, spelled: str | None) -> None:
    assert target_uri(text) == spelled


def test_digest_is_the_one_of_the_standard() -> None:
    # RFC 9449 section 7.1, figure 12: the ath of its example token.
    assert (
        digest(b"Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU")
        == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
    )


MODES = [
    pytest.param((), False, id="no issuer"),
    pytest.param(("off",), False, id="off"),
    pytest.param(("off", "optional"), True, id="optional for one"),
    pytest.param(("required",), True, id="required"),
]


@pytest.mark.parametrize(("modes", "some"), MODES)
def test_proof_algorithms(modes: tuple[str, ...], some: bool) -> None:
    issuers = [Issuer(issuer=f"https://{mode}.test", audience=["a"], dpop={"mode": mode}) for mode in modes]
    algorithms = proof_algorithms(issuers)
    assert bool(algorithms) is some
    assert not some or {"EdDSA", "ES256", "RS256", "PS256"} <= set(algorithms)
    assert not [name for name in algorithms if name.startswith("HS") or name.lower() == "none"]
