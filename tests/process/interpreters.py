"""Interpreters of this machine that can run a stub, and environments made from them without a network.

This one is always there. PYSERVE_TEST_INTERPRETERS, a list like PATH, names others; those must have numpy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

OTHERS = [path for path in os.environ.get("PYSERVE_TEST_INTERPRETERS", "").split(os.pathsep) if path]
INTERPRETERS = [sys.executable, *OTHERS]


@cache
def version(interpreter: str) -> str:
    """The version of an interpreter."""
    return _asked(interpreter, "import platform; print(platform.python_version())")


def make_environment(interpreter: str, folder: Path, *, numpy: bool = True) -> Path:
    """A virtual environment with numpy, by way of a path to where the interpreter has it."""
    subprocess.run([interpreter, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = next((folder / "lib").glob("python3.*")) / "site-packages"
    if numpy:
        where = _asked(interpreter, "import numpy, os; print(os.path.dirname(numpy.__path__[0]))")
        (packages / "numpy.pth").write_text(f"{where}\n")
    return folder


def _asked(interpreter: str, script: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([interpreter, "-c", script], check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()
