"""`serve` follows its repositories; what changes there is served without a failed request."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.process.client import Client
from tests.process.engine import Server
from tests.process.waiting import wait_until

SOURCE = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        inputs = [pb_utils.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", array + {number})]) for array in inputs]
"""
CONFIG = """backend: "python"
input { name: "X" data_type: TYPE_FP32 dims: 1 }
output { name: "Y" data_type: TYPE_FP32 dims: 1 }
"""
ENSEMBLE = CONFIG.replace('backend: "python"', 'platform: "ensemble"') + (
    'ensemble_scheduling { step { model_name: "m" model_version: -1 '
    'input_map { key: "X" value: "X" } output_map { key: "Y" value: "Y" } } }'
)
BODY = {"inputs": [{"name": "X", "shape": [1], "datatype": "FP32", "data": [1]}]}

Serve = Callable[..., Server]


def write(repository: Path, name: str, number: float = 1, *, config: str = CONFIG, source: str = SOURCE) -> None:
    """Put a model there that adds a number: everything in one step."""
    hidden = repository / f".{name}"
    (hidden / "1").mkdir(parents=True)
    (hidden / "1" / "model.py").write_text(source.format(number=number))
    (hidden / "config.pbtxt").write_text(config)
    hidden.rename(repository / name)


def ask(client: Client, name: str) -> Any:
    """The answer to 1, or the text of the error."""
    answer = client.post(f"/v2/models/{name}/infer", BODY)
    said = json.loads(answer.body)
    return said["outputs"][0]["data"][0] if answer.status == 200 else said["error"]


def rows(client: Client) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(client.post("/v2/repository/index").body)
    return found


def answers(client: Client, name: str, expected: object) -> None:
    """Wait until a model answers like this."""
    wait_until(lambda: ask(client, name) == expected, lambda: f"{name} answers {expected}: {ask(client, name)}")


def test_a_repository_is_followed(tmp_path: Path, serve: Serve) -> None:
    models = tmp_path / "models"
    models.mkdir()
    write(models, "first")
    server = serve(models, "--model-control-mode=poll", "--repository-poll-secs=0.2")
    client = server.wait_until_ready()
    refused = client.post("/v2/repository/models/first/load")
    assert (refused.status, refused.error) == (
        503,
        "explicit model load / unload is not allowed if polling is enabled",
    )
    write(models, "m", 1)
    answers(client, "m", 2.0)
    seen = set()

    def changed() -> bool:
        seen.add(answer := ask(client, "m"))
        return bool(answer == 11.0)

    (models / "m" / "1" / "model.py").write_text(SOURCE.format(number=10))
    wait_until(changed, "the changed model answers")
    assert seen <= {2.0, 11.0}

    shutil.copytree(models / "m" / "1", models / "m" / "2")
    wait_until(lambda: {"name": "m", "version": "2", "state": "READY"} in rows(client), lambda: str(rows(client)))
    gone = {"name": "m", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}
    wait_until(lambda: gone in rows(client), lambda: str(rows(client)))

    shutil.rmtree(models / "m")
    wait_until(lambda: [row["name"] for row in rows(client)] == ["first"], lambda: str(rows(client)))
    assert ask(client, "m") == "Request for unknown model: 'm' has no available versions"
    server.process.terminate()
    assert server.wait() == 0
    assert "successfully unloaded 'm' version 2" in server.log.read_text()


def test_what_does_not_load_is_tried_again_and_forgotten_when_it_is_gone(tmp_path: Path, serve: Serve) -> None:
    models = tmp_path / "models"
    models.mkdir()
    server = serve(models, "--model-control-mode=poll", "--repository-poll-secs=0.2")
    client = server.wait_until_ready()
    flag = tmp_path / "flag"
    moody = f"import os\nif not os.path.exists({str(flag)!r}):\n    raise ValueError('no flag')\n{SOURCE}"
    write(models, "moody", 1, source=moody)
    wait_until(lambda: client.get("/v2/health/ready").status == 400, "the server is not ready")
    shutil.move(models / "moody", tmp_path / "away")
    wait_until(lambda: client.get("/v2/health/ready").status == 200, "what is gone does not count")
    shutil.move(tmp_path / "away", models / "moody")
    wait_until(lambda: client.get("/v2/health/ready").status == 400, "the server is not ready again")
    flag.touch()  # nothing in the repository has changed
    answers(client, "moody", 2.0)
    assert "failed to load 'moody' version 1: Internal: ValueError: no flag" in server.log.read_text()
    (models / "empty").mkdir()
    (models / "empty" / "config.pbtxt").write_text('backend: "python"')
    wait_until(lambda: client.get("/v2/health/ready").status == 400, "a model has no version")
    (models / "empty" / "config.pbtxt").unlink()
    (models / "empty").rmdir()
    wait_until(lambda: client.get("/v2/health/ready").status == 200, "it is gone")


def test_ensembles_find_their_members_across_repositories(tmp_path: Path, serve: Serve) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for repository, number in ((a, 10), (b, 20)):
        repository.mkdir()
        write(repository, "m", number)
        write(repository, f"e{repository.name}", config=ENSEMBLE)
    more = (f"--model-repository={b}", "--model-namespacing=true")
    server = serve(a, *more, "--model-control-mode=poll", "--repository-poll-secs=0.2")
    client = server.wait_until_ready()
    assert (ask(client, "ea"), ask(client, "eb")) == (11.0, 21.0)
    ambiguous = (
        "There are 2 identifiers of model 'm' in global map, model namespace must be provided to resolve ambiguity."
    )
    assert ask(client, "m") == ambiguous
    assert client.get("/v2/models/m/ready").status == 400
    assert [row["name"] for row in rows(client)] == ["ea", "m", "eb", "m"]
    listed = json.loads(client.get("/v2/models/stats").body)["model_stats"]
    assert sorted(item["name"] for item in listed) == ["ea", "eb", "m", "m"]

    shutil.move(a / "m", tmp_path / "m")
    answers(client, "m", 21.0)
    assert ask(client, "ea") == 21.0
    shutil.move(tmp_path / "m", a / "m")
    answers(client, "m", ambiguous)
    answers(client, "ea", 11.0)
    assert ask(client, "eb") == 21.0
