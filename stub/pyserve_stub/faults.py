"""Turns an exception of user code into what clients and people see: Triton's text, and frames for an editor.

The one place where exceptions become data. Frames of this package never show, so that a model's traceback reads as if
the surface were native.
"""

from __future__ import annotations

import linecache
import traceback
from types import FrameType, TracebackType
from typing import Iterator, NamedTuple

_OWN = __name__.rpartition(".")[0]
#: Machinery between the stub and the model, whose frames a native stub does not have either.
_MACHINERY = ("importlib", "asyncio", "concurrent.futures", "runpy")


class Frame(NamedTuple):
    """Where something was called: `text` is the source line, or empty."""

    file: str
    line: int
    function: str
    text: str


class Fault(NamedTuple):
    """An exception as data; `frames` are outermost first."""

    text: str
    exc_type: str
    frames: tuple[Frame, ...]


def describe(exc: BaseException) -> Fault:
    """The exception's type, message and frames; `text` is Triton's, with the frames innermost first."""
    name = type(exc).__name__
    frames = tuple(_frames(exc.__traceback__))
    message, trailer = _message(exc)
    text = f"{name}: {message}"
    if frames:
        called = "".join(f"  {frame.file}({frame.line}): {frame.function}\n" for frame in reversed(frames))
        text = f"{text}\n\nAt:\n{called}"
    return Fault(text + trailer, name, frames + _syntax_frame(exc))


def standard_traceback(exc: BaseException) -> str:
    """The traceback as Python prints it, without the frames of this package at its start."""
    start = exc.__traceback__
    while start is not None and _is_machinery(start.tb_frame):
        start = start.tb_next
    return "".join(traceback.format_exception(type(exc), exc, start))


def _message(exc: BaseException) -> tuple[str, str]:
    """The message, and what follows the frames when the exception cannot say its own message."""
    try:
        return str(exc) or "<EMPTY MESSAGE>", ""
    except Exception as error:  # noqa: BLE001 - a class of the model's own, whose __str__ may do anything
        trailer = f"\nMESSAGE UNAVAILABLE DUE TO EXCEPTION: {describe(error).text}"
        return "<MESSAGE UNAVAILABLE DUE TO ANOTHER EXCEPTION>", trailer


def _frames(trace: TracebackType | None) -> Iterator[Frame]:
    inside = False
    while trace is not None:
        frame, line = trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
        inside = inside or not _is_machinery(frame)
        if inside and not _is_own(frame) and not frame.f_code.co_filename.startswith("<frozen importlib"):
            yield _frame(frame, line)


def _frame(frame: FrameType, line: int) -> Frame:
    code = frame.f_code
    text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
    return Frame(code.co_filename, line, code.co_name, text)


def _syntax_frame(exc: BaseException) -> tuple[Frame, ...]:
    """The place that does not parse, which no frame of the traceback shows."""
    if not isinstance(exc, SyntaxError) or not exc.filename or exc.filename.startswith("<"):
        return ()
    return (Frame(exc.filename, exc.lineno or 0, "<module>", (exc.text or "").strip()),)


def _is_own(frame: FrameType) -> bool:
    # Not by __name__, which is __main__ in the module that the process was started with.
    package = frame.f_globals.get("__package__") or ""
    return package == _OWN or package.startswith(_OWN + ".")


def _is_machinery(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__") or ""
    return _is_own(frame) or any(name == module or name.startswith(module + ".") for module in _MACHINERY)
