from __future__ import annotations

import asyncio
from typing import Any, cast

import numpy as np
import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.client import Client
from jupyter_pyserve.notebook.functions.decorator import model
from jupyter_pyserve.notebook.remote_model import Model
from jupyter_pyserve.v2.request_options import RequestOptions
from tests.unit.notebook.fake_engine import FakeEngine

ONE = [{"name": "X", "datatype": "FP32", "shape": [-1]}]
TWO = [*ONE, {"name": "Y", "datatype": "INT64", "shape": [-1]}]


class FakeConnection:
    def __init__(self) -> None:
        self.inputs: list[dict[str, Any]] = ONE
        self.paths: list[str] = []

    def json(self, method: str, path: str) -> dict[str, Any]:
        self.paths.append(path)
        return {"name": "m", "versions": ["1"], "inputs": self.inputs, "outputs": ONE}


class FakeClient:
    def __init__(self) -> None:
        self.connection = FakeConnection()
        self.calls: list[tuple[str, dict[str, Any], RequestOptions]] = []
        self.errors: list[PyServeError] = []

    def revived(self) -> FakeClient:
        return self

    def infer(self, model: str, inputs: dict[str, Any], options: RequestOptions) -> dict[str, Any]:
        self.calls.append((model, inputs, options))
        if self.errors:
            raise self.errors.pop()
        return dict(inputs)

    def stream(self, model: str, inputs: dict[str, Any], options: RequestOptions) -> list[dict[str, Any]]:
        return [self.infer(model, inputs, options)]

    async def infer_async(self, model: str, inputs: dict[str, Any], options: RequestOptions) -> dict[str, Any]:
        return self.infer(model, inputs, options)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


def _model(client: FakeClient, version: str = "") -> Model:
    return Model(cast(Client, client), "m", version)


def test_lists_take_the_declared_datatype_and_metadata_is_read_once(client: FakeClient) -> None:
    add_one = _model(client)
    for _ in range(2):
        assert add_one(X=[1, 2])["X"].dtype == np.float32
    assert client.connection.paths == ["/v2/models/m"]


def test_a_float64_array_is_left_for_the_server_to_refuse(client: FakeClient) -> None:
    assert _model(client)(X=np.zeros(2))["X"].dtype == np.float64


def test_a_single_input_may_come_by_position(client: FakeClient) -> None:
    assert list(_model(client)([1])) == ["X"]
    assert list(asyncio.run(_model(client).infer_async([1]))) == ["X"]


@pytest.mark.parametrize(("args", "inputs"), [((1, 2), ONE), ((1,), TWO), ((1,), [])])
def test_other_inputs_come_by_name(client: FakeClient, args: tuple[int, ...], inputs: list[dict[str, Any]]) -> None:
    client.connection.inputs = inputs
    with pytest.raises(TypeError, match="model 'm' takes its inputs by name"):
        _model(client)(*args)


def test_a_name_and_a_position_together_are_refused(client: FakeClient) -> None:
    with pytest.raises(TypeError, match="by name: X"):
        _model(client)(1, X=1)


def test_unknown_names_are_the_servers_to_refuse(client: FakeClient) -> None:
    assert _model(client)(Z=[1])["Z"].dtype == np.int64


def test_request_options_do_not_share_names_with_inputs(client: FakeClient) -> None:
    _model(client, "3").using(outputs=["O"], parameters={"k": 1}, request_id="7", timeout_s=2.0)(X=1)
    assert client.calls[0][2] == RequestOptions(
        version="3", outputs=("O",), parameters={"k": 1}, request_id="7", timeout_s=2.0
    )


def _refuse_once(client: FakeClient, code: Code = Code.INVALID_ARG) -> None:
    client.errors = [PyServeError(code, "dtype")]


def test_after_a_new_version_with_other_datatypes_the_call_is_made_again(client: FakeClient) -> None:
    add_one = _model(client)
    add_one(X=1)
    client.connection.inputs = [{"name": "X", "datatype": "INT8", "shape": [-1]}]
    _refuse_once(client)
    assert add_one(X=1)["X"].dtype == np.int8
    client.connection.inputs = ONE
    _refuse_once(client)
    assert asyncio.run(add_one.infer_async(X=1))["X"].dtype == np.float32


def test_a_stream_has_the_datatypes_of_the_version_that_serves(client: FakeClient) -> None:
    story = _model(client)
    (answer,) = story.stream(X=1)
    assert answer["X"].dtype == np.float32
    client.connection.inputs = [{"name": "X", "datatype": "INT8", "shape": [-1]}]
    (answer,) = story.stream(X=1)
    assert answer["X"].dtype == np.int8


@pytest.mark.parametrize("code", [Code.INVALID_ARG, Code.INTERNAL])
def test_a_refusal_for_another_reason_stands(client: FakeClient, code: Code) -> None:
    _refuse_once(client, code)
    with pytest.raises(PyServeError, match="dtype"):
        _model(client)(X=1)
    _refuse_once(client, code)
    with pytest.raises(PyServeError, match="dtype"):
        asyncio.run(_model(client).infer_async(X=1))
    assert len(client.calls) == 2


def test_metadata_config_and_readiness(engine: FakeEngine) -> None:
    engine.answer("GET", "/v2/models/m/versions/2", json={"name": "m"})
    engine.answer("GET", "/v2/models/m/versions/2/config", json={"backend": "python"})
    engine.answer("GET", "/v2/models/m/versions/2/ready")
    found = model("m", 2)
    assert (found.metadata, found.config, found.ready) == ({"name": "m"}, {"backend": "python"}, True)
    assert model("other").ready is False
    assert repr(found) == "pyserve.model('m', '2')"


def test_its_picture_shows_the_tensors_and_never_fails(client: FakeClient, engine: FakeEngine) -> None:
    assert _model(client)._repr_mimebundle_()["text/plain"].splitlines() == [
        "pyserve.model('m')",
        "  input X: FP32 [-1]",
        "  output X: FP32 [-1]",
    ]
    assert model("gone")._repr_mimebundle_()["text/plain"] == "pyserve.model('gone'): Not Found"


def test_an_error_does_not_show_the_way_it_came(client: FakeClient) -> None:
    _refuse_once(client)
    with pytest.raises(PyServeError) as caught:
        _model(client)(X=1)
    assert [entry.name for entry in caught.traceback] == [
        "test_an_error_does_not_show_the_way_it_came",
        "__call__",
    ]
