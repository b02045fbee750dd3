from __future__ import annotations

import json

import numpy as np
import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.messages import OutputValue
from jupyter_pyserve.v2.render import render_response


def output(
    data: bytes | None = b"\0\0\xc0\x3f\0\0\0\x40", *, binary: bool = False, datatype: str = "FP32"
) -> OutputValue:
    view = None if data is None else memoryview(data)
    return OutputValue(name="O", datatype=datatype, shape=(1, 2), data=view, binary=binary)


def render(*outputs: OutputValue, request_id: str = "") -> tuple[bytes, bool]:
    return render_response(model_name="ident", version="1", id=request_id, outputs=outputs, parameters={})


def test_json() -> None:
    assert render(output(), request_id="abc") == (
        b'{"id":"abc","model_name":"ident","model_version":"1",'
        b'"outputs":[{"name":"O","datatype":"FP32","shape":[1,2],"data":[1.5,2.0]}]}',
        False,
    )


def test_binary() -> None:
    assert render(output(binary=True)) == (
        b'{"model_name":"ident","model_version":"1",'
        b'"outputs":[{"name":"O","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}',
        True,
    )


def test_nothing_follows_when_all_binary_outputs_are_empty() -> None:
    body, follows = render(output(b"", binary=True))
    assert not follows
    assert b'"binary_data_size":0' in body


def test_an_output_in_shared_memory_has_no_content() -> None:
    body, follows = render(output(None, binary=True))
    assert not follows
    assert json.loads(body)["outputs"] == [{"name": "O", "datatype": "FP32", "shape": [1, 2]}]


def test_parameters_and_odd_names() -> None:
    body, _ = render_response(
        model_name='a"b', version="2", id="\n", outputs=[], parameters={"x": True, "y": 1e30, "z": "é"}
    )
    assert (
        body
        == (
            '{"id":"\\n","model_name":"a\\"b","model_version":"2","parameters":{"x":true,"y":1e30,"z":"é"},"outputs":[]}'
        ).encode()
    )


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_types_that_json_does_not_have(datatype: str) -> None:
    with pytest.raises(PyServeError) as caught:
        render(output(b"\0\0\0\0", datatype=datatype))
    assert (caught.value.code, caught.value.message) == (
        Code.INVALID_ARG,
        f"sending {datatype} data via JSON is not supported. Please use the binary data format for output",
    )


def test_views_of_other_memory_are_read_in_place() -> None:
    array = np.arange(6, dtype="<f4")
    body, _ = render(output(array[2:4].tobytes()))
    assert json.loads(body)["outputs"][0]["data"] == [2.0, 3.0]
