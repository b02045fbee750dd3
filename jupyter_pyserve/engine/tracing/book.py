"""The trace settings: what the server was started with, what clients have said since, and who samples by them.

Each loaded version has the sampler that holds for it, or none: so a request that nobody wants traced asks for nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from jupyter_pyserve.engine.tracing.files import TraceFiles
from jupyter_pyserve.engine.tracing.sampler import Sampler
from jupyter_pyserve.settings import TraceMode, TraceSettings
from jupyter_pyserve.v2.tracesettings import TraceChanges, check_trace

if TYPE_CHECKING:
    from jupyter_pyserve.engine.tracing.spans import SpanExport


class Traceable(Protocol):
    """A loaded version."""

    name: str
    tracer: Sampler | None


class TraceBook:
    """What was said for all models and for single ones, over what the server was started with."""

    def __init__(self, startup: TraceSettings | None = None) -> None:
        self._startup = startup or TraceSettings()
        self._said = TraceChanges()
        self._said_of_models: dict[str, TraceChanges] = {}
        self._executor = ThreadPoolExecutor(1, "traces")
        self._files = TraceFiles(self._startup.file, self._executor)
        self._spans: SpanExport | None = None
        self._new_id = itertools.count(1).__next__
        self._general = self._sampler(self._startup)
        self._of_models: dict[str, Sampler] = {}
        self._versions: weakref.WeakSet[Traceable] = weakref.WeakSet()
        #: Whether any request of any model may be traced.
        self.on = self._general.wants_any

    def start(self) -> None:
        """Get ready to export spans, if that was asked for; raises `PyServeError` when what that takes is missing."""
        if self._startup.mode is TraceMode.OPENTELEMETRY:
            from jupyter_pyserve.engine.tracing.spans import SpanExport

            self._spans = SpanExport(self._startup.options, self._executor)
            self._general = self._sampler(self._startup)
            self._settle()

    def _sampler(self, settings: TraceSettings) -> Sampler:
        return Sampler(settings, self._new_id, self._files, self._spans, self._settle)

    def enroll(self, version: Traceable) -> None:
        """A version is there, and will have the sampler that holds for it from now on."""
        self._versions.add(version)
        version.tracer = self._tracer(version.name)

    def _tracer(self, model: str) -> Sampler | None:
        sampler = self._of_models.get(model, self._general)
        return sampler if sampler.wants_any else None

    def _settle(self) -> None:
        """Settings have changed, or a sampler is spent."""
        self.on = any(sampler.wants_any for sampler in (self._general, *self._of_models.values()))
        for version in self._versions:
            version.tracer = self._tracer(version.name)

    def of(self, model: str = "") -> TraceSettings:
        """What holds for a model, or without a name in general; the count is what is left of it."""
        sampler = self._of_models.get(model, self._general)
        return replace(sampler.settings, count=sampler.remaining)

    def said(self, model: str = "") -> TraceChanges:
        """What was said for a model, or for all."""
        if not model:
            return _with_count(self._said, self._general)
        return _with_count(self._said_of_models.get(model, TraceChanges()), self._of_models.get(model))

    def change(self, changes: TraceChanges, model: str = "") -> TraceSettings:
        """Take changes over, and say what holds now; refused ones change nothing."""
        settings = changes.over(self.of() if model else self._startup)
        check_trace(settings)
        if model:
            self._said_of_models[model] = changes
            self._renew(model)
        else:
            self._said = changes
            self._general.retire()
            self._general = self._sampler(settings)
            for name in list(self._of_models):
                self._said_of_models[name] = self.said(name)
                self._renew(name)
        self._settle()
        return self.of(model)

    def _renew(self, model: str) -> None:
        """A model's sampler, for its own settings over those for all; without any of its own it shares theirs."""
        former = self._of_models.pop(model, None)
        if former is not None:
            former.retire()
        said = self._said_of_models[model]
        if said == TraceChanges():
            del self._said_of_models[model]
        else:
            self._of_models[model] = self._sampler(said.over(self.of()))

    async def close(self) -> None:
        """Write what is left; no request is under way any more."""
        for sampler in (self._general, *self._of_models.values()):
            sampler.retire()
        self._settle()
        if self._spans is not None:
            self._spans.close()
        await asyncio.to_thread(self._executor.shutdown)


def _with_count(said: TraceChanges, sampler: Sampler | None) -> TraceChanges:
    """What was said of the count shrinks with it."""
    return replace(said, count=sampler.remaining) if said.count is not None and sampler is not None else said
