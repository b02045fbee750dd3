"""Requests that are executed together, and instances that execute at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.contract.conftest import Server
from tests.support.plain import Plain
from tests.support.transport import Array, Inference, Request


def batch(*shape: int, first: int = 0) -> Request:
    values = np.arange(first, first + np.prod(shape), dtype=np.int32)
    return Request(model="batched", inputs={"INPUT0": values.reshape(shape)})


def company(answers: Sequence[dict[str, Array]]) -> list[int]:
    """How many requests each was executed with."""
    return [int(answer["COMPANY"][0, 0]) for answer in answers]


def test_four_wait_for_each_other(inference: Inference) -> None:
    requests = [batch(1, 3, first=10 * number) for number in range(4)]
    answers = inference.infer_together(requests)
    assert company(answers) == [4, 4, 4, 4]
    for request, answer in zip(requests, answers):
        np.testing.assert_array_equal(answer["OUTPUT0"], request.inputs["INPUT0"])


def test_a_full_batch_waits_for_nobody(inference: Inference) -> None:
    assert company([inference.infer(batch(4, 2))]) == [1]


def test_sizes_add_up(inference: Inference) -> None:
    assert company(inference.infer_together([batch(2, 5), batch(2, 5)])) == [2, 2]


def test_more_than_fit_go_in_turns(inference: Inference) -> None:
    assert company(inference.infer_together([batch(1, 3)] * 8)) == [4] * 8


def test_achieved_sizes_are_counted(inference: Inference, standalone: Server, behind_jupyter: Server) -> None:
    watchers = [way for server in (standalone, behind_jupyter) for way in server.ways.values()]
    plain = [way for way in watchers if isinstance(way, Plain)]
    before = [_executions(way) for way in plain]
    inference.infer_together([batch(1, 3)] * 4)
    inference.infer(batch(4, 3))
    grown = [
        {size: count - was.get(size, 0) for size, count in _executions(way).items()} for way, was in zip(plain, before)
    ]
    # Two ways lead to one server, the third to the other.
    assert {4: 2} in grown
    assert {4: 0} in grown or {} in grown


def _executions(way: Plain) -> dict[int, int]:
    """Executions by batch size."""
    (entry,) = way.statistics("batched")
    return {row["batch_size"]: row["compute_infer"]["count"] for row in entry["batch_stats"]}


def test_both_instances_work_at_the_same_time(inference: Inference) -> None:
    request = Request(model="meeting", inputs={"INPUT0": np.zeros(1, np.float32)})
    answers = inference.infer_together([request, request])
    assert sorted(answer["INSTANCE"][0] for answer in answers) == [b"meeting_0_0", b"meeting_0_1"]


def test_many_at_once_get_their_own_answers(inference: Inference) -> None:
    requests = [
        Request(model="identity", inputs={"INPUT0": np.full((1, 1 + number), number, np.float32)})
        for number in range(16)
    ]
    answers = inference.infer_together(requests)
    for request, answer in zip(requests, answers):
        np.testing.assert_array_equal(answer["OUTPUT0"], request.inputs["INPUT0"])
