from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.functions.decorator import ModelFunction, model
from jupyter_pyserve.notebook.kernel import complete, named
from jupyter_pyserve.notebook.source import ModelSource
from tests.unit.notebook.fake_engine import MODEL, FakeEngine

CELL = """
import jupyter_pyserve as pyserve, functools
from typing import NamedTuple
FACTOR = 3

class Answer(NamedTuple):
    value: pyserve.Tensor["INT64", 1]

@pyserve.model(
    name="tripled",
)
@functools.wraps(print)
def triple(x: int, y: pyserve.Tensor["FP32", -1] = None) -> Answer:
    return Answer([x * FACTOR])
"""
PLAIN = CELL.replace("@functools.wraps(print)\n", "")


def run(shell: InteractiveShell, cell: str) -> None:
    shell.run_cell(cell, store_history=True).raise_error()  # type: ignore[no-untyped-call]


def test_it_stays_the_function_that_it_was(shell: InteractiveShell) -> None:
    run(shell, PLAIN)
    triple = shell.user_ns["triple"]
    assert isinstance(triple, ModelFunction)
    assert triple(2).value == [6]
    assert (triple.function.__name__, triple.name) == ("triple", "tripled")
    assert repr(triple).startswith("<pyserve model 'tripled' (x INT64 [1], y FP32 [-1]) -> (value INT64 [1]): %pyserve")


def test_what_is_written_needs_nothing_of_this_project_and_names_the_cells_lines(shell: InteractiveShell) -> None:
    run(shell, PLAIN)
    source = shell.user_ns["triple"].model_source()
    assert "import jupyter_pyserve" not in source.text
    assert "@pyserve" not in source.text
    assert "FACTOR = 3\n" in source.text
    number = next(n for n, line in enumerate(source.text.splitlines(), 1) if "x * FACTOR" in line)
    assert source.where(number) == "Cell In[1], line 12"
    config = shell.user_ns["triple"].config_pbtxt
    assert 'name: "tripled"' in config
    assert "optional: true" in config
    assert source.text == shell.user_ns["triple"].model_py


def test_a_function_may_become_a_model_later(shell: InteractiveShell) -> None:
    run(shell, PLAIN[: PLAIN.index("@pyserve")] + PLAIN[PLAIN.index("def triple") :] + "made = pyserve.model(triple)\n")
    made = shell.user_ns["made"]
    assert made.name == "triple"
    assert "jupyter_pyserve" not in made.model_py.partition('"""\n')[2]


def test_batching_says_so_in_the_configuration(shell: InteractiveShell) -> None:
    run(
        shell,
        "import jupyter_pyserve as p\n@p.model(batch=True, max_queue_delay_us=5)\n"
        "def f(x: list[int]) -> list[int]:\n    return x",
    )
    config = shell.user_ns["f"].config_pbtxt
    assert "max_batch_size: 32" in config
    assert "dynamic_batching" in config
    assert "batched" in repr(shell.user_ns["f"])
    with pytest.raises(PyServeError, match="batch=False"):
        model(batch=False, max_batch_size=4)


def test_a_model_cell_may_use_such_a_function(shell: InteractiveShell) -> None:
    run(shell, PLAIN.replace("functools", "os"))
    source, doubts = complete(ModelSource(text='"""d"""\nx = triple(3)\n', label="Cell In[2]", line_offset=1))
    assert source.text.splitlines()[:2] == ['"""d"""', "from __future__ import annotations"]
    assert "jupyter_pyserve" not in source.text
    assert doubts == []


def test_the_magic_and_the_function_deploy_the_same(engine: FakeEngine, shell: InteractiveShell) -> None:
    for event in ("tripled",):
        engine.deployment(event, {"event": "ready", "unchanged": False, "elapsed_ms": 1.0, "model": MODEL})
    run(shell, f"{PLAIN}\n")
    run(shell, "%pyserve deploy tripled")
    first = engine.last("/api/models/tripled/deploy").json
    run(shell, "served = triple.deploy()")
    second = engine.last("/api/models/tripled/deploy").json
    assert (first["source"], first["config"]) == (second["source"], second["config"])
    assert second["source"] == shell.user_ns["triple"].model_py
    assert named("tripled", ModelFunction) is shell.user_ns["triple"]
    assert named("nobody", ModelFunction) is None


def test_a_function_that_is_in_no_cell_says_so(shell: InteractiveShell) -> None:
    namespace: dict[str, object] = {"model": model}
    exec("def f(x: int) -> int: ...", namespace)
    made = model(namespace["f"])  # type: ignore[call-overload]
    with pytest.raises(PyServeError, match="source of function 'f' can't be found"):
        made.model_source()
