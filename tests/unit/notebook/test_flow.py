from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.flow import Flow


class Source:
    """Gives its items, then waits until it is closed."""

    def __init__(self, *items: object, endless: bool = False) -> None:
        self.items = items
        self.endless = endless
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[str]:
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield cast(str, item)
        if self.endless:
            assert self.closed.wait(10)

    def close(self) -> None:
        self.closed.set()


def test_all_that_comes_until_the_end() -> None:
    source = Source("a", "b", "c")
    assert [item for batch in Flow(source).batches(0) for item in batch] == ["a", "b", "c"]
    assert source.closed.is_set()


def test_the_time_is_over() -> None:
    source = Source("a", endless=True)
    clock = iter([0.0, 0.0, 99.0])
    assert list(Flow(source, for_s=5, clock=lambda: next(clock)).batches(0)) == [["a"]]
    assert source.closed.is_set()


def test_an_interrupt_ends_it_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(endless=True)
    flow = Flow(source)

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(flow, "_next", interrupted)
    assert list(flow.batches(0)) == []
    assert source.closed.is_set()


def test_an_error_is_raised_where_it_is_shown() -> None:
    source = Source(PyServeError(Code.UNAVAILABLE, "gone"))
    with pytest.raises(PyServeError, match="gone"):
        list(Flow(source).batches(0))
    assert source.closed.is_set()
