from __future__ import annotations

from typing import Any

from jupyter_pyserve.notebook.widgets.watched import MAX_POINTS, Watched


def instance(name: str = "add_0", **changes: object) -> dict[str, Any]:
    row = {"id": name, "name": name, "version": "1", "state": "READY", "pid": 7, "requests": 1, "failures": 0}
    figures = {"pss_bytes": 100, "cpu_percent": 2.0, "gpu": None, "unavailable": {"gpu": "no driver"}}
    return {**row, "restarts": 0, "latency_ms": {"p50": 1.0, "p99": 2.0}, **figures, **changes}


def model(name: str = "add", *instances: dict[str, Any], success: int = 1) -> dict[str, Any]:
    statistics = {"success": success, "failure": 0, "rejected": 0, "batch_sizes": {"1": success}}
    return {
        "name": name,
        "state": "READY",
        "reason": "",
        "queue_depth": 0,
        "statistics": statistics,
        "latency_ms": {"p50": 1.0, "p99": 2.0},
        "instances": list(instances or (instance(f"{name}_0"),)),
    }


def snapshot(*models: dict[str, Any]) -> dict[str, Any]:
    return {"type": "snapshot", "status": {"engine": {"state": "READY", "pid": 1}, "models": list(models)}}


def delta(**models: object) -> dict[str, Any]:
    return {"type": "delta", "models": models}


def test_a_snapshot_is_all_news() -> None:
    watched = Watched()
    change = watched.apply(snapshot(model()), 10.0)["add"]
    assert change["state"] == "READY"
    assert change["instances"]["add_0"]["memory"] == 100
    assert change["instances"]["add_0"]["why"] == {"gpu": "no driver"}
    assert change["points"] == [[10.0, 0.0, 1.0, 2.0, 2.0, 100]]
    assert watched.engine["pid"] == 1


def test_a_delta_tells_what_it_changes() -> None:
    watched = Watched()
    watched.apply(snapshot(model()), 10.0)
    statistics = {**model()["statistics"], "success": 5}
    event = delta(add={"statistics": statistics, "instances": {"add_0": {"requests": 5}}})
    change = watched.apply(event, 12.0)["add"]
    assert change["instances"] == {"add_0": {"requests": 5}}
    assert change["success"] == 5
    assert "state" not in change
    assert change["points"][0][:2] == [12.0, 2.0]  # 4 more in 2 s


def test_a_delta_may_be_of_the_engine() -> None:
    watched = Watched()
    watched.apply(snapshot(model()), 10.0)
    assert watched.apply({"type": "delta", "engine": {"pid": 5}}, 11.0) == {}
    assert (watched.engine["pid"], watched.engine["state"]) == (5, "READY")


def test_what_was_silent_for_long_had_no_requests_meanwhile() -> None:
    watched = Watched()
    watched.apply(snapshot(model()), 10.0)
    change = watched.apply(delta(add={"statistics": {**model()["statistics"], "success": 4}}), 60.0)["add"]
    assert [point[:2] for point in change["points"]] == [[59.0, 0.0], [60.0, 3.0]]


def test_what_is_gone_is_none() -> None:
    watched = Watched()
    watched.apply(snapshot(model("add", instance("a"), instance("b")), model("other")), 1.0)
    changes = watched.apply(delta(add={"instances": {"b": None}}, other=None), 2.0)
    assert changes["add"]["instances"] == {"b": None}
    assert changes["other"] is None
    assert set(watched.everything()) == {"add"}
    assert watched.apply(snapshot(), 3.0) == {"add": None}


def test_only_one_model_may_be_wanted() -> None:
    watched = Watched("add")
    assert set(watched.apply(snapshot(model(), model("other")), 1.0)) == {"add"}
    assert watched.apply(delta(other={"state": "UNAVAILABLE"}), 2.0) == {}


def test_history_is_bounded_and_told_to_newcomers() -> None:
    watched = Watched()
    watched.apply(snapshot(model()), 0.0)
    for number in range(1, 2 * MAX_POINTS):
        watched.apply(delta(add={"queue_depth": number}), float(number))
    points = watched.everything()["add"]["points"]
    assert len(points) == MAX_POINTS
    assert points[-1][0] == 2 * MAX_POINTS - 1


def test_a_process_that_is_new_after_a_restart_counts_from_nothing() -> None:
    watched = Watched()
    watched.apply(snapshot(model(success=100)), 1.0)
    change = watched.apply(snapshot(model(success=2)), 2.0)["add"]
    assert change["points"][0][1] == 0.0


def test_figures_that_nobody_has_are_none() -> None:
    watched = Watched()
    bare = {"name": "add", "state": "LOADING", "instances": [{"id": "a", "name": "a"}]}
    watched.apply(snapshot(bare), 1.0)
    row = watched.models["add"]["instances"]["a"]
    assert (row["p50_ms"], row["memory"], row["gpu"], row["why"]) == (None, None, None, {})
    assert watched.history["add"][-1].memory_nbytes is None
