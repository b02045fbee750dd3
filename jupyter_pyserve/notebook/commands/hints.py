"""What to do about an error: a line below the engine's own text, where that leaves one wondering."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.options import nearest

_STARTS = (
    ("has no available versions", "%pyserve status {name} says why; %pyserve load {name} loads it again"),
    ("Request for unknown model", "%pyserve list shows what there is"),
    ("does not answer", "%pyserve status tries it again; the Jupyter server's log tells what became of its engine"),
    ("the engine went away", "it is started again by itself: run the cell again"),
    ("inference input", "%pyserve status {name} lists its inputs"),
    ("inference inputs", "%pyserve status {name} lists its inputs"),
    ("did not answer in time", "%pyserve stack {name} shows what its processes do"),
    ("is being drained", "%pyserve resume {name} lets requests in"),
    ("no deploy to go back to", "%pyserve deploy {name} makes one each time that the cell has changed"),
    ("failed to poll from model repository", "%pyserve list shows what there is; %pyserve status, which directories"),
)


def hint(error: PyServeError, name: str, models: Callable[[], Iterable[str]]) -> str:
    """The next step, or nothing where the text says it already."""
    if "%pyserve" in error.message or error.code is Code.CANCELLED:
        return ""
    step = next((step for part, step in _STARTS if part in error.message), "")
    if not step:
        return ""
    if "%pyserve list" in step and "unknown model" in error.message:
        known = sorted(models())
        near = nearest(name, known)
        meant = f"did you mean '{near}'? " if near else ""
        return f"{meant}{step}: {', '.join(known) or 'nothing yet'}"
    return step.format(name=name)
