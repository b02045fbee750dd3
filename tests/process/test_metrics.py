"""Metrics as a scrape finds them: the engine's own, and those that models count in processes of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.process import machine
from tests.process.client import Answer, Client, command, outputs
from tests.process.conftest import loaded
from tests.process.engine import TOKEN, Engine, Server
from tests.process.repository import add_model
from tests.process.waiting import wait_until


def request(gate: object = "") -> dict[str, np.ndarray[tuple[int], np.dtype[np.object_]]]:
    return {"GATE": np.array([str(gate).encode()], object)}


def samples(engine: Engine, name: str) -> dict[str, float]:
    """The samples of a family, by what follows the name."""
    lines = engine.http.get("/metrics").body.decode().splitlines()
    found = (re.fullmatch(rf"{name}(\w*(?:\{{.*\}})?) (\S+)", line) for line in lines)
    return {item.group(1): float(item.group(2)) for item in found if item is not None}


def counted(engine: Engine, model: str) -> float:
    """How far the models that share a counter have got."""
    (value,) = samples(engine, f"{model}_total").values()
    return round(value, 6)


def scrape(engine: Engine, token: str) -> Answer:
    url = engine.http.get("/api/status").json()["engine"]["metrics_url"]
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/metrics", url)
    assert found is not None
    return Client(("127.0.0.1", int(found.group(1))), token).get("/metrics")


def test_instances_share_what_they_count(engine: Engine) -> None:
    model = loaded(engine, "counting", instances=3)
    assert counted(engine, model) == 300
    answers = [engine.infer_later(model, request()) for _ in range(12)]
    values = [float(outputs(answer.result())["VALUE"][0]) for answer in answers]
    assert max(values) == 312
    assert counted(engine, model) == 312
    shown = samples(engine, f"{model}_sizes")
    assert sum(value for key, value in shown.items() if key.startswith("_count")) == 12
    assert sum(value for key, value in shown.items() if 'le="1"' in key) == 0
    assert sum(value for key, value in shown.items() if 'le="2.5"' in key) == 12


def test_what_was_counted_is_seen_while_the_model_is_still_at_it(engine: Engine) -> None:
    model = loaded(engine, "counting")
    gate = engine.gate()
    held = engine.infer_later(model, request(gate))
    gate.wait_until_entered()
    assert counted(engine, model) == 101
    gate.open()
    assert held.result().status == 200


def test_what_others_hold_survives_a_death(engine: Engine) -> None:
    model = loaded(engine, "counting", instances=2)
    machine.kill(engine.pids(model)[0])
    wait_until(lambda: counted(engine, model) == 300, "the new one has counted its start")


def test_what_nobody_holds_goes_with_its_stub(engine: Engine) -> None:
    model = loaded(engine, "counting")
    assert float(outputs(engine.infer(model, request()))["VALUE"][0]) == 101
    machine.kill(engine.pids(model)[0])
    assert float(outputs(engine.infer(model, request()))["VALUE"][0]) == 101
    assert len(samples(engine, f"{model}_sizes_count")) == 1


def test_an_unloaded_model_leaves_nothing_behind(engine: Engine) -> None:
    model = loaded(engine, "counting")
    assert engine.infer(model, request()).status == 200
    assert f'model="{model}"' in engine.http.get("/metrics").body.decode()
    engine.unload(model)
    wait_until(lambda: model not in engine.http.get("/metrics").body.decode(), "its metrics are gone")
    assert [record["text"] for record in engine.said(model, "")] == ["counted 101.0"]


def test_a_reload_goes_on_counting(engine: Engine) -> None:
    model = loaded(engine, "counting")
    (engine.repository / model / "1" / "model.py").touch()
    engine.load(model)
    assert counted(engine, model) == 200


def test_the_engines_own(engine: Engine, puppet: str) -> None:
    key = f'{{model="{puppet}",version="1"}}'
    for deed in ("echo", "echo", "no_such_deed"):
        engine.infer(puppet, command(deed))
    assert samples(engine, "nv_inference_request_success")[key] == 2
    assert samples(engine, "nv_inference_count")[key] == 2
    assert samples(engine, "nv_inference_exec_count")[key] == 3
    failures = samples(engine, "nv_inference_request_failure")
    assert failures[f'{{model="{puppet}",reason="BACKEND",version="1"}}'] == 1
    assert samples(engine, "nv_inference_compute_infer_duration_us")[key] > 0
    assert samples(engine, "nv_model_load_duration_secs")[key] > 0


def test_requests_that_wait_are_pending(engine: Engine, puppet: str) -> None:
    key = f'{{model="{puppet}",version="1"}}'
    gate = engine.gate()
    held = [engine.infer_later(puppet, command("hold", gate=str(gate)))]
    gate.wait_until_entered()
    assert samples(engine, "nv_inference_pending_request_count")[key] == 0
    held += [engine.infer_later(puppet, command("echo")) for _ in range(3)]
    wait_until(lambda: samples(engine, "nv_inference_pending_request_count")[key] == 3, "three are waiting")
    gate.open()
    assert [answer.result().status for answer in held] == [200] * 4
    assert samples(engine, "nv_inference_pending_request_count")[key] == 0


@pytest.mark.parametrize(("token", "status"), [(TOKEN, 200), ("", 401), ("wrong", 401)])
def test_the_port_asks_for_the_token(engine: Engine, token: str, status: int) -> None:
    answer = scrape(engine, token)
    assert answer.status == status
    assert (b"nv_pinned_memory_pool_total_bytes" in answer.body) == (status == 200)


def test_the_port_of_inference_has_no_metrics(engine: Engine) -> None:
    assert engine.tcp.get("/metrics").status == 404


def test_latencies_where_they_are_asked_for(serve: Callable[..., Server], tmp_path: Path) -> None:
    bounds = (
        'model_metrics { metric_control { metric_identifier { family: "%s" } histogram_options { buckets: 60000 } } }'
    )
    add_model(tmp_path / "models", "puppet", extra=bounds % "nv_inference_first_response_histogram_ms")
    server = serve(
        tmp_path / "models",
        *("--metrics-config", "summary_latencies=true", "--metrics-config", "summary_quantiles=0.5:0.05"),
        *("--metrics-config", "histogram_latencies=true", "--allow-cpu-metrics=false"),
    )
    client = server.wait_until_ready()
    for _ in range(3):
        assert client.infer("puppet", command("echo")).status == 200
    started = re.compile(r"Started Metrics Service at 127\.0\.0\.1:(\d+)")
    port = wait_until(lambda: started.search(server.log.read_text()), "metrics are served")
    text = Client(("127.0.0.1", int(port.group(1)))).get("/metrics").body.decode()
    label = 'model="puppet",version="1"'
    assert f"nv_inference_request_summary_us_count{{{label}}} 3\n" in text
    assert re.search(rf'nv_inference_compute_infer_summary_us{{{label},quantile="0.5"}} \d+\n', text)
    for bound in ("60000", "+Inf"):
        assert f'nv_inference_first_response_histogram_ms_bucket{{{label},le="{bound}"}} 3\n' in text
    assert "nv_cpu_utilization" not in text
