"""Every datatype of the protocol, its limits and its oddities, there and back unchanged."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tests.support.transport import Array, Inference, Request

NUMBERS: dict[str, Array] = {
    "BOOL": np.array([True, False, True]),
    "UINT8": np.array([0, 255], np.uint8),
    "UINT16": np.array([0, 65535], np.uint16),
    "UINT32": np.array([0, 2**32 - 1], np.uint32),
    "UINT64": np.array([0, 2**64 - 1], np.uint64),
    "INT8": np.array([-128, 127], np.int8),
    "INT16": np.array([-(2**15), 2**15 - 1], np.int16),
    "INT32": np.array([-(2**31), 2**31 - 1], np.int32),
    "INT64": np.array([-(2**63), 2**63 - 1], np.int64),
    "FP16": np.array([0.1, -65504, np.nan, np.inf], np.float16),
    "FP32": np.array([0.1, -0.0, 1e-45, np.nan, -np.inf], np.float32),
    "FP64": np.array([0.1, -0.0, 5e-324, np.nan, np.inf], np.float64),
}

STRINGS = {
    "words": [b"one", b"two"],
    "empty": [b"", b"", b"x", b""],
    "not text": [b"\x00\xff\xfe", bytes(range(256))],
    "unicode": ["é✓😀".encode()],
    "long": [b"x" * 100_000],
}


def echo(inference: Inference, datatype: str, array: Array) -> Array:
    answer = inference.infer(Request(model="every_type", inputs={f"INPUT_{datatype}": array}))
    return answer[f"OUTPUT_{datatype}"]


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers(inference: Inference, datatype: str) -> None:
    array = NUMBERS[datatype]
    back = echo(inference, datatype, array)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("datatype", NUMBERS)
def test_no_numbers(inference: Inference, datatype: str) -> None:
    back = echo(inference, datatype, NUMBERS[datatype][:0])
    assert (back.dtype, back.shape) == (NUMBERS[datatype].dtype, (0,))


@pytest.mark.parametrize("values", [[0.5, -2, 3.140625, float("inf")], []], ids=["some", "none"])
def test_bf16(inference: Inference, values: list[float]) -> None:
    back = echo(inference, "BF16", np.array(values, ml_dtypes.bfloat16))
    np.testing.assert_array_equal(back.astype(np.float32), np.array(values, np.float32))


@pytest.mark.parametrize("strings", STRINGS)
def test_bytes(inference: Inference, strings: str) -> None:
    back = echo(inference, "BYTES", np.array(STRINGS[strings], object))
    assert back.dtype == np.object_
    assert back.tolist() == STRINGS[strings]


def test_no_bytes(inference: Inference) -> None:
    assert echo(inference, "BYTES", np.array([], object)).shape == (0,)


def test_bytes_in_rows(inference: Inference) -> None:
    rows = np.array([[b"a", b"bc", b""], [b"\x00", b"e", b"f"]], object)
    answer = inference.infer(Request(model="texts", inputs={"INPUT0": rows}))
    assert answer["OUTPUT0"].tolist() == rows.tolist()


def test_all_at_once(inference: Inference) -> None:
    inputs = {f"INPUT_{name}": array for name, array in NUMBERS.items()}
    inputs["INPUT_BYTES"] = np.array(STRINGS["words"], object)
    answer = inference.infer(Request(model="every_type", inputs=inputs))
    assert set(answer) == {name.replace("INPUT", "OUTPUT") for name in inputs}
    for name, array in NUMBERS.items():
        assert answer[f"OUTPUT_{name}"].tobytes() == array.tobytes()


def test_numbers_of_a_foreign_byte_order_arrive_as_numbers(inference: Inference) -> None:
    array = np.array([1, 2, -3], ">i4")
    np.testing.assert_array_equal(echo(inference, "INT32", array), array.astype("<i4"))
