"""Pages of other sites: whose requests are refused, and whose may read answers (Fetch, section 3.3: CORS).

Pure. A browser sends Origin for the page that makes a request, and nobody else has to: it keeps a page from
using a visitor's network position (DNS rebinding), and authenticates nobody. What Host says is no measure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from proxy.authz.origins import Hosts
    from proxy.authz.requirements import Route
    from proxy.config import Config
    from proxy.model import RequestHead

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2
_METHOD = re.compile(_TOKEN)
_NAMES = re.compile(rb"%b(?:[ \t]*,[ \t]*%b)*" % (_TOKEN, _TOKEN))
_LONGEST_NAMES: Final = 4096

_FOREIGN = Deny(Reason.ORIGIN_REFUSED, "Origin names a site whose pages may not come here")
_EXPOSED = (
    b"Access-Control-Expose-Headers: Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After,"
    b" DPoP-Nonce, RateLimit, RateLimit-Policy, X-Request-Id\r\n"
)
_VARY = b"Vary: Origin\r\n"
_VARY_PREFLIGHT = b"Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"
_MAX_AGE = b"Access-Control-Max-Age: 600\r\n"

NAMES: Final = frozenset(
    {
        b"access-control-allow-credentials",
        b"access-control-allow-headers",
        b"access-control-allow-methods",
        b"access-control-allow-origin",
        b"access-control-allow-private-network",
        b"access-control-expose-headers",
        b"access-control-max-age",
    }
)
"""What an upstream may say of CORS itself; where `Pages` speaks it goes to nobody."""


def requested(head: RequestHead) -> str | None:
    """Return the method that a preflight asks about, None where a request is no preflight (Fetch 3.3.2)."""
    if head.method != "OPTIONS" or b"origin" not in head.fields:
        return None
    method = head.fields.get(b"access-control-request-method", b"")
    return method.decode() if _METHOD.fullmatch(method) else None


class Pages:
    """Which pages may come, and which may read what they get, by rule or else by the configuration."""

    def __init__(self, config: Config, hosts: Hosts) -> None:
        self._hosts = hosts
        self._origins = frozenset(origin.encode() for origin in config.origins)
        self._cors = config.cors

    def refused(self, route: Route, head: RequestHead) -> Deny | None:
        """Return why a page may not make this request; None where it may, or where no page makes it.

        Asked on every path that serves MCP, wherever `origins` are named, and of every upgrade: what comes
        back through a WebSocket every page may read.
        """
        if b"origin" not in head.fields:
            return None
        asked = route.on_mcp_path or route.origins or self._origins or b"upgrade" in head.fields
        return _FOREIGN if asked and self._known(route, head) is None else None

    def speaks(self, route: Route) -> bool:
        """Say whether this proxy, and not the upstream, tells browsers who may read (`cors`)."""
        return self._cors if route.cors is None else route.cors

    def preflight(self, route: Route, head: RequestHead) -> bytes | None:
        """Return the header lines of the 204 answer to a preflight; None where this is no answer to `head`.

        `route` is the rule for the method that it asks about (`requested`): a rule for POST alone takes no
        OPTIONS.
        """
        method, origin = requested(head), self._known(route, head)
        if method is None or origin is None or not self.speaks(route):
            return None
        names = head.fields.get(b"access-control-request-headers", b"")
        # All that is asked for: what may not go upstream is left out there, as it is for everybody else.
        plain = len(names) <= _LONGEST_NAMES and _NAMES.fullmatch(names) is not None
        return (
            b"Access-Control-Allow-Origin: %b\r\nAccess-Control-Allow-Methods: %b\r\n"
            % (origin, method.encode())
            + (b"Access-Control-Allow-Headers: %b\r\n" % names if plain else b"")
            + _MAX_AGE
            + _VARY_PREFLIGHT
        )

    def shared(self, route: Route, head: RequestHead) -> bytes:
        """Return the header lines that let a page read any other answer; empty where it may not.

        They belong on refusals too: a page that cannot read a challenge cannot act on it.
        """
        if b"origin" not in head.fields or not self.speaks(route):
            return b""
        origin = self._known(route, head)
        return (
            b"" if origin is None else b"Access-Control-Allow-Origin: %b\r\n%b%b" % (origin, _EXPOSED, _VARY)
        )

    def _known(self, route: Route, head: RequestHead) -> bytes | None:
        """Return the origin where it is an allowed one; two of them, joined by a comma, are none."""
        origin = head.fields.get(b"origin")
        if origin is None:
            return None
        named = route.origins or self._origins
        return origin if (origin in named if named else self._hosts.has_origin(origin)) else None
