"""The monitor in a notebook, with a real engine behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbconvert
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab, execute
from tests.browser.notebook import run_cells, run_code, saved
from tests.browser.panel import picture, until

NAME = "watched"
DEPLOY = f'''\
import jupyter_pyserve as pyserve

SOURCE = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", r.inputs()[0].as_numpy())]) for r in requests]
"""
pyserve.deploy(SOURCE, "{NAME}", inputs=["X:FP32:-1"], outputs=["Y:FP32:-1"], max_batch_size=8, instances=2);
'''
MONITOR = f'm = pyserve.monitor("{NAME}")\nm'
LOAD = f'for _ in range(50): pyserve.model("{NAME}")(X=[[1, 2]])'


@pytest.fixture
def monitor(lab: Lab, page: Page) -> Iterator[Locator]:
    notebook = run_cells(lab, page, "monitor.ipynb", DEPLOY, MONITOR)
    view = notebook.locator(".pyserve-monitor")
    expect(view.get_by_role("row")).to_have_count(3, timeout=60_000)
    yield view
    run_code(page, f'pyserve.undeploy("{NAME}", delete=True)')


def test_shows_what_happens(monitor: Locator, page: Page) -> None:
    run_code(page, LOAD)
    expect(monitor).to_contain_text("50 requests", timeout=20_000)
    expect(monitor.get_by_role("img", name=re.compile(r"^Memory: .*MiB"))).to_be_visible()
    expect(monitor.get_by_role("img", name=re.compile("^Batch sizes: 1: 50 times"))).to_be_visible()
    picture(page, "monitor_light")


def test_asks_only_while_it_is_seen_and_leaves_a_picture(monitor: Locator, page: Page, lab: Lab) -> None:
    assert run_code(page, "print(m.running)") == "True\n"
    still = page.locator(".pyserve-picture")
    expect(still).to_be_hidden()
    run_code(page, LOAD)
    expect(monitor).to_contain_text("50 requests", timeout=20_000)
    execute(page, "notebook:hide-all-cell-outputs")
    until(page, lambda: run_code(page, "print(m.running)") == "False\n")
    outputs = saved(lab, page, "monitor.ipynb")["cells"][1]["outputs"]
    assert "50 requests" in "".join(outputs[1]["data"]["text/html"])
    assert "data:image/svg+xml;base64" in "".join(outputs[1]["data"]["text/html"])
    assert "50 requests" in "".join(outputs[1]["data"]["text/plain"])
    execute(page, "notebook:show-all-cell-outputs")
    until(page, lambda: run_code(page, "print(m.running)") == "True\n")


def test_stops_in_a_window_that_is_not_in_front(monitor: Locator, page: Page) -> None:
    turn = """state => {
        Object.defineProperty(document, 'visibilityState', { get: () => state, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(turn, "hidden")
    until(page, lambda: run_code(page, "print(m.running)") == "False\n")
    page.evaluate(turn, "visible")
    until(page, lambda: run_code(page, "print(m.running)") == "True\n")


def test_stops_with_an_interrupt_and_goes_on_by_hand(monitor: Locator, page: Page) -> None:
    run_code(page, "raise KeyboardInterrupt")
    expect(monitor.get_by_role("button", name="Go on")).to_be_visible()
    assert run_code(page, "print(m.running)") == "False\n"
    monitor.get_by_role("button", name="Go on").click()
    until(page, lambda: run_code(page, "print(m.running)") == "True\n")
    monitor.get_by_role("button", name="Pause").click()
    until(page, lambda: run_code(page, "print(m.running)") == "False\n")


def test_closed_it_leaves_only_the_picture(monitor: Locator, page: Page, lab: Lab) -> None:
    run_code(page, "m.close()")
    expect(monitor).to_have_count(0)
    expect(page.locator(".pyserve-picture")).to_contain_text("watched_0_1")
    picture(page, "monitor_closed")
    until(page, lambda: "widget-view" not in json.dumps(saved(lab, page, "monitor.ipynb")["cells"]))


def test_a_cell_that_runs_again_ends_the_view_before(monitor: Locator, page: Page) -> None:
    run_code(page, "before = m")
    execute(page, "notebook:run-all-cells")
    until(page, lambda: run_code(page, "print(before is not m and m.running, before.running)") == "True False\n")


def test_who_reopens_the_notebook_sees_the_picture(monitor: Locator, page: Page, lab: Lab) -> None:
    saved(lab, page, "monitor.ipynb")
    document = (lab.root / "monitor.ipynb").read_text(encoding="utf-8")
    assert "widget-view" in document  # it is live at this moment
    (lab.root / "copy.ipynb").write_text(document, encoding="utf-8")
    other = page.context.new_page()
    lab.open(other, "copy.ipynb")
    expect(other.locator(".pyserve-picture")).to_contain_text("watched_0_1")
    loading = other.locator(".jp-NotebookPanel").get_by_text("Loading widget")
    expect(loading).to_be_hidden(timeout=20_000)  # there is none to load
    picture(other, "monitor_reopened")
    expect(other.locator(".pyserve-monitor")).to_have_count(0)
    other.close()


def test_a_page_made_of_the_notebook_has_the_picture(monitor: Locator, page: Page, lab: Lab, tmp_path: Path) -> None:
    run_code(page, LOAD)
    expect(monitor).to_contain_text("50 requests", timeout=20_000)
    run_code(page, "m.keep_picture()")
    saved(lab, page, "monitor.ipynb")
    exporter = nbconvert.HTMLExporter()  # type: ignore[no-untyped-call]
    html, _ = exporter.from_filename(str(lab.root / "monitor.ipynb"))
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    other = page.context.new_page()
    other.goto((tmp_path / "page.html").as_uri(), wait_until="domcontentloaded")
    expect(other.locator(".pyserve-picture")).to_contain_text("watched_0_1")
    expect(other.get_by_role("img", name="batch sizes")).to_be_visible()
    picture(other, "monitor_nbconvert")
    other.close()


def test_an_engine_that_is_away_is_named_and_asked_again(monitor: Locator, page: Page) -> None:
    run_code(page, "c = m.connection; where = c._socket_path; c._socket_path = '/nowhere'; m.rest(); m.begin()")
    expect(monitor.get_by_role("alert")).to_contain_text("does not answer")
    picture(page, "monitor_engine_away")
    run_code(page, "c._socket_path = where")
    expect(monitor.get_by_role("alert")).to_be_hidden(timeout=20_000)


CROWD = """
instance = {"version": "1", "pid": 4242, "requests": 7, "failures": 0, "restarts": 0, "kind": "KIND_CPU"}
instance |= {"latency_ms": {"p50": 0.4, "p99": 1.9}, "pss_bytes": 31 << 20, "cpu_percent": 2.5, "last_exit": None}
instance |= {"gpu": None, "unavailable": {"gpu": "<script>no</script>"}}
rows = [{**instance, "id": f"i{n}", "name": f"<img src=x onerror=alert(1)> {n}", "state": "READY"} for n in range(64)]
rows[3]["state"] = "DEAD"
model = {"name": "<b>crowd</b>", "state": "READY", "reason": "<i>why</i>", "instances": rows, "queue_depth": 3}
model |= {"statistics": {"success": 9, "failure": 1, "batch_sizes": {"1": 5, "8": 2}}, "latency_ms": None}
m.rest(); m._watched._only = None
m._take({"type": "snapshot", "status": {"engine": {"state": "READY", "pid": 9}, "models": [model]}})
"""


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_a_crowd_with_strange_names_stays_text(monitor: Locator, page: Page, theme: str) -> None:
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    expect(page.locator(f'body[data-jp-theme-name="{theme}"]')).to_have_count(1)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    assert run_code(page, CROWD) == ""
    expect(monitor.get_by_role("row")).to_have_count(65)
    expect(monitor).to_contain_text("<img src=x onerror=alert(1)> 63")
    expect(monitor).to_contain_text("gpu: <script>no</script>")
    expect(monitor.locator("b, i, img:not(svg), script")).to_have_count(0)
    picture(page, f"monitor_64_{theme.split()[-1].lower()}")
