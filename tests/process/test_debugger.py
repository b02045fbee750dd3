"""A debugger attached to a stub: it stops where it is told to, and nothing of the model times out meanwhile."""

from __future__ import annotations

import numpy as np

from tests.process.client import Answer, Array, outputs
from tests.process.conftest import loaded
from tests.process.dap import Debugger
from tests.process.engine import Engine
from tests.process.waiting import wait_until

#: Of `answer` in the model, and of its breakpoint().
RETURN_LINE, BREAKPOINT_LINE = 14, 13
QUEUE_TIMEOUT = "dynamic_batching { default_queue_policy { default_timeout_microseconds: 1000 } } max_batch_size: 1"


def debug(engine: Engine, model: str, instance: str = "", **body: object) -> Answer:
    name = instance or f"{model}_0_0"
    return engine.http.post(f"/api/models/{model}/instances/{name}/debug", body)


def undebug(engine: Engine, model: str) -> None:
    assert engine.http.post(f"/api/models/{model}/instances/{model}_0_0/undebug").status == 200


def values(*numbers: float) -> dict[str, Array]:
    return {"INPUT0": np.array(numbers, np.float32)}


def test_a_breakpoint_stops_a_request_that_is_answered_afterwards(engine: Engine) -> None:
    model = loaded(engine, "paced")
    opened = debug(engine, model).json()
    file = engine.repository / model / "1" / "model.py"
    assert opened["host"] == "127.0.0.1"
    assert opened["model_file"] == str(file)
    assert engine.instances(model)[0]["debug"] == {"port": opened["port"]}
    with Debugger(opened["port"]) as debugger:
        debugger.attach({file: [RETURN_LINE]})
        answer = engine.infer_later(model, values(1, 2))
        frame = debugger.stopped()
        assert (frame["reason"], frame["line"], frame["name"]) == ("breakpoint", RETURN_LINE, "answer")
        assert frame["source"]["path"] == str(file)
        assert debugger.value(frame, "total.tolist()") == "[2.0, 3.0]"
        assert debug(engine, model).json() == opened, "it is open already, and that is said while it is stopped"
        assert engine.ready(model), "readiness does not wait for a process that is stopped"
        assert not answer.done()
        debugger.go_on(frame)
        assert outputs(answer.result())["OUTPUT0"].tolist() == [2, 3]
        debugger.detach()
    assert outputs(engine.infer(model, values(4)))["OUTPUT0"].tolist() == [5]


def test_breakpoint_stops_in_an_attached_debugger(engine: Engine) -> None:
    model = loaded(engine, "paced")
    with Debugger(debug(engine, model).json()["port"]) as debugger:
        debugger.attach({})
        answer = engine.infer_later(model, values(-1))
        frame = debugger.stopped()
        assert frame["source"]["path"].endswith("model.py")
        assert frame["line"] in (BREAKPOINT_LINE, RETURN_LINE)
        assert debugger.value(frame, "values.tolist()") == "[-1.0]"
        debugger.go_on(frame)
        assert outputs(answer.result())["OUTPUT0"].tolist() == [0]


def test_breakpoint_is_passed_over_where_nobody_is_attached(engine: Engine) -> None:
    model = loaded(engine, "paced")
    assert outputs(engine.infer(model, values(-1)))["OUTPUT0"].tolist() == [0]
    wait_until(
        lambda: [item["level"] for item in engine.logs(model) if "%pyserve debug NAME" in item["text"]] == ["WARNING"],
        lambda: f"the log says what to do: {engine.logs(model)}",
    )
    debug(engine, model)
    engine.infer(model, values(-1))
    wait_until(
        lambda: any("may attach, but has not" in item["text"] for item in engine.logs(model)),
        lambda: f"and that none has come: {engine.logs(model)}",
    )


def test_lines_of_a_cell_are_lines_of_the_model(engine: Engine) -> None:
    model = loaded(engine, "paced")
    cell = engine.folder / "cell.py"
    cell.write_text("%%pyserve model m\n" + (engine.repository / model / "1" / "model.py").read_text())
    port = debug(engine, model, sources=[{"path": str(cell), "line": 2, "count": 17, "model_line": 1}]).json()["port"]
    with Debugger(port) as debugger:
        debugger.attach({cell: [RETURN_LINE + 1]})
        answer = engine.infer_later(model, values(1))
        frame = debugger.stopped()
        assert (frame["source"]["path"], frame["line"]) == (str(cell), RETURN_LINE + 1)
        debugger.go_on(frame)
        assert outputs(answer.result())["OUTPUT0"].tolist() == [2]


def test_requests_that_wait_behind_a_breakpoint_do_not_time_out(engine: Engine) -> None:
    model = loaded(engine, "paced", extra=QUEUE_TIMEOUT)
    file = engine.repository / model / "1" / "model.py"
    with Debugger(debug(engine, model).json()["port"]) as debugger:
        debugger.attach({file: [RETURN_LINE]})
        first = engine.infer_later(model, {"INPUT0": np.ones((1, 1), np.float32)})
        frame = debugger.stopped()
        second = engine.infer_later(model, {"INPUT0": np.ones((1, 1), np.float32)})
        wait_until(lambda: engine.model(model)["versions"][0]["outstanding"] == 2, "the second waits")
        debugger.value(frame, "__import__('time').sleep(0.1)")  # a hundred times what it may wait
        debugger.ask("setBreakpoints", source={"path": str(file)}, breakpoints=[])
        debugger.go_on(frame)
        assert first.result().status == 200
        assert second.result().status == 200


def test_a_debugged_process_is_replaced_at_the_end(engine: Engine) -> None:
    model = loaded(engine, "paced")
    debug(engine, model)
    (before,) = engine.pids(model)
    undebug(engine, model)
    (row,) = engine.instances(model)
    assert row["debug"] is None
    assert row["pid"] != before
    undebug(engine, model)
    assert engine.pids(model) == [row["pid"]], "one that was not debugged is left alone"
    assert outputs(engine.infer(model, values(1)))["OUTPUT0"].tolist() == [2]


def test_what_cannot_be_debugged(engine: Engine) -> None:
    model = loaded(engine, "paced")
    assert debug(engine, model, "nobody").error == f"model '{model}' has no instance 'nobody' (there are: {model}_0_0)"
    assert debug(engine, "unknown").error == "Request for unknown model: 'unknown' is not found"
    assert debug(engine, model, port=70000).status == 400
    assert debug(engine, model, sources=[{"path": 1}]).status == 400
