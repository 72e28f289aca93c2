"""Entries of `mcp`: those that contradict themselves, those that never apply, and those that only look so."""

from __future__ import annotations

import pytest

from tests.support.configuration import told

RULE = "rules: [{{path: /a, mcp: [{}]}}]"
FIRST = "never reached: all that it selects goes to mcp[0]"
ALL = "never reached: all that it selects goes to the entries before it"

FAULTS = [
    pytest.param(
        "{}", ["mcp[0]: without anything that selects: it would take every operation"], id="nothing at all"
    ),
    pytest.param(
        "{scopes: x}",
        ["mcp[0]: without anything that selects: it would take every operation"],
        id="a requirement alone",
    ),
    pytest.param(
        "{tool: a, prompt: b}",
        ["mcp[0]: tool and prompt, while no operation is about both"],
        id="a tool and a prompt",
    ),
    pytest.param(
        "{resource: 'm://a', arguments: {b: 1}}",
        ["mcp[0]: arguments of a resource, which has none"],
        id="a resource with arguments",
    ),
    pytest.param(
        "{tool: a, method: prompts/get}",
        ["mcp[0]: a method that names no tool"],
        id="a tool by the method for prompts",
    ),
    pytest.param("{tool: a, arguments: {}}", ["mcp[0].arguments: empty"], id="no arguments"),
    pytest.param("{tool: a, scopes: []}", ["mcp[0].scopes: empty"], id="no scopes"),
    pytest.param("{tool: a, any_scopes: []}", ["mcp[0].any_scopes: empty"], id="none of no scopes"),
    pytest.param("{tool: a, claims: {}}", ["mcp[0].claims: empty"], id="no claims"),
    pytest.param("{tool: a}, {tool: a}", [f"mcp[1]: {FIRST}"], id="the same tool"),
    pytest.param("{tool: a, scopes: x}, {tool: a}", [f"mcp[1]: {FIRST}"], id="with less"),
    pytest.param("{tool: 'a*'}, {tool: [ab, 'a?c']}", [f"mcp[1]: {FIRST}"], id="below a wildcard"),
    pytest.param("{tool: a}, {tool: b}, {tool: [a, b]}", [f"mcp[2]: {ALL}"], id="two that add up"),
    pytest.param("{tool: '*'}, {method: tools/call}", [f"mcp[1]: {FIRST}"], id="all tools, then the method"),
    pytest.param("{method: tools/call}, {tool: a}", [f"mcp[1]: {FIRST}"], id="the method, then a tool"),
    pytest.param("{method: '*'}, {prompt: a}", [f"mcp[1]: {FIRST}"], id="every method"),
    pytest.param("{method: 'tasks/*'}, {method: tasks/get}", [f"mcp[1]: {FIRST}"], id="some methods"),
    pytest.param(
        "{tool: a, arguments: {b: 1}}, {tool: a, arguments: {b: 1}}",
        [f"mcp[1]: {FIRST}"],
        id="the same arguments",
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}}, {tool: a, arguments: {c: 2, b: 1}}",
        [f"mcp[1]: {FIRST}"],
        id="more arguments",
    ),
    pytest.param("{resource: 'm://**'}, {resource: 'm://a/*'}", [f"mcp[1]: {FIRST}"], id="below a resource"),
    pytest.param(
        "{resource: '**'}, {method: resources/subscribe}",
        [f"mcp[1]: {FIRST}"],
        id="a method of all resources",
    ),
    pytest.param(
        "{method: [resources/read, resources/subscribe], resource: 'm://**'},"
        " {method: resources/read, resource: 'm://a'}",
        [f"mcp[1]: {FIRST}"],
        id="a resource by one method out of two",
    ),
    pytest.param(
        "{prompt: '*'}, {resource: '**'}, {method: completion/complete}",
        [f"mcp[2]: {ALL}"],
        id="completion of both",
    ),
]


@pytest.mark.parametrize(("entries", "faults"), FAULTS)
def test_tells(entries, faults):
    assert told(RULE.format(entries)) == [f"rules[0].{fault}" for fault in faults]


SOUND = [
    pytest.param("{tool: a}, {tool: 'a*'}", id="the special before the general"),
    pytest.param("{tool: a}, {tool: A}", id="another case"),
    pytest.param("{tool: a}, {prompt: a}", id="a tool and a prompt of one name"),
    pytest.param("{tool: a, arguments: {b: 1}}, {tool: a}", id="with arguments, then without"),
    pytest.param("{tool: a, arguments: {b: 1}}, {tool: a, arguments: {b: 2}}", id="two values"),
    pytest.param("{tool: a, arguments: {b: 1, c: 1}}, {tool: a, arguments: {b: 1}}", id="fewer arguments"),
    pytest.param("{arguments: {dry_run: true}}, {tool: '*'}", id="arguments alone"),
    pytest.param("{tool: a, method: 'tools/*'}", id="a tool by its method"),
    pytest.param("{tool: '*'}, {method: 'tools/*'}", id="all tools, then methods that name none too"),
    pytest.param(
        "{method: resources/read, resource: 'm://a'}, {resource: 'm://a'}", id="other methods are left"
    ),
    pytest.param("{resource: '**'}, {method: subscriptions/listen}", id="a method that is judged itself"),
    pytest.param("{prompt: '*'}, {method: completion/complete}", id="completion of resources is left"),
    pytest.param("{resource: 'm://*'}, {resource: 'm://**'}", id="a slash is left"),
]


@pytest.mark.parametrize("entries", SOUND)
def test_takes(entries):
    assert told(RULE.format(entries)) == []


def test_many_entries_take_little_time():
    entries = ", ".join(f"{{tool: tool_{number}}}" for number in range(300))
    assert told(RULE.format(f"{entries}, {{resource: '**'}}")) == []
