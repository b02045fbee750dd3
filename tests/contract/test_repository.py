"""The index, loading, reloading and unloading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.jupyter.server_process import wait_until
from tests.support.plain import Plain
from tests.support.transport import Refused, Request, Transport

MODEL = "changing"
ONES = Request(model=MODEL, inputs={"INPUT0": np.ones(2, np.float32)})


def rows(transport: Transport, model: str = MODEL) -> list[dict[str, str]]:
    return [row for row in transport.index() if row["name"] == model]


def unload(transport: Transport, model: str = MODEL) -> None:
    """Unload, and wait until the last instance has gone."""
    transport.unload(model)
    wait_until(lambda: "UNLOADING" not in {row.get("state") for row in rows(transport, model)}, f"{model} is unloaded")


@pytest.fixture
def source(managed: tuple[Transport, Path]) -> Iterator[Path]:
    """The model's source, which a test may change; nothing is loaded before and after."""
    transport, repository = managed
    unload(transport)
    path = repository / MODEL / "1" / "model.py"
    text = path.read_text()
    yield path
    path.write_text(text)
    unload(transport)


def answer(transport: Transport) -> float:
    return float(transport.infer(ONES)["OUTPUT0"][0])


def test_index_lists_what_is_loaded_and_what_is_not(transport: Transport) -> None:
    names = [row["name"] for row in transport.index()]
    assert names == sorted(names)
    assert rows(transport, "identity") == [{"name": "identity", "version": "1", "state": "READY"}]
    assert rows(transport, "decoupled") == [{"name": "decoupled"}]


def test_load_and_unload(transport: Transport, source: Path) -> None:
    transport.load(MODEL)
    assert rows(transport) == [{"name": MODEL, "version": "1", "state": "READY"}]
    assert transport.is_model_ready(MODEL)
    assert answer(transport) == 2
    unload(transport)
    assert rows(transport) == [{"name": MODEL, "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}]
    assert not transport.is_model_ready(MODEL)
    assert transport.is_ready()


def test_what_is_unloaded_is_refused(transport: Transport, source: Path) -> None:
    transport.load(MODEL)
    transport.unload(MODEL)
    with pytest.raises(Refused) as refusal:
        transport.infer(ONES)
    assert refusal.value.status == 404
    assert refusal.value.message == f"Request for unknown model: '{MODEL}' has no available versions"
    with pytest.raises(Refused) as refusal:
        transport.statistics(MODEL)
    assert (refusal.value.status, refusal.value.message) == (400, f"requested model '{MODEL}' is not available")


def test_loading_again_without_a_change_does_nothing(transport: Transport, source: Path) -> None:
    transport.load(MODEL)
    answer(transport)
    transport.load(MODEL)
    (entry,) = transport.statistics(MODEL)
    assert entry["inference_count"] == 1  # counters start anew with a new version


def test_a_changed_model_is_loaded_again(transport: Transport, source: Path) -> None:
    transport.load(MODEL)
    assert answer(transport) == 2
    source.write_text(source.read_text().replace("values + 1", "values + 40"))
    transport.load(MODEL)
    assert answer(transport) == 41


def test_a_reload_that_fails_changes_nothing(transport: Transport, source: Path) -> None:
    transport.load(MODEL)
    source.write_text("raise ValueError('not today')")
    with pytest.raises(Refused) as refusal:
        transport.load(MODEL)
    assert refusal.value.status == 400
    assert refusal.value.message.startswith(
        f"load failed for model '{MODEL}': version 1 is at UNAVAILABLE state: Internal: ValueError: not today"
    )
    assert answer(transport) == 2
    assert transport.is_model_ready(MODEL)


def test_a_first_load_that_fails(transport: Transport, source: Path) -> None:
    source.write_text("class TritonPythonModel:\n  def initialize(self, args):\n    raise KeyError('absent')\n")
    with pytest.raises(Refused) as refusal:
        transport.load(MODEL)
    assert "Internal: KeyError: 'absent'" in refusal.value.message
    (row,) = rows(transport)
    assert row["state"] == "UNAVAILABLE"
    assert "KeyError: 'absent'" in row["reason"]
    assert not transport.is_model_ready(MODEL)
    source.write_text("import triton_python_backend_utils as pb_utils\n\n\nclass TritonPythonModel:\n  pass\n")
    transport.load(MODEL)
    assert rows(transport)[0]["state"] == "READY"


def test_a_load_with_a_configuration_of_its_own(transport: Transport, source: Path) -> None:
    transport.load(MODEL)
    config = transport.config(MODEL)
    transport.load(MODEL, config=json.dumps({**config, "parameters": {"mood": {"string_value": "good"}}}))
    assert transport.config(MODEL)["parameters"] == {"mood": {"string_value": "good"}}
    assert answer(transport) == 2
    unload(transport)
    transport.load(MODEL)
    assert transport.config(MODEL)["parameters"] == {}


def test_a_load_with_files_of_its_own(transport: Transport, source: Path) -> None:
    transport.load(MODEL)
    config = json.dumps(transport.config(MODEL))
    code = source.read_text().replace("values + 1", "values + 70")
    transport.load(MODEL, config=config, files={"3/model.py": code.encode()})
    assert answer(transport) == 71
    assert transport.metadata(MODEL)["versions"] == ["3"]
    with pytest.raises(Refused) as refusal:
        transport.load(MODEL, config=config, files={"3/model.py": b"raise ValueError('not this one')"})
    assert "ValueError: not this one" in refusal.value.message
    assert answer(transport) == 71
    transport.load(MODEL)
    assert answer(transport) == 2


def test_unloading_the_unknown_is_no_error(transport: Transport) -> None:
    transport.unload("nobody")


def test_loading_the_unknown(transport: Transport) -> None:
    with pytest.raises(Refused) as refusal:
        transport.load("nobody")
    assert refusal.value.status == 500
    assert refusal.value.message == "failed to load 'nobody', failed to poll from model repository"


def test_index_of_what_is_ready(plain: Plain) -> None:
    ready = plain.post_json("/v2/repository/index", {"ready": True}).json()
    assert {row["state"] for row in ready} == {"READY"}
    assert len(ready) < len(plain.index())


@pytest.mark.parametrize("action", ["load", "unload"])
def test_a_named_repository_is_refused(plain: Plain, action: str) -> None:
    answer = plain.send("POST", f"/v2/repository/main/models/identity/{action}")
    assert answer.status == 501
    assert answer.json() == {"error": "'repository_name' specification is not supported"}


@pytest.mark.parametrize("name", ["..", "a;b", "a$b", "%2e%2e%2f"])
def test_names_that_no_directory_has(plain: Plain, name: str) -> None:
    before = plain.index()
    assert plain.send("POST", f"/v2/repository/models/{name}/load").status in (400, 404, 500)
    assert plain.index() == before
