from __future__ import annotations

import linecache
import traceback
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.notebook.debugging.placing import places_in, places_of, run_module
from jupyter_pyserve.notebook.source import ModelSource, Piece

TEXT = """from __future__ import annotations
from dataclasses import dataclass

def fail(x: Undefined):
    raise ValueError(x)

@dataclass
class Thing:
    size: int = 3
    def fail(self):
        fail(self.size)
"""


def frames(error: BaseException) -> list[tuple[str, int, str]]:
    """From the module's own frames on: file, line, and the text there."""
    return [(item.filename, item.lineno or 0, item.line or "") for item in traceback.extract_tb(error.__traceback__)][
        1:
    ]


def test_a_file_that_is_as_it_was_keeps_its_name(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(TEXT)
    module = run_module(TEXT, places_in(str(file), TEXT, "<x>"), str(file))
    with pytest.raises(ValueError, match="3") as caught:
        module.Thing().fail()
    assert frames(caught.value) == [(str(file), 11, "fail(self.size)"), (str(file), 5, "raise ValueError(x)")]
    assert module.__file__ == str(file)


def test_a_text_that_is_nowhere_gets_a_name_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text("x = 1  # something else")
    module = run_module(TEXT, places_in(str(file), TEXT, "<the model>"), str(file))
    with pytest.raises(ValueError, match="3") as caught:
        module.Thing().fail()
    assert frames(caught.value)[-1] == ("<the model>", 5, "raise ValueError(x)")
    assert linecache.getlines("<the model>") == TEXT.splitlines(keepends=True)
    linecache.cache.pop("<the model>")


def test_lines_of_several_cells_are_in_those(shell: InteractiveShell) -> None:
    for cell in ("# first\n\ndef fail(x):\n    raise ValueError(x)\n", "%precision 3\nclass Thing: pass\n"):
        shell.run_cell(cell, store_history=True).raise_error()  # type: ignore[no-untyped-call]
    text = "import math\n\ndef fail(x):\n    raise ValueError(x)\n\nclass Thing: fail(math.pi)\n"
    pieces = (
        Piece(first=3, last=4, label="Cell In[1]", offset=0),
        Piece(first=6, last=6, label="Cell In[2]", offset=-4),
    )
    source = ModelSource(text=text, label="Cell In[2]", pieces=pieces)
    with pytest.raises(ValueError, match=r"3\.14") as caught:
        run_module(text, places_of(source, "model.py"), "model.py")
    first, second = (item[0] for item in frames(caught.value)[-2:])
    assert shell.compile.format_code_name(first) == ("Cell", "In[2]")
    assert shell.compile.format_code_name(second) == ("Cell", "In[1]")
    assert [(line, text) for _, line, text in frames(caught.value)[-2:]] == [
        (2, "class Thing: pass"),
        (4, "raise ValueError(x)"),
    ]
