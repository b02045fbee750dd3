from __future__ import annotations

from typing import Any

from jupyter_pyserve.model.latencies import Latencies
from jupyter_pyserve.model.statistics import FailureReason, ModelStatistics
from jupyter_pyserve.telemetry.exposition import Kind
from jupyter_pyserve.telemetry.models import ModelRow, latency_families, model_families

KEY = '{model="m",version="1"}'


def statistics() -> ModelStatistics:
    made = ModelStatistics()
    made.record_success(3, 5_000_000, 1_500, 20_999, 3_000_000, 40_000, 1)
    made.record_execution(3, 20_999, 3_000_000, 40_000, 1)
    made.record_cache_hit(70_000, 2_000, 9_000, 2)
    made.record_cache_miss(8_000)
    made.record_failure(1, FailureReason.BACKEND)
    made.record_failure(1, FailureReason.CANCELED)
    made.record_failure(1, FailureReason.CANCELED)
    return made


def row(**changes: Any) -> ModelRow:
    facts: dict[str, Any] = {
        "labels": {"version": "1", "model": "m"},
        "statistics": statistics(),
        "pending": 7,
        "load_s": 0.25,
        **changes,
    }
    return ModelRow(**facts)


def shown(*rows: ModelRow, counting: bool = True) -> dict[str, dict[str, float]]:
    return {item.name: item.samples for item in model_families(rows, counting=counting) if item.samples}


def reasons(rejected: int, canceled: int, backend: int, other: int) -> dict[str, float]:
    counts = {"REJECTED": rejected, "CANCELED": canceled, "BACKEND": backend, "OTHER": other}
    return {f'{{model="m",reason="{reason}",version="1"}}': count for reason, count in counts.items()}


def test_every_number_has_its_name() -> None:
    assert shown(row()) == {
        "nv_inference_request_success": {KEY: 2},
        "nv_inference_request_failure": reasons(0, 2, 1, 0),
        "nv_inference_count": {KEY: 3},
        "nv_inference_exec_count": {KEY: 1},
        "nv_inference_request_duration_us": {KEY: 5070},
        "nv_inference_queue_duration_us": {KEY: 3},
        "nv_inference_compute_input_duration_us": {KEY: 20},
        "nv_inference_compute_infer_duration_us": {KEY: 3000},
        "nv_inference_compute_output_duration_us": {KEY: 40},
        "nv_inference_pending_request_count": {KEY: 7},
        "nv_model_load_duration_secs": {KEY: 0.25},
    }


def test_the_cache_is_counted_where_there_is_one() -> None:
    samples = shown(row(cached=True), row(labels={"model": "n"}))
    assert {name: samples[name] for name in samples if "cache" in name} == {
        "nv_cache_num_hits_per_model": {KEY: 1},
        "nv_cache_hit_duration_per_model": {KEY: 9},
        "nv_cache_num_misses_per_model": {KEY: 1},
        "nv_cache_miss_duration_per_model": {KEY: 8},
    }


def test_without_counting_counters_stand_still() -> None:
    assert shown(row(cached=True), counting=False) == {
        "nv_inference_request_success": {KEY: 0},
        "nv_inference_request_failure": reasons(0, 0, 0, 0),
        "nv_inference_count": {KEY: 0},
        "nv_inference_exec_count": {KEY: 0},
        "nv_inference_pending_request_count": {KEY: 7},
        "nv_model_load_duration_secs": {KEY: 0.25},
    }


def test_what_triton_says_of_them() -> None:
    found = {item.name: (item.kind, item.help) for item in model_families([], counting=True)}
    assert found["nv_inference_request_failure"] == (
        Kind.COUNTER,
        "Number of failed inference requests, all batch sizes",
    )
    assert found["nv_inference_compute_output_duration_us"] == (
        Kind.COUNTER,
        "Cumulative inference compute output duration in microseconds (does not include cached requests)",
    )
    assert found["nv_cache_miss_duration_per_model"] == (
        Kind.COUNTER,
        "Total cache miss (insert+lookup) duration per model, in microseconds",
    )
    assert found["nv_inference_pending_request_count"] == (
        Kind.GAUGE,
        "Instantaneous number of pending requests awaiting execution per-model.",
    )
    assert len(found) == 15


QUANTILES = (0.5, 0.99)


def spread(*, cached: bool = False, summaries: bool = True) -> dict[str, dict[str, float]]:
    """What is shown of a model that answered one request by itself, and one from its cache."""
    made = ModelStatistics(Latencies(summaries=summaries, first_response_bounds_ms=None if summaries else (100, 500)))
    made.record_success(1, 5_000_000, 1_500, 20_999, 3_000_000, 40_000, 1)
    assert made.latencies is not None
    made.latencies.record_first_response(5_000_000)
    made.record_cache_hit(70_000, 2_000, 9_000, 2)
    made.record_cache_miss(8_000)
    rows = [row(statistics=made, cached=cached), row()]
    return {item.name: item.samples for item in latency_families(rows, QUANTILES, 3) if item.samples}


def summary(count: int, total: int, middle: int, top: int) -> dict[str, float]:
    inner = 'model="m",version="1",quantile='
    return {f"_count{KEY}": count, f"_sum{KEY}": total, f'{{{inner}"0.5"}}': middle, f'{{{inner}"0.99"}}': top}


def test_summaries() -> None:
    assert spread() == {
        "nv_inference_request_summary_us": summary(2, 5070, 70, 5000),
        "nv_inference_queue_summary_us": summary(2, 3, 1, 2),
        "nv_inference_compute_input_summary_us": summary(1, 20, 20, 20),
        "nv_inference_compute_infer_summary_us": summary(1, 3000, 3000, 3000),
        "nv_inference_compute_output_summary_us": summary(1, 40, 40, 40),
    }


def test_with_a_cache_its_own_take_the_place_of_the_requests() -> None:
    shown = spread(cached=True)
    assert "nv_inference_request_summary_us" not in shown
    assert shown["nv_inference_queue_summary_us"] == summary(2, 3, 1, 2)
    assert shown["nv_cache_hit_summary_per_model"] == summary(1, 9, 9, 9)
    assert shown["nv_cache_miss_summary_per_model"] == summary(1, 8, 8, 8)


def test_the_histogram_of_first_responses() -> None:
    inner = 'model="m",version="1",le='
    assert spread(summaries=False) == {
        "nv_inference_first_response_histogram_ms": {
            f"_count{KEY}": 1,
            f"_sum{KEY}": 5.0,
            f'_bucket{{{inner}"100"}}': 1,
            f'_bucket{{{inner}"500"}}': 1,
            f'_bucket{{{inner}"+Inf"}}': 1,
        }
    }
