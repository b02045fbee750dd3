"""Triton's Python backend inside Jupyter: the names that a notebook, a Jupyter server and JupyterLab look up here.

Everything is resolved on first use, because each kernel, each server and the `pyserve` command import this file: it
must not pull in numpy, tornado or any layer of the package.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

try:
    from jupyter_pyserve._version import __version__
except ImportError:  # a source tree that has not been built
    __version__ = "0.0.0"

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_pyserve.notebook import (
        Client,
        Code,
        DeployError,
        Model,
        ModelFunction,
        PyServeError,
        Tensor,
        aio,
        asarray,
        bench,
        bench_widget,
        connect,
        debug,
        deploy,
        drain,
        empty,
        export,
        follow_logs,
        form,
        infer,
        kill,
        load,
        log_viewer,
        logs,
        model,
        models,
        monitor,
        record,
        recordings,
        replay,
        restart,
        resume,
        rollback,
        scale,
        serve,
        servers,
        share,
        stack,
        status,
        undebug,
        undeploy,
        unload,
        unshare,
    )

__all__ = [
    "Client",
    "Code",
    "DeployError",
    "Model",
    "ModelFunction",
    "PyServeError",
    "Tensor",
    "aio",
    "asarray",
    "bench",
    "bench_widget",
    "connect",
    "debug",
    "deploy",
    "drain",
    "empty",
    "export",
    "follow_logs",
    "form",
    "infer",
    "kill",
    "load",
    "log_viewer",
    "logs",
    "model",
    "models",
    "monitor",
    "record",
    "recordings",
    "replay",
    "restart",
    "resume",
    "rollback",
    "scale",
    "serve",
    "servers",
    "share",
    "stack",
    "status",
    "undebug",
    "undeploy",
    "unload",
    "unshare",
    "__version__",
]

_NOTEBOOK_API = frozenset(__all__) - {"__version__"}


def __getattr__(name: str) -> Any:
    if name in _NOTEBOOK_API:
        return getattr(importlib.import_module("jupyter_pyserve.notebook"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(types.ModuleType):
    """Keeps `model`, the function, from being replaced when the subpackage of that name is imported.

    The import system binds each imported submodule on its parent. Modules of the subpackage are reached by
    `from jupyter_pyserve.model import ...`, which does not read the attribute.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _NOTEBOOK_API and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-pyserve"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    extension = importlib.import_module("jupyter_pyserve.transports.jupyter.extension")
    return [{"module": "jupyter_pyserve", "app": extension.PyServeExtension}]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext jupyter_pyserve`."""
    importlib.import_module("jupyter_pyserve.notebook").load_ipython_extension(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext jupyter_pyserve`."""
    importlib.import_module("jupyter_pyserve.notebook").unload_ipython_extension(shell)
