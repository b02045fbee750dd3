"""The notebooks as a newcomer runs them: in JupyterLab, from top to bottom, with a real engine behind them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab, run_all_cells
from tests.browser.panel import picture

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOK = FOLDER / "quickstart.ipynb"
OTHERS = sorted(path.name for path in FOLDER.glob("*.ipynb") if path != NOTEBOOK)

ALL_RUN = """() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
    .every(cell => cell.cell_type !== 'code' || !cell.source || cell.execution_count !== null)"""
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
    page.wait_for_function(ALL_RUN, timeout=60_000)
    assert errors(code_cells(page)) == []

    call = notebook.locator(".jp-CodeCell", has_text='m(INPUT0=[[1, 2, 3]])["OUTPUT0"]')
    call.scroll_into_view_if_needed()
    expect(call.locator(".jp-OutputArea-output")).to_contain_text("array([[2., 3., 4.]]")

    source = page.locator(".jp-InputArea-editor", has_text=re.compile(r"^\s*%pyserve deploy my_python_model\s*$"))
    deploy = notebook.locator(".jp-CodeCell", has=source)
    deploy.scroll_into_view_if_needed()
    expect(deploy.locator(".jp-OutputArea-output").last).to_contain_text("READY")


@pytest.mark.parametrize("name", OTHERS)
def test_the_others_run_as_well(name: str, lab: Lab, page: Page) -> None:
    shutil.copy(FOLDER / name, lab.root)
    lab.open(page, name)
    run_all_cells(page)
    page.wait_for_function(ALL_RUN, timeout=150_000)
    assert errors(code_cells(page)) == []
    picture(page, f"notebook-{Path(name).stem}")
