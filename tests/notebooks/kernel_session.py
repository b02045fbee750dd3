"""Runs a notebook the way a front end does: a session and a kernel of a real Jupyter server, over its WebSocket."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

CELL_TIMEOUT_S = 120.0


@dataclass
class CellRun:
    """What one cell showed; an output that was replaced counts as its last form."""

    id: str
    outputs: list[dict[str, Any]] = field(default_factory=list)
    displays: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [output for output in self.outputs if "traceback" in output]

    def text(self) -> str:
        """Everything as a reader of the plain text sees it."""
        return "\n".join(_text(output) for output in self.outputs)

    def html(self) -> str:
        return "\n".join(output.get("data", {}).get("text/html", "") for output in self.outputs)

    def take(self, kind: str, content: dict[str, Any]) -> None:
        if kind not in ("stream", "display_data", "execute_result", "error"):
            return
        self.outputs.append(content)
        display_id = content.get("transient", {}).get("display_id")
        if display_id is not None:
            self.displays[display_id] = content

    def replace(self, content: dict[str, Any]) -> None:
        """An output, if it is one of this cell's, takes its new form."""
        display_id = content.get("transient", {}).get("display_id")
        if display_id in self.displays:
            self.displays[display_id].update(content)


def _text(output: dict[str, Any]) -> str:
    if "traceback" in output:
        return "\n".join(output["traceback"])
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))


def run_notebook(url: str, token: str, path: Path) -> dict[str, CellRun]:
    """Execute every code cell in order; a cell that fails without being tagged for it ends the run."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return asyncio.run(_run(url, token, path.name, [cell for cell in cells if cell["cell_type"] == "code"]))


async def _run(url: str, token: str, name: str, cells: list[dict[str, Any]]) -> dict[str, CellRun]:
    session = {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
    kernel = (await asyncio.to_thread(_post, f"{url}/api/sessions?token={token}", session))["kernel"]["id"]
    socket = await websocket_connect(f"{url.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels?token={token}")
    runs: dict[str, CellRun] = {}
    try:
        for cell in cells:
            run = runs[cell["id"]] = CellRun(cell["id"])
            await asyncio.wait_for(_execute(socket, "".join(cell["source"]), run, runs), CELL_TIMEOUT_S)
            if run.errors and "raises-exception" not in cell["metadata"].get("tags", []):
                raise AssertionError(f"cell '{run.id}' failed:\n{run.text()}")
    finally:
        socket.close()
        await asyncio.to_thread(_delete, f"{url}/api/kernels/{kernel}?token={token}")
    return runs


async def _execute(socket: WebSocketClientConnection, source: str, run: CellRun, runs: dict[str, CellRun]) -> None:
    msg_id = uuid.uuid4().hex
    header = {"msg_id": msg_id, "msg_type": "execute_request", "session": msg_id, "username": "", "version": "5.3"}
    content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json.dumps(request))
    waiting_for = {"execute_reply", "idle"}
    while waiting_for:
        raw = await socket.read_message()
        assert raw is not None, "the kernel's connection ended"
        message = json.loads(raw)
        kind, content = message["msg_type"], message["content"]
        if kind == "update_display_data":  # whichever cell it was shown in
            for shown in runs.values():
                shown.replace(content)
            continue
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        run.take(kind, content)
        waiting_for.discard(content.get("execution_state", "") if kind == "status" else kind)


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read())


def _delete(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()
