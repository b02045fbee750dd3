from __future__ import annotations

from typing import Any, cast

import pytest
from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, decode_layout, encode_layout

from jupyter_pyserve.engine.job import Response
from jupyter_pyserve.engine.versions import output_shapes as subject
from jupyter_pyserve.engine.versions.output_shapes import OutputShapes, output_shapes
from jupyter_pyserve.errors import Code
from jupyter_pyserve.model.signature import Signature, TensorSpec

FP32 = CODES["FP32"]


def signature(reshape: tuple[int, ...] | None) -> Signature:
    outputs = {
        "OUT": TensorSpec(name="OUT", datatype="FP32", dims=(4,), reshape=reshape),
        "PLAIN": TensorSpec(name="PLAIN", datatype="FP32", dims=(-1,)),
    }
    return Signature(model_name="m", max_batch_size=8, inputs={}, outputs=outputs)


def response(*metas: TensorMeta) -> Response:
    return Response(cast(Any, None), None, "", encode_layout(metas) if metas else b"", metas)


def shapes() -> OutputShapes:
    found = output_shapes(signature((2, 2)))
    assert found is not None
    return found


def test_models_without_reshape_have_none() -> None:
    assert output_shapes(signature(None)) is None


def test_clients_see_their_shape() -> None:
    plain, unknown = TensorMeta("PLAIN", FP32, (3, 9)), TensorMeta("X", FP32, (1,))
    made = shapes()
    for _ in range(2):
        found = made.apply(response(TensorMeta("OUT", FP32, (3, 2, 2)), plain, unknown))
        assert found.code is None
        assert found.tensors == (TensorMeta("OUT", FP32, (3, 4)), plain, unknown)
        assert decode_layout(found.layout) == found.tensors


def test_an_output_of_another_shape_is_an_error() -> None:
    found = shapes().apply(response(TensorMeta("OUT", FP32, (3, 4))))
    assert (found.code, found.text) == (
        Code.INTERNAL,
        "output tensor shape does not match size of output for 'OUT'",
    )


def test_answers_without_tensors_pass() -> None:
    found = shapes().apply(response())
    assert (found.code, found.layout) == (None, b"")


def test_odd_layouts_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_MAX_LAYOUTS", 2)
    made = shapes()
    for size in range(1, 6):
        assert made.apply(response(TensorMeta("OUT", FP32, (size, 2, 2)))).tensors[0].shape == (size, 4)
    assert len(made._known) <= 2
