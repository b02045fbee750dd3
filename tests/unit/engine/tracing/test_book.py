from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_pyserve.engine.tracing.book import TraceBook
from jupyter_pyserve.engine.tracing.sampler import Sampler
from jupyter_pyserve.engine.tracing.watch import Watch
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.settings import TraceMode, TraceSettings
from jupyter_pyserve.telemetry.traces import Front
from jupyter_pyserve.v2.tracesettings import TraceChanges
from tests.unit.engine.tracing.test_sampler import Nobody


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


class Version:
    def __init__(self, name: str) -> None:
        self.name = name
        self.tracer: Sampler | None = None


ON = TraceSettings(levels=("TIMESTAMPS",), rate=1, file="t.json")


def levels(version: Version) -> tuple[str, ...] | None:
    """What is traced of a version's requests, if any may be."""
    return version.tracer.settings.levels if version.tracer is not None else None


def sample(version: Version) -> None:
    assert version.tracer is not None
    version.tracer.watch(Nobody(), Front.LANE, (0, 0))


def test_versions_have_the_sampler_that_holds_for_them() -> None:
    book = TraceBook(TraceSettings(file="t.json"))
    m, n = Version("m"), Version("n")
    book.enroll(m)
    assert levels(m) is None
    assert not book.on
    book.change(TraceChanges(levels=("TIMESTAMPS",)), "m")
    book.enroll(n)
    assert [levels(m), levels(n), book.on] == [("TIMESTAMPS",), None, True]
    book.change(TraceChanges(levels=("TENSORS",)))
    assert [levels(m), levels(n)] == [("TIMESTAMPS",), ("TENSORS",)]
    book.change(TraceChanges(), "m")
    assert m.tracer is n.tracer


def test_the_count_is_what_is_left_of_it() -> None:
    book = TraceBook(ON)
    m = Version("m")
    book.enroll(m)
    book.change(TraceChanges(count=3))
    sample(m)
    assert book.of("m").count == 2
    book.change(replace(book.said(), rate=1))
    assert book.of().count == 2
    sample(m)
    sample(m)
    assert book.of().count == 0
    assert levels(m) is None
    assert not book.on
    book.change(TraceChanges(count=1))
    assert levels(m) == ("TIMESTAMPS",)


def test_a_model_s_own_count_goes_on_when_what_holds_for_all_changes() -> None:
    book = TraceBook(ON)
    m = Version("m")
    book.enroll(m)
    book.change(TraceChanges(count=5), "m")
    sample(m)
    book.change(TraceChanges(rate=1))
    assert book.of("m").count == 4


def test_closing_writes_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    book = TraceBook(replace(ON, file=str(path)))
    m = Version("m")
    book.enroll(m)
    assert m.tracer is not None
    watch = m.tracer.watch(Nobody(), Front.LANE, (0, 0))
    assert isinstance(watch, Watch)
    watch._trace.record.parts.append(watch._part)
    del watch
    assert not path.exists()
    asyncio.run(book.close())
    assert json.loads(path.read_text())[0]["id"] == 1
    assert m.tracer is None


def test_spans_ask_for_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jupyter_pyserve.engine.tracing.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(PyServeError, match=r"pip install 'jupyter_pyserve\[otel\]'"):
        TraceBook(replace(ON, mode=TraceMode.OPENTELEMETRY)).start()


def test_without_spans_nothing_is_asked_for() -> None:
    TraceBook(ON).start()
