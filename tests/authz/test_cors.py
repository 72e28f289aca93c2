"""Requests of pages: which are refused, what a preflight gets, which answers a page may read."""

from __future__ import annotations

import pytest

from proxy.authz import NAMES, Hosts, Pages, Router, requested
from proxy.config import Config
from proxy.model import Peer, Reason, RequestHead

OWN, APP, OTHER = b"https://mcp.example.com", b"https://app.example.com", b"https://evil.example"
RULES = [
    {"path": "/mcp", "methods": ["POST", "DELETE"], "mcp": True},
    {"path": "/mcp", "methods": ["GET"], "public": True},
    {"path": "/named", "mcp": True, "origins": [APP.decode()]},
    {"path": "/api", "methods": ["GET", "PUT"]},
    {"path": "/open", "origins": [APP.decode()]},
    {"path": "/shut", "mcp": True, "cors": False},
    {"path": "/shared", "cors": True},
    {"path": "/Deep/**", "mcp": True},
    {"path": "/**", "methods": ["GET", "OPTIONS"]},
]


class Proxy:
    """What of a proxy decides over pages."""

    def __init__(self, *, listen="0.0.0.0:8080", **settings):
        config = Config.model_validate(
            {
                "listen": listen,
                "upstream": "http://127.0.0.1:8000",
                "resource": "https://mcp.example.com/mcp",
                "rules": RULES,
                **settings,
            }
        )
        self.pages = Pages(config, Hosts(config))
        self._router = Router(config.rules)

    def route(self, method, path):
        return self._router.find(method, b"", path)


def head(method, *lines):
    fields = {}
    for name, value in lines:
        fields[name] = fields[name] + b", " + value if name in fields else value
    names = [name for name, _ in lines]
    repeated = frozenset(name for name in names if names.count(name) > 1)
    return RequestHead(method, b"/", b"", lines, fields, repeated, Peer("192.0.2.7"))


def of_page(method, *origins):
    return head(method, *((b"origin", origin) for origin in origins))


APPS = [APP.decode()]

PAGES = [
    pytest.param({}, "POST", "/mcp", [], False, id="no page"),
    pytest.param({}, "POST", "/mcp", [OWN], False, id="a page of the allowed host"),
    pytest.param({}, "POST", "/mcp", [b"http://mcp.example.com:8080"], False, id="of any port of it"),
    pytest.param({}, "POST", "/mcp", [APP], True, id="a page of another host"),
    pytest.param({}, "POST", "/mcp", [b"null"], True, id="null"),
    pytest.param({}, "POST", "/mcp", [b""], True, id="an empty Origin"),
    pytest.param({}, "POST", "/mcp", [OWN, OWN], True, id="two Origins, though both are allowed"),
    pytest.param({}, "POST", "/mcp", [OWN + b", " + OWN], True, id="two in one line"),
    pytest.param(
        {}, "POST", "/mcp", [OWN + b"." + OTHER[8:]], True, id="a host that begins like an allowed one"
    ),
    pytest.param({}, "DELETE", "/mcp", [OTHER], True, id="any method of a rule with mcp"),
    pytest.param({}, "GET", "/mcp", [OTHER], True, id="another rule on its path"),
    pytest.param({}, "GET", "/mcp/", [OTHER], True, id="with a slash"),
    pytest.param({}, "GET", "/mcp/x", [OTHER], True, id="a path below"),
    pytest.param(
        {}, "POST", "/mcp", [b"http://localhost:3000"], True, id="this machine, where others can connect"
    ),
    pytest.param({}, "GET", "/api", [OTHER], False, id="a rule without mcp"),
    pytest.param({}, "GET", "/open", [OTHER], True, id="a rule that names origins"),
    pytest.param({}, "GET", "/open", [APP], False, id="the origin that it names"),
    pytest.param({}, "GET", "/open", [OWN], True, id="names take the place of the allowed hosts"),
    pytest.param({}, "POST", "/named", [APP], False, id="the origin that a rule with mcp names"),
    pytest.param({}, "POST", "/named", [b"http://app.example.com"], True, id="another scheme of it"),
    pytest.param({}, "POST", "/named", [b"https://app.example.com:8443"], True, id="another port of it"),
    pytest.param({}, "POST", "/named", [OWN], True, id="the allowed host, which it does not name"),
    pytest.param({"origins": APPS}, "GET", "/api", [OTHER], True, id="origins for every rule"),
    pytest.param({"origins": APPS}, "GET", "/api", [APP], False, id="and those named"),
    pytest.param({"origins": APPS}, "POST", "/mcp", [APP], False, id="on rules with mcp too"),
    pytest.param({"origins": APPS}, "POST", "/mcp", [OWN], True, id="where the allowed hosts count no more"),
    pytest.param({"origins": APPS}, "GET", "/api", [], False, id="and requests of no page"),
    pytest.param(
        {"origins": ["https://x.example"]}, "GET", "/open", [APP], False, id="a rule's own come first"
    ),
    pytest.param(
        {"origins": ["https://x.example"]}, "GET", "/open", [b"https://x.example"], True, id="and alone"
    ),
    pytest.param(
        {"listen": "127.0.0.1:8080"},
        "POST",
        "/mcp",
        [b"http://localhost:3000"],
        False,
        id="this machine alone",
    ),
    pytest.param({"listen": "127.0.0.1:8080"}, "POST", "/mcp", [OTHER], True, id="and no other"),
    pytest.param(
        {"origins": ["vscode-webview://x"]},
        "GET",
        "/api",
        [b"vscode-webview://x"],
        False,
        id="another scheme",
    ),
]


