"""Jupyter's kernelspecs, where Jupyter is installed: the only place of the engine that knows of it."""

from __future__ import annotations

from jupyter_pyserve.engine.environment import KernelSpec


def find_kernelspec(name: str) -> KernelSpec | None:
    """The kernelspec of this name, if there is one and Jupyter to ask."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        return None
    try:
        found = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        return None
    return KernelSpec(language=found.language, argv=tuple(found.argv), variables=dict(found.env))
