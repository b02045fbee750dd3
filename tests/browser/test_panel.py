"""The side panel in JupyterLab, against a made-up status: what it shows, asks and sends."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.lab import Lab, execute

API = "**/user/tester/pyserve/api/"


def model_status(name: str = "adder", **changes: object) -> dict[str, object]:
    instance = {
        "name": f"{name}_0",
        "version": "1",
        "pid": 4242,
        "state": "READY",
        "kind": "KIND_CPU",
        "requests": 7,
        "failures": 0,
        "restarts": 0,
        "busy_since_s": None,
        "current_request": None,
        "rss_bytes": 1 << 20,
        "arena_bytes": 1 << 20,
        "last_error": None,
    }
    return {
        "name": name,
        "state": "READY",
        "reason": "",
        "versions": [{"version": "1", "state": "READY", "reason": ""}],
        "instances": [instance],
        "max_batch_size": 8,
        "inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [-1, 2]}],
        "owner": None,
        **changes,
    }


class FakeEngine:
    """Answers for the engine, inside the browser."""

    def __init__(self, page: Page) -> None:
        self.models: list[dict[str, object]] = [model_status()]
        self.problem: str | None = None
        self.posts: list[tuple[str, Any]] = []
        page.route(f"{API}**", self._answer)

    def _answer(self, route: Route) -> None:
        request = route.request
        if self.problem is not None:
            route.fulfill(status=503, json={"error": self.problem})
        elif request.method == "POST":
            endpoint = urllib.parse.urlsplit(request.url).path.partition("/pyserve/api/")[2]
            self.posts.append((endpoint, json.loads(request.post_data or "null")))
            if endpoint.endswith("/undeploy"):
                self.models = []
            route.fulfill(json={})
        else:
            engine = {"pid": 99, "version": "0", "started_at": 0.0, "state": "READY", "repositories": ["/models"]}
            route.fulfill(json={"engine": engine, "models": self.models})


@pytest.fixture
def engine(page: Page) -> FakeEngine:
    return FakeEngine(page)


@pytest.fixture
def panel(lab: Lab, page: Page, engine: FakeEngine) -> Locator:
    lab.open(page)
    page.get_by_role("tab", name="Served Models").click()
    panel = page.get_by_role("region", name="Served models")
    expect(panel.get_by_role("listitem", name="adder", exact=True)).to_be_visible()
    return panel


def test_shows_versions_and_processes(panel: Locator) -> None:
    model = panel.get_by_role("listitem", name="adder", exact=True)
    expect(model).to_contain_text("version 1")
    expect(model.get_by_role("listitem", name="adder_0")).to_contain_text("pid 4242 · 7 requests · 0 restarts")
    expect(panel).to_contain_text("pid 99")


def test_follows_what_the_engine_says(panel: Locator, engine: FakeEngine) -> None:
    engine.models = [model_status("other", state="UNAVAILABLE", reason="ImportError: no module named x")]
    other = panel.get_by_role("listitem", name="other", exact=True)
    expect(other).to_contain_text("ImportError: no module named x")
    expect(panel.get_by_role("listitem", name="adder", exact=True)).to_have_count(0)


def test_says_when_the_engine_is_down_and_when_it_is_back(panel: Locator, engine: FakeEngine) -> None:
    engine.problem = "The engine is starting."
    expect(panel.get_by_role("status")).to_contain_text("The engine is starting.")
    expect(panel.get_by_role("button", name="Unload")).to_be_disabled()
    engine.problem = None
    panel.get_by_role("button", name="Refresh").click()
    expect(panel.get_by_role("status")).to_be_empty()
    expect(panel.get_by_role("button", name="Unload")).to_be_enabled()


@pytest.mark.parametrize(("label", "body"), [("Unload", {"delete": False}), ("Restart", {})])
def test_asks_before_it_acts(panel: Locator, engine: FakeEngine, page: Page, label: str, body: object) -> None:
    panel.get_by_role("button", name=label).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{label} adder?")
    dialog.get_by_role("button", name=label).click()
    expect(dialog).to_have_count(0)
    action = {"Unload": "undeploy", "Restart": "restart"}[label]
    expect(panel.get_by_role("button", name=label)).to_have_count(0 if label == "Unload" else 1)
    assert engine.posts == [(f"models/adder/{action}", body)]


def test_does_nothing_when_declined(panel: Locator, engine: FakeEngine, page: Page) -> None:
    panel.get_by_role("button", name="Unload").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(panel.get_by_role("button", name="Unload")).to_be_enabled()
    assert engine.posts == []


def test_copies_a_curl_line_without_the_token(panel: Locator, page: Page, lab: Lab) -> None:
    panel.get_by_role("button", name="Copy curl").click()
    page.wait_for_function("navigator.clipboard.readText().then(text => text.startsWith('curl '))")
    line = page.evaluate("navigator.clipboard.readText()")
    assert f"'{lab.url}/pyserve/v2/models/adder/infer'" in line
    assert "$PYSERVE_TOKEN" in line
    assert lab.token not in line


def test_shows_hostile_names_as_text(panel: Locator, engine: FakeEngine, page: Page) -> None:
    name = "<img src=x onerror='window.pwned = 1'>"
    engine.models = [model_status(name, reason=f"<script>window.pwned = 1</script>{name}")]
    expect(panel.get_by_role("listitem", name=name, exact=True)).to_be_visible()
    panel.get_by_role("button", name="Unload").click()
    expect(page.get_by_role("dialog")).to_contain_text(name)
    assert page.evaluate("window.pwned") is None
    expect(page.locator("#jupyter-pyserve-panel img")).to_have_count(0)


def test_opens_from_the_launcher_and_by_command(lab: Lab, page: Page, engine: FakeEngine) -> None:
    lab.open(page)
    panel = page.get_by_role("region", name="Served models")
    expect(panel).to_be_hidden()
    page.locator(".jp-LauncherCard", has_text="Served Models").click()
    expect(panel.get_by_role("listitem", name="adder", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Served Models").click()
    expect(panel).to_be_hidden()
    execute(page, "pyserve:show-panel")
    expect(panel).to_be_visible()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_can_be_read_in_both_themes(panel: Locator, page: Page, theme: str) -> None:
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })",
        theme,
    )
    expect(page.locator(f'body[data-jp-theme-name="{theme}"]')).to_have_count(1)
    colours = "element => { const s = getComputedStyle(element); return [s.color, s.backgroundColor] }"
    foreground, background = panel.evaluate(colours)
    assert (brightness(foreground) > brightness(background)) is (theme == "JupyterLab Dark")


def brightness(css_colour: str) -> float:
    channels = css_colour[css_colour.index("(") + 1 : -1].split(",")[:3]
    return sum(map(float, channels))
