"""Passthrough: what a request without a token may bring instead, a credential of the upstream's own login.

Pure. Says only whether one is there and well-formed: whether it is worth anything is the upstream's to
decide, and whoever passes has no identity here. A browser sends such credentials whoever asks it to, so
a request that changes something must not come from another site's page.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.authz.origins import Hosts
    from proxy.config import Passthrough
    from proxy.model import RequestHead

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 section 9.2.1, less what is never forwarded
_OWN_PAGES = frozenset({b"same-origin", b"none"})  # "none" is the user: an address typed, a bookmark
_BASIC = re.compile(rb"basic ([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)  # RFC 7617 section 2
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_COOKIE_VALUE = re.compile(rb'("?)[!#-+\--:<-\[\]-~]+\1')  # RFC 6265 section 4.1.1, not empty

_ABSENT = Deny(Reason.CREDENTIAL_MISSING, "the request has no token, and nothing that its rule passes on")
# A browser asks its user for a password only when it is told to (RFC 7617 section 2).
_BASIC_ABSENT = replace(_ABSENT, lines=b'WWW-Authenticate: Basic realm="upstream", charset="UTF-8"\r\n')


class Credentials(Struct, frozen=True):
    """Which credentials a rule passes on: Basic, and cookies of these names."""

    basic: bool
    cookies: frozenset[bytes]


def credentials(named: Sequence[Passthrough]) -> Credentials | None:
    """Make a rule's `passthrough` ready; None where it names nothing."""
    if not named:
        return None
    kinds = [one.kind for one in named]
    return Credentials(
        "basic" in kinds, frozenset(one.name.encode() for one in named if one.kind == "cookie")
    )


def passes(named: Credentials, head: RequestHead, hosts: Hosts) -> Literal["basic", "cookie"] | Deny:
    """Return what a request without a token passes with: `basic` is for the upstream to see, else it goes.

    Cookies reach the upstream in either case, as they do elsewhere.
    """
    fields = head.fields
    found: Literal["basic", "cookie"]
    if (
        named.basic
        and _is_basic(fields.get(b"authorization", b""))
        and not _is_dropped(head, b"authorization")
    ):
        found = "basic"
    # Two lines are joined by a comma, which may hide a second cookie of the same name.
    elif _brings_cookie(head, named.cookies):
        found = "cookie"
    else:
        return _BASIC_ABSENT if named.basic else _ABSENT
    if head.method not in _SAFE and _is_foreign(head, hosts):
        return Deny(Reason.ORIGIN_REFUSED, "a page of another site makes this request")
    return found


def _is_basic(value: bytes) -> bool:
    match = _BASIC.fullmatch(value)
    if match is None:
        return False
    try:
        pair = b64decode(match[1], validate=True)
    except ValueError:
        return False
    # One reading: some decoders drop what stands behind the padding, or bits that are not zero.
    return b64encode(pair) == match[1] and b":" in pair and pair != b":" and _CONTROL.search(pair) is None


def _brings_cookie(head: RequestHead, names: frozenset[bytes]) -> bool:
    value = head.fields.get(b"cookie")
    if value is None or b"cookie" in head.repeated or _is_dropped(head, b"cookie"):
        return False
    return _has_cookie(value, names)


def _has_cookie(value: bytes, names: frozenset[bytes]) -> bool:
    """Say whether one of these cookies is there, once and with a value."""
    seen: dict[bytes, list[bytes]] = {}
    for pair in value.split(b";"):
        name, _, content = pair.partition(b"=")
        seen.setdefault(name.strip(b" \t"), []).append(content)
    return any(
        len(values) == 1 and _COOKIE_VALUE.fullmatch(values[0])
        for name, values in seen.items()
        if name in names
    )


def _is_foreign(head: RequestHead, hosts: Hosts) -> bool:
    """Say whether a page of another site makes this request, as far as the browser tells."""
    origin = head.fields.get(b"origin")
    if head.fields.get(b"sec-fetch-site", b"none") not in _OWN_PAGES:
        return True
    return origin is not None and not hosts.has_origin(origin)


def _is_dropped(head: RequestHead, name: bytes) -> bool:
    """Say whether Connection names a header, which then ends here (RFC 9110 section 7.6.1)."""
    named = head.fields.get(b"connection", b"").lower().split(b",")
    return name in [one.strip(b" \t") for one in named]
