"""How to attach to a model's process: what a notebook shows after `%pyserve debug`. Values in, text out."""

from __future__ import annotations

import json
import os

from jupyter_pyserve.notebook.debugging.lab import Lab
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, code_block, element
from jupyter_pyserve.notebook.payloads import Debugged

_LAB = {
    Lab.POINTED: (
        "JupyterLab: turn on the debugger of this notebook (the bug in its toolbar). It debugs this process now, and "
        "not the kernel; turn it off before %pyserve debug {name} --stop."
    ),
    Lab.IS_ON: (
        "JupyterLab: its debugger is on, for the kernel. Turn it off (the bug in the toolbar), run this again, and "
        "turn it on: then it debugs this process."
    ),
    Lab.ABSENT: "",
}


class Attached(View):
    """A process that lets debuggers in: `host`, `port`, and what to tell them."""

    def __init__(self, name: str, opened: Debugged, lab: Lab, cell: str | None = None) -> None:
        self.name = name
        self.host = opened["host"]
        self.port = opened["port"]
        self.instance = opened["instance"]
        self.model_file = opened["model_file"]
        self.lab = lab
        #: The cell's file whose lines debuggers may use for the model's, if this kernel has it.
        self.cell = cell

    def vscode(self) -> str:
        """An entry of `configurations` in VS Code's launch.json."""
        folder = os.path.dirname(self.model_file)
        return json.dumps(
            {
                "name": f"pyserve: {self.instance}",
                "type": "debugpy",
                "request": "attach",
                "connect": {"host": self.host, "port": self.port},
                "pathMappings": [{"localRoot": folder, "remoteRoot": folder}],
            },
            indent=2,
        )

    def html(self) -> Markup:
        head, *others = self._lines()
        parts = [element("div", element("b", head)), *(element("div", line) for line in others)]
        return element("div", *parts, code_block(self.vscode()))

    def plain(self) -> str:
        return "\n".join([*self._lines(), self.vscode()])

    def _lines(self) -> list[str]:
        where = "its cell, or in " if self.cell is not None else ""
        lines = [
            f"{self.instance} waits for a debugger at {self.host}:{self.port}; "
            f"the timeouts of '{self.name}' stand still",
            f"Breakpoints: breakpoint() in the model, or lines of {where}{self.model_file}",
            _LAB[self.lab].format(name=self.name),
            "Anybody on this machine who can connect to that port can run code as you.",
            "VS Code (launch.json):",
        ]
        return [line for line in lines if line]
