"""What may stand in for a token: tables of credentials, and of pages that make browsers send them."""

from __future__ import annotations

from base64 import b64encode

import pytest

from proxy.authz import Hosts, Router
from proxy.authz.passthrough import passes
from proxy.config import Config, Rule
from proxy.model import Deny, Peer, Reason, RequestHead

HOSTS = Hosts(
    Config.model_validate(
        {
            "listen": "0.0.0.0:8080",
            "upstream": "http://127.0.0.1:8000",
            "resource": "https://mcp.example.com/mcp",
            "hosts": ["ui.example.com", "exact.example.com:8443"],
            "rules": [{"path": "/**", "public": True}],
        }
    )
)
BASIC, COOKIE = "basic", {"cookie": "sessionid"}


def basic(pair, scheme=b"Basic"):
    return scheme + b" " + b64encode(pair)


def passed(named, method="GET", repeated=(), **fields):
    """What passes; header names are written with `_` for `-`."""
    told = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    route = Router([Rule(path="/", passthrough=named)]).find("GET", b"", "/")
    head = RequestHead(method, b"/", b"mcp.example.com", (), told, frozenset(repeated), Peer("192.0.2.1"))
    found = passes(route.passthrough, head, HOSTS)
    return found.reason if isinstance(found, Deny) else found


MISSING = Reason.CREDENTIAL_MISSING
ALICE = basic(b"alice:secret")

AUTHORIZATIONS = [
    pytest.param(ALICE, "basic", id="a user and a password"),
    pytest.param(basic(b"alice:secret", b"bASIC"), "basic", id="the scheme in another case"),
    pytest.param(basic(b"alice:"), "basic", id="no password, as some APIs have it"),
    pytest.param(basic(b":token"), "basic", id="no user, as other APIs have it"),
    pytest.param(basic(b"alice:a:b"), "basic", id="colons in the password"),
    pytest.param(basic("älice:ß".encode()), "basic", id="UTF-8"),
    pytest.param(basic("älice:ß".encode("latin-1")), "basic", id="Latin-1"),
    pytest.param(b"Basic YWxpY2U6c2VjcmV0", "basic", id="without padding where none is needed"),
    pytest.param(b"", MISSING, id="nothing"),
    pytest.param(b"Basic", MISSING, id="the scheme alone"),
    pytest.param(b"Basic ", MISSING, id="the scheme and a space"),
    pytest.param(basic(b":"), MISSING, id="neither user nor password"),
    pytest.param(basic(b"alice"), MISSING, id="no colon"),
    pytest.param(basic(b"alice:sec\nret"), MISSING, id="a control character"),
    pytest.param(basic(b"alice:secret\x00"), MISSING, id="NUL"),
    pytest.param(b"Basic alice:secret", MISSING, id="not encoded"),
    pytest.param(b"Basic  " + b64encode(b"alice:secret"), MISSING, id="two spaces"),
    pytest.param(ALICE + b" ", MISSING, id="a space behind it"),
    pytest.param(b"Basic YTpiYw", MISSING, id="without the padding that is needed"),
    pytest.param(b"Basic YTpiYw==", "basic", id="with the padding that is needed"),
    pytest.param(b"Basic YTpiYx==", MISSING, id="stray bits before the padding"),
    pytest.param(b"Basic YTpiYw===", MISSING, id="too much padding"),
    pytest.param(b"Basic YTpiYw==YTpi", MISSING, id="more behind the padding"),
    pytest.param(b"Basic ====", MISSING, id="padding alone"),
    pytest.param(b"Basic YTrDv-_w", MISSING, id="base64url"),
    pytest.param(ALICE + b", " + ALICE, MISSING, id="two of them"),
    pytest.param(ALICE + b", Digest x", MISSING, id="another scheme behind it"),
    pytest.param(b"Digest " + b64encode(b"alice:secret"), MISSING, id="another scheme"),
    pytest.param(b"BasicX " + b64encode(b"alice:secret"), MISSING, id="a scheme that begins like it"),
    pytest.param(b"Bearer YTpi", MISSING, id="Bearer"),
]


