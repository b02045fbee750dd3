from __future__ import annotations

import numpy as np

from jupyter_pyserve.notebook.measuring.inputs import example_inputs, required
from jupyter_pyserve.notebook.payloads import TensorInfo

IMAGE = TensorInfo(name="IMAGE", datatype="UINT8", shape=[-1, -1, 3])
TEXT = TensorInfo(name="TEXT", datatype="BYTES", shape=[-1, 1])


def test_free_dimensions_are_one_and_the_batch_is_as_large_as_asked() -> None:
    found = example_inputs([IMAGE, TEXT], batch_size=4)
    assert found["IMAGE"].shape == (4, 1, 3)
    assert found["IMAGE"].dtype == np.uint8
    assert found["TEXT"].tolist() == [[b"text"]] * 4


def test_without_batches_the_first_dimension_is_like_others() -> None:
    assert example_inputs([IMAGE], batch_size=None)["IMAGE"].shape == (1, 1, 3)
    assert example_inputs([TensorInfo(name="X", datatype="FP32", shape=[])], batch_size=2)["X"].shape == ()


def test_optional_inputs_are_left_out() -> None:
    config = {"input": [{"name": "IMAGE"}, {"name": "TEXT", "optional": True}]}
    assert required({"inputs": [IMAGE, TEXT]}, config) == [IMAGE]