@pytest.mark.parametrize(("settings", "method", "path", "origins", "refused"), PAGES)
def test_whose_requests_are_refused(settings, method, path, origins, refused):
    proxy = Proxy(**settings)
    deny = proxy.pages.refused(proxy.route(method, path), of_page(method, *origins))
    assert (deny is not None) == refused
    assert deny is None or deny.reason is Reason.ORIGIN_REFUSED


ON_MCP_PATH = [
    pytest.param("POST", "/mcp", True, id="a rule with mcp"),
    pytest.param("GET", "/mcp", True, id="another rule on its path"),
    pytest.param("OPTIONS", "/mcp", True, id="the last rule on its path"),
    pytest.param("GET", "/api", False, id="a path without mcp"),
    pytest.param("GET", "/mcpx", False, id="a path that begins so"),
    pytest.param("PUT", "/Deep/x", True, id="below a rule with mcp"),
    pytest.param("POST", "/deep/x", None, id="no rule for the method, but for case"),
]


@pytest.mark.parametrize(("method", "path", "on_mcp_path"), ON_MCP_PATH)
def test_a_path_that_any_rule_serves_mcp_on(method, path, on_mcp_path):
    route = Proxy().route(method, path)
    assert getattr(route, "on_mcp_path", None) == on_mcp_path


def test_a_path_that_serves_mcp_only_where_case_is_ignored():
    rules = [{"path": "/Deep", "methods": ["POST"], "mcp": True}, {"path": "/**", "methods": ["GET"]}]
    assert Proxy(rules=rules).route("GET", "/deep").on_mcp_path


MOUNTED = [
    pytest.param("POST", "/mcp/x", True, id="a rule for everything, below a path that serves MCP"),
    pytest.param("POST", "/mcp/deep/x", True, id="deep below it"),
    pytest.param("POST", "/MCP/x", True, id="below it where case is ignored"),
    pytest.param("POST", "/mcp/upload/x", False, id="a rule for a path below it"),
    pytest.param("POST", "/mcpx", False, id="a path that begins so"),
    pytest.param("POST", "/", False, id="the root"),
    pytest.param("POST", "/both/x", True, id="a rule that names other paths, too"),
]


