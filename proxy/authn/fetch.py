"""Small documents over HTTP: key sets, metadata, and what an introspection endpoint answers.

Thin I/O: what goes wrong is a `KeySetError`, which never quotes what was answered. Knows nothing of when to
fetch.
"""

from __future__ import annotations

import re
import socket
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from msgspec import Struct

from proxy.authn.egress import forbidden
from proxy.authn.keyset import MAX_BYTES, KeySet, KeySetError, read_key_set
from proxy.authn.resolver import Resolver, system_lookup

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import aiohttp
    from aiohttp.abc import AbstractResolver

    from proxy.authn.resolver import Lookup

_OK = 200
# Nothing is decompressed: what was limited is what is read.
_HEADERS = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})(?![0-9])", re.ASCII | re.IGNORECASE)


class Document(Struct, frozen=True):
    """What was answered, and for how many seconds it says to be fresh (RFC 9111 section 5.2.2.1)."""

    body: bytes
    max_age: float | None


class Fetched(Struct, frozen=True):
    """A key set, the text it was made of, and for how many seconds it says to be fresh."""

    keys: KeySet = KeySet()
    document: bytes = b""
    max_age: float | None = None


class _ForbiddenError(OSError):
    """An address that is not connected to, and why."""


class Web:
    """Gets small documents: no redirect, no cookie, no environment, 256 KiB at most.

    `ca` is a PEM bundle that takes the place of the system's trust store. `link_local` allows the addresses
    that `egress` else forbids. `lookup` is getaddrinfo. Time limits are the caller's: one spans requests.
    """

    def __init__(
        self, *, ca: Path | None = None, link_local: bool = False, lookup: Lookup = system_lookup
    ) -> None:
        self._ca = ca
        self._link_local = link_local
        self._lookup = lookup
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, *, insecure: bool) -> Document:
        """Get one document; plain http only from this machine, unless `insecure` allows it.

        Raises:
            KeySetError: the URL is not fetched, or nothing usable came.
        """
        return await self._document("GET", url, None, _HEADERS, insecure=insecure)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, insecure: bool) -> bytes:
        """Post a body, and get the document that answers it; as `get`."""
        return (await self._document("POST", url, body, headers, insecure=insecure)).body

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _document(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, insecure: bool
    ) -> Document:
        if not _is_safe(url) and not insecure:
            raise KeySetError("its URL is neither https nor http to this machine")
        import aiohttp  # noqa: PLC0415 - a third of the start-up time, which a key file need not wait for

        try:
            async with self._open().request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                if response.status != _OK:
                    raise KeySetError(f"the answer was {response.status}, not 200")
                # Any content type will do: key sets come as several, and a page is no JSON in any of them.
                fresh = _MAX_AGE.search(",".join(response.headers.getall("Cache-Control", ())))
                return Document(await _limited(response.content), float(fresh[1]) if fresh else None)
        except (aiohttp.ClientError, OSError) as error:
            raise KeySetError(_failure(error)) from None

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415 - as above

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=cast("AbstractResolver", Resolver(self._lookup)),
                    socket_factory=self._socket,
                    ssl=_trust(self._ca) if self._ca else True,
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    def _socket(self, where: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for a connection: the one place that every address comes by, looked up or not."""
        family, kind, protocol, _, address = where
        why = forbidden(str(address[0]), link_local=self._link_local)
        if why is not None:
            raise _ForbiddenError(why)
        return socket.socket(family, kind, protocol)


async def from_url(web: Web, url: str, *, insecure: bool) -> Fetched:
    """Fetch a key set; errors as `Web.get`."""
    document = await web.get(url, insecure=insecure)
    return Fetched(read_key_set(document.body), document.body, document.max_age)


async def _limited(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise KeySetError("the answer is larger than 256 KiB")
    return bytes(body)


def _trust(ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError:  # ssl's own errors are of this kind
        raise KeySetError(f"{ca}: no certificates can be read from it") from None


def _failure(error: Exception) -> str:
    # aiohttp wraps what the socket raised.
    if isinstance(error.__cause__, _ForbiddenError):
        return str(error.__cause__)
    # Foreign texts may quote what was answered.
    return f"the connection failed ({type(error).__name__})"


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
    except ValueError:  # "https://[": whoever wrote that is no issuer to fetch from
        return False


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
