from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyserve_stub.wire.datatypes import CODES, NAMES
from pyserve_stub.wire.layout import TensorMeta

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.signature import Signature, TensorSpec
from jupyter_pyserve.v2 import classification
from jupyter_pyserve.v2.classification import Classification
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.infer import InferRequest, OutputRef
from jupyter_pyserve.v2.tensors import unpack_elements

LABELS = ("zero", "", "two")


def classes(
    values: list[float], shape: tuple[int, ...], count: int, *, datatype: str = "FP32", batched: bool = True
) -> tuple[tuple[int, ...], list[str]]:
    data = memoryview(np.array(values, TABLE[datatype].numpy).tobytes())
    wanted = Classification(counts={"OUT": count}, labels={"OUT": LABELS}, batched=batched)
    (meta,), (view,) = wanted.apply([TensorMeta("OUT", CODES[datatype], shape)], [data])
    assert NAMES[meta.code] == "BYTES"
    return meta.shape, [element.decode() for element in unpack_elements(view)]


TABLE_OF_CLASSES: Mapping[str, tuple[list[float], tuple[int, ...], int, bool, tuple[int, ...], list[str]]] = {
    "largest": ([0.25, 0.5, 3], (1, 3), 1, True, (1, 1), ["3.000000:2:two"]),
    "by rows": ([1, 2, 4, 3], (2, 2), 1, True, (2, 1), ["2.000000:1", "4.000000:0:zero"]),
    "more than there are": ([1, 2], (1, 2), 5, True, (1, 2), ["2.000000:1", "1.000000:0:zero"]),
    "no label": ([0, 0, 0, 9], (1, 4), 1, True, (1, 1), ["9.000000:3"]),
    "equal": ([7, 7, 7], (1, 3), 2, True, (1, 2), ["7.000000:0:zero", "7.000000:1"]),
    "several dimensions": ([1, 2, 3, 4], (1, 2, 2), 2, True, (1, 2), ["4.000000:3", "3.000000:2:two"]),
    "no batch": ([1, 2, 3, 4], (2, 2), 2, False, (2,), ["4.000000:3", "3.000000:2:two"]),
    "a scalar": ([5], (), 2, True, (1,), ["5.000000:0:zero"]),
    "nothing": ([], (2, 0), 3, True, (2, 0), []),
    "no row": ([], (0, 3), 2, True, (0, 2), []),
    "no numbers": ([np.nan, np.inf, -np.inf], (1, 3), 3, True, (1, 3), ["nan:0:zero", "inf:1", "-inf:2:two"]),
}


@pytest.mark.parametrize("name", TABLE_OF_CLASSES)
def test_classes(name: str) -> None:
    values, shape, count, batched, found_shape, found = TABLE_OF_CLASSES[name]
    assert classes(values, shape, count, batched=batched) == (found_shape, found)


@pytest.mark.parametrize("datatype", [name for name in TABLE if "INT" in name])
def test_integers_are_written_as_such(datatype: str) -> None:
    assert classes([1, 100], (1, 2), 2, datatype=datatype)[1] == ["100:1", "1:0:zero"]


def test_extremes_of_integers_are_exact() -> None:
    assert classes([-(2**63), 2**63 - 1], (1, 2), 2, datatype="INT64")[1][0] == "9223372036854775807:1"
    assert classes([2**64 - 1, 0], (1, 2), 1, datatype="UINT64")[1] == ["18446744073709551615:0:zero"]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40), st.integers(1, 50))
def test_the_order_is_that_of_a_stable_sort(values: list[int], count: int) -> None:
    expected = sorted(range(len(values)), key=lambda index: -values[index])[:count]
    found = classes([float(value) for value in values], (1, len(values)), count)[1]
    assert [int(text.split(":")[1]) for text in found] == expected


@pytest.mark.parametrize("datatype", ["BOOL", "FP16", "BF16", "BYTES"])
def test_types_without_an_order_are_refused(datatype: str) -> None:
    wanted = Classification(counts={"OUT": 1}, labels={}, batched=False)
    with pytest.raises(PyServeError) as caught:
        wanted.apply([TensorMeta("OUT", CODES[datatype], (2,))], [memoryview(bytes(4))])
    assert caught.value.code is Code.INVALID_ARG
    assert caught.value.message == f"class result not available for output due to unsupported type '{datatype}'"


def test_huge_outputs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "MAX_ELEMENTS", 3)
    assert classes([1, 2, 3], (3,), 1, batched=False)[0] == (1,)
    with pytest.raises(PyServeError, match="classification output tensor too large"):
        classes([1, 2, 3, 4], (4,), 1, batched=False)


def test_other_outputs_stay_as_they_are() -> None:
    view = memoryview(struct.pack("<f", 1))
    meta = TensorMeta("OTHER", CODES["FP32"], (1,))
    metas, views = Classification(counts={"OUT": 1}, labels={}, batched=False).apply([meta], [view])
    assert metas == (meta,)
    assert views == [view]


def test_what_a_request_wants() -> None:
    def request(*outputs: OutputRef) -> InferRequest:
        return InferRequest(id="", parameters={}, inputs=(), outputs=outputs)

    specs = {
        "A": TensorSpec(name="A", datatype="FP32", dims=(2,), labels=LABELS),
        "B": TensorSpec(name="B", datatype="FP32", dims=(2,)),
    }
    signature = Signature(model_name="m", max_batch_size=1, inputs={}, outputs=specs)
    assert Classification.wanted(request(), signature) is None
    assert Classification.wanted(request(OutputRef(name="A")), signature) is None
    some = request(OutputRef(name="A", classification=3), OutputRef(name="B"))
    assert Classification.wanted(some, signature) == Classification(counts={"A": 3}, labels={"A": LABELS}, batched=True)
