from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable

import numpy as np
import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.address import Address
from jupyter_pyserve.notebook.client import Client
from jupyter_pyserve.notebook.connection import Connection
from jupyter_pyserve.notebook.http_lane import HEADER_LENGTH, HttpLane, model_path
from jupyter_pyserve.v2.request_options import RequestOptions
from tests.unit.notebook.fake_engine import Answer, FakeEngine, Request


def _echo(request: Request) -> Answer:
    """Each input back as an output, in binary form."""
    length = int(request.headers[HEADER_LENGTH])
    inputs = json.loads(request.body[:length])["inputs"]
    header = json.dumps({"model_name": "m", "model_version": "1", "outputs": inputs}).encode()
    return Answer(body=header + request.body[length:], headers={HEADER_LENGTH: str(len(header))})


@pytest.fixture
def lane(engine: FakeEngine) -> HttpLane:
    engine.answers["POST /v2/models/m/versions/2/infer"] = engine.answers["POST /v2/models/m/infer"] = _echo
    return HttpLane(Connection(Address(runtime_dir=engine.directory)))


ARRAYS: dict[str, Callable[[], np.ndarray[tuple[int, ...], np.dtype[np.generic]]]] = {
    "plain": lambda: np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": lambda: np.arange(6, dtype=np.int64).reshape(2, 3).T,
    "scalar": lambda: np.array(7, np.uint8),
    "empty": lambda: np.empty((0, 4), np.float64),
    "bytes": lambda: np.array([b"a", b"", b"\xff"], dtype=object),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_what_goes_in_comes_back(lane: HttpLane, kind: str) -> None:
    array = ARRAYS[kind]()
    answer = lane.infer("m", {"X": array})
    assert list(answer) == ["X"]
    assert (answer["X"].dtype, answer["X"].shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(answer["X"], array)


def test_options_are_sent(engine: FakeEngine, lane: HttpLane) -> None:
    options = RequestOptions(version="2", outputs=("Y",), request_id="7", parameters={"k": 1}, timeout_s=30.0)
    lane.infer("m", {"X": np.zeros(1)}, options)
    request = engine.last("/v2/models/m/versions/2/infer")
    header = json.loads(request.body[: int(request.headers[HEADER_LENGTH])])
    assert (header["id"], header["parameters"]["k"], header["outputs"][0]["name"]) == ("7", 1, "Y")


def test_an_error_of_the_engine_is_raised_as_it_is(engine: FakeEngine, lane: HttpLane) -> None:
    engine.answer("POST", "/v2/models/m/infer", status=400, json={"error": "unexpected inference input 'X'"})
    with pytest.raises(PyServeError, match="unexpected inference input 'X'") as caught:
        lane.infer("m", {"X": np.zeros(1)})
    assert caught.value.code is Code.INVALID_ARG


def test_several_at_once_without_holding_the_loop(lane: HttpLane) -> None:
    async def several() -> list[dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]]:
        return await asyncio.gather(*(lane.infer_async("m", {"X": np.full(2, n)}) for n in range(5)))

    assert [answer["X"].tolist() for answer in asyncio.run(several())] == [[n, n] for n in range(5)]


def test_memory_is_numpys_own(lane: HttpLane) -> None:
    assert lane.empty((2, 3), np.float32).shape == (2, 3)
    array = np.zeros(3)
    assert lane.asarray(array) is array
    lane.close()


def test_paths_are_quoted() -> None:
    assert model_path("a/b c", "1/2") == "/v2/models/a%2Fb%20c/versions/1%2F2"


def test_a_model_that_takes_too_long_is_told_as_on_a_lane(engine: FakeEngine) -> None:
    answered = threading.Event()

    def late(request: Request) -> Answer:
        assert answered.wait(30)
        return Answer()

    engine.answers["POST /v2/models/m/infer"] = late
    try:
        with pytest.raises(PyServeError, match=r"^model 'm' did not answer in time$"):
            Client(Address(runtime_dir=engine.directory)).infer("m", {}, RequestOptions(timeout_s=0.01))
    finally:
        answered.set()


def test_the_one_answer_of_a_stream(lane: HttpLane) -> None:
    async def gathered() -> list[int]:
        return [len(answer) async for answer in lane.stream("m", {"X": np.zeros(1)})]

    stream = lane.stream("m", {"X": np.zeros(1)})
    assert list(next(stream)) == ["X"]
    assert list(stream) == []
    assert asyncio.run(gathered()) == [1]
