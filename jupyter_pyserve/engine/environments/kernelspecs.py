"""Jupyter's kernelspecs, where Jupyter is installed: the only place of the engine that knows of it."""

from __future__ import annotations

from jupyter_pyserve.engine.environments.environment import KernelSpec
from jupyter_pyserve.errors import Code, PyServeError


def find_kernelspec(name: str) -> KernelSpec | None:
    """The kernelspec of this name, if there is one and Jupyter to ask; raises `PyServeError` for a broken one."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
        from traitlets import TraitError
    except ImportError:
        return None
    try:
        found = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        return None
    except (OSError, TypeError, ValueError, TraitError) as error:
        raise PyServeError(Code.INTERNAL, f"The Jupyter kernelspec '{name}' cannot be read: {error}") from error
    return KernelSpec(language=found.language, argv=tuple(found.argv), variables=dict(found.env))
