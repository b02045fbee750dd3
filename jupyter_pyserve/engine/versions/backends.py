"""Backends beside "python": a directory with a model.py, which serves every model that names it.

Looks for what a configuration names, in the places where Triton looks. Shared libraries are not loaded here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.backend_settings import PythonBackendSettings, python_backend_settings
from jupyter_pyserve.model.config import ModelConfig
from jupyter_pyserve.model.defaults import PYTHON_BACKEND, PYTHON_FILENAME
from jupyter_pyserve.settings import EngineSettings

_CPU_ONLY = "FORCE_CPU_ONLY_INPUT_TENSORS"


def find_runtime(config: ModelConfig, searched: Sequence[str], backend_directory: str) -> tuple[str, str]:
    """Where the code of a model's backend is, directory and file name; both empty when it is the model's own.

    `searched` are directories to look into before the backend's. Raises `LoadFailure` with Triton's text.
    """
    if config.backend == PYTHON_BACKEND:
        return "", ""
    own = _directory(backend_directory, config.backend)
    if not config.runtime:
        if own and _is_file(own, PYTHON_FILENAME) and not _is_file(own, f"libtriton_{config.backend}.so"):
            return own, PYTHON_FILENAME
        text = (
            f"unable to find backend library for backend '{config.backend or config.platform}', "
            "try specifying runtime on the model configuration."
        )
        raise LoadFailure(text, kind="Invalid argument")
    places = [*searched, *([own] if own else [])]
    if left := next((place for place in places if _leads_out(place, config.runtime)), None):
        text = (
            f"backend library name '{config.runtime}' escapes backend directory '{left}', for model "
            f"'{config.name}', check model config runtime field"
        )
        raise LoadFailure(text, kind="Invalid argument")
    found = next((place for place in places if _is_file(place, config.runtime)), None)
    if found is None or not config.runtime.endswith(".py"):
        shown = "".join(f"'{place}' " for place in places)
        text = f"unable to find backend library '{config.runtime}' for model '{config.name}', searched: {shown}"
        raise LoadFailure(text, kind="Invalid argument")
    return found, config.runtime


def python_settings(settings: EngineSettings) -> PythonBackendSettings:
    """What `--backend-config=python,…` says; raises `LoadFailure` when that is nothing."""
    given = ((key, value) for backend, key, value in settings.backend_config if backend == PYTHON_BACKEND)
    try:
        return python_backend_settings(given)
    except PyServeError as error:
        raise LoadFailure(error.message, kind="Invalid argument") from error


def wants_device_inputs(config: ModelConfig) -> bool:
    """Whether a model takes inputs on devices as they are; raises `LoadFailure` for what is neither yes nor no."""
    value = config.parameters.get(_CPU_ONLY, "yes")
    if value not in ("yes", "no"):
        # The quotation mark is Triton's.
        raise LoadFailure(f"Incorrect value for {_CPU_ONLY}: {value}'", kind="Unsupported")
    return value == "no"


def _directory(backend_directory: str, backend: str) -> str:
    """A backend is a name, not a path."""
    if not backend_directory or not backend or backend in (".", "..") or "/" in backend or "\0" in backend:
        return ""
    return os.path.join(os.path.abspath(backend_directory), backend)


def _is_file(folder: str, name: str) -> bool:
    return os.path.basename(name) == name and os.path.isfile(os.path.join(folder, name))


def _leads_out(folder: str, name: str) -> bool:
    """Whether it names a file that is there, but not in this directory."""
    path = os.path.abspath(f"{folder}/{name}")
    return os.path.commonpath((path, os.path.abspath(folder))) != os.path.abspath(folder) and os.path.isfile(path)
