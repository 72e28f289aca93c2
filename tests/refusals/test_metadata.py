from __future__ import annotations

import json

import pytest

from proxy.config import Config
from proxy.refusals import Metadata
from proxy.refusals.metadata import location

WELL_KNOWN = "/.well-known/oauth-protected-resource"

LOCATIONS = [
    pytest.param("https://h", "https://h" + WELL_KNOWN, id="no path"),
    pytest.param("https://h/", "https://h" + WELL_KNOWN, id="the slash behind the host goes"),
    pytest.param("https://h/mcp", f"https://h{WELL_KNOWN}/mcp", id="a path"),
    pytest.param("https://h/public/mcp", f"https://h{WELL_KNOWN}/public/mcp", id="a longer path"),
    pytest.param("https://h/mcp/", f"https://h{WELL_KNOWN}/mcp/", id="the slash behind the path stays"),
    pytest.param("https://h:8443/mcp", f"https://h:8443{WELL_KNOWN}/mcp", id="a port"),
    pytest.param("http://127.0.0.1:8080", "http://127.0.0.1:8080" + WELL_KNOWN, id="http, as configured"),
]


@pytest.mark.parametrize(("resource", "url"), LOCATIONS)
def test_location(resource, url):
    assert location(resource) == url


def metadata(
    resource="https://mcp.example.com/public/mcp",
    issuers=("https://one.example", "https://two.example"),
    modes=("off", "off"),
    proofs=(),
    key_set=None,
):
    trusted = [
        {"issuer": issuer, "audience": "https://mcp.example.com", "dpop": {"mode": mode}}
        for issuer, mode in zip(issuers, modes, strict=False)
    ]
    return Metadata(
        Config.model_validate(
            {
                "upstream": "http://127.0.0.1:8000",
                "resource": resource,
                "issuers": trusted,
                "rules": [
                    {"path": "/healthz", "public": True},
                    {"path": "/a", "scopes": ["read", "offline_access"]},
                    {"path": "/b", "scopes": ["write"], "any_scopes": ["read", "admin"]},
                    {"path": "/open", "mcp": True},
                    {
                        "path": "/mcp",
                        "mcp": [
                            {"tool": "a", "scopes": ["read", "call"]},
                            {"tool": "b", "any_scopes": ["b1", "b2"]},
                        ],
                    },
                ],
            }
        ),
        proofs,
        key_set,
    )


FOUND = [
    pytest.param(WELL_KNOWN, True, id="at the root"),
    pytest.param(WELL_KNOWN + "/", True, id="at the root with a slash"),
    pytest.param(WELL_KNOWN + "/public/mcp", True, id="at the resource's path"),
    pytest.param(WELL_KNOWN + "/public/mcp/", True, id="at the resource's path with a slash"),
    pytest.param(WELL_KNOWN + "/public", False, id="above the resource's path"),
    pytest.param(WELL_KNOWN + "/public/mcp/x", False, id="below the resource's path"),
    pytest.param(WELL_KNOWN + "x", False, id="another name"),
    pytest.param("/public/mcp" + WELL_KNOWN, False, id="appended"),
    pytest.param(WELL_KNOWN.upper(), False, id="another case"),
    pytest.param("/public/mcp", False, id="the resource itself"),
    pytest.param("/", False, id="the root path"),
]


@pytest.mark.parametrize(("path", "found"), FOUND)
def test_where_it_is(path, found):
    assert (metadata().find("GET", path) is not None) is found


def test_document():
    status, lines, body = metadata().find("GET", WELL_KNOWN)
    assert status == 200
    assert lines == (
        b"Content-Type: application/json\r\nCache-Control: public, max-age=3600\r\nAccess-Control-Allow-Origin: *\r\n"
    )
    assert json.loads(body) == {
        "resource": "https://mcp.example.com/public/mcp",
        "authorization_servers": ["https://one.example", "https://two.example"],
        "scopes_supported": ["read", "write", "admin", "call", "b1", "b2"],
        "bearer_methods_supported": ["header"],
    }


def test_empty_lists_are_left_out():
    _, _, body = metadata(issuers=()).find("GET", WELL_KNOWN)
    assert "authorization_servers" not in json.loads(body)


PROOFS = ("ES256", "EdDSA")

