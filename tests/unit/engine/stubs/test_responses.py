from __future__ import annotations

from typing import Any

import pytest
from pyserve_stub.wire import frames

from jupyter_pyserve.engine.stubs import responses
from jupyter_pyserve.engine.stubs.callbacks import StubCall
from jupyter_pyserve.engine.stubs.responses import ResponseArena


class Asked:
    """A stub that wants memory, and what it was told."""

    def __init__(self) -> None:
        self.replies: list[tuple[dict[str, Any], int]] = []

    def grow(self, arena: ResponseArena, nbytes: int) -> dict[str, Any]:
        arena.grow(StubCall(None, {"id": 1, "op": "grow", "nbytes": nbytes}, self._send))  # type: ignore[arg-type]
        return self.replies[-1][0]

    def _send(self, data: bytes, fds: Any) -> None:
        self.replies.append((frames.decode_cold(data), len(fds)))


@pytest.fixture
def arena() -> Any:
    made = ResponseArena(4 << 20, lambda leases: None)
    yield made
    made.close()


def test_more_memory_comes_with_its_descriptor(arena: ResponseArena) -> None:
    asked = Asked()
    reply = asked.grow(arena, 100)
    assert reply["ok"]
    assert asked.replies == [(reply, 1)]
    assert arena.capacity == reply["segments"][0]["nbytes"] == 1 << 20


def test_what_is_beyond_the_limit_is_refused(arena: ResponseArena) -> None:
    assert "exceed the limit of 4194304 bytes" in Asked().grow(arena, 4 << 20)["error"]


def test_a_stub_hears_of_it_when_the_system_has_no_memory(
    arena: ResponseArena, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(nbytes: int, name: str) -> None:
        raise MemoryError(f"{nbytes} bytes of shared memory cannot be had")

    monkeypatch.setattr(responses, "Segment", none_left)
    reply = Asked().grow(arena, 100)
    assert not reply["ok"]
    assert "cannot be had" in reply["error"]
    assert arena.capacity == 0
