from __future__ import annotations

import pytest

from proxy.config.conditions import ArgumentCondition, Condition, flatten, lookup
from proxy.config.faults import UnfitError

HOLDS = [
    pytest.param("acme", {"c": "acme"}, True, id="equal text"),
    pytest.param("acme", {"c": "Acme"}, False, id="text in another case"),
    pytest.param("acme", {}, False, id="a missing claim"),
    pytest.param("acme", {"c": None}, False, id="a null claim"),
    pytest.param("acme", {"c": {"acme": True}}, False, id="an object"),
    pytest.param(["acme", "beta"], {"c": "beta"}, True, id="one of a list"),
    pytest.param(["acme", "beta"], {"c": "gamma"}, False, id="none of a list"),
    pytest.param("auditor", {"c": ["reader", "auditor"]}, True, id="a member of the claim"),
    pytest.param("auditor", {"c": []}, False, id="a claim without members"),
    pytest.param("auditor", {"c": [["auditor"]]}, False, id="a member of a member"),
    pytest.param(["a", "b"], {"c": ["x", "b"]}, True, id="lists that meet"),
    pytest.param(5, {"c": 5}, True, id="equal numbers"),
    pytest.param(5, {"c": 5.0}, True, id="equal numbers of two kinds"),
    pytest.param(5, {"c": "5"}, False, id="a number is no text"),
    pytest.param("5", {"c": 5}, False, id="text is no number"),
    pytest.param(True, {"c": True}, True, id="equal truth values"),
    pytest.param(True, {"c": 1}, False, id="one is not true"),
    pytest.param(1, {"c": True}, False, id="true is not one"),
    pytest.param(0, {"c": False}, False, id="false is not zero"),
    pytest.param(False, {"c": None}, False, id="null is not false"),
    pytest.param({"min": 20}, {"c": 20}, True, id="at the lower bound"),
    pytest.param({"min": 20}, {"c": 19.9}, False, id="below it"),
    pytest.param({"max": 20}, {"c": 20}, True, id="at the upper bound"),
    pytest.param({"max": 20}, {"c": 21}, False, id="above it"),
    pytest.param({"min": 1, "max": 2}, {"c": 1.5}, True, id="between the bounds"),
    pytest.param({"min": 5, "max": 5}, {"c": 5}, True, id="at both bounds"),
    pytest.param({"min": 0}, {"c": "30"}, False, id="text is in no range"),
    pytest.param({"min": 0}, {"c": True}, False, id="a truth value is in no range"),
    pytest.param({"min": 0}, {"c": [30]}, False, id="a list is in no range"),
    pytest.param({"min": 0}, {"c": float("nan")}, False, id="NaN is in no range"),
    pytest.param({"min": 0}, {"c": float("inf")}, False, id="infinity is in no range"),
    pytest.param({"min": 0}, {"c": 10**400}, True, id="an integer beyond every float"),
    pytest.param({"max": 0.5}, {"c": 10**400}, False, id="and not below a float"),
    pytest.param({"max": 0}, {}, False, id="a missing claim is in no range"),
]


@pytest.mark.parametrize(("written", "claims", "holds"), HOLDS)
def test_holds(written, claims, holds):
    assert Condition.read(written).holds(claims, "c") is holds


def test_a_condition_without_content_never_holds():
    assert not Condition().holds({"c": 1}, "c")


UNREADABLE = [
    pytest.param([], id="an empty list"),
    pytest.param({}, id="an empty range"),
    pytest.param(None, id="nothing"),
    pytest.param([["a"]], id="a list in a list"),
    pytest.param([None], id="a list with null"),
    pytest.param(float("nan"), id="NaN"),
    pytest.param({"min": "1"}, id="a bound that is text"),
    pytest.param({"min": True}, id="a bound that is a truth value"),
    pytest.param({"min": float("nan")}, id="a bound that is NaN"),
    pytest.param({"min": 2, "max": 1}, id="bounds that cross"),
    pytest.param({"min": 1, "most": 2}, id="another key"),
]


@pytest.mark.parametrize("written", UNREADABLE)
def test_refuses(written):
    with pytest.raises(UnfitError):
        Condition.read(written)


NAMES = [
    pytest.param({"a": 1}, "a", 1, id="a plain name"),
    pytest.param({"a": {"b": {"c": 1}}}, "a.b.c", 1, id="a nested name"),
    pytest.param({"a.b": 1, "a": {"b": 2}}, "a.b", 1, id="the whole name first"),
    pytest.param({"https://x.example/role": "r"}, "https://x.example/role", "r", id="a name that is a URL"),
    pytest.param(
        {"https://x.example/app": {"role": "r"}}, "https://x.example/app.role", "r", id="nested below a URL"
    ),
    pytest.param({"a.b": {"c": 1}, "a": {"b.c": 2}}, "a.b.c", 1, id="the longest part first"),
    pytest.param({"a.b": {}, "a": {"b.c": 2}}, "a.b.c", 2, id="a shorter part where that leads nowhere"),
    pytest.param({"a": "text"}, "a.b", None, id="nothing below text"),
    pytest.param({"a": [{"b": 1}]}, "a.b", None, id="nothing below a list"),
    pytest.param({"": {"b": 1}}, ".b", None, id="an empty part is no name"),
    pytest.param({"a": None}, "a", None, id="null is absent"),
    pytest.param({}, "a.b", None, id="no claims"),
]


