from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.watching.rows import engine_figures, instance_row, memory_row
from jupyter_pyserve.engine.watching.sampler import Process, Sample
from jupyter_pyserve.engine.watching.tally import Tally
from jupyter_pyserve.model.lifecycle import AdmissionState, StubState
from jupyter_pyserve.telemetry.gpu_processes import GpuShare
from jupyter_pyserve.telemetry.machine import MachineFacts
from jupyter_pyserve.telemetry.processes import ProcessFacts


def row(sample: Sample | None = None, **changes: Any) -> dict[str, Any]:
    tally = Tally()
    tally.add(2, 3_000_000)
    facts = {
        "name": "m_0",
        "pid": os.getpid(),
        "state": StubState.READY,
        "spec": SimpleNamespace(kind="CPU"),
        "greeting": SimpleNamespace(interpreter="/env/bin/python", python="3.9.18"),
        "requests": 3,
        "failures": 1,
        "in_flight": [],
        "executing_since_ns": 0,
        "responses": SimpleNamespace(capacity=4096),
        "debug_port": 0,
        "process": SimpleNamespace(status=lambda: None, started_at=time.time() - 9, start_ticks=77),
        "tally": tally,
        "admission": SimpleNamespace(open=True, state=AdmissionState.OPEN),
        **changes,
    }
    owner = SimpleNamespace(version=2, restarts={"m_0": 7}, last_exits={"m_0": "fell over"}, last_error="")
    return instance_row(cast(Any, SimpleNamespace(**facts)), cast(Any, owner), sample)


def test_an_idle_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1009.0)
    told = row()
    assert told.pop("rss_bytes") > 1 << 20
    assert told == {
        "id": "m_0",
        "name": "m_0",
        "version": "2",
        "pid": os.getpid(),
        "state": "READY",
        "kind": "CPU",
        "interpreter": "/env/bin/python",
        "python": "3.9.18",
        "requests": 3,
        "failures": 1,
        "restarts": 7,
        "last_exit": "fell over",
        "draining": False,
        "admission": "OPEN",
        "start_ticks": 77,
        "started_at": 1000.0,
        "uptime_s": 9.0,
        "latency_ms": {"p50": 3.0, "p99": 3.0},
        "batch_sizes": {"2": 1},
        **dict.fromkeys(("pss_bytes", "uss_bytes", "cpu_percent", "threads", "fds", "gpu")),
        "unavailable": {},
        "busy_since_s": None,
        "current_request": None,
        "arena_bytes": 4096,
        "arena_used_bytes": None,
        "debug": None,
        "last_error": None,
    }


def test_an_instance_that_a_debugger_may_attach_to_says_where() -> None:
    assert row(debug_port=4711)["debug"] == {"port": 4711}


def test_a_busy_instance_says_with_what_and_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: 9_000_000_000)
    told = row(in_flight=[[SimpleNamespace(id="call-7")]], executing_since_ns=4_000_000_000)
    assert told["current_request"] == "call-7"
    assert told["busy_since_s"] == 5
    assert row(in_flight=[[SimpleNamespace(id="")]])["current_request"] is None


def test_what_the_stub_says_of_its_memory() -> None:
    page = SimpleNamespace(status=lambda: SimpleNamespace(arena_used=99), started_at=0.0, start_ticks=None)
    told = row(process=page)
    assert told["arena_used_bytes"] == 99
    assert (told["started_at"], told["uptime_s"]) == (None, None)


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert row(pid=2**22 + 1)["rss_bytes"] is None


def test_a_stub_that_has_not_said_what_it_runs_has_no_interpreter() -> None:
    told = row(greeting=SimpleNamespace(interpreter="", python=""))
    assert (told["interpreter"], told["python"]) == (None, None)


def test_what_was_sampled() -> None:
    facts = ProcessFacts(rss_bytes=5, pss_bytes=4, threads=3, unavailable={"fds": "no"})
    share = GpuShare(device=1, uuid="GPU-1", nbytes=6)
    told = row(Sample(processes={Process(os.getpid(), 77): facts}, gpus={os.getpid(): [share]}))
    assert (told["rss_bytes"], told["pss_bytes"], told["threads"], told["fds"]) == (5, 4, 3, None)
    assert told["gpu"] == [{"device": 1, "uuid": "GPU-1", "bytes": 6}]
    assert told["unavailable"] == {"fds": "no"}


def test_another_process_with_the_same_number_is_not_this_one() -> None:
    facts = ProcessFacts(rss_bytes=5)
    assert row(Sample(processes={Process(os.getpid(), 78): facts}))["rss_bytes"] is None


def test_why_there_is_no_gpu() -> None:
    told = row(Sample(no_gpus="no driver"))
    assert (told["gpu"], told["unavailable"]) == (None, {"gpu": "no driver"})


def test_figures_of_the_engine() -> None:
    facts = {Process(os.getpid(), None): ProcessFacts(cpu_percent=1.5, pss_bytes=7)}
    sample = Sample(processes=facts, host=MachineFacts(0.25, 100, 40))
    host = {"cpu_percent": 25.0, "memory_used_bytes": 40, "memory_total_bytes": 100}
    assert engine_figures(sample, host_too=True) == {"cpu_percent": 1.5, "pss_bytes": 7, "host": host}
    assert engine_figures(sample, host_too=False)["host"] is None
    assert engine_figures(None, host_too=True) == {"cpu_percent": None, "pss_bytes": None, "host": None}


def test_memory_of_requests() -> None:
    arena = SimpleNamespace(capacity=100, used=7)
    told = memory_row(cast(Any, SimpleNamespace(outstanding=2, arena=arena)))
    assert told == {"outstanding": 2, "arena_bytes": 100, "arena_used_bytes": 7}
    assert memory_row(None) == {}
