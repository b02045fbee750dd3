"""Watching a real engine: the first line has everything, later ones what has changed, and nothing is held."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from tests.process.client import command, connect, outputs, said
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.waiting import wait_until

SAMPLED = ("pss_bytes", "uss_bytes", "threads", "fds")


class Lines:
    """The event stream, a line at a time."""

    def __init__(self, engine: Engine, query: str = "", path: str = "/api/events") -> None:
        self._sock = connect(str(engine.folder / "http.sock"))
        self._sock.sendall(f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self._answer = http.client.HTTPResponse(self._sock)
        self._answer.begin()
        assert self._answer.status == 200
        assert self._answer.headers["Content-Type"] == "application/x-ndjson"

    def next(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self._answer.readline())
        return line

    def until(self, found: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not found(line := self.next()):
            pass
        return line

    def close(self) -> None:
        self._answer.close()
        self._sock.close()


@contextlib.contextmanager
def watched(engine: Engine, query: str = "") -> Iterator[Lines]:
    lines = Lines(engine, query)
    try:
        yield lines
    finally:
        lines.close()


def test_the_first_line_has_everything_that_can_be_had(engine: Engine) -> None:
    model = loaded(engine, "puppet", instances=2)
    said(engine.infer(model, command("say", text="x")))
    with watched(engine, f"models={model}") as lines:
        first = lines.next()
    assert (first["type"], first["seq"]) == ("snapshot", 1)
    status = first["status"]
    assert status["engine"]["pid"] == engine.pid
    assert status["engine"]["pss_bytes"] > 1 << 20
    assert status["engine"]["host"]["memory_total_bytes"] > status["engine"]["pss_bytes"]
    [row] = status["models"]
    assert row["name"] == model
    assert row["statistics"]["success"] == 1
    assert row["statistics"]["batch_sizes"] == {"1": 1}
    assert row["latency_ms"]["p50"] > 0
    for instance in row["instances"]:
        assert all(instance[name] > 0 for name in SAMPLED), instance
        assert 0 < instance["uss_bytes"] <= instance["pss_bytes"] <= instance["rss_bytes"]
        with open(f"/proc/{instance['pid']}/stat") as file:
            assert instance["start_ticks"] == int(file.read().rpartition(")")[2].split()[19])
        lacking = {
            name for name, value in instance.items() if value is None and name in (*SAMPLED, "gpu", "cpu_percent")
        }
        assert lacking == set(instance["unavailable"]), "each says why"


def test_later_lines_say_what_has_changed(engine: Engine, puppet: str) -> None:
    other = loaded(engine, "puppet")
    with watched(engine, f"models={puppet}") as lines:
        snapshot = lines.next()
        said(engine.infer(other, command("say", text="x")))
        said(engine.infer(puppet, command("say", text="x")))
        line = lines.until(lambda line: "statistics" in line.get("models", {}).get(puppet, {}))
    [before] = snapshot["status"]["models"]
    assert line["type"] == "delta"
    assert set(line["models"]) == {puppet}
    changed = line["models"][puppet]
    assert changed["statistics"]["success"] == before["statistics"]["success"] + 1
    assert not {"name", "state", "inputs", "owner", "platform"} & set(changed)
    [[name, instance]] = changed["instances"].items()
    assert name == before["instances"][0]["id"]
    assert instance["requests"] == before["instances"][0]["requests"] + 1
    assert not {"pid", "start_ticks", "uptime_s", "kind"} & set(instance)


def test_models_and_instances_come_and_go(engine: Engine, puppet: str) -> None:
    with watched(engine) as lines:
        lines.next()
        model = loaded(engine, "puppet", instances=2)
        line = lines.until(lambda line: model in line.get("models", {}))
        assert {instance["state"] for instance in line["models"][model]["instances"].values()} <= {
            "READY",
            "LOADING",
        } | {
            "SPAWNED",
            "ATTACHED",
        }
        os.kill(engine.pids(puppet)[0], 9)
        row = lines.until(lambda line: "last_exit" in _only_instance(line, puppet))["models"][puppet]
        assert "was ended by signal 9" in next(iter(row["instances"].values()))["last_exit"]
        engine.unload(model)
        line = lines.until(lambda line: line.get("models", {}).get(model, {}).get("instances"))
        assert set(line["models"][model]["instances"].values()) == {None}


def _only_instance(line: dict[str, Any], model: str) -> dict[str, Any]:
    found = list((line.get("models", {}).get(model) or {}).get("instances", {}).values())
    return found[0] or {} if found else {}


def test_a_busy_instance_says_with_what(engine: Engine, puppet: str) -> None:
    gate = engine.gate()
    with watched(engine) as lines:
        lines.next()
        held = engine.infer_later(puppet, command("hold", gate=str(gate)), id="who")
        line = lines.until(lambda line: _only_instance(line, puppet).get("current_request") == "who")
        assert line["models"][puppet]["in_flight"] == 1
        gate.open()
        said(held.result())
        line = lines.until(lambda line: "current_request" in _only_instance(line, puppet))
        assert _only_instance(line, puppet)["current_request"] is None


def test_without_a_watcher_nothing_is_sampled_unless_asked(engine: Engine, puppet: str) -> None:
    [row] = engine.instances(puppet)
    assert [row[name] for name in SAMPLED] == [None] * 4
    assert row["unavailable"] == {}
    status = engine.http.get("/api/status?sample=1").json()
    [row] = next(item for item in status["models"] if item["name"] == puppet)["instances"]
    assert all(row[name] > 0 for name in SAMPLED)


def test_what_watching_holds_open_is_let_go(fresh_engine: Engine) -> None:
    engine = fresh_engine
    model = loaded(engine, "puppet", instances=2)
    assert "ANSWER" in outputs(engine.infer(model, command("plus_one", [1.0])))
    before = len(os.listdir(f"/proc/{engine.pid}/fd"))
    with watched(engine) as lines:
        lines.next()
        assert len(os.listdir(f"/proc/{engine.pid}/fd")) > before
    wait_until(lambda: len(os.listdir(f"/proc/{engine.pid}/fd")) <= before, lambda: "what was held open is let go")


def test_who_watches_does_not_hold_up_the_end(fresh_engine: Engine) -> None:
    with watched(fresh_engine) as lines:
        lines.next()
        assert fresh_engine.stop() == 0


def test_wrong_wishes(engine: Engine) -> None:
    for query in ("interval_s=0", "interval_s=x", "interval_s=-1", "interval_s=inf", "interval_s=nan"):
        assert "interval_s" in engine.http.get(f"/api/events?{query}").error
    assert engine.http.post("/api/events").status == 405
