from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import PlainDescriptor, PlainResponse
from pyserve_stub.wire.layout import TensorMeta, WireError, encode_layout

from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.stubs.answers import Answers
from jupyter_pyserve.errors import Code

DONE = frames.FINAL | frames.INPUTS_RELEASED
LATER = frames.DEFERRED | frames.INPUTS_RELEASED


class Owner:
    outstanding = 0

    def job_ended(self) -> None:
        self.outstanding -= 1

    def memory_freed(self) -> None: ...

    def cancel(self, job: Job) -> None: ...


class Memory:
    def __init__(self) -> None:
        self.freed: list[int] = []

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        raise NotImplementedError

    def free(self, block_id: int) -> None:
        self.freed.append(block_id)


class Instance:
    """Notes what is given back."""

    def __init__(self) -> None:
        self.failures = 0
        self.released: list[PlainDescriptor] = []
        self.segments: dict[int, Any] = {}

    def release(self, descriptors: Sequence[PlainDescriptor]) -> None:
        self.released += descriptors


class Desk:
    """The answers of a stub that holds one batch."""

    def __init__(self, count: int = 1, *, decoupled: bool = True) -> None:
        self.instance = Instance()
        self.memory = Memory()
        self.owner = Owner()
        self.failed: list[tuple[int, int, str]] = []
        self.answers = Answers(
            cast(Any, self.instance), lambda job, text: self.failed.append((job.key, len(self.memory.freed), text))
        )
        self.answers.decoupled = decoupled
        self.jobs = [
            Job(cast(Any, self.owner), cast(Any, self.memory), number, cast(Any, None)) for number in range(count)
        ]
        for job in self.jobs:
            job.refs += 1  # the stub reads its inputs
        self.answers.held.in_flight.append(list(self.jobs))

    def response(
        self, index: int, flags: int, code: int = 0, descriptors: Sequence[PlainDescriptor] = ()
    ) -> PlainResponse:
        layout = encode_layout([TensorMeta("OUT", 11, (2,))] * len(descriptors))
        return (self.jobs[index].key, code, flags, layout, b"no" if code else b"", descriptors)

    def batch(self, *responses: PlainResponse) -> Any:
        return self.answers.of_batch(frames.encode_responses(responses, 5, 7))

    def stream(self, *responses: PlainResponse) -> list[tuple[Job, Response]]:
        return list(self.answers.of_stream(frames.encode_responses(responses, kind=frames.STREAM)))

    def leave(self, *responses: Response | None) -> None:
        """The front end is done with these."""
        for response in responses:
            if response is not None:
                response.release()


BLOCK = (9, 0, 8, 77)


@pytest.mark.parametrize("flags", [DONE, frames.INPUTS_RELEASED])
def test_what_answers_a_batch_is_final_whatever_it_says(flags: int) -> None:
    desk = Desk(decoupled=False)
    outcome = desk.batch(desk.response(0, flags))
    assert outcome.responses[0].final
    assert outcome.times == (5, 7, False)
    desk.leave(*outcome.responses)
    assert (desk.owner.outstanding, desk.memory.freed) == (0, [0])


def test_a_failed_batch() -> None:
    desk = Desk(2, decoupled=False)
    outcome = desk.batch(desk.response(0, DONE | frames.BATCH_FAILED, 2), desk.response(1, LATER | frames.BATCH_FAILED))
    assert [item and (item.code, item.text) for item in outcome.responses] == [(Code.INTERNAL, "no"), None]
    assert desk.failed == [(desk.jobs[0].key, 0, "no")], "and that while its inputs are there"
    assert outcome.times.failed
    assert desk.instance.failures == 1


def test_responses_of_a_stream() -> None:
    desk = Desk()
    (_, first), (_, second) = desk.stream(desk.response(0, 0, 0, [BLOCK]), desk.response(0, 0, 4))
    assert (first.final, first.descriptors, second.code) == (False, [BLOCK], Code.INVALID_ARG)
    assert desk.batch(desk.response(0, LATER)).responses == [None]
    ((_, last),) = desk.stream(desk.response(0, frames.FINAL | frames.BARE))
    assert (last.final, last.bare) == (True, True)
    assert not desk.answers.held
    desk.leave(first, second)
    assert desk.memory.freed == []
    desk.leave(last)
    assert (desk.owner.outstanding, desk.memory.freed, desk.instance.released) == (0, [0], [BLOCK])


