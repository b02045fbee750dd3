from __future__ import annotations

import numpy as np
import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.debugging.fetched import decode
from jupyter_pyserve.v2.client import encode_infer_request


def test_a_recording_is_decoded_as_it_was_sent() -> None:
    inputs = {"A": np.arange(6, dtype=np.float32).reshape(2, 3), "B": np.array([b"x", b"\xff"], object)}
    controls = {"correlation_id": "s", "flags": 3, "priority": 2, "timeout_us": 5}
    header, blobs = encode_infer_request(inputs, ("OUT",), "r", {"colour": "red"}, **controls)  # type: ignore[arg-type]
    recorded = decode(memoryview(bytearray(b"".join([header, *blobs]))), len(header), "m")
    assert recorded.request.id == "r"
    assert recorded.outputs == ["OUT"]
    assert recorded.datatypes == {"A": "FP32", "B": "BYTES"}
    assert {name: array.tolist() for name, array in recorded.inputs.items()} == {
        name: array.tolist() for name, array in inputs.items()
    }
    own = {"sequence_id": "s", "sequence_start": True, "sequence_end": True, "priority": 2, "timeout": 5}
    assert recorded.parameters == {"colour": "red", **own}
    assert recorded.inputs["A"].flags.writeable, "a model may change its inputs"


def test_a_request_of_no_sequence_has_no_controls() -> None:
    header, blobs = encode_infer_request({"A": np.zeros(1, np.float32)}, (), "", {"colour": "red"})
    recorded = decode(memoryview(bytearray(b"".join([header, *blobs]))), len(header), "m")
    assert recorded.parameters == {"colour": "red"}


def test_a_datatype_that_nobody_knows() -> None:
    header = b'{"inputs":[{"name":"A","datatype":"FP7","shape":[1],"parameters":{"binary_data_size":4}}]}'
    with pytest.raises(PyServeError, match="invalid datatype for input A"):
        decode(memoryview(bytearray(header + bytes(4))), len(header), "m")
