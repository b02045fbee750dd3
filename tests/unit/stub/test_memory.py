from __future__ import annotations

import gc
import mmap
import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pyserve_stub.memory import ResponseHold, Returns, Segment, SegmentError, Segments, holder

from tests.unit.stub.peer import new_memory

Array = Any


class Held:
    """What a lease keeps alive."""


@pytest.fixture
def segments() -> Segments:
    made = Segments()
    for number, nbytes in ((7, 8192), (3, 4096)):
        made.add(number, new_memory(nbytes), nbytes)
    return made


VIEWS: dict[str, Callable[[Array], Array]] = {
    "itself": lambda lease: lease,
    "slice": lambda lease: lease[8:16],
    "slice of slice": lambda lease: lease[8:64][::2][1:],
    "view": lambda lease: lease.view(np.float32),
    "plain view": lambda lease: lease.view(np.ndarray),
    "plain view of slice": lambda lease: lease[8:].view(np.ndarray)[1:].view(np.int8),
    "reshape": lambda lease: lease.reshape(8, 8),
    "reshaped slice": lambda lease: lease[:32].view(np.int16).reshape(4, 4).T,
    "frombuffer": lambda lease: np.frombuffer(lease, np.uint8),
    "frombuffer of memoryview": lambda lease: np.frombuffer(memoryview(lease), np.float64).reshape(2, 4),
    "ndarray over it": lambda lease: np.ndarray((4, 4), np.float32, buffer=lease),
    "view of ndarray over it": lambda lease: np.ndarray((4, 4), np.float32, buffer=lease)[1:].reshape(-1),
    "asarray": lambda lease: np.asarray(lease),
    "memoryview": lambda lease: memoryview(lease),
    "slice of memoryview": lambda lease: memoryview(lease)[4:8],
    "transpose": lambda lease: lease.reshape(8, 8).transpose(),
    "broadcast": lambda lease: np.broadcast_to(lease, (3, 64)),
    "strided": lambda lease: np.lib.stride_tricks.as_strided(lease, (4,), (2,)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_lease_is_held_by_whatever_is_made_of_it(segments: Segments, name: str) -> None:
    held = Held()
    alive = weakref.ref(held)
    lease, _ = segments.lend(3, 64, 64, held)
    view = VIEWS[name](lease)
    del lease, held
    assert alive() is not None
    del view
    assert alive() is None


@pytest.mark.parametrize("make", [np.copy, lambda lease: lease + 1, lambda lease: lease.tobytes()])
def test_a_copy_holds_nothing(segments: Segments, make: Callable[[Array], Array]) -> None:
    held = Held()
    alive = weakref.ref(held)
    lease, _ = segments.lend(3, 64, 64, held)
    copy = make(lease)
    del lease, held
    assert alive() is None
    assert len(copy) == 64


def test_tensors_of_one_request_share_what_they_hold(segments: Segments) -> None:
    held = Held()
    alive = weakref.ref(held)
    first, _ = segments.lend(3, 0, 64, held)
    second, _ = segments.lend(7, 0, 64, held)
    del held, first
    assert alive() is not None
    del second
    assert alive() is None


def test_a_segment_stays_mapped_while_an_array_over_it_lives(segments: Segments) -> None:
    lease, _ = segments.lend(3, 0, 4096, None)
    lease[:] = 5
    view = lease[10:20].view(np.ndarray)
    segments.drop(3)
    del lease
    gc.collect()
    assert view.tolist() == [5] * 10
    assert 3 not in segments


def test_a_mapping_is_unmapped_when_nothing_reads_it(segments: Segments) -> None:
    mapping = weakref.ref(root(segments.get(3).array))
    lease, _ = segments.lend(3, 0, 64, None)
    segments.drop(3)
    assert mapping() is not None
    del lease
    assert mapping() is None


def root(array: Any) -> mmap.mmap:
    while isinstance(array, np.ndarray):
        array = array.base
    mapping = array.obj if isinstance(array, memoryview) else array
    assert isinstance(mapping, mmap.mmap)
    return mapping


def test_a_mapping_cannot_be_closed_under_an_array(segments: Segments) -> None:
    lease, _ = segments.lend(3, 0, 64, None)
    mapping = root(lease)
    with pytest.raises(BufferError):
        mapping.close()
    segments.drop(3)
    with pytest.raises(BufferError):
        mapping.close()
    del lease
    mapping.close()


def test_both_sides_see_the_same_bytes() -> None:
    fd = new_memory(4096)
    other = mmap.mmap(fd, 4096)
    segments = Segments()
    segments.add(1, fd, 4096)
    lease, writable = segments.lend(1, 100, 5, None)
    assert writable
    lease[:] = np.frombuffer(b"hello", np.uint8)
    assert other[99:106] == b"\0hello\0"
    other[100:101] = b"j"
    assert lease.tobytes() == b"jello"


def test_memory_that_is_only_to_be_read_is_read_only() -> None:
    segments = Segments()
    segments.add(1, new_memory(4096), 4096, writable=False)
    lease, writable = segments.lend(1, 0, 8, None)
    assert not writable
    with pytest.raises(ValueError, match="read-only"):
        lease[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        lease.flags.writeable = True


@pytest.mark.parametrize(("offset", "nbytes"), [(0, 4097), (4096, 1), (2**64 - 1, 2**64 - 1)])
def test_nothing_outside_of_a_segment_is_lent(segments: Segments, offset: int, nbytes: int) -> None:
    with pytest.raises(SegmentError, match=r"^segment 3 has 4096 bytes$"):
        segments.lend(3, offset, nbytes, None)


@pytest.mark.parametrize("segment_id", [3, 0, 99])
def test_nothing_is_lent_from_anywhere(segments: Segments, segment_id: int) -> None:
    lease, writable = segments.lend(segment_id, 2**64 - 1, 0, None)
    assert lease.nbytes == 0
    assert writable


@pytest.mark.parametrize(("offset", "nbytes"), [(0, 4096), (4095, 1)])
def test_everything_inside_of_a_segment_is_lent(segments: Segments, offset: int, nbytes: int) -> None:
    lease, _ = segments.lend(3, offset, nbytes, None)
    assert lease.nbytes == nbytes


def test_a_segment_that_is_not_there_is_said(segments: Segments) -> None:
    with pytest.raises(SegmentError, match=r"^segment 4 is not mapped$"):
        segments.lend(4, 0, 1, None)
    segments.drop(4)


def test_a_descriptor_is_closed_when_it_is_mapped_and_when_it_cannot_be(segments: Segments) -> None:
    fd = new_memory(4096)
    segments.add(9, fd, 4096)
    assert is_closed(fd)
    fd = new_memory(4096)
    with pytest.raises(SegmentError, match=r"^segment 10 is smaller than announced$"):
        segments.add(10, fd, 4097)
    assert is_closed(fd)
    assert 10 not in segments


def is_closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False


def test_an_array_is_found_where_it_lies(segments: Segments) -> None:
    for number in (3, 7):
        lease, _ = segments.lend(number, 128, 1024, None)
        found = segments.find(lease[64:].view(np.float32))
        assert found == (segments.get(number), 192)


def test_the_whole_of_a_segment_is_found(segments: Segments) -> None:
    assert segments.find(segments.lend(3, 0, 4096, None)[0]) == (segments.get(3), 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda lease: np.zeros(8),
        lambda lease: np.zeros(8)[2:],
        lambda lease: lease[::2],
        lambda lease: lease.reshape(8, 8).T,
        lambda lease: lease.copy(),
    ],
    ids=["elsewhere", "view of elsewhere", "strided", "transposed", "copy"],
)
def test_an_array_that_is_not_plainly_in_a_segment_is_not_found(segments: Segments, make: Any) -> None:
    assert segments.find(make(segments.lend(3, 0, 64, None)[0])) is None


@pytest.mark.parametrize("known", [(), (7,), (3,)])
def test_arrays_of_forgotten_segments_are_not_found(known: tuple[int, ...]) -> None:
    segments = Segments()
    for number in (3, 7):
        segments.add(number, new_memory(4096), 4096)
    leases = {number: segments.lend(number, 0, 4096, None)[0] for number in (3, 7)}
    for number in (3, 7):
        if number not in known:
            segments.drop(number)
    for number, lease in leases.items():
        found = segments.find(lease)
        assert (found[0].id if found is not None else None) == (number if number in known else None)


def test_a_segment_knows_where_it_is() -> None:
    fd = new_memory(4096)
    segment = Segment(5, fd, 4096, True)
    os.close(fd)
    assert (segment.id, segment.nbytes, segment.writable) == (5, 4096, True)
    assert segment.address == segment.array.ctypes.data


@pytest.mark.parametrize(
    ("offset", "nbytes", "zeros"),
    [(0, 16_384, (0, 16_384)), (1, 16_383, (4096, 16_384)), (100, 8192, (4096, 8192)), (1, 4095, (0, 0))],
)
def test_whole_pages_are_discarded(offset: int, nbytes: int, zeros: tuple[int, int]) -> None:
    segments = Segments()
    segment = segments.add(1, new_memory(16_384), 16_384)
    segment.array[:] = 1
    segment.discard(offset, nbytes)
    expected = np.ones(16_384, np.uint8)
    expected[zeros[0] : zeros[1]] = 0
    np.testing.assert_array_equal(segment.array, expected)


def test_who_holds_an_array(segments: Segments) -> None:
    lent, _ = segments.lend(7, 0, 64, Held())
    made = np.ndarray((16,), np.float32, buffer=lent)
    assert holder(lent) is lent
    assert holder(made[3:]) is lent
    assert holder(np.frombuffer(lent.data, np.float32).reshape(4, 4)[1:]) is lent
    assert holder(np.zeros(3)) is None
    assert holder(np.zeros(9)[3:]) is None
    assert holder(np.frombuffer(b"bytes", np.uint8)) is None


def test_an_answer_is_given_back_with_its_last_array(segments: Segments) -> None:
    returns = Returns(lambda leases: None)
    hold = ResponseHold(5, 400, returns)
    lent, _ = segments.lend(7, 0, 400, hold)
    made = np.ndarray((100,), np.float32, buffer=lent)[3:]
    del hold, lent
    gc.collect()
    assert returns.take() == ()
    del made
    gc.collect()
    assert returns.take() == [5]
    assert returns.take() == ()


def test_many_or_large_answers_are_given_back_at_once() -> None:
    told: list[Any] = []
    returns = Returns(told.append)
    for lease in range(1, 64):
        returns.add(lease, 8)
    assert told == []
    returns.add(64, 8)
    assert told == [list(range(1, 65))]
    returns.add(65, (1 << 20) - 1)
    assert len(told) == 1
    returns.add(66, 1)
    assert told[1:] == [[65, 66]]
