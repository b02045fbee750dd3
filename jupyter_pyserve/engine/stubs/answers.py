"""What one stub answers: frames in, responses of the requests that it holds out.

Nothing that contradicts itself, or belongs to nobody, gets past here. Knows no process, and not who waits for answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import PlainResponse
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import BatchTimes, Job, Response
from jupyter_pyserve.engine.stubs.held import Held, OpenBatch
from jupyter_pyserve.engine.stubs.responses import AnswerLayouts
from jupyter_pyserve.errors import Code

if TYPE_CHECKING:
    from jupyter_pyserve.engine.stubs.instance import Instance

#: Flags of what is no answer.
_NO_ANSWER = frames.DEFERRED | frames.RESCHEDULED


class Outcome(NamedTuple):
    """`execute` is over for a batch: a response for each request, None for one that is answered by itself."""

    batch: list[Job]
    responses: Sequence[Response | None]
    rescheduled: Sequence[Job]
    times: BatchTimes
    #: Whether it was the head of the queue, and not a coroutine that went on by itself.
    in_turn: bool


class Answers:
    """The answers of one stub; raises `WireError` for frames that no honest stub sends."""

    __slots__ = ("_early", "_instance", "_kept", "_layouts", "_on_failure", "decoupled", "held")

    def __init__(self, instance: Instance, on_failure: Callable[[Job, str], None]) -> None:
        """`on_failure` is told of each request that the model failed at, while its inputs are still there."""
        self.held = Held()
        #: Whether requests may have other than one response.
        self.decoupled = False
        self._instance = instance
        self._on_failure = on_failure
        #: Requests that are executed, and whose inputs the stub still reads; several times, if it saw them so often.
        self._kept: dict[int, list[Job]] = {}
        #: Requests whose inputs are read no more, though it is not known yet that they are executed: another thread of
        #: the stub said so while the answer was on its way.
        self._early: set[int] = set()
        self._layouts = AnswerLayouts()

    def of_batch(self, data: bytes) -> Outcome:
        """The answers of a RESPONSES frame."""
        responses, input_ns, infer_ns = frames.decode_responses(data)
        batch = self.held.executed([item[0] for item in responses])
        flags = 0
        answers: list[Response | None] = []
        for job, item in zip(batch, responses):
            flags |= item[2]
            answers.append(None if item[2] & _NO_ANSWER else self._response(job, item, final=True))
        parts, in_turn = self.held.over(batch[0].key)
        rescheduled: Sequence[Job] = ()
        if parts is not None or flags & _NO_ANSWER:
            rescheduled = self._settle(batch, responses, answers, parts)
        for job, item in zip(batch, responses):
            released = item[2] & frames.INPUTS_RELEASED
            if self._early and job.key in self._early:
                self._early.remove(job.key)
                released = True
            if released:
                job.unref()
            else:
                self._kept.setdefault(job.key, []).append(job)
        return Outcome(
            batch, answers, rescheduled, BatchTimes(input_ns, infer_ns, bool(flags & frames.BATCH_FAILED)), in_turn
        )

    def _settle(
        self,
        batch: list[Job],
        responses: Sequence[PlainResponse],
        answers: list[Response | None],
        parts: OpenBatch | None,
    ) -> Sequence[Job]:
        """Account for requests that were answered before, will be later, or (these are returned) come another time."""
        if parts is None:
            parts = self.held.keep_open(batch)
        rescheduled = []
        for index, (job, item) in enumerate(zip(batch, responses)):
            if item[2] & frames.DEFERRED:
                continue
            if not self.held.end(job.key):
                self._instance.release(item[5])  # it was answered before
                answers[index] = None
            elif item[2] & frames.RESCHEDULED:
                rescheduled.append(job)
        self.held.settle(parts)
        return rescheduled

    def of_stream(self, data: bytes) -> Iterator[tuple[Job, Response]]:
        """The responses of a STREAM frame."""
        for item in frames.decode_responses(data)[0]:
            job = self.held.find(item[0])
            if job is None:
                self._instance.release(item[5])  # its request has ended otherwise meanwhile
                continue
            final = bool(item[2] & frames.FINAL)
            if not self.decoupled and (item[2] & frames.BARE or not final):
                raise WireError("a part of an answer, of a model that gives whole ones")
            response = self._response(job, item, final=final)
            if final:
                self.held.end(job.key)
            yield job, response

    def inputs_released(self, keys: Sequence[int]) -> None:
        """The stub reads the inputs of these requests no more."""
        for key in keys:
            jobs = self._kept.get(key)
            if jobs is not None:
                job = jobs.pop()
                if not jobs:
                    del self._kept[key]
                job.unref()
            elif any(job.key == key for job in self.held.unread()):
                self._early.add(key)

    def reading(self, key: int) -> Job | None:
        """The request of that key, if the stub may still read its inputs."""
        kept = self._kept.get(key)
        return kept[0] if kept else next((job for job in self.held.unread() if job.key == key), None)

    def abandon(self) -> tuple[list[Job], list[Job], list[list[Job]]]:
        """The stub is gone: what it was executing, what its senders would have answered, what it had not begun."""
        unread = [*(job for jobs in self._kept.values() for job in jobs), *self.held.unread()]
        self._kept.clear()
        self._early.clear()
        left = self.held.abandon()
        for job in unread:
            job.unref()
        return left

    def _response(self, job: Job, item: PlainResponse, *, final: bool) -> Response:
        _, code, flags, layout, text, descriptors = item
        if code:
            self._instance.failures += 1
            known = Code(code - 1) if code <= len(Code) else Code.UNKNOWN
            response = Response(job, known, text.decode("utf-8", "replace"), final=final)
            self._on_failure(job, response.text)
            return response
        if flags & frames.BARE:
            return Response(job, final=final, bare=True)
        tensors = self._layouts.read(layout, descriptors)
        return Response(job, None, "", layout, tensors, descriptors, text, self._instance, final=final)
