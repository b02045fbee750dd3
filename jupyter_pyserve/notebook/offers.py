"""What has a name, for completion and for hints: models, instances, versions, inputs, recordings.

Asks the engine that runs, shortly; starts none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.control import Control
from jupyter_pyserve.notebook.payloads import ModelInfo

_TIMEOUT_S = 0.5


def models() -> list[ModelInfo]:
    """Those of the engine; none where none runs, or does not answer at once."""
    with contextlib.suppress(PyServeError):
        return _control().status(timeout_s=_TIMEOUT_S)["models"]
    return []


def recordings() -> list[str]:
    """Their ids."""
    with contextlib.suppress(PyServeError):
        return [row["id"] for row in _control().recordings(timeout_s=_TIMEOUT_S)]
    return []


def parts(what: str, model: str, command: str) -> Sequence[str]:
    """The names of a model's instances, versions, inputs or outputs."""
    info = next((item for item in models() if item["name"] == model), None)
    if info is None:
        return ()
    if what == "instance":
        return [row["name"] for row in info.get("instances", [])]
    if what == "version":
        if command == "rollback":  # the newest is what is served
            return [item["version"] for item in info.get("deploys", [])][:-1]
        return [item["version"] for item in info.get("versions", [])]
    if what == "inputs":
        return [item["name"] for item in info.get("inputs", [])]
    return [item["name"] for item in info.get("outputs", [])] if what == "output" else ()


def _control() -> Control:
    return Control(default_client(may_start=False).connection)
