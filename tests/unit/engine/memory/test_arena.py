from __future__ import annotations

import fcntl
import mmap
import os

import pytest

from jupyter_pyserve.engine.memory.arena import Arena, Segment, segment_size

MIB = 1 << 20


@pytest.mark.parametrize(
    ("wanted", "capacity", "limit", "size"),
    [
        (1, 0, 64 * MIB, MIB),
        (1, 4 * MIB, 64 * MIB, 4 * MIB),
        (10 * MIB, MIB, 64 * MIB, 10 * MIB),
        (MIB + 1, 0, 64 * MIB, MIB + 4096),
        (1, 1 << 30, 1 << 40, 1 << 28),
        (1, 3 * MIB, 4 * MIB, MIB),
        (1, 4 * MIB, 4 * MIB, None),
        (2 * MIB, 3 * MIB, 4 * MIB, None),
        (1, 0, 8192, 8192),
        (8193, 0, 8192, None),
    ],
)
def test_segment_size(wanted: int, capacity: int, limit: int, size: int | None) -> None:
    assert segment_size(wanted, capacity, limit) == size


def test_a_segment_cannot_shrink_under_its_readers() -> None:
    segment = Segment(MIB, "test")
    for size in (0, MIB - 1, MIB + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(segment.fd, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(segment.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    segment.close()


def test_readers_get_a_descriptor_that_cannot_write() -> None:
    segment = Segment(MIB, "test")
    segment.view[:3] = b"abc"
    with segment.descriptor(writable=False) as fd:
        mapping = mmap.mmap(fd, MIB, access=mmap.ACCESS_READ)
        assert mapping[:3] == b"abc"
        mapping.close()
        with pytest.raises(PermissionError):
            mmap.mmap(fd, MIB, access=mmap.ACCESS_WRITE)
        with pytest.raises(OSError):
            os.pwrite(fd, b"x", 0)
    with pytest.raises(OSError):
        os.fstat(fd)
    segment.close()


def test_writers_share_the_memory() -> None:
    segment = Segment(MIB, "test")
    with segment.descriptor(writable=True) as fd:
        mapping = mmap.mmap(fd, MIB)
        mapping[10:13] = b"xyz"
        assert bytes(segment.view[10:13]) == b"xyz"
        mapping.close()
    assert os.fstat(segment.fd).st_size == MIB
    segment.close()


def test_announcement() -> None:
    segment = Segment(4096, "test")
    told = segment.announce(writable=True, arena="responses")
    assert told == {"id": segment.id, "nbytes": 4096, "writable": True, "arena": "responses"}
    assert Segment(4096, "test").id != segment.id


def test_closing_twice_is_harmless() -> None:
    segment = Segment(4096, "test")
    fd = segment.fd
    segment.close()
    segment.close()
    with pytest.raises(OSError):
        os.fstat(fd)


def arena(limit: int = 4 * MIB) -> tuple[Arena, list[Segment]]:
    added: list[Segment] = []
    return Arena("test", limit, added.append), added


def test_grows_by_segments_and_says_so() -> None:
    made, added = arena()
    first = made.allocate(MIB // 2)
    second = made.allocate(MIB)
    assert first is not None
    assert second is not None
    assert [segment.id for segment in added] == [first.segment, second.segment]
    assert made.capacity == sum(segment.nbytes for segment in added)
    assert made.used == first.nbytes + second.nbytes


def test_full_until_something_is_freed() -> None:
    made, added = arena(MIB)
    block = made.allocate(MIB - 4096)
    assert block is not None
    assert made.allocate(MIB // 2) is None
    made.free(block.id)
    made.free(block.id)
    assert made.used == 0
    assert made.allocate(MIB // 2) is not None
    assert len(added) == 1


def test_beyond_the_limit_never() -> None:
    made, added = arena(MIB)
    assert made.allocate(2 * MIB) is None
    assert added == []


def test_blocks_do_not_overlap() -> None:
    made, _ = arena()
    blocks = [made.allocate(100 + number) for number in range(50)]
    for number, block in enumerate(blocks):
        assert block is not None
        made.view(block.segment, block.offset, block.nbytes)[:] = bytes([number]) * block.nbytes
    for number, block in enumerate(blocks):
        assert block is not None
        assert bytes(made.view(block.segment, block.offset, block.nbytes)) == bytes([number]) * block.nbytes
        assert block.offset % 64 == 0


def test_trimming_gives_back_what_is_free_and_nothing_else() -> None:
    made, added = arena()
    kept, freed = made.allocate(100_000), made.allocate(200_000)
    assert kept is not None
    assert freed is not None
    made.view(kept.segment, kept.offset, kept.nbytes)[:] = b"k" * kept.nbytes
    made.view(freed.segment, freed.offset, freed.nbytes)[:] = b"f" * freed.nbytes
    pages = os.fstat(added[0].fd).st_blocks
    made.free(freed.id)
    made.trim()
    assert os.fstat(added[0].fd).st_blocks < pages
    assert bytes(made.view(kept.segment, kept.offset, kept.nbytes)) == b"k" * kept.nbytes


def test_closing_drops_all() -> None:
    made, added = arena()
    made.allocate(1)
    made.close()
    assert (added[0].fd, made.segments) == (-1, {})


def test_a_segment_that_is_pinned_stays() -> None:
    segment = Segment(4096, "test")
    segment.pin()
    segment.pin()
    segment.close()
    segment.unpin()
    assert (segment.closed, bytes(segment.view[:2])) == (False, b"\0\0")
    segment.unpin()
    assert segment.closed is True
