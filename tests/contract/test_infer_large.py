"""Tensors beyond every buffer on the way."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.transport import Inference, Request

MIB = 1 << 20


@pytest.mark.parametrize("nbytes", [64 * 1024 - 4, MIB, MIB + 4, 70 * MIB])
def test_there_and_back(inference: Inference, nbytes: int) -> None:
    array = np.arange(nbytes // 4, dtype=np.uint32).view(np.float32)
    back = inference.infer(Request(model="identity", inputs={"INPUT0": array.reshape(1, -1)}))["OUTPUT0"]
    assert back.shape == (1, array.size)
    assert np.array_equal(back.view(np.uint32)[0], array.view(np.uint32))


def test_many_strings(inference: Inference) -> None:
    strings = [b"%d" % number * (number % 7) for number in range(50_000)]
    answer = inference.infer(Request(model="texts", inputs={"INPUT0": np.array([strings], object)}))
    assert answer["OUTPUT0"][0].tolist() == strings


def test_several_large_ones_at_once(inference: Inference) -> None:
    arrays = [np.full((1, MIB), number, np.float32) for number in range(4)]
    answers = inference.infer_together([Request(model="identity", inputs={"INPUT0": array}) for array in arrays])
    assert [bool((answer["OUTPUT0"] == number).all()) for number, answer in enumerate(answers)] == [True] * 4
