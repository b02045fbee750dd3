"""What the server and its models say of themselves."""

from __future__ import annotations

import pytest

from jupyter_pyserve import __version__
from tests.support.plain import Plain
from tests.support.transport import Refused, Transport

#: What clients may rely on, and no more.
EXTENSIONS = [
    "classification",
    "sequence",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "model_configuration",
    "system_shared_memory",
    "cuda_shared_memory",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    "logging",
]


def test_server(transport: Transport) -> None:
    assert transport.server_metadata() == {"name": "triton", "version": __version__, "extensions": EXTENSIONS}


def test_model_with_batching(transport: Transport) -> None:
    assert transport.metadata("pair") == {
        "name": "pair",
        "versions": ["1"],
        "platform": "python",
        "inputs": [
            {"name": "A", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "B", "datatype": "FP32", "shape": [-1, 2]},
        ],
        "outputs": [
            {"name": "SUM", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "DIFFERENCE", "datatype": "FP32", "shape": [-1, 2]},
        ],
    }


def test_model_without_batching(transport: Transport) -> None:
    assert transport.metadata("matrix")["inputs"] == [{"name": "INPUT0", "datatype": "FP32", "shape": [2, 2]}]


def test_model_that_describes_itself(transport: Transport) -> None:
    described = transport.metadata("auto_complete")
    assert [(item["name"], item["datatype"], item["shape"]) for item in described["inputs"]] == [
        ("INPUT0", "INT32", [-1, -1]),
        ("INPUT1", "INT32", [-1, -1]),
    ]


def test_versions_in_order_of_number(transport: Transport) -> None:
    listed = transport.metadata("versions")["versions"]
    assert listed == sorted(listed, key=int)
    assert transport.metadata("versions", listed[0])["versions"] == [listed[0]]


@pytest.mark.parametrize(
    ("model", "version", "message"),
    [
        ("nobody", "", "Request for unknown model: 'nobody' is not found"),
        ("identity", "9", "Request for unknown model: 'identity' version 9 is not found"),
    ],
)
def test_unknown(transport: Transport, model: str, version: str, message: str) -> None:
    with pytest.raises(Refused) as refusal:
        transport.metadata(model, version)
    assert (refusal.value.status, refusal.value.message) == (404, message)


@pytest.mark.parametrize("path", ["/v2/", "/v2/nothing", "/v2/models/identity/", "/v2/models/identity/versions/one"])
def test_unknown_routes(plain: Plain, path: str) -> None:
    answer = plain.send("GET", path)
    assert answer.status == 404
    assert answer.json() == {"error": "Not Found"}


@pytest.mark.parametrize(("method", "path"), [("POST", "/v2"), ("DELETE", "/v2/models/identity"), ("PUT", "/v2")])
def test_wrong_methods(plain: Plain, method: str, path: str) -> None:
    answer = plain.send(method, path)
    assert (answer.status, answer.reason) == (405, "Not Allowed")
    assert answer.json() == {"error": "Method Not Allowed"}
