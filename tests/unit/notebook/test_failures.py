from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code
from jupyter_pyserve.notebook.failures import concise, error_of_event, model_syntax_error
from jupyter_pyserve.notebook.payloads import DeployEvent, FrameInfo
from jupyter_pyserve.notebook.source import ModelSource, Piece

TEXT = "import json\n\nclass TritonPythonModel:\n    def initialize(self, args):\n        json.loads('x')\n"
CELL = ModelSource(text=TEXT, label="Cell In[3]", line_offset=1)
FILE = "/repo/m/2/model.py"
TRITON = "load failed for model 'm': version 2 is at UNAVAILABLE state: Internal: ValueError: no"


def _frame(file: str, line: int, function: str = "f", text: str | None = None) -> FrameInfo:
    return {"file": file, "line": line, "function": function, "text": text}


def _event(*frames: FrameInfo, **fields: str) -> DeployEvent:
    event: DeployEvent = {
        "event": "error",
        "code": "INVALID_ARG",
        "message": f"{TRITON}\n\nAt:\n  /repo/m/2/model.py(5): initialize\n;\n",
        "frames": list(frames),
        "exception": "ValueError",
        "model_file": FILE,
    }
    event.update(fields)  # type: ignore[typeddict-item]
    return event


def test_the_traceback_names_the_cell_and_its_line_and_nothing_of_ours() -> None:
    ours = _frame("/site-packages/pyserve_stub/loader.py", 40, "call")
    error = error_of_event(
        "m", CELL, _event(ours, _frame(FILE, 5, "initialize"), _frame("/lib/json.py", 7, text=" s "))
    )
    assert error.code is Code.INVALID_ARG
    assert error.message == TRITON
    shown = error._render_traceback_()
    assert shown == [
        "ValueError in model 'm' (what served before, if anything, still does)",
        "Cell In[3], line 6, in initialize",
        "      4   class TritonPythonModel:",
        "      5       def initialize(self, args):",
        "----> 6           json.loads('x')",
        "File /lib/json.py:7, in f",
        "      s",
        f"DeployError: {TRITON}",
    ]


def test_many_frames_of_a_library_are_cut() -> None:
    frames = [_frame(f"/lib/{i}.py", i) for i in range(1, 6)]
    shown = error_of_event("m", CELL, _event(_frame(FILE, 1), *frames)).lines
    assert "... 2 more frames" in shown
    assert [line for line in shown if line.startswith("File")] == [f"File /lib/{i}.py:{i}, in f" for i in (3, 4, 5)]


def test_without_frames_tritons_text_is_kept_whole() -> None:
    error = error_of_event("m", CELL, _event(message="no such luck.;\n"))
    assert error._render_traceback_() == ["DeployError: no such luck."]


def test_a_process_that_died_leaves_its_last_words_in_the_log() -> None:
    shown = error_of_event("m", CELL, _event(message="Stub process 'm_0' is not healthy."))._render_traceback_()
    assert "%pyserve logs m" in shown[0]
    assert shown[1] == "DeployError: Stub process 'm_0' is not healthy."


def test_an_unknown_code_is_internal_and_a_missing_message_is_worded() -> None:
    error = error_of_event("m", CELL, {"event": "error", "code": "WHAT"})
    assert (error.code, error.message) == (Code.INTERNAL, "the model failed to load")


def test_a_line_outside_the_cell_shows_what_there_is() -> None:
    assert "Cell In[3], line 100, in f" in error_of_event("m", CELL, _event(_frame(FILE, 99))).lines


def test_concise() -> None:
    assert concise("load failed: x;\n") == "load failed: x"
    assert concise("x\n\nAt:\n  a(1): b\n") == "x"


def test_a_syntax_error_has_the_cells_line() -> None:
    with pytest.raises(SyntaxError) as caught:
        compile("x = 1\ny = (\n", "model.py", "exec")
    shown = model_syntax_error("m", CELL, caught.value)
    assert shown.message == "'(' was never closed (Cell In[3], line 3)"
    assert shown._render_traceback_()[0] == '  File "Cell In[3]", line 3'
    assert shown.syntax_error is not None
    assert shown.syntax_error.lineno == 3


def test_a_line_of_another_cell_is_shown_with_that_cells_lines_alone() -> None:
    pieces = (
        Piece(first=1, last=2, label="Cell In[1]", offset=6),
        Piece(first=4, last=5, label="Cell In[3]", offset=0),
    )
    source = ModelSource(text="def f():\n    no\n\nx = 1\ny = f()\n", label="Cell In[3]", pieces=pieces)
    assert error_of_event("m", source, _event(_frame(FILE, 2, "f"))).lines[1:] == [
        "Cell In[1], line 8, in f",
        "      7   def f():",
        "----> 8       no",
    ]
