"""JupyterLab's own debugger in a model's process: the bug of the toolbar, a breakpoint in the cell of the model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab, execute
from tests.browser.panel import SCREENSHOTS, until

MODEL = """%%pyserve model debugged --input X:FP32:-1 --output Y:FP32:-1 --deploy
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
            doubled = x * 2
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", doubled)]))
        return responses
"""
CALL = "pyserve.model('debugged')(X=np.array([21], 'f'))"
CELLS = [
    "%load_ext jupyter_pyserve\nimport jupyter_pyserve as pyserve, numpy as np",
    MODEL,
    "%pyserve debug debugged",
    CALL,
    "%pyserve debug debugged --stop",
]
#: The line that adds a response, as the cell's editor counts it.
LINE = 10

RUN_CELL = """async index => {
    const { content } = window.jupyterapp.shell.currentWidget;
    content.activeCellIndex = index;
    await window.jupyterapp.commands.execute('notebook:run-cell');
}"""
KERNEL = """async () => {
    const { context, sessionContext } = window.jupyterapp.shell.currentWidget;
    await context.ready;
    await sessionContext.ready;
    await sessionContext.session.kernel.info;
}"""


@pytest.fixture
def notebook(lab: Lab, page: Page) -> Page:
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": text,
        }
        for number, text in enumerate(CELLS)
    ]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    document: dict[str, Any] = {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
    (lab.root / "debugger.ipynb").write_text(json.dumps(document))
    page.set_viewport_size({"width": 1500, "height": 1100})
    lab.open(page, "debugger.ipynb")
    page.evaluate(KERNEL)
    return page


def test_a_breakpoint_in_the_cell_stops_the_model(notebook: Page) -> None:
    page = notebook
    cell = page.locator(".jp-NotebookPanel .jp-CodeCell")
    for number, text in ((0, ""), (1, "READY"), (2, "JupyterLab: turn on the debugger")):
        page.evaluate(RUN_CELL, number)
        if text:
            expect(cell.nth(number).locator(".jp-OutputArea-output").last).to_contain_text(text, timeout=30_000)
    page.locator(".jp-DebuggerBugButton").first.click()
    expect(page.locator(".jp-DebuggerBugButton[aria-pressed=true]")).to_be_visible(timeout=30_000)
    gutter = cell.nth(1).locator(".cm-gutter.cm-breakpoint-gutter")
    line = cell.nth(1).locator(".cm-line").nth(LINE - 1)
    column, row = gutter.bounding_box(), line.bounding_box()
    assert column is not None
    assert row is not None
    page.mouse.click(column["x"] + column["width"] / 2, row["y"] + row["height"] / 2)
    expect(page.locator(".jp-DebuggerBreakpoint")).to_have_count(1)
    page.evaluate("index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }", 3)
    page.evaluate("() => { void window.jupyterapp.commands.execute('notebook:run-cell'); }")
    stack = page.locator(".jp-DebuggerCallstack")
    expect(stack).to_contain_text("execute", timeout=30_000)
    expect(page.locator(".jp-DebuggerVariables")).to_contain_text("doubled")
    expect(cell.nth(1).locator(".jp-DebuggerEditor-highlight")).to_contain_text("responses.append")
    page.screenshot(path=SCREENSHOTS / "debugger.png")
    execute(page, "debugger:continue")
    expect(cell.nth(3).locator(".jp-OutputArea-output")).to_contain_text("42", timeout=30_000)
    page.locator(".jp-DebuggerBugButton").first.click()
    expect(page.locator(".jp-DebuggerBugButton[aria-pressed=false]")).to_be_visible(timeout=30_000)

    def is_let_go() -> bool:
        page.evaluate(RUN_CELL, 4)
        return "that nobody debugs" in cell.nth(4).locator(".jp-OutputArea-output").last.inner_text(timeout=30_000)

    until(page, is_let_go)  # the kernel hears of it a moment after the button has changed
