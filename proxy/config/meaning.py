"""What a configuration's values must be to one another: contradictions, gaps and traps, all at once.

Pure. Rules are judged in `ruling`. Every fault here would otherwise show only in operation: as a refusal
that nobody understands, or as a door that nobody meant to open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config import addresses, ruling
from proxy.config.document import Slip
from proxy.config.issuer import JwksUrl
from proxy.config.kinds import spelling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.config.faults import Location
    from proxy.config.issuer import Issuer
    from proxy.config.listening import Address
    from proxy.config.schema import Config
    from proxy.config.upstream import Upstream

_EVERYWHERE = ("0.0.0.0", "::")
_HTTPS = "write https:// (http is for loopback hosts, or with allow_insecure: true)"
# What of these an upstream may ask of this proxy itself.
_CREDENTIAL_HEADERS = frozenset({"authorization", "cookie"})
_OURS = ("x-agent-", "x-forwarded-")

# Fields that frame a message, steer a connection, carry credentials, override what was judged, say who the
# client is, or are set by the proxy itself.
RESERVED_HEADERS = frozenset(
    {
        "authorization",
        "cf-connecting-ip",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "dpop",
        "expect",
        "fastly-client-ip",
        "forwarded",
        "front-end-https",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "true-client-ip",
        "upgrade",
        "via",
        "x-agent-assertion",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-host",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-forwarded-for",
        "x-original-host",
        "x-original-method",
        "x-original-uri",
        "x-original-url",
        "x-override-url",
        "x-real-ip",
        "x-request-id",
        "x-rewrite-url",
        "x-scheme",
        "x-url-scheme",
    }
)


def slips(config: Config) -> Iterator[Slip]:
    """Find everything that is wrong with a configuration of the right shape."""
    yield from _resource(config)
    yield from _exposure(config)
    yield from _admin(config)
    yield from _upstream(config)
    yield from _upstream_tls(config)
    yield from _buffer(config)
    yield from _issuers(config)
    yield from _proofs(config)
    yield from _headers(config)
    yield from _hierarchy(config)
    yield from ruling.slips(config)


def _resource(config: Config) -> Iterator[Slip]:
    if config.resource is None:
        return
    url = addresses.url(config.resource)
    if url.scheme != "https" and not addresses.is_loopback(url.host):
        yield Slip(("resource",), "not an https URL", "write https:// (http is for loopback hosts)")
    if url.suffix:
        yield Slip(("resource",), "a URL with a query or fragment", "end it before ? and # (RFC 9728 1.2)")


def _exposure(config: Config) -> Iterator[Slip]:
    if not config.listen.is_loopback and config.resource is None and not config.hosts:
        yield Slip(
            ("listen",),
            "beyond loopback, while it is unknown which hosts to answer for",
            "set resource or hosts (KEYSTILE_HOSTS)",
        )


def _upstream_tls(config: Config) -> Iterator[Slip]:
    tls = config.upstream.tls
    if tls is None:
        return
    if config.upstream.scheme != "https":
        yield Slip(("upstream", "tls"), "for an upstream without TLS", "write https://, or leave it out")
    for here, there in (("certificate", "key"), ("key", "certificate")):
        if getattr(tls, here) is not None and getattr(tls, there) is None:
            yield Slip(("upstream", "tls", here), f"without {there}", "name both, or neither")


def _admin(config: Config) -> Iterator[Slip]:
    if config.admin is None:
        return
    listen, admin = config.listen, config.admin.listen
    if admin.unix is not None:
        shared = admin.unix == listen.unix
    else:
        one_for_all = {listen.host, admin.host}.intersection(_EVERYWHERE)
        alike = listen.host == admin.host or one_for_all or (listen.is_loopback and admin.is_loopback)
        shared = listen.unix is None and bool(admin.port) and listen.port == admin.port and bool(alike)
    if shared:
        yield Slip(("admin",), "the clients' own address", "choose another port, or null for none")
    if _leads_to(config.upstream, admin):
        yield Slip(("upstream",), "the admin listener, which is not for clients", "mend one of them")


def _leads_to(upstream: Upstream, address: Address) -> bool:
    """Say whether the upstream is what listens at an address."""
    if address.unix is not None:
        return upstream.scheme == "unix" and upstream.path == address.unix
    here = address.is_loopback or address.host in _EVERYWHERE
    alike = address.host == upstream.host or (here and addresses.is_loopback(upstream.host))
    return alike and address.port == upstream.port


def _upstream(config: Config) -> Iterator[Slip]:
    upstream = config.upstream
    if _leads_to(upstream, config.listen):
        yield Slip(
            ("upstream",), "this proxy itself: every request would go round in a circle", "mend one of them"
        )
    taken = {spelling(name) for name in config.identity_headers}
    for name in upstream.headers:
        at: Location = ("upstream", "headers", name)
        folded = spelling(name)
        if folded in RESERVED_HEADERS - _CREDENTIAL_HEADERS or folded.startswith(_OURS):
            yield Slip(
                at, "a header that HTTP or the proxy itself uses", "choose another name, as in X-Api-Key"
            )
        elif folded in taken:
            yield Slip(at, "a second spelling of the same header", "keep one of them")
        taken.add(folded)


def _buffer(config: Config) -> Iterator[Slip]:
    if config.limits.mcp_buffer < config.limits.mcp_body:
        yield Slip(("limits", "mcp_buffer"), "less than one message (mcp_body)", "write at least as much")


def _proofs(config: Config) -> Iterator[Slip]:
    """Find what is signed, or asked, for a name that is not known."""
    if config.assertion is not None and not config.assertion.issuer:
        yield Slip(("assertion", "issuer"), "missing", "name it, or set resource")
    asked: list[int] = []
    for index, issuer in enumerate(config.issuers):
        at: Location = ("issuers", index)
        if issuer.dpop.mode != "off" and config.resource is None:
            problem = "without `resource`, whose origin a proof must name (RFC 9449 4.3)"
            yield Slip((*at, "dpop"), problem, "set resource")
        if issuer.dpop.mode == "off" and issuer.dpop.nonce:
            yield Slip((*at, "dpop", "nonce"), "for proofs that nobody asks for", "set mode, or remove nonce")
        if issuer.introspection is None:
            continue
        if issuer.introspection.mode == "opaque":
            asked.append(index)
        url = addresses.url(issuer.introspection.url)
        if "#" in url.suffix:
            yield Slip((*at, "introspection", "url"), "a URL with a fragment", "end it before #")
        if _insecure(url, issuer):
            yield Slip((*at, "introspection", "url"), "not an https URL", _HTTPS)
    for index in asked[1:]:
        problem = "a second one for opaque tokens, which do not say whose they are"
        yield Slip(("issuers", index, "introspection"), problem, "keep one of them, or write mode: always")


def _issuers(config: Config) -> Iterator[Slip]:
    if not config.issuers and not all(rule.public for rule in config.rules):
        yield Slip(
            ("issuers",), "missing, while rules need a token", "name an issuer, or make every rule public"
        )
    seen: set[str] = set()
    for index, issuer in enumerate(config.issuers):
        at: Location = ("issuers", index)
        if issuer.issuer in seen:
            yield Slip((*at, "issuer"), "an issuer that is configured twice", "keep one of them")
        seen.add(issuer.issuer)
        if not issuer.audience:
            yield Slip((*at, "audience"), "missing", "name it, or set resource")
        if issuer.keys.max_stale < issuer.keys.refresh:
            problem = (
                f"{issuer.keys.max_stale:.15g} s, shorter than keys.refresh ({issuer.keys.refresh:.15g} s):"
                " sound keys would be dropped before they are fetched again"
            )
            yield Slip((*at, "keys", "max_stale"), problem, "write at least as much")
        yield from _places(issuer, at)


def _places(issuer: Issuer, at: Location) -> Iterator[Slip]:
    """Judge the URLs that keys come from: whoever can change them can sign anything."""
    named = addresses.url(issuer.issuer)
    if named.suffix:
        yield Slip((*at, "issuer"), "a URL with a query or fragment", "end it before ? and # (RFC 8414 2)")
    if _insecure(named, issuer):
        yield Slip((*at, "issuer"), "not an https URL", _HTTPS)
    if isinstance(issuer.jwks, JwksUrl):
        keys = addresses.url(issuer.jwks.url)
        if "#" in keys.suffix:
            yield Slip((*at, "jwks"), "a URL with a fragment", "end it before #")
        if _insecure(keys, issuer):
            yield Slip((*at, "jwks"), "not an https URL", _HTTPS)


def _insecure(url: addresses.Url, issuer: Issuer) -> bool:
    return url.scheme != "https" and not addresses.is_loopback(url.host) and not issuer.allow_insecure


def _headers(config: Config) -> Iterator[Slip]:
    seen: set[str] = set()
    for name, fact in config.identity_headers.items():
        at: Location = ("identity_headers", name)
        folded = spelling(name)
        if folded in RESERVED_HEADERS:
            yield Slip(
                at, "a header that HTTP or the proxy itself uses", "choose another name, as in X-Agent-Id"
            )
        if folded in seen:
            # One of the two would hide the other.
            yield Slip(at, "a second spelling of the same header", "keep one of them")
        seen.add(folded)
        if folded == "x-agent-issuer" and fact != "issuer" and len(config.issuers) > 1:
            yield Slip(at, "another meaning for the header that tells issuers apart", "write issuer")


def _hierarchy(config: Config) -> Iterator[Slip]:
    grants, told = config.scopes, set[str]()
    for scope in grants:
        circle = {other for other in granted(grants, scope) if scope in granted(grants, other)}
        if circle and not circle & told:
            yield Slip(("scopes", scope), "a scope that grants itself", "break the circle")
        told |= circle


def granted(grants: Mapping[str, tuple[str, ...]], scope: str) -> set[str]:
    """Return every scope that holding `scope` grants; itself only where it is on a circle."""
    found: set[str] = set()
    waiting = list(grants.get(scope, ()))
    while waiting:
        if (one := waiting.pop()) not in found:
            found.add(one)
            waiting.extend(grants.get(one, ()))
    return found
