"""Imports point downward only, the stub stands alone, and importing the package costs next to nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, STUB, imported_roots, name, parse, python_files

HEAVY = {"numpy", "tornado", "asyncio", "traitlets", "IPython", "jupyter_server", "grpc", "google", "tritonclient"}


def test_layers_are_kept() -> None:
    script = f"import sys; sys.exit(lint_imports(config_filename={str(ROOT / 'pyproject.toml')!r}, no_cache=True))"
    # In a process of its own, for it switches off every logger that exists.
    command = [sys.executable, "-c", f"from importlinter.cli import lint_imports; {script}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", python_files(STUB), ids=name)
def test_stub_needs_only_the_standard_library_and_numpy(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"numpy", "pyserve_share", "pyserve_stub", "triton_python_backend_utils"}
    assert [found for found in imported_roots(parse(path)) if found[1] not in allowed] == []


@pytest.mark.parametrize("path", python_files(STUB), ids=name)
def test_stub_is_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 8))


@pytest.mark.parametrize("module", ["jupyter_pyserve", "pyserve_stub"])
def test_importing_is_cheap(module: str) -> None:
    script = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    listing = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True)
    loaded = {entry.partition(".")[0] for entry in json.loads(listing.stdout)}
    assert module in loaded
    assert loaded & HEAVY == set()
