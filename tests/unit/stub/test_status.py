from __future__ import annotations

import mmap
import struct

import pytest
from pyserve_stub import status
from pyserve_stub.status import STATUS_NBYTES, Status, read_status, show_busy, write_arena, write_status


@pytest.fixture
def page() -> mmap.mmap:
    return mmap.mmap(-1, STATUS_NBYTES)


def test_a_fresh_page_says_that_the_process_was_spawned(page: mmap.mmap) -> None:
    assert read_status(page) == Status(status.SPAWNED, 0, 0, 0, 0, 0, 0, 0)


def test_what_is_written_is_read(page: mmap.mmap) -> None:
    written = Status(status.READY, 2**32 - 1, 2**64 - 1, 5, 6, 7, 8, 9)
    write_status(page, written)
    assert read_status(page) == read_status(memoryview(page)) == written
    assert page[:8] == struct.pack("<II", status.READY, 2**32 - 1)


def test_parts_are_written_without_the_rest(page: mmap.mmap) -> None:
    write_status(page, (status.READY, 2, 3, 4, 5, 6, 7, 8))
    show_busy(page, 30, 40)
    assert read_status(page) == Status(status.BUSY, 2, 30, 40, 5, 6, 7, 8)
    write_arena(page, 70, 80)
    assert read_status(page) == Status(status.BUSY, 2, 30, 40, 5, 6, 70, 80)


def test_states_have_names() -> None:
    numbers = (status.SPAWNED, status.LOADING, status.READY, status.BUSY, status.FINALIZING)
    assert [status.STATES[number] for number in numbers] == ["SPAWNED", "LOADING", "READY", "BUSY", "FINALIZING"]
