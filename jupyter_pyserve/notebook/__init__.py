"""What a notebook user touches: calling models, deploying them from cells, and looking at them.

Importing this starts nothing and connects to nothing; IPython is imported only by `%load_ext`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.api import (
    deploy,
    export,
    load,
    logs,
    models,
    restart,
    share,
    status,
    undeploy,
    unload,
    unshare,
)
from jupyter_pyserve.notebook.client import Client, asarray, connect, empty
from jupyter_pyserve.notebook.debugging.api import debug, record, recordings, replay, stack, undebug
from jupyter_pyserve.notebook.failures import DeployError
from jupyter_pyserve.notebook.functions.annotations import Tensor
from jupyter_pyserve.notebook.functions.decorator import ModelFunction, model
from jupyter_pyserve.notebook.measuring.api import bench
from jupyter_pyserve.notebook.remote_model import Model
from jupyter_pyserve.notebook.widgets.api import monitor

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "Client",
    "Code",
    "DeployError",
    "Model",
    "ModelFunction",
    "PyServeError",
    "Tensor",
    "asarray",
    "bench",
    "connect",
    "debug",
    "deploy",
    "empty",
    "export",
    "load",
    "logs",
    "model",
    "models",
    "monitor",
    "record",
    "recordings",
    "replay",
    "restart",
    "share",
    "stack",
    "status",
    "undebug",
    "undeploy",
    "unload",
    "unshare",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext jupyter_pyserve`."""
    from jupyter_pyserve.notebook.magics import PyServeMagics

    magics = PyServeMagics(shell)
    shell.register_magics(magics)
    shell.Completer.custom_matchers.append(magics.complete)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext jupyter_pyserve`."""
    from jupyter_pyserve.notebook.magics import PyServeMagics

    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("pyserve", None)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [match for match in matchers if not isinstance(getattr(match, "__self__", None), PyServeMagics)]
