from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import ml_dtypes
import numpy as np
import pytest
from pyserve_stub.packets import receive_packet, send_packet
from pyserve_stub.wire import frames
from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, decode_layout, encode_layout

from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.lane.client import Lane
from jupyter_pyserve.transports.lane.memory import Array
from jupyter_pyserve.transports.lane.streams import ResponseStream
from jupyter_pyserve.v2.request_options import RequestOptions

MIB = 1 << 20
DONE = frames.FINAL | frames.INPUTS_RELEASED


class Engine:
    """The other end of a lane, in a thread: gives memory, and answers each request as `reply` says."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock = theirs
        self.segments: list[Segment] = []
        self.requests: list[Any] = []
        self.released: list[int] = []
        self.cancelled: list[int] = []
        self.told = threading.Condition()
        self.memory_left = True
        self.reply: Callable[[Any], None] = self.echo
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        self.lane = Lane(ours)

    def close(self) -> None:
        self.lane.close()
        self.thread.join()
        for segment in self.segments:
            segment.close()

    def end(self) -> None:
        """Die."""
        self._sock.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with self._sock:
            while True:
                try:
                    data, _ = receive_packet(self._sock)
                except OSError:
                    return
                if not data:
                    return
                with self.told:
                    self._on_frame(data)
                    self.told.notify_all()

    def _on_frame(self, data: bytes) -> None:
        if data[0] == frames.CALL:
            self._on_grow(frames.decode_cold(data))
        elif data[0] == frames.RELEASE:
            self.released += frames.decode_keys(data)
        elif data[0] == frames.CANCEL:
            self.cancelled += frames.decode_keys(data)
        else:
            batch, released = frames.decode_execute(data)
            self.released += released
            self.requests += batch
            for request in batch:
                self.reply(request)

    def _on_grow(self, call: dict[str, Any]) -> None:
        if not self.memory_left:
            self.send_cold(frames.REPLY, {"id": call["id"], "ok": False, "error": "none left"})
            return
        segment = self.new_segment(call["nbytes"])
        told = {"id": call["id"], "ok": True, "segments": [segment.announce(writable=True)]}
        self.send_cold(frames.REPLY, told, [segment.fd])

    def new_segment(self, nbytes: int) -> Segment:
        segment = Segment(nbytes + MIB & -4096, "test")
        self.segments.append(segment)
        return segment

    def send_cold(self, kind: int, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        send_packet(self._sock, frames.encode_cold(kind, message), fds)

    def respond(self, key: int, code: int, layout: bytes, text: bytes, where: Sequence[Any], flags: int = DONE) -> None:
        response = cast(Any, (key, code, flags, layout, text, list(where)))
        send_packet(self._sock, frames.encode_responses((response,)))

    def echo(self, request: Any) -> None:
        key, _, layout, descriptors = request
        self.respond(key, 0, layout, b"", descriptors)

    def silent(self, request: Any) -> None:
        """No answer."""

    def bytes_of(self, descriptor: Sequence[int]) -> bytes:
        (segment,) = (item for item in self.segments if item.id == descriptor[0])
        return bytes(segment.view[descriptor[1] : descriptor[1] + descriptor[2]])

    def until(self, condition: Callable[[], bool]) -> None:
        with self.told:
            assert self.told.wait_for(condition, 30)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()
    gc.collect()


ARRAYS = {
    "fp32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bool": np.array([True, False]),
    "strided": np.arange(10, dtype=np.int64)[::3],
    "column major": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i4"),
    "bf16": np.array([0.5, -2], ml_dtypes.bfloat16),
    "empty": np.zeros((0, 3), np.float64),
    "scalar": np.array(7, np.uint8),
    "bytes": np.array([b"a", b"", b"\x00bc"], object),
    "text": np.array(["é", "x"]),
    "no bytes": np.zeros((0,), object),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_there_and_back(engine: Engine, name: str) -> None:
    array = ARRAYS[name]
    back = engine.lane.infer("m", {"IN": array})["IN"]
    assert back.shape == array.shape
    if array.dtype.kind in "OU":
        assert back.tolist() == [item.encode() if isinstance(item, str) else item for item in array.tolist()]
    else:
        assert back.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(back, array)


def test_what_the_engine_is_told(engine: Engine) -> None:
    given: dict[str, Array] = {"A": np.zeros(2, np.float32), "B": np.zeros((1, 3), np.int8)}
    engine.lane.infer("m", given, RequestOptions(version="3", outputs=("A",), request_id="x", parameters={"k": 1}))
    _, meta, layout, _ = engine.requests[0]
    assert meta == b'{"model":"m","version":"3","outputs":["A"],"id":"x","parameters":{"k":1}}'
    assert decode_layout(layout) == (TensorMeta("A", CODES["FP32"], (2,)), TensorMeta("B", CODES["INT8"], (1, 3)))


def test_arrays_of_the_lane_are_not_copied(engine: Engine) -> None:
    array = engine.lane.empty((4,), np.float32)
    array[:] = [1, 2, 3, 4]
    back = engine.lane.infer("m", {"IN": array})["IN"]
    assert np.shares_memory(array, back)
    assert engine.bytes_of(engine.requests[0][3][0]) == array.tobytes()


def test_an_input_that_comes_back_cannot_be_changed_by_accident(engine: Engine) -> None:
    back = engine.lane.infer("m", {"IN": np.zeros(3, np.float32)})["IN"]
    with pytest.raises(ValueError, match="read-only"):
        back[0] = 1


def test_asarray_copies_once(engine: Engine) -> None:
    array = np.arange(3, dtype=">f4")
    own = engine.lane.asarray(array)
    np.testing.assert_array_equal(own, array)
    assert engine.lane.asarray(own) is own
    strings = np.array(["a"])
    assert engine.lane.asarray(strings) is strings


@pytest.mark.parametrize(
    ("shape", "expected"), [(3, (3,)), (np.int64(2), (2,)), ((2, 0), (2, 0)), ((), ()), ([2, 2], (2, 2))]
)
def test_empty(engine: Engine, shape: Any, expected: tuple[int, ...]) -> None:
    assert engine.lane.empty(shape, np.int32).shape == expected


def test_objects_have_no_place_in_shared_memory(engine: Engine) -> None:
    with pytest.raises(TypeError, match="objects cannot lie in shared memory"):
        engine.lane.empty((1,), object)


def test_no_memory(engine: Engine) -> None:
    engine.memory_left = False
    with pytest.raises(MemoryError, match="none left"):
        engine.lane.infer("m", {"IN": np.zeros(3)})


def test_memory_is_free_again_after_the_answer(engine: Engine) -> None:
    back = engine.lane.infer("m", {"IN": np.zeros(3)})["IN"]
    assert engine.lane.used_nbytes > 0
    del back
    gc.collect()
    assert engine.lane.used_nbytes == 0


def test_inputs_that_are_still_read_stay(engine: Engine) -> None:
    def answer(request: Any) -> None:
        engine.respond(request[0], 0, encode_layout([]), b"", [], frames.FINAL)

    engine.reply = answer
    assert engine.lane.infer("m", {"IN": np.zeros(3)}) == {}
    gc.collect()
    assert engine.lane.used_nbytes > 0
    engine.reply = engine.echo
    send_packet(engine._sock, frames.encode_keys(frames.RELEASE, (engine.requests[0][0],)))
    engine.lane.infer("m", {"IN": np.zeros(0)})
    gc.collect()
    assert engine.lane.used_nbytes == 0


def test_an_answer_in_a_models_memory_is_given_back_with_the_next_request(engine: Engine) -> None:
    segment = engine.new_segment(100)
    segment.view[64:72] = np.array([1, 2], np.float32).tobytes()

    def answer(request: Any) -> None:
        note = {"segments": [segment.announce(writable=True)], "dropped": []}
        engine.send_cold(frames.NOTE, note, [segment.fd])
        layout = encode_layout([TensorMeta("OUT", CODES["FP32"], (2,))])
        engine.respond(request[0], 0, layout, b"", [(segment.id, 64, 8, 55)])

    engine.reply = answer
    out = engine.lane.infer("m", {"IN": np.zeros(1)})["OUT"]
    view = out[1:]
    assert view.tolist() == [2]
    del out
    gc.collect()
    engine.reply = engine.echo
    engine.lane.infer("m", {"IN": np.zeros(1)})
    assert engine.released == []
    del view
    gc.collect()
    engine.lane.infer("m", {"IN": np.zeros(1)})
    assert engine.released == [55]


def test_errors_have_their_code(engine: Engine) -> None:
    engine.reply = lambda request: engine.respond(request[0], Code.NOT_FOUND + 1, b"", b"told you", ())
    with pytest.raises(PyServeError, match="told you") as failure:
        engine.lane.infer("m", {"IN": np.zeros(1)})
    assert failure.value.code is Code.NOT_FOUND


def test_an_answer_that_cannot_be_read(engine: Engine) -> None:
    layout = encode_layout([TensorMeta("OUT", CODES["FP32"], (2,))])
    engine.reply = lambda request: engine.respond(request[0], 0, layout, b"", [(9999, 0, 8, 0)])
    with pytest.raises(PyServeError, match="the answer cannot be read"):
        engine.lane.infer("m", {"IN": np.zeros(1)})


def test_no_answer_in_time_cancels(engine: Engine) -> None:
    engine.reply = engine.silent
    with pytest.raises(TimeoutError):
        engine.lane.infer("m", {"IN": np.zeros(1)}, RequestOptions(timeout_s=0.001))
    engine.until(lambda: engine.cancelled == [engine.requests[0][0]])


def test_the_engine_goes(engine: Engine) -> None:
    engine.reply = lambda request: engine.end()
    with pytest.raises(OSError):
        engine.lane.infer("m", {"IN": np.zeros(1)})
    with pytest.raises(OSError):
        engine.lane.infer("m", {"IN": np.zeros(1)})


def test_arrays_stay_readable_after_the_end(engine: Engine) -> None:
    back = engine.lane.infer("m", {"IN": np.arange(3)})["IN"]
    engine.lane.close()
    gc.collect()
    assert back.tolist() == [0, 1, 2]


def test_arrays_that_no_datatype_fits(engine: Engine) -> None:
    with pytest.raises(PyServeError, match="complex128"):
        engine.lane.infer("m", {"IN": np.zeros(1, complex)})
    assert engine.requests == []


@pytest.mark.parametrize("parameters", [{"k": object()}, {"k": "x" * (65 * MIB)}], ids=["unfit", "too large"])
def test_a_request_that_cannot_be_sent_leaves_nothing(engine: Engine, parameters: dict[str, Any]) -> None:
    engine.lane._returns.add(55, 0)  # an answer's memory, to be given back with the next request
    with pytest.raises((TypeError, OSError)):
        engine.lane.infer("m", {"IN": np.zeros(3)}, RequestOptions(parameters=parameters))
    gc.collect()
    assert engine.lane.used_nbytes == 0
    engine.lane.infer("m", {"IN": np.zeros(1)})
    assert engine.released == [55]


def test_several_threads(engine: Engine) -> None:
    results: dict[int, float] = {}

    def ask(number: int) -> None:
        for _ in range(20):
            results[number] = float(engine.lane.infer("m", {"IN": np.full(9, number, np.float32)})["IN"][0])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: float(number) for number in range(6)}


def test_futures(engine: Engine) -> None:
    async def scenario() -> list[float]:
        asked = [engine.lane.infer_async("m", {"IN": np.full(2, number, np.float32)}) for number in range(5)]
        return [float(answer["IN"][1]) for answer in await asyncio.gather(*asked)]

    assert asyncio.run(scenario()) == [0, 1, 2, 3, 4]


def test_futures_of_a_lane_that_is_closed(engine: Engine) -> None:
    engine.reply = engine.silent

    async def scenario() -> None:
        future = engine.lane.infer_async("m", {"IN": np.zeros(1)})
        engine.lane.close()
        await asyncio.sleep(0)
        assert future.done()
        with pytest.raises(ConnectionError, match="the lane is closed"):
            future.result()

    asyncio.run(scenario())


def test_what_comes_after_the_end_of_a_stream_is_not_kept(engine: Engine) -> None:
    engine.reply = engine.silent
    complete, closed = (engine.lane.stream("m", {"IN": np.zeros(1)}) for _ in range(2))
    complete.add({"OUT": 1})
    closed.close()
    closed.add({"OUT": 2}, final=False)
    engine.lane.close()
    assert list(complete) == [{"OUT": 1}]
    assert list(closed) == []


def test_a_future_that_is_cancelled(engine: Engine) -> None:
    engine.reply = engine.silent

    async def scenario() -> None:
        future = engine.lane.infer_async("m", {"IN": np.zeros(1)})
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future

    asyncio.run(scenario())
    engine.until(lambda: len(engine.cancelled) == 1)


def test_a_future_that_is_late(engine: Engine) -> None:
    engine.reply = engine.silent

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await engine.lane.infer_async("m", {"IN": np.zeros(1)}, RequestOptions(timeout_s=0.001))

    asyncio.run(scenario())
    engine.until(lambda: len(engine.cancelled) == 1)


def test_the_next_answer_of_a_stream_that_is_late(engine: Engine) -> None:
    engine.reply = engine.silent
    stream = engine.lane.stream("m", {"IN": np.zeros(1)}, RequestOptions(timeout_s=0.001))
    for wait in (lambda: next(stream), lambda: asyncio.run(_first(stream))):
        with pytest.raises(TimeoutError, match="the model did not answer in time"):
            wait()


async def _first(stream: ResponseStream) -> Any:
    return await anext(stream)


def test_nobody_listens() -> None:
    with pytest.raises(OSError):
        Lane.connect("/nonexistent/lane.sock")


def test_a_forked_process_has_no_lane(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = engine.lane.stream("m", {"IN": np.zeros(1)})
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(OSError, match="belongs to the process that opened it"):
        engine.lane.infer("m", {"IN": np.zeros(1)})
    stream.close()
    monkeypatch.undo()
    engine.lane.infer("m", {"IN": np.zeros(1)})
    assert engine.cancelled == []  # what its parent asked goes on
