from __future__ import annotations

import asyncio
import os
import sys
import types
import warnings
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import own_engine, sharing
from jupyter_pyserve.notebook.address import find_engine
from jupyter_pyserve.notebook.arrays import Array, DTypeLike
from jupyter_pyserve.notebook.client import Client, asarray, connect, default_client, empty
from jupyter_pyserve.notebook.functions.decorator import model
from jupyter_pyserve.notebook.http_lane import HttpLane
from jupyter_pyserve.v2.request_options import RequestOptions
from tests.unit.notebook.fake_engine import FakeEngine


class FakeLane:
    """A lane that adds one and remembers what it was asked."""

    opened: list[FakeLane]

    def __init__(self, path: str) -> None:
        self.path = path
        self.calls: list[tuple[str, dict[str, Array], RequestOptions]] = []
        self.failure: Exception | None = None
        self.closed = False

    @classmethod
    def connect(cls, path: str) -> FakeLane:
        cls.opened.append(cls(path))
        return cls.opened[-1]

    def infer(self, model: str, inputs: Mapping[str, Array], options: RequestOptions) -> dict[str, Array]:
        self.calls.append((model, dict(inputs), options))
        if self.failure is not None:
            raise self.failure
        return {name.replace("IN", "OUT"): array + 1 for name, array in inputs.items()}

    async def infer_async(self, model: str, inputs: Mapping[str, Array], options: RequestOptions) -> dict[str, Array]:
        return self.infer(model, inputs, options)

    def stream(self, model: str, inputs: Mapping[str, Array], options: RequestOptions) -> FakeAnswers:
        return FakeAnswers(self.infer(model, inputs, options), self)

    def empty(self, shape: int, dtype: DTypeLike) -> Array:
        return np.zeros(shape, dtype)

    def asarray(self, a: Array) -> Array:
        return np.array(a)

    def close(self) -> None:
        self.closed = True


