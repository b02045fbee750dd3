"""Debugging and recordings from Python: what the magics do, as functions with return values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.client import Client, default_client
from jupyter_pyserve.notebook.control import Control
from jupyter_pyserve.notebook.debugging import lab, origins
from jupyter_pyserve.notebook.debugging.attached import Attached
from jupyter_pyserve.notebook.debugging.recorded import RecordingList, Replay
from jupyter_pyserve.notebook.debugging.stacks import Stacks
from jupyter_pyserve.notebook.kernel import file_of_label
from jupyter_pyserve.notebook.payloads import Debugged, InstanceInfo, StackInfo
from jupyter_pyserve.notebook.source import ModelSource, Piece, lines_of
from jupyter_pyserve.v2.request_options import RequestOptions

if TYPE_CHECKING:
    from jupyter_pyserve.notebook.debugging.fetched import RecordedRequest

MODES = ("failures", "all", "off")


def debug(name: str, *, instance: str | None = None, port: int = 0) -> Attached:
    """Let a debugger attach to a process of a model: VS Code, or JupyterLab's own. `undebug` ends that.

    The model's timeouts stand still meanwhile. Anybody on this machine who can connect to the port can run code.
    """
    control = Control(default_client().connection)
    chosen = instance or _first(control, name)["name"]
    opened = control.debug(name, chosen, port, ())
    shown = _shown_in(opened)
    if shown is not None:
        control.debug(name, chosen, port, [shown])
    return Attached(name, opened, lab.point_at(opened["port"]), cell=None if shown is None else str(shown["path"]))


def undebug(name: str, *, instance: str | None = None) -> list[str]:
    """Replace the processes of a model that a debugger may attach to, without a failed request; their names."""
    lab.point_back()
    control = Control(default_client().connection)
    rows = control.model_status(name)["instances"]
    chosen = [row["name"] for row in rows if row.get("debug") and instance in (None, row["name"])]
    for item in chosen:
        control.undebug(name, item)
    return chosen


def stack(name: str, instance: str | None = None) -> Stacks:
    """Where a model's processes are in their code, whatever they are doing: of one instance, or of all."""
    control = Control(default_client().connection)
    rows = control.model_status(name)["instances"]
    found: dict[str, StackInfo | str] = {}
    for row in rows:
        if instance in (None, row["name"]):
            try:
                found[row["name"]] = control.stack(name, row["name"])
            except PyServeError as error:
                found[row["name"]] = error.message
    if not found:
        names = ", ".join(row["name"] for row in rows) or "none"
        raise PyServeError(Code.NOT_FOUND, f"model '{name}' has no instance '{instance or '*'}' (there are: {names})")
    return Stacks(found)


def record(name: str, mode: str = "failures", *, limit: int | None = None) -> None:
    """Choose which requests of a model are kept: those that it fails at (the default), "all" or none ("off")."""
    if mode not in MODES:
        raise PyServeError(Code.INVALID_ARG, f"'{mode}' is not one of: {', '.join(MODES)}")
    Control(default_client().connection).record(name, mode, limit)


def recordings(name: str | None = None) -> RecordingList:
    """The requests that are kept, of a model or of all."""
    return RecordingList(Control(default_client().connection).recordings(name))


def replay(name: str, *, serve: bool = False) -> Replay:
    """Run a recorded request again: in this kernel, where `%debug` shows its frames, or (`serve`) served."""
    __tracebackhide__ = True
    from jupyter_pyserve.notebook.debugging.fetched import decode
    from jupyter_pyserve.notebook.debugging.replay import replay_here

    client = default_client()
    control = Control(client.connection)
    row = next((item for item in control.recordings() if item["id"] == name), None)
    if row is None:
        known = ", ".join(item["id"] for item in control.recordings()) or "none"
        raise PyServeError(Code.NOT_FOUND, f"there is no recording '{name}' (there are: {known})")
    recorded = decode(*control.recording(name), row["model"])
    if serve:
        return _served(name, row["model"], recorded, client)
    return replay_here(name, recorded, control.recorded_model(name), client)


def _served(name: str, model: str, recorded: RecordedRequest, client: Client) -> Replay:
    """By the version that serves now, whichever that is."""
    config: Mapping[str, Any] = client.model(model).config
    options = RequestOptions(
        outputs=tuple(recorded.outputs), request_id=recorded.request.id, parameters=recorded.parameters
    )
    if config.get("model_transaction_policy", {}).get("decoupled") is True:
        responses = list(client.stream(model, recorded.inputs, options))
    else:
        responses = [client.infer(model, recorded.inputs, options)]
    return Replay(name, responses, where=f"by the served model '{model}'")


def _first(control: Control, name: str) -> InstanceInfo:
    """The one that a debugger may attach to already, else the first that runs, which idle models prefer."""
    rows = [row for row in control.model_status(name)["instances"] if row["state"] in ("READY", "BUSY")]
    if not rows:
        raise PyServeError(Code.UNAVAILABLE, f"no instance of model '{name}' runs; %pyserve status {name} says why")
    return next((row for row in rows if row.get("debug")), rows[0])


def _shown_in(opened: Debugged) -> dict[str, object] | None:
    """Which lines of a cell of this kernel are the model's; of several cells, debuggers take one: that of its class."""
    try:
        text = Path(opened["model_file"]).read_text("utf-8")
    except (OSError, ValueError):
        return None
    source = origins.source_of(text)
    piece = None if source is None else _largest_piece(source)
    file = None if piece is None else file_of_label(piece.label)
    if piece is None or file is None:
        return None
    count = piece.last - piece.first + 1
    return {"path": file, "line": piece.first + piece.offset, "count": count, "model_line": piece.first}


def _largest_piece(source: ModelSource) -> Piece:
    lines = len(lines_of(source.text))
    whole = Piece(first=1, last=lines, label=source.label, offset=source.line_offset)
    return max(source.pieces, key=lambda item: item.last - item.first, default=whole)
