"""Calls of other models (business logic scripting): a model's requests made into frames, the answers into responses.

Inputs that lie in shared memory already, in a request or an answer that the model still holds, go as they are; all
others are copied into this stub's own arena once. Whichever thread reads the channel takes answers in; nobody is woken
who does not wait. Knows nothing of how `execute` is run.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import itertools
import json
import threading
from typing import Any, Callable, Sequence, Tuple

import numpy as np

from .memory import ResponseHold, Returns, holder
from .messages import NO_PREFERENCE, InferenceRequest, InferenceResponse, ResponseIterator, TritonError
from .session import ArenaFull, EngineGone, Hold, Session
from .tensors import Tensor
from .vocabulary import ErrorCode, MemoryType
from .wire import frames
from .wire.frames import PlainDescriptor, PlainResponse
from .wire.layout import LayoutCache, TensorMeta, encode_layout

_MAX_CACHED = 1024
_WRONG = "Model {} - Error when running inference: "
_NO_GPU = "BackendMemory::Create, all allocation types failed:\n\tGPU: this server has no GPU memory for answers"
#: What a request without parameters has.
_NONE = ("{}", "")
_GONE = "An error occurred while performing BLS request."

#: Name, datatype and shape of a tensor.
Meta = Tuple[str, int, Tuple[int, ...]]

_CODES = {int(code): code for code in ErrorCode}


class Call:
    """A request to another model that is on its way; `items` are the responses that nobody has taken yet."""

    __slots__ = ("dropped", "ended", "future", "items", "key", "model", "shared", "stream")

    def __init__(self, key: int, model: str, stream: bool, future: asyncio.Future[Any] | None) -> None:
        self.key = key
        self.model = model
        self.stream = stream
        self.future = future
        self.items: collections.deque[InferenceResponse] = collections.deque()
        self.ended = False
        self.dropped = False
        #: Inputs that lie in memory which the model reads by other names too.
        self.shared: list[PlainDescriptor] = []

    def ready(self) -> bool:
        """Whether there is something to take, or will never be."""
        return bool(self.items) or self.ended


class Answers:
    """The responses to one call as they come; when nobody has this any more, those that follow are dropped."""

    __slots__ = ("_call", "_calls")

    def __init__(self, calls: Calls, call: Call) -> None:
        self._calls = calls
        self._call = call

    def __iter__(self) -> Answers:
        return self

    def __next__(self) -> InferenceResponse:
        call = self._call
        self._calls.wait(call)
        if not call.items:
            raise StopIteration
        return call.items.popleft()

    def __del__(self) -> None:
        self._call.dropped = True
        self._call.items.clear()


class Calls:
    """What this stub's model asks of others."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._next_key = itertools.count(1).__next__
        self._open: dict[int, Call] = {}
        self._returns = Returns(self._give_back)
        self._layouts = LayoutCache()
        self._encoded: dict[tuple[Meta, ...], bytes] = {}
        self._metas: dict[tuple[Any, ...], bytes] = {}
        self._main = threading.get_ident()
        #: Whether `execute` waits for the coroutine that runs now.
        self.is_waited_for: Callable[[], bool] = lambda: False
        session.on_answers = self._take_in
        session.on_gone = self._gone
        session.on_sleep = self._returns.flush

    # -- what a model does --------------------------------------------------------------------------------------------

    def exec(self, request: InferenceRequest, decoupled: bool) -> InferenceResponse | ResponseIterator:
        """Run a request and wait for its answer, or for the first one."""
        call = self._start(request, decoupled, None)
        self.wait(call)
        return self._result(call)

    def async_exec(self, request: InferenceRequest, decoupled: bool) -> asyncio.Future[Any]:
        """The same as a future of the running loop, which reads the channel meanwhile."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        call = self._start(request, decoupled, future)
        if call.ready():
            self._settle(call)
        else:
            self._session.watch(loop)
            future.add_done_callback(functools.partial(self._finished, call))
        return future

    def wait(self, call: Call) -> None:
        """Until there is a response to take, or there will be none."""
        if call.ready():
            return
        try:
            self._session.wait(call.ready)
        except EngineGone:
            self._gone()

    def cancel(self, key: int) -> None:
        """Ask for a call to be ended; its model decides how."""
        if key in self._open:
            self._tell(frames.encode_keys(frames.CANCEL, (key,)))

    def _result(self, call: Call) -> InferenceResponse | ResponseIterator:
        if not call.stream:
            return call.items.popleft()
        return ResponseIterator._over(Answers(self, call), functools.partial(self.cancel, call.key))

    # -- asking -------------------------------------------------------------------------------------------------------

    def _start(self, request: InferenceRequest, decoupled: bool, future: asyncio.Future[Any] | None) -> Call:
        call = Call(self._next_key(), request._model_name, decoupled, future)
        metas: list[Meta] = []
        descriptors: list[PlainDescriptor] = []
        refusal = _refusal(request)
        if refusal:
            self._fail(call, refusal)
            return call
        try:
            for tensor in request._inputs:
                code, shape, payload = tensor._wire()
                metas.append((tensor._name, code, shape))
                descriptors.append(self._place(payload, call))
            meta = self._meta(request, decoupled)
            layout = self._layout(tuple(metas))
            flags = frames.BLOCKING if threading.get_ident() == self._main or self.is_waited_for() else 0
            if request._trace._key is not None:
                flags |= frames.TRACED
            frame = ((call.key, meta, layout, descriptors),)
            self._open[call.key] = call
            self._session.send(frames.encode_execute(frame, self._returns.take(), frames.INFER, flags))
        except ArenaFull as full:
            self._free(descriptors)
            self._fail(call, f"Failed to increase the shared memory pool size: {full}")
        except EngineGone:
            self._open.pop(call.key, None)
            self._fail(call, _GONE)
        except BaseException:  # an input that cannot be read, or told of: the model hears of it
            self._open.pop(call.key, None)
            self._free(descriptors)
            raise
        return call

    def _free(self, descriptors: Sequence[PlainDescriptor]) -> None:
        """A request was not sent: what was copied for it is nobody's."""
        self._session.free([item[3] for item in descriptors if item[3] and not item[3] & frames.OF_MASK])

    def _place(self, payload: Any, call: Call) -> PlainDescriptor:
        """Where an input lies: where it is already, if the engine knows that memory, else in a block of our own."""
        session = self._session
        if isinstance(payload, np.ndarray):
            nbytes = payload.nbytes
            lease = holder(payload)
            found = session.segments.find(payload) if lease is not None else None
            if lease is not None and found is not None:
                segment, offset = found
                hold, name = lease.hold, 0
                if type(hold) is Hold and hold.session is session:
                    name = frames.OF_REQUEST | hold.key
                elif type(hold) is ResponseHold and hold.returns is self._returns:
                    name = frames.OF_ANSWER | hold.lease
                if name and nbytes:
                    descriptor = (segment.id, offset, nbytes, name)
                    call.shared.append(descriptor)
                    return descriptor
        else:
            nbytes = len(payload)
        if not nbytes:
            return (0, 0, 0, 0)
        block, segment_id, offset, _ = session.allocate(nbytes)
        session.segments.get(segment_id).view[offset : offset + nbytes] = payload
        return (segment_id, offset, nbytes, block)

    def _meta(self, request: InferenceRequest, decoupled: bool) -> bytes:
        """The rare facts of a request; remembered where only few are likely to come."""
        key = (request._model_name, request._model_version, tuple(request._requested), decoupled)
        plain = request._parameters in _NONE and not (
            request._request_id
            or request._correlation_id
            or request._flags
            or request._timeout_us
            or request._trace._key is not None
        )
        meta = self._metas.get(key) if plain else None
        if meta is None:
            meta = _facts(request, decoupled)
            if plain:
                if len(self._metas) >= _MAX_CACHED:
                    self._metas.clear()
                self._metas[key] = meta
        return meta

    def _layout(self, metas: tuple[Meta, ...]) -> bytes:
        layout = self._encoded.get(metas)
        if layout is None:
            if len(self._encoded) >= _MAX_CACHED:
                self._encoded.clear()
            layout = self._encoded[metas] = encode_layout([TensorMeta(*meta) for meta in metas])
        return layout

    def _give_back(self, leases: Sequence[int]) -> None:
        self._tell(frames.encode_keys(frames.RETURN, leases))

    def _tell(self, data: bytes) -> None:
        try:
            self._session.send(data)
        except (EngineGone, OSError):
            pass  # the engine is gone, and what it knew with it

    # -- answers ------------------------------------------------------------------------------------------------------

    def _take_in(self, data: bytes) -> None:
        for response in frames.decode_responses(data)[0]:
            key, flags = response[0], response[2]
            final = flags & frames.FINAL
            call = self._open.pop(key, None) if final else self._open.get(key)
            item = self._response(call, response)
            if call is None or item is None:
                continue
            if not call.dropped:
                call.items.append(item)
            if final:
                call.ended = True
            if call.future is not None:
                self._wake(call)

    def _response(self, call: Call | None, response: PlainResponse) -> InferenceResponse | None:
        _, code, flags, layout, text, descriptors = response
        if code:
            message = text.decode("utf-8", "surrogateescape")
            if flags & frames.REFUSED and call is not None:
                message = _WRONG.format(call.model) + message
                code = int(ErrorCode.INTERNAL) + 1
            return InferenceResponse._arrived([], TritonError(message, _CODES.get(code - 1, ErrorCode.UNKNOWN)))
        leased = [item for item in descriptors if item[3]]
        hold = ResponseHold(leased[0][3], sum([item[2] for item in leased]), self._returns) if leased else None
        if call is None:
            return None  # what `hold` keeps goes back
        tensors = []
        lend = self._session.segments.lend
        for (name, kind, shape), descriptor in zip(self._layouts.decode(layout) if layout else (), descriptors):
            memory, writable = lend(*descriptor[:3], hold)
            tensor = Tensor._from_memory(name, kind, shape, memory, writable)
            if call.shared and any(_within(descriptor, item) for item in call.shared):
                tensor._private = True
            tensors.append(tensor)
        return InferenceResponse._arrived(tensors, None, text.decode("utf-8", "surrogateescape"))

    def _fail(self, call: Call, text: str) -> None:
        call.items.append(InferenceResponse._arrived([], TritonError(text)))
        call.ended = True

    def _gone(self) -> None:
        """The engine is gone: everything that is waited for ends with that."""
        for key in list(self._open):
            call = self._open.pop(key, None)
            if call is not None:
                self._fail(call, _GONE)
                if call.future is not None:
                    self._wake(call)

    def _wake(self, call: Call) -> None:
        future = call.future
        assert future is not None
        call.future = None
        try:
            future.get_loop().call_soon_threadsafe(self._settle, call, future)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    def _settle(self, call: Call, future: asyncio.Future[Any] | None = None) -> None:
        future = future or call.future
        if future is not None and not future.done():
            future.set_result(self._result(call))

    def _finished(self, call: Call, future: asyncio.Future[Any]) -> None:
        self._session.unwatch(future.get_loop())
        if future.cancelled():
            call.dropped = True
            self.cancel(call.key)


