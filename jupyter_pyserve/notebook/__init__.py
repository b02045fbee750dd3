"""What a notebook user touches: calling models, deploying them from cells, and looking at them.

Importing this starts nothing and connects to nothing; IPython is imported only by `%load_ext`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import aio
from jupyter_pyserve.notebook.api import deploy, export, models, share, status, unshare
from jupyter_pyserve.notebook.calling import infer
from jupyter_pyserve.notebook.client import Client, asarray, connect, empty
from jupyter_pyserve.notebook.debugging.api import debug, record, recordings, replay, stack, undebug
from jupyter_pyserve.notebook.failures import DeployError
from jupyter_pyserve.notebook.functions.annotations import Tensor
from jupyter_pyserve.notebook.functions.decorator import ModelFunction, model
from jupyter_pyserve.notebook.logbook import follow_logs, logs
from jupyter_pyserve.notebook.measuring.api import bench
from jupyter_pyserve.notebook.operations import (
    drain,
    kill,
    load,
    restart,
    resume,
    rollback,
    scale,
    undeploy,
    unload,
)
from jupyter_pyserve.notebook.remote_model import Model
from jupyter_pyserve.notebook.standalone import serve, servers
from jupyter_pyserve.notebook.widgets.api import bench_widget, form, log_viewer, monitor

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
