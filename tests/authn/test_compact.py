"""The strict reading of tokens, base64url and JSON. What only a whole token shows is in test_tokens.py."""

from __future__ import annotations

import pytest

from proxy.authn.compact import Parsed, base64url, json_object, parse
from tests.support.keys import compact

BASE64 = [
    pytest.param(b"", b"", id="nothing"),
    pytest.param(b"TQ", b"M", id="one byte"),
    pytest.param(b"TWE", b"Ma", id="two bytes"),
    pytest.param(b"TWFu", b"Man", id="three bytes"),
    pytest.param(b"-_-_", b"\xfb\xff\xbf", id="both characters of its own"),
    pytest.param(b"TQ==", None, id="padding"),
    pytest.param(b"TR", None, id="bits that no byte holds"),
    pytest.param(b"TWF", None, id="more bits that no byte holds"),
    pytest.param(b"T", None, id="half a byte"),
    pytest.param(b"+/+/", None, id="the alphabet of plain base64"),
    pytest.param(b"TW Fu", None, id="a space"),
    pytest.param(b"TWFu\n", None, id="a line feed"),
    pytest.param(b"TW.Fu", None, id="a dot"),
    pytest.param(b"TW\xc3\xa9", None, id="beyond ASCII"),
    pytest.param(b"====", None, id="padding of nothing"),
]

JSON = [
    pytest.param(b"{}", {}, id="empty"),
    pytest.param(
        b' {"a": [1, 2.5, true, null, {"b": "c"}]}\n', {"a": [1, 2.5, True, None, {"b": "c"}]}, id="all kinds"
    ),
    pytest.param(b'{"a": "\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}, id="a whole surrogate pair"),
    pytest.param(b'{"a":' * 31 + b"{}" + b"}" * 31, ..., id="32 levels"),
    pytest.param(b'{"a":' * 32 + b"{}" + b"}" * 32, None, id="33 levels"),
    pytest.param(b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", None, id="33 levels of lists"),
    pytest.param(b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", None, id="more levels than Python has"),
    pytest.param(b"", None, id="nothing at all"),
    pytest.param(b"[]", None, id="a list"),
    pytest.param(b'"a"', None, id="a string"),
    pytest.param(b"null", None, id="null"),
    pytest.param(b'{"a": 1, "a": 1}', None, id="a name twice"),
    pytest.param(b'{"a": 1, "\\u0061": 1}', None, id="a name twice, once escaped"),
    pytest.param(b'{"x": [{"a": 1, "a": 2}]}', None, id="a name twice, deep down"),
    pytest.param(b'{"a": NaN}', None, id="NaN"),
    pytest.param(b'{"a": Infinity}', None, id="Infinity"),
    pytest.param(b'{"a": -Infinity}', None, id="minus Infinity"),
    pytest.param(b'{"a": 1e400}', None, id="a number that becomes infinite"),
    pytest.param(b'{"a": ' + b"9" * 400 + b"}", None, id="an integer beyond every double"),
    pytest.param(b'{"a": ' + b"9" * 5000 + b"}", None, id="an integer beyond Python's own limit"),
    pytest.param(b'{"a": 01}', None, id="a leading zero"),
    pytest.param(b'{"a": "\\ud800"}', None, id="half a surrogate pair"),
    pytest.param(b'{"\\udfff": 1}', None, id="half a surrogate pair as a name"),
    pytest.param(b'{"a": "\xff"}', None, id="invalid UTF-8"),
    pytest.param(b'{"a": "\xed\xa0\x80"}', None, id="a surrogate in UTF-8"),
    pytest.param(b'\xef\xbb\xbf{"a": 1}', None, id="a byte order mark"),
    pytest.param('{"a": 1}'.encode("utf-16"), None, id="UTF-16"),
    pytest.param(b'{"a": 1} {"b": 2}', None, id="two documents"),
    pytest.param(b'{"a": 1,}', None, id="a trailing comma"),
    pytest.param(b'{"a": 1 /* b */}', None, id="a comment"),
    pytest.param(b"{'a': 1}", None, id="single quotes"),
    pytest.param(b'{"a": "\n"}', None, id="a line feed in a string"),
]


@pytest.mark.parametrize(("text", "decoded"), BASE64)
def test_base64url_has_one_spelling(text: bytes, decoded: bytes | None) -> None:
    assert base64url(text) == decoded


@pytest.mark.parametrize(("data", "decoded"), JSON)
def test_json_has_one_meaning(data: bytes, decoded: object) -> None:
    result = json_object(data)
    assert isinstance(result, dict) if decoded is ... else result == decoded


TOKEN = compact('{"alg":"EdDSA","kid":"k","typ":"JWT"}', '{"sub":"a"}', lambda _: b"signed").encode()


def test_a_token_comes_apart() -> None:
    parsed = parse(TOKEN)
    assert isinstance(parsed, Parsed)
    assert (parsed.algorithm, parsed.kid, parsed.typ) == ("EdDSA", "k", "JWT")
    assert parsed.claims == {"sub": "a"}
    assert parsed.signature == b"signed"
    assert parsed.signing_input + b".c2lnbmVk" == TOKEN


def test_a_parsed_token_shows_nothing_of_itself() -> None:
    assert repr(parse(TOKEN)) == "<Parsed>"
