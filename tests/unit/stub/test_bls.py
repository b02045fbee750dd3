from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub.bls import Calls
from pyserve_stub.messages import InferenceRequest
from pyserve_stub.session import Hold
from pyserve_stub.tensors import Tensor
from pyserve_stub.wire import frames
from pyserve_stub.wire.layout import TensorMeta, WireError, decode_layout, encode_layout

from tests.unit.stub.peer import Peer, started

ONE = np.array([1.5], np.float32)
ANSWER = encode_layout([TensorMeta("OUT", 11, (1,))])


class Engine(Peer):
    """The test answers what a model asks."""

    def __init__(self) -> None:
        super().__init__()
        self.arena = self.give(1 << 16, arena="responses")
        self.theirs = self.give(1 << 16)
        self.calls = Calls(self.session)

    def asked(self) -> Any:
        """The next request: the flags of its frame, what it is, and what was given back with it."""
        data = self.next()
        assert data[0] == frames.INFER
        (request,), returned = frames.decode_execute(data)
        return data[1], frames.RequestFrame(*request), returned

    def answer(self, key: int, *, flags: int = frames.FINAL, lease: int = 7, offset: int = 0, segment: int = 0) -> None:
        descriptor = (segment or self.theirs, offset, 4, lease)
        self.memory[self.theirs][offset : offset + 4] = np.float32(2.5).tobytes()
        self.sock.send(frames.encode_responses([(key, 0, flags, ANSWER, b"", [descriptor])]))

    def fail(self, key: int, code: int, text: str, flags: int = frames.FINAL) -> None:
        self.sock.send(frames.encode_responses([(key, code + 1, flags, b"", text.encode(), ())]))


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


def request(*inputs: Any, model: str = "callee", **options: Any) -> InferenceRequest:
    tensors = [
        item if isinstance(item, pb_utils.Tensor) else pb_utils.Tensor(f"IN{index}", item)
        for index, item in enumerate(inputs)
    ]
    return InferenceRequest(inputs=tensors, requested_output_names=["OUT"], model_name=model, **options)


def value(response: Any) -> float:
    assert not response.has_error(), response.error().message()
    return float(response.output_tensors()[0].as_numpy()[0])


def test_a_request_that_cannot_be_told_of_leaves_nothing_in_the_arena(engine: Engine) -> None:
    engine.session.poll()
    asked = request(ONE, pb_utils.Tensor("x" * 70_000, ONE))
    with pytest.raises(WireError, match="too large"):
        engine.calls.exec(asked, False)
    assert engine.session.arena_used == 0
    assert engine.session.arena_capacity > 0


def test_an_array_is_copied_into_the_arena_and_the_answer_read_where_it_is(engine: Engine) -> None:
    thread, results = started(lambda: engine.calls.exec(request(ONE), False))
    flags, asked, returned = engine.asked()
    assert (flags, returned) == (0, ())  # it was not the main thread that called
    assert json.loads(asked.meta) == {"model": "callee", "outputs": ["OUT"]}
    assert decode_layout(asked.layout) == (TensorMeta("IN0", 11, (1,)),)
    ((segment, offset, nbytes, block),) = asked.descriptors
    assert (segment, nbytes) == (engine.arena, 4)
    assert 0 < block < frames.OF_REQUEST
    assert engine.bytes_at((segment, offset, nbytes, 0)) == ONE.tobytes()
    engine.answer(asked.key, offset=64)
    thread.join()
    array = results[0].output_tensors()[0].as_numpy()
    engine.memory[engine.theirs][64:68] = np.float32(9).tobytes()
    assert array[0] == 9
    assert array.flags.writeable


def test_facts_of_a_request(engine: Engine) -> None:
    asked = request(
        ONE, model_version=3, request_id="id", correlation_id="c", flags=1, timeout=5, parameters={"p": 1, "q": "x"}
    )
    thread, _ = started(lambda: engine.calls.exec(asked, True))
    _, frame, _ = engine.asked()
    assert json.loads(frame.meta) == {
        "model": "callee",
        "outputs": ["OUT"],
        "version": "3",
        "decoupled": True,
        "id": "id",
        "correlation_id": "c",
        "flags": 1,
        "timeout_us": 5,
        "parameters": {"p": 1, "q": "x"},
    }
    engine.answer(frame.key)
    thread.join()


def test_equal_facts_are_the_same_bytes(engine: Engine) -> None:
    asked = []
    for _ in range(2):
        thread, _ = started(lambda: engine.calls.exec(request(ONE), False))
        asked.append(engine.asked()[1])
        engine.answer(asked[-1].key)
        thread.join()
    assert asked[0].meta == asked[1].meta
    assert asked[0].key != asked[1].key


