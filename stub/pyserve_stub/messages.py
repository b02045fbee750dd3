"""Requests, as models receive and make them, and with them every message class of `pb_utils`.

An incoming request has a key, by which the host knows it; one that a model made has none. Whatever needs the engine is
asked of the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from pyserve_stub import arguments
from pyserve_stub.arguments import Parameter, Signature
from pyserve_stub.host import get_host
from pyserve_stub.responses import InferenceResponse, TritonError, parameters_json
from pyserve_stub.streams import InferenceResponseSender, ResponseIterator
from pyserve_stub.tensors import Tensor
from pyserve_stub.vocabulary import (
    CAST_FAILED,
    NATIVE_MODULE,
    RELEASE_ALL,
    MemoryType,
    NativeObject,
    TritonModelException,
    Unconstructible,
)

if TYPE_CHECKING:
    import asyncio

_REQUEST = f"{NATIVE_MODULE}.InferenceRequest"
_PREFERRED = f"{NATIVE_MODULE}.PreferredMemory"
_TRACE = f"{NATIVE_MODULE}.InferenceTrace"

_PREFERRED_INIT = Signature(
    "__init__",
    Parameter(
        "preferred_memory_type",
        "triton::backend::python::PreferredMemory::MemoryType",
        arguments.native(MemoryType),
    ),
    Parameter("preferred_device_id", "int", arguments.INT64, 0),
    returns=_PREFERRED,
)


class PreferredMemory(NativeObject):
    """`PreferredMemory(preferred_memory_type, preferred_device_id=0)`: where the outputs of a BLS call should be."""

    __slots__ = ("_device_id", "_memory_type")
    __module__ = NATIVE_MODULE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._memory_type, self._device_id = _PREFERRED_INIT.bind(args, kwargs)


class InferenceTrace(Unconstructible):
    """The trace that a request belongs to; to be passed on to BLS requests."""

    __slots__ = ("_context", "_key")
    __module__ = NATIVE_MODULE

    _context: str | None
    #: Of the request that is traced; None stands for no trace.
    _key: int | None

    @classmethod
    def _of(cls, context: str | None, key: int | None = None) -> InferenceTrace:
        trace = cls.__new__(cls)
        trace._context = context
        trace._key = key
        return trace

    def get_context(self) -> str | None:
        """The OpenTelemetry context, if there is one."""
        return self._context


#: Stands for no preference: outputs stay where the callee puts them.
NO_PREFERENCE: PreferredMemory = PreferredMemory.__new__(PreferredMemory)
NO_TRACE = InferenceTrace._of(None)

_INIT = Signature(
    "__init__",
    Parameter("request_id", "str", arguments.text, ""),
    Parameter("correlation_id", "object", arguments.something, 0),
    Parameter(
        "inputs",
        "List[triton::backend::python::PbTensor]",
        arguments.sequence_of(arguments.native(Tensor, optional=True)),
    ),
    Parameter("requested_output_names", "List[str]", arguments.sequence_of(arguments.text)),
    Parameter("model_name", "str", arguments.text),
    Parameter("model_version", "int", arguments.INT64, -1),
    Parameter("flags", "int", arguments.UINT32, 0),
    Parameter("timeout", "int", arguments.UINT64, 0),
    Parameter("preferred_memory", _PREFERRED, arguments.native(PreferredMemory), NO_PREFERENCE),
    Parameter("trace", _TRACE, arguments.native(InferenceTrace), NO_TRACE),
    Parameter("parameters", "object", arguments.anything, None),
    returns=_REQUEST,
)
_EXEC, _ASYNC_EXEC = (
    Signature(name, Parameter("decoupled", "bool", arguments.truth, False), returns="object", receiver=_REQUEST)
    for name in ("exec", "async_exec")
)
_SET_FLAGS, _SET_RELEASE_FLAGS = (
    Signature(name, Parameter("arg0", "int", arguments.UINT32, positional_only=True), returns="None", receiver=_REQUEST)
    for name in ("set_flags", "set_release_flags")
)


def _correlation_id(value: Any) -> int | str:
    if isinstance(value, str):
        return value
    if not isinstance(value, int):
        raise TritonModelException("Correlation ID must be integer or string")
    if not 0 <= value < 2**64:
        raise RuntimeError(CAST_FAILED)
    return int(value)


class InferenceRequest(NativeObject):
    """One inference: from a client, or made by a model to be run with `exec`."""

    __slots__ = (
        "_cancelled",
        "_correlation_id",
        "_decoupled",
        "_flags",
        "_inputs",
        "_key",
        "_model_name",
        "_model_version",
        "_parameters",
        "_preferred_memory",
        "_release_flags",
        "_request_id",
        "_requested",
        "_sender",
        "_timeout_us",
        "_trace",
    )
    __module__ = NATIVE_MODULE

    #: How the host knows an incoming request; None for one that a model made.
    _key: int | None
    _request_id: str
    _correlation_id: int | str
    _flags: int
    _timeout_us: int
    #: JSON text.
    _parameters: str
    _inputs: list[Tensor]
    _requested: Sequence[str]
    _model_name: str
    _model_version: int
    _preferred_memory: PreferredMemory
    _trace: InferenceTrace
    _release_flags: int
    _decoupled: bool
    _cancelled: bool
    _sender: InferenceResponseSender | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = _INIT.bind(args, kwargs)
        request_id, correlation_id, inputs, requested, model_name = bound[:5]
        context = f"for request with id '{request_id}' and model name '{model_name}' should not be empty."
        if None in inputs:
            raise TritonModelException(f"Input tensor {context}")
        if "" in requested:
            raise TritonModelException(f"Requested output name {context}")
        self._request_id = request_id
        self._correlation_id = _correlation_id(correlation_id)
        self._inputs = inputs
        self._requested = requested
        self._model_name = model_name
        self._model_version, self._flags, self._timeout_us, self._preferred_memory, self._trace = bound[5:10]
        self._parameters = parameters_json(bound[10])
        self._release_flags = RELEASE_ALL
        self._key = None
        self._sender = None
        self._decoupled = False
        self._cancelled = False

    @classmethod
    def _incoming(
        cls,
        key: int,
        request_id: str,
        correlation_id: int | str,
        flags: int,
        timeout_us: int,
        parameters_json: str,
        inputs: list[Tensor],
        requested_output_names: Sequence[str],
        model_name: str = "",
        model_version: int = -1,
        decoupled: bool = False,
        trace: InferenceTrace = NO_TRACE,
    ) -> InferenceRequest:
        """A client's request, taken as it is: the hot path, where nothing is checked or copied."""
        request = cls.__new__(cls)
        request._key = key
        request._request_id = request_id
        request._correlation_id = correlation_id
        request._flags = flags
        request._timeout_us = timeout_us
        request._parameters = parameters_json
        request._inputs = inputs
        request._requested = requested_output_names
        request._model_name = model_name
        request._model_version = model_version
        request._decoupled = decoupled
        request._trace = trace
        request._preferred_memory = NO_PREFERENCE
        request._release_flags = RELEASE_ALL
        request._sender = None
        request._cancelled = False
        return request

    def inputs(self) -> list[Tensor]:
        """The input tensors, as a new list."""
        return list(self._inputs)

    def requested_output_names(self) -> set[str]:
        """Which outputs are wanted; of a client's request that names none, all of the model's."""
        return set(self._requested)

    def request_id(self) -> str:
        """The id; empty when there is none."""
        return self._request_id

    def correlation_id(self) -> int | str:
        """The sequence's id; 0 when there is none."""
        return self._correlation_id

    def flags(self) -> int:
        """The sequence flags."""
        return self._flags

    def set_flags(self, *args: Any, **kwargs: Any) -> None:
        """Sets the sequence flags."""
        (self._flags,) = _SET_FLAGS.bind(args, kwargs, (self,))

    def set_release_flags(self, *args: Any, **kwargs: Any) -> None:
        """Says whether the request is done with (ALL) or comes again (RESCHEDULE)."""
        (self._release_flags,) = _SET_RELEASE_FLAGS.bind(args, kwargs, (self,))

    def timeout(self) -> int:
        """The timeout in microseconds; 0 when there is none."""
        return self._timeout_us

    def parameters(self) -> str:
        """The parameters as JSON text."""
        return self._parameters

    def trace(self) -> InferenceTrace:
        """The trace to nest BLS requests in."""
        return self._trace

    def is_cancelled(self) -> bool:
        """Whether the client gave up; asked of the server until the answer is yes."""
        if not self._cancelled and self._key is not None:
            self._cancelled = get_host().is_cancelled(self._key)
        return self._cancelled

    def get_response_sender(self) -> InferenceResponseSender:
        """The sender of this request's responses; the same one at each call."""
        sender = self._sender
        if sender is None:
            sender = self._sender = InferenceResponseSender._of(self._key, self._decoupled)
        return sender

    def exec(self, *args: Any, **kwargs: Any) -> InferenceResponse | ResponseIterator:
        """Runs the request and waits; with `decoupled=True`, gives an iterator over its responses."""
        (decoupled,) = _EXEC.bind(args, kwargs, (self,))
        return get_host().bls(self, decoupled)

    def async_exec(self, *args: Any, **kwargs: Any) -> asyncio.Future[InferenceResponse | ResponseIterator]:
        """As `exec`, for coroutines to await."""
        (decoupled,) = _ASYNC_EXEC.bind(args, kwargs, (self,))
        return get_host().async_bls(self, decoupled)


__all__ = [
    "InferenceRequest",
    "InferenceResponse",
    "InferenceResponseSender",
    "InferenceTrace",
    "PreferredMemory",
    "ResponseIterator",
    "Tensor",
    "TritonError",
]
