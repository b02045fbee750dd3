"""Endless answers of the engine, line by line, for as long as a run lasts: asked for again when they break off."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.widgets.running import Run

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0


def follow(
    run: Run,
    path: Callable[[], str],
    on_line: Callable[[Any], None],
    on_problem: Callable[[str], None],
) -> None:
    """Hand on what comes. `path` is asked anew each time, for where to go on may have changed.

    A problem is told, and as an empty text that it is over: there may be no line for long.
    """
    pause_s, problem = _FIRST_PAUSE_S, ""
    while not run.over.is_set():
        try:
            stream = default_client(may_start=False).connection.stream("GET", path())
            run.hold(stream)
            if problem:
                on_problem("")
            for line in stream:
                if run.over.is_set():
                    return
                on_line(json.loads(line))
                pause_s = _FIRST_PAUSE_S
            problem = "the engine has stopped"
        except PyServeError as error:
            problem = error.message
        if not run.over.is_set():
            on_problem(problem)
            run.over.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