def test_inputs_of_a_request_are_pointed_at(engine: Engine) -> None:
    hold = Hold(engine.session, 77)
    memory, _ = engine.session.segments.lend(engine.theirs, 128, 16, hold)
    tensor = Tensor._from_memory("IN", 11, (4,), memory, True)
    part = pb_utils.Tensor("PART", tensor.as_numpy()[1:3])
    del hold, memory
    thread, results = started(lambda: engine.calls.exec(request(tensor, part), False))
    _, asked, _ = engine.asked()
    name = frames.OF_REQUEST | 77
    assert list(asked.descriptors) == [(engine.theirs, 128, 16, name), (engine.theirs, 132, 8, name)]
    # What lies there is the model's by another name: it gets a copy.
    engine.answer(asked.key, offset=132)
    thread.join()
    array = results[0].output_tensors()[0].as_numpy()
    engine.memory[engine.theirs][132:136] = bytes(4)
    assert array[0] == 2.5


def test_answers_are_pointed_at_and_given_back(engine: Engine) -> None:
    thread, results = started(lambda: engine.calls.exec(request(ONE), False))
    engine.answer(engine.asked()[1].key, lease=5)
    thread.join()
    tensors = results.pop().output_tensors()
    thread, results = started(lambda: engine.calls.exec(request(*tensors), False))
    _, asked, returned = engine.asked()
    assert list(asked.descriptors) == [(engine.theirs, 0, 4, frames.OF_ANSWER | 5)]
    assert returned == ()
    engine.answer(asked.key, lease=0)
    thread.join()
    tensors.clear()
    gc.collect()
    thread, results = started(lambda: engine.calls.exec(request(), False))
    _, asked, returned = engine.asked()
    assert returned == (5,)
    engine.answer(asked.key, lease=0)
    thread.join()


def test_memory_of_somebody_else_is_copied(engine: Engine) -> None:
    memory, _ = engine.session.segments.lend(engine.theirs, 0, 4, object())
    tensor = Tensor._from_memory("IN", 11, (1,), memory, True)
    thread, _ = started(lambda: engine.calls.exec(request(tensor), False))
    _, asked, _ = engine.asked()
    assert asked.descriptors[0][0] == engine.arena
    engine.answer(asked.key)
    thread.join()


def test_nothing_lies_nowhere(engine: Engine) -> None:
    thread, _ = started(lambda: engine.calls.exec(request(np.zeros(0, np.float32), np.zeros(0, object)), False))
    _, asked, _ = engine.asked()
    assert list(asked.descriptors) == [(0, 0, 0, 0)] * 2
    engine.answer(asked.key)
    thread.join()


def test_failures_are_returned(engine: Engine) -> None:
    thread, results = started(lambda: engine.calls.exec(request(ONE), False))
    engine.fail(engine.asked()[1].key, 4, "not now")
    thread.join()
    error = results[0].error()
    assert (error.code(), error.message()) == (pb_utils.TritonError.UNAVAILABLE, "not now")
    thread, results = started(lambda: engine.calls.exec(request(ONE), False))
    engine.fail(engine.asked()[1].key, 4, "too many", frames.FINAL | frames.REFUSED)
    thread.join()
    error = results[0].error()
    assert error.code() == pb_utils.TritonError.INTERNAL
    assert error.message() == "Model callee - Error when running inference: too many"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (request(pb_utils.Tensor("A", ONE), pb_utils.Tensor("A", ONE)), "[request id: <id_unknown>] input 'A' already"),
        (request(ONE, parameters={"n": -(2**63) - 1}), "Unsupported value type on parameters"),
    ],
)
def test_what_is_not_even_asked(engine: Engine, asked: InferenceRequest, text: str) -> None:
    response: Any = engine.calls.exec(asked, False)
    assert response.error().message().startswith(f"Model callee - Error when running inference: {text}")
    assert engine.told() == []


def test_responses_one_by_one(engine: Engine) -> None:
    thread, results = started(lambda: engine.calls.exec(request(ONE), True))
    key = engine.asked()[1].key
    engine.answer(key, flags=0, lease=1)
    thread.join()
    iterator = results.pop()
    engine.answer(key, flags=0, lease=2)
    engine.sock.send(frames.encode_responses([(key, 0, frames.FINAL | frames.BARE, b"", b"", ())]))
    assert [len(item.output_tensors()) for item in iterator] == [1, 1, 0]
    iterator.cancel()
    assert engine.told() == []  # it had ended


