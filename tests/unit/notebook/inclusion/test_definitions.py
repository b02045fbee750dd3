from __future__ import annotations

import linecache
import math
from collections.abc import Iterator

import pytest

from jupyter_pyserve.notebook.inclusion.definitions import CellTexts

FIRST = "from math import sqrt as root, pi\n\n@decorated\ndef f():\n    return 1\n"
SECOND = (
    "def f():\n    return 2\ng = lambda: f()\ndef twice(): ...\ndef twice(): ...\nif True:\n    def inner(): pass\n"
)


@pytest.fixture
def texts() -> Iterator[CellTexts]:
    files = {"cell-1": FIRST, "cell-2": SECOND, "cell-3": "not python ("}
    for file, text in files.items():
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    yield CellTexts(list(files), lambda file: f"Cell {file}")
    for file in files:
        del linecache.cache[file]


def test_the_newest_cell_has_the_definition(texts: CellTexts) -> None:
    found = texts.definition("f")
    assert found is not None
    assert (found.text, found.label, found.first, found.position) == (
        "def f():\n    return 2\n",
        "Cell cell-2",
        1,
        (1, 1),
    )


def test_a_place_says_which_one_is_meant(texts: CellTexts) -> None:
    found = texts.definition("f", "cell-1", 4)
    assert found is not None
    assert (found.text, found.first) == ("@decorated\ndef f():\n    return 1\n", 3)
    assert texts.definition("f", "cell-1", 1) is None


def test_of_two_in_one_cell_the_last_counts(texts: CellTexts) -> None:
    found = texts.definition("twice")
    assert found is not None
    assert found.first == 5


def test_a_lambda_is_its_assignment(texts: CellTexts) -> None:
    found = texts.definition("g")
    assert found is not None
    assert found.text == "g = lambda: f()\n"


def test_what_stands_at_no_cells_top_is_not_found(texts: CellTexts) -> None:
    assert texts.definition("inner") is None
    assert texts.definition("f", "nowhere") is None


def test_the_import_that_gave_a_value(texts: CellTexts) -> None:
    assert texts.import_of("root", math.sqrt) == "from math import sqrt as root"
    assert texts.import_of("pi", math.pi) == "from math import pi"
    assert texts.import_of("root", math.cos) is None
    assert texts.import_of("sqrt", math.sqrt) is None
