"""What holds for each notebook: saved clean, executed to its end in a real Jupyter server, nothing secret shown."""

from __future__ import annotations

import json

import pytest

from tests.jupyter.server_process import TOKEN
from tests.notebooks.shelf import FOLDER, NAMES, Shelf, code_cells, meant_to_fail


@pytest.mark.parametrize("name", NAMES)
def test_it_is_saved_without_outputs(name: str) -> None:
    for cell in code_cells(name):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs_and_only_those_fail_that_are_meant_to(name: str, shelf: Shelf) -> None:
    runs = shelf.read(name)
    assert list(runs) == [cell["id"] for cell in code_cells(name)]
    assert [run.id for run in runs.values() if run.errors] == meant_to_fail(name)


@pytest.mark.parametrize("name", NAMES)
def test_no_output_holds_the_token(name: str, shelf: Shelf) -> None:
    assert TOKEN not in json.dumps([run.outputs for run in shelf.read(name).values()])


def test_the_readme_names_every_notebook() -> None:
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"notebooks/{name}.ipynb" not in readme] == []
