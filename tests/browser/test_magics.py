"""Every magic in JupyterLab, from top to bottom of one notebook; and a log that is followed until it is interrupted."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab, execute, notebook_ready, run_all_cells
from tests.browser.notebook import write_cells
from tests.browser.panel import SCREENSHOTS
from tests.browser.test_notebooks import ALL_RUN, code_cells, errors

ADD = """%%pyserve model sum --input X:FP32:-1 --output Y:FP32:-1 --deploy
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        print("asked for", len(requests))
        sums = [pb_utils.Tensor("Y", request.inputs()[0].as_numpy() + {more}) for request in requests]
        return [pb_utils.InferenceResponse([item]) for item in sums]
"""

#: What is typed, and what the output says.
CELLS = {
    "%load_ext jupyter_pyserve\nimport jupyter_pyserve as pyserve\nx = [1, 2]": "",
    ADD.format(more=1): r"sum READY\s+in [\d.,]+ [mµ]s",
    "%pyserve infer sum X=[*x, 3] --id abc": r"sum answered in [\d.,]+ [mµ]s[\s\S]*\[2., 3., 4.\]",
    "%pyserve list": r"sum\s*READY",
    "%pyserve status": r"engine [\w.]+.* is READY",
    "%pyserve scale sum 2": r"sum_1",
    ADD.format(more=10): r"sum READY\s+in [\d.,]+ [mµ]s",
    "%pyserve rollback sum": r"version 3 is what version 1 was",
    "%pyserve infer sum X=x": r"\[2., 3.\]",
    "%pyserve logs sum --grep asked": r"\[abc\] asked for 1",
    "%pyserve logs sum --for 1": r"asked for 1",
    "%pyserve drain sum": r"refuses new requests",
    "%pyserve resume sum": r"takes requests again",
    "%pyserve restart sum sum_0": r"sum_0",
    "%pyserve stack sum": r"sum_0",
    "%pyserve kill sum": r"sum_0 was killed and starts again",
    "%pyserve top sum --once": r"p50\s[\s\S]*sum_0",
    "%pyserve bench sum -c 1,2 --duration 0.3": r"requests at once",
    "%pyserve record sum --mode all": r"all requests of model 'sum' are kept",
    "%pyserve record": r"no request is recorded",
    "%pyserve shared": r"no array is shared",
    "%pyserve open sum": r"Served Models , the panel of JupyterLab[\s\S]*/pyserve/v2/models/sum/stats",
    "%pyserve export sum out": r"model 'sum' is in out/sum",
    "%pyserve serve --model-repository out --http-port 0 --grpc-port 0 --metrics-port 0": r"HTTP http://127",
    "%pyserve serve --stop": r"stopped: pid \d+",
    'await pyserve.aio.infer("sum", {"X": [40]})': r"\[41.\]",
    "%pyserve help rollback": r"usage: %pyserve rollback",
    "%pyserve unload sum": r"%pyserve load sum brings it back",
    "%pyserve load sum": r"READY",
    "%pyserve undeploy sum": r"out of service",
}


@pytest.fixture
def notebook(lab: Lab, page: Page) -> Locator:
    page.set_viewport_size({"width": 1280, "height": 1600})
    write_cells(lab.root / "magics.ipynb", *CELLS)
    lab.open(page, "magics.ipynb")
    return page.locator(".jp-NotebookPanel")


def shown(cell: dict[str, Any]) -> str:
    """What a cell's outputs say, HTML as its text."""
    parts = []
    for output in cell["outputs"]:
        data = output.get("data", {})
        html = data.get("text/html")
        parts.append(re.sub(r"<[^>]+>", " ", html) if html else data.get("text/plain", output.get("text", "")))
    return re.sub(r"[ \t]+", " ", "\n".join(parts))


def test_every_magic(notebook: Locator, page: Page, lab: Lab) -> None:
    run_all_cells(page)
    page.wait_for_function(ALL_RUN, timeout=120_000)
    cells = code_cells(page)
    assert errors(cells) == []
    for cell, pattern in zip(cells, CELLS.values(), strict=True):
        assert re.search(pattern, shown(cell)), f"{cell['source']}\n{shown(cell)}"

    opened = notebook.locator(".jp-CodeCell", has_text="%pyserve open sum")
    opened.scroll_into_view_if_needed()
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "magics.png")
    opened.get_by_role("button", name="Served Models").click()
    expect(page.locator("#jupyter-pyserve-panel")).to_be_visible()


def test_a_followed_log_ends_with_an_interrupt(lab: Lab, page: Page) -> None:
    cells = ["%load_ext jupyter_pyserve", ADD.format(more=1), "%pyserve logs sum -f", "print('after', 'wards')"]
    write_cells(lab.root / "follow.ipynb", *cells)
    lab.open(page, "follow.ipynb")
    notebook_ready(page)
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")  # not awaited: it follows
    output = page.locator(".jp-CodeCell", has_text="%pyserve logs sum -f").locator(".jp-OutputArea-output")
    expect(output).to_contain_text("interrupt the kernel to end it", timeout=60_000)
    execute(page, "notebook:interrupt-kernel")
    expect(output).not_to_contain_text("interrupt the kernel", timeout=30_000)
    page.wait_for_function(ALL_RUN, timeout=30_000)
    assert errors(code_cells(page)) == []
