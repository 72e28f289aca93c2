"""Where it listens and where the upstream is: TCP, unix sockets, TLS; and what each says of the client."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.harness import keystile
from tests.support.upstream import plain, upstream
from tests.wire.exchanges.table import get, ok

if TYPE_CHECKING:
    from pathlib import Path

_NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "upstream")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - dt.timedelta(days=1))
        .not_valid_after(_NOW + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "upstream.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def _serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_an_upstream_over_https(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    body = bytes(300_000)
    async with (
        upstream([plain(), plain(body), plain()], tls=_serving(certificate)) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        for expected in (b"ok", body, b"ok"):
            await client.write(get("/"))
            assert (await client.response()).content == expected
    assert len(server.connections) == 1
    assert [request.value(b"host") for request in server.requests] == [server.authority] * 3


async def test_an_upstream_that_is_not_who_it_should_be(certificate: Path, tmp_path: Path) -> None:
    async with (
        upstream(tls=_serving(certificate)) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/"))
        assert (await client.response()).status == 502
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(502, "upstream_unreachable")]
    assert server.requests == []


async def test_an_upstream_on_a_unix_socket(tmp_path: Path) -> None:
    async with (
        upstream(path=tmp_path / "upstream.sock") as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/a"))
        assert (await client.response()).content == b"/a"
    assert [request.value(b"host") for request in server.requests] == [b"localhost"]


async def test_an_upstream_on_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    async with keystile(tmp_path, f"unix:{tmp_path / 'nobody.sock'}") as proxy, proxy.client() as client:
        await client.write(get("/"))
        assert (await client.response()).status == 502
        lines = await proxy.lines()
    assert [line["reason"] for line in lines] == ["upstream_unreachable"]


async def test_listening_on_a_unix_socket(tmp_path: Path) -> None:
    listening = tmp_path / "keystile.sock"
    async with upstream() as server:
        for _ in range(2):  # a socket that was left behind is no hindrance
            async with (
                keystile(tmp_path, server.url, listen=f"unix:{listening}") as proxy,
                proxy.client() as client,
            ):
                assert proxy.address == str(listening)
                await client.write(get("/a"))
                assert (await client.response()).content == b"/a"
                lines = await proxy.lines()
            assert {line["client"] for line in lines} == {"unix"}


async def test_the_clients_own_host_may_be_kept(tmp_path: Path) -> None:
    answer = ok(b"", "Location: http://{upstream}/a")
    async with (
        upstream([(answer,)]) as server,
        keystile(tmp_path, server.url, upstream={"host": "preserve"}) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/"))
        assert (await client.response()).value(b"location") == b"https://edge.test/a"
    assert [request.value(b"host") for request in server.requests] == [b"edge.test"]


async def test_a_location_without_a_resource_names_the_host_that_was_asked(tmp_path: Path) -> None:
    settings = {
        "resource": None,
        "hosts": ["edge.test"],
        "issuers": [],
        "rules": [{"path": "/**", "public": True}],
    }
    async with (
        upstream([(ok(b"", "Location: http://{upstream}/a"),)]) as server,
        keystile(tmp_path, server.url, **settings) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/"))
        assert (await client.response()).value(b"location") == b"http://edge.test/a"
