"""Inference: names, shapes, ids, parameters and layouts of arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.plain import Plain
from tests.support.transport import Array, Inference, Request


def texts(array: Array) -> list[str]:
    return [item.decode() for item in array.ravel()]


def command(text: str, **members: object) -> Request:
    return Request(model="behave", inputs={"COMMAND": np.array([text.encode()], object)}, **members)  # type: ignore[arg-type]


def test_two_inputs_two_outputs(inference: Inference) -> None:
    a, b = np.array([[1, 2], [3, 4]], np.float32), np.array([[10, 20], [30, 40]], np.float32)
    answer = inference.infer(Request(model="pair", inputs={"A": a, "B": b}))
    np.testing.assert_array_equal(answer["SUM"], a + b)
    np.testing.assert_array_equal(answer["DIFFERENCE"], a - b)


def test_the_order_of_inputs_does_not_matter(inference: Inference) -> None:
    a, b = np.array([[1, 2]], np.float32), np.array([[10, 20]], np.float32)
    answer = inference.infer(Request(model="pair", inputs={"B": b, "A": a}))
    np.testing.assert_array_equal(answer["DIFFERENCE"], a - b)


@pytest.mark.parametrize("wanted", [["SUM"], ["DIFFERENCE"], ["SUM", "DIFFERENCE"]])
def test_requested_outputs_only(inference: Inference, wanted: list[str]) -> None:
    row = np.ones((1, 2), np.float32)
    answer = inference.infer(Request(model="pair", inputs={"A": row, "B": row}, outputs=wanted))
    assert set(answer) == set(wanted)


def test_an_output_that_the_model_does_not_make_is_absent(inference: Inference) -> None:
    answer = inference.infer(command("other_shape", outputs=["OUT", "TEXT"]))
    assert list(answer) == ["OUT"]


def test_optional_input_given_and_not(inference: Inference) -> None:
    a, b = np.array([1], np.int64), np.array([2], np.int64)
    assert texts(inference.infer(Request(model="optional", inputs={"A": a, "B": b}))["SEEN"]) == ["A=1", "B=2"]
    assert texts(inference.infer(Request(model="optional", inputs={"A": a}))["SEEN"]) == ["A=1", "absent"]


def test_request_id_reaches_the_model(inference: Inference) -> None:
    assert texts(inference.infer(command("request_id", id="call-7"))["TEXT"]) == ["call-7"]
    assert texts(inference.infer(command("request_id"))["TEXT"]) == [""]


def test_parameters_reach_the_model(inference: Inference) -> None:
    given = {"text": "é✓", "number": -3, "flag": True, "share": 0.5}
    told = texts(inference.infer(command("parameters", parameters=given))["TEXT"])
    assert json.loads(told[0]) == given


def test_the_model_knows_which_outputs_are_wanted(inference: Inference) -> None:
    assert texts(inference.infer(command("requested", outputs=["TEXT"]))["TEXT"])[1:] == ["TEXT"]


@pytest.mark.parametrize("version", ["1", "3", "10"])
def test_each_version_that_is_asked_for(plain: Plain, version: str) -> None:
    body = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [1]}]}
    index = {row["version"]: row["state"] for row in plain.index() if row["name"] == "versions" and "version" in row}
    answer = plain.post_json(f"/v2/models/versions/versions/{version}/infer", body)
    if index.get(version) == "READY":
        assert answer.json()["model_version"] == version
    else:
        assert answer.status == 404


def test_newest_version_unless_asked(plain: Plain) -> None:
    body = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [1]}]}
    assert plain.post_json("/v2/models/versions/infer", body).json()["model_version"] == "10"


def layouts() -> dict[str, Array]:
    base = np.arange(2 * 3 * 4, dtype=np.int32).reshape(2, 3, 4)
    return {
        "transposed": np.ascontiguousarray(base.transpose(0, 2, 1)).transpose(0, 2, 1),
        "column major": np.asfortranarray(base),
        "stepped": base[:, ::2, ::-1],
        "sliced": base[:, 1:, 1:3],
        "broadcast": np.broadcast_to(base[:1, :1], (2, 3, 4)),
    }


@pytest.mark.parametrize("layout", layouts())
def test_any_layout_of_an_array(inference: Inference, layout: str) -> None:
    array = layouts()[layout]
    assert not array.flags.c_contiguous
    answer = inference.infer(Request(model="grid", inputs={"INPUT0": array}))
    np.testing.assert_array_equal(answer["OUTPUT0"], array)


@pytest.mark.parametrize("shape", [(1, 0, 3), (4, 3, 0), (2, 0, 0)])
def test_tensors_without_elements(inference: Inference, shape: tuple[int, ...]) -> None:
    answer = inference.infer(Request(model="grid", inputs={"INPUT0": np.zeros(shape, np.int32)}))
    assert answer["OUTPUT0"].shape == shape
    assert answer["OUTPUT0"].dtype == np.int32


def test_an_output_without_dimensions(inference: Inference) -> None:
    out = inference.infer(command("zero_dim"))["OUT"]
    assert out.shape == ()
    assert out == 7


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("strided", np.array([0, 2, 4], np.float32)),
        ("column_major", np.arange(6, dtype=np.float32).reshape(2, 3)),
        ("zero_size_matrix", np.zeros((3, 0, 2), np.float32)),
        ("other_dtype", np.array([1, 2], np.int64)),
    ],
)
def test_whatever_array_the_model_answers_with(inference: Inference, name: str, expected: Array) -> None:
    out = inference.infer(command(name))["OUT"]
    assert (out.dtype, out.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(out, expected)


def test_an_answer_without_outputs(inference: Inference) -> None:
    assert inference.infer(command("nothing")) == {}


def test_an_answer_from_another_thread(inference: Inference) -> None:
    array = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(
        inference.infer(Request(model="later", inputs={"INPUT0": array}))["OUTPUT0"], array * 2
    )


def test_answers_stay_as_they_were(inference: Inference) -> None:
    first = inference.infer(Request(model="identity", inputs={"INPUT0": np.full((1, 9), 1, np.float32)}))["OUTPUT0"]
    for value in range(2, 50):
        inference.infer(Request(model="identity", inputs={"INPUT0": np.full((1, 9), value, np.float32)}))
    np.testing.assert_array_equal(first, np.full((1, 9), 1, np.float32))


def test_json_answers_for_those_who_ask_so(plain: Plain) -> None:
    row = {"datatype": "FP32", "shape": [1, 2], "data": [[0.5, 2]]}
    body = {"id": "x", "inputs": [{"name": "A", **row}, {"name": "B", **row}], "outputs": [{"name": "SUM"}]}
    answer = plain.post_json("/v2/models/pair/infer", body)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {
        "id": "x",
        "model_name": "pair",
        "model_version": "1",
        "outputs": [{"name": "SUM", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 4.0]}],
    }


def test_raw_body(plain: Plain) -> None:
    array = np.arange(4, dtype=np.float32)
    answer = plain.send("POST", "/v2/models/identity/infer", array.tobytes(), {"Inference-Header-Content-Length": "0"})
    assert answer.status == 200
    assert answer.body[int(answer.headers["inference-header-content-length"]) :] == array.tobytes()
