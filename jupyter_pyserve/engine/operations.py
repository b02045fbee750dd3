"""What a person does to models and instances that serve: drain, resume, restart, kill, look at stacks, roll back.

Each is one thing done to one model or one of its processes; nothing here decides by itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from jupyter_pyserve.engine.repository import deploy_history
from jupyter_pyserve.engine.repository.disk import Deployment
from jupyter_pyserve.engine.repository.finding import find_entry, find_instance
from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.lifecycle import StubState

#: How long a process may take to write its stacks.
_STACKS_S = 2.0


class Operations:
    """Acts on the models of a registry; new versions go to `repository`."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self._registry = registry
        self._repository = os.path.abspath(repository)

    # -- models -------------------------------------------------------------------------------------------------------

    def drain(self, model: str) -> None:
        """Refuse new requests to a model; those that it has are finished. A later load or deploy begins open."""
        for _, servable in self._serving(model):
            servable.admission.drain()

    def resume(self, model: str) -> None:
        """Take new requests again."""
        for _, servable in self._serving(model):
            servable.admission.resume()

    async def roll_back(self, model: str, version: int | None) -> tuple[int, int]:
        """Make the deploy before the newest one (or that of `version`) the newest again: its old and its new number."""
        entry = find_entry(self._registry, model)
        model_dir = os.path.join(self._repository, model)
        known = [item.version for item in await asyncio.to_thread(deploy_history.history, model_dir)]
        if version is None:
            if len(known) < 2:
                raise PyServeError(Code.INVALID_ARG, f"model '{model}' has no deploy to go back to")
            version = known[-2]
        found = await asyncio.to_thread(deploy_history.recall, model_dir, version)
        if found is None:
            there = ", ".join(map(str, known)) or "none"
            text = f"version {version} of model '{model}' is not there or was not made by a deploy (there are: {there})"
            raise PyServeError(Code.INVALID_ARG, text)
        source, config = found
        deployment = Deployment(self._repository, model, source, config, entry.owner)
        _, unchanged = await self._registry.deploy(deployment, lambda stage, instance: None, entry.owner)
        return version, known[-1] if unchanged else deployment.version

    # -- instances ----------------------------------------------------------------------------------------------------

    async def restart_instance(self, model: str, name: str, *, force: bool) -> None:
        """Start an instance anew: without a failed request, or (`force`) at once."""
        servable, instance = find_instance(self._registry, model, name)
        if force:
            await self.kill_instance(model, name)
            return
        try:
            await servable.renew(instance)
        except LoadFailure as failure:
            raise PyServeError(Code.INTERNAL, f"restart failed for instance '{name}': {failure.text}") from failure

    async def kill_instance(self, model: str, name: str) -> None:
        """End an instance's process at once; it is started again, and the requests that it had fail."""
        _, instance = find_instance(self._registry, model, name)
        instance.kill()
        await instance.gone()

    def drain_instance(self, model: str, name: str) -> None:
        """Give an instance no more work; others take it over, and where there is none, requests wait."""
        servable, instance = find_instance(self._registry, model, name)
        if servable.config.sequence_batching is not None:
            text = f"instances of model '{model}' hold sequences, which cannot move: drain the model instead"
            raise PyServeError(Code.UNSUPPORTED, text)
        instance.admission.drain()

    def resume_instance(self, model: str, name: str) -> None:
        """Give an instance work again."""
        servable, instance = find_instance(self._registry, model, name)
        instance.admission.resume()
        servable.relieved()

    async def stacks(self, model: str, name: str) -> dict[str, Any]:
        """The stacks of all threads of an instance, and what it executes, whatever it is doing."""
        _, instance = find_instance(self._registry, model, name)
        text = None
        if instance.state not in (StubState.SPAWNED, StubState.CLOSED, StubState.FAILED):
            text = await instance.process.stacks(_STACKS_S)
        if text is None:
            what = f"instance '{name}' (pid {instance.pid}, {instance.state.value}) does not show its stacks"
            raise PyServeError(Code.UNAVAILABLE, what)
        busy = instance.in_flight
        return {
            "stack": text,
            "request": busy[0][0].id if busy else "",
            "since_s": (time.monotonic_ns() - instance.executing_since_ns) / 1e9 if busy else None,
        }

    # -- finding ------------------------------------------------------------------------------------------------------

    def _serving(self, model: str) -> list[tuple[int, LoadedVersion]]:
        serving = list(find_entry(self._registry, model).servables())
        if not serving:
            raise PyServeError(Code.UNAVAILABLE, f"model '{model}' has no available versions")
        return serving
