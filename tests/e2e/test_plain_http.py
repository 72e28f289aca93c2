"""`python -m http.server`, which knows nothing of tokens, behind Keystile: the answers stay its own.

Each answer through the proxy is compared with the server's own answer to the same request.
"""

from __future__ import annotations

import http.client
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import fetch, file_server
from tests.support.service import agent_token, keystile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.programs import Answer
    from tests.support.service import Service

LARGE = 24 * 1024 * 1024
RULES = [
    {"name": "open", "path": "/public/**", "methods": ["GET"], "public": True},
    {"name": "files", "path": "/**", "scopes": ["files:read"]},
]
# They belong to one connection, or tell the time.
PER_HOP = {"connection", "date", "keep-alive", "transfer-encoding"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files")
    (root / "public").mkdir()
    (root / "public" / "notes.txt").write_text("for everybody\n")
    (root / "folder").mkdir()
    (root / "folder" / "page.html").write_text("<p>hello</p>\n")
    (root / "caf\u00e9 menu.txt").write_text("espresso\n")
    (root / "empty").touch()
    (root / "large.bin").write_bytes(os.urandom(LARGE))
    return root


@pytest.fixture(
    scope="module", params=["HTTP/1.0", "HTTP/1.1"], ids=["a server that closes", "a server that keeps alive"]
)
def server(
    request: pytest.FixtureRequest, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with file_server(files, tmp_path_factory.mktemp("server"), request.param) as url:
        yield url


@pytest.fixture(scope="module")
def service(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with keystile(tmp_path_factory.mktemp("keystile"), upstream=server, rules=RULES) as running:
        yield running


@pytest.fixture
def token() -> str:
    return agent_token(al_scopes=["files:read"])


def told(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = sorted((name, value) for name, value in answer.headers.items() if name.lower() not in PER_HOP)
    return answer.status, headers, answer.body


REQUESTS = [
    pytest.param("GET", "/folder/page.html", {}, 200, id="a page"),
    pytest.param("GET", "/caf%C3%A9%20menu.txt", {}, 200, id="a name with a space and an accent"),
    pytest.param("GET", "/empty", {}, 200, id="an empty file"),
    pytest.param("GET", "/folder/page.html?version=2&x=%2F", {}, 200, id="a query goes on as it came"),
    pytest.param("GET", "/", {}, 200, id="a listing"),
    pytest.param("GET", "/folder", {}, 301, id="a folder without its slash is redirected"),
    pytest.param("GET", "/nowhere", {}, 404, id="no such file"),
    pytest.param("HEAD", "/large.bin", {}, 200, id="HEAD tells the length of a large file"),
    pytest.param("HEAD", "/nowhere", {}, 404, id="HEAD of no file"),
    pytest.param("GET", "/large.bin", {}, 200, id="a large file"),
    pytest.param("GET", "/large.bin", {"Range": "bytes=0-99"}, 200, id="a range, which this server ignores"),
    pytest.param(
        "GET", "/empty", {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304, id="not modified since"
    ),
    pytest.param(
        "PUT", "/folder/page.html", {"Content-Length": "0"}, 501, id="a method that it does not know"
    ),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), REQUESTS)
def test_answers_are_the_servers_own(
    service: Service, server: str, token: str, *, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    through = fetch(f"{service.url}{path}", method, token=token, headers=headers)
    assert through.status == status
    assert told(through) == told(fetch(f"{server}{path}", method, headers=headers))


def test_the_large_file_is_whole_and_counted(service: Service, files: Path, token: str) -> None:
    answer = fetch(f"{service.url}/large.bin", token=token)
    assert answer.body == (files / "large.bin").read_bytes()
    line = service.access(path="/large.bin", method="GET")
    assert (line["bytes_out"], line["upstream_status"], line["agent_id"]) == (LARGE, 200, "acc_7f3k2m9x")


def test_one_connection_serves_many_requests(service: Service, token: str) -> None:
    address = service.url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=20)
    answered = []
    sockets = set()
    paths = ["/empty", "/nowhere", "/public/notes.txt", "/folder", "/large.bin", "/folder/page.html"]
    for method in ("GET", "HEAD"):
        for path in paths:
            connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
            sockets.add(id(connection.sock))
            answer = connection.getresponse()
            answer.read()
            answered.append(answer.status)
    connection.close()
    assert answered == [200, 404, 200, 301, 200, 200] * 2
    assert len(sockets) == 1


ALLOWED = [
    pytest.param("GET", "/public/notes.txt", None, 200, "open", "public", id="public, without a token"),
    pytest.param("HEAD", "/public/notes.txt", None, 200, "open", "public", id="public, HEAD goes with GET"),
    pytest.param(
        "POST", "/public/notes.txt", None, 401, "files", "credential_missing", id="public for GET alone"
    ),
    pytest.param("GET", "/folder/page.html", None, 401, "files", "credential_missing", id="no token"),
    pytest.param("GET", "/folder/page.html", ["other"], 403, "files", "scope_insufficient", id="no scope"),
    pytest.param("GET", "/public/../folder/page.html", None, 400, None, "path_ambiguous", id="a dot segment"),
    pytest.param(
        "GET", "/public/%2e%2e/folder/page.html", None, 400, None, "path_ambiguous", id="an encoded one"
    ),
]


@pytest.mark.parametrize(("method", "path", "scopes", "status", "rule", "reason"), ALLOWED)
def test_rules_decide_before_the_server_does(
    service: Service,
    *,
    method: str,
    path: str,
    scopes: list[str] | None,
    status: int,
    rule: str | None,
    reason: str,
) -> None:
    token = None if scopes is None else agent_token(al_scopes=scopes)
    assert (
        fetch(f"{service.url}{path}", method, token=token, headers={"Content-Length": "0"}).status == status
    )
    line = service.access(method=method, path=path, status=status)
    assert (line.get("rule"), line["reason"]) == (rule, reason)
