"""The status of the engine for those who watch it: one look for all of them, and for each what is new to him.

Looks are taken only while somebody watches, no oftener than the most impatient one asks, and in small steps, so that
requests are not held up. Whoever does not read is not waited for: his next line says what changed since his last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator
from typing import TypeVar

from jupyter_pyserve.engine.watching.changes import Row, delta, selected
from jupyter_pyserve.engine.watching.sampler import Process, Sample, Sampler, pause_s

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Work is interrupted after so long, to let requests in.
_STEP_S = 0.0002
_PING_S = 10.0
#: How long what the sampler holds open is kept when the last one has gone, who may come back at once.
_REST_S = 2.0

_NOTHING: Row = {}

#: What is seen at a look: a model's row at last, and None wherever there may be a pause.
Rows = Callable[[Sample | None], Iterator[Row | None]]


class Watcher:
    """One who watches: how often he wants to know, and whether there is something that he has not seen."""

    __slots__ = ("interval_s", "news")

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.news = asyncio.Event()


class Watch:
    """Looks and watchers. `engine` and `models` make the rows, `processes` says which there are."""

    def __init__(
        self,
        sampler: Sampler,
        *,
        engine: Callable[[Sample | None], Row],
        models: Rows,
        processes: Callable[[], Iterable[Process]],
    ) -> None:
        self._sampler = sampler
        self._engine = engine
        self._models = models
        self._processes = processes
        self._watchers: set[Watcher] = set()
        self._looking: asyncio.Task[None] | None = None
        self._latest: Row | None = None
        self._somebody_new = asyncio.Event()
        self._closed = False

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    def now(self) -> Row:
        """The status without figures that have to be sampled."""
        rows = [row for row in self._models(None) if row is not None]
        return {"engine": self._engine(None), "models": rows}

    async def look(self) -> Row:
        """The status with everything."""
        try:
            status, _ = await self._look()
        finally:
            if not self._watchers:
                self._sampler.rest(_REST_S)
        return status

    async def _look(self) -> tuple[Row, float]:
        """A status, and what it has cost."""
        sample = await self._sampler.sample(self._processes())
        rows = [row async for row in _in_steps(self._models(sample)) if row is not None]
        return {"engine": self._engine(sample), "models": rows}, sample.cost_s

    async def lines(self, interval_s: float, wanted: Collection[str] | None = None) -> AsyncGenerator[bytes, None]:
        """A line of JSON with everything, then one with what has changed whenever something has, until closed."""
        watcher = Watcher(min(interval_s, _PING_S))  # whoever hears nothing for long takes us for dead
        self._join(watcher)
        seq, sent, told_s = 0, _NOTHING, -math.inf
        try:
            while not self._closed:
                await watcher.news.wait()
                watcher.news.clear()
                status, now_s = self._latest, time.monotonic()
                if status is None or now_s - told_s < watcher.interval_s - 0.1:
                    continue
                changed = delta(sent, status, wanted) if seq else None
                if changed == {} and now_s - told_s < _PING_S:
                    continue
                seq, sent, told_s = seq + 1, status, now_s
                if changed is None:
                    parts = [part async for part in _in_steps(_snapshot(seq, selected(status, wanted)))]
                    yield "".join(parts).encode()
                else:
                    await asyncio.sleep(0)
                    yield f"{_json({'type': 'delta' if changed else 'ping', 'seq': seq, **changed})}\n".encode()
        finally:
            self._leave(watcher)

    def close(self) -> None:
        """Nobody watches any more; what watchers have been told is all."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        for watcher in self._watchers:
            watcher.news.set()
        self._sampler.close()

    def _join(self, watcher: Watcher) -> None:
        self._watchers.add(watcher)
        self._somebody_new.set()
        if self._looking is None and not self._closed:
            self._looking = asyncio.get_running_loop().create_task(self._keep_looking())

    def _leave(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        if not self._watchers and self._looking is not None:
            self._looking.cancel()
            self._looking, self._latest = None, None

    async def _keep_looking(self) -> None:
        try:
            while True:
                self._somebody_new.clear()
                try:
                    self._latest, cost_s = await self._look()
                except Exception:  # noqa: BLE001 - the top of a task: the next look may succeed
                    _log.exception("the status could not be looked at")
                    cost_s = math.inf
                for watcher in self._watchers:
                    watcher.news.set()
                wait_s = pause_s(min(watcher.interval_s for watcher in self._watchers), cost_s)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._somebody_new.wait(), wait_s)
        finally:
            self._sampler.rest(_REST_S)


async def _in_steps(items: Iterator[T]) -> AsyncGenerator[T, None]:
    """The same items, with pauses in which others get their turn."""
    began_s = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - began_s > _STEP_S:
            await asyncio.sleep(0)
            began_s = time.perf_counter()


def _snapshot(seq: int, status: Row) -> Iterator[str]:
    """The line with everything, in parts."""
    yield f'{{"type":"snapshot","seq":{seq},"status":{{"engine":{_json(status["engine"])},"models":['
    for number, model in enumerate(status["models"]):
        rest = _json({name: value for name, value in model.items() if name != "instances"})
        yield f'{"," if number else ""}{rest[:-1]},"instances":['
        for place, instance in enumerate(model["instances"]):
            yield f"{',' if place else ''}{_json(instance)}"
        yield "]}"
    yield "]}}\n"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
