"""Decoupled models with real stubs: any number of responses, from anywhere, at any time, and every request ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.process.inside import Inside, model_config, serving

Scenario = Callable[[Inside], Awaitable[None]]


def play(folder: Path, scenario: Scenario, body: str, **config: Any) -> None:
    async def run() -> None:
        async with serving(folder, body, model_config(**config)) as inside:
            await scenario(inside)
            await inside.settled()

    asyncio.run(run())


REPEAT = """
def execute(self, requests):
    for request in requests:
        sender = request.get_response_sender()
        for number in range(int(value(request))):
            sender.send(out(number))
        sender.send(flags=FINAL)
"""


@pytest.mark.parametrize("count", [0, 1, 3, 3000])
def test_any_number_of_responses(tmp_path: Path, count: int) -> None:
    async def scenario(inside: Inside) -> None:
        items = await inside.ask(count).all()
        assert [item.outputs["OUT"][0] for item in items[:-1]] == list(range(count))
        assert items[-1].bare
        assert items[-1].code is None

    play(tmp_path, scenario, REPEAT)
