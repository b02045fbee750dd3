from __future__ import annotations

import ast
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyserve_stub import entry
from pyserve_stub.packets import receive_packet
from pyserve_stub.wire import frames

SCRIPT = """
import platform, sys
{change}
from pyserve_stub import entry
entry.main()
"""


def first_words(change: str) -> tuple[dict[str, Any], int]:
    """What an interpreter that was changed says, and its exit status."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(change=change), str(theirs.fileno()), "0", "title", "room"],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
        data, _ = receive_packet(ours, socket.MSG_DONTWAIT)
    assert data[0] == frames.NOTE
    return frames.decode_cold(data), done.returncode


def test_a_refusal_is_a_note() -> None:
    assert bytes((frames.NOTE,)) == entry.NOTE


def test_this_interpreter_is_fit() -> None:
    assert entry.unfitness() == ""
    assert entry.interpreter() == f"{sys.executable} (CPython {platform.python_version()})"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            "sys.version_info = (3, 7, 16); platform.python_version = lambda: '3.7.16'",
            f"The interpreter {sys.executable} (CPython 3.7.16) cannot run models: CPython 3.8 or newer is needed.",
        ),
        (
            "platform.python_implementation = lambda: 'PyPy'",
            f"The interpreter {sys.executable} (PyPy {platform.python_version()}) cannot run models: "
            "CPython 3.8 or newer is needed.",
        ),
        (
            "sys.modules['numpy'] = None",
            f"The interpreter {sys.executable} (CPython {platform.python_version()}) has no usable numpy, "
            "without which no model runs: ModuleNotFoundError: import of numpy halted; None in sys.modules",
        ),
    ],
)
def test_an_interpreter_that_is_unfit_says_why(change: str, text: str) -> None:
    assert first_words(change) == ({"op": "unfit", "text": text}, 1)


def test_it_is_understood_by_interpreters_that_are_too_old() -> None:
    """What they cannot parse they cannot say anything about."""
    tree = ast.parse(Path(entry.__file__).read_text(encoding="utf-8"), feature_version=(3, 4))
    new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef)
    assert [node for node in ast.walk(tree) if isinstance(node, new)] == []
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert imports == []  # not even from __future__
