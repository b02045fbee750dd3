"""`%pyserve list | status | shared | logs | top`: what there is and what it does, once or for a while."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import deque
from collections.abc import Mapping

from jupyter_pyserve.notebook import api, logbook
from jupyter_pyserve.notebook.argument_types import count, seconds
from jupyter_pyserve.notebook.commands.scene import Add, Run, Scene
from jupyter_pyserve.notebook.display import EngineView, LogView, SharedArrays, View
from jupyter_pyserve.notebook.flow import Flow
from jupyter_pyserve.notebook.payloads import LogRecord
from jupyter_pyserve.notebook.screen import say
from jupyter_pyserve.notebook.topview import Top
from jupyter_pyserve.notebook.widgets import front_end
from jupyter_pyserve.notebook.widgets.api import monitor

#: How often what is followed is shown anew.
_SHOWN_EVERY_S = 0.2
#: Between two looks of `top --once`, which shows how busy processes are.
_GLANCE_S = 0.3
_CLEAR = "\x1b[H\x1b[2J"


def add_options(add: Add) -> None:
    """The grammar of these commands."""
    add("list", "all models, one line each")
    add("status", "versions, instances, addresses of a model, or of everything", model=False)
    add("shared", "the arrays that pyserve.share shares, and who uses them")
    logs = add("logs", "what a model printed and logged, by instance", model=False)
    logs.add_argument("-n", "--lines", type=count, default=50, metavar="N", help="how many lines (default 50)")
    logs.add_argument("-f", "--follow", action="store_true", help="and those that come, until it is interrupted")
    logs.add_argument("--for", dest="for_s", type=seconds, metavar="S", help="follow for so many seconds")
    logs.add_argument("--instance", metavar="I", help="only this instance")
    logs.add_argument("--level", choices=logbook.LEVELS, help="only what was logged at this level and above")
    logs.add_argument("--grep", metavar="TEXT", help="only lines with this in them, in any case")
    logs.add_argument("--request", metavar="ID", help="only lines of the request with this id")
    top = add("top", "what the processes do and what they cost, again and again until it is interrupted", model=False)
    top.add_argument("--once", action="store_true", help="show it once")
    top.add_argument("--for", dest="for_s", type=seconds, metavar="S", help="for so many seconds")
    top.add_argument("--interval", type=seconds, default=1.0, metavar="S", help="between two looks (default 1)")
    top.add_argument("--text", action="store_true", help="text, also where a live widget could be shown")


def listed(args: argparse.Namespace, scene: Scene) -> View:
    return api.models()


def status(args: argparse.Namespace, scene: Scene) -> View:
    return api.status(args.name)


def shared(args: argparse.Namespace, scene: Scene) -> View:
    found = api.status()
    assert isinstance(found, EngineView)
    return SharedArrays(found.status["engine"].get("shared", []))


# -- logs -------------------------------------------------------------------------------------------------------------


def logs(args: argparse.Namespace, scene: Scene) -> View | None:
    wanted = {"instance": args.instance, "level": args.level, "grep": args.grep, "request": args.request}
    if not args.follow and args.for_s is None:
        return logbook.logs(args.name, tail=args.lines, **wanted)
    records = logbook.follow_logs(args.name, tail=args.lines, **wanted)
    flow = Flow(records, for_s=args.for_s)
    with contextlib.suppress(KeyboardInterrupt):
        if scene.is_notebook:
            _follow_in_place(flow, scene, most=max(args.lines, 1))
        else:
            _follow_as_lines(flow)
    return None


def _follow_in_place(flow: Flow[LogRecord], scene: Scene, *, most: int) -> None:
    """One output with the newest lines, replaced a few times a second."""
    screen, kept = scene.screen(), deque[LogRecord](maxlen=most)
    screen.show(LogView([], note="following; interrupt the kernel to end it"))
    for batch in flow.batches(_SHOWN_EVERY_S):
        kept.extend(batch)
        screen.show(LogView(kept, note="following; interrupt the kernel to end it"))
    screen.show(LogView(kept))


def _follow_as_lines(flow: Flow[LogRecord]) -> None:
    for batch in flow.batches(_SHOWN_EVERY_S):
        say(LogView(batch).plain())


# -- top --------------------------------------------------------------------------------------------------------------


def top(args: argparse.Namespace, scene: Scene) -> View | None:
    if args.once:
        return _look(args.name, None, _GLANCE_S)
    if args.for_s is None and not args.text and front_end.is_there():
        scene.display(monitor(args.name, interval_s=max(args.interval, 1.0)))
        return None
    screen, shown = scene.screen(), None
    end_s = None if args.for_s is None else time.monotonic() + args.for_s
    with contextlib.suppress(KeyboardInterrupt):
        while end_s is None or time.monotonic() < end_s:
            shown = _look(args.name, shown, args.interval if shown is not None else _GLANCE_S)
            if not scene.is_notebook and sys.stdout.isatty():
                sys.stdout.write(_CLEAR)
            screen.show(shown)
    return None


def _look(name: str | None, before: Top | None, pause_s: float) -> Top:
    """The look after `before`, or after one that is taken now: rates and shares are those of the time between."""
    asked = api.control()
    if name is not None:
        asked.model_status(name)  # one that is unknown is an error
    first = before or Top(asked.status(sample=True), name)
    began_s = time.monotonic()
    time.sleep(pause_s)
    return Top(asked.status(sample=True), name, first, time.monotonic() - began_s)


COMMANDS: Mapping[str, Run] = {"list": listed, "logs": logs, "shared": shared, "status": status, "top": top}