@pytest.mark.parametrize(("value", "found"), AUTHORIZATIONS)
def test_basic(value, found):
    assert passed([BASIC], authorization=value) == found


COOKIES = [
    pytest.param(b"sessionid=abc", "cookie", id="the cookie"),
    pytest.param(b"theme=dark; sessionid=abc; lang=en", "cookie", id="among others"),
    pytest.param(b"theme=dark;sessionid=abc", "cookie", id="without the space"),
    pytest.param(b'sessionid="abc"', "cookie", id="in quotes"),
    pytest.param(
        b"sessionid=s%3Aab.c/d+e=|!#$&'()*:<>?@[]^`{}~-", "cookie", id="all that values are made of"
    ),
    pytest.param(
        b'prefs={"a":1,"b":"x y"}; sessionid=abc', "cookie", id="another one that is no cookie value"
    ),
    pytest.param(b"Sessionid=x; sessionid=abc", "cookie", id="another one whose name differs in case"),
    pytest.param(b"theme=sessionid=abc", MISSING, id="inside another one's value"),
    pytest.param(b"", MISSING, id="no cookie at all"),
    pytest.param(b"theme=dark", MISSING, id="others alone"),
    pytest.param(b"SESSIONID=abc", MISSING, id="the name in another case"),
    pytest.param(b"xsessionid=abc", MISSING, id="a name that ends like it"),
    pytest.param(b"sessionid2=abc", MISSING, id="a name that begins like it"),
    pytest.param(b"sessionid", MISSING, id="the name alone"),
    pytest.param(b"sessionid=", MISSING, id="an empty value"),
    pytest.param(b"sessionid=  ", MISSING, id="a value of spaces"),
    pytest.param(b'sessionid=""', MISSING, id="an empty value in quotes"),
    pytest.param(b'sessionid="abc', MISSING, id="half a quote"),
    pytest.param(b"sessionid=a b", MISSING, id="a space inside"),
    pytest.param(b"sessionid= abc", MISSING, id="a space before the value"),
    pytest.param(b"sessionid=abc ; theme=dark", MISSING, id="a space behind the value"),
    pytest.param(b"sessionid=a,b", MISSING, id="a comma inside"),
    pytest.param(b"sessionid=a\\b", MISSING, id="a backslash inside"),
    pytest.param(b"sessionid=a\xffb", MISSING, id="a byte beyond ASCII"),
    pytest.param(b"sessionid=abc; sessionid=abc", MISSING, id="twice"),
    pytest.param(b"sessionid=abc; sessionid=def", MISSING, id="twice, with two values"),
    pytest.param(b"sessionid=; sessionid=abc", MISSING, id="twice, once empty"),
    pytest.param(b"sessionid =x; sessionid=abc", MISSING, id="twice, once with a space behind the name"),
    pytest.param(b"sessionid; sessionid=abc", MISSING, id="twice, once as a bare word"),
]


@pytest.mark.parametrize(("value", "found"), COOKIES)
def test_cookie(value, found):
    assert passed([COOKIE], cookie=value) == found


def test_a_cookie_header_that_came_twice_is_no_credential():
    # The second line could begin with another sessionid, which the comma hides.
    told = b"sessionid=abc; theme=dark, sessionid=def"
    assert passed([COOKIE], cookie=told) == "cookie"
    assert passed([COOKIE], cookie=told, repeated=[b"cookie"]) is MISSING


BOTH = [
    pytest.param([BASIC], {"cookie": b"sessionid=abc"}, MISSING, id="a cookie where Basic is named"),
    pytest.param([COOKIE], {"authorization": ALICE}, MISSING, id="Basic where a cookie is named"),
    pytest.param(
        [COOKIE],
        {"authorization": ALICE, "cookie": b"sessionid=abc"},
        "cookie",
        id="both where a cookie is named: Basic goes",
    ),
    pytest.param(
        [BASIC, COOKIE],
        {"authorization": ALICE, "cookie": b"sessionid=abc"},
        "basic",
        id="both where both are named: the upstream sees both",
    ),
    pytest.param(
        [BASIC, COOKIE],
        {"authorization": b"Basic !", "cookie": b"sessionid=abc"},
        "cookie",
        id="a broken Basic goes where the cookie is enough",
    ),
    pytest.param(
        [BASIC, COOKIE], {"authorization": b"Basic !", "cookie": b"sessionid="}, MISSING, id="both broken"
    ),
    pytest.param([COOKIE, {"cookie": "sid"}], {"cookie": b"sid=x"}, "cookie", id="the second of two cookies"),
    pytest.param(
        [COOKIE, {"cookie": "sid"}],
        {"cookie": b"sid=x; sid=y; sessionid=z"},
        "cookie",
        id="one of two cookies is sound",
    ),
    pytest.param([BASIC, COOKIE], {}, MISSING, id="nothing at all"),
]