DPOP = [
    pytest.param(("off", "off"), (), None, None, id="nobody's tokens"),
    pytest.param(
        ("optional", "off"), PROOFS, ["ES256", "EdDSA"], None, id="one issuer's tokens may be bound"
    ),
    pytest.param(
        ("required", "off"), PROOFS, ["ES256", "EdDSA"], None, id="one issuer's tokens must be bound"
    ),
    pytest.param(("required", "required"), PROOFS, ["ES256", "EdDSA"], True, id="all tokens must be bound"),
]


@pytest.mark.parametrize(("modes", "proofs", "algorithms", "required"), DPOP)
def test_dpop(modes, proofs, algorithms, required):
    document = json.loads(metadata(modes=modes, proofs=proofs).find("GET", WELL_KNOWN)[2])
    assert document.get("dpop_signing_alg_values_supported") == algorithms
    assert document.get("dpop_bound_access_tokens_required") is required


METHODS = [
    pytest.param(
        "HEAD",
        200,
        b"Content-Type: application/json\r\n",
        id="HEAD, whose body the wire drops",
    ),
    pytest.param(
        "OPTIONS", 200, b"Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n", id="a browser's preflight"
    ),
    pytest.param("POST", 405, b"Allow: GET, HEAD, OPTIONS\r\n", id="POST"),
    pytest.param("DELETE", 405, b"Allow: GET, HEAD, OPTIONS\r\n", id="DELETE"),
    pytest.param("get", 405, b"Allow: GET, HEAD, OPTIONS\r\n", id="methods are case-sensitive"),
]


@pytest.mark.parametrize(("method", "status", "line"), METHODS)
def test_methods(method, status, line):
    answered, lines, body = metadata().find(method, WELL_KNOWN)
    assert answered == status
    assert line in lines
    assert b"Access-Control-Allow-Origin: *\r\n" in lines
    assert bool(body) is (method == "HEAD")


KEYS = "/.well-known/keystile/jwks.json"
KEY_SET = b'{"keys":[]}'

KEY_SET_FOUND = [
    pytest.param(KEYS, True, id="at its place"),
    pytest.param(KEYS + "/", True, id="with a slash"),
    pytest.param("/.well-known/keystile", False, id="above"),
    pytest.param("/.well-known/keystile/jwks.json/x", False, id="below"),
    pytest.param("/.well-known/keystile/JWKS.json", False, id="in another case"),
    pytest.param("/public/mcp" + KEYS, False, id="below the resource"),
]


@pytest.mark.parametrize(("path", "found"), KEY_SET_FOUND)
@pytest.mark.parametrize("resource", ["https://mcp.example.com/public/mcp", None])
def test_where_the_key_set_is(resource, path, found):
    answer = metadata(resource=resource, key_set=KEY_SET).find("GET", path)
    assert (answer is not None) is found
    assert answer is None or answer == (
        200,
        b"Content-Type: application/jwk-set+json\r\nCache-Control: public, max-age=300\r\nAccess-Control-Allow-Origin: *\r\n",
        KEY_SET,
    )


@pytest.mark.parametrize(("method", "status", "_line"), METHODS)
def test_methods_of_the_key_set(method, status, _line):
    assert metadata(key_set=KEY_SET).find(method, KEYS)[0] == status


def test_no_key_set_without_assertions():
    assert metadata().find("GET", KEYS) is None


def test_the_key_set_leaves_the_metadata_where_it_is():
    assert metadata(key_set=KEY_SET).find("GET", WELL_KNOWN) == metadata().find("GET", WELL_KNOWN)


def test_none_without_a_resource():
    assert metadata(resource=None).find("GET", WELL_KNOWN) is None


def test_a_resource_at_the_root():
    served = metadata(resource="https://mcp.example.com")
    assert served.find("GET", WELL_KNOWN)[0] == 200
    assert served.find("GET", WELL_KNOWN + "/mcp") is None


def test_a_resource_path_that_ends_in_a_slash():
    served = metadata(resource="https://h/mcp/")
    assert served.find("GET", WELL_KNOWN + "/mcp/")[0] == 200
    assert served.find("GET", WELL_KNOWN + "/mcp")[0] == 200


def test_an_encoded_resource_path():
    assert metadata(resource="https://h/caf%C3%A9").find("GET", WELL_KNOWN + "/café")[0] == 200
