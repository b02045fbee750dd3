from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any

import pytest

from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.stubs.attachments import Attachments


def fail(*arguments: object) -> int:
    raise OSError(errno.EMFILE, "no descriptors")


class Stub:
    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []
        self.fds = 0

    def note(self, note: dict[str, Any], fds: Sequence[int]) -> None:
        self.notes.append(note)
        for fd in fds:
            os.fstat(fd)
        self.fds += len(fds)


def test_a_segment_is_handed_over_once() -> None:
    stub, segment = Stub(), Segment(4096, "test")
    attachments = Attachments(stub.note)
    attachments.add(segment)
    attachments.add(segment)
    assert stub.notes == [{"segments": [segment.announce(writable=True)]}]
    assert stub.fds == 1
    attachments.drop([segment.id, 999])
    attachments.drop([segment.id])
    assert stub.notes[1:] == [{"dropped": [segment.id]}]
    attachments.add(segment)
    assert len(stub.notes) == 3
    segment.close()


def test_a_clients_memory_is_only_read() -> None:
    stub, segment = Stub(), Segment(4096, "test", of_client=True)
    Attachments(stub.note).add(segment)
    assert stub.notes == [{"segments": [segment.announce(writable=False)]}]
    segment.close()


def test_what_was_closed_is_taken_back_with_the_next() -> None:
    stub, first, second = Stub(), Segment(4096, "test"), Segment(4096, "test")
    attachments = Attachments(stub.note)
    attachments.add(first)
    first.close()
    attachments.add(second)
    assert stub.notes[1:] == [{"dropped": [first.id]}, {"segments": [second.announce(writable=True)]}]
    second.close()
    attachments.sweep()
    attachments.sweep()
    assert stub.notes[3:] == [{"dropped": [second.id]}]


def test_what_is_gone_is_not_handed_over() -> None:
    stub, segment = Stub(), Segment(4096, "test")
    segment.close()
    Attachments(stub.note).add(segment)
    assert stub.notes == []


def test_what_cannot_be_handed_over_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stub, segment = Stub(), Segment(4096, "test", of_client=True)
    attachments = Attachments(stub.note)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        attachments.add(segment)
    assert stub.notes == []
    attachments.add(segment)
    assert stub.notes == [{"segments": [segment.announce(writable=False)]}]
    segment.close()
