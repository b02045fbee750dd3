"""`pyserve status` and `pyserve logs`: what a running engine is doing, for a terminal, as text or as JSON.

A client of the engine's control API; what it shows is made by the views that notebooks show.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jupyter_pyserve.errors import Code, PyServeError

#: What `logs` passes on as it is.
_FILTERS = ("instance", "level", "search", "request")


def add_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """The two commands."""
    status = commands.add_parser("status", help="what a running engine serves and how it does")
    logs = commands.add_parser("logs", help="what its models print and log")
    status.add_argument("model", nargs="?", metavar="MODEL")
    status.add_argument("--json", action="store_true", help="everything that is known, sampled figures too")
    logs.add_argument("model", nargs="?", metavar="MODEL")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    logs.add_argument("--tail", type=int, default=50, metavar="N", help="so many lines of the past")
    logs.add_argument("--instance", default="", metavar="NAME")
    logs.add_argument("--level", default="", metavar="LEVEL", help="VERBOSE, INFO, WARNING or ERROR, and above")
    logs.add_argument("--search", default="", metavar="TEXT")
    logs.add_argument("--request", default="", metavar="ID", help="what was said for that request")
    for parser in (status, logs):
        parser.add_argument("--runtime-dir", default=os.environ.get("PYSERVE_RUNTIME_DIR"), metavar="DIR")


def run(options: argparse.Namespace) -> int:
    """Carry out one of them; the exit status."""
    from jupyter_pyserve.notebook.address import Address
    from jupyter_pyserve.notebook.connection import Connection

    if not options.runtime_dir:
        print("no engine is known here: set PYSERVE_RUNTIME_DIR, or give --runtime-dir", file=sys.stderr)
        return 1
    connection = Connection(Address(runtime_dir=Path(options.runtime_dir)))
    try:
        with contextlib.closing(connection), contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
            (_status if options.command == "status" else _logs)(connection, options)
    except PyServeError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


def _status(connection: Any, options: argparse.Namespace) -> None:
    from jupyter_pyserve.notebook.display import EngineView, ServedModel

    status = connection.json("GET", "/api/status?sample=1")
    if options.model is not None:
        status["models"] = [row for row in status["models"] if row["name"] == options.model]
        if not status["models"]:
            raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{options.model}' is not found")
    if options.json:
        _say([json.dumps(status, indent=2)])
    elif options.model is not None:
        _say([ServedModel(status["models"][0], status["engine"], connection.address).plain()])
    else:
        _say([EngineView(status).plain()])


def _logs(connection: Any, options: argparse.Namespace) -> None:
    from jupyter_pyserve.notebook.display import LogView

    query = {"tail": options.tail, **{name: text for name in _FILTERS if (text := getattr(options, name))}}
    path = "/api/logs" if options.model is None else f"/api/models/{quote(options.model, safe='')}/logs"
    if not options.follow:
        records = connection.json("GET", f"{path}?{urlencode(query)}")["records"]
        _say(LogView([record]).plain() for record in records)
        return
    with contextlib.closing(connection.stream("GET", f"{path}?{urlencode({**query, 'follow': 1})}")) as lines:
        _say(LogView([json.loads(line)]).plain() for line in lines if line.strip())


def _say(texts: Iterable[str]) -> None:
    """What models say must not be able to steer the terminal."""
    for text in texts:
        print("".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text), flush=True)
