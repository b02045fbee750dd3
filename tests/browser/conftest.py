"""JupyterLab in a real Chromium: one server and one browser for this folder, a fresh page for each test.

The scope is the package, because the synchronous driver keeps the main thread's event loop for as long as it runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.browser.engine import FakeEngine
from tests.browser.lab import Lab, running_lab
from tests.browser.panel import SCREENSHOTS, open_panel, row

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

# It asks this machine only, whatever a page says.
ARGUMENTS = ["--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]

# Said on a machine that is too busy to load a view within two seconds; a view that does not come fails its test.
SLOW = "[anywidget] Failed to initialize model."

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """Instead of pytest-jupyter's, which closes the loop that the browser's driver runs on."""


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab_url(lab: Lab) -> str:
    """Where a user would go, token included."""
    return lab.page_url()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.fail(f"no browser: install one of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a new profile. What goes wrong in its scripts fails the test; a failure leaves a picture."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    if request.node.stash.get(FAILED, False):
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{request.node.name}.png")
    context.close()
    assert [error for error in errors if error != SLOW] == []


@pytest.fixture
def engine(page: Page) -> FakeEngine:
    """A made-up one, between the panel and the server."""
    return FakeEngine(page)


@pytest.fixture
def panel(lab: Lab, page: Page, engine: FakeEngine) -> Locator:
    lab.open(page)
    panel = open_panel(page)
    expect(row(panel, "adder")).to_be_visible()
    return panel
