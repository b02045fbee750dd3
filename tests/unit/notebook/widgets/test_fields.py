from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.payloads import TensorInfo
from jupyter_pyserve.notebook.widgets import fields
from jupyter_pyserve.notebook.widgets.fields import (
    FieldErrors,
    field_of,
    outputs_of,
    python_line,
    read_array,
    read_request,
    request_body,
    text_of,
)


def tensor(datatype: str = "FP32", *shape: int) -> TensorInfo:
    return TensorInfo(name="X", datatype=datatype, shape=list(shape or (-1,)))


@pytest.mark.parametrize(
    ("found", "kind", "value"),
    [
        (tensor("FP32", 1), "number", "0"),
        (tensor("FP32", -1, 1), "number", "0"),
        (tensor("FP32", -1), "json", "[0]"),
        (tensor("BOOL", 1), "json", "[false]"),
        (tensor("BYTES", -1, 1), "text", ""),
        (tensor("BYTES", 2), "json", '["text", "text"]'),
        (tensor("FP32", 1000), "json", ""),
    ],
)
def test_each_input_has_its_kind_of_field(found: TensorInfo, kind: str, value: str) -> None:
    field = field_of(found, optional=False)
    assert (field["kind"], field["value"]) == (kind, value)


@pytest.mark.parametrize(
    ("found", "text", "values"),
    [
        (tensor("FP32", 2), "[1, 2.5]", [1, 2.5]),
        (tensor("FP32", -1, 2), "[1, 2]", [[1, 2]]),
        (tensor("INT32", -1, -1, 2), "[1, 2, 3, 4]", [[[1, 2], [3, 4]]]),
        (tensor("FP32", 1, 1), "5", [[5]]),
        (tensor("BOOL", 1), "true", [True]),
        (tensor("BYTES", 1), "a [text", [b"a [text"]),
        (tensor("BYTES", -1), '["a", "b"]', [b"a", b"b"]),
        (tensor("BYTES", 1), "[no JSON", [b"[no JSON"]),
    ],
)
def test_texts_become_arrays(found: TensorInfo, text: str, values: list[Any]) -> None:
    assert read_array(found, text).tolist() == values


@pytest.mark.parametrize(
    ("found", "text", "words"),
    [
        (tensor("FP32", 2), "[1, 2, 3]", r"its shape \[3\] does not fit \[2\]"),
        (tensor("FP32", 2), "[1,", "this is not JSON"),
        (tensor("INT32", 1), "[1.5]", "a fraction"),
        (tensor("UINT8", 1), "[300]", "out of range"),
        (tensor("FP32", 1), '["a"]', "not a number"),
    ],
)
def test_what_does_not_fit_is_named(found: TensorInfo, text: str, words: str) -> None:
    with pytest.raises(PyServeError, match=words):
        read_array(found, text)


def test_all_that_is_wrong_is_named_at_once() -> None:
    tensors = [tensor(), TensorInfo(name="Z", datatype="FP32", shape=[1])]
    with pytest.raises(FieldErrors) as caught:
        read_request(tensors, [], {"X": "[", "Z": ""}, "[1]")
    assert set(caught.value.by_name) == {"X", "Z", "parameters"}
    assert caught.value.by_name["Z"] == "a value is needed"


def test_what_is_optional_may_be_left_out() -> None:
    arrays, parameters = read_request([tensor()], ["X"], {}, '{"a": 1}')
    assert arrays == {}
    assert parameters == {"a": 1}


def test_an_empty_text_is_a_text() -> None:
    arrays, _ = read_request([tensor("BYTES", 1)], [], {"X": ""}, "")
    assert arrays["X"].tolist() == [b""]


def test_answers_are_texts_that_are_not_too_long() -> None:
    answer = {"Y": np.array([1.5], np.float32), "S": np.array([[b"<b>", b"\xff"]], object)}
    first, second = outputs_of(answer)
    assert first == {"name": "Y", "datatype": "FP32", "shape": [1], "text": "[1.5]"}
    assert second["text"] == '[["<b>", "\\\\xff"]]'
    assert len(text_of(np.full(10, b"x" * 10_000, object))) < 5_000
    assert len(text_of(np.arange(1_000_000))) < 5_000


def test_the_request_as_python_runs() -> None:
    arrays = {"X": np.array([1.0], np.float32), "T": np.array([b"a'b"], object)}
    line = python_line("add", arrays, {"k": 1}, "r")
    assert line.endswith("""pyserve.model('add').using(parameters={'k': 1}, request_id='r')(X=[1.0], T=["a'b"])""")
    compile(line, "cell", "exec")
    assert python_line("m", {"is": arrays["X"]}, {}, "").endswith("pyserve.model('m')(**{'is': [1.0]})")


def test_the_request_as_json() -> None:
    body = request_body({"X": np.array([[1, 2]], np.int32)}, {"k": 1}, "r")
    assert json.loads(json.dumps(body)) == {
        "id": "r",
        "parameters": {"k": 1},
        "inputs": [{"name": "X", "shape": [1, 2], "datatype": "INT32", "data": [1, 2]}],
    }
    with pytest.raises(PyServeError, match="can't hold 'X', which is FP16"):
        request_body({"X": np.zeros(1, np.float16)}, {}, "")


@pytest.mark.parametrize("extra", [0, 1])
def test_a_long_text_is_cut(extra: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "_MAX_TEXT", 6)
    text = text_of(np.array([b"x" * (2 + extra)], object))
    assert text == ('["xxx" … (7 characters)' if extra else '["xx"]')
