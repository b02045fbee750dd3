"""`%pyserve scale | rollback | drain | resume | restart | kill | load | unload | undeploy`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import operations
from jupyter_pyserve.notebook.argument_types import count
from jupyter_pyserve.notebook.commands.scene import Add, Run, Scene
from jupyter_pyserve.notebook.display import View


def add_options(add: Add) -> None:
    """The grammar of these commands."""
    undeploy = add("undeploy", "take a model out of service", model=True)
    undeploy.add_argument("--delete", action="store_true", help="and delete its directory in the model repository")
    add("load", "load a model that is in the model repository", model=True)
    add("unload", "unload a model; it stays in the model repository", model=True)
    scale = add("scale", "have so many processes run a model, without a failed request", model=True)
    scale.add_argument("instances", metavar="N", type=count, help="how many")
    rollback = add("rollback", "serve the deploy before the newest again, or that of a version", model=True)
    rollback.add_argument("version", metavar="VERSION", nargs="?", type=count, help="default: the one before")
    restart = add("restart", "stop a model's processes, or one of them, and start new ones", model=True)
    _add_instance(restart)
    restart.add_argument("--force", action="store_true", help="at once: what they are executing fails")
    _add_instance(add("drain", "refuse new requests to a model, or give one instance no more work", model=True))
    _add_instance(add("resume", "end that", model=True))
    _add_instance(add("kill", "end the process of an instance at once; another takes its place", model=True))


def _add_instance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("instance", metavar="INSTANCE", nargs="?", help="only this one")


def undeploy(args: argparse.Namespace, scene: Scene) -> str:
    operations.undeploy(args.name, delete=args.delete)
    return f"model '{args.name}' is out of service{' and its directory deleted' if args.delete else ''}"


def load(args: argparse.Namespace, scene: Scene) -> View:
    return operations.load(args.name)


def unload(args: argparse.Namespace, scene: Scene) -> str:
    operations.unload(args.name)
    return f"model '{args.name}' is unloaded; %pyserve load {args.name} brings it back"


def scale(args: argparse.Namespace, scene: Scene) -> View:
    return operations.scale(args.name, args.instances)


def rollback(args: argparse.Namespace, scene: Scene) -> View:
    return operations.rollback(args.name, args.version)


def restart(args: argparse.Namespace, scene: Scene) -> View:
    try:
        return operations.restart(args.name, args.instance, force=args.force)
    except KeyboardInterrupt:
        what = " ".join(filter(None, [args.name, args.instance]))
        raise PyServeError(
            Code.CANCELLED,
            f"interrupted while '{args.name}' finishes what it is executing; "
            f"%pyserve restart {what} --force does not wait for that",
        ) from None


def drain(args: argparse.Namespace, scene: Scene) -> str:
    operations.drain(args.name, args.instance)
    end = f"%pyserve resume {' '.join(filter(None, [args.name, args.instance]))} ends that"
    if args.instance is not None:
        return f"{args.instance} finishes what it has and gets no more work; {end}"
    return f"model '{args.name}' finishes what it has and refuses new requests; {end}"


def resume(args: argparse.Namespace, scene: Scene) -> str:
    operations.resume(args.name, args.instance)
    return f"{args.instance or repr(args.name)} takes requests again"


def kill(args: argparse.Namespace, scene: Scene) -> View:
    return operations.kill(args.name, args.instance)


COMMANDS: Mapping[str, Run] = {
    "drain": drain,
    "kill": kill,
    "load": load,
    "restart": restart,
    "resume": resume,
    "rollback": rollback,
    "scale": scale,
    "undeploy": undeploy,
    "unload": unload,
}
