"""The dashboard in a real browser: what a person sees, by what it is called for those who do not see it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.chromium import shown
from tests.support.harness import keystile, token
from tests.support.raw import connect
from tests.support.upstream import upstream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.harness import Keystile
    from tests.support.raw import Address

SECRET = "0123456789abcdef-the-token"
SETTINGS: dict[str, Any] = {
    "admin": "127.0.0.1:0",
    "rules": [
        {
            "name": "mcp",
            "path": "/mcp",
            "scopes": ["read"],
            "mcp": [{"tool": "write_*", "scopes": ["write"]}, {"tool": "*"}],
        },
        {"name": "guarded", "path": "/**", "scopes": ["read"]},
    ],
    "log": {"output": "access.log", "arguments": ["id"]},
}
HOSTILE = "<img src=x onerror=alert(1)>\u202eevil"
AS_TEXT = "<img src=x onerror=alert(1)>\\u{202e}evil"


async def ask(address: Address, path: str, *lines: str, method: str = "GET", body: bytes = b"") -> None:
    head = [f"{method} {path} HTTP/1.1", "Host: edge.test", "Connection: close", *lines]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    async with connect(address) as client:
        await client.write("\r\n".join([*head, "", ""]).encode() + body)
        await client.response(method.encode())


async def call(address: Address, tool: str, memory: str, agent: str, **claims: Any) -> None:
    params = {"name": tool, "arguments": {"id": memory}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    bearer = f"Authorization: Bearer {token(sub=agent, **claims)}"
    await ask(address, "/mcp", bearer, method="POST", body=json.dumps(message).encode())


def url(running: Keystile) -> str:
    host, port = running.admin
    return f"http://{host}:{port}/"


async def test_requests_appear_as_they_come(tmp_path: Path, browser_path: str) -> None:
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **SETTINGS) as running,
        shown(browser_path, url(running)) as browser,
    ):
        page = browser.page
        await page.get_by_text("No request yet.").wait_for()
        assert await page.get_by_role("status").first.inner_text() == "Ready"
        await page.get_by_text("Live", exact=True).wait_for()
        claims = {"al_name": "archivist", "al_audit_url": "https://agents.example/acc_7f3"}
        await call(running.address, "read_memory", "mem_1", "acc_7f3", **claims)
        row = page.locator("#requests tbody tr").first
        await row.wait_for()
        assert (await row.inner_text()).split()[1:] == [
            "allowed",
            "200",
            "archivist",
            "acc_7f3",
            "read_memory(mem_1)",
            *(await row.inner_text()).split()[-1:],
        ]
        # And among the agents, with a link to where its issuer tells more.
        agent = (
            page.get_by_role("region", name="Agents", exact=True)
            .get_by_role("row")
            .filter(has_text="archivist")
        )
        link = agent.get_by_role("link")
        assert await link.get_attribute("href") == "https://agents.example/acc_7f3"
        assert await link.get_attribute("rel") == "noopener noreferrer"
        # What comes while it is paused waits.
        await page.get_by_role("button", name="Pause").click()
        await call(running.address, "read_memory", "mem_2", "acc_7f3")
        await page.get_by_text("Paused, 1 waiting").wait_for()
        assert await page.locator("#requests tbody tr").count() == 1
        await page.get_by_role("button", name="Resume").click()
        await page.get_by_role("button", name="read_memory(mem_2)").wait_for()


async def test_a_refusal_is_explained(tmp_path: Path, browser_path: str) -> None:
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **SETTINGS) as running,
        shown(browser_path, url(running)) as browser,
    ):
        page = browser.page
        await page.get_by_text("Nothing was refused.").wait_for()
        await call(running.address, "write_memory", "mem_1", "acc_7f3")
        refusal = page.get_by_role("region", name="Refusals").get_by_role("listitem")
        await refusal.wait_for()
        said = await refusal.inner_text()
        assert "scope_insufficient" in said
        assert "tool write_memory by acc_7f3" in said
        assert "Allowed with: A token that also has scope write." in said
        # The request itself says all that its line does, and is opened by the keyboard.
        opener = page.get_by_role("button", name="write_memory(mem_1)")
        await opener.focus()
        await page.keyboard.press("Enter")
        assert await opener.get_attribute("aria-expanded") == "true"
        more = await page.locator("tr.more").inner_text()
        assert "A token that also has scope write." in more
        assert "required scopes\nread write" in more
        await page.keyboard.press("Enter")
        assert await page.locator("tr.more").count() == 0


async def test_the_audit_form_names_exactly_who_did(tmp_path: Path, browser_path: str) -> None:
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        for tool, memory, agent in (
            ("read_memory", "mem_1", "acc_1"),
            ("read_memory", "mem_1", "acc_1"),
            ("write_memory", "mem_1", "acc_2"),
            ("read_memory", "mem_2", "acc_3"),
        ):
            await call(running.address, tool, memory, agent)
        # The browser's clock is in a zone of its own: what is asked is its local time.
        now = datetime.now(UTC) + timedelta(hours=5, minutes=30)
        before, after = (f"{now + timedelta(minutes=m):%Y-%m-%dT%H:%M:%S}" for m in (-10, 10))
        async with shown(browser_path, url(running), timezone_id="Asia/Kolkata") as browser:
            page = browser.page
            await page.get_by_label("Target").fill("mem_1")
            await page.get_by_label("From").fill(before)
            await page.get_by_label("To", exact=True).fill(after)
            await page.get_by_role("button", name="Ask", exact=True).click()
            await page.get_by_text("2 agents: 2 calls, 1 refusal.").wait_for()
            rows = page.locator("#answer-agents tbody tr")
            told = sorted([(await row.inner_text()).split() for row in await rows.all()])
            assert [(cells[0], cells[4], cells[5]) for cells in told] == [
                ("acc_1", "2", "0"),
                ("acc_2", "0", "1"),
            ]
            await page.get_by_text("3 lines").click()
            assert await page.locator("#answer-lines tbody tr").count() == 3
            await page.get_by_label("Decision").select_option("refused")
            await page.get_by_role("button", name="Ask", exact=True).click()
            await page.get_by_text("1 agent: 0 calls, 1 refusal.").wait_for()
            # Kept in the address, of which no server is told.
            await page.reload()
            await page.get_by_text("1 agent: 0 calls, 1 refusal.").wait_for()
            assert all("mem_1" not in one.partition("/audit")[0] for one in browser.asked)
            await page.get_by_label("From").fill(after)
            await page.get_by_label("To", exact=True).fill("")
            await page.get_by_role("button", name="Ask", exact=True).click()
            await page.get_by_text("Nobody did.").wait_for()


async def test_hostile_names_are_text(tmp_path: Path, browser_path: str) -> None:
    async with upstream() as behind, keystile(tmp_path, behind.url, **SETTINGS) as running:
        claims = {"al_name": f"<b>{HOSTILE}</b>", "al_audit_url": "javascript:alert(1)"}
        await call(
            running.address, f"read_{HOSTILE}", f"'\"><script>alert(1)</script>{HOSTILE}", HOSTILE, **claims
        )
        await call(running.address, f"write_{HOSTILE}", "x", HOSTILE, **claims)
        path = "/%3Cimg%20src=x%20onerror=alert(1)%3E"
        await ask(running.address, path, f"User-Agent: {AS_TEXT}")
        async with shown(browser_path, url(running)) as browser:
            page = browser.page
            await page.locator("#agents tbody tr").first.wait_for()
            await page.locator("#requests tbody tr").nth(2).wait_for()
            for opener in await page.locator("#requests .about button").all():
                await opener.click()
            await page.get_by_label("Target").fill("*onerror*")
            await page.get_by_role("button", name="Ask", exact=True).click()
            await page.locator("#answer-agents tbody tr").first.wait_for()
            await page.locator("#answer-lines-title").click()
            text = await page.inner_text("body")
            assert f"<b>{AS_TEXT}</b>" in text
            assert f"read_{AS_TEXT}('\"><script>alert(1)</script>{AS_TEXT})" in text
            assert path in text
            assert (
                await page.locator("img, main script, b:has-text('evil'), a[href^=javascript]").count() == 0
            )
            # To ask about it is to ask for the very text.
            await page.get_by_role("region", name="Agents", exact=True).get_by_role("button").first.click()
            await page.get_by_text("1 agent: 1 call, 1 refusal.").wait_for()


async def test_whoever_has_the_token_signs_in_and_out(tmp_path: Path, browser_path: str) -> None:
    settings = {**SETTINGS, "admin": {"listen": "127.0.0.1:0", "token": SECRET}}
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, **settings) as running,
        shown(browser_path, url(running)) as browser,
    ):
        page = browser.page
        field = page.get_by_label("Token")
        await field.fill("not-the-token-at-all")
        await page.keyboard.press("Enter")
        await page.get_by_text("That is not the token.").wait_for()
        assert await page.locator("main").is_hidden()
        await field.fill(SECRET)
        await page.keyboard.press("Enter")
        await page.get_by_text("No request yet.").wait_for()
        await call(running.address, "read_memory", "mem_1", "acc_1")
        await page.get_by_role("button", name="read_memory(mem_1)").wait_for()
        # No script can read the session, and no address or storage has the token.
        assert await page.evaluate("document.cookie") == ""
        assert SECRET not in json.dumps([browser.asked, await page.evaluate("({...localStorage})")])
        await page.reload()
        await page.get_by_role("button", name="read_memory(mem_1)").wait_for()
        await page.get_by_role("button", name="Sign out").click()
        await field.wait_for()
        assert await page.locator("main").is_hidden()


LOOKS = [
    pytest.param({"color_scheme": "light", "viewport": {"width": 1440, "height": 900}}, id="light"),
    pytest.param({"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}}, id="dark"),
    pytest.param({"color_scheme": "light", "viewport": {"width": 390, "height": 844}}, id="on a phone"),
    pytest.param({"color_scheme": "dark", "viewport": {"width": 768, "height": 1024}}, id="on a tablet"),
]
# Relative luminance and contrast, as WCAG 2.2 defines them, of every text against what lies behind it.
CONTRAST = """
() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = (color) => { const [r, g, b] = channels(color); return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b); };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((channels(color)[3] ?? 1) === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.offsetParent === null) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < 4.5) poor.push(`${element.tagName} ${element.textContent.slice(0, 30)} ${contrast.toFixed(2)}`);
  }
  return poor;
}
"""


@pytest.mark.parametrize("look", LOOKS)
async def test_it_fits_and_can_be_read(tmp_path: Path, browser_path: str, look: dict[str, Any]) -> None:
    settings = {**SETTINGS, "mode": "observe"}
    async with upstream() as behind, keystile(tmp_path, behind.url, **settings) as running:
        await call(running.address, "read_" + "x" * 200, "y" * 200, "z" * 200)
        await call(running.address, "write_memory", "mem_1", "acc_1")
        await ask(running.address, "/guarded")
        async with shown(browser_path, url(running), reduced_motion="reduce", **look) as browser:
            page = browser.page
            await page.locator("#agents tbody tr").nth(2).wait_for()
            await page.locator("#requests tbody tr").nth(2).wait_for()
            await page.get_by_role("button", name="write_memory(mem_1)").click()
            await page.get_by_role("button", name="Ask", exact=True).click()
            await page.locator("#answer-agents tbody tr").first.wait_for()
            width = look["viewport"]["width"]
            assert await page.evaluate("document.scrollingElement.scrollWidth") <= width
            assert await page.evaluate(CONTRAST) == []
            # Every field and button has a name.
            unnamed = "[...document.querySelectorAll('button, input, select')].filter((one) => !(one.labels?.length || one.textContent.trim())).length"
            assert await page.evaluate(unnamed) == 0
