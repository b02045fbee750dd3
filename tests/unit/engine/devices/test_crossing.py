"""What waits for what, with devices that copy when the test says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pyserve_stub.wire.layout import TensorMeta

from jupyter_pyserve.engine.cache.recalled import Copies, Recalled
from jupyter_pyserve.engine.cache.store import Kept
from jupyter_pyserve.engine.devices.crossing import Crossing, Fetch
from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.memory.region import CudaRegion, Target
from jupyter_pyserve.errors import Code, PyServeError
from tests.unit.engine.memory.devices import FakeDevices

PLACE = CudaRegion("c", bytes(64), 0, 100)


class Owner:
    """What a job is of; also its memory, its sink, and who has lent the memory of its answers."""

    name = "m"

    def __init__(self, host: Segment) -> None:
        self.outstanding = 0
        self.instances: list[Any] = []
        self.freed: list[int] = []
        self.answers: list[tuple[Code | None, str]] = []
        self.segments = {host.id: host}

    def free(self, block_id: int) -> None:
        self.freed.append(block_id)

    def job_ended(self) -> None:
        self.outstanding -= 1

    def memory_freed(self) -> None: ...

    def cancel(self, job: Job) -> None: ...

    def parts(self, job: Job) -> Sequence[Job]:
        return ()

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        return self.segments[segment].read(offset, nbytes)

    def segment(self, segment_id: int) -> Segment:
        return self.segments[segment_id]

    def release(self, descriptors: Any) -> None: ...

    def deliver(self, job: Job, response: Response) -> None:
        self.answers.append((response.code, response.text))
        response.release()


@pytest.fixture
def host() -> Iterator[Segment]:
    made = Segment(4096, "test")
    yield made
    made.close()


@pytest.fixture
def owner(host: Segment) -> Owner:
    return Owner(host)


@pytest.fixture
def job(owner: Owner) -> Job:
    return Job(owner, owner, 1, owner)


@pytest.fixture
def devices() -> FakeDevices:
    return FakeDevices()


def fetches(host: Segment, count: int) -> list[Fetch]:
    return [Fetch(PLACE, 10 * index, 4, (host, 64 * index)) for index in range(count)]


def outputs(nbytes: int = 8) -> dict[str, Target]:
    return {"OUT": Target("OUT", PLACE, 20, nbytes)}


def answer(job: Job, owner: Owner, host: Segment, *, nbytes: int = 8, final: bool = True) -> Response:
    tensors = (TensorMeta("OUT", 1, (nbytes,)), TensorMeta("OTHER", 1, (nbytes,)))
    descriptors = [(host.id, 128, nbytes, 5), (host.id, 256, nbytes, 6)]
    return Response(job, None, "", b"", tensors, descriptors, b"", owner, final=final)


def test_a_job_is_queued_when_all_its_inputs_are_there(
    devices: FakeDevices, job: Job, owner: Owner, host: Segment
) -> None:
    queued: list[Job] = []
    Crossing(devices, fetches(host, 2), {}).begin(job, lambda: queued.append(job))
    assert [item[:5] for item in devices.copies] == [
        ("fetch", "c", 0, 4, (host, 0)),
        ("fetch", "c", 10, 4, (host, 64)),
    ]
    devices.copies[0][5](None)
    assert not queued
    devices.copies[1][5](None)
    assert queued == [job]
    assert owner.answers == []


def test_an_input_that_does_not_come(devices: FakeDevices, job: Job, owner: Owner, host: Segment) -> None:
    Crossing(devices, fetches(host, 2), {}).begin(job, lambda: pytest.fail("it is not all there"))
    devices.copies[0][5]("the device is on fire")
    assert owner.answers == []
    devices.copies[1][5](None)
    assert owner.answers == [(Code.INTERNAL, "an input could not be read from its device: the device is on fire")]
    assert owner.freed == [1]


def test_a_job_that_is_refused_when_its_inputs_are_there(
    devices: FakeDevices, job: Job, owner: Owner, host: Segment
) -> None:
    def refuse() -> None:
        raise PyServeError(Code.UNAVAILABLE, "too many")

    Crossing(devices, fetches(host, 1), {}).begin(job, refuse)
    devices.copies[0][5](None)
    assert owner.answers == [(Code.UNAVAILABLE, "too many")]
    with pytest.raises(PyServeError, match="too many"):  # nothing has been waited for: it is the caller's
        Crossing(devices, [], {}).begin(job, refuse)


def test_a_job_whose_version_is_gone_when_its_inputs_are_there(
    devices: FakeDevices, job: Job, owner: Owner, host: Segment, caplog: pytest.LogCaptureFixture
) -> None:
    def look() -> None:
        job.memory.view(999, 0, 4)

    Crossing(devices, fetches(host, 1), {}).begin(job, look)
    devices.copies[0][5](None)
    assert owner.answers == [(Code.INTERNAL, "internal error")]
    assert owner.freed == [1]
    assert "could not be queued" in caplog.text


def test_nobody_waits_any_more(devices: FakeDevices, job: Job, owner: Owner, host: Segment) -> None:
    Crossing(devices, fetches(host, 1), {}).begin(job, lambda: pytest.fail("nobody wants it"))
    job.cancelled = True
    devices.copies[0][5](None)
    assert owner.answers == []
    assert owner.freed == [1]


def test_an_answer_leaves_when_its_outputs_are_there(
    devices: FakeDevices, job: Job, owner: Owner, host: Segment
) -> None:
    Crossing(devices, [], outputs()).stand_before(job)
    job.sink.deliver(job, answer(job, owner, host))
    assert [item[:5] for item in devices.copies] == [("store", "c", 20, 8, (host, 128))]
    assert owner.answers == []
    devices.copies[0][5](None)
    assert owner.answers == [(None, "")]
    assert owner.freed == [1]


def test_an_output_that_does_not_arrive(devices: FakeDevices, job: Job, owner: Owner, host: Segment) -> None:
    Crossing(devices, [], outputs()).stand_before(job)
    job.sink.deliver(job, answer(job, owner, host))
    devices.copies[0][5]("the device is on fire")
    assert owner.answers == [(Code.INTERNAL, "an output could not be written to its device: the device is on fire")]


def test_what_is_too_large_is_not_copied(devices: FakeDevices, job: Job, owner: Owner, host: Segment) -> None:
    Crossing(devices, [], outputs(7)).stand_before(job)
    job.sink.deliver(job, answer(job, owner, host))
    assert devices.copies == []
    assert owner.answers == [(None, "")]


def test_what_lies_nowhere_is_a_failure(devices: FakeDevices, job: Job, owner: Owner, host: Segment) -> None:
    Crossing(devices, [], outputs()).stand_before(job)
    strange = answer(job, owner, host)
    strange.descriptors = [(999, 0, 8, 0), (host.id, 0, 8, 0)]
    job.sink.deliver(job, strange)
    assert devices.copies == []
    reason = "a response points at memory that is not its own"
    assert owner.answers == [(Code.INTERNAL, f"an output could not be written to its device: {reason}")]


def test_a_kept_answer_for_which_there_is_no_room_is_a_failure(devices: FakeDevices, job: Job, owner: Owner) -> None:
    Crossing(devices, [], outputs()).stand_before(job)
    kept = Kept(b"", (TensorMeta("OUT", 1, (8,)),), (bytes(8),), b"")
    job.sink.deliver(job, Recalled(job, kept, Copies(0)))
    assert devices.copies == []
    [(code, text)] = owner.answers
    assert code is Code.INTERNAL
    assert "Failed to increase the shared memory pool size for an answer of 64 bytes" in text


def test_answers_stay_in_their_order(devices: FakeDevices, job: Job, owner: Owner, host: Segment) -> None:
    Crossing(devices, [], outputs()).stand_before(job)
    job.sink.deliver(job, answer(job, owner, host, final=False))
    job.sink.deliver(job, Response(job, Code.INTERNAL, "the end"))
    assert owner.answers == []
    devices.copies[0][5](None)
    assert owner.answers == [(None, ""), (Code.INTERNAL, "the end")]
    assert owner.freed == [1]


def test_the_process_that_answered_may_end_meanwhile(
    devices: FakeDevices, job: Job, owner: Owner, host: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(owner, "deliver", lambda _, response: seen.extend(map(bytes, response.views())))
    Crossing(devices, [], outputs()).stand_before(job)
    job.sink.deliver(job, answer(job, owner, host))
    host.close()
    devices.copies[0][5](None)
    assert seen == [bytes(8), bytes(8)]
    assert host.closed


def test_an_answer_that_nobody_waits_for(devices: FakeDevices, job: Job, owner: Owner, host: Segment) -> None:
    Crossing(devices, [], outputs()).stand_before(job)
    job.sink.deliver(job, answer(job, owner, host))
    job.cancelled = True
    devices.copies[0][5](None)
    assert owner.answers == []
    assert owner.freed == [1]


def test_a_job_without_outputs_there_is_left_alone(devices: FakeDevices, job: Job, owner: Owner) -> None:
    Crossing(devices, [], {}).stand_before(job)
    assert job.sink is owner
