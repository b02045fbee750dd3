from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pyserve_stub.wire.allocator import ALIGNMENT, Block, BlockAllocator

SMALL_LIMIT = 1 << 16
SIZES = st.one_of(st.integers(0, 4096), st.integers(SMALL_LIMIT - 65, SMALL_LIMIT + 65), st.integers(0, 1 << 19))


def allocator(*segments: int) -> BlockAllocator:
    made = BlockAllocator()
    for number, nbytes in enumerate(segments, 1):
        made.add_segment(number, nbytes)
    return made


def take(source: BlockAllocator, nbytes: int) -> Block:
    block = source.allocate(nbytes)
    assert block is not None
    return block


class AnyUse(RuleBasedStateMachine):
    """Whatever order blocks come and go in, the books are right."""

    def __init__(self) -> None:
        super().__init__()
        self.allocator = BlockAllocator()
        self.segments: dict[int, int] = {}
        self.live: dict[int, Block] = {}
        self.dead: list[int] = []

    @rule(units=st.integers(1, 1 << 13))
    def grow(self, units: int) -> None:
        number = len(self.segments) + 7
        self.segments[number] = units * ALIGNMENT
        self.allocator.add_segment(number, units * ALIGNMENT)

    @rule(nbytes=SIZES)
    def allocate(self, nbytes: int) -> None:
        block = self.allocator.allocate(nbytes)
        if block is None:
            assert all(room < rounded(nbytes) for _, _, room in self.allocator.free_ranges())
        else:
            assert block.id not in self.dead
            assert block.nbytes >= max(nbytes, 1)
            assert block.offset % ALIGNMENT == 0
            assert block.nbytes % ALIGNMENT == 0
            assert block.offset + block.nbytes <= self.segments[block.segment]
            self.live[block.id] = block

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        block_id = data.draw(st.sampled_from(sorted(self.live)))
        assert self.allocator.free(block_id)
        del self.live[block_id]
        self.dead.append(block_id)

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def free_again(self, data: st.DataObject) -> None:
        used = self.allocator.used
        assert not self.allocator.free(data.draw(st.sampled_from(self.dead)))
        assert self.allocator.used == used

    @invariant()
    def every_byte_is_free_or_used_once(self) -> None:
        taken = [(block.segment, block.offset, block.nbytes) for block in self.live.values()]
        ends = dict.fromkeys(self.segments, 0)
        for segment, offset, nbytes in sorted(taken + self.allocator.free_ranges()):
            assert offset == ends[segment], "a gap or an overlap"
            ends[segment] = offset + nbytes
        assert ends == self.segments

    @invariant()
    def the_counters_agree(self) -> None:
        assert self.allocator.capacity == sum(self.segments.values())
        assert self.allocator.used == sum(block.nbytes for block in self.live.values())
        assert self.allocator.blocks == len(self.live)

    def teardown(self) -> None:
        for block_id in self.live:
            assert self.allocator.free(block_id)
        whole = [(number, 0, nbytes) for number, nbytes in self.segments.items()]
        assert self.allocator.free_ranges() == whole, "everything returned is one free range a segment"
        assert self.allocator.used == 0


TestAnyUse = AnyUse.TestCase


def rounded(nbytes: int) -> int:
    if nbytes > SMALL_LIMIT:
        return -(-nbytes // ALIGNMENT) * ALIGNMENT
    return max(ALIGNMENT, 1 << max(nbytes - 1, 0).bit_length())


@pytest.mark.parametrize(
    ("asked", "reserved"),
    [
        (0, 64),
        (1, 64),
        (64, 64),
        (65, 128),
        (33_000, SMALL_LIMIT),
        (SMALL_LIMIT, SMALL_LIMIT),
        (SMALL_LIMIT + 1, SMALL_LIMIT + 64),
        (1_000_000, 1_000_000),
        (1_000_001, 1_000_064),
    ],
)
def test_small_blocks_are_powers_of_two_and_large_ones_aligned(asked: int, reserved: int) -> None:
    assert take(allocator(1 << 20), asked).nbytes == reserved == rounded(asked)


@given(asked=SIZES)
def test_a_block_that_came_back_is_the_next_of_its_size(asked: int) -> None:
    source = allocator(1 << 20)
    first = take(source, asked)
    source.free(first.id)
    second = take(source, asked)
    assert second[1:] == first[1:]
    assert second.id != first.id


def test_small_blocks_that_came_back_make_room_for_a_large_one() -> None:
    source = allocator(1 << 20)
    blocks = [take(source, SMALL_LIMIT) for _ in range(16)]
    assert source.allocate(64) is None
    for block in blocks:
        source.free(block.id)
    assert take(source, 1 << 20)[1:] == (1, 0, 1 << 20)


def test_a_large_block_that_came_back_merges_with_both_neighbours() -> None:
    source = allocator(300_096)
    before, middle, after = (take(source, 100_000) for _ in range(3))
    source.free(before.id)
    source.free(after.id)
    assert len(source.free_ranges()) == 2
    source.free(middle.id)
    assert source.free_ranges() == [(1, 0, 300_096)]


def test_the_first_segment_with_room_is_used() -> None:
    source = allocator(128, 1 << 20)
    assert take(source, 100_000).segment == 2
    assert take(source, 128).segment == 1
    assert take(source, 64).segment == 2
    assert source.allocate(1 << 20) is None


@pytest.mark.parametrize(("segment", "nbytes"), [(1, 64), (2, 0), (2, -64), (2, 100)])
def test_a_segment_is_new_and_aligned(segment: int, nbytes: int) -> None:
    source = allocator(64)
    with pytest.raises(ValueError, match=f"^segment {segment} of {nbytes} bytes cannot be added$"):
        source.add_segment(segment, nbytes)
    assert source.capacity == 64


def test_nothing_comes_from_nothing() -> None:
    source = BlockAllocator()
    assert source.allocate(1) is None
    assert source.free_ranges() == []
    assert not source.free(1)
    assert not source.free(0)
