from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, encode_layout

from jupyter_pyserve.engine.cache.answers import Answers
from jupyter_pyserve.engine.cache.store import ResponseCache
from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.memory.arena import Arena
from jupyter_pyserve.errors import Code
from jupyter_pyserve.model.statistics import ModelStatistics
from jupyter_pyserve.v2.infer import InferRequest, InputRef
from jupyter_pyserve.v2.plan import RequestPlan, make_request_plan
from tests.unit.transports.http.fakes import signature


class Bench:
    """A model version that doubles strings, its cache, and somebody who waits for answers."""

    def __init__(self, limit_nbytes: int = 1 << 20) -> None:
        self.name = "m"
        self.outstanding = 0
        self.signature = signature(datatype="INT8")
        self.statistics = ModelStatistics(None)
        self.instances: list[Any] = []
        self.cache = ResponseCache(limit_nbytes)
        self.answers = Answers(self.cache, cast(Any, self), 1 << 20)
        self.arena = Arena("test", 1 << 20, lambda segment: None)
        self.executed: list[Job] = []
        self.answered: list[Response] = []

    def job_ended(self) -> None:
        self.outstanding -= 1

    def memory_freed(self) -> None:
        pass

    def cancel(self, job: Job) -> None:
        raise AssertionError

    def parts(self, job: Job) -> Sequence[Job]:
        return ()

    def deliver(self, job: Job, response: Response) -> None:
        self.answered.append(response)

    def plan(self, nbytes: int) -> RequestPlan:
        tensor = InputRef(name="IN", datatype="INT8", shape=(nbytes,), offset=0, nbytes=nbytes)
        return make_request_plan(InferRequest(id="", inputs=(tensor,), parameters={}), self.signature)

    def ask(self, text: bytes, memory: Arena | None = None) -> Job:
        """A request; one that the cache does not answer waits in `executed`."""
        memory = memory or self.arena
        block = memory.allocate(len(text))
        assert block is not None
        memory.view(block.segment, block.offset, len(text))[:] = text
        job = Job(self, memory, block.id, self)
        job.descriptors = ((block.segment, block.offset, len(text), 0),)
        job.plan = self.plan(len(text))
        if not self.answers.recall(job):
            self.executed.append(job)
        return job

    def execute(self, code: Code | None = None) -> None:
        """Answer the oldest request that waits, with its own input twice."""
        job = self.executed.pop(0)
        if code is not None:
            job.sink.deliver(job, Response(job, code=code, text="no"))
            return
        text = bytes(job.memory.view(*job.descriptors[0][:3]))
        block = self.arena.allocate(2 * len(text))
        assert block is not None
        self.arena.view(block.segment, block.offset, 2 * len(text))[:] = 2 * text
        metas = (TensorMeta("OUT", CODES["INT8"], (2 * len(text),)),)
        where = [(block.segment, block.offset, 2 * len(text), 1)]
        lender = cast(Any, SimpleNamespace(segments=self.arena.segments, release=lambda descriptors: None))
        job.sink.deliver(job, Response(job, None, "", encode_layout(metas), metas, where, b'{"a":1}', lender))

    def last(self) -> tuple[list[bytes], bytes, tuple[TensorMeta, ...]]:
        response = self.answered.pop()
        found = [bytes(view) for view in response.views()], response.parameters, response.tensors
        response.release()
        return found

    @property
    def counted(self) -> tuple[int, int]:
        return self.statistics.cache_hit_count, self.statistics.cache_miss_count


ANSWER = ([b"abab"], b'{"a":1}', (TensorMeta("OUT", CODES["INT8"], (4,)),))


def test_what_was_answered_is_answered_again() -> None:
    bench = Bench()
    bench.ask(b"ab")
    bench.execute()
    assert bench.last() == ANSWER
    bench.ask(b"ab")
    assert bench.executed == []
    assert bench.last() == ANSWER
    assert bench.counted == (1, 1)
    assert bench.outstanding == 0
    assert (bench.statistics.success_count, bench.statistics.queue_count) == (1, 1)  # the hit; the other is a stub's


def test_other_bytes_are_another_request() -> None:
    bench = Bench()
    bench.ask(b"ab")
    bench.execute()
    bench.ask(b"ac")
    assert len(bench.executed) == 1


