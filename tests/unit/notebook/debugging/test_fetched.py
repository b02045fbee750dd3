from __future__ import annotations

import numpy as np

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
