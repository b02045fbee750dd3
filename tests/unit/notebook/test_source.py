from __future__ import annotations

import textwrap

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.source import ModelSource, SourceFacts, check_source, inspect_source


def _source(text: str) -> ModelSource:
    return ModelSource(text=textwrap.dedent(text), label="Cell In[3]", line_offset=1)


PLAIN = """
class TritonPythonModel:
    def execute(self, requests):
        return []
"""


def test_lines_are_counted_as_in_the_cell() -> None:
    source = _source("a\nb\n")
    assert source.where(2) == "Cell In[3], line 3"
    assert (source.line(0), source.line(1), source.line(2), source.line(3)) == (None, "a", "b", None)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (PLAIN, (True, True, False)),
        ("class TritonPythonModel:\n    pass\n", (True, False, False)),
        ("class TritonPythonModel(Base):\n    pass\n", (True, None, None)),
        ("@decorate\nclass TritonPythonModel:\n    pass\n", (True, None, None)),
        ("class TritonPythonModel:\n    for x in y: pass\n", (True, None, None)),
        ("class TritonPythonModel:\n    execute = auto_complete_config = f\n", (True, True, True)),
        ("class TritonPythonModel:\n    async def execute(self, requests): ...\n", (True, True, False)),
        (f"try:\n{textwrap.indent(PLAIN, '  ')}\nexcept ImportError:\n  pass\n", (True, True, False)),
        (
            "class TritonPythonModel:\n    @staticmethod\n    def auto_complete_config(c): return c\n",
            (True, False, True),
        ),
        ("from x import TritonPythonModel\n", (None, None, None)),
        ("from x import Y as TritonPythonModel\n", (None, None, None)),
        ("from x import *\n", (None, None, None)),
        ("TritonPythonModel = make()\n", (None, None, None)),
        ("class Model: pass\n", (False, None, None)),
        ("def f():\n    class TritonPythonModel: pass\n", (False, None, None)),
        ("", (False, None, None)),
    ],
)
def test_facts(text: str, facts: tuple[bool | None, bool | None, bool | None]) -> None:
    expected = SourceFacts(has_class=facts[0], has_execute=facts[1], has_auto_complete=facts[2])
    assert inspect_source(_source(text)) == expected


def test_a_cell_without_the_class_is_an_error_that_names_it() -> None:
    with pytest.raises(PyServeError, match=r"Cell In\[3\] defines no class 'TritonPythonModel'"):
        check_source(_source("class Model: pass"))


def test_a_class_without_execute_is_a_warning() -> None:
    facts, warnings = check_source(_source("class TritonPythonModel:\n    pass\n"))
    assert facts.has_execute is False
    assert ["has no execute" in warning for warning in warnings] == [True]
    assert check_source(_source(PLAIN))[1] == []


@pytest.mark.parametrize("text", ["def", "return 1", "!ls", "x = (\n"])
def test_syntax_errors_are_pythons_own(text: str) -> None:
    with pytest.raises(SyntaxError):
        check_source(_source(text))
