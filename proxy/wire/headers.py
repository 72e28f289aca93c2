"""Header lines: what is taken off a message and what is put on, in that order (RFC 9110 section 7.6.1).

Pure. Hop-by-hop lines go first, and every line that `Connection` names; then whatever a client must
not say (credentials, identity, overrides, forwarding) in every spelling; only then is anything added, so
that no client byte decides over an added line (CVE-2024-45410, CVE-2025-64484).
"""

from __future__ import annotations

import re
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from proxy.config import Config
    from proxy.model import Identity, Reply, RequestHead
    from proxy.wire.heads import ResponseHead

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer"
    b" transfer-encoding upgrade".split()
)
# Lines that this proxy writes itself, or that no client may send through it.
_OURS = frozenset(
    b"host content-length expect authorization dpop x-request-id traceparent mcp-session-id"
    # a method or a target beside the one that was judged
    b" x-http-method x-http-method-override x-method-override x-original-url x-original-uri x-original-method"
    b" x-rewrite-url x-override-url"
    # who the client is: only `forwarded.py` says that
    b" forwarded x-real-ip x-client-ip x-cluster-client-ip true-client-ip cf-connecting-ip fastly-client-ip"
    b" x-original-forwarded-for x-original-host x-host x-url-scheme x-scheme front-end-https".split()
)
# What is judged, or judged by, has one spelling: servers that build variables from names would read another
# as the same.
_ONE_SPELLING = frozenset(
    b"content-type content-encoding last-event-id mcp-method mcp-name mcp-protocol-version"
    b" accept-encoding if-range".split()
)
_FAMILIES = (b"x-agent-", b"x-forwarded-")
# Servers that build environment variables from names read `_` as `-`, some `.` too, and some every byte of a
# token that is no letter or digit.
_PUNCTUATION = b"!#$%&'*+.^_`|~"
_SPELLINGS = bytes.maketrans(_PUNCTUATION, b"-" * len(_PUNCTUATION))
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 64
_MOST_KEPT = 16
_NO_CONTENT = 204
_OK = 200
_NOT_PLAIN = re.compile(r"[^\x21-\x7e]|[%,]")
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_DROP, _KEEP, _CHANGE = 0, 1, 2
_PLAIN_CONNECTION = frozenset({b"keep-alive", b"close", b"Keep-Alive", b"Close"})
_LOCATIONS = frozenset({b"location", b"content-location"})

_VARYING = frozenset({b"authorization", b"content-length", b"traceparent"})

LENGTH = frozenset({b"content-length"})
# What is said of content that may have become another (RFC 9110 sections 8.8 and 14.3, RFC 9530).
OF_CONTENT = frozenset(
    {
        b"accept-ranges",
        b"content-digest",
        b"content-md5",
        b"digest",
        b"etag",
        b"last-modified",
        b"repr-digest",
    }
)
LENGTH_AND_OF_CONTENT = LENGTH | OF_CONTENT


@lru_cache(maxsize=256)
def together(one: frozenset[bytes], other: frozenset[bytes]) -> frozenset[bytes]:
    """Both sets of header names as one; there are few, and each is made once."""
    return one | other


def encoded(value: str) -> str:
    """`value` in visible ASCII, so that no two values look alike in a header (design section 9).

    Everything else, and `%` and `,` themselves, is percent-encoded UTF-8.
    """
    return _NOT_PLAIN.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), value)


def identity_lines(headers: Mapping[str, str], identity: Identity) -> bytes:
    """The verified identity as header lines; `headers` maps a header name to what it says.

    A member that the token does not have makes no line, apart from the scopes, which are then empty.
    """
    said = {
        "id": encoded(identity.id),
        "scopes": " ".join(identity.scopes),
        "name": encoded(identity.name) if identity.name else None,
        "issuer": encoded(identity.issuer),
        "audit_url": encoded(identity.audit_url) if identity.audit_url else None,
    }
    lines = ((name, said[member]) for name, member in headers.items())
    return "".join(f"{name}: {value}\r\n" for name, value in lines if value is not None).encode()


def credential_lines(headers: Mapping[str, SecretStr]) -> bytes:
    """The upstream's own credentials as header lines; they are secret, and belong in no log."""
    return "".join(f"{name}: {value.get_secret_value()}\r\n" for name, value in headers.items()).encode()


def named_by_connection(value: bytes) -> frozenset[bytes]:
    """The lower-cased header names in a Connection value (RFC 9110 7.6.1)."""
    return frozenset(name.strip(b" \t").lower() for name in value.split(b","))


class _Fate(dict[bytes, int]):
    """Header name as it came → what becomes of its line. Bounded: names are the other side's choice."""

    def __init__(
        self, dropped: frozenset[bytes], families: tuple[bytes, ...], changed: frozenset[bytes] = frozenset()
    ) -> None:
        super().__init__()
        self._dropped = dropped
        self._families = families
        self._changed = changed

    def __missing__(self, name: bytes) -> int:
        lower = name.lower()
        spelling = lower.translate(_SPELLINGS)
        respelt = spelling in _ONE_SPELLING and spelling != lower
        fate = _KEEP
        if respelt or spelling in self._dropped or spelling.startswith(self._families):
            fate = _DROP
        elif spelling in self._changed:
            fate = _CHANGE
        if len(name) <= _LONGEST_KNOWN:
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[name] = fate
        return fate


class _Fates(dict[frozenset[bytes], _Fate]):
    """Names that are left out besides the usual ones → the fate of every name. There are few such sets."""

    def __init__(
        self, dropped: frozenset[bytes], families: tuple[bytes, ...], changed: frozenset[bytes] = frozenset()
    ) -> None:
        super().__init__()
        self._usual = dropped, families, changed

    def __missing__(self, besides: frozenset[bytes]) -> _Fate:
        dropped, families, changed = self._usual
        fate = self[besides] = _Fate(dropped | besides, families, changed)
        return fate


