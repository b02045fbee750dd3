from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest

import jupyter_pyserve as pyserve
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook import aio
from tests.unit.notebook.fake_engine import Answer, FakeEngine, Request

#: What needs no loop, or has a way of its own with one.
SYNC_ONLY = {"aio", "asarray", "connect", "empty", "model", "servers"}


def is_widget(function: Callable[..., Any]) -> bool:
    """One that is made at once, and works in the front end."""
    return function.__module__.startswith("jupyter_pyserve.notebook.widgets")


def test_every_function_has_its_counterpart() -> None:
    """A new function of the notebook is awaitable, too, or says here why not."""
    found = {name: getattr(pyserve, name) for name in pyserve.__all__}
    functions = {name for name, value in found.items() if inspect.isfunction(value) and not is_widget(value)}
    assert functions - SYNC_ONLY == {name for name in functions | SYNC_ONLY if hasattr(aio, name)}


def test_the_loop_goes_on_meanwhile(engine: FakeEngine) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> Answer:
        asked.set()
        assert go_on.wait(10)
        return Answer()

    engine.answers["POST /api/models/add_one/scale"] = slow

    async def main() -> str:
        scaling = asyncio.ensure_future(pyserve.aio.scale("add_one", 2))
        await asyncio.to_thread(asked.wait, 10)
        go_on.set()  # by the loop, which is free
        return (await scaling).name

    assert asyncio.run(main()) == "add_one"


def test_errors_come_as_they_are(engine: FakeEngine) -> None:
    with pytest.raises(PyServeError, match="unknown model: 'x'"):
        asyncio.run(pyserve.aio.status("x"))
