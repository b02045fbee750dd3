from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from jupyter_pyserve.engine.environments.environment import (
    Environment,
    KernelSpec,
    brought_by,
    canonical,
    expand,
    from_folder,
    from_kernelspec,
    is_name,
)
from jupyter_pyserve.errors import Code, PyServeError

OURS = {"PATH": "/usr/bin:/bin", "HOME": "/home/ada"}


def make(root: Path, *files: str) -> Path:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/opt/env.tar.gz", "/opt/env.tar.gz"),
        ("$$TRITON_MODEL_DIRECTORY/env.tar.gz", "/r/m/env.tar.gz"),
        ("/mnt/$$TRITON_MODEL_DIRECTORY/env", "/mnt//r/m/env"),
        ("$$TRITON_MODEL_DIRECTORY/../$$TRITON_MODEL_DIRECTORY", "/r/m/..//r/m"),
        ("$TRITON_MODEL_DIRECTORY/env", "$TRITON_MODEL_DIRECTORY/env"),
        ("", ""),
    ],
)
def test_the_directory_of_the_model(value: str, path: str) -> None:
    assert expand(value, "/r/m") == path


def test_what_a_backend_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "pb_exec_env_model.py.tar.gz"
    assert brought_by(str(tmp_path)) == ""
    (tmp_path / name).touch()
    assert brought_by(str(tmp_path)) == str(tmp_path / name)
    assert brought_by("") == ""


def test_the_canonical_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("there")
    (tmp_path / "there").mkdir()
    assert canonical(str(tmp_path / "there/../link")) == str(tmp_path / "there")


@pytest.mark.parametrize("path", ["/no/such/path", "/dev/null/x", "\0"])
def test_a_path_where_nothing_is(path: str) -> None:
    with pytest.raises(PyServeError) as error:
        canonical(path)
    assert (error.value.code, error.value.message) == (
        Code.INTERNAL,
        f"Failed to get the canonical path for {path}.",
    )


@pytest.mark.parametrize(
    "files",
    [("bin/activate", "bin/python"), ("pyvenv.cfg", "bin/python3"), ("conda-meta/history", "bin/python")],
    ids=["conda-pack", "venv", "conda"],
)
def test_a_folder_that_is_an_environment(tmp_path: Path, files: tuple[str, str]) -> None:
    found = from_folder(str(make(tmp_path, *files)), OURS)
    assert found.interpreter == str(tmp_path / files[1])
    assert found.variables["VIRTUAL_ENV"] == str(tmp_path)
    assert found.variables["VIRTUAL_ENV_PROMPT"] == f"({tmp_path})"
    assert found.variables["PATH"] == f"{tmp_path}/bin:/usr/bin:/bin"
    assert found.variables["LD_LIBRARY_PATH"] == f"{tmp_path}/lib"
    assert found.variables.get("CONDA_PREFIX") == (str(tmp_path) if "conda-meta/history" in files else None)
    assert found.removed == ("PYTHONHOME",)


def test_what_was_on_the_library_path_stays_there(tmp_path: Path) -> None:
    found = from_folder(str(make(tmp_path, "bin/activate")), {"LD_LIBRARY_PATH": "/opt/lib"})
    assert found.variables["LD_LIBRARY_PATH"] == f"{tmp_path}/lib:/opt/lib"
    assert found.variables["PATH"] == f"{tmp_path}/bin"


@pytest.mark.parametrize("files", [(), ("bin/python",), ("activate", "python")])
def test_a_folder_that_is_none(tmp_path: Path, files: tuple[str, ...]) -> None:
    with pytest.raises(PyServeError) as error:
        from_folder(str(make(tmp_path, *files)), OURS)
    assert error.value.message == (
        f"Path {tmp_path}/bin/activate does not exist. The Python environment should contain an 'activate' script."
    )


def test_an_environment_without_an_interpreter_has_ours(tmp_path: Path) -> None:
    assert from_folder(str(make(tmp_path, "bin/activate")), OURS).interpreter == sys.executable


def test_an_interpreter_that_is_gone_is_named(tmp_path: Path) -> None:
    make(tmp_path, "pyvenv.cfg", "bin/activate")
    (tmp_path / "bin/python").symlink_to("/gone/python3.9")
    with pytest.raises(PyServeError, match=r"does not exist: .*/bin/python links to /gone/python3\.9"):
        from_folder(str(tmp_path), OURS)


# -- kernelspecs ------------------------------------------------------------------------------------------------------


def named(program: str, *, language: str = "python", variables: Mapping[str, str] | None = None) -> Environment:
    argv = (program, "-m", "ipykernel_launcher", "-f", "{connection_file}") if program else ()
    spec = KernelSpec(language=language, argv=argv, variables=variables or {})
    return from_kernelspec("research", {"research": spec}.get, OURS)


def test_a_name_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_name("research")
    assert not is_name("./research")
    assert not is_name("/research")
    (tmp_path / "research").mkdir()
    assert not is_name("research")


def test_a_kernelspec_of_a_virtual_environment(tmp_path: Path) -> None:
    program = str(make(tmp_path, "pyvenv.cfg", "bin/python") / "bin/python")
    assert named(program) == from_folder(str(tmp_path), OURS)


def test_a_kernelspec_of_an_interpreter_that_belongs_to_no_environment(tmp_path: Path) -> None:
    program = str(make(tmp_path, "bin/python3.9") / "bin/python3.9")
    found = named(program)
    assert (found.interpreter, found.variables) == (program, {})
    assert {"VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "PYTHONHOME"} <= set(found.removed)


def test_variables_of_a_kernelspec(tmp_path: Path) -> None:
    program = str(make(tmp_path, "bin/python3.9") / "bin/python3.9")
    found = named(program, variables={"DATA": "${HOME}/data", "RATE": "$5"})
    assert found.variables == {"DATA": "/home/ada/data", "RATE": "$5"}


@pytest.mark.parametrize("program", ["python", "python3", f"python3.{sys.version_info[1]}"])
def test_a_kernelspec_that_says_only_python_means_ours(program: str) -> None:
    assert named(program).interpreter == sys.executable


@pytest.mark.parametrize(
    ("program", "language", "why"),
    [
        ("/usr/bin/R", "R", "'research' does not start a Python interpreter"),
        ("/bin/bash", "python", "'research' does not start a Python interpreter"),
        ("", "python", "'research' does not start a Python interpreter"),
        ("/gone/python3.9", "python", "'research' does not exist: /gone/python3.9"),
        ("python2.1", "python", "'research' does not exist: python2.1"),
    ],
)
def test_a_kernelspec_that_cannot_be_used(program: str, language: str, why: str) -> None:
    with pytest.raises(PyServeError, match=why):
        named(program, language=language)


def test_a_name_that_is_nothing_at_all() -> None:
    with pytest.raises(PyServeError) as error:
        from_kernelspec("nothing", lambda name: None, OURS)
    assert error.value.message == (
        "Failed to get the canonical path for nothing. There is no Jupyter kernelspec of that name either."
    )


def test_the_environment_of_the_engine_is_untouched(tmp_path: Path) -> None:
    before = dict(os.environ)
    from_folder(str(make(tmp_path, "bin/activate")), os.environ)
    assert dict(os.environ) == before
