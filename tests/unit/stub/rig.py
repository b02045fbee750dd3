"""An executor between a test that plays the engine and a model that the test makes up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import triton_python_backend_utils as pb_utils
from pyserve_stub.elements import DTYPES, code_of
from pyserve_stub.executor import Executor
from pyserve_stub.loop import EngineHost
from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import Descriptor, PlainDescriptor, PlainResponse, RequestFrame
from pyserve_stub.wire.layout import TensorMeta, decode_layout, encode_layout

from tests.unit.stub.hosting import in_charge
from tests.unit.stub.peer import Peer

Array = Any
PREFIX = "Failed to process the request(s) for model 'm_0', message: "
SECOND = "Unable to send response. Non-decoupled model cannot send more than one response."
MODEL_FILE = "/repository/m/1/model.py"
_INPUT_NBYTES = 1 << 16

ONE = np.array([1.5], np.float32)
DONE = frames.FINAL | frames.INPUTS_RELEASED
BROKEN = DONE | frames.BATCH_FAILED


class Answer(NamedTuple):
    """A response as the engine reads it."""

    key: int
    code: int
    flags: int
    text: str
    outputs: dict[str, Any]
    descriptors: list[PlainDescriptor]


class Model:
    """What a test says `execute` does."""

    def __init__(self, execute: Callable[[list[Any]], Any]) -> None:
        self.execute = execute


class Rig(Peer):
    """One executor, 64 KiB for inputs, and for outputs what the test gives."""

    def __init__(
        self, *, decoupled: bool = False, writable: bool = True, arena: int = 1 << 16, **executor: Any
    ) -> None:
        super().__init__()
        self.input_segment = self.give(_INPUT_NBYTES, writable=writable)
        if arena:
            self.give(arena, arena="responses")
        self.executor = Executor(self.session, "m", "m_0", MODEL_FILE, decoupled, **executor)
        self.host = EngineHost(self.session)
        self.host.outbox = self.executor.outbox
        self._input_end = 0
        self._next_key = 100

    def request(self, *, layout: bytes | None = None, meta: dict[str, Any] | None = None, **inputs: Array) -> Any:
        """A request whose inputs lie in shared memory."""
        metas, descriptors = [], []
        for name, array in inputs.items():
            offset, self._input_end = self._input_end, (self._input_end + array.nbytes + 63) & -64
            self.memory[self.input_segment][offset : offset + array.nbytes] = array.tobytes()
            metas.append(TensorMeta(name, code_of(array.dtype), array.shape))
            descriptors.append(Descriptor(self.input_segment, offset, array.nbytes, 0))
        self._next_key += 1
        known = encode_layout(metas) if layout is None else layout
        return RequestFrame(self._next_key, frames.encode_meta(**meta) if meta else b"", known, descriptors)

    def execute(self, execute: Callable[[list[Any]], Any], *requests: Any, released: tuple[int, ...] = ()) -> None:
        """Run a batch; answers are to be taken with `answers`."""
        self.executor.model = Model(execute)
        self.executor.run(frames.encode_execute(requests, released))

    def run(self, execute: Callable[[list[Any]], Any], *requests: Any) -> list[Answer]:
        """Run a batch, by default of one request, and take its answers."""
        self.execute(execute, *(requests or (self.request(),)))
        return self.answers()

    def answers(self) -> list[Answer]:
        """Every response that was sent; log lines and releases are passed over."""
        kinds = (frames.RESPONSES, frames.STREAM)
        return [answer for data in self.told() if data[0] in kinds for answer in self.read(data)]

    def replies(self, execute: Callable[[list[Any]], Any], *requests: Any) -> list[Answer]:
        """`run`, without the news that an answer comes by itself."""
        return [answer for answer in self.run(execute, *requests) if not answer.flags & frames.DEFERRED]

    def read(self, data: bytes) -> list[Answer]:
        return [self._read(item) for item in frames.decode_responses(data)[0]]

    def _read(self, response: PlainResponse) -> Answer:
        key, code, flags, layout, text, descriptors = response
        tensors = decode_layout(layout) if layout else ()
        assert len(tensors) == len(descriptors)
        outputs = {
            name: np.frombuffer(self.bytes_at(descriptor), DTYPES[kind] or "u2").reshape(shape)
            if kind != 13
            else self.bytes_at(descriptor)
            for (name, kind, shape), descriptor in zip(tensors, descriptors)
        }
        return Answer(key, code, flags, text.decode(), outputs, list(descriptors))


@contextlib.contextmanager
def rig(**options: Any) -> Iterator[Rig]:
    """A rig whose host is in charge for a while."""
    made = Rig(**options)
    try:
        with in_charge(made.host):
            yield made
    finally:
        made.close()


def respond(**outputs: Array) -> Any:
    """An `InferenceResponse` of these arrays."""
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in outputs.items()])


def fail(stub: Rig, execute: Callable[[list[Any]], Any], *requests: Any) -> str:
    """The text after the prefix, the same for every request of the batch."""
    answers = stub.run(execute, *requests)
    assert {(answer.code, answer.flags) for answer in answers} == {(2, BROKEN)}
    texts = {answer.text for answer in answers}
    assert len(texts) == 1
    text = texts.pop()
    assert text.startswith(PREFIX)
    return text[len(PREFIX) :]


def stop(stub: Rig) -> None:
    stub.executor.close()
    asyncio.set_event_loop(None)