@pytest.mark.parametrize(("named", "fields", "found"), BOTH)
def test_what_a_rule_names(named, fields, found):
    assert passed(named, **fields) == found


FOREIGN = Reason.ORIGIN_REFUSED

ORIGINS = [
    pytest.param({}, "cookie", id="no origin: no browser"),
    pytest.param({"origin": b"https://mcp.example.com"}, "cookie", id="the resource's own page"),
    pytest.param({"origin": b"https://ui.example.com:8443"}, "cookie", id="a listed host, on any port"),
    pytest.param({"origin": b"https://exact.example.com:8443"}, "cookie", id="a listed host and port"),
    pytest.param({"origin": b"https://exact.example.com"}, FOREIGN, id="another than the listed port"),
    pytest.param({"origin": b"https://evil.example"}, FOREIGN, id="another site"),
    pytest.param({"origin": b"https://mcp.example.com.evil.example"}, FOREIGN, id="a name that begins alike"),
    pytest.param({"origin": b"https://x.mcp.example.com"}, FOREIGN, id="a host below"),
    pytest.param({"origin": b"null"}, FOREIGN, id="null"),
    pytest.param({"origin": b""}, FOREIGN, id="an empty origin"),
    pytest.param(
        {"origin": b"https://mcp.example.com, https://mcp.example.com"}, FOREIGN, id="two lines of origins"
    ),
    pytest.param(
        {"origin": b"https://evil.example", "sec_fetch_site": b"same-origin"},
        FOREIGN,
        id="the origin counts more than the site",
    ),
    pytest.param({"sec_fetch_site": b"same-origin"}, "cookie", id="the browser says: the same origin"),
    pytest.param({"sec_fetch_site": b"none"}, "cookie", id="the browser says: the user"),
    pytest.param({"sec_fetch_site": b"cross-site"}, FOREIGN, id="the browser says: another site"),
    pytest.param({"sec_fetch_site": b"same-site"}, FOREIGN, id="the browser says: a neighbour"),
    pytest.param({"sec_fetch_site": b"what"}, FOREIGN, id="the browser says something new"),
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get"])
@pytest.mark.parametrize(("fields", "found"), ORIGINS)
def test_a_request_that_changes_something_comes_from_here(method, fields, found):
    assert passed([COOKIE], method, cookie=b"sessionid=abc", **fields) == found


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(("fields", "_found"), ORIGINS)
def test_a_request_that_changes_nothing_may_come_from_anywhere(method, fields, _found):
    assert passed([COOKIE], method, cookie=b"sessionid=abc", **fields) == "cookie"


def test_without_a_credential_nothing_is_said_of_origins():
    assert passed([COOKIE], "POST", origin=b"null") is MISSING


CHALLENGES = [
    pytest.param(
        [BASIC],
        b'WWW-Authenticate: Basic realm="upstream", charset="UTF-8"\r\n',
        id="a browser asks for a password",
    ),
    pytest.param([COOKIE], b"", id="no password can be asked for"),
]


@pytest.mark.parametrize(("named", "lines"), CHALLENGES)
def test_what_a_browser_is_told(named, lines):
    route = Router([Rule(path="/", passthrough=named)]).find("GET", b"", "/")
    head = RequestHead("GET", b"/", b"", (), {}, frozenset(), Peer("192.0.2.1"))
    assert passes(route.passthrough, head, HOSTS).lines == lines


def test_a_rule_that_passes_nothing_on():
    assert Router([Rule(path="/")]).find("GET", b"", "/").passthrough is None
