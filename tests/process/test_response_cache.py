"""Answers out of the cache with real models that number their executions: an answer that was kept has an old number."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton

from tests.process.client import Answer, outputs
from tests.process.engine import Engine, running_engine
from tests.process.ensembles import ADD, IN_PLACE, MEMBER, MODEL, member, step, write_ensemble
from tests.process.leaks import LeakCheck
from tests.process.waiting import wait_until
from tests.support.triton_grpc import outputs as grpc_outputs
from tests.support.triton_grpc import to_input

SIZE = 4 << 20
CACHED = " response_cache { enable: true }"
#: Adds the number of the execution.
COUNT = "self.n = getattr(self, 'n', 0) + 1; y = x.as_numpy() + self.n"
ZERO = {"X": np.zeros(2, np.float32)}
GIVEN = {"IN": np.zeros(2, np.float32)}

HITS, MISSES = "cache_hit", "cache_miss"


@pytest.fixture(scope="module")
def cached() -> Iterator[Engine]:
    """An engine with a cache; what tests load is left in it."""
    with running_engine(f"--cache-config=local,size={SIZE}") as engine:
        yield engine


def first(answer: Answer) -> float:
    ((array, *_),) = (outputs(answer).values(),)
    return float(array[0])


def counts(engine: Engine, name: str) -> dict[str, int]:
    found = engine.inference_stats(name)
    return {kind: found[kind]["count"] for kind in ("success", "queue", "compute_infer", HITS, MISSES)}


def figures(engine: Engine) -> dict[str, int]:
    found: dict[str, int] = engine.http.get("/api/status").json()["engine"]["cache"]
    return found


def test_over_every_transport(cached: Engine) -> None:
    name = member(cached, "everywhere", COUNT, extra=CACHED)
    assert first(cached.infer(name, ZERO)) == 1
    assert first(cached.infer(name, ZERO)) == 1
    assert first(cached.tcp.infer(name, ZERO)) == 1
    with triton.InferenceServerClient(cached.grpc_url) as client:
        headers = {"authorization": "token canary-3f1d8a57c0"}
        result = client.infer(name, [to_input("X", ZERO["X"])], headers=headers)
        assert grpc_outputs(result)["Y"].tolist() == [1, 1]
    lane = cached.lane()
    assert lane.infer(name, ZERO)["Y"].tolist() == [1, 1]
    assert lane.infer(name, {"X": np.ones(2, np.float32)})["Y"].tolist() == [3, 3]
    assert lane.infer(name, {"X": np.ones(2, np.float32)})["Y"].tolist() == [3, 3]
    lane.close()
    assert counts(cached, name) == {"success": 7, "queue": 7, "compute_infer": 2, HITS: 5, MISSES: 2}


def test_what_a_lane_does_with_an_answer_is_its_own_affair(cached: Engine) -> None:
    name = member(cached, "owned", COUNT, extra=CACHED)
    lane = cached.lane()
    given = {"X": np.zeros(100_000, np.float32)}
    held = [lane.infer(name, given)["Y"] for _ in range(3)]
    held[1][:] = 7
    assert [float(array[-1]) for array in held] == [1, 7, 1]
    assert float(lane.infer(name, given)["Y"][-1]) == 1
    del held
    lane.close()


def test_other_shapes_and_other_outputs_are_other_requests(cached: Engine) -> None:
    two = 'output { name: "Z" data_type: TYPE_FP32 dims: [ -1 ] }'
    source = MODEL.replace('[pb_utils.Tensor("Y", y)]', '[pb_utils.Tensor("Y", y), pb_utils.Tensor("Z", y * 2)]')
    config = MEMBER.replace('"X" data_type: TYPE_FP32 dims: [ -1 ]', '"X" data_type: TYPE_FP32 dims: [ -1, -1 ]')
    cached.deploy("shapes", source.format(body=COUNT), config + two + CACHED)
    flat, tall = {"X": np.zeros((1, 4), np.float32)}, {"X": np.zeros((4, 1), np.float32)}
    assert outputs(cached.infer("shapes", flat))["Y"].shape == (1, 4)
    assert outputs(cached.infer("shapes", tall))["Y"].shape == (4, 1)
    assert list(outputs(cached.infer("shapes", flat, outputs=["Y"]))) == ["Y"]
    assert sorted(outputs(cached.infer("shapes", flat))) == ["Y", "Z"]
    assert counts(cached, "shapes")[HITS] == 1


def test_members_of_an_ensemble_and_those_behind_them(cached: Engine) -> None:
    for name, body, extra in (("kept", COUNT, CACHED), ("writer", IN_PLACE, ""), ("adder", ADD, "")):
        member(cached, name, body, extra=extra)
    write_ensemble(
        cached.repository,
        "partly",
        step("kept", "IN", "MID"),
        step("writer", "MID", "WRITTEN"),
        step("adder", "MID", "ADDED"),
        outputs="MID WRITTEN ADDED",
    )
    cached.load("partly")
    for _ in range(4):
        found = {key: float(value[0]) for key, value in outputs(cached.infer("partly", GIVEN)).items()}
        assert found == {"MID": 1, "WRITTEN": 101, "ADDED": 2}
    assert counts(cached, "kept")[HITS] == 3
    assert counts(cached, "writer")["success"] == 4
    own = counts(cached, "partly")
    assert (own["success"], own[HITS], own[MISSES]) == (4, 0, 0)


def test_an_ensemble_as_a_whole(cached: Engine) -> None:
    for name in ("left", "right"):
        member(cached, name, COUNT)
    folder = write_ensemble(cached.repository, "whole", step("left", "IN", "MID"), step("right", "MID", "OUT"))
    with (cached.repository / folder / "config.pbtxt").open("a") as file:
        file.write(CACHED)
    cached.load("whole")
    assert [first(cached.infer("whole", GIVEN)) for _ in range(3)] == [2, 2, 2]
    assert counts(cached, "whole") == {"success": 3, "queue": 3, "compute_infer": 1, HITS: 2, MISSES: 1}
    assert counts(cached, "left")["success"] == 1
    member(cached, "right", "y = x.as_numpy() + 1000")
    assert first(cached.infer("whole", GIVEN)) == 1002


def test_models_that_call_it(cached: Engine) -> None:
    name = member(cached, "callee", COUNT, extra=CACHED)
    call = f"""
        request = pb_utils.InferenceRequest(model_name="{name}", requested_output_names=["Y"], inputs=[x])
        y = pb_utils.get_output_tensor_by_name(request.exec(), "Y").as_numpy()
        y += 10
    """.strip()
    member(cached, "caller", call)
    assert [first(cached.infer("caller", ZERO)) for _ in range(3)] == [11, 11, 11]
    assert counts(cached, name)[HITS] == 2


def test_another_model_under_the_name_answers_for_itself(cached: Engine) -> None:
    name = member(cached, "renewed", COUNT, extra=CACHED)
    first(cached.infer(name, ZERO))
    entries = figures(cached)["entries"]
    member(cached, name, "y = x.as_numpy() + 50", extra=CACHED)
    assert first(cached.infer(name, ZERO)) == 50
    wait_until(lambda: figures(cached)["entries"] == entries, "the old answers are gone")


def test_no_stub_is_needed_for_what_is_known(cached: Engine) -> None:
    name = member(cached, "stopped", COUNT, extra=CACHED)
    first(cached.infer(name, ZERO))
    (pid,) = cached.pids(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        assert first(cached.infer(name, ZERO)) == 1
    finally:
        os.kill(pid, signal.SIGCONT)


def test_failures_are_not_kept_and_parameters_are(cached: Engine) -> None:
    fails = 'self.n = getattr(self, "n", 0) + 1\n        if self.n < 3: raise ValueError(f"number {self.n}")\n        '
    source = MODEL.replace("[pb_utils.Tensor", 'parameters={{"n": self.n}}, output_tensors=[pb_utils.Tensor')
    cached.deploy("failing", source.format(body=fails + "y = x.as_numpy()"), MEMBER + CACHED)
    body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1], "data": [0]}]}
    answers = [cached.http.post("/v2/models/failing/infer", body) for _ in range(5)]
    assert [f"number {count}" in answer.body.decode() for count, answer in zip((1, 2), answers)] == [True, True]
    assert [answer.json()["parameters"] for answer in answers[2:]] == [{"n": 3}] * 3
    assert counts(cached, "failing")[MISSES] == 3


def test_an_answer_that_is_too_large_is_given_and_the_log_says_so(cached: Engine) -> None:
    name = member(cached, "large", COUNT, extra=CACHED)
    given = {"X": np.zeros(SIZE // 4, np.float32)}
    assert [first(cached.infer(name, given)) for _ in range(2)] == [1, 2]
    assert counts(cached, name)[MISSES] == 2
    assert re.search(r"Failed to insert key \[\w+\] into response cache: Requested byte_size", cached.log.read_text())


def test_the_size_holds(cached: Engine) -> None:
    name = member(cached, "bounded", COUNT, extra=CACHED)
    for number in range(12):
        cached.infer(name, {"X": np.full(SIZE // 32, number, np.float32)})
    found = figures(cached)
    assert found["size_bytes"] == SIZE
    assert SIZE // 2 < found["used_bytes"] <= SIZE
    assert found["evictions"] > 0


def refusal(engine: Engine, name: str) -> str:
    answer = engine.http.post(f"/v2/repository/models/{name}/load")
    assert answer.status == 400
    return answer.error


def test_ensembles_that_answer_several_times_have_none(cached: Engine) -> None:
    member(cached, "several", "return None", extra=" model_transaction_policy { decoupled: true }")
    folder = write_ensemble(cached.repository, "streaming", step("several", "IN", "OUT"))
    with (cached.repository / folder / "config.pbtxt").open("a") as file:
        file.write(CACHED)
    assert refusal(cached, "streaming") == (
        "load failed for model 'streaming': version 1 is at UNAVAILABLE state: Invalid argument: Response Cache does "
        "not currently support model streaming with 'decoupled' transaction policy. "
        "Please disable the response cache.;\n"
    )


def scraped(engine: Engine, model: str) -> dict[str, float]:
    lines = engine.http.get("/metrics").body.decode().splitlines()
    found = (re.fullmatch(rf'(nv_cache_\w+)\{{model="{model}",version="1"\}} (\S+)', line) for line in lines)
    return {item[1]: float(item[2]) for item in found if item is not None}


def test_what_a_scrape_finds(cached: Engine) -> None:
    name = member(cached, "scraped", COUNT, extra=CACHED)
    for _ in range(3):
        cached.infer(name, ZERO)
    found = scraped(cached, name)
    assert (found["nv_cache_num_hits_per_model"], found["nv_cache_num_misses_per_model"]) == (2, 1)
    assert found["nv_cache_miss_duration_per_model"] > 0
    whole = figures(cached)
    text = cached.http.get("/metrics").body.decode()
    assert f"\nnv_cache_num_entries {whole['entries']}\n" in text
    assert f"\nnv_cache_num_lookups {whole['hits'] + whole['misses']}\n" in text
    plain = member(cached, "unscraped", COUNT)
    assert scraped(cached, plain) == {}


def test_nothing_is_left_behind(cached: Engine) -> None:
    name = member(cached, "tidy", COUNT, extra=CACHED)
    lane = cached.lane()
    lane.infer(name, ZERO)
    leaks = LeakCheck(cached)
    for _ in range(50):
        assert lane.infer(name, ZERO)["Y"][0] == 1
    leaks.check()
    lane.close()


def test_without_a_cache_the_setting_changes_nothing(engine: Engine) -> None:
    name = member(engine, "uncached", COUNT, extra=CACHED)
    assert [first(engine.infer(name, ZERO)) for _ in range(2)] == [1, 2]
    assert scraped(engine, name) == {}
    status: dict[str, Any] = engine.http.get("/api/status").json()
    assert status["engine"]["cache"] is None


def traced_models(path: Path) -> list[str]:
    """The models that the next trace tells of, when it is there."""
    text = wait_until(lambda: path.exists() and path.read_text().endswith("]") and path.read_text(), path.name)
    return [item["model_name"] for item in json.loads(text) if "model_name" in item]


def test_a_trace_tells_who_has_worked(tmp_path: Path) -> None:
    file = tmp_path / "traces"
    words = ["level=TIMESTAMPS", "rate=1", f"triton,file={file}", "triton,log-frequency=1"]
    arguments = [f"--trace-config={word}" for word in words]
    with running_engine(f"--cache-config=local,size={SIZE}", *arguments) as engine:
        member(engine, "inner", COUNT)
        folder = write_ensemble(engine.repository, "outer", step("inner", "IN", "OUT"))
        with (engine.repository / folder / "config.pbtxt").open("a") as config:
            config.write(CACHED)
        engine.load("outer")
        assert [first(engine.infer("outer", GIVEN)) for _ in range(2)] == [1, 1]
        assert sorted(traced_models(Path(f"{file}.0"))) == ["inner", "outer"]
        assert traced_models(Path(f"{file}.1")) == ["outer"]
