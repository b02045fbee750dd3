"""A debugger in this process: debugpy listens when it is asked to, and `breakpoint()` waits for nobody until then.

debugpy is imported when it is wanted and not before. Knows neither the channel nor who attaches.
"""

from __future__ import annotations

import os
import socket
import sys
from importlib import import_module
from types import FrameType
from typing import Any, Mapping, Sequence

from .host import get_host
from .vocabulary import LogLevel

HOST = "127.0.0.1"

_OWN = os.path.dirname(os.path.abspath(__file__))
_listening_at = 0


class DebuggerMissing(Exception):
    """There is no debugger to be had in this interpreter; the text says which, and why."""


def install_hook() -> None:
    """Let `breakpoint()` stop in an attached debugger, and else be passed over: nobody types into a stub."""
    sys.breakpointhook = _on_breakpoint


def listen(port: int, sources: Sequence[Mapping[str, Any]] = ()) -> int:
    """Let debuggers of this machine attach, and return the port; a second call only takes over `sources`.

    Each of `sources` is a place where lines of a file here are shown and may get breakpoints: line `line` of `path`,
    and `count` lines from there on, are those of `file` from `model_line` on.
    """
    global _listening_at
    api, pydevd = _import()
    if not _listening_at:
        api.configure(subProcess=False)
        free = _free_port(port)
        # Its own adapter would be one more process; in here, nothing is left behind when this process ends.
        api.listen((HOST, free), in_process_debug_adapter=True)
        getattr(pydevd.get_global_debugger(), "wait_for_server_socket_ready", _do_nothing)()
        _listening_at = free
        install_hook()
        _hide_own_frames(api, pydevd)
    _map_sources(pydevd, sources)
    return _listening_at


def _import() -> tuple[Any, Any]:
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    try:
        debugpy = import_module("debugpy")
        import_module("debugpy.server.api")  # which knows where the next one is
        pydevd = import_module("pydevd")
    except ImportError as error:
        raise DebuggerMissing(
            f"debugpy cannot be imported by {sys.executable} (CPython {sys.version.split()[0]}): {error}. "
            "It has to be installed in the environment that the model runs in"
        ) from None
    return debugpy, pydevd


def _do_nothing() -> None:
    """Releases that are older still do not say when they listen."""


def _free_port(port: int) -> int:
    """Older releases neither say which port they were given nor that they did not get theirs, so one is tried here."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError as error:
            raise DebuggerMissing(f"no debugger can listen on port {port}: {error.strerror}") from None
        free: int = sock.getsockname()[1]
    return free


def _hide_own_frames(debugpy: Any, pydevd: Any) -> None:
    """A step out of `execute` does not end up in this package."""
    hidden = (os.path.dirname(os.path.abspath(debugpy.__file__)), _OWN)
    _api().set_dont_trace_start_end_patterns(pydevd.get_global_debugger(), hidden, ("debugpy_launcher.py",))


def _map_sources(pydevd: Any, sources: Sequence[Mapping[str, Any]]) -> None:
    for item in sources:
        first = int(item["line"])
        mapping = import_module("_pydevd_bundle.pydevd_source_mapping")
        entry = mapping.SourceMappingEntry(
            first, first + int(item["count"]) - 1, int(item["model_line"]), str(item["file"])
        )
        _api().set_source_mapping(pydevd.get_global_debugger(), str(item["path"]), [entry])


def _api() -> Any:
    return import_module("_pydevd_bundle.pydevd_api").PyDevdAPI()


def _on_breakpoint(*args: Any, **kwargs: Any) -> Any:
    frame = sys._getframe(1)
    if _listening_at and _is_attached():
        return _stop(frame)
    if "PYTHONBREAKPOINT" in os.environ:  # somebody has chosen another way
        return sys.__breakpointhook__(*args, **kwargs)
    what = "a debugger may attach, but has not" if _listening_at else "no debugger is attached"
    text = f"breakpoint() is passed over: {what}. In the notebook, %pyserve debug NAME says how to attach one"
    get_host().log(int(LogLevel.WARNING), frame.f_code.co_filename, frame.f_lineno, text)
    return None


def _is_attached() -> bool:
    api, _ = _import()
    return bool(api.is_client_connected())


def _stop(frame: FrameType) -> None:
    _, pydevd = _import()
    pydevd.settrace(suspend=True, trace_only_current_thread=True, patch_multiprocessing=False, stop_at_frame=frame)
