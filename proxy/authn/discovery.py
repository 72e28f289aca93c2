"""Where an issuer's keys are, as its own metadata says (RFC 8414, OpenID Connect Discovery).

Knows what the metadata must say, and nothing of how or when it is fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from proxy.authn.compact import json_object
from proxy.authn.fetch import from_url
from proxy.authn.keyset import KeySetError

if TYPE_CHECKING:
    from proxy.authn.fetch import Fetched, Web


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Return where an issuer's metadata may be, in the order in which it is looked for.

    RFC 8414 section 3.1 puts the well-known part between host and path, for OpenID Connect's document too
    (section 5); OpenID Connect Discovery section 4 appends it.
    """
    whole, path = issuer.rstrip("/"), urlsplit(issuer).path.rstrip("/")
    origin = whole.removesuffix(path)
    inserted = (
        f"{origin}/.well-known/{name}{path}"
        for name in ("oauth-authorization-server", "openid-configuration")
    )
    # Without a path the two OpenID Connect forms are one.
    return tuple(dict.fromkeys([*inserted, f"{whole}/.well-known/openid-configuration"]))


async def from_issuer(web: Web, issuer: str, *, insecure: bool) -> Fetched:
    """Fetch the key set that the issuer's own metadata names.

    Raises:
        KeySetError: no metadata can be used, or the key set cannot.
    """
    problems = []
    for url in metadata_urls(issuer):
        try:
            found = await _jwks_uri(web, url, issuer, insecure=insecure)
        except KeySetError as error:
            problems.append(str(error))
        else:
            return await from_url(web, found, insecure=insecure)
    raise KeySetError("discovery: " + "; ".join(dict.fromkeys(problems)))


async def _jwks_uri(web: Web, url: str, issuer: str, *, insecure: bool) -> str:
    metadata = json_object((await web.get(url, insecure=insecure)).body)
    if metadata is None:
        raise KeySetError("the issuer's metadata is not a plain JSON object")
    # RFC 8414 section 3.3: without this, one issuer's document could name another issuer's keys.
    if metadata.get("issuer") != issuer:
        raise KeySetError("the issuer's metadata is about another issuer")
    found = metadata.get("jwks_uri")
    if not isinstance(found, str):
        raise KeySetError("the issuer's metadata names no jwks_uri")
    # What was looked for over https must not come from whoever listens on a port of this machine.
    if urlsplit(issuer).scheme == "https" and not found.lower().startswith("https:") and not insecure:
        raise KeySetError("the issuer's metadata names a jwks_uri that is not https")
    return found
