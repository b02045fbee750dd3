"""What can be done from the side panel: each button, against a made-up engine that notes what it was asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.engine import FakeEngine, instance_status, model_status
from tests.browser.lab import Lab, notebook_ready
from tests.browser.panel import choose, clipboard, open_panel, picture, press, row, until

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
LINE = {"time": 1e9, "instance": "adder_0", "version": "1", "stream": "stdout", "level": "INFO"}


def write_notebook(path: Path, source: str) -> None:
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
    path.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": KERNEL}, "cells": [cell]})
    )


def asked(engine: FakeEngine, page: Page, *posts: tuple[str, object]) -> None:
    """The engine was asked exactly this."""
    until(page, lambda: len(engine.posts) >= len(posts))
    assert engine.posts == [*posts]


@pytest.mark.parametrize(("label", "body"), [("Unload", {"delete": False}), ("Restart", {})])
def test_asks_before_it_acts(panel: Locator, engine: FakeEngine, page: Page, label: str, body: object) -> None:
    choose(panel, "adder")
    press(panel, label)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{label} adder?")
    expect(dialog).to_contain_text("adder_0 (pid 4242)")
    dialog.get_by_role("button", name=label).click()
    action = {"Unload": "undeploy", "Restart": "restart"}[label]
    asked(engine, page, (f"api/models/adder/{action}", body))
    expect(row(panel, "adder")).to_have_count(0 if label == "Unload" else 1)


def test_does_nothing_when_declined(panel: Locator, engine: FakeEngine, page: Page) -> None:
    choose(panel, "adder")
    press(panel, "Unload")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(panel.get_by_role("button", name="Unload")).to_be_enabled()
    assert engine.posts == []


@pytest.mark.parametrize(
    ("label", "draining", "endpoint"),
    [
        ("Reload", False, "v2/repository/models/adder/load"),
        ("Drain", False, "api/models/adder/drain"),
        ("Resume", True, "api/models/adder/resume"),
    ],
)
def test_acts_at_once(
    panel: Locator, engine: FakeEngine, page: Page, label: str, draining: bool, endpoint: str
) -> None:
    engine.models = [model_status(draining=draining)]
    engine.push()
    choose(panel, "adder")
    press(panel, label)
    asked(engine, page, (endpoint, {}))


def test_scales(panel: Locator, engine: FakeEngine, page: Page) -> None:
    choose(panel, "adder")
    press(panel, "Scale…")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("spinbutton").fill("4")
    dialog.get_by_role("button", name="Scale").click()
    asked(engine, page, ("api/models/adder/scale", {"instances": 4}))


def test_rolls_back_to_an_earlier_deploy(panel: Locator, engine: FakeEngine, page: Page) -> None:
    engine.models = [model_status(deploys=[{"version": "1", "time": 1}, {"version": "2"}, {"version": "3"}])]
    engine.push()
    choose(panel, "adder")
    press(panel, "Roll back…")
    dialog = page.get_by_role("dialog")
    choice = dialog.get_by_role("combobox")
    expect(choice.get_by_role("option")).to_have_count(2)
    choice.select_option(index=1)
    dialog.get_by_role("button", name="Roll Back").click()
    asked(engine, page, ("api/models/adder/rollback", {"version": "1"}))


def test_loads_a_model_of_the_repository(panel: Locator, engine: FakeEngine, page: Page) -> None:
    engine.answers["v2/repository/index"] = lambda _: {"json": [{"name": "adder", "state": "READY"}, {"name": "new"}]}
    press(panel, "Load a model")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("option")).to_have_count(1)
    dialog.get_by_role("button", name="Load").click()
    asked(engine, page, ("v2/repository/index", {}), ("v2/repository/models/new/load", {}))


@pytest.mark.parametrize(("label", "words"), [("Kill", "Request r-7, which it is executing, fails."), ("Restart", "")])
def test_names_the_process_that_ends(panel: Locator, engine: FakeEngine, page: Page, label: str, words: str) -> None:
    engine.models = [model_status(instances=[instance_status(busy_since_s=2.0, current_request="r-7")])]
    engine.push()
    choose(panel, "adder_0")
    press(panel, label)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Process 4242")
    expect(dialog).to_contain_text(words)
    picture(page, f"panel_{label.lower()}")
    dialog.get_by_role("button", name=label).click()
    asked(engine, page, (f"api/models/adder/instances/adder_0/{label.lower()}", {}))


@pytest.mark.parametrize(("label", "draining"), [("Drain", False), ("Resume", True)])
def test_takes_an_instance_out_and_in_again(
    panel: Locator, engine: FakeEngine, page: Page, label: str, draining: bool
) -> None:
    engine.models = [model_status(instances=[instance_status(draining=draining)])]
    engine.push()
    choose(panel, "adder_0")
    press(panel, label)
    asked(engine, page, (f"api/models/adder/instances/adder_0/{label.lower()}", {}))


def test_lets_a_debugger_attach(panel: Locator, engine: FakeEngine, page: Page) -> None:
    debug = "api/models/adder/instances/adder_0/debug"
    engine.answers[debug] = lambda _: {"json": {"host": "127.0.0.1", "port": 5678}}
    choose(panel, "adder_0")
    press(panel, "Debug")
    assert clipboard(page, "127.") == "127.0.0.1:5678"
    engine.models = [model_status(instances=[instance_status(debug={"port": 5678})])]
    engine.push()
    press(panel, "End debugging")
    asked(engine, page, (debug, {"port": 0}), ("api/models/adder/instances/adder_0/undebug", {}))


def test_shows_why_an_action_failed(panel: Locator, engine: FakeEngine, page: Page) -> None:
    engine.answers["api/models/adder/drain"] = lambda _: {"status": 400, "json": {"error": "it has no drain <b>"}}
    choose(panel, "adder")
    press(panel, "Drain")
    expect(page.get_by_role("dialog")).to_contain_text("it has no drain <b>")


def test_shows_logs_and_leads_to_a_request(panel: Locator, engine: FakeEngine, page: Page) -> None:
    lines = [
        {**LINE, "seq": 1, "text": "\x1b[32mbegin\x1b[0m", "request": "r-1"},
        {**LINE, "seq": 2, "text": "something else", "level": "ERROR"},
    ]
    engine.answers["api/models/adder/logs"] = lambda _: {"json": {"records": lines, "next": 2}}
    choose(panel, "adder", "Logs")
    log = panel.get_by_role("log")
    expect(log).to_contain_text("begin")
    picture(page, "panel_logs")
    log.get_by_role("button", name="r-1").click()
    expect(log).not_to_contain_text("something else")
    press(panel, "Show all")
    panel.get_by_role("combobox", name="Least level").select_option("Errors")
    expect(log).not_to_contain_text("begin")
    panel.get_by_role("combobox", name="Least level").select_option("All")
    panel.get_by_role("searchbox", name="Search the log").fill("BEG")
    expect(log).not_to_contain_text("something else")
    press(panel, "Copy the log")
    assert "INFO adder_0 [r-1] begin" in clipboard(page, "0")


def test_dumps_stacks(panel: Locator, engine: FakeEngine, page: Page) -> None:
    answer = {"stack": 'Thread 0x1\n  File "model.py", line 3 in execute', "request": "r-1", "since_s": 61}
    engine.answers["api/models/adder/instances/adder_0/stack"] = lambda _: {"json": answer}
    choose(panel, "adder_0", "Stack")
    press(panel, "Dump the stacks")
    expect(panel.locator("pre")).to_contain_text("line 3 in execute")
    expect(panel).to_contain_text("for 1 min 1 s")
    picture(page, "panel_stack")
    panel.get_by_role("button", name="r-1").click()
    expect(panel.get_by_role("tab", name="Logs")).to_have_attribute("aria-selected", "true")


def test_calls_a_model(panel: Locator, engine: FakeEngine, page: Page) -> None:
    answer = {"outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [1, 2], "data": [3.0, 4.0]}]}
    engine.answers["v2/models/adder/infer"] = lambda _: {"json": answer}
    choose(panel, "adder", "Try it")
    panel.get_by_role("textbox", name="INPUT0").fill("[[2, 3]]")
    press(panel, "Infer")
    expect(panel.locator("pre")).to_contain_text("[ 3, 4 ]")
    picture(page, "panel_try")
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [1, 2], "data": [2, 3]}
    asked(engine, page, ("v2/models/adder/infer", {"inputs": [tensor]}))
    panel.get_by_role("textbox", name="INPUT0").fill("[[2, 3]")
    press(panel, "Infer")
    expect(panel.get_by_role("alert")).to_contain_text("INPUT0 is not JSON")


def test_streams_from_a_decoupled_model(panel: Locator, engine: FakeEngine, page: Page) -> None:
    engine.models = [model_status(decoupled=True)]
    engine.push()
    events = 'data: {"OUTPUT0":1}\n\ndata: {"OUTPUT0":2}\n\n'
    engine.answers["v2/models/adder/generate_stream"] = lambda _: {"body": events, "content_type": "text/event-stream"}
    choose(panel, "adder", "Try it")
    press(panel, "Generate")
    expect(panel.locator("pre")).to_contain_text('"OUTPUT0": 2')
    expect(panel.locator("form")).to_contain_text("2 responses in")
    asked(engine, page, ("v2/models/adder/generate_stream", {"INPUT0": [0, 0]}))


def test_copies_a_curl_line_without_the_token(panel: Locator, page: Page, lab: Lab) -> None:
    choose(panel, "adder")
    press(panel, "Copy curl")
    line = clipboard(page, "curl ")
    assert f"'{lab.url}/pyserve/v2/models/adder/infer'" in line
    assert "$PYSERVE_TOKEN" in line
    assert lab.token not in line


def test_copies_a_script(panel: Locator, page: Page, lab: Lab) -> None:
    choose(panel, "adder")
    press(panel, "Copy Python")
    script = clipboard(page, "import os")
    compile(script, "script.py", "exec")
    assert "client.infer(" in script
    assert lab.token not in script


def test_inserts_code_into_the_active_notebook(lab: Lab, page: Page, engine: FakeEngine) -> None:
    write_notebook(lab.root / "insert.ipynb", "first = 1")
    lab.open(page, "insert.ipynb")
    notebook_ready(page)
    panel = open_panel(page)
    choose(panel, "adder")
    press(panel, "Insert code")
    cells = "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"
    page.wait_for_function(f"() => ({cells})().length === 2")
    first, second = page.evaluate(cells)
    assert first["source"] == "first = 1"
    assert 'model = pyserve.model("adder")\nmodel(INPUT0=np.zeros((1, 2), dtype=np.float32))' in second["source"]
    assert second["execution_count"] is None
    compile(second["source"], "cell.py", "exec")


def test_copies_the_code_where_no_notebook_is_active(panel: Locator, page: Page) -> None:
    choose(panel, "adder")
    press(panel, "Insert code")
    assert "pyserve.model" in clipboard(page, "import numpy")


def test_opens_the_notebook_that_deployed_a_model(panel: Locator, lab: Lab, engine: FakeEngine, page: Page) -> None:
    write_notebook(lab.root / "owner.ipynb", "")
    engine.models = [model_status(owner=str(lab.root / "owner.ipynb"))]
    engine.push()
    choose(panel, "adder")
    press(panel, "owner.ipynb")
    expect(page.get_by_role("tab", name="owner.ipynb")).to_be_visible()
