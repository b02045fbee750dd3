"""`%pyserve infer | bench`: requests with inputs that are expressions among the user's names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.argument_types import count, integers, key_value, seconds
from jupyter_pyserve.notebook.calling import Answer, Request, infer, read_request
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.commands.scene import Add, Run, Scene
from jupyter_pyserve.notebook.display import Note, View
from jupyter_pyserve.notebook.measuring.api import WAYS, Progress, bench

_INPUTS = "INPUT=EXPRESSION"


def add_options(add: Add) -> None:
    """The grammar of these commands. Their inputs are taken out of the line before it is parsed."""
    ask = add("infer", "ask a model; inputs are expressions: %%pyserve infer add INPUT0=x[:2]", model=True)
    ask.add_argument("inputs", metavar=_INPUTS, nargs="*", help="a value for each input")
    ask.add_argument("--json", metavar="FILE", help="the inputs: the body of a v2 request, or values by name")
    ask.add_argument("--stream", action="store_true", help="show each response as it comes")
    _add_version(ask)
    ask.add_argument("--output", action="append", default=[], metavar="NAME", help="only this one; may be repeated")
    ask.add_argument("--parameter", action="append", type=key_value, default=[], metavar="K=V", help="of the request")
    ask.add_argument("--id", default="", metavar="ID", help="of the request: its log lines carry it")
    ask.add_argument("--timeout", type=seconds, metavar="S", help="do not wait longer than that")
    measure = add("bench", "how fast a model answers, with more and more requests at once", model=True)
    measure.add_argument("inputs", metavar=_INPUTS, nargs="*", help="default: zeros and short texts")
    measure.add_argument("-c", "--concurrency", type=integers, metavar="N,N", help="requests at once (1,2,4,8,16)")
    measure.add_argument("--duration", type=seconds, default=2.0, metavar="S", help="for each of these (default 2)")
    measure.add_argument("--via", choices=WAYS, default=WAYS[0], help="as this kernel asks (default), or as others do")
    measure.add_argument("--batch-size", type=count, metavar="N", help="rows of each request")
    _add_version(measure)


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", metavar="VERSION", help="this version (default: the newest)")


def _values(args: argparse.Namespace, scene: Scene) -> dict[str, object]:
    return {name: scene.evaluate(text, what=name) for name, text in args.expressions.items()}


def ask(args: argparse.Namespace, scene: Scene) -> View | None:
    values = _values(args, scene)
    request = Request(inputs=values) if args.json is None else read_request(args.json)
    if args.json is not None and values:
        raise PyServeError(Code.INVALID_ARG, "--json holds all inputs: leave the others out")
    if args.stream:
        _stream(args, request, scene)
        return None
    return infer(
        args.name,
        request,
        version=args.version,
        outputs=args.output,
        parameters=dict(args.parameter),
        request_id=args.id,
        timeout_s=args.timeout,
    )


def _stream(args: argparse.Namespace, request: Request, scene: Scene) -> None:
    """Each response in its place below the one before, as it comes."""
    import time

    model = default_client().model(args.name, args.version)
    inputs: dict[str, Any] = dict(request.inputs)
    options = model.using(
        outputs=tuple(args.output) or request.outputs,
        parameters={**request.parameters, **dict(args.parameter)},
        request_id=args.id or request.request_id,
        timeout_s=args.timeout,
    )
    begun_s, number = time.perf_counter(), 0
    for number, response in enumerate(options.stream(**inputs), 1):
        after_ms = (time.perf_counter() - begun_s) * 1e3
        scene.screen().show(Answer(f"{args.name} [{number}]", [response], after_ms, after_ms))
    if number == 0:
        scene.screen().show(Note(f"{args.name} gave no response"))


def measure(args: argparse.Namespace, scene: Scene) -> View | None:
    screen = scene.screen()

    def tell(found: Progress) -> None:
        done = "".join(f", {level.concurrency}: {level.throughput:.0f}/s" for level in found.levels)
        at_once = f"{found.concurrency} request{'s' if found.concurrency > 1 else ''} at once"
        screen.show(Note(f"{args.name}: {at_once}, {found.share:4.0%}{done}"))

    screen.show(
        bench(
            args.name,
            **({} if args.concurrency is None else {"concurrency": args.concurrency}),
            duration_s=args.duration,
            inputs=_values(args, scene) or None,
            via=args.via,
            version=args.version,
            batch_size=args.batch_size,
            on_progress=tell if scene.is_notebook else None,
        )
    )
    return None


COMMANDS: Mapping[str, Run] = {"bench": measure, "infer": ask}
