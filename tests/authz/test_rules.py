from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.authz import Router
from proxy.authz.paths import folded
from proxy.config import Rule
from proxy.model import Deny, Reason
from tests.support.globs import matches

RULES = [
    Rule(name="health", path="/healthz", public=True, any_host=True),
    Rule(name="admin", path=["/admin/**", "/root"], scopes=["admin"]),
    Rule(name="read", path="/api/**", methods=["GET"], scopes=["read"]),
    Rule(name="write", path="/api/**", methods=["POST", "PUT"], scopes=["write"]),
    Rule(name="tenant", path="/t/**", host="tenant.example.com", scopes=["tenant"]),
    Rule(name="port", path="/t/**", host="other.example.com:8443", scopes=["port"]),
    Rule(name="users", path="/Users/*", scopes=["users"]),
    Rule(name="v1", path="/v1.0/*", scopes=["v1"]),
    Rule(name="cafe", path="/café", scopes=["cafe"]),
    Rule(name="files", path="/files/**", scopes=["files"]),
    Rule(name="later", path="/api/**", scopes=["later"]),
]

AMBIGUOUS = "ambiguous"

FOUND = [
    pytest.param("GET", "/healthz", "health", id="a literal path"),
    pytest.param("GET", "/healthz/", "health", id="a trailing slash makes no difference"),
    pytest.param("GET", "/healthz/x", None, id="a literal path has nothing below"),
    pytest.param("GET", "/", None, id="nothing matches the root"),
    pytest.param("GET", "/admin", "admin", id="the path above **"),
    pytest.param("GET", "/admin/", "admin", id="the path above ** with its slash"),
    pytest.param("DELETE", "/admin/a/b", "admin", id="a path below ** with any method"),
    pytest.param("GET", "/root", "admin", id="the second of two paths"),
    pytest.param("GET", "/api/x", "read", id="a method that the rule names"),
    pytest.param("HEAD", "/api/x", "read", id="GET covers HEAD"),
    pytest.param("PUT", "/api/x", "write", id="the second rule for another method"),
    pytest.param("OPTIONS", "/api/x", "later", id="a method that only a later rule takes"),
    pytest.param("get", "/api/x", "later", id="methods are case-sensitive"),
    pytest.param("GET", "/files/a/b.txt", "files", id="files"),
    pytest.param("GET", "/files/B.TXT", "files", id="case where the same rule decides"),
    pytest.param("GET", "/files/x..", "files", id="final dots where the same rule decides"),
    pytest.param("GET", "/files/a;b", "files", id="a path parameter where the same rule decides"),
    pytest.param("GET", "/files/cafe\u0301", "files", id="decomposed letters where the same rule decides"),
    pytest.param("GET", "/Admin", AMBIGUOUS, id="another case of a rule's path"),
    pytest.param("GET", "/ADMIN/x", AMBIGUOUS, id="another case of a path below a rule's"),
    pytest.param("GET", "/admin.", AMBIGUOUS, id="a final dot"),
    pytest.param("GET", "/admin /x", AMBIGUOUS, id="a final space"),
    pytest.param("GET", "/admin;x/y", AMBIGUOUS, id="a path parameter"),
    pytest.param("GET", "/adm\u0131n", None, id="the dotless i is no i"),
    pytest.param("GET", "/ad\u00admin", AMBIGUOUS, id="a soft hyphen"),
    pytest.param("GET", "/\uff41dmin", AMBIGUOUS, id="a fullwidth letter"),
    pytest.param("POST", "/API/x", AMBIGUOUS, id="another case, by the method's rule"),
    pytest.param("GET", "/Users/1", "users", id="upper case that the rule itself has"),
    pytest.param("GET", "/users/1", AMBIGUOUS, id="lower case of an upper-case rule"),
    pytest.param("GET", "/v1.0/x", "v1", id="a dot inside a name"),
    pytest.param("GET", "/café", "cafe", id="a rule beyond ASCII"),
    pytest.param("GET", "/cafe\u0301", AMBIGUOUS, id="another Unicode form of a rule's path"),
    pytest.param("GET", "/nothing", None, id="no rule"),
]

HOSTS = [
    pytest.param(b"tenant.example.com", "tenant", id="the host that the rule names"),
    pytest.param(b"Tenant.EXAMPLE.com", "tenant", id="in another case"),
    pytest.param(b"tenant.example.com:8443", "tenant", id="with a port"),
    pytest.param(b"other.example.com:8443", "port", id="the port that the rule names"),
    pytest.param(b"other.example.com:8444", None, id="another port"),
    pytest.param(b"other.example.com", None, id="no port where the rule names one"),
    pytest.param(b"x.tenant.example.com", None, id="a host below"),
    pytest.param(b"tenant.example.com.", None, id="a final dot"),
    pytest.param(b"tenant.example.com@x", None, id="userinfo"),
    pytest.param(b"\xff", None, id="no ASCII"),
    pytest.param(b"", None, id="no host"),
]


