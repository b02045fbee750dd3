"""The notebooks of this project: where they lie, what they hold, and what their cells show when they are executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.jupyter.server_process import TOKEN, ServerProcess
from tests.notebooks.kernel_session import CellRun, run_notebook

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def code_cells(name: str) -> list[dict[str, Any]]:
    cells = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def meant_to_fail(name: str) -> list[str]:
    return [cell["id"] for cell in code_cells(name) if "raises-exception" in cell["metadata"].get("tags", [])]


class Shelf:
    """Executes notebooks in a running server, each once; one that failed fails again."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._runs: dict[str, dict[str, CellRun] | AssertionError] = {}

    def read(self, name: str) -> dict[str, CellRun]:
        found = self._runs.get(name)
        if found is None:
            found = self._runs[name] = self._execute(name)
        if isinstance(found, AssertionError):
            raise found
        return found

    def _execute(self, name: str) -> dict[str, CellRun] | AssertionError:
        try:
            return run_notebook(f"http://127.0.0.1:{self._server.port}", TOKEN, FOLDER / f"{name}.ipynb")
        except AssertionError as error:
            return AssertionError(f"{error}\n{self._server.log.read_text()[-10_000:]}")
