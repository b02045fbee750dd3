"""The side panel in JupyterLab, against a made-up engine: what it shows, and when it asks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.engine import FakeEngine, instance_status, model_status
from tests.browser.lab import Lab, execute
from tests.browser.panel import choose, clipboard, figure, open_panel, picture, press, row, until

HOSTILE = "<img src=x onerror='window.pwned = 1'>"


def turn_page(page: Page, state: str) -> None:
    """The user goes to another tab of the browser, or comes back."""
    page.evaluate(
        """state => {
            Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
        }""",
        state,
    )


def test_shows_versions_and_processes_with_their_notebook(panel: Locator) -> None:
    for name in ("adder", "version 1", "adder_0"):
        expect(row(panel, name)).to_contain_text("quickstart.ipynb")
    expect(row(panel, "adder_0")).to_contain_text("pid 4242 · 7 requests")
    expect(panel).to_contain_text("pid 99")
    expect(figure(panel, "Host CPU")).to_have_text("37 %")


def test_shows_the_figures_of_a_process(panel: Locator, page: Page) -> None:
    choose(panel, "adder_0")
    expect(figure(panel, "Memory (PSS)")).to_have_text("31.0 MiB")
    expect(figure(panel, "Latency p50 / p99")).to_have_text("400 µs / 1.90 ms")
    expect(figure(panel, "GPU memory")).to_have_text("not available: no NVIDIA driver on this machine")
    picture(page, "panel_instance")


def test_plots_what_happens(panel: Locator, engine: FakeEngine, page: Page) -> None:
    choose(panel, "adder", "Plots")
    engine.models[0]["statistics"]["success"] = 20
    engine.push()
    requests = panel.get_by_role("img", name=re.compile("^Requests:"))
    expect(requests).to_have_attribute("aria-label", re.compile(r"max [1-9]"))
    expect(panel.get_by_role("img", name="Batch sizes: 1: 5 times, 2: 2 times")).to_be_visible()
    picture(page, "panel_plots")


def test_follows_what_the_engine_pushes(panel: Locator, engine: FakeEngine) -> None:
    change = {"models": {"adder": {"instances": {"adder_0": {"requests": 8}}}, "gone": None}}
    engine.push({"type": "delta", "seq": 2, **change})
    expect(row(panel, "adder_0")).to_contain_text("8 requests")
    engine.push({"type": "delta", "seq": 3, "models": {"adder": None, "other": model_status("other")}})
    expect(row(panel, "other")).to_be_visible()
    expect(row(panel, "adder")).to_have_count(0)
    assert engine.gets == []


def test_asks_where_the_engine_cannot_push(lab: Lab, page: Page) -> None:
    engine = FakeEngine(page, events=False)
    lab.open(page)
    panel = open_panel(page)
    expect(row(panel, "adder")).to_be_visible()
    engine.models = [model_status("other")]
    expect(row(panel, "other")).to_be_visible()


def test_costs_nothing_while_it_is_hidden(panel: Locator, engine: FakeEngine, page: Page) -> None:
    choose(panel, "adder", "Logs")
    until(page, lambda: engine.gets)
    page.get_by_role("tab", name="Served Models").click()
    expect(panel).to_be_hidden()
    until(page, lambda: engine.open_sockets == 0)
    asked = len(engine.gets)
    page.evaluate("() => new Promise(resolve => setTimeout(resolve, 2500))")
    assert (len(engine.gets), engine.open_sockets) == (asked, 0)


def test_costs_nothing_while_the_page_is_hidden(panel: Locator, engine: FakeEngine, page: Page) -> None:
    turn_page(page, "hidden")
    until(page, lambda: engine.open_sockets == 0)
    turn_page(page, "visible")
    until(page, lambda: engine.open_sockets == 1)
    expect(row(panel, "adder")).to_be_visible()


def test_says_when_the_engine_is_down_and_when_it_is_back(panel: Locator, engine: FakeEngine, page: Page) -> None:
    choose(panel, "adder")
    engine.fall("The engine died with signal 11.")
    status = panel.get_by_role("status").first
    expect(status).to_contain_text("The engine died with signal 11.")
    expect(panel.get_by_role("button", name="Unload")).to_be_disabled()
    picture(page, "panel_engine_down")
    press(panel, "Start it or try again")
    expect(status).to_contain_text("The engine died with signal 11.")
    engine.problem = None  # which the panel finds out by itself as well
    expect(status).to_be_empty()
    expect(panel.get_by_role("button", name="Unload")).to_be_enabled()


def test_names_why_a_model_is_not_there(panel: Locator, engine: FakeEngine, page: Page) -> None:
    reason = 'the model died 5 times in a row\nFile "model.py", line 7\nImportError: no module named x'
    broken = [instance_status("crasher_0", state="FAILED", pid=None, last_error="Segmentation fault", restarts=5)]
    versions = [{"version": "1", "state": "UNAVAILABLE", "reason": reason}]
    engine.models.append(
        model_status("crasher", state="UNAVAILABLE", reason=reason, versions=versions, instances=broken)
    )
    engine.push()
    expect(row(panel, "crasher")).to_contain_text("the model died 5 times in a row")
    expect(row(panel, "crasher_0")).to_contain_text("Segmentation fault")
    choose(panel, "crasher")
    expect(figure(panel, "Reason")).to_contain_text("ImportError: no module named x")
    picture(page, "panel_crashed_model")


def test_shows_hostile_names_and_lines_as_text(panel: Locator, engine: FakeEngine, page: Page) -> None:
    instance = instance_status(HOSTILE, last_error=HOSTILE, state="FAILED", last_exit=HOSTILE, interpreter=HOSTILE)
    tensor = {"name": HOSTILE, "datatype": HOSTILE, "shape": [1]}
    engine.models = [
        model_status(HOSTILE, reason=f"<script>window.pwned = 1</script>{HOSTILE}", owner=HOSTILE, inputs=[tensor])
        | {"instances": [instance]}
    ]
    record = {"seq": 1, "time": 0, "version": "1", "stream": "log", "level": "ERROR", "instance": HOSTILE}
    lines = [{**record, "text": f"\x1b]0;{HOSTILE}\x07\x1b[31m{HOSTILE}", "request": HOSTILE}]
    engine.answers[f"api/models/{HOSTILE}/logs"] = lambda _: {"json": {"records": lines, "next": 1}}
    stack = {"stack": HOSTILE, "request": HOSTILE, "since_s": 1}
    engine.answers[f"api/models/{HOSTILE}/instances/{HOSTILE}/stack"] = lambda _: {"json": stack}
    engine.answers[f"v2/models/{HOSTILE}/infer"] = lambda _: {"status": 500, "json": {"error": HOSTILE}}
    engine.push()
    rows = panel.get_by_role("treeitem", name=HOSTILE, exact=True)
    rows.first.click()
    for tab, seen in (("Details", "script"), ("Logs", HOSTILE), ("Try it", HOSTILE)):
        panel.get_by_role("tab", name=tab).click()
        expect(panel.get_by_role("tabpanel")).to_contain_text(seen)
    press(panel, "Infer")
    expect(panel.get_by_role("alert")).to_have_text(HOSTILE)
    press(panel, "Unload")
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    rows.last.click()
    panel.get_by_role("tab", name="Stack").click()
    press(panel, "Dump the stacks")
    expect(panel.locator("pre")).to_have_text(HOSTILE)
    picture(page, "panel_hostile")
    assert page.evaluate("window.pwned") is None
    expect(page.locator("#jupyter-pyserve-panel img")).to_have_count(0)


def test_draws_what_is_in_sight_of_many(panel: Locator, engine: FakeEngine, page: Page) -> None:
    busy = [instance_status(f"busy_{number}", pid=5000 + number) for number in range(64)]
    engine.models = [model_status("busy", instances=busy), *(model_status(f"model_{n:03}") for n in range(300))]
    engine.push()
    expect(row(panel, "busy")).to_contain_text("64 instances")
    row(panel, "busy").dblclick()
    expect(row(panel, "busy_0")).to_be_visible()
    assert panel.get_by_role("treeitem").count() < 40
    picture(page, "panel_64_instances")
    panel.get_by_role("tree").press("End")
    expect(row(panel, "model_299")).to_be_visible()
    panel.get_by_role("searchbox", name="Filter by model, notebook or pid").fill("5063")
    panel.get_by_role("tree").press("End")
    expect(row(panel, "busy_63")).to_be_visible()


def test_can_be_used_by_keyboard(panel: Locator, page: Page) -> None:
    tree = panel.get_by_role("tree")
    tree.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(row(panel, "adder_0")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(row(panel, "version 1")).to_have_attribute("aria-expanded", "false")
    panel.get_by_role("tab", name="Details").focus()
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("tab", name="Plots")).to_be_focused()
    expect(panel.get_by_role("img").first).to_be_visible()


def test_opens_from_the_launcher_and_by_command_and_closes(lab: Lab, page: Page, engine: FakeEngine) -> None:
    lab.open(page)
    panel = page.get_by_role("region", name="Served models")
    expect(panel).to_be_hidden()
    page.locator(".jp-LauncherCard", has_text="Served Models").click()
    expect(row(panel, "adder")).to_be_visible()
    page.get_by_role("tab", name="Served Models").click()
    expect(panel).to_be_hidden()
    execute(page, "pyserve:show-panel")
    expect(panel).to_be_visible()
    press(panel, "Close")
    expect(page.get_by_role("tab", name="Served Models")).to_have_count(0)
    until(page, lambda: engine.open_sockets == 0)
    execute(page, "pyserve:show-panel")
    expect(row(panel, "adder")).to_be_visible()


def test_is_in_the_command_palette(panel: Locator, page: Page, engine: FakeEngine) -> None:
    choose(panel, "adder")
    execute(page, "apputils:activate-command-palette")
    page.locator(".lm-CommandPalette-input").fill("PyServe Copy curl")
    page.locator(".lm-CommandPalette-item", has_text="Copy curl Line for Model: adder").click()
    assert "/adder/infer" in clipboard(page, "curl ")


def test_is_among_what_is_running(panel: Locator, page: Page, engine: FakeEngine) -> None:
    page.get_by_role("tab", name="Running Terminals and Kernels").click()
    section = page.locator(".jp-RunningSessions-section", has_text="adder")
    expect(section).to_contain_text("adder")
    item = section.locator(".jp-RunningSessions-item", has_text="adder").first
    picture(page, "panel_running")
    item.hover()
    item.locator(".jp-RunningSessions-itemShutdown").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("adder_0 (pid 4242)")
    dialog.get_by_role("button", name="Unload").click()
    until(page, lambda: engine.posts == [("api/models/adder/undeploy", {"delete": False})])


def test_follows_the_settings(panel: Locator, page: Page, engine: FakeEngine) -> None:
    change = """([key, value]) => window.jupyterapp.serviceManager.settings.save(
        'jupyter-pyserve:plugin', JSON.stringify({ [key]: value }))"""
    expect(figure(panel, "Host CPU")).to_be_visible()
    page.evaluate(change, ["showHostTotals", False])
    page.reload(wait_until="domcontentloaded")
    panel = page.get_by_role("region", name="Served models")
    try:
        if not panel.is_visible():
            open_panel(page)
        expect(figure(panel, "Version")).to_be_visible()
        expect(figure(panel, "Host CPU")).to_have_count(0)
    finally:
        page.evaluate(change, ["showHostTotals", True])


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_can_be_read_in_both_themes(panel: Locator, page: Page, theme: str) -> None:
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })",
        theme,
    )
    expect(page.locator(f'body[data-jp-theme-name="{theme}"]')).to_have_count(1)
    choose(panel, "adder")
    picture(page, f"panel_{theme.split()[-1].lower()}")
    colours = "element => { const s = getComputedStyle(element); return [s.color, s.backgroundColor] }"
    foreground, background = panel.evaluate(colours)
    assert (brightness(foreground) > brightness(background)) is (theme == "JupyterLab Dark")


def brightness(css_colour: str) -> float:
    channels = css_colour[css_colour.index("(") + 1 : -1].split(",")[:3]
    return sum(map(float, channels))


def test_fits_into_a_narrow_side_bar(panel: Locator, page: Page) -> None:
    page.set_viewport_size({"width": 420, "height": 700})
    for tab in ("Details", "Plots", "Logs", "Try it"):
        choose(panel, "adder", tab)
        wide = panel.evaluate("""panel => [...panel.querySelectorAll('*')]
            .filter(element => !element.closest('.jp-PyServe-log, svg'))
            .filter(element => element.getBoundingClientRect().right > panel.getBoundingClientRect().right + 1)
            .map(element => element.className)""")
        assert wide == []
    picture(page, "panel_narrow")
