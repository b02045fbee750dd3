"""The form, the benchmark and the log viewer in a notebook, with a real engine behind them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab
from tests.browser.notebook import run_cells, run_code, saved
from tests.browser.panel import clipboard, picture, until

DEPLOY = '''\
import jupyter_pyserve as pyserve

ADD = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        found = []
        for request in requests:
            x, text = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("X", "TEXT"))
            if x.max() > 1e6:
                raise pb_utils.TritonModelException("<b>too large</b>")
            print("<img src=x onerror=alert(1)>", text[0].decode())
            pb_utils.Logger.log_warn("a warning")
            outputs = [pb_utils.Tensor("Y", x + 1), pb_utils.Tensor("SAID", text)]
            found.append(pb_utils.InferenceResponse(outputs))
        return found
"""
COUNT = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for number in range(int(request.inputs()[0].as_numpy()[0])):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("N", np.array([number], np.int32))]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
pyserve.deploy(ADD, "add", inputs=["X:FP32:2", "TEXT:BYTES:1"], outputs=["Y:FP32:2", "SAID:BYTES:1"])
pyserve.deploy(COUNT, "count", inputs=["TO:INT32:1"], outputs=["N:INT32:1"], decoupled=True);
'''


@pytest.fixture
def notebook(lab: Lab, page: Page, request: pytest.FixtureRequest) -> Iterator[Locator]:
    page.set_viewport_size({"width": 1280, "height": 1500})  # a view out of sight would wait
    found = run_cells(lab, page, "widgets.ipynb", DEPLOY, request.param)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    yield found
    run_code(page, 'pyserve.undeploy("add", delete=True); pyserve.undeploy("count", delete=True)')


def press(view: Locator, label: str) -> None:
    view.get_by_role("button", name=label, exact=True).click()


@pytest.mark.parametrize("notebook", ['pyserve.form("add")'], indirect=True)
def test_a_form_asks_and_shows_what_comes(notebook: Locator, page: Page, lab: Lab) -> None:
    form = notebook.locator(".pyserve-form")
    expect(form.get_by_role("textbox", name="X", exact=True)).to_have_value("[0, 0]", timeout=30_000)
    expect(form).to_contain_text("FP32 [2]")
    form.get_by_role("textbox", name="X", exact=True).fill("[1, 2.5]")
    form.get_by_role("textbox", name="TEXT").fill("<i>hello</i>")
    press(form, "Infer")
    expect(form.get_by_role("status")).to_contain_text(re.compile(r"1 response in [\d.,]+ [mµ]s"), timeout=20_000)
    expect(form.locator("pre").nth(1)).to_have_text("[2. , 3.5]")
    expect(form.locator("pre").nth(2)).to_have_text('["<i>hello</i>"]')
    picture(page, "form_light")
    press(form, "Copy as Python")
    line = clipboard(page, "import jupyter_pyserve")
    assert "pyserve.model('add')(X=[1.0, 2.5], TEXT=['<i>hello</i>'])" in line
    press(form, "Copy as curl")
    assert '"data":[1.0,2.5]' in clipboard(page, "curl ")
    outputs = saved(lab, page, "widgets.ipynb")["cells"][1]["outputs"]
    assert "[2. , 3.5]" in "".join(outputs[1]["data"]["text/html"])


@pytest.mark.parametrize("notebook", ['pyserve.form("add")'], indirect=True)
def test_a_form_says_what_is_wrong(notebook: Locator, page: Page) -> None:
    form = notebook.locator(".pyserve-form")
    field = form.get_by_role("textbox", name="X", exact=True)
    field.fill("[1,")
    expect(form).to_contain_text("this is not JSON")
    field.fill("[1, 2, 3]")
    press(form, "Infer")
    expect(form).to_contain_text("its shape [3] does not fit [2]")
    form.get_by_text("Request id and parameters").click()
    form.get_by_role("textbox", name="Parameters (JSON)").fill("[]")
    press(form, "Infer")
    expect(form).to_contain_text("a JSON object is needed")
    form.get_by_role("textbox", name="Parameters (JSON)").fill("")
    field.fill("[1e7, 0]")
    press(form, "Infer")
    expect(form.get_by_role("alert")).to_contain_text("<b>too large</b>", timeout=20_000)
    picture(page, "form_error")


@pytest.mark.parametrize("notebook", ['pyserve.form("count")'], indirect=True)
def test_a_form_shows_responses_as_they_come(notebook: Locator, page: Page) -> None:
    form = notebook.locator(".pyserve-form")
    form.get_by_role("textbox", name="TO").fill("3")
    press(form, "Infer (any number of responses)")
    expect(form.get_by_role("status")).to_contain_text("3 responses in", timeout=20_000)
    expect(form.locator("pre:visible")).to_have_text(["[0]", "[1]", "[2]"])


BENCH = 'b = pyserve.bench_widget("add", (1, 2, 4), 0.4, inputs={"X": [1, 2], "TEXT": "x"})\nb'


@pytest.mark.parametrize("notebook", [BENCH], indirect=True)
def test_a_benchmark_shows_its_progress_and_its_plot(notebook: Locator, page: Page, lab: Lab) -> None:
    bench = notebook.locator(".pyserve-bench")
    expect(bench.get_by_role("button", name="Measure again")).to_be_visible(timeout=30_000)
    expect(bench.get_by_role("row")).to_have_count(4)
    expect(bench.get_by_role("img", name=re.compile(r"^Latency over .* 1: [\d.,]+.s, 2: "))).to_be_visible()
    expect(bench).to_contain_text("over lane")
    picture(page, "bench_light")
    outputs = saved(lab, page, "widgets.ipynb")["cells"][1]["outputs"]
    assert "requests per second at most" in "".join(outputs[1]["data"]["text/html"])


@pytest.mark.parametrize("notebook", [BENCH.replace("0.4", "600")], indirect=True)
def test_a_benchmark_can_be_cancelled(notebook: Locator, page: Page) -> None:
    bench = notebook.locator(".pyserve-bench")
    expect(bench.get_by_role("progressbar")).to_be_visible(timeout=30_000)
    picture(page, "bench_running")
    press(bench, "Cancel")
    expect(bench.get_by_role("status")).to_contain_text("stopped before its end", timeout=20_000)
    assert run_code(page, "print(b.running, b.result.levels)") == "False ()\n"


@pytest.mark.parametrize("notebook", ["v = pyserve.log_viewer()\nv"], indirect=True)
def test_a_log_shows_lines_as_they_come(notebook: Locator, page: Page, lab: Lab) -> None:
    viewer = notebook.locator(".pyserve-log-viewer")
    log = viewer.get_by_role("log")
    expect(log).to_be_visible(timeout=30_000)
    run_code(page, 'for n in range(5): pyserve.model("add")(X=[1, 2], TEXT=f"line {n}")')
    expect(log).to_contain_text("<img src=x onerror=alert(1)> line 4", timeout=20_000)
    expect(log.locator("img")).to_have_count(0)
    viewer.get_by_role("searchbox").fill("LINE 3")
    expect(log.locator("div:visible")).to_have_count(1)
    viewer.get_by_role("searchbox").fill("")
    viewer.get_by_role("combobox", name="Instance").select_option("add_0")
    expect(log.locator("div:visible").first).to_contain_text("add_0")
    picture(page, "log_light")
    press(viewer, "Pause")
    until(page, lambda: run_code(page, "print(v.running)") == "False\n")
    run_code(page, 'pyserve.model("add")(X=[1, 2], TEXT="meanwhile")')
    expect(log).not_to_contain_text("meanwhile")
    press(viewer, "Go on")
    expect(log).to_contain_text("meanwhile", timeout=20_000)
    press(viewer, "Clear")
    expect(log.locator("div")).to_have_count(0)
    run_code(page, "v.close()")
    assert "line 4" in json.dumps(saved(lab, page, "widgets.ipynb")["cells"][1]["outputs"])


KILL = """
import os, signal
os.kill(pyserve.status().status["engine"]["pid"], signal.SIGKILL)
"""


@pytest.mark.parametrize("notebook", ["v = pyserve.log_viewer()\nv"], indirect=True)
def test_a_log_goes_on_with_the_engine_that_follows(notebook: Locator, page: Page) -> None:
    viewer = notebook.locator(".pyserve-log-viewer")
    run_code(page, 'pyserve.model("add")(X=[1, 2], TEXT="before")')
    expect(viewer.get_by_role("log")).to_contain_text("before", timeout=30_000)
    run_code(page, KILL)
    expect(viewer.get_by_role("alert")).to_contain_text("asking again", timeout=20_000)
    expect(viewer.get_by_role("alert")).to_be_empty(timeout=60_000)  # though nothing has been printed
    until(page, lambda: run_code(page, "print(pyserve.status('add').state)") == "READY\n")
    run_code(page, 'pyserve.model("add")(X=[1, 2], TEXT="after")')
    expect(viewer.get_by_role("log")).to_contain_text("after", timeout=20_000)
    expect(viewer.get_by_role("log")).to_contain_text("before")


ALL = 'pyserve.form("add").show()\npyserve.bench_widget("add", (1, 2), 0.2, {"X": [1, 2], "TEXT": "x"}).show()'


@pytest.mark.parametrize("notebook", [ALL], indirect=True)
def test_several_views_of_one_cell_in_the_dark(notebook: Locator, page: Page) -> None:
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", "JupyterLab Dark")
    expect(notebook.locator(".pyserve-form")).to_be_visible(timeout=30_000)
    expect(notebook.get_by_role("button", name="Measure again")).to_be_visible(timeout=30_000)
    picture(page, "widgets_dark")
