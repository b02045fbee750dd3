"""Which requests are traced under one set of settings, and when what was collected of them is written.

Replaced as a whole when settings change; then it only waits for the traces that are still under way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from jupyter_pyserve.engine.job import Sink
from jupyter_pyserve.engine.tracing.watch import Carrier, Spans, Trace, Watch
from jupyter_pyserve.settings import TraceMode, TraceSettings
from jupyter_pyserve.telemetry.traces import Front, TraceRecord

#: So many traces wait for being written where nothing says how many.
_AT_ONCE = 64


class Output(Protocol):
    """Where traces go; nothing here takes long."""

    def write(self, records: Sequence[TraceRecord], *, indexed: bool) -> None:
        """To a file of their own with the next number, or behind those in the file without one."""


class SpanOutput(Spans, Protocol):
    """Where spans go."""

    def is_context(self, carrier: Carrier) -> bool:
        """Whether these headers name a trace of the client's."""

    def continues(self, record: TraceRecord, carrier: Carrier | None) -> None:
        """A trace begins, in the client's if it has one."""

    def end(self, record: TraceRecord) -> None:
        """A trace is complete."""


class Sampler:
    """Decides for one request after the other; `on_spent` is told when no more will be traced."""

    def __init__(
        self,
        settings: TraceSettings,
        new_id: Callable[[], int],
        output: Output,
        spans: SpanOutput | None,
        on_spent: Callable[[], None],
    ) -> None:
        self.settings = settings
        #: How many more are taken; -1 is no limit.
        self.remaining = settings.count
        self._new_id = new_id
        self._output = output
        self._spans = spans if settings.mode is TraceMode.OPENTELEMETRY else None
        self._on_spent = on_spent
        self._seen = 0
        self._under_way = 0
        self._retired = False
        self._collected: list[TraceRecord] = []

    @property
    def wants_any(self) -> bool:
        """Whether any request may be traced."""
        if not self.settings.levels or self._retired:
            return False
        return self._spans is not None or self._may_sample()

    def _may_sample(self) -> bool:
        has_place = self.settings.mode is not TraceMode.TRITON or bool(self.settings.file)
        return bool(self.settings.levels) and self.settings.rate > 0 and self.remaining != 0 and has_place

    def watch(self, sink: Sink, front: Front, received_ns: tuple[int, int], carrier: Carrier | None = None) -> Sink:
        """Who is to get a request's answer: `sink`, behind a watch if the request is traced."""
        spans = self._spans
        context = carrier if carrier is not None and spans is not None and spans.is_context(carrier) else None
        if not self._is_next() and context is None:
            return sink
        self._under_way += 1
        record = TraceRecord(levels=self.settings.levels, front=front, received_ns=received_ns)
        if spans is not None:
            spans.continues(record, context)
        return Watch(Trace(record, self._new_id, spans, self._ended), sink)

    def _is_next(self) -> bool:
        if not self._may_sample():
            return False
        self._seen += 1
        if self._seen % self.settings.rate:
            return False
        if self.remaining > 0:
            self.remaining -= 1
        return True

    def _ended(self, record: TraceRecord) -> None:
        self._under_way -= 1
        if not self.remaining and not self._under_way:
            self._on_spent()  # not before: the last one would not be looked at on its way
        if self._spans is not None:
            self._spans.end(record)
            return
        if record.parts:  # else it was refused before there was anything to say
            self._collected.append(record)
        self._write_if_due()

    def _write_if_due(self) -> None:
        frequency = self.settings.log_frequency
        if frequency:
            due, indexed = len(self._collected) >= frequency, True
        elif self.settings.count >= 0:
            due, indexed = not self.remaining and not self._under_way, True
        else:
            due, indexed = len(self._collected) >= _AT_ONCE, False
        if due:
            self._write(indexed=indexed)
        elif self._retired and not self._under_way:
            self._write(indexed=bool(frequency))

    def _write(self, *, indexed: bool) -> None:
        collected, self._collected = self._collected, []
        if collected:
            self._output.write(collected, indexed=indexed)

    def retire(self) -> None:
        """Other settings hold from now on; what was collected is written when the last trace is complete."""
        self._retired = True
        if not self._under_way:
            self._write(indexed=bool(self.settings.log_frequency))
