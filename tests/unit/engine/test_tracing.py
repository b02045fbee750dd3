from __future__ import annotations

import pytest

from jupyter_pyserve.engine.tracing import TraceBook
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.v2.tracesettings import TraceChanges, TraceSettings


def test_a_model_follows_what_holds_for_all_where_nothing_was_said_for_it() -> None:
    book = TraceBook(TraceSettings(rate=7))
    book.change(TraceChanges(count=3), "m")
    book.change(TraceChanges(rate=5, count=4))
    assert book.of("m") == TraceSettings(rate=5, count=3)
    assert book.of("other") == book.of() == TraceSettings(rate=5, count=4)
    book.change(TraceChanges(), "m")
    book.change(TraceChanges())
    assert book.of("m") == TraceSettings(rate=7)


def test_a_refused_change_changes_nothing() -> None:
    book = TraceBook()
    with pytest.raises(PyServeError, match="trace file name is not given"):
        book.change(TraceChanges(levels=("TENSORS",), rate=9))
    assert book.of() == TraceSettings()
    assert book.said() == TraceChanges()
