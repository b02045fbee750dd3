from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any, cast

from jupyter_pyserve.engine.rows import instance_row, memory_row
from jupyter_pyserve.model.lifecycle import StubState


def row(**changes: Any) -> dict[str, Any]:
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
        "status": lambda: None,
        **changes,
    }
    owner = SimpleNamespace(version=2, restarts={"m_0": 7}, last_error="")
    return instance_row(cast(Any, SimpleNamespace(**facts)), cast(Any, owner))


def test_an_idle_instance() -> None:
    told = row()
    assert told.pop("rss_bytes") > 1 << 20
    assert told == {
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
        "busy_since_s": None,
        "current_request": None,
        "arena_bytes": 4096,
        "arena_used_bytes": None,
        "debug": None,
        "last_error": None,
    }


def test_an_instance_that_a_debugger_may_attach_to_says_where() -> None:
    assert row(debug_port=4711)["debug"] == {"port": 4711}


def test_a_busy_instance_says_with_what_and_since_when() -> None:
    began = time.monotonic_ns() - 5_000_000_000
    told = row(in_flight=[[SimpleNamespace(id="call-7")]], executing_since_ns=began)
    assert told["current_request"] == "call-7"
    assert told["busy_since_s"] >= 5
    assert row(in_flight=[[SimpleNamespace(id="")]])["current_request"] is None


def test_what_the_stub_says_of_its_memory() -> None:
    assert row(status=lambda: SimpleNamespace(arena_used=99))["arena_used_bytes"] == 99


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert row(pid=2**22 + 1)["rss_bytes"] is None


def test_a_stub_that_has_not_said_what_it_runs_has_no_interpreter() -> None:
    told = row(greeting=SimpleNamespace(interpreter="", python=""))
    assert (told["interpreter"], told["python"]) == (None, None)


def test_memory_of_requests() -> None:
    arena = SimpleNamespace(capacity=100, used=7)
    told = memory_row(cast(Any, SimpleNamespace(outstanding=2, arena=arena)))
    assert told == {"outstanding": 2, "arena_bytes": 100, "arena_used_bytes": 7}
    assert memory_row(None) == {}
