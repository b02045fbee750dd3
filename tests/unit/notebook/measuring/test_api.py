from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.measuring.api import Progress, bench
from tests.unit.notebook.fake_engine import ENGINE, MODEL, Answer, FakeEngine, Request

ANSWER = {"outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [1], "data": [1.0]}]}


@pytest.fixture
def model(engine: FakeEngine) -> FakeEngine:
    engine.answer("GET", "/v2/models/add_one", json={"name": "add_one", "inputs": MODEL["inputs"], "outputs": []})
    engine.answer("GET", "/v2/models/add_one/config", json={"name": "add_one", "input": [], "max_batch_size": 0})
    engine.answer("POST", "/v2/models/add_one/infer", json=ANSWER)
    return engine


def asked(engine: FakeEngine) -> list[Request]:
    return [request for request in engine.requests if request.path.endswith("/infer")]


def test_measures_each_level(model: FakeEngine) -> None:
    seen: list[Progress] = []
    result = bench("add_one", (1, 2), 0.1, on_progress=seen.append)
    assert [level.concurrency for level in result.levels] == [1, 2]
    assert all(level.requests > 0 and level.failures == 0 for level in result.levels)
    assert result.via == "http"  # there is no lane here
    assert seen[0].share < 0.2
    assert seen[-1].share == 1.0
    assert [level.concurrency for level in seen[-1].levels] == [1, 2]


def test_inputs_are_zeros_of_the_declared_shape(model: FakeEngine) -> None:
    bench("add_one", 1, 0.01)
    body = asked(model)[0].body
    length = int(asked(model)[0].headers["Inference-Header-Content-Length"])
    (tensor,) = json.loads(body[:length])["inputs"]
    assert (tensor["name"], tensor["shape"]) == ("INPUT0", [1])
    assert body[length:] == b"\0\0\0\0"


def test_inputs_may_be_given(model: FakeEngine) -> None:
    bench("add_one", 1, 0.01, {"INPUT0": [1, 2]})
    assert asked(model)[0].body.endswith(np.array([1, 2], np.float32).tobytes())


def test_the_first_error_is_raised(model: FakeEngine) -> None:
    model.answer("POST", "/v2/models/add_one/infer", status=400, json={"error": "not that shape"})
    with pytest.raises(PyServeError, match="not that shape"):
        bench("add_one", 1, 60.0)
    assert len(asked(model)) == 1


def test_later_errors_are_counted(model: FakeEngine) -> None:
    def answer(request: Request) -> Answer:
        good = len(asked(model)) == 1
        return Answer(body=json.dumps(ANSWER).encode()) if good else Answer(status=503, body=b'{"error":"full"}')

    model.answers["POST /v2/models/add_one/infer"] = answer
    (level,) = bench("add_one", [1], 0.1).levels
    assert (level.requests, level.error) == (0, "full")
    assert level.failures > 0


def test_stopped_it_tells_what_it_has(model: FakeEngine) -> None:
    stop = threading.Event()

    def progress(found: Progress) -> None:
        if found.concurrency == 2:
            stop.set()

    result = bench("add_one", (1, 2, 4), 0.1, on_progress=progress, stop=stop)
    assert [level.concurrency for level in result.levels] == [1]
    assert result.note == "stopped before its end"


def test_http_is_the_port_of_the_engine(model: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINE, "http_url", "http://127.0.0.1:1")
    with pytest.raises(PyServeError, match=r"the engine at http://127.0.0.1:1 does not answer"):
        bench("add_one", via="http")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"concurrency": 0}, "'concurrency' must be"),
        ({"concurrency": ()}, "'concurrency' must be"),
        ({"concurrency": (1, 10_000)}, "'concurrency' must be"),
        ({"duration_s": 0}, "'duration_s' must be"),
        ({"via": "pigeon"}, "'via' must be one of lane, http"),
    ],
)
def test_nonsense_is_refused(model: FakeEngine, options: dict[str, object], words: str) -> None:
    with pytest.raises(PyServeError, match=words):
        bench("add_one", **options)  # type: ignore[arg-type]
    assert asked(model) == []


def test_a_decoupled_model_needs_the_lane(model: FakeEngine) -> None:
    model.models = [{**MODEL, "decoupled": True}]
    with pytest.raises(PyServeError, match="is decoupled"):
        bench("add_one")
