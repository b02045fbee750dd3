from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pyserve_stub.wire import frames
from pyserve_stub.wire.layout import TensorMeta, encode_layout

from tests.unit.stub.rig import DONE, ONE, Rig, fail, respond


@pytest.mark.parametrize(
    "keep",
    [
        lambda request: request,
        lambda request: request.inputs()[0],
        lambda request: request.inputs()[0].as_numpy(),
        lambda request: request.inputs()[0].as_numpy()[1:],
        lambda request: memoryview(request.inputs()[0].as_numpy()),
        lambda request: request.inputs()[0].to_dlpack(),
    ],
    ids=["request", "tensor", "array", "slice", "memoryview", "capsule"],
)
def test_inputs_that_a_model_keeps_are_released_later(stub: Rig, keep: Callable[[Any], Any]) -> None:
    kept: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        kept.append(keep(requests[1]))
        return [respond(), respond()]

    batch = [stub.request(IN=np.arange(4.0)), stub.request(IN=np.arange(4.0))]
    answers = stub.run(execute, *batch)
    assert [answer.flags for answer in answers] == [DONE, frames.FINAL]
    kept.clear()
    assert stub.told() == [frames.encode_keys(frames.RELEASE, (batch[1].key,))]


@pytest.mark.parametrize(
    "keep",
    [
        lambda request: request.inputs()[0].as_numpy().copy(),
        lambda request: request.inputs()[0].as_numpy().tolist(),
        lambda request: request.request_id(),
    ],
)
def test_inputs_that_were_copied_are_released_with_the_answer(stub: Rig, keep: Callable[[Any], Any]) -> None:
    kept: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        kept.append(keep(requests[0]))
        return [respond()]

    assert stub.run(execute, stub.request(IN=ONE))[0].flags == DONE


def test_strings_are_copied(stub: Rig) -> None:
    kept: list[Any] = []

    def execute(requests: list[Any]) -> Any:
        kept.append(requests[0].inputs()[0].as_numpy())
        return [respond()]

    layout = encode_layout([TensorMeta("IN", 13, (1,))])
    request = stub.request(layout=layout, IN=np.frombuffer(b"\x02\0\0\0hi", np.uint8))
    assert stub.run(execute, request)[0].flags == DONE
    assert kept[0].tolist() == [b"hi"]


def test_inputs_of_a_batch_that_failed_are_released_with_it(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        array = requests[0].inputs()[0].as_numpy()
        raise ValueError(array[0])

    assert fail(stub, execute, stub.request(IN=ONE)).startswith("ValueError: 1.5")


def test_inputs_in_a_cycle_are_released_when_it_is_collected(stub: Rig) -> None:
    def execute(requests: list[Any]) -> Any:
        try:
            raise ValueError
        except ValueError as error:
            cycle = error  # noqa: F841 - the traceback refers to this frame, and this frame to the error
        return [respond()]

    gc.disable()
    try:
        request = stub.request(IN=ONE)
        (answer,) = stub.run(execute, request)
        assert answer.flags == frames.FINAL
    finally:
        gc.enable()
    gc.collect()
    assert stub.told() == [frames.encode_keys(frames.RELEASE, (request.key,))]
