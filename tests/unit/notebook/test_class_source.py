from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.class_source import source_of_class
from jupyter_pyserve.notebook.kernel import cell_texts, make_resolver
from jupyter_pyserve.notebook.source import ModelSource

CELL = """import math
SCALE = 2

def scaled(x):
    return x * SCALE + OFFSET

print("only here")

class Scaler:
    def execute(self, requests):
        return [scaled(math.floor(r)) for r in requests]
"""


def source_of(cls: type) -> ModelSource:
    texts = cell_texts()
    return source_of_class(cls, texts, make_resolver(texts))


def scaler(shell: InteractiveShell, *cells: str) -> type:
    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()  # type: ignore[no-untyped-call]
    found: type = shell.user_ns["Scaler"]
    return found


def test_a_class_brings_what_it_needs_and_nothing_else(shell: InteractiveShell, tmp_path: Path) -> None:
    source = source_of(scaler(shell, "OFFSET = 5", CELL))
    assert "only here" not in source.text
    assert source.text.splitlines()[0] == "import math"
    number = next(n for n, line in enumerate(source.text.splitlines(), 1) if "math.floor" in line)
    assert source.where(number) == "Cell In[2], line 11"
    file = tmp_path / "model.py"
    file.write_text(f"{source.text}\nassert TritonPythonModel().execute([1.5]) == [7]\n")
    subprocess.run([sys.executable, str(file)], check=True)


def test_a_class_of_that_very_name_needs_no_other(shell: InteractiveShell) -> None:
    cell = "class TritonPythonModel:\n    def execute(self, requests): ...\n"
    shell.run_cell(cell, store_history=True).raise_error()  # type: ignore[no-untyped-call]
    assert source_of(shell.user_ns["TritonPythonModel"]).text.strip() == cell.strip()


def test_what_can_not_come_along_is_an_error_that_names_it(shell: InteractiveShell) -> None:
    cls = scaler(shell, "OFFSET = object()", CELL)
    with pytest.raises(PyServeError, match=r"In\[2\], line 5 \(in scaled\): 'OFFSET' is an object of builtins.object"):
        source_of(cls)


def test_a_class_of_a_module_brings_its_file(shell: InteractiveShell) -> None:
    source = source_of(FakeModel)
    assert source.label == f"File {__file__}"
    assert source.text.endswith("\nTritonPythonModel = FakeModel\n")
    assert "class FakeModel" in source.text


class FakeModel:
    def execute(self, requests: list[object]) -> list[object]:
        return requests


def test_a_class_without_source_says_so(shell: InteractiveShell) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    exec(compile("class Gone:\n  def execute(self): ...\n", "<nowhere>", "exec"), namespace)
    gone = namespace["Gone"]
    assert isinstance(gone, type)
    with pytest.raises(PyServeError, match="source of class 'Gone' can't be found"):
        source_of(gone)
