"""What is counted, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.plain import Plain
from tests.support.transport import Json, Refused, Request, Transport


def row(batch_size: int) -> Request:
    return Request(model="counted", inputs={"INPUT0": np.zeros((batch_size, 2), np.float32)})


def entry(transport: Transport, model: str = "counted") -> Json:
    (found,) = transport.statistics(model)
    return found


def counts(found: Json) -> dict[str, int]:
    durations = {name: value["count"] for name, value in found["inference_stats"].items()}
    return {**durations, "inferences": found["inference_count"], "executions": found["execution_count"]}


def growth(transport: Transport, action: Callable[[], Any], model: str = "counted") -> dict[str, int]:
    """Counters that an action changed, by how much."""
    before = counts(entry(transport, model))
    action()
    after = counts(entry(transport, model))
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_members(transport: Transport) -> None:
    found = entry(transport)
    assert (found["name"], found["version"]) == ("counted", "1")
    assert set(found) == {
        "name",
        "version",
        "last_inference",
        "inference_count",
        "execution_count",
        "inference_stats",
        "response_stats",
        "batch_stats",
        "memory_usage",
    }
    assert (found["response_stats"], found["memory_usage"]) == ({}, [])


def test_a_success(transport: Transport) -> None:
    assert growth(transport, lambda: transport.infer(row(3))) == {
        "success": 1,
        "queue": 1,
        "compute_input": 1,
        "compute_infer": 1,
        "compute_output": 1,
        "inferences": 3,
        "executions": 1,
    }


def test_times_add_up(transport: Transport) -> None:
    transport.infer(row(1))
    times = {name: value["ns"] for name, value in entry(transport)["inference_stats"].items()}
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    assert times["compute_infer"] > 0
    assert 0 < sum(times[name] for name in parts) <= times["success"]


def test_the_moment_of_the_last(transport: Transport) -> None:
    transport.infer(row(1))
    first = entry(transport)["last_inference"]
    transport.infer(row(1))
    assert entry(transport)["last_inference"] >= first > 1_600_000_000_000


def test_each_batch_size_has_its_own_row(transport: Transport) -> None:
    for size in (7, 5):
        transport.infer(row(size))
    rows = {item["batch_size"]: item for item in entry(transport)["batch_stats"]}
    assert {5, 7} <= set(rows)
    assert rows[7]["compute_infer"]["ns"] > 0
    before = rows[7]["compute_infer"]["count"]
    transport.infer(row(7))
    rows = {item["batch_size"]: item for item in entry(transport)["batch_stats"]}
    assert rows[7]["compute_infer"]["count"] == before + 1


def test_a_failure_of_the_model(transport: Transport) -> None:
    request = Request(model="behave", inputs={"COMMAND": np.array([b"value_error"], object)})

    def fail() -> None:
        with pytest.raises(Refused):
            transport.infer(request)

    assert growth(transport, fail, "behave") == {"fail": 1, "executions": 1}


def test_a_refusal_is_not_counted(transport: Transport) -> None:
    def refused() -> None:
        with pytest.raises(Refused):
            transport.infer(Request(model="counted", inputs={"INPUT0": np.zeros((9, 2), np.float32)}))

    assert growth(transport, refused) == {}


def test_all_models(transport: Transport) -> None:
    names = [(item["name"], int(item["version"])) for item in transport.statistics()]
    assert names == sorted(names)
    assert {"counted", "identity", "pair"} <= {name for name, _ in names}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v2/models/nobody/stats", "requested model 'nobody' is not available"),
        ("/v2/models/counted/versions/9/stats", "requested model version is not available for model 'counted'"),
    ],
)
def test_unknown(plain: Plain, path: str, message: str) -> None:
    answer = plain.send("GET", path)
    assert (answer.status, answer.json()) == (400, {"error": message})
