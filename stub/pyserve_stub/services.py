"""What a model may ask of its server beside inference: logging, model control, the size of shared memory.

Checks arguments and words the errors; the host does the rest.
"""

from __future__ import annotations

import sys
from typing import Any

from pyserve_stub import arguments
from pyserve_stub.arguments import Parameter, Signature
from pyserve_stub.host import get_host
from pyserve_stub.vocabulary import CAST_FAILED, NATIVE_MODULE, LogLevel, TritonModelException, Unconstructible

_MESSAGE = Parameter("message", "str", arguments.text)
_LOG = Signature(
    "log",
    _MESSAGE,
    Parameter("level", f"{NATIVE_MODULE}.Logger.LogLevel", arguments.native(LogLevel), LogLevel.INFO),
    returns="None",
)
_LOG_INFO, _LOG_WARN, _LOG_ERROR, _LOG_VERBOSE = (
    Signature(name, _MESSAGE, returns="None") for name in ("log_info", "log_warn", "log_error", "log_verbose")
)


def _deliver(level: LogLevel, message: str) -> None:
    caller = sys._getframe(2)
    get_host().log(int(level), caller.f_code.co_filename.rpartition("/")[2], caller.f_lineno, message)


class Logger(Unconstructible):
    """Logs with the caller's file and line, through the server."""

    __slots__ = ()
    __module__ = NATIVE_MODULE

    LogLevel = LogLevel
    INFO = LogLevel.INFO
    WARNING = LogLevel.WARNING
    ERROR = LogLevel.ERROR
    VERBOSE = LogLevel.VERBOSE

    @staticmethod
    def log(*args: Any, **kwargs: Any) -> None:
        """`log(message, level=Logger.INFO)`."""
        message, level = _LOG.bind(args, kwargs)
        _deliver(level, message)

    @staticmethod
    def log_info(*args: Any, **kwargs: Any) -> None:
        """`log_info(message)`."""
        _deliver(LogLevel.INFO, _LOG_INFO.bind(args, kwargs)[0])

    @staticmethod
    def log_warn(*args: Any, **kwargs: Any) -> None:
        """`log_warn(message)`."""
        _deliver(LogLevel.WARNING, _LOG_WARN.bind(args, kwargs)[0])

    @staticmethod
    def log_error(*args: Any, **kwargs: Any) -> None:
        """`log_error(message)`."""
        _deliver(LogLevel.ERROR, _LOG_ERROR.bind(args, kwargs)[0])

    @staticmethod
    def log_verbose(*args: Any, **kwargs: Any) -> None:
        """`log_verbose(message)`."""
        _deliver(LogLevel.VERBOSE, _LOG_VERBOSE.bind(args, kwargs)[0])


_MODEL_NAME = Parameter("model_name", "str", arguments.text)
_LOAD_MODEL = Signature(
    "load_model",
    _MODEL_NAME,
    Parameter("config", "str", arguments.text, ""),
    Parameter("files", "object", arguments.anything, None),
    returns="None",
)
_UNLOAD_MODEL = Signature(
    "unload_model", _MODEL_NAME, Parameter("unload_dependents", "bool", arguments.truth, False), returns="None"
)
_IS_MODEL_READY = Signature(
    "is_model_ready", _MODEL_NAME, Parameter("model_version", "str", arguments.text, ""), returns="bool"
)


class failing_to:  # noqa: N801 - used like a function
    """Says before the text of a failure what could not be done.

    A class, because contextlib's frames would show in tracebacks.
    """

    __slots__ = ("_purpose",)

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TritonModelException):
            raise TritonModelException(f"{self._purpose}: {error}") from None


def _files(name: str, files: Any) -> dict[str, bytes] | None:
    if files is None:
        return None
    if not isinstance(files, dict):
        raise TritonModelException(
            f"failed to load model '{name}', files should be a dictionary of file paths and file contents"
        )
    for path, content in files.items():
        if not isinstance(path, str):
            raise RuntimeError(CAST_FAILED)
        if not isinstance(content, bytes):
            raise TypeError(f"Object of type '{type(content).__name__}' is not an instance of 'bytes'")
    return dict(files)


def load_model(*args: Any, **kwargs: Any) -> None:
    """`load_model(model_name, config="", files=None)`: returns when the model is loaded."""
    name, config, files = _LOAD_MODEL.bind(args, kwargs)
    contents = _files(name, files)
    with failing_to("Failed to load model"):
        get_host().load_model(name, config, contents)


def unload_model(*args: Any, **kwargs: Any) -> None:
    """`unload_model(model_name, unload_dependents=False)`: returns before the model is gone."""
    name, unload_dependents = _UNLOAD_MODEL.bind(args, kwargs)
    with failing_to("Failed to unload model"):
        get_host().unload_model(name, unload_dependents)


def is_model_ready(*args: Any, **kwargs: Any) -> bool:
    """`is_model_ready(model_name, model_version="")`."""
    name, version = _IS_MODEL_READY.bind(args, kwargs)
    with failing_to("Failed to check model readiness"):
        return get_host().is_model_ready(name, version)


class SharedMemory(Unconstructible):
    """The pool that responses go through."""

    __slots__ = ()
    __module__ = NATIVE_MODULE

    def free_memory(self) -> int:
        """The free bytes in it."""
        return get_host().free_memory()


def async_event_future_done_callback(py_future: Any) -> None:
    """There for its name: what became of a coroutine is reported by the executor."""


for _function in (load_model, unload_model, is_model_ready, async_event_future_done_callback):
    _function.__module__ = NATIVE_MODULE