def test_nothing_that_happens_to_an_answer_reaches_the_cache() -> None:
    bench = Bench()
    bench.ask(b"ab")
    bench.execute()
    bench.answered.pop().views()[0][:] = b"xxxx"
    bench.ask(b"ab")
    lent = bench.answered.pop()
    ((segment, offset, nbytes, lease),) = lent.places()
    assert lent.places() == [(segment, offset, nbytes, lease)]
    found = lent.segment((segment, offset, nbytes, lease))
    assert found is not None
    found.view[offset : offset + nbytes] = b"yyyy"
    bench.ask(b"ab")
    assert bench.last() == ANSWER


@pytest.mark.parametrize(("change", "hits"), [(b"ab", 1), (b"zz", 0)])
def test_inputs_in_somebody_elses_memory_must_be_the_same_afterwards(change: bytes, hits: int) -> None:
    bench = Bench()
    theirs = Arena("theirs", 1 << 20, lambda segment: None)
    job = bench.ask(b"ab", theirs)
    theirs.view(*job.descriptors[0][:3])[:] = change
    bench.execute()
    assert bench.last()[0] == [2 * change]
    bench.ask(b"ab")
    assert bench.counted == (hits, 1)
    theirs.close()


def test_a_copy_goes_when_it_is_released() -> None:
    bench = Bench()
    bench.ask(b"ab")
    bench.execute()
    bench.last()
    seen = set()
    for _ in range(3):
        bench.ask(b"ab")
        response = bench.answered.pop()
        seen.add(tuple(response.places()[0][:2]))
        give_back = response.hand_over()
        assert bench.outstanding == 0
        give_back()
    assert len(seen) == 1


def test_tensors_of_no_bytes() -> None:
    bench = Bench()
    bench.ask(b"")
    bench.execute()
    bench.last()
    bench.ask(b"")
    response = bench.answered.pop()
    assert [item[2] for item in response.places()] == [0]
    assert [bytes(view) for view in response.views()] == [b""]


def test_errors_are_misses_and_are_not_kept() -> None:
    bench = Bench()
    for _ in range(2):
        bench.ask(b"ab")
        bench.execute(Code.INTERNAL)
        assert bench.answered.pop().code is Code.INTERNAL
    assert bench.counted == (0, 2)
    assert len(bench.cache) == 0


def test_of_equal_requests_at_the_same_time_one_is_a_miss() -> None:
    bench = Bench()
    bench.ask(b"ab")
    bench.ask(b"ab")
    bench.execute()
    bench.execute()
    assert bench.counted == (0, 1)


@pytest.mark.parametrize("limit_nbytes", [3, 200])
def test_what_does_not_fit_is_said_and_answered(limit_nbytes: int, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(limit_nbytes)
    bench.ask(b"ab")
    with caplog.at_level(logging.ERROR):
        bench.execute()
    assert bench.last() == ANSWER
    assert bench.counted == (0, 1)
    (record,) = caplog.records
    assert record.getMessage().startswith("Failed to insert key [")
    assert record.getMessage().endswith(f" is greater than total cache size: {limit_nbytes}")


def test_what_is_forgotten_is_asked_again() -> None:
    bench = Bench()
    bench.ask(b"ab")
    bench.execute()
    bench.answers.forget()
    bench.ask(b"ab")
    assert len(bench.executed) == 1
    assert len(bench.cache) == 0


def test_what_began_before_it_was_forgotten_is_not_kept() -> None:
    bench = Bench()
    bench.ask(b"ab")
    bench.answers.forget()
    bench.execute()
    assert (len(bench.cache), bench.counted) == (0, (0, 1))


def test_one_version_does_not_answer_for_another() -> None:
    bench, other = Bench(), Bench()
    other.cache = bench.cache
    other.answers = Answers(bench.cache, cast(Any, other), 1 << 20)
    bench.ask(b"ab")
    bench.execute()
    other.ask(b"ab")
    assert len(other.executed) == 1
    other.execute()
    bench.answers.close()
    assert len(bench.cache) == 1


def test_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(time, "monotonic_ns", itertools.count(100, 10).__next__)
    bench.ask(b"ab")
    assert bench.cache.figures.lookup_ns == 10
    bench.execute()
    assert bench.cache.figures.insertion_ns == 10
    assert bench.statistics.cache_miss_ns == 10 + 30  # the look at the cache, and what was kept
    bench.ask(b"ab")
    statistics = bench.statistics
    assert (statistics.success_ns, statistics.queue_ns, statistics.cache_hit_ns) == (30, 10, 10)