def name_of(found):
    if isinstance(found, Deny):
        assert found.reason is Reason.PATH_AMBIGUOUS
        return AMBIGUOUS
    return found and found.name


@pytest.mark.parametrize(("method", "path", "name"), FOUND)
def test_the_first_match_decides(method, path, name):
    router = Router(RULES)
    first, again = router.find(method, b"h", path), router.find(method, b"h", path)
    assert name_of(first) == name
    assert again is first


@pytest.mark.parametrize(("host", "name"), HOSTS)
def test_host_selects(host, name):
    assert name_of(Router(RULES).find("GET", host, "/t/x")) == name


def test_nothing_found_for_one_request_is_remembered_for_another():
    router = Router(RULES)
    for case in FOUND + FOUND:
        method, path, name = case.values
        assert name_of(router.find(method, b"h", path)) == name
    for case in HOSTS + HOSTS:
        host, name = case.values
        assert name_of(router.find("GET", host, "/t/x")) == name


def test_a_route_says_what_its_rule_asks_for():
    rule = Rule(
        name="all",
        path="/all",
        scopes=["a", "b"],
        any_scopes=["b", "c"],
        claims={"level": "high"},
        issuers=["https://issuer.example"],
    )
    route = Router([rule]).find("GET", b"", "/all")
    assert (route.name, route.public, route.any_host) == ("all", False, False)
    assert (route.scopes, route.choices, route.required) == (("a", "b"), (("b", "c"),), ("a", "b"))
    assert [name for name, _ in route.claims] == ["level"]
    assert route.issuers == {"https://issuer.example"}


def test_random_requests_do_not_fill_the_memory():
    router = Router([Rule(path="/**", public=True)])
    for number in range(10_000):
        router.find("GET", b"h", f"/{number}")
        router.find("GET", b"%d" % number, "/")
    assert len(router._memo) <= 4096
    before = len(router._memo)
    for long in (("GET", b"h", "/" + 600 * "a"), ("GET", 600 * b"h", "/"), (600 * "A", b"h", "/")):
        assert router.find(*long).name == "/**"
    assert len(router._memo) == before


def slow(rules, method, path):
    """The obvious, slow way."""
    wanted = {method, "GET"} if method == "HEAD" else {method}
    for rule in rules:
        chosen = not rule.methods or not wanted.isdisjoint(rule.methods)
        if chosen and any(matches(pattern, path) for pattern in rule.path):
            return rule
    return None


WORDS = st.sampled_from(["a", "A", "b", "ab", "aB", "a.", "b;x", "\u212a", "k", "é", "e\u0301"])
PATHS = st.lists(WORDS, min_size=1, max_size=3).map(lambda words: "/" + "/".join(words))
SHAPES = st.lists(WORDS | st.sampled_from(["*", "a*", "**"]), min_size=1, max_size=3)
PATTERNS = SHAPES.map(lambda words: "/" + "/".join(words))
RANDOM_RULES = st.lists(
    st.builds(
        lambda path, methods: Rule(path=path, methods=methods, scopes=["s"]),
        PATTERNS,
        st.sampled_from([(), ("GET",), ("POST",)]),
    ),
    max_size=5,
)


@given(RANDOM_RULES, st.sampled_from(["GET", "HEAD", "POST"]), PATHS)
@settings(deadline=None, max_examples=200)
def test_as_the_slow_way_says(rules, method, path):
    found = Router(rules).find(method, b"", path)
    if not isinstance(found, Deny):
        expected = slow(rules, method, path)
        assert name_of(found) == (expected and expected.name)


@given(RANDOM_RULES, st.sampled_from(["GET", "HEAD", "POST"]), PATHS)
@settings(deadline=None, max_examples=100)
def test_a_path_and_rules_that_every_server_reads_alike_are_never_ambiguous(rules, method, path):
    plain = [rule.model_copy(update={"path": tuple(map(folded, rule.path))}) for rule in rules]
    found = Router(plain).find(method, b"", folded(path))
    expected = slow(plain, method, folded(path))
    assert name_of(found) == (expected and expected.name)


@given(RANDOM_RULES, st.lists(PATHS, min_size=2, max_size=4))
@settings(deadline=None, max_examples=200)
def test_all_spellings_that_pass_meet_one_rule(rules, paths):
    router = Router(rules)
    met: dict[str, set[object]] = {}
    for path in paths:
        for spelling in (path, path.upper(), path.lower(), path + ".", path + ";x", path + "/"):
            found = router.find("GET", b"", spelling)
            if not isinstance(found, Deny):
                met.setdefault(folded(spelling).rstrip("/"), set()).add(id(found))
    assert all(len(routes) == 1 for routes in met.values())
