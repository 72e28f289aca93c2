"""Rows about tokens that are bound to a key (`cnf`, RFC 7800, RFC 9449, RFC 8705), with proofs checked or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.model import Reason
from tests.authn.tokens.issuers import BOUND, PROVER, REQUIRED, STRANGE_EC
from tests.authn.tokens.making import admitted, named, saying
from tests.support.proofs import thumbprint

if TYPE_CHECKING:
    from tests.authn.tokens.making import Row

PROOF = Reason.PROOF_INVALID
_JKT = thumbprint(PROVER)
_X5T = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"

SHAPES: list[tuple[str, Any]] = [
    ("null", None),
    ("an empty object", {}),
    ("true", True),
    ("text", _JKT),
    ("a list", [{"jkt": _JKT}]),
    ("a thumbprint that is null", {"jkt": None}),
    ("a thumbprint that is a list", {"jkt": [_JKT]}),
    ("an empty thumbprint", {"jkt": ""}),
    ("a thumbprint that is too short", {"jkt": _JKT[:-1]}),
    ("a thumbprint that is too long", {"jkt": _JKT + "A"}),
    ("a thumbprint with padding", {"jkt": _JKT + "="}),
    ("a thumbprint in plain base64", {"jkt": "+" + _JKT[1:]}),
    ("a thumbprint with a line break", {"jkt": _JKT + "\n"}),
    ("a thumbprint under another name", {"JKT": _JKT}),
    ("a certificate", {"x5t#S256": _X5T}),
    ("a certificate beside a thumbprint", {"jkt": _JKT, "x5t#S256": _X5T}),
    ("a key itself", {"jwk": PROVER.jwk}),
    ("a key's name", {"kid": "prover"}),
    ("an encrypted key", {"jwe": "a.b.c.d.e"}),
    ("an address of keys", {"jku": "https://evil.test/", "kid": "x"}),
    ("what nobody knows", {"x": 1}),
]

ROWS: list[Row] = [
    *(
        named(f"bound to {says}, where no proof is checked", PROOF, saying(cnf=value))
        for says, value in SHAPES
    ),
    named("bound to a thumbprint, where no proof is checked", PROOF, saying(cnf={"jkt": _JKT})),
    *(
        named(f"bound to {says}, where proofs are checked", PROOF, saying(iss=BOUND, cnf=value), issuer=BOUND)
        for says, value in SHAPES
    ),
    admitted(
        "bound, and no proof comes", saying(iss=BOUND, cnf={"jkt": _JKT}), issuer=BOUND, over_http=PROOF
    ),
    admitted(
        "bound, and its proof comes",
        saying(iss=BOUND, cnf={"jkt": _JKT}, jti="p1"),
        issuer=BOUND,
        prover=PROVER,
    ),
    admitted(
        "bound, and another key's proof comes",
        saying(iss=BOUND, cnf={"jkt": _JKT}, jti="p2"),
        issuer=BOUND,
        prover=STRANGE_EC,
        over_http=PROOF,
    ),
    admitted("not bound, where it need not be", saying(iss=BOUND), issuer=BOUND),
    admitted("not bound, where it must be", saying(iss=REQUIRED), issuer=REQUIRED, over_http=PROOF),
    admitted(
        "bound, where it must be, and its proof comes",
        saying(iss=REQUIRED, cnf={"jkt": _JKT}),
        issuer=REQUIRED,
        prover=PROVER,
    ),
    admitted("not bound, and a proof comes all the same", saying(jti="p3"), prover=PROVER, over_http=PROOF),
]
