from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_pyserve.notebook.widgets import api


@pytest.mark.parametrize(
    ("view", "facts"),
    [
        (lambda: api.monitor("m", interval_s=2.0), {"name": "m", "interval_s": 2.0}),
        (lambda: api.log_viewer("m", tail=7), {"name": "m", "_tail": 7}),
        (
            lambda: api.bench_widget("m", 3, 0.5, {"X": 1}, via="http", version=2, batch_size=4, timeout_s=9.0),
            {
                "name": "m",
                "_options": {
                    "concurrency": 3,
                    "duration_s": 0.5,
                    "inputs": {"X": 1},
                    "via": "http",
                    "version": 2,
                    "batch_size": 4,
                    "timeout_s": 9.0,
                },
            },
        ),
    ],
    ids=["monitor", "log_viewer", "bench_widget"],
)
def test_an_engine_of_the_kernel_s_own_is_started_before_a_thread_asks(
    view: Callable[[], object], facts: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(api, "default_client", lambda: started.append(None))
    made = view()
    assert len(started) == 1
    assert {name: getattr(made, name) for name in facts} == facts
