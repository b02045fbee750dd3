"""System shared memory such as clients make."""

from __future__ import annotations

import os
from collections.abc import Iterator

import posix_ipc
import pytest

KEY = f"/pyserve-test-{os.getpid()}"
NBYTES = 100


@pytest.fixture
def memory() -> Iterator[posix_ipc.SharedMemory]:
    made = posix_ipc.SharedMemory(KEY, posix_ipc.O_CREX, size=NBYTES)
    yield made
    made.close_fd()
    made.unlink()
