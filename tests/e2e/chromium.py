"""The browser of the tests, and the rule on what happens where there is none: as with Node.js.

It is the system's own Chromium, driven by Playwright; whatever a page does that it should not is kept.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

# Before any script of the page: what its policy forbids is noted by the browser itself.
_NOTED = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


def path() -> str:
    """Return where it is."""
    found = shutil.which("chromium")
    if found is None:
        _missing("there is no Chromium: install the system's package chromium")
    try:
        import playwright.async_api  # noqa: F401, PLC0415 - whether it is there is the question
    except ImportError:
        _missing("there is no Playwright: install the extra `test`")
    assert found is not None
    return found


def _missing(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


class Shown:
    """A page of the browser's; `faults` is what it did that no page of ours should, `asked` what it loaded."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        self.asked: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("request", lambda request: self.asked.append(request.url))

    async def _dialog(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _said(self, kind: str, text: str) -> None:
        # That a token is needed is an answer, which the browser calls an error.
        if kind in {"error", "warning"} and "status of 401" not in text:
            self.faults.append(f"{kind}: {text}")


@contextlib.asynccontextmanager
async def shown(executable: str, url: str, **settings: Any) -> AsyncIterator[Shown]:
    """Open a page; at its end it has done nothing that it should not, and asked nobody else for anything."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - only where there is one

    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=sandbox)
        context = await browser.new_context(**settings)
        await context.add_init_script(_NOTED)
        page = await context.new_page()
        page.set_default_timeout(15_000)
        told = Shown(page)
        await page.goto(url)
        yield told
        violations = await page.evaluate("window.violations")
        await browser.close()
    assert violations == []
    assert told.faults == []
    assert [one for one in told.asked if not one.startswith((url, "data:"))] == []
