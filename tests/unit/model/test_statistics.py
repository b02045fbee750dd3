"""What counts towards what."""

from __future__ import annotations

import json

from jupyter_pyserve.model.statistics import FailureReason, ModelStatistics


def test_a_fresh_model_shows_zeros_in_the_protocols_order() -> None:
    zero = '{"count":0,"ns":0}'
    assert json.dumps(ModelStatistics().to_json_dict(name="M", version="1"), separators=(",", ":")) == (
        '{"name":"M","version":"1","last_inference":0,"inference_count":0,"execution_count":0,"inference_stats":'
        f'{{"success":{zero},"fail":{zero},"queue":{zero},"compute_input":{zero},"compute_infer":{zero},'
        f'"compute_output":{zero},"cache_hit":{zero},"cache_miss":{zero}}},'
        '"response_stats":{},"batch_stats":[],"memory_usage":[]}'
    )


def test_two_batches_of_four_and_seven_timeouts() -> None:
    statistics = ModelStatistics()
    for _ in range(2):
        for _ in range(4):
            statistics.record_success(1, 100, 10, 1, 20, 3, 1000)
        statistics.record_execution(4, 1, 20, 3, 1001)
    for _ in range(7):
        statistics.record_failure(50)
    shown = statistics.to_json_dict(name="dyn", version="1")
    assert (shown["inference_count"], shown["execution_count"], shown["last_inference"]) == (8, 2, 1001)
    assert shown["inference_stats"] == {
        "success": {"count": 8, "ns": 800},
        "fail": {"count": 7, "ns": 350},
        "queue": {"count": 8, "ns": 80},
        "compute_input": {"count": 8, "ns": 8},
        "compute_infer": {"count": 8, "ns": 160},
        "compute_output": {"count": 8, "ns": 24},
        "cache_hit": {"count": 0, "ns": 0},
        "cache_miss": {"count": 0, "ns": 0},
    }
    assert shown["batch_stats"] == [
        {
            "batch_size": 4,
            "compute_input": {"count": 2, "ns": 2},
            "compute_infer": {"count": 2, "ns": 40},
            "compute_output": {"count": 2, "ns": 6},
        }
    ]


def test_misses_and_hits_of_the_cache() -> None:
    statistics = ModelStatistics()
    for _ in range(2):
        statistics.record_success(1, 100, 10, 1, 20, 3, 1000)
        statistics.record_execution(1, 1, 20, 3, 1002)
        statistics.record_cache_miss(7)
        statistics.record_cache_hit(30, 2, 5, 3000)
    shown = statistics.to_json_dict(name="cached", version="1")
    counts = {key: value["count"] for key, value in shown["inference_stats"].items()}
    assert (shown["inference_count"], shown["execution_count"], shown["last_inference"]) == (2, 2, 1002)
    assert counts == {
        "success": 4,
        "fail": 0,
        "queue": 4,
        "compute_input": 2,
        "compute_infer": 2,
        "compute_output": 2,
        "cache_hit": 2,
        "cache_miss": 2,
    }
    assert shown["inference_stats"]["cache_hit"]["ns"] == 10
    assert shown["inference_stats"]["cache_miss"]["ns"] == 14
    assert shown["inference_stats"]["success"]["ns"] == 260
    assert shown["inference_stats"]["queue"]["ns"] == 24


def test_a_batch_request_counts_its_items_and_rows_are_by_size() -> None:
    statistics = ModelStatistics()
    for size in (8, 2):
        statistics.record_success(size, 1, 1, 1, 1, 1, 1)
        statistics.record_execution(size, 1, 1, 1, 1)
    shown = statistics.to_json_dict(name="m", version="1")
    assert shown["inference_count"] == 10
    assert shown["inference_stats"]["success"]["count"] == 2
    assert [row["batch_size"] for row in shown["batch_stats"]] == [2, 8]


def test_failures_are_told_apart_by_their_reasons() -> None:
    statistics = ModelStatistics()
    for reason in (FailureReason.BACKEND, FailureReason.BACKEND, FailureReason.CANCELED):
        statistics.record_failure(50, reason)
    statistics.record_failure(50)
    assert {reason.value: count for reason, count in statistics.fail_reasons.items()} == {
        "REJECTED": 0,
        "CANCELED": 1,
        "BACKEND": 2,
        "OTHER": 1,
    }
    assert statistics.fail_count == 4
