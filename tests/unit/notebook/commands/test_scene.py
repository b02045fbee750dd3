from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.commands.scene import Scene


def test_values_are_the_users(shell: InteractiveShell) -> None:
    shell.user_ns["x"] = 20
    scene = Scene(shell)
    assert scene.evaluate("x + 1", what="X") == 21
    with pytest.raises(PyServeError, match=r"X=x \+ y can't be evaluated: NameError"):
        scene.evaluate("x + y", what="X")
    assert not scene.is_notebook