@pytest.mark.parametrize(("method", "path", "on_mcp_path"), MOUNTED)
def test_a_path_below_one_that_serves_mcp(method, path, on_mcp_path):
    rules = [
        {"path": "/mcp", "mcp": True},
        {"path": "/both", "mcp": True},
        {"path": "/mcp/upload/**"},
        {"path": ["/both/x", "/b*/x"]},
        {"path": "/**"},
    ]
    assert Proxy(rules=rules).route(method, path).on_mcp_path == on_mcp_path


MCP_HEADERS = b"authorization,content-type,last-event-id,mcp-method,mcp-name,mcp-param-x,mcp-protocol-version,mcp-session-id"


def preflight(method, asks=b"POST", origin=APP, headers=MCP_HEADERS):
    lines = [(b"origin", origin), (b"access-control-request-method", asks)]
    if headers is not None:
        lines.append((b"access-control-request-headers", headers))
    return head(method, *((name, value) for name, value in lines if value is not None))


def answered(proxy, request, path="/mcp"):
    """As the gate asks."""
    method = requested(request)
    route = None if method is None else proxy.route(method, path)
    return None if route is None else proxy.pages.preflight(route, request)


def test_a_preflight_is_answered():
    assert answered(Proxy(cors=True, origins=APPS), preflight("OPTIONS")) == (
        b"Access-Control-Allow-Origin: https://app.example.com\r\n"
        b"Access-Control-Allow-Methods: POST\r\n"
        b"Access-Control-Allow-Headers: " + MCP_HEADERS + b"\r\n"
        b"Access-Control-Max-Age: 600\r\n"
        b"Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"
    )


PREFLIGHTS = [
    pytest.param(preflight("OPTIONS"), "/mcp", True, id="a preflight for POST"),
    pytest.param(preflight("OPTIONS", b"DELETE"), "/mcp", True, id="for DELETE"),
    pytest.param(preflight("OPTIONS", b"GET"), "/mcp", True, id="for what another rule takes"),
    pytest.param(preflight("OPTIONS", b"PUT"), "/api", True, id="on a rule without mcp"),
    pytest.param(preflight("OPTIONS", headers=None), "/mcp", True, id="no headers"),
    pytest.param(preflight("OPTIONS", b"PATCH"), "/api", False, id="a method that no rule takes"),
    pytest.param(preflight("OPTIONS", origin=OTHER), "/mcp", False, id="another origin"),
    pytest.param(preflight("OPTIONS", origin=b"null"), "/mcp", False, id="null"),
    pytest.param(preflight("OPTIONS", origin=None), "/mcp", False, id="no origin"),
    pytest.param(preflight("OPTIONS", None), "/mcp", False, id="no method asked about"),
    pytest.param(preflight("OPTIONS", b""), "/mcp", False, id="an empty one"),
    pytest.param(preflight("OPTIONS", b"POST, GET"), "/mcp", False, id="two of them"),
    pytest.param(preflight("GET"), "/mcp", False, id="no OPTIONS"),
    pytest.param(preflight("POST"), "/mcp", False, id="POST"),
    pytest.param(preflight("OPTIONS"), "/shut", False, id="a rule without cors"),
]


@pytest.mark.parametrize(("request_head", "path", "answers"), PREFLIGHTS)
def test_which_preflights_are_answered(request_head, path, answers):
    lines = answered(Proxy(cors=True, origins=APPS), request_head, path)
    assert (lines is not None) == answers


@pytest.mark.parametrize("path", ["/mcp", "/named", "/api"])
def test_without_cors_none_is(path):
    assert answered(Proxy(origins=APPS), preflight("OPTIONS"), path) is None


def test_two_origins_are_none():
    request = head("OPTIONS", (b"origin", APP), (b"origin", APP), (b"access-control-request-method", b"POST"))
    assert answered(Proxy(cors=True, origins=APPS), request) is None