class FakeAnswers:
    """The same answer for as long as the lane does not fail."""

    def __init__(self, answer: dict[str, Array], lane: FakeLane) -> None:
        self._answer = answer
        self._lane = lane
        self.closed = False

    def __next__(self) -> dict[str, Array]:
        if self._lane.failure is not None:
            raise self._lane.failure
        return self._answer

    async def __anext__(self) -> dict[str, Array]:
        return next(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def lanes(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> list[FakeLane]:
    FakeLane.opened = []
    (engine.directory / "lane.sock").touch()
    lane_module = types.ModuleType("jupyter_pyserve.transports.lane.client")
    monkeypatch.setattr(lane_module, "Lane", FakeLane, raising=False)
    monkeypatch.setitem(sys.modules, "jupyter_pyserve.transports.lane.client", lane_module)
    engine.answer("GET", "/v2/models/add_one", json=METADATA)
    return FakeLane.opened


def _lane_of(client: Client) -> object:
    return client.lane


METADATA = {"name": "add_one", "versions": ["1"], "inputs": [{"name": "IN", "datatype": "FP32", "shape": [-1]}]}


def test_a_call_goes_over_the_lane(engine: FakeEngine, lanes: list[FakeLane]) -> None:
    assert model("add_one")(IN=[1, 2])["OUT"].tolist() == [2.0, 3.0]
    assert [lane.path for lane in lanes] == [str(engine.directory / "lane.sock")]
    name, inputs, options = lanes[0].calls[0]
    assert inputs["IN"].dtype == np.float32
    assert (name, options.version) == ("add_one", "")


def test_a_call_without_blocking(lanes: list[FakeLane]) -> None:
    assert asyncio.run(model("add_one").infer_async(IN=1.0))["OUT"] == 2.0


def test_memory_comes_from_the_lane(lanes: list[FakeLane]) -> None:
    assert empty(3).dtype == np.float32
    assert empty((2, 2), "INT8").dtype == np.int8
    array = np.arange(3)
    assert asarray(array) is not array
    assert asarray([1, 2], "FP16").dtype == np.float16


def test_a_lost_engine_is_a_clear_error_and_the_next_call_finds_its_successor(lanes: list[FakeLane]) -> None:
    add_one = model("add_one")
    add_one(IN=1)
    lanes[0].failure = ConnectionError("gone")
    with pytest.raises(PyServeError, match="the engine went away during the request: gone") as caught:
        add_one(IN=1)
    assert caught.value.code is Code.UNAVAILABLE
    assert lanes[0].closed
    assert add_one(IN=1)["OUT"] == 2.0
    assert len(lanes) == 2
    lanes[1].failure = ConnectionResetError("again")
    with pytest.raises(PyServeError, match="went away"):
        asyncio.run(add_one.infer_async(IN=1))


def test_answers_that_come_one_by_one_end_with_a_clear_error(lanes: list[FakeLane]) -> None:
    answers = model("add_one").stream(IN=1)
    assert next(answers)["OUT"] == 2.0
    lanes[0].failure = TimeoutError()
    with pytest.raises(PyServeError, match="model 'add_one' did not answer in time"):
        next(answers)
    assert [lane.closed for lane in lanes] == [False]
    lanes[0].failure = ConnectionError("gone")
    with pytest.raises(PyServeError, match="the engine went away during the request: gone") as caught:
        asyncio.run(cast(Any, anext(answers)))
    assert caught.value.code is Code.UNAVAILABLE
    assert lanes[0].closed
    assert next(model("add_one").stream(IN=1))["OUT"] == 2.0


def test_answers_that_are_not_wanted_any_more(lanes: list[FakeLane]) -> None:
    with cast(Any, model("add_one").stream(IN=1)) as answers:
        assert [answer["OUT"].tolist() for answer, _ in zip(answers, range(2))] == [[2.0], [2.0]]
        assert answers.__aiter__() is answers
    assert answers._responses.closed


def test_a_lane_that_broke_while_idle_is_replaced_unnoticed(lanes: list[FakeLane]) -> None:
    add_one = model("add_one")
    add_one(IN=1)
    lanes[0].failure = BrokenPipeError("gone")
    assert add_one(IN=1)["OUT"] == 2.0
    lanes[1].failure = BrokenPipeError("gone")
    assert asyncio.run(add_one.infer_async(IN=1))["OUT"] == 2.0
    assert [lane.closed for lane in lanes] == [True, True, False]


def test_a_model_that_takes_too_long_leaves_the_lane_as_it_is(lanes: list[FakeLane]) -> None:
    add_one = model("add_one")
    add_one(IN=1)
    lanes[0].failure = TimeoutError()
    with pytest.raises(PyServeError, match="model 'add_one' did not answer in time"):
        add_one(IN=1)
    assert not lanes[0].closed


def test_an_engine_of_the_kernels_own_that_died_is_started_before_anything_connects(
    engine: FakeEngine, lanes: list[FakeLane], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sockets are this process's: without an engine, whoever connects would wait for ever."""
    started: list[int] = []
    client = Client(find_engine())
    client.is_own = True
    add_one = client.model("add_one")
    add_one(IN=1)
    lanes[0].failure = BrokenPipeError("gone")
    with monkeypatch.context() as own:
        own.setattr(own_engine, "is_wanted", lambda: True)
        own.setattr(own_engine, "ensure", lambda: started.append(len(lanes)))
        assert add_one(IN=1)["OUT"] == 2.0
        assert add_one.metadata == METADATA
    assert started == [1, 2]
    client.close()


def test_a_lane_that_is_not_there_for_now_is_looked_for_again(
    engine: FakeEngine, lanes: list[FakeLane], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> FakeLane:
        raise ConnectionRefusedError

    client = default_client()
    with monkeypatch.context() as down:
        down.setattr(FakeLane, "connect", refuse)
        assert isinstance(client.lane, HttpLane)
    assert _lane_of(client) is lanes[0]
    assert _lane_of(client) is lanes[0]


def test_a_forked_child_leaves_its_parents_connections_alone(
    engine: FakeEngine, lanes: list[FakeLane], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sharing._shared, "weights", cast(Any, types.SimpleNamespace(lane=None)))
    add_one = model("add_one")
    add_one(IN=1)
    client = default_client()
    http = client.connection
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads
        child = os.fork()
    if child == 0:
        answered = add_one(IN=1)["OUT"].tolist() == [2.0]
        apart = len(lanes) == 2 and client.connection is not http and not sharing._shared
        os._exit(0 if answered and apart else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert _lane_of(client) is lanes[0]


def test_without_a_lane_it_is_http(engine: FakeEngine) -> None:
    assert isinstance(default_client().lane, HttpLane)
    assert isinstance(Client(find_engine(url="http://localhost:1/pyserve")).lane, HttpLane)


def test_a_platform_without_lanes_uses_http(
    engine: FakeEngine, lanes: list[FakeLane], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jupyter_pyserve.transports.lane.client", None)
    assert isinstance(default_client().lane, HttpLane)


def test_the_default_is_kept_and_can_be_chosen(engine: FakeEngine) -> None:
    assert default_client() is default_client()
    chosen = connect(runtime_dir=engine.directory, token="t")
    assert default_client() is chosen
    assert str(engine.directory) in repr(chosen)


def test_a_forked_child_gets_a_client_of_its_own(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = connect(runtime_dir=engine.directory)
    parent_pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent_pid + 1)
    child = default_client()
    assert child is not parent
    assert child.address == parent.address


def test_closing_gives_the_lane_back(lanes: list[FakeLane]) -> None:
    client = default_client()
    client.model("add_one")(IN=1)
    client.close()
    assert lanes[0].closed
    client.close()