class RequestLines:
    """Builds the head that goes to the upstream.

    What the configuration says of a name is said of every spelling of it. `keeps` names, lower-cased, what
    passes although clients may not send it elsewhere.
    """

    def __init__(self, config: Config, *, keeps: frozenset[bytes] = frozenset()) -> None:
        written = [*config.identity_headers, *config.upstream.headers]
        said = frozenset(name.encode().lower().translate(_SPELLINGS) for name in written)
        self._fates = _Fates((_HOP_BY_HOP | _OURS | said) - keeps, _FAMILIES)
        # What varies is ours, and left out with the rest of that.
        self._keeps_varying = not _VARYING.isdisjoint(keeps)
        rewritten = f"Host: {config.upstream.authority}\r\n".encode()
        self._host = rewritten if config.upstream.host_policy == "rewrite" else None

    def head(
        self,
        head: RequestHead,
        added: bytes,
        *,
        dropping: frozenset[bytes] = frozenset(),
        target: bytes | None = None,
    ) -> bytes:
        """Request line and header lines for `head`, `added` (lines, each ending in CRLF) last.

        `dropping` names further lower-cased headers to leave out, never such as a client chose; `target`
        stands in for the head's own.
        """
        memo = head.memo if self._keeps_varying or target is not None else head.common
        key = self, dropping, target
        kept: bytes | None = memo.get(key)
        if kept is None:
            kept = memo[key] = self._kept(head, dropping, target)
        return kept + added

    def _kept(self, head: RequestHead, dropping: frozenset[bytes], target: bytes | None) -> bytes:
        fate = self._fates[dropping]
        lines = head.lines
        named = head.fields.get(b"connection")
        if named is not None and named not in _PLAIN_CONNECTION:
            leaving = named_by_connection(named)
            lines = tuple(line for line in lines if line[0].lower() not in leaving)
        kept = b"".join([b"%b: %b\r\n" % line for line in lines if fate[line[0]] is _KEEP])
        host = self._host or b"Host: %b\r\n" % head.host
        return b"%b %b HTTP/1.1\r\n%b%b" % (head.method.encode(), target or head.target, host, kept)


class ResponseLines:
    """Builds the head that goes to the client."""

    def __init__(self, config: Config) -> None:
        # Proofs end here, and so does what an upstream may think of them (RFC 9449 section 8).
        self._fates = _Fates(_HOP_BY_HOP | {b"dpop-nonce"}, (), _LOCATIONS)
        upstream = config.upstream
        self._private = re.compile(
            rb"(?:https?:)?//%b(?=[/?#]|$)" % re.escape(upstream.authority.encode()), re.IGNORECASE
        )
        self._public = _origin(config.resource).encode() if config.resource else None
        self._scheme = b"http://" if config.tls is None else b"https://"

    def head(
        self,
        response: ResponseHead,
        request: RequestHead,
        added: bytes,
        *,
        dropping: frozenset[bytes] = frozenset(),
    ) -> bytes:
        """Status line and header lines of `response`, `added` (lines, each ending in CRLF) last.

        `dropping` names further lower-cased headers to leave out, never such as an upstream chose.
        """
        if b"content-length" in response.fields and (response.status == _NO_CONTENT or response.status < _OK):
            dropping = together(dropping, LENGTH)  # RFC 9110 8.6
        key = self, dropping, request.host
        kept: bytes | None = response.memo.get(key)
        if kept is None:
            if len(response.memo) >= _MOST_KEPT:  # hosts are the clients' choice
                response.memo.clear()
            kept = response.memo[key] = self._kept(response, request, dropping)
        return kept + added

    def _kept(self, response: ResponseHead, request: RequestHead, dropping: frozenset[bytes]) -> bytes:
        fate = self._fates[dropping]
        lines = response.lines
        named = response.fields.get(b"connection")
        if named is not None and named not in _PLAIN_CONNECTION:
            # Without its length the answer would run into the next one.
            leaving = named_by_connection(named) - LENGTH
            lines = tuple(line for line in lines if line[0].lower() not in leaving)
        kept = b"".join(
            [
                b"%b: %b\r\n" % (line if fate[line[0]] is _KEEP else self._published(line, request))
                for line in lines
                if fate[line[0]] is not _DROP
            ]
        )
        return b"HTTP/1.1 %d %b\r\n%b" % (response.status, response.phrase, kept)

    def _published(self, line: tuple[bytes, bytes], request: RequestHead) -> tuple[bytes, bytes]:
        """A location that names the upstream names this proxy instead: the other is nobody's to reach."""
        name, value = line
        public = self._public or self._scheme + request.host
        return name, self._private.sub(lambda _: public, value, count=1) if self._private.match(
            value
        ) else value


def _origin(resource: str) -> str:
    scheme, _, rest = resource.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def render_reply(reply: Reply, connection: bytes, *, bodiless: bool) -> bytes:
    """An answer of our own as bytes; `connection` is its Connection line, if it needs one."""
    status = reply.status
    phrase = _PHRASES.get(status, b"")
    body = b"" if bodiless else reply.body
    return b"HTTP/1.1 %d %b\r\nDate: %b\r\n%bContent-Length: %d\r\n%b\r\n%b" % (
        status,
        phrase,
        _date(int(reply.opening.timestamp)),
        reply.lines,
        len(reply.body),
        connection,
        body,
    )


@lru_cache(maxsize=4)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
