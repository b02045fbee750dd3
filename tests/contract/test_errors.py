"""Requests that are refused, with the same words whichever way they came; the server goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.plain import Plain
from tests.support.transport import Array, Inference, Refused, Request

FLOATS = np.zeros((1, 2), np.float32)
NO_ID = "[request id: <id_unknown>] "
BATCH_NOTE = (
    " NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try setting "
    "max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)

REFUSALS: dict[str, tuple[Request, int, str]] = {
    "unknown model": (
        Request(model="nobody", inputs={"INPUT0": FLOATS}),
        404,
        "Request for unknown model: 'nobody' is not found",
    ),
    "unknown version": (
        Request(model="identity", version="9", inputs={"INPUT0": FLOATS}),
        404,
        "Request for unknown model: 'identity' version 9 is not found",
    ),
    "unknown input": (
        Request(model="identity", inputs={"INPUT9": FLOATS}),
        400,
        "unexpected inference input 'INPUT9' for model 'identity'",
    ),
    "unknown output": (
        Request(model="identity", inputs={"INPUT0": FLOATS}, outputs=["OUTPUT9"]),
        400,
        "unexpected inference output 'OUTPUT9' for model 'identity'",
    ),
    "input missing": (
        Request(model="pair", inputs={"A": FLOATS}),
        400,
        f"{NO_ID}expected 2 inputs but got 1 inputs for model 'pair'. Got input(s) ['A'], but missing required "
        "input(s) ['B']. Please provide all required input(s).",
    ),
    "other datatype": (
        Request(model="identity", inputs={"INPUT0": FLOATS.astype(np.int32)}),
        400,
        f"{NO_ID}inference input 'INPUT0' data-type is 'INT32', but model 'identity' expects 'FP32'",
    ),
    "other rank": (
        Request(model="identity", inputs={"INPUT0": FLOATS.reshape(1, 1, 2)}),
        400,
        f"{NO_ID}unexpected shape for input 'INPUT0' for model 'identity'. Expected [-1,-1], got [1,1,2].{BATCH_NOTE}",
    ),
    "other shape": (
        Request(model="matrix", inputs={"INPUT0": np.zeros((4,), np.float32)}),
        400,
        f"{NO_ID}unexpected shape for input 'INPUT0' for model 'matrix'. Expected [2,2], got [4]. ",
    ),
    "batch too large": (
        Request(model="identity", inputs={"INPUT0": np.zeros((9, 1), np.float32)}),
        400,
        f"{NO_ID}inference request batch-size must be <= 8 for 'identity'",
    ),
    "batches differ": (
        Request(model="pair", inputs={"A": FLOATS, "B": np.zeros((2, 2), np.float32)}),
        400,
        f"{NO_ID}input 'A' batch size does not match other inputs for 'pair'",
    ),
    "with an id": (
        Request(model="identity", inputs={"INPUT0": np.zeros((9, 1), np.float32)}, id="mine"),
        400,
        "[request id: mine] inference request batch-size must be <= 8 for 'identity'",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused(inference: Inference, case: str) -> None:
    request, status, message = REFUSALS[case]
    with pytest.raises(Refused) as refusal:
        inference.infer(request)
    assert (refusal.value.message, refusal.value.status) == (message, status)


@pytest.mark.parametrize("case", REFUSALS)
def test_the_next_request_is_served(inference: Inference, case: str) -> None:
    with pytest.raises(Refused):
        inference.infer(REFUSALS[case][0])
    answer = inference.infer(Request(model="identity", inputs={"INPUT0": FLOATS}))
    np.testing.assert_array_equal(answer["OUTPUT0"], FLOATS)


def binary(name: str, datatype: str, shape: list[int], nbytes: int) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": nbytes}}


def strings(*items: bytes) -> bytes:
    return b"".join(len(item).to_bytes(4, "little") + item for item in items)


LENGTHS: dict[str, tuple[str, dict[str, object], bytes, str]] = {
    "too few bytes": (
        "identity",
        binary("INPUT0", "FP32", [1, 2], 4),
        b"1234",
        f"{NO_ID}input byte size mismatch for input 'INPUT0' for model 'identity'. Expected 8, got 4",
    ),
    "too many bytes": (
        "identity",
        binary("INPUT0", "FP32", [1, 1], 8),
        b"12345678",
        f"{NO_ID}input byte size mismatch for input 'INPUT0' for model 'identity'. Expected 4, got 8",
    ),
    "fewer than said": (
        "identity",
        binary("INPUT0", "FP32", [1, 2], 8),
        b"1234",
        "unexpected size for input 'INPUT0', expecting 4 additional bytes for model 'identity'",
    ),
    "more than said": (
        "identity",
        binary("INPUT0", "FP32", [1, 1], 4),
        b"12345678",
        "unexpected additional input data for model 'identity'",
    ),
    "too few strings": (
        "texts",
        binary("INPUT0", "BYTES", [1, 2], 5),
        strings(b"a"),
        f"{NO_ID}expected 2 string elements for inference input 'INPUT0' for model 'texts', got 1",
    ),
    "too many strings": (
        "texts",
        binary("INPUT0", "BYTES", [1, 1], 10),
        strings(b"a", b"b"),
        f"{NO_ID}unexpected number of string elements 2 for inference input 'INPUT0' for model 'texts', expecting 1",
    ),
}


@pytest.mark.parametrize("case", LENGTHS)
def test_lengths_that_do_not_fit(plain: Plain, case: str) -> None:
    model, tensor, blob, message = LENGTHS[case]
    header = json.dumps({"inputs": [tensor]}).encode()
    length = {"Inference-Header-Content-Length": str(len(header))}
    answer = plain.send("POST", f"/v2/models/{model}/infer", header + blob, length)
    assert answer.json() == {"error": message}
    assert answer.status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 500),
        (b"[]", 500),
        (b"{}", 500),
        (b'{"inputs": 1}', 500),
        (b'{"inputs": [{}]}', 400),
        (b"[" * 5000, 400),
        (b'{"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [-1], "data": []}]}', 500),
        (b'{"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1, 9e99], "data": []}]}', 500),
        (b"\x00" * 100, 500),
        (b"\xff\xfe{}", 500),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
def test_bodies_that_are_no_request(plain: Plain, body: bytes, status: int) -> None:
    answer = plain.send("POST", "/v2/models/pair/infer", body)
    assert (answer.status, list(answer.json())) == (status, ["error"])
    assert plain.is_live()


@pytest.mark.parametrize("length", ["-1", "1000", "99999999999999999999", "abc", "1e3", ""])
def test_header_lengths_that_lie(plain: Plain, length: str) -> None:
    answer = plain.send("POST", "/v2/models/identity/infer", b"{}", {"Inference-Header-Content-Length": length})
    assert (answer.status, list(answer.json())) == (400, ["error"])


def test_arrays_that_have_no_datatype(inference: Inference) -> None:
    array: Array = np.zeros(2, np.complex64)
    with pytest.raises(Exception, match=r"(?i)type|unexpected"):
        inference.infer(Request(model="identity", inputs={"INPUT0": array}))
