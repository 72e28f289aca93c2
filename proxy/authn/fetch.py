"""Where key sets come from: a URL, an issuer's metadata (RFC 8414, OpenID Connect Discovery), a file.

Thin I/O: gets a document and hands it to `keyset`; what goes wrong is a `KeySetError`, which never quotes
what was answered. Knows nothing of when to fetch.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from proxy.authn.compact import json_object
from proxy.authn.keyset import MAX_BYTES, KeySet, KeySetError, read_key_set

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

_OK = 200
# Nothing is decompressed: what was limited is what is read.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


class Web:
    """Gets small documents over HTTP: no redirect, no cookie, no environment, 256 KiB at most."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, *, insecure: bool) -> bytes:
        """Get one document; plain http only from this machine, unless `insecure` allows it."""
        if not _is_safe(url) and not insecure:
            raise KeySetError("its URL is neither https nor http to this machine")
        import aiohttp  # noqa: PLC0415 - a third of the start-up time, which a key file need not wait for

        try:
            async with self._open().get(url, headers=_HEADERS, allow_redirects=False) as response:
                if response.status != _OK:
                    raise KeySetError(f"the answer was {response.status}, not 200")
                return await _limited(response.content)
        except (aiohttp.ClientError, OSError) as error:
            raise KeySetError(f"the connection failed ({type(error).__name__})") from None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415 - as above

        if self._session is None:
            # The caller's deadline spans every request of one attempt.
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._session


async def _limited(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise KeySetError("the answer is larger than 256 KiB")
    return bytes(body)


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def from_url(web: Web, url: str, *, insecure: bool) -> KeySet:
    """Fetch a key set."""
    return read_key_set(await web.get(url, insecure=insecure))


async def from_issuer(web: Web, issuer: str, *, insecure: bool) -> KeySet:
    """Fetch the key set that the issuer's own metadata names."""
    origin, path = issuer.rstrip("/"), urlsplit(issuer).path.rstrip("/")
    inserted = (
        f"{origin.removesuffix(path)}/.well-known/oauth-authorization-server{path}"  # RFC 8414 section 3.1
    )
    try:
        url = await _jwks_uri(web, inserted, issuer, insecure=insecure)
    except KeySetError:
        appended = f"{origin}/.well-known/openid-configuration"  # OpenID Connect Discovery section 4
        url = await _jwks_uri(web, appended, issuer, insecure=insecure)
    return await from_url(web, url, insecure=insecure)


async def _jwks_uri(web: Web, url: str, issuer: str, *, insecure: bool) -> str:
    metadata = json_object(await web.get(url, insecure=insecure))
    if metadata is None:
        raise KeySetError("the issuer's metadata is not a plain JSON object")
    # RFC 8414 section 3.3: without this, one issuer's document could name another issuer's keys.
    if metadata.get("issuer") != issuer:
        raise KeySetError("the issuer's metadata is about another issuer")
    found = metadata.get("jwks_uri")
    if not isinstance(found, str):
        raise KeySetError("the issuer's metadata names no jwks_uri")
    return found


async def from_file(path: Path) -> KeySet:
    """Read a key set; errors name the file."""
    try:
        return read_key_set(await asyncio.to_thread(_head, path))
    except OSError as error:
        raise KeySetError(f"{path}: {error.strerror}") from None
    except KeySetError as error:
        raise KeySetError(f"{path}: {error}") from None


def _head(path: Path) -> bytes:
    """Read no more than what shows that a file is too large."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
