"""A notebook as a test handles it: written from its cells, run, saved, read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

from tests.browser.lab import Lab, execute, notebook_ready

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def write_cells(path: Path, *sources: str) -> None:
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": KERNEL}, "cells": cells}
    path.write_text(json.dumps(document), encoding="utf-8")


def run_cells(lab: Lab, page: Page, name: str, *sources: str) -> Locator:
    """Open a notebook of these cells, run it, and wait for its end."""
    write_cells(lab.root / name, *sources)
    lab.open(page, name)
    notebook_ready(page)
    execute(page, "notebook:run-all-cells")
    return page.locator(".jp-NotebookPanel")


def run_code(page: Page, code: str) -> str:
    """Run something in the notebook's kernel beside its cells; what it printed."""
    printed: str = page.evaluate(
        """async code => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const future = kernel.requestExecute({ code, store_history: false });
            let text = '';
            future.onIOPub = message => {
                if (message.header.msg_type === 'stream') { text += message.content.text; }
                if (message.header.msg_type === 'error') { text += message.content.evalue; }
            };
            await future.done;
            return text;
        }""",
        code,
    )
    return printed


def saved(lab: Lab, page: Page, name: str) -> dict[str, Any]:
    """The notebook as it is written to disk now."""
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    document: dict[str, Any] = json.loads((lab.root / name).read_text(encoding="utf-8"))
    return document
