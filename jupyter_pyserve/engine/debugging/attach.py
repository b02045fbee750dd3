"""Debuggers of instances: where one may attach, and that a model's timeouts stand still meanwhile.

Knows nothing of debuggers themselves: the stub lets one in, and whoever asked gets the port.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_pyserve.engine.repository.finding import find_instance
from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.engine.stubs.faults import StubDied, StubFault
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.engine.versions.servable import Servable
from jupyter_pyserve.errors import Code, PyServeError

HOST = "127.0.0.1"

#: How long an instance may take to open its port, which it does between two requests.
_PATIENCE_S = 10.0


class Debuggers:
    """Lets debuggers in and out."""

    def __init__(self, registry: Registry, patience_s: float = _PATIENCE_S) -> None:
        self._registry = registry
        self._patience_s = patience_s
        self._opening: dict[Instance, asyncio.Task[None]] = {}

    async def attach(
        self, model: str, instance_name: str, port: int = 0, sources: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """Open a port for debuggers of this machine in an instance; if it has one, only `sources` are taken over."""
        servable, instance = find_instance(self._registry, model, instance_name)
        if sources or not instance.debug_port:
            await self._ask(servable, instance, port, [{**item, "file": servable.model_file} for item in sources])
        return {"host": HOST, "port": instance.debug_port, "instance": instance.name, "model_file": servable.model_file}

    async def _ask(
        self, servable: Servable, instance: Instance, port: int, sources: Sequence[Mapping[str, Any]]
    ) -> None:
        opening = self._opening.get(instance)
        if opening is None:
            opening = asyncio.get_running_loop().create_task(self._open(servable, instance, port, sources))
            self._opening[instance] = opening
            opening.add_done_callback(lambda task: self._opened(instance, task))
        await asyncio.wait((opening,), timeout=self._patience_s)
        if opening.done():
            opening.result()
        elif not instance.debug_port:
            busy_s = (time.monotonic_ns() - instance.executing_since_ns) / 1e9
            raise PyServeError(
                Code.UNAVAILABLE,
                f"instance '{instance.name}' has been executing a request for {busy_s:.0f} s, and can let a debugger "
                f"in when that is over, which it then does; %pyserve stack {servable.name} shows where it is",
            )

    def _opened(self, instance: Instance, task: asyncio.Task[None]) -> None:
        self._opening.pop(instance, None)
        if not task.cancelled():
            task.exception()  # whoever asked may not wait for it any more

    async def _open(
        self, servable: Servable, instance: Instance, port: int, sources: Sequence[Mapping[str, Any]]
    ) -> None:
        try:
            reply = await instance.ask("debug", port=port, sources=sources)
        except StubDied:
            raise PyServeError(Code.UNAVAILABLE, f"Stub process '{instance.name}' is not healthy.") from None
        except StubFault as fault:
            raise PyServeError(Code.UNSUPPORTED, fault.text) from None
        instance.debug_port = int(reply["port"])
        servable.look_at_debuggers()

    async def detach(self, model: str, instance_name: str) -> None:
        """Put a new process in the place of one that a debugger may attach to; no request fails.

        A process that has been traced is slower for ever, and its port cannot be closed: so it goes. What it is
        executing has the exit timeout to end.
        """
        servable, instance = find_instance(self._registry, model, instance_name)
        if not instance.debug_port:
            return
        instance.debug_port = 0
        servable.look_at_debuggers()
        try:
            await servable.renew(instance)
        except LoadFailure as failure:
            raise PyServeError(Code.INTERNAL, f"restart failed for model '{model}': {failure.text}") from failure
