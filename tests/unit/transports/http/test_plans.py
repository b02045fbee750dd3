from __future__ import annotations

import json
import struct

import pytest
from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, decode_layout, encode_layout

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.transports.http.plans import Plan, make_plan
from jupyter_pyserve.v2.infer import InferRequest, InputRef, OutputRef
from tests.unit.transports.http.fakes import FakeServable, signature

TWO = memoryview(struct.pack("<2f", 0.5, 2))


def in_body(shape: tuple[int, ...] = (2,)) -> InputRef:
    return InputRef(name="IN", datatype="FP32", shape=shape, offset=0, nbytes=8)


def plan(*outputs: OutputRef, binary: bool = False, item: InputRef | None = None, request_id: str = "") -> Plan:
    request = InferRequest(
        id=request_id, parameters={}, inputs=(item or in_body(),), outputs=outputs, binary_data_output=binary
    )
    return make_plan(request, FakeServable())


def metas(*names: str) -> tuple[TensorMeta, ...]:
    return tuple(TensorMeta(name, CODES["FP32"], (2,)) for name in names)


def head(of: Plan, *names: str, parameters: bytes = b"") -> tuple[bytes, bytes]:
    tensors = metas(*names)
    lines, _, body = of.head(encode_layout(tensors), tensors, [TWO] * len(names), parameters).partition(b"\r\n\r\n")
    return lines, body


def test_what_the_stub_is_sent() -> None:
    made = plan(OutputRef(name="OUT", binary=True), request_id="x")
    assert decode_layout(made.layout) == (TensorMeta("IN", CODES["FP32"], (2,)),)
    assert json.loads(made.meta) == {"id": "x", "outputs": ["OUT"]}


def test_all_outputs_unless_some_are_listed() -> None:
    assert json.loads(plan().meta)["outputs"] == ["OUT"]


def test_a_request_that_does_not_fit_has_no_plan() -> None:
    with pytest.raises(PyServeError, match="data-type"):
        plan(item=InputRef(name="IN", datatype="INT32", shape=(2,), offset=0, nbytes=8))


def test_json_head_holds_the_tensor() -> None:
    lines, body = head(plan(), "OUT")
    assert b"Content-Type: application/json" in lines
    assert b"Content-Length: %d" % len(body) in lines
    assert b"Inference-Header" not in lines
    assert json.loads(body)["outputs"][0]["data"] == [0.5, 2.0]


def test_binary_head_counts_what_follows() -> None:
    lines, body = head(plan(binary=True), "OUT")
    assert b"Content-Type: application/octet-stream" in lines
    assert b"Inference-Header-Content-Length: %d\r\n" % len(body) in lines
    assert b"Content-Length: %d" % (len(body) + 8) in lines
    assert json.loads(body)["outputs"][0]["parameters"] == {"binary_data_size": 8}


def test_each_output_in_the_form_that_was_asked_for() -> None:
    made = plan(OutputRef(name="OUT", binary=True), binary=False)
    _, body = head(made, "OUT", "OTHER")
    told = {item["name"]: item for item in json.loads(body)["outputs"]}
    assert "data" not in told["OUT"]
    assert told["OTHER"]["data"] == [0.5, 2.0]
    assert made.binary_views(metas("OUT", "OTHER"), [TWO, TWO]) == [TWO]


def test_empty_tensors_do_not_follow() -> None:
    made = plan(binary=True)
    assert made.binary_views(metas("OUT", "OTHER"), [memoryview(b""), TWO]) == [TWO]


def test_heads_are_remembered_only_when_they_hold_no_content() -> None:
    tensors = metas("OUT")
    layout = encode_layout(tensors)
    binary, text = plan(binary=True), plan()
    assert binary.head(layout, tensors, [TWO], b"") is binary.head(layout, tensors, [TWO], b"")
    other = memoryview(struct.pack("<2f", 7, 8))
    assert text.head(layout, tensors, [TWO], b"") != text.head(layout, tensors, [other], b"")
    assert binary.head(layout, tensors, [TWO], b'{"a":1}') != binary.head(layout, tensors, [TWO], b'{"a":2}')


def test_heads_are_bounded() -> None:
    made = plan(binary=True)
    for size in range(200):
        tensors = (TensorMeta("OUT", CODES["UINT8"], (size,)),)
        made.head(encode_layout(tensors), tensors, [memoryview(bytes(size))], b"")
    assert 0 < len(made.heads) <= 64


def test_batches_are_made_of_equal_shapes() -> None:
    servable = FakeServable(signature(batch=8))

    def key(shape: tuple[int, ...]) -> object:
        item = InputRef(name="IN", datatype="FP32", shape=shape, offset=0, nbytes=4 * shape[0] * shape[1])
        return make_plan(InferRequest(id="", parameters={}, inputs=(item,)), servable).shape_key

    assert key((1, 3)) == key((4, 3))
    assert key((1, 3)) != key((1, 4))


def test_batch_size() -> None:
    item = InputRef(name="IN", datatype="FP32", shape=(3, 2), offset=0, nbytes=24)
    assert (
        make_plan(InferRequest(id="", parameters={}, inputs=(item,)), FakeServable(signature(batch=8))).batch_size == 3
    )


@pytest.mark.parametrize(
    ("item", "there", "cacheable"),
    [
        (in_body(), True, True),
        (InputRef(name="IN", datatype="FP32", shape=(2,), offset=0, nbytes=8, inline=bytes(8)), False, False),
    ],
)
def test_where_inputs_are(item: InputRef, there: bool, cacheable: bool) -> None:
    made = plan(item=item)
    assert (made.in_body, made.cacheable) == (there, cacheable)