def test_a_stream_may_end_before_execute_does() -> None:
    desk = Desk(2)
    ((_, last),) = desk.stream(desk.response(0, frames.FINAL))
    desk.leave(last)
    assert desk.memory.freed == []  # the stub still reads its inputs
    outcome = desk.batch(desk.response(0, LATER), desk.response(1, LATER))
    assert outcome.responses == [None, None]
    assert desk.memory.freed == [0]
    assert desk.answers.held.aside == 1


def test_who_is_answered_twice_is_answered_once() -> None:
    desk = Desk(2)
    desk.stream(desk.response(0, frames.FINAL))
    outcome = desk.batch(desk.response(0, DONE, 0, [BLOCK]), desk.response(1, DONE))
    assert [item is None for item in outcome.responses] == [True, False]
    assert desk.instance.released == [BLOCK]
    assert desk.stream(desk.response(1, 0, 0, [BLOCK])) == []
    assert desk.instance.released == [BLOCK, BLOCK]


@pytest.mark.parametrize("flags", [0, frames.FINAL | frames.BARE, frames.BARE])
def test_other_models_answer_whole(flags: int) -> None:
    desk = Desk(decoupled=False)
    with pytest.raises(WireError, match="a part of an answer"):
        desk.stream(desk.response(0, flags))
    assert desk.answers.held.in_flight


def test_a_broken_answer_leaves_the_books_as_they_were() -> None:
    desk = Desk(2, decoupled=False)
    broken = (desk.jobs[1].key, 0, DONE, encode_layout([TensorMeta("OUT", 11, (2,))]), b"", ())
    with pytest.raises(WireError):
        desk.batch(desk.response(0, DONE), broken)
    executing, answering, waiting = desk.answers.abandon()
    assert (executing, answering, waiting) == (desk.jobs, [], [])


def test_who_is_wanted_again_is_told_apart() -> None:
    desk = Desk(3)
    desk.stream(desk.response(2, frames.FINAL))
    again = frames.RESCHEDULED | frames.INPUTS_RELEASED
    outcome = desk.batch(desk.response(0, again), desk.response(1, DONE), desk.response(2, again))
    assert outcome.rescheduled == [desk.jobs[0]]
    assert [item is None for item in outcome.responses] == [True, False, True]
    assert not desk.answers.held


def test_inputs_are_released_as_often_as_they_were_read() -> None:
    desk = Desk()
    (job,) = desk.jobs
    for _ in range(2):  # the second time because it was wanted again
        desk.batch(desk.response(0, frames.RESCHEDULED))
        job.refs += 1
        desk.answers.held.in_flight.append([job])
    desk.batch(desk.response(0, frames.FINAL)).responses[0].release()
    for _ in range(3):
        assert desk.memory.freed == []
        assert desk.answers.reading(job.key) is job
        desk.answers.inputs_released((job.key,))
    assert desk.memory.freed == [0]
    assert desk.answers.reading(job.key) is None
    desk.answers.inputs_released((job.key, 12345))


def test_inputs_may_be_released_while_the_answer_is_on_its_way() -> None:
    desk = Desk(2)
    desk.answers.inputs_released((desk.jobs[1].key,))
    assert desk.memory.freed == []
    desk.leave(*desk.batch(desk.response(0, frames.FINAL), desk.response(1, frames.FINAL)).responses)
    assert desk.memory.freed == [1]
    desk.answers.inputs_released((desk.jobs[0].key,))
    assert desk.memory.freed == [1, 0]


def test_inputs_that_were_released_early_are_given_back_once_when_the_stub_is_gone() -> None:
    desk = Desk()
    desk.answers.inputs_released((desk.jobs[0].key,))
    ((job,), _, _) = desk.answers.abandon()
    job.finish()
    assert desk.memory.freed == [0]


def test_nothing_is_held_when_the_stub_is_gone() -> None:
    desk = Desk(2)
    desk.batch(desk.response(0, frames.FINAL), desk.response(1, frames.DEFERRED)).responses[0].release()
    executing, answering, _ = desk.answers.abandon()
    assert (executing, answering) == ([], [desk.jobs[1]])
    assert desk.memory.freed == [0]
    desk.jobs[1].finish()
    assert desk.memory.freed == [0, 1]
