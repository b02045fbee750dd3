from __future__ import annotations

import linecache
import math
import sys
import types
from collections.abc import Iterator

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.class_source import source_of_class
from jupyter_pyserve.notebook.source import ModelSource

CELL = """import json

SCALE = 2
table = {"a": [1, 2]}
handle = open


def scaled(x):
    return x * SCALE + OFFSET


print_me = json.dumps(table)


@decorated
class Scaler:
    def execute(self, requests):
        return [scaled(math.floor(r)) for r in requests]


deploy(Scaler)
"""


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A `__main__` as a kernel has it."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    yield module
    linecache.cache.pop("cell-3", None)


def _run(main: types.ModuleType, cell: str = CELL, **names: object) -> type:
    vars(main).update({"math": math, "OFFSET": 5, "decorated": lambda cls: cls, "deploy": lambda cls: None, **names})
    linecache.cache["cell-3"] = (len(cell), None, cell.splitlines(keepends=True), "cell-3")
    exec(compile(cell, "cell-3", "exec"), vars(main))
    found: type = vars(main)["Scaler"]
    return found


def _source(cls: type) -> ModelSource:
    return source_of_class(cls, lambda file: f"Cell {file}")


def test_only_definitions_are_kept_and_lines_keep_their_numbers(main: types.ModuleType) -> None:
    cell = CELL.replace("@decorated\n", "\n")
    source = _source(_run(main, cell))
    lines = source.text.splitlines()
    assert lines[:2] == ["OFFSET = 5", "import math as math"]
    assert source.line_offset == -2
    for number, line in enumerate(cell.splitlines(), 1):
        kept = lines[number + 1]
        assert kept in (line, "")
    assert "deploy(Scaler)" not in lines
    assert "handle = open" not in lines
    assert 'table = {"a": [1, 2]}' in lines


def test_the_source_runs_by_itself(main: types.ModuleType) -> None:
    namespace: dict[str, object] = {"__name__": "model"}
    exec(_source(_run(main, CELL.replace("@decorated\n", ""))).text, namespace)
    model = namespace["TritonPythonModel"]
    assert isinstance(model, type)
    assert model().execute([1.5]) == [7]


def test_what_another_cell_defines_is_an_error_that_names_it(main: types.ModuleType) -> None:
    def decorated(cls: type) -> type:
        return cls

    decorated.__module__ = "__main__"
    with pytest.raises(PyServeError, match="'decorated' \\(function\\), which another cell defines"):
        _source(_run(main, decorated=decorated))


def test_a_function_of_a_library_is_imported(main: types.ModuleType) -> None:
    cell = "class Scaler:\n    def execute(self, requests):\n        return f(D, requests)\n"
    source = _source(_run(main, cell, f=types.SimpleNamespace, D=ModelSource))
    assert source.text.splitlines()[:2] == [
        "from jupyter_pyserve.notebook.source import ModelSource as D",
        "from types import SimpleNamespace as f",
    ]


def test_a_class_of_a_module_brings_its_file(main: types.ModuleType) -> None:
    source = _source(FakeModel)
    assert source.label == f"Cell {__file__}"
    assert source.text.endswith("\nTritonPythonModel = FakeModel\n")
    assert "class FakeModel" in source.text


class FakeModel:
    def execute(self, requests: list[object]) -> list[object]:
        return requests


def test_a_class_without_source_says_so(main: types.ModuleType) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    exec(compile("class Scaler:\n  def execute(self): ...\n", "<nowhere>", "exec"), namespace)
    scaler = namespace["Scaler"]
    assert isinstance(scaler, type)
    with pytest.raises(PyServeError, match="source of class 'Scaler' can't be found"):
        _source(scaler)
    with pytest.raises(PyServeError, match="has no method of its own"):
        _source(type("Empty", (), {}))
