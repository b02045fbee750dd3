"""What an execution environment is: an interpreter, and what its processes' variables have more or less than ours.

Finds it in a folder as Triton does, and in plain virtual environments, conda prefixes and Jupyter's kernelspecs. Looks
at files and runs nothing; archives are unpacked elsewhere.
"""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jupyter_pyserve.errors import Code, PyServeError

#: The parameter of a model's configuration, and what in it stands for the model's directory.
PARAMETER = "EXECUTION_ENV_PATH"
MODEL_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"

#: The name of the archive in the directory of a Python-based backend.
_OF_BACKEND = "pb_exec_env_model.py.tar.gz"

_ALWAYS_REMOVED: tuple[str, ...] = ("PYTHONHOME",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a model's interpreter comes from."""

    interpreter: str
    variables: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = _ALWAYS_REMOVED


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSpec:
    """What is of interest in a Jupyter kernelspec."""

    language: str
    argv: tuple[str, ...]
    variables: Mapping[str, str]


#: The kernelspec of a name, or None.
FindKernelSpec = Callable[[str], KernelSpec | None]


def expand(path: str, model_dir: str) -> str:
    """The parameter's value as a path."""
    return path.replace(MODEL_DIRECTORY, model_dir)


def brought_by(backend_dir: str) -> str:
    """The archive that a Python-based backend brings for the models that name none; empty when it brings none."""
    path = os.path.join(backend_dir, _OF_BACKEND)
    return path if backend_dir and os.path.isfile(path) else ""


def canonical(path: str) -> str:
    """The path without links; Triton's error when nothing is there."""
    try:
        return os.path.realpath(path, strict=True)
    except (OSError, ValueError):
        raise PyServeError(Code.INTERNAL, f"Failed to get the canonical path for {path}.") from None


def is_name(path: str) -> bool:
    """Whether this is no path but perhaps the name of a kernelspec."""
    return "/" not in path and not os.path.exists(path)


def from_kernelspec(name: str, find: FindKernelSpec, surrounding: Mapping[str, str]) -> Environment:
    """The environment that a kernelspec's interpreter belongs to."""
    spec = find(name)
    if spec is None:
        text = f"Failed to get the canonical path for {name}. There is no Jupyter kernelspec of that name either."
        raise PyServeError(Code.INTERNAL, text)
    program = spec.argv[0] if spec.argv else ""
    if program in _OWN_NAMES:
        program = sys.executable  # as Jupyter takes it
    if spec.language.lower() != "python" or not os.path.basename(program).startswith(("python", "pypy")):
        raise PyServeError(Code.INTERNAL, f"The Jupyter kernelspec '{name}' does not start a Python interpreter.")
    if not os.path.isabs(program) or not os.path.exists(program):
        text = f"The interpreter of the Jupyter kernelspec '{name}' does not exist: {program}"
        raise PyServeError(Code.INTERNAL, text)
    prefix = os.path.dirname(os.path.dirname(program))
    if _is_environment(prefix):
        variables, removed = _activated(prefix, surrounding), _ALWAYS_REMOVED
    else:
        variables, removed = {}, (*_ALWAYS_REMOVED, "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT")  # the engine's, if any
    given = {key: string.Template(value).safe_substitute(surrounding) for key, value in spec.variables.items()}
    return Environment(interpreter=program, variables={**variables, **given}, removed=removed)


_OWN_NAMES = ("python", f"python{sys.version_info[0]}", f"python{sys.version_info[0]}.{sys.version_info[1]}")


def from_folder(prefix: str, surrounding: Mapping[str, str]) -> Environment:
    """The environment in a folder; its scripts are not run."""
    activate = os.path.join(prefix, "bin", "activate")
    if not _is_environment(prefix):
        text = f"Path {activate} does not exist. The Python environment should contain an 'activate' script."
        raise PyServeError(Code.INTERNAL, text)
    return Environment(interpreter=_interpreter(prefix), variables=_activated(prefix, surrounding))


def _is_environment(prefix: str) -> bool:
    """Whether somebody has made it one: by conda-pack, or by `venv` or conda without an archive in between."""
    return any(
        os.path.exists(os.path.join(prefix, *mark)) for mark in (("bin", "activate"), ("pyvenv.cfg",), ("conda-meta",))
    )


def _interpreter(prefix: str) -> str:
    """Its own interpreter; ours for an environment that brings none, as Triton's stub always is Triton's."""
    for name in ("python", "python3"):
        path = os.path.join(prefix, "bin", name)
        if os.path.lexists(path):
            if not os.path.exists(path):
                text = f"The interpreter of the environment does not exist: {path} links to {os.readlink(path)}"
                raise PyServeError(Code.INTERNAL, text)
            return path
    return sys.executable


def _activated(prefix: str, surrounding: Mapping[str, str]) -> dict[str, str]:
    """What Triton sets instead of running the environment's `activate`."""
    variables = {
        "VIRTUAL_ENV": prefix,
        "VIRTUAL_ENV_PROMPT": f"({prefix})",
        "PATH": _prepended(os.path.join(prefix, "bin"), surrounding.get("PATH")),
        "LD_LIBRARY_PATH": _prepended(os.path.join(prefix, "lib"), surrounding.get("LD_LIBRARY_PATH")),
    }
    if os.path.isdir(os.path.join(prefix, "conda-meta")):
        variables["CONDA_PREFIX"] = prefix
    return variables


def _prepended(folder: str, path: str | None) -> str:
    return folder if path is None else f"{folder}{os.pathsep}{path}"
