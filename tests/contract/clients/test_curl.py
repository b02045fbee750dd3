"""Everything that can be asked in a terminal with curl alone."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.support.stock import Address

PAIR = {"inputs": [{"name": name, "datatype": "FP32", "shape": [1, 2], "data": [1, 2]} for name in "AB"]}
NESTED = {"inputs": [{**tensor, "data": [[1, 2]]} for tensor in PAIR["inputs"]]}


def curl(address: Address, path: str, *words: str, body: object = None) -> str:
    """What curl prints; anything but a success fails."""
    headers = [word for name, value in address.headers.items() for word in ("--header", f"{name}: {value}")]
    sent = ["--json", json.dumps(body)] if body is not None else []
    command = ["curl", "--silent", "--show-error", "--fail-with-body", *headers, *sent, *words]
    return subprocess.run([*command, f"http://{address.http}{path}"], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2/models/identity/versions/1/ready"])
def test_health(address: Address, path: str) -> None:
    assert curl(address, path, "--output", "/dev/null", "--write-out", "%{http_code}") == "200"


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/v2", "extensions"),
        ("/v2/models/identity", "inputs"),
        ("/v2/models/identity/config", "max_batch_size"),
        ("/v2/models/identity/stats", "model_stats"),
        ("/v2/models/stats", "model_stats"),
        ("/v2/trace/setting", "trace_level"),
        ("/v2/logging", "log_verbose_level"),
    ],
)
def test_documents(address: Address, path: str, member: str) -> None:
    assert member in json.loads(curl(address, path))


def test_index_and_loading(address: Address) -> None:
    def states() -> dict[str, str]:
        rows = json.loads(curl(address, "/v2/repository/index", "--request", "POST"))
        return {row["name"]: row.get("state", "") for row in rows}

    assert states()["identity"] == "READY"
    curl(address, "/v2/repository/models/changing/load", "--request", "POST")
    assert states()["changing"] == "READY"
    curl(address, "/v2/repository/models/changing/unload", "--request", "POST")
    assert states()["changing"] != "READY"


@pytest.mark.parametrize("body", [PAIR, NESTED], ids=["flat", "nested"])
@pytest.mark.parametrize("words", [(), ("--compressed",), ("--http2",)])
def test_inference(address: Address, body: Any, words: tuple[str, ...]) -> None:
    answer = json.loads(curl(address, "/v2/models/pair/infer", *words, body={**body, "id": "me"}))
    assert (answer["id"], answer["model_name"]) == ("me", "pair")
    assert {output["name"]: output["data"] for output in answer["outputs"]} == {"SUM": [2, 4], "DIFFERENCE": [0, 0]}


def test_generate(address: Address) -> None:
    assert json.loads(curl(address, "/v2/models/repeat/generate", body={"COUNT": 1}))["OUT"] == 0
    streamed = curl(address, "/v2/models/repeat/generate_stream", "--no-buffer", body={"COUNT": 3})
    events = [json.loads(event.removeprefix("data: ")) for event in streamed.strip().split("\n\n")]
    assert [event["OUT"] for event in events] == [0, 1, 2]


def test_an_error_is_readable(address: Address) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        curl(address, "/v2/models/nobody/infer", body=PAIR)
    assert failure.value.returncode == 22
    assert json.loads(failure.value.stdout) == {"error": "Request for unknown model: 'nobody' is not found"}
