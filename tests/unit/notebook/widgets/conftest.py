"""A shell that passes for a kernel: what is displayed and what is sent to views is kept."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.notebook.widgets import live as live_module


class Loop:
    """What is to be called later is called when a test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def add_callback(self, call_later: Callable[..., None], delay_s: float, callback: Callable[[], None]) -> None:
        call_later(delay_s, callback)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()


class Kernel:
    def __init__(self) -> None:
        self.cell, self.request = "cell-1", 1
        self.io_loop = Loop()

    def get_parent(self) -> dict[str, Any]:
        return {"metadata": {"cellId": self.cell}, "header": {"msg_id": f"m-{self.request}"}}


class FrontEnd:
    """The outputs of cells by display id, and the messages to views."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.outputs: dict[str, dict[str, Any]] = {}
        self.sent: list[dict[str, Any]] = []

    def publish(self, data: dict[str, Any], metadata: object = None, **options: Any) -> None:
        name = (options.get("transient") or {}).get("display_id", "")
        if name in self.outputs or not options.get("update"):
            self.outputs[name] = data

    @property
    def views(self) -> list[dict[str, Any]]:
        return [data for data in self.outputs.values() if live_module._VIEW in data]

    @property
    def html(self) -> str:
        return "".join(data.get("text/html", "") for data in self.outputs.values())

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["type"] == kind]


@pytest.fixture
def front_end(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> FrontEnd:
    import anywidget

    found = FrontEnd(Kernel())
    monkeypatch.setattr(shell, "kernel", found.kernel, raising=False)
    monkeypatch.setattr(shell.display_pub, "publish", found.publish)

    def send(widget: object, content: dict[str, Any], buffers: object = None) -> None:
        found.sent.append(content)

    monkeypatch.setattr(anywidget.AnyWidget, "send", send)
    monkeypatch.setattr(live_module, "_shown", weakref.WeakSet())
    return found
