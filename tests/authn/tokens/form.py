"""Rows about the form of a token: parts, base64url, UTF-8, JSON, size (RFC 7515, RFC 7493, RFC 4648)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from proxy.model import Reason
from tests.authn.tokens.making import (
    admitted,
    header_with,
    named,
    parts,
    payload_with,
    refused,
    resigned,
    saying,
    signed,
    texts,
)
from tests.support.keys import b64

if TYPE_CHECKING:
    from tests.authn.tokens.making import Maker, Row, When

MALFORMED = Reason.TOKEN_MALFORMED
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LIMIT = 16 * 1024


def stray(part: str) -> str:
    """Set the last bit of a part that decodes to nothing: lenient readers read the same bytes."""
    assert len(part) % 4, "every bit of this part counts"
    return part[:-1] + _ALPHABET[_ALPHABET.index(part[-1]) | 1]


def ragged(text: str) -> str:
    """Make JSON as long as leaves stray bits in its base64url."""
    return text + " " * (len(text) % 3 == 0)


def serialised(header: str, payload: str, signature: str) -> str:
    return json.dumps({"payload": payload, "protected": header, "signature": signature})


def sized(size: int) -> Maker:
    """A good token of this many bytes."""

    def make(when: When) -> str:
        for filling in ("", "x", "xx", "xxx"):
            short = len(saying_with(filling, "")(when))
            token = saying_with(filling, "p" * ((size - short) * 3 // 4))(when)
            if len(token) == size:
                return token
        raise AssertionError("no token of this size")

    def saying_with(filling: str, padding: str) -> Maker:
        return texts(
            header=lambda text: f'{text[:-1]}, "x": "{filling}"}}',
            payload=lambda text: f'{text[:-1]}, "padding": "{padding}"}}',
        )

    return make


PARTS: list[Row] = [
    refused("nothing", MALFORMED, lambda _: ""),
    refused("an opaque token", MALFORMED, lambda _: "opaque-token"),
    refused("one dot", MALFORMED, lambda _: "."),
    refused("two dots", MALFORMED, lambda _: ".."),
    refused("four dots", MALFORMED, lambda _: "...."),
    refused("two parts", MALFORMED, parts(lambda h, p, _: f"{h}.{p}")),
    refused("a fourth part, empty", MALFORMED, parts(lambda h, p, s: f"{h}.{p}.{s}.")),
    refused("an empty part between", MALFORMED, parts(lambda h, p, s: f"{h}.{p}..{s}")),
    refused("an empty part before", MALFORMED, parts(lambda h, p, s: f".{h}.{p}.{s}")),
    refused("five parts, as of a JWE", MALFORMED, parts(lambda h, p, s: f"{h}.{p}.{s}.{p}.{s}")),
    refused(
        "a JWE with dir",
        MALFORMED,
        lambda _: ".".join(
            [b64(b'{"alg":"dir","enc":"A256GCM"}'), "", b64(b"i" * 12), b64(b"c" * 40), b64(b"t" * 16)]
        ),
    ),
    refused("a thousand parts", MALFORMED, lambda _: "a." * 1000),
    refused("no header", MALFORMED, parts(lambda _, p, s: f".{p}.{s}")),
    refused("no payload, as where it is detached", MALFORMED, parts(lambda h, _, s: f"{h}..{s}")),
    refused("header and payload the other way round", MALFORMED, parts(lambda h, p, s: f"{p}.{h}.{s}")),
    refused("a JWS in JSON", MALFORMED, parts(serialised)),
    refused("two tokens, a comma between", MALFORMED, parts(lambda h, p, s: f"{h}.{p}.{s},{h}.{p}.{s}")),
    refused("a token in quotes", MALFORMED, parts(lambda h, p, s: f'"{h}.{p}.{s}"')),
    refused("a token behind a second space", MALFORMED, parts(lambda h, p, s: f"  {h}.{p}.{s}")),
    refused("a token of base64 of a token", MALFORMED, lambda when: b64(signed()(when).encode())),
]

BASE64: list[Row] = [
    admitted("a header that ends within a byte", texts(header=ragged)),
    admitted("a payload that ends within a byte", texts(payload=ragged)),
    refused("padding behind the signature", MALFORMED, parts(lambda h, p, s: f"{h}.{p}.{s}==")),
    refused("padding behind the header, signed so", MALFORMED, resigned(lambda h, p: f"{h}=.{p}")),
    refused("padding behind the payload, signed so", MALFORMED, resigned(lambda h, p: f"{h}.{p}==")),
    refused("stray bits behind the signature", MALFORMED, parts(lambda h, p, s: f"{h}.{p}.{stray(s)}")),
    refused(
        "stray bits behind the header",
        MALFORMED,
        parts(lambda h, p, s: f"{stray(h)}.{p}.{s}", texts(header=ragged)),
    ),
    refused(
        "stray bits behind the payload",
        MALFORMED,
        parts(lambda h, p, s: f"{h}.{stray(p)}.{s}", texts(payload=ragged)),
    ),
    refused("six bits more behind the signature", MALFORMED, parts(lambda h, p, s: f"{h}.{p}.{s}AAA")),
    refused("six bits alone for a header", MALFORMED, resigned(lambda _, p: f"e.{p}")),
    refused(
        "+ of plain base64, signed so",
        MALFORMED,
        resigned(lambda h, _: h + "." + b64(b'{"a":"\xc2\xbe\xc2\xbe\xc2\xbe"}').replace("-", "+") + "+"),
    ),
    refused("/ of plain base64 in the signature", MALFORMED, parts(lambda h, p, s: f"{h}.{p}./{s[1:]}")),
    refused("junk that lenient readers skip", MALFORMED, parts(lambda h, p, s: f"{h}.{p}.!{s}")),
    refused("a tilde in the payload", MALFORMED, resigned(lambda h, p: f"{h}.~{p}")),
    refused("a space in the payload", MALFORMED, resigned(lambda h, p: f"{h}.{p[:8]} {p[8:]}")),
    refused("a tab in the signature", MALFORMED, parts(lambda h, p, s: f"{h}.{p}.{s[:8]}\t{s[8:]}")),
    refused(
        "a line break in the payload",
        MALFORMED,
        resigned(lambda h, p: f"{h}.{p[:8]}\n{p[8:]}"),
        over_http=Reason.REQUEST_MALFORMED,
    ),
    refused(
        "a NUL behind the signature",
        MALFORMED,
        parts(lambda h, p, s: f"{h}.{p}.{s}\0"),
        over_http=Reason.REQUEST_MALFORMED,
    ),
    refused("letters beyond ASCII", MALFORMED, parts(lambda h, p, s: f"{h}.é{p}.{s}")),
    refused("percent-encoded dots", MALFORMED, parts(lambda h, p, s: f"{h}%2e{p}%2e{s}")),
]

JSON: list[Row] = [
    admitted("spaces and line breaks in the JSON", texts(lambda t: f" \r\n{t}\t", lambda t: f"\n{t} ")),
    admitted("names and values escaped", texts(payload=lambda t: t.replace('"sub"', '"\\u0073ub"'))),
    admitted("a surrogate pair, escaped", payload_with('"x": "\\ud83d\\ude00"')),
    admitted("letters beyond ASCII as they are", payload_with('"x": "é\u2028😀"')),
    admitted("an empty name", payload_with('"": 1')),
    admitted(
        "numbers of every kind",
        payload_with('"x": [0, -0, -0.0, 1.5e3, 1E-7, 1e308, 5e-324, 9007199254740993]'),
    ),
    admitted("the same name in two objects", payload_with('"x": {"a": 1}, "y": [{"a": 2}]')),
    admitted("as deep as is allowed", payload_with('"x": ' + "[" * 31 + "]" * 31)),
    admitted("members of a header that mean nothing here", header_with('"cty": "JWT", "x": {"y": [null]}')),
    refused("a list deeper than is allowed", MALFORMED, payload_with('"x": ' + "[" * 32 + "]" * 32)),
    refused(
        "objects deeper than is allowed", MALFORMED, payload_with('"x": ' + '{"a":' * 32 + "1" + "}" * 32)
    ),
    refused("a header deeper than is allowed", MALFORMED, header_with('"x": ' + "[" * 32 + "]" * 32)),
    refused("lists deeper than Python reads", MALFORMED, payload_with('"x": ' + "[" * 4000 + "]" * 4000)),
    refused("lists without end", MALFORMED, texts(payload=lambda _: "[" * 5000)),
    refused("a header that is no JSON", MALFORMED, texts(header=lambda _: "not json")),
    refused("a header of nothing but a space", MALFORMED, texts(header=lambda _: " ")),
    refused("a header that is a list", MALFORMED, texts(header=lambda t: f"[{t}]")),
    refused("a header of null", MALFORMED, texts(header=lambda _: "null")),
    refused("a header that is a string", MALFORMED, texts(header=json.dumps)),
    refused("a header that is a number", MALFORMED, texts(header=lambda _: "7")),
    refused("an empty object for a header", MALFORMED, texts(header=lambda _: "{}")),
    refused("a payload that is a list", MALFORMED, texts(payload=lambda t: f"[{t}]")),
    refused("a payload that is a string", MALFORMED, texts(payload=json.dumps)),
    refused("a payload of null", MALFORMED, texts(payload=lambda _: "null")),
    refused("a payload of true", MALFORMED, texts(payload=lambda _: "true")),
    refused("a payload that is a number", MALFORMED, texts(payload=lambda _: "1")),
    refused("an empty payload", MALFORMED, texts(payload=lambda _: "")),
    refused("two payloads", MALFORMED, texts(payload=lambda t: t + t)),
    refused("a byte behind the payload", MALFORMED, texts(payload=lambda t: t + "\0")),
    refused("a payload that is cut off", MALFORMED, texts(payload=lambda t: t[:-1])),
    refused("a comma before the end", MALFORMED, texts(payload=lambda t: f"{t[:-1]},}}")),
    refused("a comment", MALFORMED, texts(payload=lambda t: f"/* */{t}")),
    refused("names in single quotes", MALFORMED, texts(payload=lambda t: t.replace('"', "'"))),
    refused("a line break within a string", MALFORMED, payload_with('"x": "a\nb"')),
    refused("a bad escape", MALFORMED, payload_with('"x": "\\x41"')),
    refused("a number with a leading zero", MALFORMED, payload_with('"x": 01')),
    refused("a number with a plus", MALFORMED, payload_with('"x": +1')),
    refused("a number in hex", MALFORMED, payload_with('"x": 0x10')),
    refused("NaN", MALFORMED, payload_with('"x": NaN')),
    refused("Infinity", MALFORMED, payload_with('"x": Infinity')),
    refused("-Infinity, deep inside", MALFORMED, payload_with('"x": [{"y": -Infinity}]')),
    refused("NaN in the header", MALFORMED, header_with('"x": NaN')),
    refused("a number beyond every double", MALFORMED, payload_with('"x": 1e999')),
    refused("a number of 400 digits", MALFORMED, payload_with('"x": ' + "9" * 400)),
    refused(
        "a number of 5000 digits, which Python will not read", MALFORMED, payload_with('"x": ' + "9" * 5000)
    ),
    refused("half a surrogate pair, the first", MALFORMED, payload_with('"x": "\\ud83d"')),
    refused("half a surrogate pair, the second", MALFORMED, payload_with('"x": ["\\udc00"]')),
    refused("half a surrogate pair in a name", MALFORMED, payload_with('"\\ud800": 1')),
    refused(
        "half a surrogate pair in the kid",
        MALFORMED,
        texts(header=lambda _: '{"alg": "EdDSA", "kid": "\\ud800"}'),
    ),
    refused(
        "a byte order mark before the payload",
        MALFORMED,
        texts(payload=lambda t: b"\xef\xbb\xbf" + t.encode()),
    ),
    refused(
        "a byte order mark before the header", MALFORMED, texts(header=lambda t: b"\xef\xbb\xbf" + t.encode())
    ),
    refused("a payload in UTF-16", MALFORMED, texts(payload=lambda t: t.encode("utf-16"))),
    refused("a payload in UTF-16 without a mark", MALFORMED, texts(payload=lambda t: t.encode("utf-16-le"))),
    refused("a header in UTF-32", MALFORMED, texts(header=lambda t: t.encode("utf-32"))),
    refused(
        "a byte that is not UTF-8",
        MALFORMED,
        texts(payload=lambda t: t.encode().replace(b"acc_1", b"acc\xff1")),
    ),
    refused(
        "UTF-8 that is too long",
        MALFORMED,
        texts(payload=lambda t: t.encode().replace(b"acc_1", b"acc\xc0\xaf")),
    ),
    refused(
        "a surrogate in UTF-8",
        MALFORMED,
        texts(payload=lambda t: t.encode().replace(b"acc_1", b"\xed\xa0\x80")),
    ),
]

_EXP_AGAIN = '"exp": 4102444800'
DUPLICATES: list[Row] = [
    refused("alg twice", MALFORMED, header_with('"alg": "none"')),
    refused("alg twice, the same", MALFORMED, header_with('"alg": "EdDSA"')),
    refused("alg twice, once escaped", MALFORMED, header_with('"\\u0061lg": "HS256"')),
    refused("kid twice", MALFORMED, header_with('"kid": "ed"')),
    refused(
        "a name twice in an object of the header",
        MALFORMED,
        header_with('"jwk": {"kty": "OKP", "kty": "oct"}'),
    ),
    refused("sub twice", MALFORMED, payload_with('"sub": "root"')),
    refused("sub twice, once escaped", MALFORMED, payload_with('"s\\u0075b": "root"')),
    refused("exp twice", MALFORMED, payload_with(_EXP_AGAIN)),
    refused("iss twice", MALFORMED, payload_with('"iss": "https://other.test"')),
    refused("aud twice, the other one first", MALFORMED, texts(payload=lambda t: '{"aud": "x", ' + t[1:])),
    refused("scope twice", MALFORMED, payload_with('"scope": "read admin"')),
    refused("a name twice, deep inside", MALFORMED, payload_with('"x": [{"y": {"a": 1, "a": 1}}]')),
    refused("an empty name twice", MALFORMED, payload_with('"": 1, "": 2')),
    admitted("names that differ by case are two names", payload_with('"SUB": "root", "Exp": 0, "ISS": "x"')),
    admitted("names that differ by a NUL are two names", payload_with('"sub\\u0000": "root"')),
    admitted("names that differ by their Unicode form", payload_with('"caf\\u00e9": 1, "cafe\\u0301": 2')),
]

SIZES: list[Row] = [
    admitted("a token of 16,000 bytes", sized(16000)),
    admitted("the longest token that is read", sized(_LIMIT - 1)),
    refused("a token a byte longer than 16 KiB", MALFORMED, sized(_LIMIT + 1)),
    refused("a token of 20 KiB", MALFORMED, sized(20 * 1024)),
    refused("16 KiB of dots", MALFORMED, lambda _: "." * (_LIMIT - 1)),
    refused("a header of 12 KiB that is no JSON", MALFORMED, resigned(lambda _, p: "A" * 12288 + "." + p)),
    refused(
        "a token longer than a whole head may be",
        MALFORMED,
        sized(40 * 1024),
        over_http=Reason.HEADERS_TOO_LARGE,
    ),
    named("a kept claim of 12 KiB that is no id", Reason.TOKEN_MALFORMED, saying(jti="j" * 12000)),
]

ROWS: list[Row] = [*PARTS, *BASE64, *JSON, *DUPLICATES, *SIZES]
