"""A notebook kernel beside an engine: cells with their outputs, and JupyterLab's side of its debugger."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from tests.process.engine import Engine, environment

TIMEOUT_S = 60.0

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Kernel:
    """Runs cells, and talks to the debugger as JupyterLab does: over the control channel."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client
        self._seq = 0

    def run(self, code: str) -> str:
        """A cell; what it showed, without colours."""
        return self.shown(self.start(code))

    def start(self, code: str) -> str:
        """Begin a cell; its message's id."""
        message_id: str = self._client.execute(code)
        return message_id

    def shown(self, message_id: str) -> str:
        """What a cell has shown by its end."""
        parts: list[str] = []
        while True:
            message = self._client.get_iopub_msg(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            content, kind = message["content"], message["msg_type"]
            if kind == "stream":
                parts.append(content["text"])
            elif kind == "error":
                parts += content["traceback"]
            elif "data" in content:
                parts.append(content["data"].get("text/plain", ""))
            elif kind == "status" and content["execution_state"] == "idle":
                return _COLOURS.sub("", "\n".join(parts))

    def debug(self, command: str, **arguments: Any) -> dict[str, Any]:
        """A request to the kernel's debugger; the body of the answer."""
        self._seq += 1
        content = {"type": "request", "seq": self._seq, "command": command, "arguments": arguments}
        message = self._client.session.msg("debug_request", content)
        self._client.control_channel.send(message)
        while True:
            reply = self._client.get_control_msg(timeout=TIMEOUT_S)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                break
        assert reply["content"].get("success", True), reply["content"]
        body: dict[str, Any] = reply["content"].get("body") or {}
        return body

    def debug_event(self, name: str) -> dict[str, Any]:
        """The body of the next event of that name."""
        while True:
            message = self._client.get_iopub_msg(timeout=TIMEOUT_S)
            if message["msg_type"] == "debug_event" and message["content"]["event"] == name:
                body: dict[str, Any] = message["content"].get("body") or {}
                return body


@contextmanager
def kernel_of(engine: Engine) -> Iterator[Kernel]:
    """A kernel that has found the engine, and our names loaded."""
    variables = {
        **environment(),
        "PYSERVE_RUNTIME_DIR": str(engine.folder),
        "IPYTHONDIR": str(engine.folder / "ipython"),
    }
    manager, client = start_new_kernel(env={**os.environ, **variables})
    kernel = Kernel(client)
    try:
        shown = kernel.run("%load_ext jupyter_pyserve\nimport jupyter_pyserve as pyserve, numpy as np")
        assert not shown, shown
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
