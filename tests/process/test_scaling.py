"""Instances come and go while a model serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from tests.process.inside import MODEL, Inside, model_config, serving

#: Answers what it is sent; refuses to start when the folder has a file `refuse`.
BODY = """
    def initialize(self, args):
        if os.path.exists(os.path.join(args["model_repository"], "..", "..", "refuse")):
            raise RuntimeError("no more of me")

    def execute(self, requests):
        return [out(value(request)) for request in requests]
"""


def play(folder: Path, scenario: Callable[[Inside], Awaitable[None]], extra: str = "") -> None:
    async def main() -> None:
        async with serving(folder, BODY, model_config(decoupled=False, extra=extra)) as inside:
            await scenario(inside)

    asyncio.run(main())


@pytest.mark.parametrize("extra", ["", "max_batch_size: 2 dynamic_batching { }"], ids=["default", "dynamic"])
def test_a_model_is_scaled(tmp_path: Path, extra: str) -> None:
    async def scenario(inside: Inside) -> None:
        servable, first = inside.servable, inside.instance
        asked = []
        for count in (3, 1, 2):
            asked += [inside.ask(number) for number in range(20)]
            await inside.service.scale(MODEL, count)
            asked += [inside.ask(number) for number in range(20)]
            assert (inside.servable is servable, len(servable.instances)) == (True, count)
            assert servable.instances[0] is first
        assert [await item.values() for item in asked] == [[number] for number in range(20)] * 6
        await inside.settled()

    play(tmp_path, scenario, extra)


def test_what_cannot_be_started_changes_nothing(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        (tmp_path / "refuse").touch()
        before = inside.servable.config
        with pytest.raises(PyServeError, match="scale failed for model 'm': RuntimeError: no more of me") as failure:
            await inside.service.scale(MODEL, 3)
        assert failure.value.code is Code.INVALID_ARG
        assert (len(inside.servable.instances), inside.servable.config) == (1, before)
        assert await inside.ask(4).values() == [4]

    play(tmp_path, scenario)


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_a_number_of_instances_that_no_model_has(tmp_path: Path, count: int) -> None:
    async def scenario(inside: Inside) -> None:
        with pytest.raises(PyServeError, match="can have from 1 to 1024 instances"):
            await inside.service.scale(MODEL, count)

    play(tmp_path, scenario)


def test_whoever_is_scaled_away_finishes_what_it_has(tmp_path: Path) -> None:
    async def scenario(inside: Inside) -> None:
        await inside.service.scale(MODEL, 2)
        asked = [inside.ask(number) for number in range(2)]  # one each
        _, second = inside.servable.instances
        assert second.in_flight
        await inside.service.scale(MODEL, 1)
        assert second not in inside.servable.instances
        assert [await item.values() for item in asked] == [[0], [1]]
        await inside.until(lambda: not second.alive, "it has gone")

    play(tmp_path, scenario)
