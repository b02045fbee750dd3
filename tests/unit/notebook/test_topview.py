from __future__ import annotations

from typing import Any, cast

from jupyter_pyserve.notebook.payloads import EngineStatus
from jupyter_pyserve.notebook.topview import Top

ROW: dict[str, Any] = {"name": "m_0", "pid": 7, "state": "READY", "requests": 10, "failures": 1, "draining": False}


def status(host: object = None, **row: Any) -> EngineStatus:
    model = {"name": "m", "queue_depth": 3, "instances": [{**ROW, **row}, {**ROW, "name": "m_1", "pid": 8}]}
    return cast(EngineStatus, {"engine": {"host": host}, "models": [model, {"name": "other", "instances": []}]})


def test_what_a_look_shows() -> None:
    figures = {"cpu_percent": 42.4, "pss_bytes": 3 << 20, "latency_ms": {"p50": 1.234, "p99": 5.0}, "draining": True}
    shown = repr(Top(status(**figures), "m"))
    first, second = shown.splitlines()[1:]
    assert first.split() == [
        "m",
        "m_0",
        "7",
        "READY",
        "(draining)",
        "1.23",
        "ms",
        "5",
        "ms",
        "3",
        "42",
        "%",
        "3.0",
        "MiB",
        "1",
    ]
    assert second.split() == ["m", "m_1", "8", "READY", "1"]  # no figures, and the queue is said once


def test_a_rate_is_that_since_the_look_before() -> None:
    before = Top(status())
    assert " 15 " in repr(Top(status(requests=40), "m", before, 2.0))
    assert " 20 " not in repr(Top(status(requests=40, pid=9), "m", before, 2.0))  # another process


def test_nothing_runs_and_the_machine() -> None:
    host = {"cpu_percent": 12.4, "memory_used_bytes": 1 << 30, "memory_total_bytes": 1 << 31}
    assert repr(Top(status(host), "other")) == "no process runs\nmachine: 12 % of the processors, 1.0 GiB of 2.0 GiB"
    assert "no process runs" in Top(status(), "nobody")._repr_html_()
