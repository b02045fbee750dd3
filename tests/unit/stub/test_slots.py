from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub.slots import zeros
from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, encode_layout

from tests.unit.stub.rig import DONE, ONE, Rig, respond

CONTROLS = [["START", CODES["INT32"], [1, 1], "01000000"], ["CORRID", CODES["BYTES"], [1], "020000006162"]]


def control(request: Any) -> Any:
    return pb_utils.get_input_tensor_by_name(request, "START")


def test_controls_are_inputs_like_any_other(stub: Rig) -> None:
    seen: dict[str, Any] = {}

    def execute(requests: list[Any]) -> Any:
        seen.update({tensor.name(): tensor.as_numpy().copy() for tensor in requests[0].inputs()})
        return [respond()]

    answers = stub.run(execute, stub.request(meta={"controls": CONTROLS}, IN=ONE))
    assert answers[0].flags == DONE
    assert list(seen) == ["IN", "START", "CORRID"]
    assert (seen["START"].dtype, seen["START"].tolist()) == (np.int32, [[1]])
    assert seen["CORRID"].tolist() == [b"ab"]


def test_each_request_has_controls_of_its_own_to_write_on(stub: Rig) -> None:
    values = []

    def execute(requests: list[Any]) -> Any:
        for request in requests:
            array = control(request).as_numpy()
            values.append(array.item())
            array += 41
        return [respond() for _ in requests]

    stub.run(execute, *(stub.request(meta={"controls": CONTROLS}, IN=ONE) for _ in range(2)))
    assert values == [1, 1]


def test_a_control_can_be_given_back(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", control(requests[0]).as_numpy())])]

    [answer] = stub.run(execute, stub.request(meta={"controls": CONTROLS}, IN=ONE))
    assert answer.outputs["OUT"].tolist() == [[1]]


def test_what_fills_a_slot_has_inputs_of_zeros_and_no_outputs(stub: Rig) -> None:
    layout = encode_layout(
        [
            TensorMeta("X", CODES["FP32"], (1, 3)),
            TensorMeta("S", CODES["BYTES"], (1, 2)),
            TensorMeta("B", CODES["BF16"], (2,)),
        ]
    )
    seen: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        request = requests[0]
        seen.append(request.requested_output_names())
        seen.extend(tensor.as_numpy().tolist() for tensor in request.inputs()[:2])
        seen.append(request.inputs()[2].shape())
        return [respond()]

    request = stub.request(layout=layout, meta={"null": True, "controls": CONTROLS})
    [answer] = stub.run(execute, request)
    assert seen == [set(), [[0.0, 0.0, 0.0]], [[b"", b""]], [2]]
    assert (answer.code, answer.flags, answer.outputs) == (0, DONE, {})


@pytest.mark.parametrize(("datatype", "nbytes"), [("BOOL", 6), ("FP64", 48), ("BYTES", 24), ("BF16", 12)])
def test_zeros_of_every_kind(datatype: str, nbytes: int) -> None:
    tensor = zeros("T", CODES[datatype], (2, 3))
    assert tensor._memory is not None
    assert bytes(np.asarray(tensor._memory)) == bytes(nbytes)
