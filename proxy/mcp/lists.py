"""List results cut to what the caller could use: tools, prompts, resources and resource templates.

Goes by the shape of a result, whatever request it answers: the bytes of a resumed stream say nothing of the
request. Who may use what, a callable says. JSON after RFC 8259, JSON-RPC 2.0; the lists are those of the MCP
specification's server features. A list is shown only where every reader reads the same: where an object on
the way to a name has a key twice, or a deciding one in another case, the message is withheld.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec import Raw
from msgspec.json import Decoder, encode

from proxy.mcp.careful import folded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.model import Kind

    Usable = Callable[[Kind, str], bool]

# Where a list stands in a result: what its items are, and which of their members names them.
_LISTS: Mapping[str, tuple[Kind, str]] = {
    "tools": ("tool", "name"),
    "prompts": ("prompt", "name"),
    "resources": ("resource", "uri"),
    "resourceTemplates": ("template", "uriTemplate"),
}
_SCOPE = "cacheScope"
# An escape may spell a letter of a key, and the long s folds into one.
_ESCAPED = b"\\u0"
_SIGNS = (*(f'"{key}"'.lower().encode() for key in _LISTS), _ESCAPED, "\u017f".encode())
# Deciding keys by their folded form.
_IN_MESSAGE = {"result": "result"}
_IN_RESULT = {folded(key): key for key in (*_LISTS, _SCOPE)}
_IN_ITEM = {name: {folded(name): name} for _, name in _LISTS.values()}

_PRIVATE = Raw(b'"private"')
_NULL = Raw(b"null")
_SPACE = b" \t\r\n"

_object = Decoder(dict[str, Raw]).decode
_array = Decoder(list[Raw]).decode
_text = Decoder(str).decode


def filtered(document: bytes, usable: Usable, *, modern: bool) -> bytes | None:
    """Return a JSON-RPC message, or a batch of them, without the list items that `usable` denies.

    The same object comes back where nothing changes; otherwise what is kept stands byte for byte as it came,
    in its order. A list is for this caller alone, and `cacheScope` says so where the result has one or the
    request is `modern` (2026-07-28). None where there may be a list that has no sure reading.
    """
    try:
        if not _may_hold_list(document):
            return document
        body = document.strip(_SPACE)
        read = _batch if body.startswith(b"[") else _message
        new = read(body, usable, modern=modern)
    except (ValueError, RecursionError):
        return None
    return document if new is body else new


def _may_hold_list(document: bytes) -> bool:
    """Tell whether any reader could find the key of a list.

    Raises:
        ValueError: it is not in UTF-8: JSON never has a NUL, and other encodings of it do.
    """
    if b"\0" in document:
        raise ValueError
    if document.isascii():
        # Every answer passes here, and most stop here: the key of a list ends like this.
        if not (b's"' in document or b'S"' in document or _ESCAPED in document):
            return False
    else:
        document.decode()
    lower = document.lower()
    return any(sign in lower for sign in _SIGNS)


def _batch(batch: bytes, usable: Usable, *, modern: bool) -> bytes:
    messages = _array(batch)
    kept = [_message(message, usable, modern=modern) for message in messages]
    unchanged = all(new is old for new, old in zip(kept, messages, strict=True))
    return batch if unchanged else b"[%b]" % b",".join(kept)


def _message(message: bytes, usable: Usable, *, modern: bool) -> bytes:
    members = _members(message, _IN_MESSAGE)
    result = members.get("result")
    if result is None or not bytes(result).startswith(b"{"):
        return message
    new = _result(result, usable, modern=modern)
    if new is result:
        return message
    members["result"] = Raw(new)
    return _composed(members)


def _result(result: bytes, usable: Usable, *, modern: bool) -> bytes:
    members = _members(result, _IN_RESULT)
    lists = [key for key in members if key in _LISTS]
    if not lists:
        return result
    changed = False
    for key in lists:
        kind, name = _LISTS[key]
        new = _list(members[key], usable, kind, name)
        if new is not members[key]:
            members[key] = Raw(new)
            changed = True
    if (modern or _SCOPE in members) and members.get(_SCOPE) != _PRIVATE:
        members[_SCOPE] = _PRIVATE
        changed = True
    return _composed(members) if changed else result


def _list(items: Raw, usable: Usable, kind: Kind, name: str) -> bytes:
    # What some servers write for an empty list.
    if items == _NULL:
        return items
    came = _array(items)
    kept = [item for item in came if usable(kind, _text(_members(item, _IN_ITEM[name]).get(name, _NULL)))]
    return items if len(kept) == len(came) else b"[%b]" % b",".join(kept)


def _members(text: bytes, deciding: Mapping[str, str]) -> dict[str, Raw]:
    """Read one object; of a key that decides nothing and stands twice, the last.

    Raises:
        ValueError: it is none, has a deciding key twice, or one that some readers take for a deciding key.
    """
    members = _object(text)
    for key in members:
        decides = deciding.get(folded(key))
        if decides is None:
            continue
        if decides != key or _count(text, key) > 1:
            raise ValueError
    return members


def _count(text: bytes, key: str) -> int:
    """Count how often an object has a key."""
    plain = bytes(text)
    # In most objects the key stands once in all their bytes, whatever is nested in them.
    if _ESCAPED not in plain and plain.count(b'"%b"' % key.encode()) == 1:
        return 1
    keys: list[str] = json.loads(plain, object_pairs_hook=_keys)
    return keys.count(key)


def _keys(pairs: list[tuple[str, object]]) -> list[str]:
    return [key for key, _ in pairs]


def _composed(members: Mapping[str, bytes]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % (encode(key), value) for key, value in members.items())
