"""JupyterLab's debugger, which speaks to the kernel alone: the kernel passes it on to a model's process instead.

Owns the one place that knows ipykernel's debugger. Where there is none (a terminal), nothing happens.
"""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Any

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.debugging.relay import Relay

#: What ipykernel's debugger was set to before, if that was changed, and where it connects to instead.
_before: tuple[Any, bool] | None = None
_relay: Relay | None = None


class Lab(enum.Enum):
    """What has become of JupyterLab's debugger."""

    POINTED = enum.auto()  # it will debug the model's process when it is turned on
    IS_ON = enum.auto()  # it debugs the kernel, and is left alone
    ABSENT = enum.auto()


def point_at(port: int) -> Lab:
    """Let the kernel's debugger debug what listens there when it is turned on."""
    global _before, _relay
    debugger = _debugger()
    if debugger is None:
        return Lab.ABSENT
    client = debugger.debugpy_client
    if debugger.is_started:
        return Lab.POINTED if _relay is not None and _relay.upstream_port == port else Lab.IS_ON
    if _before is None:
        _before = client.debugpy_port, debugger.debugpy_initialized
    # It would make a folder for the texts of cells, and start debugpy in the kernel: only the former is wanted.
    Path(_compiler().get_tmp_directory()).mkdir(mode=0o700, parents=True, exist_ok=True)
    if _relay is not None:
        _relay.close()
    _relay = Relay(port)
    client.debugpy_port, debugger.debugpy_initialized = str(_relay.port), True
    return Lab.POINTED


def point_back() -> None:
    """It debugs the kernel again; refused while it is on."""
    global _before, _relay
    debugger = _debugger()
    if debugger is None or _before is None or _relay is None:
        return
    if debugger.is_started:
        raise PyServeError(
            Code.UNAVAILABLE, "JupyterLab's debugger is attached: turn it off first (the bug in the notebook's toolbar)"
        )
    debugger.debugpy_client.debugpy_port, debugger.debugpy_initialized = _before
    _relay.close()
    _before = _relay = None


def _debugger() -> Any:
    """ipykernel's; None in a shell of another kind."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    debugger = getattr(getattr(shell, "kernel", None), "debugger", None)
    known = ("debugpy_client", "debugpy_initialized", "is_started")
    return debugger if debugger is not None and all(hasattr(debugger, name) for name in known) else None


def _compiler() -> Any:
    return sys.modules["ipykernel.compiler"]