def _facts(request: InferenceRequest, decoupled: bool) -> bytes:
    version, parameters = request._model_version, request._parameters
    facts = {
        "model": request._model_name,
        "version": str(version) if version != -1 else "",
        "outputs": request._requested,
        "decoupled": decoupled,
        "id": request._request_id,
        "correlation_id": request._correlation_id,
        "flags": request._flags,
        "timeout_us": request._timeout_us,
        "parameters": json.loads(parameters) if parameters not in _NONE else None,
        "trace": request._trace._key,
    }
    return frames.encode_meta(**{name: fact for name, fact in facts.items() if fact or name == "model"})


def _refusal(request: InferenceRequest) -> str:
    """What is wrong with a request before anybody has seen it."""
    preferred = request._preferred_memory
    if preferred is not NO_PREFERENCE and preferred._memory_type is MemoryType.TRITONSERVER_MEMORY_GPU:
        return _NO_GPU
    problem = ""
    if len(request._inputs) > 1:
        names = [tensor._name for tensor in request._inputs]
        twice = next((name for index, name in enumerate(names) if name in names[:index]), "")
        if twice:
            problem = f"[request id: {request._request_id or '<id_unknown>'}] input '{twice}' already exists in request"
    if request._parameters not in _NONE:
        values = json.loads(request._parameters).values()
        if any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in values):
            problem = problem or "Unsupported value type on parameters"
    return problem and _WRONG.format(request._model_name) + problem


def _within(inner: PlainDescriptor, outer: PlainDescriptor) -> bool:
    return inner[0] == outer[0] and outer[1] <= inner[1] and inner[1] + inner[2] <= outer[1] + outer[2]
