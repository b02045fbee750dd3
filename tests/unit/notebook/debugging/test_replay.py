from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from pyserve_stub.host import OfflineHost, get_host

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.client import Client
from jupyter_pyserve.notebook.debugging.fetched import RecordedRequest, decode
from jupyter_pyserve.notebook.debugging.recorded import Replay
from jupyter_pyserve.notebook.debugging.replay import replay_here
from jupyter_pyserve.notebook.payloads import RecordedModel
from jupyter_pyserve.v2.client import encode_infer_request
from jupyter_pyserve.v2.request_options import RequestOptions

HEAD = "import json\nimport numpy as np\nimport triton_python_backend_utils as pb_utils\n\n"


class OtherModels:
    """What a replayed model may call: "double" answers, "bad" fails."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, RequestOptions]] = []

    def infer(self, model: str, inputs: Mapping[str, Any], options: RequestOptions) -> dict[str, Any]:
        self.asked.append((model, options))
        if model == "bad":
            raise PyServeError(Code.INTERNAL, "no luck")
        return {"OUT": inputs["IN"] * 2}

    def stream(self, model: str, inputs: Mapping[str, Any], options: RequestOptions) -> Iterator[dict[str, Any]]:
        yield from (self.infer(model, {"IN": inputs["IN"] + number}, options) for number in range(2))

    def model(self, name: str, version: str | None) -> Any:
        return SimpleNamespace(ready=name == "double")


def recorded(**options: Any) -> RecordedRequest:
    header, blobs = encode_infer_request({"X": np.array([1, 2], np.float32)}, **options)
    return decode(memoryview(bytearray(b"".join([header, *blobs]))), len(header), "m")


def replay(
    tmp_path: Path,
    body: str,
    *,
    decoupled: bool = False,
    client: OtherModels | None = None,
    shape: tuple[int, ...] = (2,),
    **options: Any,
) -> Replay:
    config = {"output": [{"name": "Y"}], "model_transaction_policy": {"decoupled": decoupled}}
    args = {"model_config": json.dumps(config), "model_name": "m", "model_version": "3"}
    told: RecordedModel = {
        "source": HEAD + body,
        "model_file": str(tmp_path / "3" / "model.py"),
        "args": args,
        "shapes": {"X": list(shape)},
    }
    return replay_here("m-1", recorded(**options), told, cast(Client, client or OtherModels()))


ANSWER = """
class TritonPythonModel:
    def initialize(self, args):
        self.args = args
    def execute(self, requests):
        (request,) = requests
        facts = [self.args["model_version"], request.request_id(), request.correlation_id(), request.flags(),
                 request.timeout(), json.loads(request.parameters()), sorted(request.requested_output_names())]
        x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
        x += 1
        told = pb_utils.Tensor("TOLD", np.array([json.dumps(facts).encode()], object))
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", x), told])]
    def finalize(self):
        print("finalized")
"""


def test_a_request_is_what_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {"correlation_id": 7, "flags": 1, "timeout_us": 9, "parameters": {"a": 1}, "id": "r"}
    answered = replay(tmp_path, ANSWER, **options)
    assert answered["Y"].tolist() == [2, 3]
    assert json.loads(answered["TOLD"][0]) == ["3", "r", 7, 1, 9, {"a": 1}, ["Y"]]
    assert capsys.readouterr().out == "finalized\n"


def test_inputs_have_the_shapes_that_the_model_sees(tmp_path: Path) -> None:
    assert replay(tmp_path, ANSWER, shape=(2, 1))["Y"].tolist() == [[2], [3]]


def test_what_the_model_raises_is_raised_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path, host = list(sys.path), get_host()
    body = "class TritonPythonModel:\n    def execute(self, requests):\n        raise KeyError('why')\n"
    with pytest.raises(KeyError, match="why") as caught:
        replay(tmp_path, body)
    assert caught.traceback[-1].frame.f_locals["requests"]
    assert sys.path == path
    assert get_host() is host
    assert isinstance(host, OfflineHost)


def test_an_error_that_the_model_returns_is_told(tmp_path: Path) -> None:
    body = """
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse(error=pb_utils.TritonError("not today"))]
"""
    assert replay(tmp_path, body).error == "not today"


DECOUPLED = """
class TritonPythonModel:
    def execute(self, requests):
        sender = requests[0].get_response_sender()
        for number in range(2):
            sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.array([number]))]))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


def test_a_decoupled_model_answers_as_often_as_it_likes(tmp_path: Path) -> None:
    responses = replay(tmp_path, DECOUPLED, decoupled=True).responses
    assert [item["Y"].tolist() for item in responses] == [[0], [1]]


CALLER = """
class TritonPythonModel:
    async def execute(self, requests):
        tensor = pb_utils.Tensor("IN", np.array([1.0]))
        def ask(model):
            return pb_utils.InferenceRequest(model_name=model, inputs=[tensor], requested_output_names=["OUT"])
        one = ask("double").exec()
        other = await ask("double").async_exec()
        bad = ask("bad").exec()
        many = list(ask("double").exec(decoupled=True))
        found = [pb_utils.get_output_tensor_by_name(item, "OUT").as_numpy()[0] for item in (one, other, *many)]
        ready = [float(pb_utils.is_model_ready(name)) for name in ("double", "bad")]
        told = pb_utils.Tensor("TOLD", np.array([bad.error().message().encode()], object))
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.array([*found, *ready])), told])]
"""


def test_other_models_are_asked_where_they_are_served(tmp_path: Path) -> None:
    client = OtherModels()
    answered = replay(tmp_path, CALLER, client=client)
    assert answered["Y"].tolist() == [2, 2, 2, 4, 1, 0]
    assert answered["TOLD"].tolist() == [b"no luck"]
    assert client.asked[0] == ("double", RequestOptions(outputs=("OUT",), parameters={}))


def test_neighbours_of_the_model_are_found(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "replay_neighbour.py").write_text("VALUE = 5\n")
    body = """
import replay_neighbour
class TritonPythonModel:
    def execute(self, requests):
        value = [replay_neighbour.VALUE, pb_utils.get_model_dir().endswith("3")]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.array(value))])]
"""
    assert replay(tmp_path, body)["Y"].tolist() == [5, 1]


@pytest.mark.parametrize("decoupled", [False, True])
def test_a_request_is_of_the_kind_that_its_model_answers(tmp_path: Path, decoupled: bool) -> None:
    body = """
class TritonPythonModel:
    def execute(self, requests):
        answer = pb_utils.Tensor("Y", np.array([requests[0]._decoupled]))
        return [pb_utils.InferenceResponse([answer])]
"""
    (found,) = replay(tmp_path, body, decoupled=decoupled).responses
    assert found["Y"].tolist() == [decoupled]