@pytest.mark.parametrize(("claims", "name", "value"), NAMES)
def test_looks_up(claims, name, value):
    assert lookup(claims, name) == value


def test_flattens_nested_conditions_to_dotted_names():
    tree = {"a": {"b": {"min": 1}, "c": {"d": ["x"]}}, "e.f": "y"}
    assert flatten(tree) == {"a.b": {"min": 1}, "a.c.d": ["x"], "e.f": "y"}


def test_refuses_a_claim_that_is_named_in_two_ways():
    with pytest.raises(UnfitError):
        flatten({"a": {"b": 1}, "a.b": 2})


ARGUMENTS = [
    pytest.param("demo", {"a": "demo"}, True, id="equal text"),
    pytest.param("demo", {"a": "Demo"}, False, id="text in another case"),
    pytest.param("demo", {}, False, id="a missing argument"),
    pytest.param("demo", {"a": None}, False, id="null"),
    pytest.param("*", {"a": None}, False, id="null is no text"),
    pytest.param("*", {}, False, id="what is missing is no text"),
    pytest.param("*", {"a": 5}, False, id="a number is no text"),
    pytest.param("*", {"a": ""}, True, id="the empty text is text"),
    pytest.param("demo", {"a": ["demo"]}, False, id="a list with it"),
    pytest.param(["demo", 5], {"a": [5]}, False, id="a list with its number"),
    pytest.param("demo", {"a": {"demo": "demo"}}, False, id="an object with it"),
    pytest.param(["demo", "team-*"], {"a": "team-a/b"}, True, id="a pattern out of a list"),
    pytest.param(["demo", "team-*"], {"a": "teams"}, False, id="none of a list"),
    pytest.param("v?", {"a": "v1"}, True, id="one character"),
    pytest.param("v?", {"a": "v10"}, False, id="two characters"),
    pytest.param("v.", {"a": "v1"}, False, id="a dot is a dot"),
    pytest.param("a", {"a": "a\n"}, False, id="text with a line end behind it"),
    pytest.param("*", {"a": "x\ny"}, True, id="text of two lines"),
    pytest.param(["x", 5, True], {"a": 5}, True, id="a number out of a list"),
    pytest.param(["x", 5, True], {"a": 5.0}, True, id="the same number in another form"),
    pytest.param(["x", 5, True], {"a": "5"}, False, id="text is no number"),
    pytest.param(["x", 5, True], {"a": True}, True, id="a truth value out of a list"),
    pytest.param([1], {"a": True}, False, id="true is not one"),
    pytest.param([True], {"a": 1}, False, id="one is not true"),
    pytest.param({"min": 1, "max": 9}, {"a": 9}, True, id="in the range"),
    pytest.param({"min": 1, "max": 9}, {"a": 10}, False, id="beyond it"),
    pytest.param({"min": 1}, {"a": "5"}, False, id="text is in no range"),
    pytest.param({"min": 1}, {"a": [5]}, False, id="a list is in no range"),
    pytest.param({"min": 0}, {"a": True}, False, id="a truth value is in no range"),
    pytest.param({"max": 0}, {}, False, id="what is missing is in no range"),
    pytest.param({"present": True}, {"a": 5}, True, id="present"),
    pytest.param({"present": True}, {"a": None}, True, id="null is present"),
    pytest.param({"present": True}, {"A": 5}, False, id="not in another case"),
    pytest.param({"present": False}, {"A": 5}, True, id="absent"),
    pytest.param({"present": False}, {"a": None}, False, id="null is not absent"),
]


@pytest.mark.parametrize(("written", "arguments", "holds"), ARGUMENTS)
def test_an_argument(written, arguments, holds):
    assert ArgumentCondition.read(written).holds(arguments, "a") is holds


def test_a_dot_in_an_arguments_name_leads_nowhere():
    condition = ArgumentCondition.read(5)
    assert condition.holds({"a.b": 5}, "a.b")
    assert not condition.holds({"a": {"b": 5}}, "a.b")


@pytest.mark.parametrize(
    "written",
    [
        *UNREADABLE,
        pytest.param({"present": "true"}, id="presence as text"),
        pytest.param({"present": True, "min": 1}, id="presence and a range"),
        pytest.param({"present": None}, id="presence of nothing"),
    ],
)
def test_refuses_for_an_argument(written):
    with pytest.raises(UnfitError):
        ArgumentCondition.read(written)


def test_conditions_on_arguments_can_be_compared():
    assert ArgumentCondition.read(["a*", 1]) == ArgumentCondition.read(["a*", 1])
    assert ArgumentCondition.read(["a*", 1]) != ArgumentCondition.read(["a", 1])
