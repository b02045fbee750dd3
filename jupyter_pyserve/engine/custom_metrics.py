"""The metrics that models define: one registry for all of them, and which stub holds what in it.

Values belong to the engine, so that instances, and models that use the same name and labels, share them. What a stub
has registered goes with the stub.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pyserve_stub.metrics import COUNTER, DELETED, GAUGE, HISTOGRAM, Labels, MetricError, MetricRegistry

from jupyter_pyserve.engine.stubs.callbacks import StubCall, StubServices
from jupyter_pyserve.errors import Code
from jupyter_pyserve.telemetry.exposition import Family, Kind, labels

if TYPE_CHECKING:
    from jupyter_pyserve.engine.stubs.instance import Instance

_KINDS = {COUNTER: Kind.COUNTER, GAUGE: Kind.GAUGE, HISTOGRAM: Kind.HISTOGRAM}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}


class CustomMetrics:
    """The registry, and the stubs' way to it. Names in `reserved` are taken, and shared with who uses the same kind."""

    def __init__(self, reserved: Iterable[Family]) -> None:
        self._registry = MetricRegistry({family.name: _NUMBERS.get(family.kind, -1) for family in reserved})
        self._families: dict[Instance, set[int]] = {}
        self._series: dict[Instance, set[int]] = {}

    def serve(self, services: StubServices) -> None:
        """Answer what stubs ask about metrics."""
        handlers: Mapping[str, Callable[[StubCall], None]] = {
            "open_metric_family": self._open_family,
            "close_metric_family": self._close_family,
            "open_metric": self._open_series,
            "close_metric": self._close_series,
            "metric": self._apply,
        }
        services.offer({op: _refusing(handler) for op, handler in handlers.items()}, self._ended)

    def add_to(self, families: dict[str, Family]) -> None:
        """Every series of a model, beside what is there already by name."""
        for custom in self._registry.families():
            if not custom.series:
                continue
            family = families.get(custom.name)
            if family is None:
                family = families[custom.name] = Family(custom.name, _KINDS[custom.kind], custom.description)
            for pairs, series in custom.series.items():
                if custom.kind == HISTOGRAM:
                    family.add_histogram(dict(pairs), series.bounds, series.counts, series.sum)
                else:
                    family.add(_key(pairs), series.value)

    def _open_family(self, call: StubCall) -> None:
        given = call.arguments
        kind = int(given["kind"])
        if kind not in _KINDS:
            raise ValueError(f"no kind {kind}")
        handle = self._registry.open_family(str(given["name"]), str(given["description"]), kind)
        self._families.setdefault(call.instance, set()).add(handle)
        call.reply(handle=handle)

    def _open_series(self, call: StubCall) -> None:
        given = call.arguments
        buckets = given["buckets"]
        bounds = [float(bound) for bound in buckets] if buckets is not None else None
        handle = self._registry.open_series(self._own(self._families, call), _object(given["labels"]), bounds)
        self._series.setdefault(call.instance, set()).add(handle)
        call.reply(handle=handle)

    def _apply(self, call: StubCall) -> None:
        given = call.arguments
        handle = self._own(self._series, call)
        call.reply(value=self._registry.apply(handle, str(given["operation"]), float(given["value"])))

    def _close_family(self, call: StubCall) -> None:
        handle = self._own(self._families, call)
        self._families[call.instance].remove(handle)
        self._registry.close_family(handle)

    def _close_series(self, call: StubCall) -> None:
        handle = self._own(self._series, call)
        self._series[call.instance].remove(handle)
        self._registry.close_series(handle)

    def _own(self, held: Mapping[Instance, set[int]], call: StubCall) -> int:
        handle = int(call.arguments["handle"])
        if handle not in held.get(call.instance, ()):
            raise MetricError(DELETED)
        return handle

    def _ended(self, instance: Instance) -> None:
        for handle in self._series.pop(instance, ()):
            self._registry.close_series(handle)
        for handle in self._families.pop(instance, ()):
            self._registry.close_family(handle)


@functools.lru_cache(maxsize=1 << 15)
def _key(pairs: Labels) -> str:
    """Series are scraped again and again, and there may be thousands."""
    return labels(dict(pairs))


def _refusing(handler: Callable[[StubCall], None]) -> Callable[[StubCall], None]:
    """The texts of the rules are Triton's; the stub says in which request they were broken."""

    def guarded(call: StubCall) -> None:
        try:
            handler(call)
        except MetricError as error:
            call.refuse(Code.INVALID_ARG, str(error))

    return guarded


def _object(value: Any) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError("labels are not an object")
    return value
