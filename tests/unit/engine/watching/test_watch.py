from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.watching import watch as subject
from jupyter_pyserve.engine.watching.sampler import Process, Sample, Sampler
from jupyter_pyserve.engine.watching.watch import Watch


class Rig:
    """A watch over a status that a test changes, with a sampler that counts."""

    def __init__(self) -> None:
        self.samples = 0
        self.resting = False
        self.closed = False
        self.row: dict[str, Any] = {"name": "m", "depth": 0, "instances": [{"id": "m_0", "requests": 0}]}
        self.watch = Watch(cast(Sampler, self), engine=self._engine, models=self._models, processes=lambda: ())

    def _engine(self, sample: Sample | None) -> dict[str, Any]:
        return {"sampled": sample is not None}

    def _models(self, sample: Sample | None) -> Iterator[dict[str, Any] | None]:
        yield None
        yield {**self.row}

    async def sample(self, wanted: Iterable[Process]) -> Sample:
        self.samples += 1
        return Sample()

    def rest(self, kept_s: float) -> None:
        self.resting = True

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def looks_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "pause_s", lambda asked_s, cost_s: 0.001)


def told(line: bytes) -> Any:
    assert line.endswith(b"\n")
    return json.loads(line)


def test_the_first_line_and_the_next() -> None:
    async def scenario() -> None:
        rig = Rig()
        lines = rig.watch.lines(0.0)
        assert told(await anext(lines)) == {
            "type": "snapshot",
            "seq": 1,
            "status": {"engine": {"sampled": True}, "models": [rig.row]},
        }
        rig.row = {**rig.row, "depth": 2}
        assert told(await anext(lines)) == {"type": "delta", "seq": 2, "models": {"m": {"depth": 2}}}
        await lines.aclose()

    asyncio.run(scenario())


def test_silence_is_broken_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_PING_S", 0.0)

    async def scenario() -> None:
        lines = Rig().watch.lines(0.0)
        await anext(lines)
        assert told(await anext(lines)) == {"type": "ping", "seq": 2}
        await lines.aclose()

    asyncio.run(scenario())


def test_who_does_not_read_gets_one_line_for_all() -> None:
    async def scenario() -> None:
        rig = Rig()
        slow, quick = rig.watch.lines(0.0), rig.watch.lines(0.0)
        await anext(slow)
        await anext(quick)
        for depth in (1, 2, 3):
            rig.row = {**rig.row, "depth": depth}
            assert told(await anext(quick))["models"]["m"] == {"depth": depth}
        line = told(await anext(slow))
        assert (line["seq"], line["models"]) == (2, {"m": {"depth": 3}})
        await slow.aclose()
        await quick.aclose()

    asyncio.run(scenario())


def test_nothing_is_sampled_for_nobody() -> None:
    async def scenario() -> None:
        rig = Rig()
        assert rig.watch.now()["engine"] == {"sampled": False}
        assert rig.samples == 0
        lines = rig.watch.lines(0.0)
        await anext(lines)
        watched = [rig.watch.watched]
        await lines.aclose()
        assert [*watched, rig.watch.watched] == [True, False]
        taken = rig.samples
        for _ in range(20):
            await asyncio.sleep(0)
        assert rig.samples == taken
        assert rig.resting
        assert (await rig.watch.look())["engine"] == {"sampled": True}

    asyncio.run(scenario())


def test_the_end_is_the_end_of_every_stream() -> None:
    async def scenario() -> None:
        rig = Rig()
        lines = rig.watch.lines(60.0)
        await anext(lines)
        waiting = asyncio.ensure_future(anext(lines, None))
        await asyncio.sleep(0)
        rig.watch.close()
        assert await waiting is None
        assert rig.closed
        assert [line async for line in rig.watch.lines(1.0)] == []

    asyncio.run(scenario())


def test_the_first_line_waits_for_no_interval() -> None:
    async def scenario() -> None:
        lines = Rig().watch.lines(1e12)
        assert told(await anext(lines))["type"] == "snapshot"
        await lines.aclose()

    asyncio.run(scenario())


def test_a_look_that_fails_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        rig = Rig()
        look, failures = rig.sample, [OSError("too many open files")] * 2

        async def sample(wanted: Iterable[Process]) -> Sample:
            if failures:
                raise failures.pop()
            return await look(wanted)

        rig.sample = sample  # type: ignore[method-assign]
        lines = rig.watch.lines(1.0)
        assert told(await anext(lines))["type"] == "snapshot"
        await lines.aclose()

    asyncio.run(scenario())
    assert caplog.messages == ["the status could not be looked at"] * 2
