"""Streams of responses over a lane, from a decoupled model with a real process."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import numpy as np
import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.lane.client import Lane
from jupyter_pyserve.v2.request_options import RequestOptions
from tests.process.client import command
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.waiting import wait_until


@pytest.fixture
def many(engine: Engine) -> str:
    """A decoupled model that counts to the first number of its data."""
    return loaded(engine, "many")


@pytest.fixture
def lane(engine: Engine) -> Iterator[Lane]:
    made = engine.lane()
    yield made
    made.close()


@pytest.mark.parametrize(("do", "expected"), [("count", [0, 1, 2]), ("last", [0, 1, 2]), ("nothing", [])])
def test_responses_one_by_one(lane: Lane, many: str, do: str, expected: list[int]) -> None:
    stream = lane.stream(many, command(do, [3]), RequestOptions(outputs=("RESULT",)))
    assert [int(item["RESULT"][0]) for item in stream] == expected
    assert list(stream) == []


def test_many_responses(lane: Lane, many: str) -> None:
    total = sum(float(item["RESULT"][0]) for item in lane.stream(many, command("count", [5000])))
    assert total == sum(range(5000))


def test_a_failure_in_its_turn(lane: Lane, many: str) -> None:
    stream = lane.stream(many, command("fail", [2]))
    assert [int(next(stream)["RESULT"][0]) for _ in range(2)] == [0, 1]
    with pytest.raises(PyServeError, match=r"^enough$") as failed:
        next(stream)
    assert failed.value.code is Code.UNAVAILABLE
    assert list(stream) == []


def test_several_at_once_in_coroutines(lane: Lane, many: str) -> None:
    async def count(number: int) -> float:
        return sum([float(item["RESULT"][0]) async for item in lane.stream(many, command("count", [number]))])

    async def main() -> list[float]:
        return await asyncio.gather(*map(count, range(1, 30)))

    assert asyncio.run(main()) == [sum(range(number)) for number in range(1, 30)]


@pytest.mark.parametrize("ending", ["closed", "dropped", "left"])
def test_who_wants_no_more_says_so(engine: Engine, lane: Lane, many: str, ending: str) -> None:
    stream = lane.stream(many, command("until_cancelled", [0]))
    next(stream)
    if ending == "closed":
        stream.close()
        assert list(stream) == []
    elif ending == "left":
        with stream:
            pass
    del stream
    gc.collect()
    wait_until(lambda: not engine.model(many)["versions"][0]["outstanding"], "the model has stopped")


def test_one_answer_is_a_short_stream(lane: Lane, puppet: str) -> None:
    (answer,) = lane.stream(puppet, command("plus_one", [1, 2]))
    np.testing.assert_array_equal(answer["RESULT"], [2, 3])


def test_a_call_of_a_decoupled_model_is_refused(engine: Engine, lane: Lane, many: str) -> None:
    assert engine.model(many)["decoupled"]
    with pytest.raises(PyServeError, match="is decoupled and may answer any number of times") as refused:
        lane.infer(many, command("count", [1]))
    assert refused.value.code is Code.UNSUPPORTED


def test_a_response_that_does_not_come(engine: Engine, lane: Lane, many: str) -> None:
    gate = engine.gate()
    stream = lane.stream(many, command("hold", [0], gate=str(gate)))
    next(stream)
    stream._timeout_s = 0.01
    with pytest.raises(TimeoutError):
        next(stream)
    gate.open()
    wait_until(lambda: not engine.model(many)["versions"][0]["outstanding"], "it has ended")
    assert list(stream) == []
