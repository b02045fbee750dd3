from __future__ import annotations

from typing import Any, cast

import pytest
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.memory.arena import Segment


class Owner:
    def __init__(self) -> None:
        self.name = "m"
        self.instances: list[Any] = []
        self.outstanding = 0
        self.freed = 0

    def job_ended(self) -> None:
        self.outstanding -= 1

    def memory_freed(self) -> None:
        self.freed += 1

    def cancel(self, job: Job) -> None: ...

    def parts(self, job: Job) -> tuple[Job, ...]:
        return ()


class Memory:
    def __init__(self) -> None:
        self.freed: list[int] = []

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        return memoryview(b"%d:%d:%d" % (segment, offset, nbytes))

    def segment(self, segment_id: int) -> Segment:
        raise AssertionError(segment_id)

    def free(self, block_id: int) -> None:
        self.freed.append(block_id)


class Instance:
    def __init__(self, *segments: Segment) -> None:
        self.segments = {segment.id: segment for segment in segments}
        self.released: list[Any] = []

    def release(self, descriptors: Any) -> None:
        self.released += descriptors


def job(*descriptors: tuple[int, int, int, int]) -> Job:
    made = Job(Owner(), Memory(), 5, cast(Any, None))
    made.descriptors = descriptors
    return made


def freed(of: Job) -> list[int]:
    return cast(Memory, of.memory).freed


def test_keys_are_never_used_twice() -> None:
    assert len({job().key for _ in range(100)}) == 100


@pytest.mark.parametrize("stub_first", [True, False])
def test_memory_is_free_when_both_readers_are_done(stub_first: bool) -> None:
    made = job()
    made.refs += 1
    first, second = (made.unref, made.finish) if stub_first else (made.finish, made.unref)
    first()
    assert freed(made) == []
    second()
    assert freed(made) == [5]
    assert cast(Owner, made.owner).freed == 1


def test_its_owner_counts_it_until_it_is_answered() -> None:
    made = job()
    made.refs += 1
    assert made.owner.outstanding == 1
    made.finish()
    assert made.owner.outstanding == 0


@pytest.mark.parametrize(
    ("where", "inside"),
    [
        ((1, 64, 100), True),
        ((1, 64, 0), True),
        ((1, 100, 64), True),
        ((1, 63, 10), False),
        ((1, 100, 65), False),
        ((2, 64, 1), False),
        ((1, 200, 5), True),
        ((1, 160, 50), False),
    ],
)
def test_what_is_its_own(where: tuple[int, int, int], inside: bool) -> None:
    assert job((1, 64, 100, 0), (1, 200, 10, 0)).contains(*where) is inside


#: A segment that is nobody's lender's.
_INPUTS = 1 << 30


def response(instance: Instance, *descriptors: tuple[int, int, int, int]) -> Response:
    return Response(job((_INPUTS, 64, 100, 0)), descriptors=descriptors, lender=cast(Any, instance))


def test_views_of_the_stubs_memory_and_of_the_requests() -> None:
    segment = Segment(4096, "test")
    segment.view[10:13] = b"abc"
    views = response(Instance(segment), (segment.id, 10, 3, 9), (_INPUTS, 70, 4, 0), (99, 0, 0, 0)).views()
    assert [bytes(view) for view in views] == [b"abc", b"%d:70:4" % _INPUTS, b""]
    segment.close()


@pytest.mark.parametrize(("offset", "nbytes"), [(4095, 2), (5000, 1), (0, 1 << 60), ((1 << 64) - 1, 1)])
def test_a_stub_cannot_point_outside_of_its_memory(offset: int, nbytes: int) -> None:
    segment = Segment(4096, "test")
    with pytest.raises(WireError, match="outside of its segment"):
        response(Instance(segment), (segment.id, offset, nbytes, 1)).views()
    segment.close()


@pytest.mark.parametrize("where", [(1, 0, 10, 0), (1, 150, 100, 0), (2, 64, 1, 0), (77, 0, 1, 3)])
def test_a_stub_cannot_point_at_what_is_others(where: tuple[int, int, int, int]) -> None:
    with pytest.raises(WireError, match="not its own"):
        response(Instance(), where).views()


def test_releasing_gives_both_memories_back_once() -> None:
    instance = Instance()
    made = response(instance, (7, 0, 3, 9))
    made.release()
    assert instance.released == [(7, 0, 3, 9)]
    assert freed(made._job) == [5]


def test_handing_over_leaves_the_stubs_memory() -> None:
    instance = Instance()
    made = response(instance, (7, 0, 3, 9))
    give_back = made.hand_over()
    assert instance.released == []
    assert freed(made._job) == [5]
    give_back()
    assert instance.released == [(7, 0, 3, 9)]


def test_inputs_stay_until_every_response_of_a_stream_is_read() -> None:
    made, instance = job((_INPUTS, 64, 100, 0)), Instance()
    first = Response(made, descriptors=[(1, 64, 4, 0)], lender=cast(Any, instance), final=False)
    last = Response(made, final=True, bare=True)
    last.release()
    assert made.owner.outstanding == 0
    assert freed(made) == []
    first.release()
    assert instance.released == [(1, 64, 4, 0)]
    assert freed(made) == [5]
