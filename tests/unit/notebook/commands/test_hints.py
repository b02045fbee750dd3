from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.commands.hints import hint


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("Request for unknown model: 'ad_one' is not found", "did you mean 'add_one'? %pyserve list"),
        ("Request for unknown model: 'm' has no available versions", "%pyserve status ad_one says why"),
        ("[request id: 1] expected 2 inference inputs but got 1", "%pyserve status ad_one lists its inputs"),
        ("the engine at x does not answer: timed out", "%pyserve status tries it again"),
        ("something else", ""),
        ("which? %pyserve list says", ""),
    ],
)
def test_what_to_do(text: str, step: str) -> None:
    found = hint(PyServeError(Code.NOT_FOUND, text), "ad_one", lambda: ["add_one", "other"])
    assert found.startswith(step)
    assert bool(found) == bool(step)


def test_a_name_like_no_other() -> None:
    found = hint(PyServeError(Code.NOT_FOUND, "Request for unknown model: 'x' is not found"), "x", list)
    assert found == "%pyserve list shows what there is: nothing yet"
