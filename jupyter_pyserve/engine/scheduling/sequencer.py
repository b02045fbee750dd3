"""Carrying out what a sequence batcher decides: batches to instances, controls to requests, and when to look again.

Takes a dispatcher's place for models with sequence batching, and owns its timer. The rules are `model.sequences`'.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.frames import encode_meta

from jupyter_pyserve.engine.job import Job, Owner, Response
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import ModelConfig
from jupyter_pyserve.model.lifecycle import StubState
from jupyter_pyserve.model.scheduling import SequenceBatching
from jupyter_pyserve.model.sequence_controls import Controls
from jupyter_pyserve.model.sequence_turns import END, START, CorrelationId, Refusal, Turn
from jupyter_pyserve.model.sequences import SEQUENCE_CANCELLED, SequenceScheduler
from jupyter_pyserve.model.statistics import FailureReason
from jupyter_pyserve.v2.messages import request_prefix

_log = logging.getLogger(__name__)

_MAX_METAS: Final = 1024
_USABLE: Final = (StubState.READY, StubState.BUSY)

Refuse = Callable[[Job, Code, str, FailureReason], None]


class Sequencer:
    """Sequences and instances of one model version. `refuse` answers a job that was accepted and can't be executed."""

    def __init__(self, config: ModelConfig, instances: Iterable[Instance], owner: Owner, refuse: Refuse) -> None:
        batching = config.sequence_batching
        assert batching is not None
        self._model_name = config.name
        self._decoupled = config.decoupled
        self._instances = instances
        self._owner = owner
        self._refuse = refuse
        self._facts = _Facts(batching, batched=config.max_batch_size > 0)
        self._scheduler: SequenceScheduler[Job] = SequenceScheduler(
            batching,
            model_name=config.name,
            max_batch_size=config.max_batch_size,
            hold_until=int(os.environ.get("TRITONSERVER_DELAY_SCHEDULER", "0")),
            hold_backlog=int(os.environ.get("TRITONSERVER_BACKLOG_DELAY_SCHEDULER", "0")),
        )
        self._next_batch: Callable[[Instance, int], list[Turn[Job] | None] | None] = self._scheduler.next_batch
        #: The instances that the scheduler knows of, and those of them that execute a batch.
        self._joined: dict[Instance, None] = {}
        self._executing: set[Instance] = set()
        #: Instances that leave when their sequences have ended, and who waits for that.
        self._leaving: dict[Instance, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0
        self._loop = asyncio.get_running_loop()

    @property
    def queued(self) -> int:
        """How many jobs no instance has been given."""
        return len(self._scheduler)

    @property
    def waiting(self) -> bool:
        """Whether anything is queued, or an instance leaves when what it executes was the last of a sequence."""
        return len(self._scheduler) > 0 or bool(self._leaving)

    def offer(self, job: Job, now_ns: int) -> None:
        """Take a job into its sequence, and run it if its turn has come; raises `PyServeError` when it has none."""
        mismatch = self._facts.controls.mismatch(job.correlation_id, self._model_name)
        if mismatch and job.correlation_id != "":
            raise PyServeError(Code.INVALID_ARG, request_prefix(job.id) + mismatch)
        self._look(now_ns)
        if self._scheduler.interrupts(job):
            _log.warning(
                "sequence %s for model '%s' has a conflict. The previous sequence did not end before this sequence "
                "start. Previous sequence will be terminated early.",
                job.correlation_id,
                self._model_name,
            )
        self._scheduler.offer(job, now_ns)
        self._run(now_ns)

    def set_apart(self, job: Job) -> None:
        """Before a job goes to an instance without having been queued: it is a sequence of its own."""
        correlation_id: CorrelationId = 1
        if self._facts.controls.mismatch(correlation_id, ""):
            correlation_id = "1"
        job.facts = self._facts.of(job, correlation_id, START | END)

    def cancel(self, job: Job) -> bool:
        """Drop a queued job, and what follows it in its sequence; False when it is not queued."""
        dropped = self._scheduler.cancel(job, now_ns := time.monotonic_ns())
        for other in dropped:
            if other is not job:
                self._refuse(other, Code.CANCELLED, SEQUENCE_CANCELLED, FailureReason.CANCELED)
        if dropped:
            self._run(now_ns)
        return bool(dropped)

    def put_back(self, batches: list[list[Job]]) -> None:
        """No stub is given a batch before it can start it, so there is nothing to put back."""

    def pump(self, now_ns: int, answering: int = 0) -> None:
        """Give work to every instance that can take some."""
        self._look(now_ns)
        self._run(now_ns)

    def suspend_timeouts(self, suspended: bool, now_ns: int) -> None:
        """Let no sequence expire, or go on counting from where that began."""
        if suspended != self._scheduler.suspended:
            self._scheduler.suspend(now_ns) if suspended else self._scheduler.resume(now_ns)
            self.pump(now_ns)

    def reschedule(self, instance: Instance, jobs: Sequence[Job], now_ns: int) -> list[Refusal[Job]]:
        """An instance has executed a batch, and its model wants these jobs again: those that cannot be had."""
        refused = [Refusal(job, Code.CANCELLED, "") for job in jobs if job.cancelled]
        refused += self._scheduler.reschedule(instance, [job for job in jobs if not job.cancelled])
        for job in jobs:
            job.enqueue_ns = now_ns
        if self._is_done(instance):
            self._executing.discard(instance)
            refused += self._scheduler.completed(instance, now_ns)
        return refused

    def release(self, instance: Instance) -> asyncio.Future[None] | None:
        """An instance is to leave: done when the sequences that it has are over. No other begins there."""
        if instance not in self._joined:
            return None
        self._scheduler.retire(instance)
        ended = self._leaving[instance] = self._loop.create_future()
        ended.add_done_callback(lambda _: self._leaving.pop(instance, None))
        return ended

    def drain(self) -> list[Job]:
        """Everything that is queued, taken out."""
        return self._scheduler.drain()

    def close(self) -> None:
        """No timer any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- what has happened --------------------------------------------------------------------------------------------

    def _look(self, now_ns: int) -> None:
        """Tell the scheduler of instances that came, went or are done, and of the time."""
        usable = [instance for instance in (*self._instances, *self._leaving) if instance.state in _USABLE]
        for instance in [known for known in self._joined if known not in usable]:
            del self._joined[instance]
            self._executing.discard(instance)
            self._refuse_all(self._scheduler.leave(instance, instance.name, now_ns))
        for instance in usable:
            if instance not in self._joined:
                self._joined[instance] = None
                self._scheduler.join(instance, now_ns)
        for instance in [known for known in self._executing if self._is_done(known)]:
            self._executing.discard(instance)
            self._refuse_all(self._scheduler.completed(instance, now_ns))
        self._refuse_all(self._scheduler.expire(now_ns))

    def _is_done(self, instance: Instance) -> bool:
        """Whether the next of a sequence may come; a decoupled model's coroutine does not keep it waiting."""
        return not instance.in_flight if self._decoupled else not instance.executing

    def _refuse_all(self, refused: list[Refusal[Job]]) -> None:
        for job, code, text, reason in refused:
            self._refuse(job, code, text, reason)

    # -- what happens now ---------------------------------------------------------------------------------------------

    def _run(self, now_ns: int) -> None:
        for instance in list(self._joined):
            if instance in self._joined and instance not in self._executing and _is_free(instance):
                turns = self._next_batch(instance, now_ns)
                if turns is not None:
                    self._executing.add(instance)
                    instance.execute([self._batch(turns)], now_ns)
        if self._leaving:
            self._let_go()
        self._wake_at(self._scheduler.next_wakeup_ns(now_ns), now_ns)

    def _let_go(self) -> None:
        for instance, ended in list(self._leaving.items()):
            busy = instance in self._joined and (instance in self._executing or not self._scheduler.is_vacant(instance))
            if not busy and not ended.done():
                ended.set_result(None)
                del self._leaving[instance]

    def _batch(self, turns: list[Turn[Job] | None]) -> list[Job]:
        pattern = next(turn.request for turn in turns if turn is not None)
        batch: list[Job] = []
        for turn in turns:
            if turn is None:
                batch.append(NullJob(self._owner, self._facts.null(pattern)))
            else:
                turn.request.facts = self._facts.of(turn.request, turn.sequence.id, turn.flags, turn.sequence.index)
                batch.append(turn.request)
        return batch

    def _wake_at(self, due_ns: int | None, now_ns: int) -> None:
        """Set the timer; one that goes off too early looks again, so it is left alone."""
        if due_ns is None or (self._timer is not None and self._due_ns <= due_ns):
            return
        self.close()
        self._due_ns = due_ns
        self._timer = self._loop.call_later(max(0, due_ns - now_ns) / 1e9, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.pump(time.monotonic_ns())


@dataclass(frozen=True, slots=True, kw_only=True)
class _NullPlan:
    """A request that only fills a slot: the shapes of another one, and nothing in it."""

    request: Any
    meta: bytes
    layout: bytes
    batch_size: int = 1
    shape_key: None = None


class _Facts:
    """What stubs are told of requests in sequences, remembered for those that come again."""

    def __init__(self, batching: SequenceBatching, *, batched: bool) -> None:
        self.controls = Controls(batching, batched=batched)
        self._stateful = bool(batching.states)
        self._metas: dict[tuple[bytes, CorrelationId, int, int | None], bytes] = {}
        self._null = encode_meta(null=True, **self._controls(0, 0, ready=False))

    def of(self, job: Job, correlation_id: CorrelationId, flags: int, slot: int | None = None) -> bytes:
        """A request's facts, with its place in its sequence, and the slot that the sequence's state is in."""
        plain: bytes = job.plan.meta
        key = (plain, correlation_id, flags, slot if self._stateful else None)
        meta = self._metas.get(key)
        if meta is None:
            if len(self._metas) >= _MAX_METAS:
                self._metas.clear()
            fields = json.loads(plain) | {"correlation_id": correlation_id, "flags": flags}
            if key[3] is not None:
                fields["slot"] = slot
            meta = self._metas[key] = encode_meta(**fields, **self._controls(correlation_id, flags, ready=True))
        return meta

    def null(self, pattern: Job) -> _NullPlan:
        """What fills a slot beside a request."""
        return _NullPlan(request=pattern.plan.request, meta=self._null, layout=pattern.plan.layout)

    def _controls(self, correlation_id: CorrelationId, flags: int, *, ready: bool) -> dict[str, Any]:
        tensors = self.controls.tensors(correlation_id, flags, ready=ready)
        return {"controls": [(item.name, CODES[item.datatype], item.shape, item.data.hex()) for item in tensors]}


class NullJob(Job):
    """A request that only fills a slot; nobody waits for its answer."""

    __slots__ = ()
    counts = False

    def __init__(self, owner: Owner, plan: _NullPlan) -> None:
        super().__init__(owner, _NOWHERE, 0, _NOWHERE)
        self.plan = plan


class _Nowhere:
    """The memory of what has no inputs, and the sink of what nobody waits for."""

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        raise LookupError("a request without inputs has no memory")

    def segment(self, segment_id: int) -> Segment:
        raise LookupError("a request without inputs has no memory")

    def free(self, block_id: int) -> None:
        """There is nothing."""

    def deliver(self, job: Job, response: Response) -> None:
        response.release()


_NOWHERE = _Nowhere()


def _is_free(instance: Instance) -> bool:
    return instance.state is StubState.READY and instance.room > 0
