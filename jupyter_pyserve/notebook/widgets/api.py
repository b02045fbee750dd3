"""The live views as functions: what `import jupyter_pyserve as pyserve` offers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jupyter_pyserve.notebook.client import default_client

if TYPE_CHECKING:
    from jupyter_pyserve.notebook.widgets.bench import Bench
    from jupyter_pyserve.notebook.widgets.form import Form
    from jupyter_pyserve.notebook.widgets.log_viewer import LogViewer
    from jupyter_pyserve.notebook.widgets.monitor import Monitor


def monitor(name: str | None = None, *, interval_s: float = 1.0) -> Monitor:
    """A live view of a model's processes, or of all: state, requests, latency, batch sizes, memory, processor, GPU.

    It asks the engine only while it can be seen. The saved notebook keeps a picture of how it was.
    """
    from jupyter_pyserve.notebook.widgets.monitor import Monitor

    default_client()  # an engine of this kernel's own is started here, not in a thread
    return Monitor(name, interval_s=interval_s)


def form(name: str) -> Form:
    """A form of a model's inputs, to fill in and send, with the answer below."""
    from jupyter_pyserve.notebook.widgets.form import Form

    return Form(name)


def log_viewer(name: str | None = None, *, tail: int = 200) -> LogViewer:
    """What a model, or every model, prints and logs, as it comes; filtered by text, level and instance."""
    from jupyter_pyserve.notebook.widgets.log_viewer import LogViewer

    default_client()
    return LogViewer(name, tail=tail)


def bench_widget(
    name: str,
    concurrency: int | Sequence[int] = (1, 2, 4, 8, 16),
    duration_s: float = 2.0,
    inputs: Mapping[str, object] | None = None,
    *,
    via: str = "lane",
    version: str | int | None = None,
    batch_size: int | None = None,
    timeout_s: float = 60.0,
) -> Bench:
    """`bench` beside the cells: progress, a plot that grows, and a way to end it. `.result` is what it found."""
    from jupyter_pyserve.notebook.widgets.bench import Bench

    default_client()
    options = {"concurrency": concurrency, "duration_s": duration_s, "inputs": inputs, "via": via}
    return Bench(name, {**options, "version": version, "batch_size": batch_size, "timeout_s": timeout_s})
