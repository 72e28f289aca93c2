"""Resource URIs with one reading (RFC 3986), or a refusal.

Pure: text in, a refusal or nothing out. Knows no entry. A server opens what it reads in a URI: as with paths,
what two readers could take for two resources is refused, and nothing is repaired. `folded` says what lenient
readers come down to; that it meets the same entry is judged with the entries.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

from proxy.authz.paths import folded as folded_path
from proxy.authz.paths import normal, stacked
from proxy.config import UnfitError, addresses
from proxy.model import Deny, Reason

_LONGEST: Final = 2048
# Scheme, authority where there is one, path, and what follows.
_PARTS = re.compile(r"([a-z][a-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(.*)", re.DOTALL)
_WEB = frozenset({"http", "https"})
_UPPER_SCHEME = re.compile(r"[a-z0-9+.-]*[A-Z][A-Za-z0-9+.-]*:")

_Faults = tuple[tuple[re.Pattern[str], str], ...]
_WRITTEN: _Faults = (
    (re.compile(r"[\x00-\x1f\x7f-\x9f]"), "holds a control character"),
    (re.compile(r"\\"), "holds a backslash"),
    (re.compile(r"\s"), "holds a space"),
    (re.compile(r'["<>^`{|}]'), "holds a character that no URI has"),
    (re.compile(r"[\ud800-\udfff]"), "holds half a character"),
    (re.compile(r"%(?![0-9A-Fa-f]{2})"), "holds a % that begins no percent-encoding"),
    (re.compile(r"%2[Ff]"), "holds an encoded slash"),
    (re.compile(r"%5[Cc]"), "holds an encoded backslash"),
    # Section 6.2.2.2: letters, digits and - . _ ~ mean the same, encoded or not.
    (
        re.compile(r"%(?:2[DEde]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])"),
        "encodes a character that needs no encoding",
    ),
)
_DECODED: _Faults = (
    (re.compile(r"[\x00-\x1f\x7f-\x9f]"), "holds an encoded control character"),
    (re.compile(r"%(?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})"), "is percent-encoded twice"),
)
# Windows drops dots and spaces from the end of a name, so ".. " is a dot segment too. And some readers take
# the authority for the first segment of a path.
_DOTS = re.compile(r"(?:\A|[:/])[. ]++(?=[/;?#]|\Z)")
_STRUCTURE = re.compile(r"[/\\?#%]")


def canonical_uri(uri: str) -> Deny | None:
    """Return why a resource URI is refused (OPERATION_REFUSED); None where it has one reading."""
    fault = _fault(uri)
    return None if fault is None else Deny(Reason.OPERATION_REFUSED, f"the resource URI {fault}")


def canonical_template(template: str) -> Deny | None:
    """Judge what is literal at the begin of a URI template (RFC 6570), as `canonical_uri` does."""
    prefix = literal_prefix(template)
    # What an expression stands for is unknown: any name will do.
    return canonical_uri(template if prefix == template else f"{prefix}x/")


def literal_prefix(template: str) -> str:
    """Return what every URI of a template begins with: what stands before its first expression."""
    return template.partition("{")[0]


def folded(uri: str) -> str:
    """Return what the most lenient reading of a URI, or of a pattern, comes down to: a key to compare.

    It ignores percent-encoding, fragments, empty segments, and what `paths.folded` does.
    """
    return re.sub("//+", "/", folded_path(unquote(uri.partition("#")[0])))


def _fault(uri: str) -> str | None:
    if len(uri) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    fault = _first(_WRITTEN, uri)
    if fault is not None:
        return fault
    parts = _PARTS.fullmatch(uri)
    if parts is None:
        return "has a scheme in upper case" if _UPPER_SCHEME.match(uri) else "has no scheme"
    try:
        text = unquote_to_bytes(uri).decode()
    except UnicodeDecodeError:
        return "is not UTF-8 when decoded"
    scheme, authority, path, beyond = parts.groups()
    return (
        _first(_DECODED, text)
        or _dots(text)
        or _lookalike(text)
        or (None if authority is None else _authority(authority))
        or (_web(uri, authority) if scheme in _WEB else None)
        or (_file(authority, path, beyond) if scheme == "file" else None)
    )


def _first(faults: _Faults, text: str) -> str | None:
    return next((sentence for pattern, sentence in faults if pattern.search(text)), None)


def _dots(text: str) -> str | None:
    """Find dot segments, behind ? and #, too: servers that cut the scheme off take all else for a path."""
    return "holds a dot segment" if _DOTS.search(text) else None


def _lookalike(text: str) -> str | None:
    """Say what makes a URI ambiguous to a server that normalises Unicode (U+FF0F to a slash)."""
    if text.isascii():
        return None
    if stacked(text):
        return "stacks marks upon a character"
    seen = normal(text)
    if _STRUCTURE.findall(seen) != _STRUCTURE.findall(text):
        return "holds a lookalike of / \\ ? # or %"
    return _dots(seen)


def _authority(authority: str) -> str | None:
    _, _, place = authority.rpartition("@")
    if authority.count("@") > 1:
        return "holds more than one @ before its host"
    decoded = normal(unquote(place))
    if decoded != decoded.lower():
        return "has a host in upper case"
    return None


def _web(uri: str, authority: str | None) -> str | None:
    """Ask of what browsers and libraries rewrite (WHATWG URL) that there is nothing to rewrite."""
    try:
        url = addresses.url(uri)
    except UnfitError:
        return "is no http URL with one reading"
    place = addresses.bracketed(url.host)
    if url.port != addresses.PORTS[url.scheme]:
        place += f":{url.port}"
    if authority != place:
        return "does not write its host and port as they are written everywhere"
    return None if url.path else "has no path, not even /"


def _file(authority: str | None, path: str, beyond: str) -> str | None:
    """A file is named by a path from the root alone (RFC 8089): readers ignore a host, or a query."""
    return None if authority == "" and path.startswith("/") and not beyond else "is no file:///path"
