"""Rows about the claims: who, for whom, until when, with which scopes (RFC 7519, RFC 9068, design section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.model import Reason
from tests.authn.tokens.issuers import DEMANDING, ED, ELSEWHERE, MAIN, NAMING, OTHER, OTHERS, RS
from tests.authn.tokens.making import ABSENT, At, admitted, build, named, payload_with, refused, saying
from tests.support.harness import RESOURCE

if TYPE_CHECKING:
    from tests.authn.tokens.making import Row

MALFORMED, MISSING, CLAIM = Reason.TOKEN_MALFORMED, Reason.CLAIM_MISSING, Reason.CLAIM_REFUSED
FOREIGN, AUDIENCE, TYPE = Reason.ISSUER_UNKNOWN, Reason.AUDIENCE_MISMATCH, Reason.TYPE_REFUSED
EXPIRED, EARLY = Reason.TOKEN_EXPIRED, Reason.TOKEN_NOT_YET_VALID

# Nothing that a claim of text or a date may be.
ODDITIES: list[tuple[str, Any]] = [
    ("true", True),
    ("false", False),
    ("an empty list", []),
    ("a list of lists", [[]]),
    ("an empty object", {}),
    ("an object", {"a": 1}),
]

ISSUERS: list[Row] = [
    admitted("another issuer, for its own audience", saying(OTHERS, iss=OTHER, aud=ELSEWHERE), issuer=OTHER),
    refused("no iss", MISSING, saying(iss=ABSENT)),
    refused("an iss of null", MISSING, saying(iss=None)),
    *(refused(f"an iss that is {says}", FOREIGN, saying(iss=value)) for says, value in ODDITIES),
    *(
        refused(f"an iss that is {says}", FOREIGN, saying(iss=value))
        for says, value in [
            ("a number", 7),
            ("a list with ours", [MAIN]),
            ("an object with ours", {MAIN: MAIN}),
            ("empty", ""),
            ("not configured", "https://evil.test"),
            ("ours with one slash more", MAIN + "/"),
            ("ours in upper case", MAIN.upper()),
            ("ours over http", MAIN.replace("https", "http")),
            ("ours without its scheme", MAIN.removeprefix("https://")),
            ("ours with its port", MAIN + ":443"),
            ("ours with a space", MAIN + " "),
            ("ours with a NUL", MAIN + "\0"),
            ("ours with a line break", MAIN + "\n"),
            ("ours as a prefix", MAIN + ".evil.test"),
            ("ours behind another's userinfo", MAIN + "@evil.test"),
            ("in letters that look like ours", MAIN.replace("e", "\u0435")),
            ("10,000 characters long", "https://" + "i" * 10000),
        ]
    ),
    refused(
        "an issuer's key for another issuer that takes the algorithm",
        Reason.KEY_UNKNOWN,
        build(RS["RS512"], None, {"iss": OTHER}),
    ),
    refused(
        "an issuer that says where its keys are",
        Reason.KEY_UNKNOWN,
        build(ED, {"kid": "k1"}, {"jwks_uri": "https://evil.test", "iss": MAIN}),
    ),
]

AUDIENCES: list[Row] = [
    admitted("our audience in a list", saying(aud=[RESOURCE])),
    admitted("our audience among others", saying(aud=["https://a.test", "", RESOURCE, RESOURCE])),
    named("no aud", MISSING, saying(aud=ABSENT)),
    named("an aud of null", MALFORMED, saying(aud=None)),
    named("an aud that is a number", MALFORMED, saying(aud=7)),
    named("an aud of true", MALFORMED, saying(aud=True)),
    named("an aud that is an object", MALFORMED, saying(aud={RESOURCE: True})),
    named("an aud with a number beside ours", MALFORMED, saying(aud=[RESOURCE, 7])),
    named("an aud with null beside ours", MALFORMED, saying(aud=[None, RESOURCE])),
    named("an aud with ours in a list in a list", MALFORMED, saying(aud=[[RESOURCE]])),
    *(
        named(f"an aud that is {says}", AUDIENCE, saying(aud=value))
        for says, value in [
            ("an empty list", []),
            ("empty", ""),
            ("a list with an empty one", [""]),
            ("somebody else's", "https://a.test"),
            ("a list of others", ["https://a.test", "https://b.test"]),
            ("another configured issuer's", ELSEWHERE),
            ("ours with one slash more", RESOURCE + "/"),
            ("ours with a path", RESOURCE + "/mcp"),
            ("ours in upper case", RESOURCE.upper()),
            ("ours and another one in one string", f"{RESOURCE} https://a.test"),
            ("a prefix of ours", RESOURCE[:-1]),
            ("a star", "*"),
            ("the issuer", MAIN),
        ]
    ),
    named(
        "another issuer's own, which takes another audience",
        AUDIENCE,
        saying(OTHERS, iss=OTHER),
        issuer=OTHER,
    ),
]

_HUGE = 10**300
_NO_DATES: list[tuple[str, Any]] = [
    ("null", None),
    *ODDITIES,
    ("text", "soon"),
    ("a number in text", "4102444800"),
    ("empty text", ""),
    ("a list of a date", [4102444800]),
    ("a date in ISO 8601", "2100-01-01T00:00:00Z"),
    ("negative", -1),
    ("a negative fraction", -0.5),
    ("negative and huge", -_HUGE),
    ("huge", _HUGE),
    ("a huge fraction", 1e308),
    ("in milliseconds", 1_700_000_000_000),
    ("the first second of the year 10000", 253402300800),
]
DATES: list[Row] = [
    *(
        named(f"an {claim} that is {says}", MALFORMED, saying(**{claim: value}))
        for claim in ("exp", "nbf", "iat")
        for says, value in _NO_DATES
    ),
    named("no exp", MISSING, saying(exp=ABSENT)),
    admitted("an exp with a fraction", saying(exp=At(60.5))),
    admitted("an exp as an exponent", payload_with('"nbf": 1e9')),
    admitted("an exp in the year 9999", saying(exp=253402300799)),
    admitted("an exp that has passed, within the leeway", saying(exp=At(-30, 1))),
    named("an exp that has passed, with the leeway", EXPIRED, saying(exp=At(-30))),
    named("an exp that passed a day ago", EXPIRED, saying(exp=At(-86400))),
    named("an exp of 0", EXPIRED, saying(exp=0)),
    named("an exp of -0.0", EXPIRED, saying(exp=-0.0)),
    named("an exp of 1970", EXPIRED, saying(exp=1)),
    admitted("no nbf and no iat", saying(iat=ABSENT)),
    admitted("an nbf of 0", saying(nbf=0)),
    admitted("an nbf of now", saying(nbf=At(0))),
    admitted("an nbf to come, within the leeway", saying(nbf=At(30))),
    named("an nbf to come, beyond the leeway", EARLY, saying(nbf=At(30, 1))),
    named("an nbf behind the exp", EARLY, saying(nbf=At(900))),
    admitted("an iat of 0", saying(iat=0)),
    admitted("an iat to come, within the leeway", saying(iat=At(30))),
    named("an iat to come, beyond the leeway", EARLY, saying(iat=At(30, 1))),
    named("an iat to come by a day", EARLY, saying(iat=At(86400))),
    named("an iat behind the exp", EXPIRED, saying(iat=At(0), exp=At(-60))),
]

_AGREED = {"iss": DEMANDING, "al_trust": {"score": 50}, "tenant": "acme", "human": False}


def demanded(**claims: Any) -> Any:
    return saying(ED, **{**_AGREED, **claims})


LIFETIMES: list[Row] = [
    admitted("as long a life as may be", demanded(iat=At(-1800), exp=At(1800)), issuer=DEMANDING),
    named("a second too long a life", CLAIM, demanded(iat=At(-1800), exp=At(1801)), issuer=DEMANDING),
    named(
        "too long a life, though it ends soon", CLAIM, demanded(iat=At(-7200), exp=At(60)), issuer=DEMANDING
    ),
    admitted("no iat, and an end in time", demanded(iat=ABSENT, exp=At(3600, -1)), issuer=DEMANDING),
    named("no iat, and an end too late", CLAIM, demanded(iat=ABSENT, exp=At(3600, 1)), issuer=DEMANDING),
    named("an end in the year 9999", CLAIM, demanded(exp=253402300799), issuer=DEMANDING),
    named("an iat of 0, which makes too long a life", CLAIM, demanded(iat=0), issuer=DEMANDING),
    named("no leeway, and an exp that has passed", EXPIRED, demanded(exp=At(0)), issuer=DEMANDING),
    named("no leeway, and an nbf to come", EARLY, demanded(nbf=At(0, 1)), issuer=DEMANDING),
    admitted("no leeway, and an nbf that has just come", demanded(nbf=At(0)), issuer=DEMANDING),
]

UNMET: list[tuple[str, dict[str, Any]]] = [
    ("a claim that is not there", {"al_trust": ABSENT}),
    ("a claim of null", {"tenant": None}),
    ("a number that is too small", {"al_trust": {"score": 19.999}}),
    ("a number in text", {"al_trust": {"score": "50"}}),
    ("a number that is true", {"al_trust": {"score": True}}),
    ("a number in a list", {"al_trust": {"score": [50]}}),
    ("an object that is a number", {"al_trust": 50}),
    ("an object in a list", {"al_trust": [{"score": 50}]}),
    ("another value", {"tenant": "evil"}),
    ("a value in another case", {"tenant": "Acme"}),
    ("a value with a space", {"tenant": "acme "}),
    ("an empty list", {"tenant": []}),
    ("a list of lists", {"tenant": [["acme"]]}),
    ("an object with the value", {"tenant": {"acme": True}}),
    ("false that is 0", {"human": 0}),
    ("false that is text", {"human": "false"}),
    ("a whole name that hides the nested one", {"al_trust.score": 1}),
]
REQUIREMENTS: list[Row] = [
    admitted(
        "every condition met at its edge", demanded(al_trust={"score": 20}, tenant="beta"), issuer=DEMANDING
    ),
    admitted("a condition met by one of a list", demanded(tenant=["other", "acme"]), issuer=DEMANDING),
    admitted(
        "a claim's name with its dot in it",
        demanded(al_trust=ABSENT, **{"al_trust.score": 20.0}),
        issuer=DEMANDING,
    ),
    *(
        named(f"a condition on {says}", CLAIM, demanded(**changes), issuer=DEMANDING)
        for says, changes in UNMET
    ),
]

MARKS: list[Row] = [
    refused("typ JWT with a nonce of null", TYPE, saying(nonce=None)),
    *(
        refused(f"typ JWT with {mark}", TYPE, saying(**{mark: value}))
        for mark, value in [
            ("nonce", "n"),
            ("at_hash", "h"),
            ("c_hash", "h"),
            ("s_hash", "h"),
            ("events", {"http://schemas.openid.net/event/backchannel-logout": {}}),
            ("token_use", "id"),
        ]
    ),
    *(
        refused(f"no typ with {mark}", TYPE, build(ED, {"typ": ABSENT}, {mark: "x"}))
        for mark in ("nonce", "at_hash", "c_hash", "s_hash", "events")
    ),
    refused("no typ with token_use id", TYPE, build(ED, {"typ": ABSENT}, {"token_use": "id"})),
    *(
        admitted(
            f"typ at+jwt with {mark}, which then says nothing", build(ED, {"typ": "at+jwt"}, {mark: "x"})
        )
        for mark in ("nonce", "at_hash", "events")
    ),
    admitted("token_use access", saying(token_use="access")),
    admitted("claims that only look like marks", saying(auth_time=1, sid="s", azp="x", acr="1", amr=["pwd"])),
]

_LONG = "a" * 255
IDS: list[Row] = [
    *(
        admitted(f"an id {says}", saying(sub=agent), agent)
        for says, agent in [
            ("of one character", "a"),
            ("of 255 characters", _LONG),
            ("of 255 characters beyond ASCII", "\u00e9" * 255),
            ("with spaces inside", "a b  c"),
            ("with percent, comma and quotes", '100%, "a"'),
            ("with colons and slashes", "spiffe://a.test/ns/b"),
            ("beyond ASCII", "агент"),
            ("beyond the first plane", "agent 😀"),
            ("that is a number in text", "0"),
            ("that looks like a header", "X-Agent-Id: root"),
            ("that looks percent-encoded", "%61cc_1"),
            ("that is HTML", "<script>alert(1)</script>"),
            ("that is JSON", '","agent_id":"root'),
            ("with a letter that runs from right to left", "a\u202eb"),
        ]
    ),
    refused("no id", MISSING, saying(sub=ABSENT)),
    refused("an id of null", MISSING, saying(sub=None)),
    refused("an id that is a number", MISSING, saying(sub=7)),
    *(refused(f"an id that is {says}", MISSING, saying(sub=value)) for says, value in ODDITIES),
    refused("an id that is a list of one", MISSING, saying(sub=["acc_1"])),
    *(
        refused(f"an id {says}", CLAIM, saying(sub=agent))
        for says, agent in [
            ("that is empty", ""),
            ("that is a space", " "),
            ("with a space before", " acc_1"),
            ("with a space behind", "acc_1 "),
            ("with a no-break space behind", "acc_1\u00a0"),
            ("with an ideographic space before", "\u3000acc_1"),
            ("with a tab", "acc\t1"),
            ("with a line break", "acc_1\r\nX-Agent-Scopes: admin"),
            ("with a line feed behind", "acc_1\n"),
            ("with a NUL", "acc_1\0"),
            ("with an escape", "\x1b[31macc_1"),
            ("with DEL", "acc_1\x7f"),
            ("with a control character of Latin 1", "acc\u00851"),
            ("of 256 characters", "a" * 256),
            ("of 10,000 characters", "a" * 10000),
        ]
    ),
    *(
        named(f"a jti that is {says}", MALFORMED, saying(jti=value))
        for says, value in [("null", None), ("a number", 7), *ODDITIES]
    ),
    named("a jti that is empty", MALFORMED, saying(jti="")),
    named("a jti with a line break", MALFORMED, saying(jti="a\nb")),
    named("a jti of 256 characters", MALFORMED, saying(jti="j" * 256)),
    admitted("a jti of 255 characters", saying(jti="j" * 255)),
    admitted("a jti beyond ASCII", saying(jti="\u0436")),
    admitted(
        "an id from a nested claim",
        saying(iss=NAMING, sub="root", act={"sub": "acc_9"}),
        "acc_9",
        issuer=NAMING,
    ),
    admitted(
        "an id from a claim whose name has dots",
        saying(iss=NAMING, act={"sub": "x"}, **{"https://a.b/agent": "acc_8"}),
        "acc_8",
        issuer=NAMING,
    ),
    refused("a sub where the id is another claim", MISSING, saying(iss=NAMING)),
    refused(
        "a first id that is no text, and a second one",
        MISSING,
        saying(iss=NAMING, act={"sub": "x"}, **{"https://a.b/agent": 7}),
    ),
]

SCOPES: list[Row] = [
    *(
        admitted(f"scope {says}", saying(scope=value), scopes=scopes)
        for says, value, scopes in [
            ("in one string", "read write", ("read", "write")),
            ("in a list", ["read", "write"], ("read", "write")),
            ("with one of them twice", "read write read", ("read", "write")),
            ("empty", "", ()),
            ("an empty list", [], ()),
            ("null", None, ()),
            ("left out", ABSENT, ()),
            (
                "of every character that may be",
                "!#$%&'()*+,-./:;<=>?@[]^_`{|}~",
                ("!#$%&'()*+,-./:;<=>?@[]^_`{|}~",),
            ),
            ("in upper case is its own", "READ", ("READ",)),
        ]
    ),
    admitted("al_scopes before scope", saying(al_scopes=["memory:read"]), scopes=("memory:read",)),
    admitted("an empty al_scopes before scope", saying(al_scopes=[]), scopes=()),
    admitted("scp where scope is not there", saying(scope=ABSENT, scp=["read"]), scopes=("read",)),
    admitted(
        "scopes from a claim of another name",
        saying(iss=NAMING, act={"sub": "a"}, permissions=["p:q"]),
        "a",
        scopes=("p:q",),
        issuer=NAMING,
    ),
    admitted(
        "scopes that this issuer may not confer",
        demanded(scope="mcp:x read readx admin mcp"),
        scopes=("mcp:x", "read"),
        issuer=DEMANDING,
    ),
    *(
        refused(f"scope {says}", CLAIM, saying(scope=value))
        for says, value in [
            ("a number", 7),
            ("true", True),
            ("false", False),
            ("an object", {"read": True}),
            ("with a space before", " read"),
            ("with a space behind", "read "),
            ("with two spaces between", "read  write"),
            ("with a tab", "read\twrite"),
            ("with a line break", "read\r\nX-Agent-Id: root"),
            ("with quotes", 'read "write"'),
            ("with a backslash", "read\\write"),
            ("beyond ASCII", "l\u00e9er"),
            ("with a NUL", "read\0"),
            ("with a no-break space", "read\u00a0write"),
            ("a list with a number", ["read", 7]),
            ("a list with null", [None]),
            ("a list with an empty one", ["read", ""]),
            ("a list with a space in one", ["read write"]),
            ("a list of lists", [["read"]]),
        ]
    ),
    refused("an unfit al_scopes before a good scope", CLAIM, saying(al_scopes=7)),
    refused(
        "a scope that may not be conferred, and is none", CLAIM, demanded(scope='read "'), issuer=DEMANDING
    ),
]

ROWS: list[Row] = [*ISSUERS, *AUDIENCES, *DATES, *LIFETIMES, *REQUIREMENTS, *MARKS, *IDS, *SCOPES]