def test_a_stream_is_cancelled(engine: Engine) -> None:
    thread, results = started(lambda: engine.calls.exec(request(ONE), True))
    key = engine.asked()[1].key
    engine.answer(key, flags=0)
    thread.join()
    results.pop().cancel()
    assert engine.told() == [frames.encode_keys(frames.CANCEL, (key,))]


def test_what_follows_for_a_dropped_iterator_goes_back(engine: Engine) -> None:
    thread, results = started(lambda: engine.calls.exec(request(ONE), True))
    key = engine.asked()[1].key
    engine.answer(key, flags=0, lease=1)
    thread.join()
    results.clear()
    gc.collect()
    engine.answer(key, flags=0, lease=2)
    engine.answer(key, lease=3)
    engine.session.poll()
    gc.collect()
    assert sorted(engine.calls._returns.take()) == [1, 2, 3]
    assert not engine.calls._open


def test_coroutines(engine: Engine) -> None:
    async def main() -> list[float]:
        futures = [engine.calls.async_exec(request(ONE), False) for _ in range(3)]
        keys = [engine.asked()[1].key for _ in futures]
        for key in reversed(keys):
            engine.answer(key, lease=0)
        return [value(await future) for future in futures]

    assert asyncio.run(main()) == [2.5] * 3
    assert engine.session._watching == {}


def test_a_future_that_is_cancelled_cancels_its_call(engine: Engine) -> None:
    async def main() -> int:
        future = engine.calls.async_exec(request(ONE), False)
        key: int = engine.asked()[1].key
        future.cancel()
        await asyncio.sleep(0)
        return key

    key = asyncio.run(main())
    assert engine.told() == [frames.encode_keys(frames.CANCEL, (key,))]
    engine.answer(key, lease=4)
    engine.session.poll()
    gc.collect()
    assert list(engine.calls._returns.take()) == [4]


def test_a_loop_that_is_gone_is_no_problem(engine: Engine) -> None:
    async def main() -> int:
        engine.calls.async_exec(request(ONE), False)
        return int(engine.asked()[1].key)

    key = asyncio.run(main())
    engine.answer(key, lease=4)
    engine.session.poll()
    assert not engine.calls._open


def test_the_engine_goes_away(engine: Engine) -> None:
    async def main() -> Any:
        future = engine.calls.async_exec(request(ONE), False)
        engine.sock.close()
        return await future

    responses: list[Any] = [asyncio.run(main()), engine.calls.exec(request(ONE), False)]
    for response in responses:
        assert response.error().message() == "An error occurred while performing BLS request."


def test_calls_of_the_main_thread_are_waited_for(engine: Engine) -> None:
    def answer() -> int:
        flags, asked, _ = engine.asked()
        engine.answer(asked.key)
        return int(flags)

    for waited_for in (False, True):
        thread, results = started(answer)
        engine.calls.exec(request(ONE), False)
        thread.join()
        assert results == [frames.BLOCKING]
        engine.calls.is_waited_for = lambda waited_for=waited_for: waited_for  # type: ignore[misc]
        caller, _ = started(lambda: engine.calls.exec(request(ONE), False))
        assert answer() == (frames.BLOCKING if waited_for else 0)
        caller.join()


def test_frames_for_the_main_thread_are_kept_while_it_waits(engine: Engine) -> None:
    execute = frames.encode_execute([], ())

    def answer() -> None:
        key = engine.asked()[1].key
        engine.sock.send(execute)
        engine.answer(key)

    thread, _ = started(answer)
    assert value(engine.calls.exec(request(ONE), False)) == 2.5
    thread.join()
    assert engine.session.receive() == execute


def test_segments_are_there_before_the_answers_in_them(engine: Engine) -> None:
    def answer() -> None:
        key = engine.asked()[1].key
        announced, fd = engine.new_segment(4096)
        engine.tell(frames.NOTE, {"segments": [announced], "dropped": [engine.theirs]}, (fd,))
        os.close(fd)
        engine.memory[announced["id"]][:4] = np.float32(4.5).tobytes()
        engine.sock.send(frames.encode_responses([(key, 0, 1, ANSWER, b"", [(announced["id"], 0, 4, 1)])]))

    thread, _ = started(answer)
    assert value(engine.calls.exec(request(ONE), False)) == 4.5
    thread.join()
    engine.settle()
    assert engine.theirs not in engine.session.segments
