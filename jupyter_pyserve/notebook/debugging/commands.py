"""`%pyserve debug | record | replay | stack`: their options, and what they do.

Knows no shell: each command takes its arguments and gives what is to be shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Protocol

from jupyter_pyserve.notebook.debugging import api
from jupyter_pyserve.notebook.display import View


class Add(Protocol):
    """Adds a command to the magic's grammar."""

    def __call__(self, name: str, text: str, *, model: bool | None = None) -> argparse.ArgumentParser: ...


def add_options(add: Add) -> None:
    """The grammar of these commands."""
    debug = add("debug", "let a debugger attach to a process of a model", model=True)
    debug.add_argument("--instance", metavar="I", help="this instance (default: the first)")
    debug.add_argument("--port", type=int, default=0, metavar="N", help="listen there (default: any free port)")
    debug.add_argument("--stop", action="store_true", help="end that: the process is replaced by a new one")
    stack = add("stack", "where the processes of a model are in their code, whatever they are doing", model=True)
    stack.add_argument("instance", metavar="INSTANCE", nargs="?", help="only this one")
    record = add("record", "which requests of a model are kept to be run again, and which there are", model=False)
    record.add_argument("--mode", choices=api.MODES, help="failures (the default), all, or off")
    record.add_argument("--limit", type=int, metavar="N", help="keep the newest N of this model (default 20)")
    replay = add("replay", "run a recorded request again, here in the kernel: %%debug shows its frames")
    replay.add_argument("name", metavar="ID", help="from %%pyserve record")
    replay.add_argument("--serve", action="store_true", help="send it to the served model instead")


def debug(args: argparse.Namespace) -> View | str:
    if not args.stop:
        return api.debug(args.name, instance=args.instance, port=args.port)
    ended = api.undebug(args.name, instance=args.instance)
    if not ended:
        return f"no process of model '{args.name}' was being debugged"
    return f"{', '.join(ended)}: replaced by a process that nobody debugs"


def stack(args: argparse.Namespace) -> View:
    return api.stack(args.name, args.instance)


def record(args: argparse.Namespace) -> View | str:
    if args.mode is None and args.limit is None:
        return api.recordings(args.name)
    if args.name is None:
        return "which model? %pyserve record NAME --mode MODE"
    mode = args.mode or "failures"
    api.record(args.name, mode, limit=args.limit)
    kept = {"failures": "requests that it fails at", "all": "all requests", "off": "no requests"}[mode]
    return f"{kept} of model '{args.name}' are kept from now on; %pyserve record {args.name} lists them"


def replay(args: argparse.Namespace) -> View:
    __tracebackhide__ = True
    return api.replay(args.name, serve=args.serve)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], View | str]] = {
    "debug": debug,
    "record": record,
    "replay": replay,
    "stack": stack,
}
