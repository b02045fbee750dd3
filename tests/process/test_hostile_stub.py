"""A stub that breaks the protocol: its own requests fail, it is replaced, and nobody else notices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import Descriptor, RequestFrame, ResponseFrame

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.v2.request_options import RequestOptions
from tests.process.client import Answer, Array, command, outputs, said
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.waiting import wait_until

CANARY = 123456.0
_KEY = 1  # of a request that is long over


def _call(*descriptors: Descriptor, meta: bytes = b'{"model":1}', layout: bytes = b"") -> bytes:
    """A request to another model."""
    return frames.encode_execute([RequestFrame(1, meta, layout, descriptors)], (), frames.INFER)


GARBAGE = {
    "zeros": bytes(64),
    "unknown kind": bytes((99, 1, 2, 3)),
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "responses cut short": frames.encode_responses([ResponseFrame(_KEY, 0, 1, b"", b"", ())])[:-3],
    "responses, a count that lies": b"\x02\x00\xff\xff\x00\x00\x00\x00" + bytes(16),
    "no responses": frames.encode_responses([]),
    "a response to nobody": frames.encode_responses([ResponseFrame(_KEY, 0, 1, b"", b"", ())], kind=frames.STREAM),
    "a response cut short": frames.encode_responses([ResponseFrame(_KEY, 0, 1, b"", b"", ())], kind=frames.STREAM)[:-3],
    "begun, but not given": frames.encode_keys(frames.STARTED, (_KEY,)),
    "begun without a name": frames.encode_keys(frames.STARTED, ()),
    "begun twice": frames.encode_keys(frames.STARTED, (1, 2)),
    "keys, a count that lies": b"\x03\x00\x00\x00\xff\xff\xff\xff",
    "not JSON": bytes((frames.NOTE,)) + b"{",
    "deep JSON": bytes((frames.NOTE,)) + b'{"a":' + b"[" * 30_000,
    "not an object": bytes((frames.CALL,)) + b"[1]",
    "not UTF-8": bytes((frames.NOTE,)) + b'{"op":"\xff"}',
    "hello again": frames.encode_cold(frames.NOTE, {"op": "hello", "magic": frames.MAGIC, "version": frames.VERSION}),
    "another version": frames.encode_cold(frames.NOTE, {"op": "hello", "magic": frames.MAGIC, "version": 99}),
    "no operation": frames.encode_cold(frames.NOTE, {}),
    "a log without text": frames.encode_cold(frames.NOTE, {"op": "log"}),
    "a log, line of words": frames.encode_cold(
        frames.NOTE, {"op": "log", "level": "INFO", "text": "t", "file": "f", "line": "seven"}
    ),
    "an unknown call": frames.encode_cold(frames.CALL, {"id": 1, "op": "format"}),
    "grow by words": frames.encode_cold(frames.CALL, {"id": 1, "op": "grow", "nbytes": "much"}),
    "a reply to nothing": frames.encode_cold(frames.REPLY, {"id": [1], "ok": True}),
    "a spilled frame without a file": bytes((frames.SPILLED,)),
    "a call of memory that it does not have": _call(Descriptor(1 << 30, 0, 4, 1)),
    "a call of a request that it does not have": _call(Descriptor(1, 0, 4, frames.OF_REQUEST | _KEY)),
    "a call of an answer that it does not have": _call(Descriptor(1, 0, 4, frames.OF_ANSWER | 1)),
    "a call of nothing known": _call(Descriptor(1, 0, 4, frames.OF_MASK | 1)),
    "a call whose facts are no object": _call(meta=b"[]"),
    "a call whose facts are deep": _call(meta=b'{"a":' + b"[" * 30_000),
    "a call of no model": _call(meta=b"{}"),
    "a call with more tensors than descriptors": _call(meta=b'{"model":"nobody"}', layout=b"\x01\x00"),
    "a call cut short": _call()[:-1],
    "a return cut short": frames.encode_keys(frames.RETURN, (1,))[:-1],
}


@pytest.fixture
def bystander(engine: Engine) -> Iterator[str]:
    """A model that is executing meanwhile, and must not notice anything."""
    name = loaded(engine, "puppet")
    gate = engine.gate()
    held = engine.infer_later(name, command("hold", np.full(64, CANARY), gate=str(gate)))
    gate.wait_until_entered()
    [pid] = engine.pids(name)
    yield name
    gate.open()
    assert said(held.result()) == pid
    assert engine.instances(name)[0]["restarts"] == 0


def serves_again(engine: Engine, model: str) -> None:
    """In the end: what it did last may be noticed only when the next request is on its way."""
    answer = wait_until(lambda: (a := engine.infer(model, command("echo", value="well"))).status == 200 and a, "well")
    assert said(answer) == "well"


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage(engine: Engine, puppet: str, what: str) -> None:
    answer = engine.infer(puppet, command("write_garbage", hexadecimal=GARBAGE[what].hex()))
    # What is harmless may be ignored; else this request fails, and only this.
    assert answer.status == 200 or answer.error == f"Stub process '{puppet}_0_0' is not healthy."
    serves_again(engine, puppet)


def test_most_garbage_is_the_end_of_the_stub(engine: Engine, bystander: str) -> None:
    model = loaded(engine, "puppet")
    answer = engine.infer(model, command("write_garbage", hexadecimal=GARBAGE["unknown kind"].hex()))
    assert answer.error == f"Stub process '{model}_0_0' is not healthy."
    serves_again(engine, model)
    assert any("it broke the protocol" in record["text"] for record in engine.logs(model))


def test_it_closes_its_channel(engine: Engine, puppet: str, bystander: str) -> None:
    answer = engine.infer(puppet, command("close_channel"))
    assert answer.error == f"Stub process '{puppet}_0_0' is not healthy."
    serves_again(engine, puppet)


def test_it_answers_for_others(engine: Engine, puppet: str, bystander: str) -> None:
    for key in (0, 1, *range(2, 400, 37), 2**63, 2**64 - 1):
        engine.infer(puppet, command("answer_for", key=key))
        if key in (0, 2**64 - 1):
            break
    serves_again(engine, puppet)


def test_it_hands_over_files(engine: Engine, puppet: str) -> None:
    assert engine.infer(puppet, command("hand_over_files", count=100)).status == 200
    serves_again(engine, puppet)


PLACES: dict[str, dict[str, Any]] = {
    "a segment of others": {"segment": 1, "offset": 0, "nbytes": 256, "lease": 0},
    "a segment of others, leased": {"segment": 1, "offset": 0, "nbytes": 256, "lease": 7},
    "no segment at all": {"segment": 2**32 - 1, "offset": 0, "nbytes": 256, "lease": 7},
    "behind the end": {"segment": 0, "own_segment": True, "offset": (1 << 20) - 64, "nbytes": 256, "lease": 7},
    "far behind the end": {"segment": 0, "own_segment": True, "offset": 2**63, "nbytes": 256, "lease": 7},
    "past the end of numbers": {"segment": 0, "own_segment": True, "offset": 2**64 - 64, "nbytes": 256, "lease": 7},
    "more than there is": {"segment": 0, "own_segment": True, "offset": 0, "nbytes": 2**40, "lease": 7},
}


def refused(engine: Engine, model: str, place: dict[str, Any], over: str) -> str:
    """Have the stub answer with bytes from a place; the error that the client gets."""
    engine.infer(model, command("give", count=16))  # so that it has a segment
    inputs: dict[str, Array] = command("point_at", **place)
    if over == "http":
        answer: Answer = engine.infer(model, inputs)
        if answer.status == 200:
            assert CANARY not in outputs(answer)["RESULT"]
            return ""
        return answer.error
    lane = engine.lane()
    try:
        assert CANARY not in lane.infer(model, inputs, RequestOptions(timeout_s=20))["RESULT"]
    except PyServeError as error:
        return error.message
    finally:
        lane.close()
    return ""


@pytest.mark.parametrize("over", ["http", "lane"])
@pytest.mark.parametrize("place", PLACES)
def test_it_answers_with_memory_that_is_not_its_own(engine: Engine, bystander: str, place: str, over: str) -> None:
    model = loaded(engine, "puppet")
    error = refused(engine, model, PLACES[place], over)
    assert error
    assert "0x" not in error
    serves_again(engine, model)


def test_it_overwrites_all_memory_that_it_has(engine: Engine, puppet: str, bystander: str) -> None:
    another = loaded(engine, "puppet")
    engine.infer(puppet, command("plus_one", np.ones(1000)))
    for _ in range(3):
        answer = engine.infer(puppet, command("scribble", np.ones(1000)))
        assert answer.status == 200
        assert said(answer) >= 2
        assert outputs(engine.infer(puppet, command("plus_one", [1.0])))["RESULT"].tolist() == [2.0]
        assert outputs(engine.infer(another, command("plus_one", [1.0])))["RESULT"].tolist() == [2.0]


def test_descriptor_arithmetic_cannot_wrap() -> None:
    far = Descriptor(1, 2**64 - 1, 2**64 - 1, 0)
    assert frames.decode_responses(frames.encode_responses([ResponseFrame(1, 0, 1, b"", b"", [far])]))[0][0][5] == [far]