HEADERS = [
    pytest.param(b"content-type", True, id="one"),
    pytest.param(b"a, b ,\tc", True, id="spaces around commas"),
    pytest.param(b"a" * 4096, True, id="of 4096 bytes"),
    pytest.param(b"a" * 4097, False, id="longer"),
    pytest.param(b"", False, id="nothing"),
    pytest.param(b"a,", False, id="an empty name at the end"),
    pytest.param(b"a b", False, id="no comma"),
    pytest.param(b"a\r\nX: y", False, id="a line break"),
    pytest.param(b"a:b", False, id="a colon"),
    pytest.param(b"caf\xc3\xa9", False, id="no ASCII"),
]


@pytest.mark.parametrize(("headers", "allowed"), HEADERS)
def test_the_headers_that_a_page_asks_for(headers, allowed):
    lines = answered(Proxy(cors=True, origins=APPS), preflight("OPTIONS", headers=headers))
    named = b"Access-Control-Allow-Headers: " + headers + b"\r\n"
    assert (named in lines) == allowed
    assert (b"Allow-Headers" in lines) == allowed


SHARED = [
    pytest.param({"cors": True, "origins": APPS}, "POST", "/mcp", [APP], True, id="an allowed origin"),
    pytest.param({"cors": True}, "POST", "/mcp", [OWN], True, id="an allowed host"),
    pytest.param({"cors": True, "origins": APPS}, "GET", "/api", [APP], True, id="a rule without mcp"),
    pytest.param({}, "GET", "/shared", [OWN], True, id="a rule that has cors itself"),
    pytest.param({"origins": APPS}, "POST", "/mcp", [APP], False, id="no cors"),
    pytest.param({"cors": True}, "POST", "/shut", [OWN], False, id="a rule that has it not"),
    pytest.param({"cors": True, "origins": APPS}, "POST", "/mcp", [], False, id="no page"),
    pytest.param({"cors": True, "origins": APPS}, "POST", "/mcp", [OTHER], False, id="another origin"),
    pytest.param({"cors": True, "origins": APPS}, "POST", "/mcp", [b"null"], False, id="null"),
    pytest.param({"cors": True, "origins": APPS}, "POST", "/mcp", [APP, APP], False, id="two origins"),
    pytest.param({"cors": True}, "GET", "/api", [OTHER], False, id="a foreign one that is not refused"),
]


@pytest.mark.parametrize(("settings", "method", "path", "origins", "readable"), SHARED)
def test_which_answers_a_page_may_read(settings, method, path, origins, readable):
    proxy = Proxy(**settings)
    lines = proxy.pages.shared(proxy.route(method, path), of_page(method, *origins))
    expected = (
        b"Access-Control-Allow-Origin: %b\r\n"
        b"Access-Control-Expose-Headers: Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After,"
        b" DPoP-Nonce, RateLimit, RateLimit-Policy, X-Request-Id\r\n"
        b"Vary: Origin\r\n"
    )
    assert lines == (expected % origins[0] if readable else b"")


SPEAKING = [
    pytest.param({}, "/mcp", False, id="by default"),
    pytest.param({"cors": True}, "/mcp", True, id="everywhere"),
    pytest.param({"cors": True}, "/shut", False, id="but where a rule says no"),
    pytest.param({}, "/shared", True, id="where a rule says so"),
]


@pytest.mark.parametrize(("settings", "path", "speaks"), SPEAKING)
def test_who_tells_browsers(settings, path, speaks):
    proxy = Proxy(**settings)
    assert proxy.pages.speaks(proxy.route("POST", path)) == speaks


def test_what_an_upstream_says_itself_is_known_by_name():
    assert {b"access-control-allow-origin", b"access-control-allow-credentials"} < NAMES
    assert all(name == name.lower() for name in NAMES)


def test_what_is_no_preflight_gets_no_answer_of_one():
    proxy = Proxy(cors=True)
    assert proxy.pages.preflight(proxy.route("POST", "/mcp"), head("OPTIONS")) is None
    assert proxy.pages.preflight(proxy.route("POST", "/mcp"), of_page("POST", OWN)) is None
