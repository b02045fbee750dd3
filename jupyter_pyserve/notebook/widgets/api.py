"""The live views as functions: what `import jupyter_pyserve as pyserve` offers of them."""

from __future__ import annotations

from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.widgets.monitor import Monitor


def monitor(name: str | None = None, *, interval_s: float = 1.0) -> Monitor:
    """A live view of a model's processes, or of all: state, requests, latency, batch sizes, memory, processor, GPU.

    It asks the engine only while it can be seen. The saved notebook keeps a picture of how it was.
    """
    default_client()  # an engine of this kernel's own is started here, not in a thread
    return Monitor(name, interval_s=interval_s)
