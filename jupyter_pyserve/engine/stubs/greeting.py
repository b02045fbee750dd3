"""The first thing that a stub says: that it is one of ours, and which interpreter it runs; or why it cannot be one."""

from __future__ import annotations

import asyncio
from typing import Any

from pyserve_stub.wire import frames
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.stubs.faults import StubDied, StubFault


class Greeting:
    """Awaited once, by whoever started the stub."""

    def __init__(self) -> None:
        self._heard: asyncio.Future[None] | None = None
        #: The interpreter's path and version; empty before it has said so.
        self.interpreter = ""
        self.python = ""

    def expect(self) -> None:
        """The process is about to be started."""
        self._heard = asyncio.get_running_loop().create_future()

    async def wait(self, timeout_s: float) -> None:
        """Wait for it; raises `TimeoutError`, `StubDied`, or `StubFault` when the interpreter is unfit."""
        assert self._heard is not None
        await asyncio.wait_for(asyncio.shield(self._heard), timeout_s)

    def hello(self, note: dict[str, Any]) -> None:
        """It can be given work."""
        if note.get("magic") != frames.MAGIC or note.get("version") != frames.VERSION:
            raise WireError(f"the stub speaks version {note.get('version')}, not {frames.VERSION}")
        self.interpreter, self.python = str(note.get("interpreter", "")), str(note.get("python", ""))
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    def unfit(self, note: dict[str, Any]) -> None:
        """The interpreter cannot run it; it ends."""
        self._fail(StubFault({"text": str(note["text"])}))

    def ended(self) -> None:
        """Nothing more will come."""
        self._fail(StubDied())

    def _fail(self, error: Exception) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_exception(error)
            self._heard.exception()  # it may be that nobody waits any more
