from __future__ import annotations

import gc
import os

import numpy as np

from jupyter_pyserve.transports.lane.memory import LaneMemory

SIZE = 1 << 20


def grown(segment_id: int = 1) -> LaneMemory:
    memory = LaneMemory()
    add(memory, segment_id)
    return memory


def add(memory: LaneMemory, segment_id: int) -> None:
    fd = os.memfd_create("test")
    os.ftruncate(fd, SIZE)
    memory.add_own(segment_id, fd, SIZE)


def array(memory: LaneMemory, count: int = 100) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    lease = memory.allocate(count * 4)
    assert lease is not None
    return np.ndarray((count,), np.float32, buffer=lease)


def test_nothing_before_there_is_memory() -> None:
    assert LaneMemory().allocate(1) is None


def test_none_when_it_is_full() -> None:
    memory = grown()
    kept = memory.allocate(SIZE)
    assert kept is not None
    assert memory.allocate(64) is None
    add(memory, 2)
    assert memory.allocate(64) is not None


def test_an_array_keeps_its_block() -> None:
    memory = grown()
    made = array(memory)
    assert memory.used >= 400
    del made
    gc.collect()
    assert memory.used == 0


def test_views_keep_the_block_too() -> None:
    memory = grown()
    view = array(memory)[10:20].reshape(2, 5).T
    gc.collect()
    assert memory.used >= 400
    view[...] = 3
    del view
    gc.collect()
    assert memory.used == 0


def test_a_freed_block_is_given_out_again_only_when_free() -> None:
    memory = grown()
    one, two = array(memory), array(memory)
    one[:], two[:] = 1, 2
    del one
    gc.collect()
    three = array(memory)
    three[:] = 3
    assert (two == 2).all()


def test_arrays_are_found_where_they_lie() -> None:
    memory = grown(7)
    first, second = array(memory), array(memory)
    for made in (first, second):
        place = memory.locate(made)
        assert place is not None
        segment, offset = place
        assert segment == 7
        made[:] = 5
        lent, _ = memory.segments.lend(segment, offset, 400, None)
        assert bytes(lent) == made.tobytes()
    assert memory.locate(first) != memory.locate(second)


def test_what_is_not_whole_and_in_order_is_not_found() -> None:
    memory = grown()
    made = array(memory)
    assert memory.locate(made[::2]) is None
    assert memory.locate(np.zeros(3, np.float32)) is None
    part = memory.locate(made[5:])
    assert part is not None
    assert part[1] == memory.locate(made)[1] + 20  # type: ignore[index]


def test_memory_of_others_is_not_ones_own() -> None:
    memory = grown(1)
    fd = os.memfd_create("test")
    os.ftruncate(fd, SIZE)
    memory.segments.add(2, fd, SIZE)
    lent, _ = memory.segments.lend(2, 0, 40, None)
    foreign = np.ndarray((10,), np.float32, buffer=lent)
    assert memory.locate(foreign) is None
    assert (memory.owns(1), memory.owns(2)) == (True, False)


def test_nothing_lies_nowhere() -> None:
    lent, _ = LaneMemory().segments.lend(0, 0, 0, None)
    assert lent.nbytes == 0
