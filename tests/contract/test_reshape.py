"""Models that see their tensors in other shapes than clients do."""

from __future__ import annotations

import numpy as np

from tests.support.transport import Inference, Request


def test_the_model_sees_other_shapes(inference: Inference) -> None:
    values = np.arange(48, dtype=np.float32).reshape(2, 4, 3, 2)
    found = inference.infer(Request(model="reshaping", inputs={"INPUT0": values}))
    assert found["OUTPUT0"].shape == (2, 4, 3, 2)
    assert np.array_equal(found["OUTPUT0"], values)
    assert found["SHAPE"].tolist() == [[2, 2, 2, 3, 1, 2]] * 2


def test_a_dimension_that_the_model_does_not_see(inference: Inference) -> None:
    values = np.zeros((2, 4, 1, 2), np.float32)
    scalars = np.array([[5], [6]], np.float32)
    found = inference.infer(Request(model="reshaping", inputs={"INPUT0": values, "SCALAR": scalars}))
    assert np.array_equal(found["SCALAR_OUT"], scalars)
