from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.debugging.recorder import Mode
from jupyter_pyserve.engine.debugging.recording import Recording, Shelf
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.transports.http import control
from jupyter_pyserve.v2.messages import InferRequest


class Service:
    """A shelf with one recording."""

    def __init__(self, model_file: str = "/nowhere/model.py") -> None:
        self.recorder = SimpleNamespace(shelf=Shelf(100))
        self.chosen: list[tuple[str, Mode, int | None]] = []
        request = InferRequest(id="r", inputs=(), parameters={})
        kept = Recording(
            id="m-1", model="m", version="1", instance="m_0", model_file=model_file, args={"a": "b"}, time=1.0,
            error="why", request=request, seen={"X": (2,)}, blobs=(), nbytes=0,
        )  # fmt: skip
        self.recorder.shelf.put(kept, 10)

    def record(self, name: str, mode: Mode, limit: int | None) -> None:
        self.chosen.append((name, mode, limit))


def call(service: Service, method: str, target: str, body: object = None) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    answer = control.call(cast(Any, service), method.encode(), target, data)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


@pytest.mark.parametrize(("query", "count"), [("", 1), ("?model=m", 1), ("?model=other", 0)])
def test_recordings_are_listed(query: str, count: int) -> None:
    reply = call(Service(), "GET", f"recordings{query}")
    assert [row["id"] for row in json.loads(reply.body)["recordings"]] == ["m-1"] * count


def test_one_is_fetched_and_forgotten() -> None:
    service = Service()
    reply = call(service, "GET", "recordings/m-1")
    assert reply.content_type == b"application/octet-stream"
    assert reply.headers == b"Inference-Header-Content-Length: %d\r\n" % len(reply.body)
    assert json.loads(reply.body)["id"] == "r"
    assert call(service, "DELETE", "recordings/m%2D1").body == b"{}"
    with pytest.raises(PyServeError, match="there is no recording 'm-1'"):
        call(service, "GET", "recordings/m-1")


def test_its_model_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text("class TritonPythonModel: ...\n")
    told = json.loads(call(Service(str(file)), "GET", "recordings/m-1/model").body)
    assert told == {
        "source": "class TritonPythonModel: ...\n",
        "model_file": str(file),
        "args": {"a": "b"},
        "shapes": {"X": [2]},
    }
    with pytest.raises(PyServeError, match="No such file"):
        call(Service(), "GET", "recordings/m-1/model")


def test_what_is_kept_is_chosen() -> None:
    service = Service()
    call(service, "POST", "models/m/record", {})
    call(service, "POST", "models/m/record", {"mode": "all", "limit": 5})
    assert service.chosen == [("m", Mode.FAILURES, None), ("m", Mode.ALL, 5)]


@pytest.mark.parametrize(
    "body", [{"mode": "x"}, {"mode": []}, {"limit": 0}, {"limit": True}, {"limit": 1001}], ids=repr
)
def test_wrong_choices(body: dict[str, Any]) -> None:
    with pytest.raises(PyServeError, match="must be"):
        call(Service(), "POST", "models/m/record", body)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("POST", "recordings/m-1", 405), ("DELETE", "recordings/m-1/model", 405), ("DELETE", "recordings", 405)],
)
def test_wrong_methods(method: str, target: str, status: int) -> None:
    assert call(Service(), method, target).status == status
