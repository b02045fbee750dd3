"""`%pyserve open | serve | export`: where models are reached, ports of their own for them, and directories."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import api, standalone
from jupyter_pyserve.notebook.addresses import Addresses
from jupyter_pyserve.notebook.argument_types import count
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.commands.scene import Add, Run, Scene
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.options.engine import add_engine_options


def add_options(add: Add) -> None:
    """The grammar of these commands; what `serve` does not know itself are options of the command `pyserve serve`."""
    add("open", "the addresses of a model or of everything, and JupyterLab's panel", model=False)
    serve = add("serve", "a server of its own on ports, as tritonserver is one; without options: what runs")
    serve.add_argument("--stop", nargs="?", const=-1, type=count, metavar="NUMBER", help="end it, or all of them")
    serve.add_argument("--output", nargs="?", const=0, type=count, metavar="NUMBER", help="what it has said last")
    serve.add_argument("--wait", type=count, default=60, metavar="S", help="seconds that the cell waits")
    own = serve.add_argument_group("and all options of `pyserve serve`, like --http-port N; first of all")
    own.add_argument("--model-repository", metavar="DIR", help="the models", dest="repository")
    export = add("export", "write a model as a plain Triton model directory", model=True)
    export.add_argument("directory", metavar="DIRECTORY", help="below it, DIRECTORY/NAME")
    export.add_argument("--overwrite", action="store_true", help="replace what is there already")


def server_options() -> list[str]:
    """The options of a server of its own, for completion."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_engine_options(parser, http_port=8000, grpc_port=8001, metrics_port=8002)
    return sorted(word for action in parser._actions for word in action.option_strings)


def shown(args: argparse.Namespace, scene: Scene) -> View:
    return Addresses(api.status(args.name), default_client().address)


def serve(args: argparse.Namespace, scene: Scene) -> View | str:
    if args.stop is not None:
        return _stopped(args.stop)
    if args.output is not None:
        return _chosen(args.output).output() or "it has said nothing"
    options = [*([] if args.repository is None else [f"--model-repository={args.repository}"]), *args.options]
    if not options:
        return standalone.servers()
    if args.repository is None:
        raise PyServeError(Code.INVALID_ARG, "which models? %pyserve serve --model-repository DIR [--http-port N]")
    return standalone.start(options, wait_s=args.wait)


def _stopped(number: int) -> str:
    found = list(standalone.servers().servers) if number < 0 else [_chosen(number)]
    for server in found:
        server.stop()
    pids = ", ".join(str(server.pid) for server in found)
    return f"stopped: pid {pids}" if found else "no server of its own runs"


def _chosen(number: int) -> standalone.StandAlone:
    known = standalone.servers()
    if number >= len(known):
        raise PyServeError(Code.NOT_FOUND, f"there is no server number {number}; %pyserve serve lists them")
    return known[number]


def export(args: argparse.Namespace, scene: Scene) -> str:
    path = api.export(args.name, args.directory, overwrite=args.overwrite)
    return f"model '{args.name}' is in {path}; tritonserver --model-repository={path.parent} serves it"


COMMANDS: Mapping[str, Run] = {"export": export, "open": shown, "serve": serve}
