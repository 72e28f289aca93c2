"""Which items of which lists are left: every row is a document, and what becomes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.mcp.lists import filtered

if TYPE_CHECKING:
    from proxy.model import Kind

ITEMS = {
    ("tool", "read"),
    ("tool", "läsa"),
    ("prompt", "greet"),
    ("resource", "memory://a"),
    ("template", "memory://{id}"),
}


def usable(kind: Kind, name: str) -> bool:
    return (kind, name) in ITEMS


def result(content: str) -> str:
    return '{"jsonrpc":"2.0","id":1,"result":{' + content + "}}"


READ, DELETE = '{"name":"read","inputSchema":{}}', '{"name":"delete"}'

FILTERED = [
    pytest.param(f'"tools":[{READ},{DELETE}]', f'"tools":[{READ}]', id="a tool that is not usable goes"),
    pytest.param(f'"tools":[{DELETE},{READ}]', f'"tools":[{READ}]', id="the first one, too"),
    pytest.param(f'"tools":[{DELETE}]', '"tools":[]', id="none is left"),
    pytest.param(
        '"prompts":[{"name":"greet"},{"name":"read"}]',
        '"prompts":[{"name":"greet"}]',
        id="prompts are no tools",
    ),
    pytest.param(
        '"resources":[{"uri":"memory://b","name":"memory://a"},{"uri":"memory://a","name":"x"}]',
        '"resources":[{"uri":"memory://a","name":"x"}]',
        id="resources go by their URI",
    ),
    pytest.param(
        '"resourceTemplates":[{"uriTemplate":"memory://{id}"},{"uriTemplate":"file://{id}"}]',
        '"resourceTemplates":[{"uriTemplate":"memory://{id}"}]',
        id="templates go by theirs",
    ),
    pytest.param(
        f'"tools":[{DELETE}],"nextCursor":"abc","_meta":{{"a":1.0}}',
        '"tools":[],"nextCursor":"abc","_meta":{"a":1.0}',
        id="a cursor stays, and what is unknown",
    ),
    pytest.param(
        f'"z":1e2,"tools":[{DELETE}],"a":0.10', '"z":1e2,"tools":[],"a":0.10', id="order and numbers stay"
    ),
    pytest.param(
        f'"tools":[{DELETE}],"prompts":[{DELETE}]',
        '"tools":[],"prompts":[]',
        id="several lists in one result",
    ),
    pytest.param(
        '"tools":[{ "inputSchema" : {"name":"delete"},\t"name" : "read" }, {"name":"delete"}]',
        '"tools":[{ "inputSchema" : {"name":"delete"},\t"name" : "read" }]',
        id="an item stays as it was spaced",
    ),
    pytest.param(
        '"tools":[{"name":"re\\u0061d"},{"n\\u0061me":"delete"}]',
        '"tools":[{"name":"re\\u0061d"}]',
        id="names and keys with escapes",
    ),
    pytest.param('"to\\u006fls":[{"name":"delete"}]', '"tools":[]', id="a list whose key has an escape"),
    pytest.param(
        '"tools":[{"name":"läsa"},{"name":"ta bort"}]', '"tools":[{"name":"läsa"}]', id="names beyond ASCII"
    ),
    pytest.param(
        f'"tools":[{DELETE}],"cacheScope":"public"',
        '"tools":[],"cacheScope":"private"',
        id="a scope becomes private where it stands",
    ),
    pytest.param(
        f'"cacheScope":"public","tools":[{READ}]',
        f'"cacheScope":"private","tools":[{READ}]',
        id="a scope becomes private where nothing else changes",
    ),
    pytest.param(
        f'"tools":[{READ}],"cacheScope":null',
        f'"tools":[{READ}],"cacheScope":"private"',
        id="a scope of null",
    ),
]


@pytest.mark.parametrize(("came", "left"), FILTERED)
def test_a_list_is_filtered(came: str, left: str) -> None:
    assert filtered(result(came).encode(), usable, modern=False) == result(left).encode()


MODERN = [
    pytest.param(
        f'"tools":[{DELETE}],"ttlMs":1', '"tools":[],"ttlMs":1,"cacheScope":"private"', id="without a scope"
    ),
    pytest.param(f'"tools":[{READ}]', f'"tools":[{READ}],"cacheScope":"private"', id="all usable"),
    pytest.param('"tools":[]', '"tools":[],"cacheScope":"private"', id="empty"),
    pytest.param('"tools":null', '"tools":null,"cacheScope":"private"', id="null"),
    pytest.param(
        f'"tools":[{READ}],"cacheScope":"public"',
        f'"tools":[{READ}],"cacheScope":"private"',
        id="a public scope",
    ),
]


@pytest.mark.parametrize(("came", "left"), MODERN)
def test_a_modern_list_is_private(came: str, left: str) -> None:
    assert filtered(result(came).encode(), usable, modern=True) == result(left).encode()


COMPLETE = [
    pytest.param(result(f'"tools":[{READ}]'), id="all usable"),
    pytest.param(result('"tools":[]'), id="empty"),
    pytest.param(result('"tools":null'), id="null for an empty list"),
    pytest.param(result(f'"tools":[{READ}],"cacheScope":"private"'), id="private already"),
    pytest.param(f'{{ "result" : {{\n "tools" : [ {READ} ] }} }}\n', id="with spaces"),
    pytest.param(f'[{result(f""" "tools":[{READ}] """)}]', id="in a batch"),
]


@pytest.mark.parametrize("document", COMPLETE)
def test_a_list_of_usable_items_is_the_same_object(document: str) -> None:
    came = document.encode()
    assert filtered(came, usable, modern=False) is came


NO_LISTS = [
    pytest.param(result('"content":[{"type":"text","text":"hello"}]'), id="a tool's output"),
    pytest.param(result('"content":[{"type":"text","text":"{\\"tools\\":[]}"}]'), id="a list in a text"),
    pytest.param(result('"structuredContent":{"tools":[{"name":"delete"}]}'), id="a list that a tool made"),
    pytest.param(
        result('"capabilities":{"tools":{"listChanged":true},"prompts":{}},"cacheScope":"public"'),
        id="capabilities",
    ),
    pytest.param(result('"completion":{"values":["tools"]}'), id="a completion that says tools"),
    pytest.param('{"jsonrpc":"2.0","id":1,"result":["tools"]}', id="a result that is a list"),
    pytest.param('{"jsonrpc":"2.0","id":1,"result":"tools"}', id="a result that is a text"),
    pytest.param('{"jsonrpc":"2.0","id":1,"result":null,"x":"tools"}', id="a result of null"),
    pytest.param(
        '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x","data":{"tools":[1]}}}', id="an error"
    ),
    pytest.param(
        '{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"tools":[{"name":"delete"}]}}',
        id="a request of the server's",
    ),
    pytest.param('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}', id="a notification"),
    pytest.param(result('"content":[{"text":"\\u00e9 \\u0000"}]'), id="escapes in a text"),
    pytest.param("", id="nothing"),
    pytest.param("<html>tools</html>", id="no JSON, and no key of a list"),
    pytest.param("[]", id="an empty batch"),
    pytest.param(f"[{result('')}, {result('')}]", id="a batch"),
]


@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "modern"])
@pytest.mark.parametrize("document", NO_LISTS)
def test_what_is_no_list_is_the_same_object(document: str, modern: bool) -> None:
    came = document.encode()
    assert filtered(came, usable, modern=modern) is came


def test_in_a_batch_every_message_is_filtered() -> None:
    ping, lists = result(""), result(f'"tools":[{READ},{DELETE}]')
    left = result(f'"tools":[{READ}]')
    came = f" [ {ping} ,\n{lists},{lists}] ".encode()
    assert filtered(came, usable, modern=False) == f"[{ping},{left},{left}]".encode()


WITHHELD = [
    pytest.param(result(f'"tools":[{READ}],"tools":[{DELETE}]'), id="a list twice"),
    pytest.param(
        result(f'"tools":[{READ}],"to\\u006fls":[{DELETE}]'), id="a list twice, once with an escape"
    ),
    pytest.param(
        result(f'"tools":[{READ}], "x":{{"a":1}}, "tools":[{DELETE}]'), id="a list twice, with spaces"
    ),
    pytest.param(result(f'"Tools":[{DELETE}]'), id="a list in another case"),
    pytest.param(result(f'"tools":[{READ}],"TOOLS":[{DELETE}]'), id="a list and its twin in another case"),
    pytest.param(result(f'"tool\u017f":[{DELETE}]'), id="a list with a long s"),
    pytest.param(result(f'"tool\\u017f":[{DELETE}]'), id="a list with a long s, escaped"),
    pytest.param(result(f'"tools\\u0000":[{DELETE}]'), id="a list with a NUL behind it"),
    pytest.param(result(f'"tools\\u0000x":[{DELETE}]'), id="a list with more behind a NUL"),
    pytest.param(result('"resourcetemplates":[]'), id="templates in lower case"),
    pytest.param(
        result(f'"tools":[{READ}],"cacheScope":"private","cacheScope":"public"'), id="a scope twice"
    ),
    pytest.param(result(f'"tools":[{READ}],"cachescope":"public"'), id="a scope in another case"),
    pytest.param(f'{{"result":{{}},"result":{{"tools":[{DELETE}]}}}}', id="a result twice"),
    pytest.param(
        f'{{"result":{{"tools":[{DELETE}]}},"result":{{}}}}', id="a result twice, the first with a list"
    ),
    pytest.param(f'{{"Result":{{"tools":[{DELETE}]}}}}', id="a result in another case"),
    pytest.param(f'{{"re\u017fult":{{"tools":[{DELETE}]}}}}', id="a result with a long s"),
    pytest.param(result('"tools":[{"name":"read","name":"delete"}]'), id="a name twice"),
    pytest.param(result('"resources":[{"uri":"a:b","ur\u0131":"a:c"}]'), id="a URI and one without a dot"),
    pytest.param(result('"resources":[{"uri":"a:b","UR\u0130":"a:c"}]'), id="a URI and one with a dotted I"),
    pytest.param(
        result('"tools":[{"name":"read","n\\u0061me":"delete"}]'), id="a name twice, once with an escape"
    ),
    pytest.param(
        result('"tools":[{"name":"read","Name":"delete"}]'), id="a name and its twin in another case"
    ),
    pytest.param(
        result('"tools":[{"name":"read","name\\u0000":"delete"}]'), id="a name and its twin with a NUL"
    ),
    pytest.param(result('"tools":[{"Name":"read"}]'), id="a name in another case"),
    pytest.param(result('"tools":[{"name":"read"},{}]'), id="an item without a name"),
    pytest.param(result('"tools":[{"name":null}]'), id="a name of null"),
    pytest.param(result('"tools":[{"name":7}]'), id="a name that is a number"),
    pytest.param(result('"tools":[{"name":["read"]}]'), id="a name that is a list"),
    pytest.param(result('"tools":[{"name":"\\ud800"}]'), id="a name with half a surrogate pair"),
    pytest.param(result('"tools":["read"]'), id="an item that is a text"),
    pytest.param(result('"tools":[null]'), id="an item of null"),
    pytest.param(result('"tools":{"name":"delete"}'), id="a list that is an object"),
    pytest.param(result('"tools":"read"'), id="a list that is a text"),
    pytest.param(result('"resources":[{"name":"memory://a"}]'), id="a resource without a URI"),
    pytest.param(result(f'"tools":[{READ},]'), id="a comma too many"),
    pytest.param(result(f'"tools":[{READ}]')[:-1], id="not closed"),
    pytest.param(result(f'"tools":[{READ}]') + "}", id="closed twice"),
    pytest.param(result(f'"tools":[{READ}]') * 2, id="two documents"),
    pytest.param(result(f'"tools":[{READ}],"x":NaN'), id="a number that is none"),
    pytest.param(result('"tools":[{"name":"re\nad"}]'), id="a line end in a text"),
    pytest.param("\ufeff" + result(f'"tools":[{DELETE}]'), id="a byte order mark"),
    pytest.param("\v" + result(f'"tools":[{DELETE}]'), id="a space that JSON does not know"),
    pytest.param("[" + result(f'"tools":[{READ}]') + ",1]", id="a batch with a number"),
    pytest.param("[[" + result(f'"tools":[{DELETE}]') + "]]", id="a batch in a batch"),
    pytest.param('"tools"', id="a text"),
    pytest.param(
        result('"tools":[{"name":"read","x":' + "[" * 100_000 + "]" * 100_000 + "}]"), id="too deep"
    ),
]


@pytest.mark.parametrize("document", WITHHELD)
def test_what_has_no_sure_reading_is_withheld(document: str) -> None:
    assert filtered(document.encode(), usable, modern=False) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_another_encoding_is_withheld(encoding: str) -> None:
    assert filtered(result('"tools":[]').encode(encoding), usable, modern=False) is None


def test_bytes_that_are_no_characters_are_withheld() -> None:
    assert filtered(b'{"result":{"x":"\xff"}}', usable, modern=False) is None
    assert (
        filtered(b'{"result":{"tools":[{"name":"read","x":"\xed\xa0\x80"}]}}', usable, modern=False) is None
    )


def test_a_deciding_key_is_deciding_only_where_it_stands() -> None:
    tools = '[{"name":"read","title":"T","inputSchema":{"properties":{"Name":{},"name":{},"tools":{},"Result":{}}}}]'
    came = result(f'"_meta":{{"Tools":1}},"tools":{tools}').encode()
    assert filtered(came, usable, modern=False) is came


# ---- whatever the document is ----------------------------------------------------------------------------


_ITEM_KEYS = ["name", "name", "uri", "Name", "name\0", "x"]
_RESULT_KEYS = ["tools", "tools", "resources", "TOOLS", "tool\u017f", "tools\0", "cacheScope", "x"]
_MESSAGE_KEYS = ["result", "result", "Result", "id"]
_NAMES = ["read", "läsa", "memory://a", "delete", "delete"]


class Spelling(NamedTuple):
    """How a JSON text is written."""

    escapes: bool
    spaced: bool

    def text(self, value: str) -> str:
        return (
            f'"\\u{ord(value[0]):04x}{json.dumps(value)[2:]}'
            if self.escapes
            else json.dumps(value, ensure_ascii=False)
        )

    def array(self, items: list[str]) -> str:
        return f"[ {' , '.join(items)} ]" if self.spaced else f"[{','.join(items)}]"

    def object(self, members: list[tuple[str, str]]) -> str:
        colon = " : " if self.spaced else ":"
        return "{" + self.array([f"{self.text(key)}{colon}{value}" for key, value in members])[1:-1] + "}"


def _objects(keys: list[str], values: st.SearchStrategy[str], spelling: Spelling) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(st.sampled_from(keys), values), min_size=1, max_size=3).map(spelling.object)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A message or a batch, with keys that are doubled, folded, escaped."""
    spelling = draw(st.builds(Spelling, st.booleans(), st.booleans()))
    names = st.sampled_from(_NAMES).map(spelling.text)
    items = st.lists(_objects(_ITEM_KEYS, names, spelling), min_size=1, max_size=2).map(spelling.array)
    results = _objects(_RESULT_KEYS, items, spelling)
    messages = _objects(_MESSAGE_KEYS, results, spelling)
    return draw(messages | st.lists(messages, max_size=2).map(spelling.array))


