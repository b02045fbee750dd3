"""The side panel as a test handles it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

SCREENSHOTS = Path(__file__).parent / "screenshots"


def open_panel(page: Page) -> Locator:
    page.get_by_role("tab", name="Served Models").click()
    panel = page.get_by_role("region", name="Served models")
    expect(panel).to_be_visible()
    return panel


def row(panel: Locator, name: str) -> Locator:
    return panel.get_by_role("treeitem", name=name, exact=True)


def choose(panel: Locator, name: str, tab: str = "") -> None:
    row(panel, name).click()
    if tab:
        panel.get_by_role("tab", name=tab, exact=True).click()


def press(panel: Locator, label: str) -> None:
    panel.get_by_role("button", name=label, exact=True).click()


def figure(panel: Locator, name: str) -> Locator:
    """The value of a figure of the details."""
    return panel.locator(f".jp-PyServe-figure:has(> dt:text-is({json.dumps(name)})) dd")


def picture(page: Page, name: str) -> None:
    """For people to look at; nothing is compared with it."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def until(page: Page, condition: Callable[[], object]) -> None:
    """Lets the page go on until something is true on this side."""
    for _ in range(500):
        if condition():
            return
        page.evaluate("() => new Promise(resolve => setTimeout(resolve, 20))")
    raise AssertionError("it never became true")


def clipboard(page: Page, beginning: str) -> str:
    def text() -> str:
        found: str = page.evaluate("navigator.clipboard.readText()")
        return found

    until(page, lambda: text().startswith(beginning))
    return text()
