"""What a notebook shows when a model can't be deployed: the user's own lines, by cell and line, and one last message.

Turns an `error` event and a `ModelSource` into text; talks to nobody and imports no IPython.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.payloads import DeployEvent, FrameInfo
from jupyter_pyserve.notebook.source import ModelSource

CONTEXT_LINES = 2
LIBRARY_FRAMES = 3


class DeployError(PyServeError):
    """A deployment that failed. What served before still does."""

    def __init__(self, code: Code, message: str, lines: Sequence[str] = (), *, model: str = "") -> None:
        super().__init__(code, message)
        self.model = model
        self.lines = list(lines)

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback through the kernel's own calls, which would tell nothing."""
        return [*self.lines, f"{type(self).__name__}: {self.message}"]


class ModelSyntaxError(DeployError):
    """A model cell that isn't Python; rendered the way Python, or IPython, renders a syntax error."""

    syntax_error: SyntaxError | None = None

    def _render_traceback_(self) -> list[str]:
        return self.lines


def error_of_event(model: str, source: ModelSource, event: DeployEvent) -> DeployError:
    """The exception for a deployment's last event."""
    message = event.get("message") or "the model failed to load"
    frames = event.get("frames") or []
    lines = render_frames(source, frames, event.get("model_file", ""))
    text = concise(message) if lines else _trimmed(message)
    exception = event.get("exception")
    if lines and exception:
        lines.insert(0, f"{exception} in model '{model}' (what served before, if anything, still does)")
    elif "is not healthy" in message:
        lines.append(f"The process of model '{model}' ended while it loaded; %pyserve logs {model} has its last words")
    return DeployError(_code(event.get("code", "")), text, lines, model=model)


def concise(message: str) -> str:
    """Triton's text without its traceback block: the lines above it say the same with the source beside them."""
    return _trimmed(message.partition("\n\nAt:\n")[0])


def render_frames(source: ModelSource, frames: Sequence[FrameInfo], model_file: str) -> list[str]:
    """From the user's first line on; whatever called it is ours and is left out."""
    first = next((i for i, frame in enumerate(frames) if frame["file"] == model_file), None)
    if first is None:
        return []
    lines: list[str] = []
    library: list[FrameInfo] = []
    for frame in frames[first:]:
        if frame["file"] == model_file:
            lines += [*_library_lines(library), *_cell_lines(source, frame)]
            library = []
        else:
            library.append(frame)
    return [*lines, *_library_lines(library)]


def model_syntax_error(model: str, source: ModelSource, error: SyntaxError) -> ModelSyntaxError:
    """Python's own error and rendering, with the cell's line numbers."""
    shifted = SyntaxError(error.msg, (source.label, (error.lineno or 1) + source.line_offset, error.offset, error.text))
    if error.end_lineno is not None and shifted.lineno is not None:
        shifted.end_lineno = error.end_lineno + source.line_offset
        shifted.end_offset = error.end_offset
    lines = [line.rstrip("\n") for line in traceback.format_exception_only(SyntaxError, shifted)]
    shown = ModelSyntaxError(Code.INVALID_ARG, f"{error.msg} ({source.where(error.lineno or 1)})", lines, model=model)
    shown.syntax_error = shifted
    return shown


def _cell_lines(source: ModelSource, frame: FrameInfo) -> list[str]:
    number = frame["line"]
    lines = [f"{source.where(number)}, in {frame['function']}"]
    for near in range(number - CONTEXT_LINES, number + CONTEXT_LINES + 1):
        text = source.line(near)
        label, shown = source.place(near)
        if text is None or label != source.place(number)[0]:
            continue
        lines.append(f"----> {shown:<4}{text}" if near == number else f"      {shown:<4}{text}")
    return lines


def _library_lines(frames: Sequence[FrameInfo]) -> list[str]:
    kept = frames[-LIBRARY_FRAMES:]
    lines = [f"... {len(frames) - len(kept)} more frames"] if len(frames) > len(kept) else []
    for frame in kept:
        lines.append(f"File {frame['file']}:{frame['line']}, in {frame['function']}")
        if frame.get("text"):
            lines.append(f"      {(frame.get('text') or '').strip()}")
    return lines


def _trimmed(message: str) -> str:
    return message.strip().rstrip(";").rstrip()


def _code(name: str) -> Code:
    return Code.__members__.get(name, Code.INTERNAL)
