"""Who may see more than health and metrics: whoever has the token, or a session begun with it.

Pure. Where only this machine can connect, no token need be asked for; beyond it nothing is shown without
one. A session is a cookie that says until when it holds, and is signed with the token: nothing is stored, and
another token ends it. Cookies go to every port of a host, so also through the proxy to its upstream: a
session holds only together with a proof that the page keeps for itself (web storage belongs to one port).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.config import AdminListener

COOKIE: Final = "keystile_session"
PROOF: Final = "Keystile-Proof"
LIFETIME: Final = 12 * 3600
"""Seconds that a session holds."""

_PROOF = re.compile(r"[0-9a-f]{32,64}", re.ASCII)
_COOKIE = re.compile(r"([1-9][0-9]{0,11})\.([0-9a-f]{64})", re.ASCII)

_ATTEMPTS: Final = 5
_WINDOW: Final = 60.0
_MOST_ADDRESSES: Final = 1000
_PREFIX: Final = 64  # an IPv6 network of one subscriber's, whose every address is its own


_CLOSED: Final = (
    "not shown beyond loopback without a token: set admin.token, as in "
    "admin: {listen: 0.0.0.0:9901, token: ${ADMIN_TOKEN}}, or listen on 127.0.0.1"
)
_FOREIGN: Final = "asked for by a page of another site"
_NEEDED: Final = "the token of `admin` is needed: send it as Authorization: Bearer, or sign in at /"
_OWN_SITE: Final = frozenset({"", "same-origin", "none"})


class Shown(Struct, frozen=True):
    """What a request shows of who sent it; `site` is what a browser says of the page (`Sec-Fetch-Site`)."""

    authorization: Sequence[str]
    cookie: str
    proof: str
    site: str
    address: str


class Refusal(Struct, frozen=True):
    """Why somebody sees nothing: a status, a sentence, header lines."""

    status: int
    text: str
    lines: dict[str, str] = {}


class Admission:
    """Judges who asks; counts wrong tokens."""

    def __init__(self) -> None:
        self._attempts = Attempts()

    def judge(self, listener: AdminListener, shown: Shown, now: float) -> Refusal | None:
        """Return why nothing is shown, or None; `now` is in Unix seconds."""
        if shown.site not in _OWN_SITE:
            # It could not read the answer; it could use up what others need.
            return Refusal(403, _FOREIGN)
        if listener.is_closed:
            return Refusal(403, _CLOSED)
        if listener.token is None:
            return None
        token = Token(listener.token.get_secret_value())
        if not shown.authorization and token.holds(shown.cookie, shown.proof, now):
            return None
        return self._tried(token, shown, now)

    def page(self, listener: AdminListener) -> Refusal | None:
        """Return why not even the empty page is shown, on which a person could sign in."""
        return Refusal(403, _CLOSED) if listener.is_closed else None

    def begin(self, listener: AdminListener, shown: Shown, now: float) -> str | Refusal:
        """Return the cookie of a new session, or why there is none."""
        if shown.site not in _OWN_SITE:
            return Refusal(403, _FOREIGN)
        if listener.is_closed:
            return Refusal(403, _CLOSED)
        if listener.token is None:
            return Refusal(404, "no token is asked for")
        token = Token(listener.token.get_secret_value())
        refused = self._tried(token, shown, now)
        if refused is not None:
            return refused
        session = token.session(shown.proof, now)
        return session or Refusal(400, f"{PROOF}: 32 to 64 hexadecimal digits are needed")

    def _tried(self, token: Token, shown: Shown, now: float) -> Refusal | None:
        challenge = {"WWW-Authenticate": "Bearer"}
        if not shown.authorization:
            return Refusal(401, _NEEDED, challenge)
        if wait := self._attempts.wait(shown.address, now):
            return Refusal(429, "too many wrong tokens; wait a minute", {"Retry-After": str(ceil(wait))})
        if token.is_given(shown.authorization):
            return None
        self._attempts.failed(shown.address, now)
        return Refusal(401, _NEEDED, challenge)


class Token:
    """The configured token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def __repr__(self) -> str:
        """Say nothing of it."""
        return "<Token>"

    def is_given(self, authorization: Sequence[str]) -> bool:
        """Say whether the values of `Authorization` are this token as a bearer token."""
        if len(authorization) != 1:
            return False
        scheme, _, given = authorization[0].partition(" ")
        same = hmac.compare_digest(given.strip(" ").encode("utf-8", "surrogateescape"), self._token)
        return same and scheme.lower() == "bearer"

    def session(self, proof: str, now: float) -> str | None:
        """Return a new session's cookie, for whoever shows `proof`; None where that is no proof."""
        if _PROOF.fullmatch(proof) is None:
            return None
        until = int(now) + LIFETIME
        return f"{until}.{self._signed(until, proof)}"

    def holds(self, cookie: str, proof: str, now: float) -> bool:
        """Say whether a cookie is that of a session, begun with `proof` and not over."""
        match = _COOKIE.fullmatch(cookie)
        if match is None or _PROOF.fullmatch(proof) is None:
            return False
        until = int(match[1])
        return hmac.compare_digest(match[2], self._signed(until, proof)) and now < until

    def _signed(self, until: int, proof: str) -> str:
        return hmac.new(self._token, f"keystile session {until} {proof}".encode(), hashlib.sha256).hexdigest()


class Attempts:
    """Wrong tokens, by the address that they came from: a few in a minute, then none is looked at."""

    def __init__(self) -> None:
        self._wrong: dict[str, tuple[float, int]] = {}

    def wait(self, address: str, now: float) -> float:
        """Return for how many seconds no token from there is looked at; 0 where one is."""
        began, count = self._wrong.get(_network(address), (now, 0))
        return max(began + _WINDOW - now, 0.0) if count >= _ATTEMPTS else 0.0

    def failed(self, address: str, now: float) -> None:
        """Count a wrong one."""
        network = _network(address)
        began, count = self._wrong.pop(network, (now, 0))
        if now - began >= _WINDOW:
            began, count = now, 0
        self._wrong[network] = began, count + 1
        if len(self._wrong) > _MOST_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]


def _network(address: str) -> str:
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:  # a unix socket's client has none
        return address
    if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
        return str(int(known) >> (128 - _PREFIX))
    return str(known)
