"""Triton's metrics of models: their names, their texts, and where in the statistics each number stands.

The order is Triton's. Pure: the engine hands in one row for each loaded version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from jupyter_pyserve.model import latencies
from jupyter_pyserve.model.statistics import FailureReason, ModelStatistics
from jupyter_pyserve.telemetry.exposition import Family, Kind, labels


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One loaded version."""

    labels: Mapping[str, str]
    statistics: ModelStatistics
    pending: int
    load_s: float
    #: Whether its answers may come from the response cache.
    cached: bool = False


class _Counter(NamedTuple):
    name: str
    help: str
    value: Callable[[ModelStatistics], int]


_FAILURES: Final = ("nv_inference_request_failure", "Number of failed inference requests, all batch sizes")
_PENDING: Final = (
    "nv_inference_pending_request_count",
    "Instantaneous number of pending requests awaiting execution per-model.",
)
_LOAD: Final = ("nv_model_load_duration_secs", "Model load time in seconds")

_COUNTERS: Final = (
    _Counter(
        "nv_inference_request_success",
        "Number of successful inference requests, all batch sizes",
        lambda item: item.success_count,
    ),
    _Counter(
        "nv_inference_count",
        "Number of inferences performed (does not include cached requests)",
        lambda item: item.inference_count,
    ),
    _Counter(
        "nv_inference_exec_count",
        "Number of model executions performed (does not include cached requests)",
        lambda item: item.execution_count,
    ),
)
_DURATIONS: Final = (
    _Counter(
        "nv_inference_request_duration_us",
        "Cumulative inference request duration in microseconds (includes cached requests)",
        lambda item: item.success_ns // 1000,
    ),
    _Counter(
        "nv_inference_queue_duration_us",
        "Cumulative inference queuing duration in microseconds (includes cached requests)",
        lambda item: item.queue_ns // 1000,
    ),
    _Counter(
        "nv_inference_compute_input_duration_us",
        "Cumulative compute input duration in microseconds (does not include cached requests)",
        lambda item: item.compute_input_ns // 1000,
    ),
    _Counter(
        "nv_inference_compute_infer_duration_us",
        "Cumulative compute inference duration in microseconds (does not include cached requests)",
        lambda item: item.compute_infer_ns // 1000,
    ),
    _Counter(
        "nv_inference_compute_output_duration_us",
        "Cumulative inference compute output duration in microseconds (does not include cached requests)",
        lambda item: item.compute_output_ns // 1000,
    ),
)
_CACHE: Final = (
    _Counter("nv_cache_num_hits_per_model", "Number of cache hits per model", lambda item: item.cache_hit_count),
    _Counter(
        "nv_cache_hit_duration_per_model",
        "Total cache hit duration per model, in microseconds",
        lambda item: item.cache_hit_ns // 1000,
    ),
    _Counter("nv_cache_num_misses_per_model", "Number of cache misses per model", lambda item: item.cache_miss_count),
    _Counter(
        "nv_cache_miss_duration_per_model",
        "Total cache miss (insert+lookup) duration per model, in microseconds",
        lambda item: item.cache_miss_ns // 1000,
    ),
)


_NOT_OF_CACHED: Final = (latencies.REQUEST,)
_ONLY_OF_CACHED: Final = (latencies.CACHE_HIT, latencies.CACHE_MISS)
_FIRST_RESPONSE: Final = (
    latencies.FIRST_RESPONSE,
    "Duration from request to first response in milliseconds",
)
_SUMMARIES: Final = (
    (
        latencies.REQUEST,
        "nv_inference_request_summary_us",
        "Summary of inference request duration in microseconds (includes cached requests)",
    ),
    (
        latencies.QUEUE,
        "nv_inference_queue_summary_us",
        "Summary of inference queuing duration in microseconds (includes cached requests)",
    ),
    (
        latencies.COMPUTE_INPUT,
        "nv_inference_compute_input_summary_us",
        "Cumulative compute input duration in microseconds (does not include cached requests)",
    ),
    (
        latencies.COMPUTE_INFER,
        "nv_inference_compute_infer_summary_us",
        "Cumulative compute inference duration in microseconds (does not include cached requests)",
    ),
    (
        latencies.COMPUTE_OUTPUT,
        "nv_inference_compute_output_summary_us",
        "Cumulative inference compute output duration in microseconds (does not include cached requests)",
    ),
    (
        latencies.CACHE_HIT,
        "nv_cache_hit_summary_per_model",
        "Summary of cache hit counts/durations per model, in microseconds.",
    ),
    (
        latencies.CACHE_MISS,
        "nv_cache_miss_summary_per_model",
        "Summary of cache miss counts/durations per model, in microseconds.",
    ),
)


def latency_families(rows: Iterable[ModelRow], quantiles: Sequence[float], now_ms: int) -> list[Family]:
    """The families of how latencies are spread, where that is recorded.

    Of models with a response cache the request's own has no samples, as on Triton; of others those of the cache.
    """
    first = Family(_FIRST_RESPONSE[0], Kind.HISTOGRAM, _FIRST_RESPONSE[1])
    summaries = {kind: Family(name, Kind.SUMMARY, text) for kind, name, text in _SUMMARIES}
    for row in rows:
        spread = row.statistics.latencies
        histogram = spread.first_response_ms if spread is not None else None
        if histogram is not None:
            first.add_histogram(row.labels, histogram.bounds, histogram.counts, histogram.total)
        for kind, window in enumerate((spread.windows if spread is not None else None) or ()):
            if kind not in (_NOT_OF_CACHED if row.cached else _ONLY_OF_CACHED):
                values = window.quantiles(quantiles, now_ms)
                summaries[kind].add_summary(row.labels, window.count, window.total, zip(quantiles, values))
    return [first, *summaries.values()]


def model_families(rows: Iterable[ModelRow], *, counting: bool) -> Iterator[Family]:
    """Every family of these versions, one at a time. Without `counting` counters stand still, as on Triton."""
    series = [(labels(row.labels), row) for row in rows]
    success, *counts = _COUNTERS
    yield _counter(success, series, counting=counting)
    yield _failures(series, counting=counting)
    for item in counts:
        yield _counter(item, series, counting=counting)
    if counting:
        for item in _DURATIONS:
            yield _counter(item, series)
        cached = [one for one in series if one[1].cached]
        for item in _CACHE:
            yield _counter(item, cached)
    yield Family(*_gauge(_PENDING), {key: row.pending for key, row in series})
    yield Family(*_gauge(_LOAD), {key: row.load_s for key, row in series})


def _counter(counter: _Counter, series: Iterable[tuple[str, ModelRow]], *, counting: bool = True) -> Family:
    samples: dict[str, float] = {key: counter.value(row.statistics) if counting else 0 for key, row in series}
    return Family(counter.name, Kind.COUNTER, counter.help, samples)


def _failures(series: Iterable[tuple[str, ModelRow]], *, counting: bool) -> Family:
    name, text = _FAILURES
    family = Family(name, Kind.COUNTER, text)
    for _, row in series:
        for reason in FailureReason:
            key = labels({**row.labels, "reason": reason.value})
            family.add(key, row.statistics.fail_reasons[reason] if counting else 0)
    return family


def _gauge(named: tuple[str, str]) -> tuple[str, Kind, str]:
    name, text = named
    return name, Kind.GAUGE, text
