from __future__ import annotations

from typing import Any

import pytest

from jupyter_pyserve.engine.watching.changes import delta, selected


def status(*models: dict[str, Any], **engine: Any) -> dict[str, Any]:
    return {"engine": {"pid": 1, **engine}, "models": list(models)}


def model(name: str, *instances: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"name": name, "state": "READY", **members, "instances": list(instances)}


def instance(name: str, **members: Any) -> dict[str, Any]:
    return {"id": name, "requests": 0, **members}


BEFORE = status(model("m", instance("m_0"), instance("m_1"), queue_depth=0), model("n", instance("n_0")), cpu=1.0)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (BEFORE, {}),
        (status(*BEFORE["models"], cpu=2.0), {"engine": {"cpu": 2.0}}),
        (status(*BEFORE["models"], cpu=None), {"engine": {"cpu": None}}),
        (status(BEFORE["models"][0], cpu=1.0), {"models": {"n": None}}),
        (
            status(*BEFORE["models"], model("o", instance("o_0")), cpu=1.0),
            {"models": {"o": {"name": "o", "state": "READY", "instances": {"o_0": {"id": "o_0", "requests": 0}}}}},
        ),
        (
            status(model("m", instance("m_0"), instance("m_1"), queue_depth=3), BEFORE["models"][1], cpu=1.0),
            {"models": {"m": {"queue_depth": 3}}},
        ),
        (
            status(model("m", instance("m_1", requests=4), instance("m_2"), queue_depth=0), model("n"), cpu=1.0),
            {
                "models": {
                    "m": {"instances": {"m_0": None, "m_1": {"requests": 4}, "m_2": {"id": "m_2", "requests": 0}}},
                    "n": {"instances": {"n_0": None}},
                }
            },
        ),
    ],
    ids=["nothing", "engine", "to none", "gone", "new", "member", "instances"],
)
def test_what_is_told(now: dict[str, Any], told: dict[str, Any]) -> None:
    assert delta(BEFORE, now) == told


def test_time_passing_is_no_news() -> None:
    old, new = (status(model("m", instance("m_0", uptime_s=seconds))) for seconds in (1, 2))
    assert delta(old, new) == {}


def test_only_what_is_wanted() -> None:
    now = status(model("m", queue_depth=1), model("n", queue_depth=1))
    assert list(delta(BEFORE, now, ("n",))["models"]) == ["n"]
    assert selected(now, ("n", "nobody")) == status(model("n", queue_depth=1))
    assert selected(now, None) is now
