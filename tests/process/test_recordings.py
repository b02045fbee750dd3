"""Requests that a model failed at are kept, whatever way they came, and can be sent again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tests.process.client import Answer, command, outputs, said
from tests.process.conftest import loaded
from tests.process.engine import TOKEN, Engine
from tests.process.waiting import wait_until
from tests.support.triton_grpc import to_input

HEADER_LENGTH = "Inference-Header-Content-Length"


def recordings(engine: Engine, model: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.http.get(f"/api/recordings?model={model}").json()["recordings"]
    return found


def fetch(engine: Engine, name: str) -> tuple[dict[str, Any], bytes, Answer]:
    """Its JSON part, what follows that, and all of it."""
    answer = engine.http.get(f"/api/recordings/{name}")
    assert answer.status == 200, answer
    length = int(answer.headers[HEADER_LENGTH])
    return json.loads(answer.body[:length]), answer.body[length:], answer


def record(engine: Engine, model: str, **body: Any) -> Answer:
    return engine.http.post(f"/api/models/{model}/record", body)


def test_a_failed_request_is_kept_as_it_was(engine: Engine, puppet: str) -> None:
    asked = command("nonsense", [1.5, 2.5])
    options = {"id": "r7", "outputs": ["ANSWER"], "parameters": {"colour": "red", "depth": 3}, "timeout_us": 10**7}
    error = engine.infer(puppet, asked, **options).error
    (row,) = recordings(engine, puppet)
    assert engine.model(puppet)["recordings"] == 1
    assert row["error"] == error
    assert (row["model"], row["version"], row["instance"]) == (puppet, "1", f"{puppet}_0_0")
    assert (row["request_id"], row["parameters"]) == ("r7", {"colour": "red", "depth": 3})
    assert row["inputs"] == [
        {"name": "DATA", "datatype": "FP32", "shape": [2]},
        {"name": "COMMAND", "datatype": "BYTES", "shape": [1]},
    ]
    head, tail, answer = fetch(engine, row["id"])
    assert head["id"] == "r7"
    assert head["parameters"] == {"colour": "red", "depth": 3, "timeout": 10**7, "binary_data_output": True}
    assert head["outputs"] == [{"name": "ANSWER", "parameters": {"binary_data": True}}]
    assert tail[:8] == np.array([1.5, 2.5], np.float32).tobytes()
    assert row["nbytes"] == len(tail)
    headers = {HEADER_LENGTH: answer.headers[HEADER_LENGTH]}
    again = engine.http.send("POST", f"/v2/models/{puppet}/infer", answer.body, headers)
    assert again.error == error
    assert len(recordings(engine, puppet)) == 2


def test_every_way_is_recorded(engine: Engine, puppet: str) -> None:
    asked = command("nonsense")
    assert engine.infer(puppet, asked).status == 500
    inputs = [to_input(name, array) for name, array in asked.items()]
    with triton.InferenceServerClient(engine.grpc_url) as client, pytest.raises(InferenceServerException):
        client.infer(puppet, inputs, headers={"authorization": f"token {TOKEN}"})
    lane = engine.lane()
    with pytest.raises(Exception, match="nonsense"):
        lane.infer(puppet, asked)
    lane.close()
    rows = recordings(engine, puppet)
    assert len(rows) == 3
    assert len({fetch(engine, row["id"])[1] for row in rows}) == 1, "they are the same request"


def test_what_a_process_dies_of_is_kept(engine: Engine, puppet: str) -> None:
    assert engine.infer(puppet, command("exit"), id="last").status == 500
    (row,) = recordings(engine, puppet)
    assert (row["request_id"], row["error"]) == ("last", f"Stub process '{puppet}_0_0' is not healthy.")
    wait_until(lambda: engine.ready(puppet), "it runs again")


def test_a_place_in_a_sequence_is_kept(engine: Engine) -> None:
    model = loaded(engine, "sequence", extra="sequence_batching { direct {} }")
    asked = {"COMMAND": np.array([[b"nonsense"]], object)}
    assert engine.infer(model, asked, correlation_id=77, flags=3).status == 500
    (row,) = recordings(engine, model)
    assert (row["correlation_id"], row["flags"]) == (77, 3)
    parameters = fetch(engine, row["id"])[0]["parameters"]
    assert {name: parameters[name] for name in ("sequence_id", "sequence_start", "sequence_end")} == {
        "sequence_id": 77,
        "sequence_start": True,
        "sequence_end": True,
    }


def test_all_or_nothing_of_a_model(engine: Engine, puppet: str) -> None:
    said(engine.infer(puppet, command("echo", value=0)))
    assert recordings(engine, puppet) == []
    assert record(engine, puppet, mode="all", limit=2).status == 200
    for number in range(3):
        said(engine.infer(puppet, command("echo", value=number), id=str(number)))
    engine.infer(puppet, command("nonsense"), id="bad")
    rows = recordings(engine, puppet)
    assert [(row["request_id"], bool(row["error"])) for row in rows] == [("2", False), ("bad", True)]
    assert engine.http.send("DELETE", f"/api/recordings/{rows[0]['id']}").status == 200
    assert [row["id"] for row in recordings(engine, puppet)] == [rows[1]["id"]]
    record(engine, puppet, mode="off")
    engine.infer(puppet, command("nonsense"))
    assert len(recordings(engine, puppet)) == 1
    engine.load(puppet)
    said(engine.infer(puppet, command("echo", value=1)))
    assert len(recordings(engine, puppet)) == 1, "a choice outlives a reload"
    record(engine, puppet, mode="failures")


def test_what_is_too_large_is_listed_but_not_copied(engine: Engine, puppet: str) -> None:
    assert engine.infer(puppet, command("nonsense", np.zeros(5 << 20, np.float32))).status == 500
    (row,) = recordings(engine, puppet)
    assert not row["kept"]
    answer = engine.http.get(f"/api/recordings/{row['id']}")
    assert answer.error == f"the inputs of recording '{row['id']}' were not kept: they have {row['nbytes']} bytes"


def test_the_model_that_failed_can_be_read(engine: Engine, puppet: str) -> None:
    engine.infer(puppet, command("nonsense"))
    (row,) = recordings(engine, puppet)
    told = engine.http.get(f"/api/recordings/{row['id']}/model").json()
    file = engine.repository / puppet / "1" / "model.py"
    assert told["model_file"] == str(file)
    assert told["source"] == file.read_text()
    assert told["args"]["model_instance_name"] == f"{puppet}_0_0"
    assert json.loads(told["args"]["model_config"])["name"] == puppet
    file.unlink()
    assert engine.http.get(f"/api/recordings/{row['id']}/model").status == 404


def test_what_cannot_be_asked(engine: Engine, puppet: str) -> None:
    assert engine.http.get("/api/recordings/nothing").status == 404
    assert engine.http.send("DELETE", "/api/recordings/nothing").status == 404
    assert engine.http.post("/api/recordings/nothing").status == 405
    assert record(engine, puppet, mode="some").error == "'mode' must be one of: failures, all, off"
    assert record(engine, puppet, limit=0).error == "'limit' must be a number from 1 to 1000"
    assert record(engine, "unknown").status == 404
    assert engine.tcp.get("/api/recordings").status == 404
    assert outputs(engine.infer(puppet, command("pid")))
