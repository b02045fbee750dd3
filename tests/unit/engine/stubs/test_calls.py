from __future__ import annotations

import asyncio

import pytest

from jupyter_pyserve.engine.stubs.calls import Calls
from jupyter_pyserve.engine.stubs.faults import StubDied, StubFault


def test_an_answer_reaches_who_asked() -> None:
    async def run() -> dict[str, object]:
        sent: list[bytes] = []
        calls = Calls(sent.append)
        asking = asyncio.ensure_future(calls.ask("load"))
        await asyncio.sleep(0)
        calls.answered({"id": 1, "ok": True, "config": "x"})
        return await asking

    assert asyncio.run(run())["config"] == "x"


def test_a_refusal_is_raised() -> None:
    async def run() -> None:
        calls = Calls(lambda data: None)
        asking = asyncio.ensure_future(calls.ask("load"))
        await asyncio.sleep(0)
        calls.answered({"id": 1, "ok": False, "text": "no"})
        await asking

    with pytest.raises(StubFault, match="no"):
        asyncio.run(run())


def test_an_answer_of_a_stub_that_has_ended_since_counts_as_its_end() -> None:
    async def run() -> None:
        calls = Calls(lambda data: None)
        asking = asyncio.ensure_future(calls.ask("initialize"))
        await asyncio.sleep(0)
        calls.answered({"id": 1, "ok": True})
        calls.end()  # before the one who asked has heard of it
        await asking

    with pytest.raises(StubDied):
        asyncio.run(run())
