"""Keeping the instances of one model version alive: restart after a death, give up after too many, renew on demand.

Each instance has its own count of deaths, so that the end of all processes at once is not taken for a broken model.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.versions.launcher import Launcher, LoadFailure
from jupyter_pyserve.engine.versions.restarts import RestartPolicy
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.config import InstanceSpec
from jupyter_pyserve.model.lifecycle import StubState
from jupyter_pyserve.model.regrouping import match_instances

#: How long an instance that is not wanted any more may take to go.
BRIEFLY_S = 1.0


class Supervisor:
    """Replaces instances in the list that it shares with its owner; `on_change` is called when one became ready."""

    def __init__(
        self,
        launcher: Launcher,
        instances: list[Instance],
        segments: Callable[[], Sequence[Segment]],
        on_change: Callable[[], None],
        on_give_up: Callable[[str], None],
    ) -> None:
        self._launcher = launcher
        self._instances = instances
        self._segments = segments
        self._on_change = on_change
        self._on_give_up = on_give_up
        self._policies: dict[str, RestartPolicy] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: Those that have left the list and finish what they have.
        self.retiring: set[Instance] = set()
        self._starting: list[Instance] = []
        self._closed = False
        self.restarts: dict[str, int] = {}
        self.last_exits: dict[str, str] = {}
        self.last_error = ""

    def died(self, instance: Instance) -> None:
        """Start a new one in its place, unless it has died too often; instances that are starting are looked after."""
        if instance in self._instances:
            self._run(self._revive(instance))

    def look_after(self, started: Iterable[Instance]) -> None:
        """Of these, which are in the list from now on, some may have died since they were ready: start them again."""
        for instance in started:
            if not instance.alive:
                self.died(instance)

    async def restart(self, timeout_s: float) -> None:
        """Replace every instance, one after the other, while the others serve.

        Each old one has `timeout_s` to finish what it is doing, in the background; then it is ended.
        """
        for instance in list(self._instances):
            await self.renew(instance, timeout_s)

    async def renew(self, instance: Instance, timeout_s: float) -> None:
        """Replace one instance in the same way."""
        fresh = await self._start(instance)
        if await self._put(fresh, instance):
            self._run(self._retire(instance, timeout_s))

    async def resize(
        self, specs: Sequence[InstanceSpec], release: Callable[[Instance], Awaitable[None] | None], timeout_s: float
    ) -> list[asyncio.Task[None]]:
        """Have these instances and no others; raises, and has changed nothing, when one of them cannot be started.

        What is not wanted any more leaves the list at once, and ends after what `release` says is to be waited for, at
        most `timeout_s`: each end is a task of those returned.
        """
        places = match_instances([item.spec for item in self._instances], specs)
        fresh = await self._start_all([spec for spec, place in zip(specs, places) if place is None])
        if self._closed:
            await asyncio.gather(*(item.stop(BRIEFLY_S) for item in fresh))
            return []
        for item in fresh:
            item.attach(self._segments())  # the arena may have grown since they started
        coming = iter(fresh)
        # Places are the same still, whoever was started again meanwhile.
        wanted = [next(coming) if place is None else self._instances[place] for place in places]
        leaving = [item for item in self._instances if item not in wanted]
        self._instances[:] = wanted
        self.retiring.update(leaving)
        ends = [self._run(self._retire(item, timeout_s, release(item))) for item in leaving]
        self._on_change()
        self.look_after(fresh)
        return ends

    async def _start_all(self, specs: Sequence[InstanceSpec]) -> list[Instance]:
        fresh = self._starting = [self._launcher.new_instance(spec) for spec in specs]
        try:
            results = await asyncio.gather(
                *(self._launcher.bring_up(item, self._segments()) for item in fresh), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        except BaseException:
            await asyncio.gather(*(item.stop(BRIEFLY_S) for item in fresh))
            raise
        finally:
            self._starting = []
        return fresh

    def abandon(self) -> None:
        """Give up on instances that `resize` is starting: it fails."""
        for instance in self._starting:
            instance.kill()

    def kill(self) -> list[Instance]:
        """End every process at once, and say which: those that serve are started again, retiring ones are gone."""
        doomed = [*self._instances, *self.retiring]
        for instance in doomed:
            instance.kill()
        return doomed

    async def stop(self, timeout_s: float) -> None:
        """Revive nobody any more, and end every process; one that is busy for longer than `timeout_s` is killed."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(self._retire(item, timeout_s) for item in (*self._instances, *self.retiring)))

    async def _retire(self, instance: Instance, timeout_s: float, released: Awaitable[None] | None = None) -> None:
        self.retiring.add(instance)
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                if released is not None:
                    await asyncio.wait_for(released, timeout_s)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(instance.idle(), timeout_s)
            if instance.busy:
                instance.report(f"Stub process '{instance.name}' (pid {instance.pid}) is still busy; it is killed")
                instance.kill()
            await instance.stop(timeout_s)
        finally:
            self.retiring.discard(instance)

    async def _revive(self, instance: Instance) -> None:
        policy = self._policies.setdefault(instance.name, RestartPolicy())
        loop = asyncio.get_running_loop()
        while (delay_s := policy.died(loop.time())) is not None:
            self.last_exits[instance.name] = end = await instance.epitaph()
            instance.report(f"{end}; it starts again in {delay_s:.2f} s")
            await asyncio.sleep(delay_s)
            if self._closed or instance not in self._instances:
                return  # a restart was faster
            try:
                fresh = await self._start(instance)
            except (LoadFailure, PyServeError, OSError) as error:
                self.last_error = error.text if isinstance(error, LoadFailure) else str(error)
                continue
            self.last_error = ""
            self.restarts[fresh.name] = self.restarts.get(fresh.name, 0) + 1
            await self._put(fresh, instance)
            return
        instance.report(f"Stub process '{instance.name}' ended {policy.limit + 1} times in a minute; it is given up")
        serving = any(item.state in (StubState.READY, StubState.BUSY) for item in self._instances)
        if not serving and not self._closed:
            self._closed = True  # others that would start again are not wanted any more
            self._on_give_up(f"Stub process '{instance.name}' ended {policy.limit + 1} times in a minute.")

    async def _start(self, old: Instance) -> Instance:
        fresh = self._launcher.new_instance(old.spec)
        try:
            await self._launcher.bring_up(fresh, self._segments())
        except BaseException:
            await fresh.stop(BRIEFLY_S)
            raise
        return fresh

    async def _put(self, fresh: Instance, old: Instance) -> bool:
        """Let `fresh` serve in the place of `old`; not if that has another successor by now, or none is wanted."""
        if self._closed or old not in self._instances:
            await fresh.stop(BRIEFLY_S)
            return False
        fresh.attach(self._segments())  # the arena may have grown since it started
        fresh.requests += old.requests
        fresh.failures += old.failures
        fresh.tally = old.tally
        if not old.admission.open:
            fresh.admission.drain()
        self._instances[self._instances.index(old)] = fresh
        self._on_change()
        self.look_after((fresh,))
        return True

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
