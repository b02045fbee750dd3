"""The quickstart notebook as a newcomer runs it: in JupyterLab, from top to bottom, with a real engine behind it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab, run_all_cells

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "quickstart.ipynb"

CELLS = "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"


@pytest.fixture
def notebook(lab: Lab, page: Page) -> Locator:
    shutil.copy(NOTEBOOK, lab.root)
    lab.open(page, NOTEBOOK.name)
    return page.locator(".jp-NotebookPanel")


def code_cells(page: Page) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = page.evaluate(CELLS)
    return [cell for cell in cells if cell["cell_type"] == "code" and cell["source"]]


def errors(cells: list[dict[str, Any]]) -> list[str]:
    """What went wrong in cells that are not there to show an error."""
    return [
        "\n".join([cell["source"], *output["traceback"]])
        for cell in cells
        if "raises-exception" not in cell["metadata"].get("tags", [])
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


def test_runs_from_top_to_bottom(notebook: Locator, page: Page) -> None:
    run_all_cells(page)
    cells = code_cells(page)
    assert errors(cells) == []
    assert [cell["source"] for cell in cells if cell["execution_count"] is None] == []

    call = notebook.locator(".jp-CodeCell", has_text='m(INPUT0=[[1, 2, 3]])["OUTPUT0"]')
    call.scroll_into_view_if_needed()
    expect(call.locator(".jp-OutputArea-output")).to_contain_text("array([[2., 3., 4.]]")

    deploy = notebook.locator(".jp-CodeCell", has_text="%pyserve deploy my_python_model").first
    deploy.scroll_into_view_if_needed()
    expect(deploy.locator(".jp-OutputArea-output").last).to_contain_text("READY")
