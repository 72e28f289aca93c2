from __future__ import annotations

import pytest

from tests.support.configuration import faults, loaded, told

BASE = "resource: https://a.example\nissuers: [{{issuer: 'https://i.example', {}}}]\nrules: [{{path: /}}]\n"


def test_a_reference_becomes_what_it_names():
    config = loaded(
        BASE.format(
            "jwks: 'http://127.0.0.1/${NAME}/${file:part}', leeway: '${LEEWAY}', allow_insecure: '${FLAG}'"
        )
        + "upstream: http://${HOST}:${PORT}\nlimits: {connections: '${MANY}'}",
        {"NAME": "a", "LEEWAY": "5s", "FLAG": "true", "HOST": "b", "PORT": "81", "MANY": "7"},
        {"part": b"keys\n"},
    )
    (issuer,) = config.issuers
    assert issuer.jwks.url == "http://127.0.0.1/a/keys"
    assert (issuer.leeway, issuer.allow_insecure) == (5.0, True)
    assert (config.upstream.url, config.limits.connections) == ("http://b:81", 7)


def test_what_a_reference_brings_in_is_text_and_no_reference():
    config = loaded(
        BASE.format("require: {a: '${A}', b: 5}, audience: ['${B}']") + "upstream: http://b",
        {"A": "5", "B": "${A}"},
    )
    (issuer,) = config.issuers
    assert issuer.require["a"].one_of == ("5",)
    assert issuer.require["b"].one_of == (5,)
    assert issuer.audience == ("${A}",)


def test_a_file_loses_its_last_newline_alone():
    assert loaded(
        BASE.format("require: {a: '${file:a}', b: '${file:b}'}") + "upstream: http://b",
        files={"a": b"x", "b": b"x \n"},
    ).issuers[0].require["b"].one_of == ("x ",)


DANGLING = [
    pytest.param("${NOPE}", "the environment variable NOPE is not set", id="a variable that is not set"),
    pytest.param("${EMPTY}", "the environment variable EMPTY is empty", id="a variable that is empty"),
    pytest.param("a ${SET} ${NOPE}", "the environment variable NOPE is not set", id="one of two"),
    pytest.param("${NAME:-x}", "not a reference", id="a shell's default"),
    pytest.param("${}", "not a reference", id="no name"),
    pytest.param("${1X}", "not a reference", id="no variable's name"),
    pytest.param("${NAME", "a reference without its end", id="no end"),
    pytest.param(
        "${file:/nowhere/x}", "the file '/nowhere/x' cannot be read: No such file or directory", id="no file"
    ),
    pytest.param("${file:/}", "the file '/' cannot be read: Is a directory", id="a directory"),
    pytest.param("${file:/dev/null}", "the file '/dev/null' is empty", id="an empty file"),
]


@pytest.mark.parametrize(("written", "problem"), DANGLING)
def test_tells_a_reference_that_leads_nowhere(written, problem):
    assert told(f"listen: '{written}'", {"EMPTY": "", "SET": "x"}) == [f"listen: {problem}"]


def test_tells_a_file_that_is_no_text():
    (fault,) = faults(BASE.format("audience: x") + "upstream: ${file:key}", files={"key": b"\xff"})
    assert (fault.path, fault.problem) == ("upstream", "the file 'key' is not UTF-8 text")