def _names(document: Any) -> set[str]:
    """Every tool's name and resource's URI in the lists of a document, in one reading of it."""
    found: set[str] = set()
    for message in document if isinstance(document, list) else [document]:
        held: Any = message.get("result") if isinstance(message, dict) else None
        if not isinstance(held, dict):
            continue
        for key, name in (("tools", "name"), ("resources", "uri")):
            items = held.get(key)
            found |= {item[name] for item in items or () if isinstance(item.get(name), str)}
    return found


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def _last(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs)


def _folding(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key.partition("\0")[0].casefold(): value for key, value in pairs}


@given(documents(), st.booleans())
def test_no_reading_of_what_is_left_shows_more(document: str, modern: bool) -> None:
    left = filtered(document.encode(), usable, modern=modern)
    if left is not None:
        for reader in (_first, _last, _folding):
            assert _names(json.loads(left, object_pairs_hook=reader)) <= {"read", "läsa", "memory://a"}


@given(
    st.lists(st.tuples(st.sampled_from(["read", "läsa", "delete", "x"]), st.integers()), max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_what_is_usable_stays(items: list[tuple[str, int]], ascii_only: bool, spaced: bool) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    tools = [{"name": name, "x": number} for name, number in items]
    document = {"jsonrpc": "2.0", "id": 1, "result": {"tools": tools, "nextCursor": "c"}}
    left = filtered(
        json.dumps(document, ensure_ascii=ascii_only, separators=separators).encode(), usable, modern=False
    )
    assert left is not None
    document["result"] = {"tools": [t for t in tools if t["name"] in {"read", "läsa"}], "nextCursor": "c"}
    assert json.loads(left) == document
