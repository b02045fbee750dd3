from __future__ import annotations

import pytest
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.cache.recalled import Copies


def test_tensors_lie_one_behind_the_other_each_at_a_boundary() -> None:
    copies = Copies(1 << 20)
    data = [b"ab", b"c" * 64, b"", b"d" * 65, b"e"]
    placed = copies.place(data)
    first = placed[0][1]
    assert [(offset - first, nbytes) for _, offset, nbytes, _ in placed] == [
        (0, 2), (64, 64), (128, 0), (128, 65), (256, 1)
    ]  # fmt: skip
    assert len({(segment, lease) for segment, _, _, lease in placed}) == 1
    seen = [bytes(copies.segments[segment].view[at : at + nbytes]) for segment, at, nbytes, _ in placed]
    assert seen == data
    copies.close()


def test_an_answer_that_there_is_no_room_for() -> None:
    copies = Copies(0)
    with pytest.raises(WireError, match="Failed to increase the shared memory pool size for an answer of 64 bytes"):
        copies.place([b"x"])
