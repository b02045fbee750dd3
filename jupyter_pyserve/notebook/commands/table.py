"""All commands of `%pyserve` that need nothing but their arguments and the shell, by name, and their grammar."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from jupyter_pyserve.notebook.commands import acting, calling, looking, places
from jupyter_pyserve.notebook.commands.scene import Add, Run, Scene
from jupyter_pyserve.notebook.debugging import commands as debugging
from jupyter_pyserve.notebook.display import View

_MODULES = (looking, calling, acting, places)


def add_options(add: Add) -> None:
    """The grammar of all of them."""
    for module in _MODULES:
        module.add_options(add)
    debugging.add_options(add)


def _shellless(run: Callable[[argparse.Namespace], View | str]) -> Run:
    def command(args: argparse.Namespace, scene: Scene) -> View | str:
        __tracebackhide__ = True
        return run(args)

    return command


COMMANDS: Mapping[str, Run] = {
    **{name: run for module in _MODULES for name, run in module.COMMANDS.items()},
    **{name: _shellless(run) for name, run in debugging.COMMANDS.items()},
}
