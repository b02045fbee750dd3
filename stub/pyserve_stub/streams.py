"""Both directions of a stream of responses: the sender of a request, and the iterator over what a BLS call answers.

A sender checks the rules of the protocol and leaves delivery to the host; an iterator caches what a source yields.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Iterator

from pyserve_stub import arguments
from pyserve_stub.collected import Collected
from pyserve_stub.host import get_host
from pyserve_stub.responses import InferenceResponse
from pyserve_stub.vocabulary import NATIVE_MODULE, RESPONSE_COMPLETE_FINAL, TritonModelException, Unconstructible

_SEND = arguments.Signature(
    "send",
    arguments.Parameter(
        "response", f"{NATIVE_MODULE}.InferenceResponse", arguments.native(InferenceResponse, optional=True), None
    ),
    arguments.Parameter("flags", "int", arguments.UINT32, 0),
    returns="None",
    receiver=f"{NATIVE_MODULE}.InferenceResponseSender",
)

_CANNOT = "Unable to send response. "
_UNSUPPORTED_FLAG = _CANNOT + "Unsupported flag provided."
_NO_RESPONSE = "Inference Response object must be provided when the response flags is set to zero."
_NO_MODEL = _CANNOT + "Response sender has no reference to the decoupled state of the model."
_SECOND_RESPONSE = _CANNOT + "Non-decoupled model cannot send more than one response."
_FINAL_FIRST = _CANNOT + "Non-decoupled model cannot send complete final before sending a response."
_CLOSED = _CANNOT + "Response sender has been closed."


class InferenceResponseSender(Unconstructible):
    """Sends any number of responses to one request, from any thread."""

    __slots__ = ("_cancelled", "_closed", "_collected", "_decoupled", "_key", "_lock", "_sent")
    __module__ = NATIVE_MODULE

    _key: int | None
    _decoupled: bool
    _closed: bool
    _cancelled: bool
    _sent: int
    _lock: threading.Lock
    #: Takes the responses when there is no server.
    _collected: Collected | None

    @classmethod
    def _of(cls, key: int | None, decoupled: bool) -> InferenceResponseSender:
        """The sender of the incoming request `key`; of a request that a model or a test made, when it is None."""
        sender = cls.__new__(cls)
        sender._collected = Collected() if key is None and get_host().collects else None
        sender._key = key
        sender._decoupled = decoupled
        sender._closed = False
        sender._cancelled = False
        sender._sent = 0
        sender._lock = threading.Lock()
        return sender

    def send(self, *args: Any, **kwargs: Any) -> None:
        """`send(response=None, flags=0)`: blocks until the response is taken; flag FINAL ends the request."""
        response, flags = _SEND.bind(args, kwargs, (self,))
        if flags not in (0, RESPONSE_COMPLETE_FINAL):
            raise TritonModelException(_UNSUPPORTED_FLAG)
        if response is None and not flags:
            raise TritonModelException(_NO_RESPONSE)
        if self._key is None and self._collected is None:
            raise TritonModelException(_NO_MODEL)
        with self._lock:
            self._check(response is not None)
            self._sent += response is not None
            self._closed = bool(flags)
        if self._collected is not None:
            self._collected.add(response, bool(flags))
        elif self._key is not None:
            get_host().send_response(self._key, response, flags)

    def _check(self, has_response: bool) -> None:
        if not self._decoupled and self._collected is None:  # a test's request belongs to any model
            if has_response and self._sent:
                raise TritonModelException(_SECOND_RESPONSE)
            if not has_response and not self._sent:
                raise TritonModelException(_FINAL_FIRST)
        if self._closed:
            raise TritonModelException(_CLOSED)

    def is_cancelled(self) -> bool:
        """Whether the client gave up; asked of the server until the answer is yes."""
        if not self._cancelled and self._key is not None:
            self._cancelled = get_host().is_cancelled(self._key)
        return self._cancelled

    def _close(self) -> bool:
        """Ends the sender's life when its request was answered otherwise; False if it was closed before."""
        with self._lock:
            was_open = not self._closed
            self._closed = True
        return was_open

    def _supersede(self) -> bool:
        """As `_close`, because `execute` returned the response; False if one was sent before."""
        with self._lock:
            if self._sent:
                return False
            self._sent = 1
            self._closed = True
        return True

    def __del__(self) -> None:
        # Without FINAL and without a sender nobody could ever end the request.
        if getattr(self, "_closed", True) is False and self._key is not None:
            get_host().sender_dropped(self._key)


class ResponseIterator(Unconstructible):
    """The responses of a decoupled BLS call: kept as they come, and replayed by a loop after the last one."""

    __slots__ = ("_cancel", "_items", "_position", "_source")
    __module__ = NATIVE_MODULE

    _source: Iterator[InferenceResponse]
    _cancel: Callable[[], None]
    _items: list[InferenceResponse]
    #: Which item comes next; None after the last one was told.
    _position: int | None

    @classmethod
    def _over(cls, source: Iterator[InferenceResponse], cancel: Callable[[], None]) -> ResponseIterator:
        """Over what `source` yields, which may block; `cancel` asks the callee to stop."""
        iterator = cls.__new__(cls)
        iterator._source = source
        iterator._cancel = cancel
        iterator._items = []
        iterator._position = 0
        return iterator

    def __iter__(self) -> ResponseIterator:
        if self._position is None:
            self._position = 0
        return self

    def __next__(self) -> InferenceResponse:
        position = self._position
        if position is not None and position < len(self._items):
            self._position = position + 1
            return self._items[position]
        item = None if position is None else next(self._source, None)
        if item is None:
            self._position = None
            raise StopIteration("Iteration is done for the responses.")
        self._items.append(item)
        self._position = len(self._items)
        return item

    def cancel(self) -> None:
        """Asks the server to cancel the call; may be repeated."""
        self._cancel()
