from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from jupyter_pyserve.engine.environments.environment import KernelSpec
from jupyter_pyserve.engine.environments.kernelspecs import find_kernelspec
from jupyter_pyserve.errors import PyServeError


@pytest.fixture
def research(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a kernelspec of that name."""
    folder = tmp_path / "kernels" / "research"
    folder.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return folder / "kernel.json"


def test_a_kernelspec_is_found_by_its_name(research: Path) -> None:
    argv = ["/opt/research/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    research.write_text(json.dumps({"argv": argv, "display_name": "Research", "language": "python", "env": {"A": "b"}}))
    assert find_kernelspec("research") == KernelSpec(language="python", argv=tuple(argv), variables={"A": "b"})


@pytest.mark.parametrize("name", ["there_is_no_such_kernel", "", "no name at all"])
def test_a_name_of_nothing(name: str) -> None:
    assert find_kernelspec(name) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"argv": 7, "language": "python"}', "\0"])
def test_a_kernelspec_that_is_broken_is_named(research: Path, text: str) -> None:
    research.write_text(text)
    with pytest.raises(PyServeError, match="The Jupyter kernelspec 'research' cannot be read: "):
        find_kernelspec("research")


def test_without_jupyter_there_are_none(research: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    research.write_text(json.dumps({"argv": ["python"], "display_name": "Research", "language": "python"}))
    monkeypatch.setitem(sys.modules, "jupyter_client.kernelspec", None)
    assert find_kernelspec("research") is None
