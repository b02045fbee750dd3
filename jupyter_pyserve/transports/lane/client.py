"""The lane as a notebook uses it: `infer` passes descriptors of shared memory, so the size of an array is no cost.

Arrays made by `empty` or `asarray` go without a copy, others with one; answers come as arrays over the memory in which
the model's process put them. Several threads and event loops may use a lane at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any

import numpy as np
from pyserve_stub.memory import ResponseHold, Returns
from pyserve_stub.wire import frames
from pyserve_stub.wire.datatypes import BYTES, NAMES
from pyserve_stub.wire.frames import PlainDescriptor, PlainResponse
from pyserve_stub.wire.layout import LayoutCache, TensorMeta, encode_layout

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.lane.memory import Array, LaneMemory
from jupyter_pyserve.transports.lane.streams import ResponseStream
from jupyter_pyserve.transports.lane.waiting import LATE, Mailbox, Pending
from jupyter_pyserve.v2.arrays import datatype_of, from_bytes, numpy_dtype, to_bytes
from jupyter_pyserve.v2.client import lane_facts
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.request_options import PLAIN, RequestOptions

_MAX_CACHED = 1024


class Lane:
    """One connection to an engine on this machine; `Lane.connect(path)` makes it."""

    def __init__(self, sock: socket.socket) -> None:
        self._mailbox = Mailbox(sock, self._on_frame, self._ended)
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._memory = LaneMemory()
        self._layouts = LayoutCache()
        self._encoded: dict[tuple[TensorMeta, ...], bytes] = {}
        self._metas: dict[tuple[str, str, tuple[str, ...], bool], bytes] = {}
        self._pending: dict[int, Pending] = {}
        # Weakly: one that nobody reads any more is cancelled by its destructor.
        self._streams: weakref.WeakValueDictionary[int, ResponseStream] = weakref.WeakValueDictionary()
        # The owners of inputs that somebody still reads, by request.
        self._lent: dict[int, Sequence[Any]] = {}
        self._calls: dict[int, Pending] = {}
        self._next_key = 0
        self._returns = Returns(self._give_back)

    @classmethod
    def connect(cls, path: str) -> Lane:
        """Connect to the engine that listens at `path`; waits while it starts. Raises OSError when there is none."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(path)
            lane = cls(sock)
            reply = lane._call("hello", magic=frames.MAGIC, version=frames.VERSION)
        except BaseException:
            sock.close()
            raise
        if not reply.get("ok"):
            lane.close()
            raise PyServeError(Code.UNSUPPORTED, str(reply.get("error")))
        return lane

    # -- memory -------------------------------------------------------------------------------------------------------

    def empty(self, shape: int | Sequence[int], dtype: Any) -> Array:
        """An uninitialised array in the lane's memory."""
        kind = np.dtype(dtype)
        if kind.hasobject:
            raise TypeError("objects cannot lie in shared memory; give strings and bytes as ordinary arrays")
        dims = tuple(map(index, shape)) if isinstance(shape, Iterable) else (index(shape),)
        count = int(np.prod(dims, dtype=object)) if dims else 1
        return np.ndarray(dims, kind, buffer=self._allocate(count * kind.itemsize))

    def asarray(self, a: Array) -> Array:
        """`a` itself if it lies in the lane's memory, else a copy that does; arrays of objects stay as they are."""
        array = np.asarray(a)
        if array.dtype.hasobject or array.dtype.kind in "SU" or self._memory.locate(array) is not None:
            return array
        copy = self.empty(array.shape, array.dtype.newbyteorder("="))
        copy[...] = array
        return copy

    @property
    def used_nbytes(self) -> int:
        """Bytes of the lane's memory that live arrays and running requests hold."""
        with self._lock:
            return self._memory.used

    def _allocate(self, nbytes: int) -> Any:
        with self._lock:
            lease = self._memory.allocate(nbytes)
        while lease is None:
            reply = self._call("grow", nbytes=nbytes)
            if not reply.get("ok"):
                raise MemoryError(f"{nbytes} bytes of lane memory: {reply.get('error')}")
            with self._lock:
                lease = self._memory.allocate(nbytes)
        return lease

    # -- requests -----------------------------------------------------------------------------------------------------

    def infer(self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN) -> dict[str, Array]:
        """Run a model; arrays by output name. Raises `PyServeError`; OSError when the engine is gone."""
        pending = Pending(self._new_key())
        self._send(pending, model, inputs, options)
        try:
            self._mailbox.wait(pending, options.timeout_s)
        except BaseException:
            self._cancel(pending)
            raise
        answer: dict[str, Array] = pending.result()
        return answer

    def infer_async(
        self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN
    ) -> asyncio.Future[dict[str, Array]]:
        """`infer` as a future of the running loop; cancelling it cancels the request."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[dict[str, Array]] = loop.create_future()
        pending = Pending(self._new_key(), future)
        self._send(pending, model, inputs, options)
        self._mailbox.watch(loop)
        timeout_s = options.timeout_s
        timer = loop.call_later(timeout_s, self._expire, pending) if timeout_s is not None else None

        def finished(done: asyncio.Future[dict[str, Array]]) -> None:
            self._mailbox.unwatch(loop)
            if timer is not None:
                timer.cancel()
            if done.cancelled():
                self._cancel(pending)

        future.add_done_callback(finished)
        return future

    def stream(self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN) -> ResponseStream:
        """Run a model that may answer any number of times; its time-out bounds the wait for each response."""
        stream = ResponseStream(self._new_key(), self._mailbox, self._cancel_key, options.timeout_s)
        self._send(stream, model, inputs, options)
        return stream

    def _new_key(self) -> int:
        with self._lock:
            self._next_key += 1
            return self._next_key

    def _send(
        self,
        pending: Pending | ResponseStream,
        model: str,
        inputs: Mapping[str, Array],
        options: RequestOptions,
    ) -> None:
        if os.getpid() != self._pid:
            raise OSError("this lane belongs to the process that opened it; open another one after a fork")
        metas, descriptors, kept = [], [], []
        for name, value in inputs.items():
            meta, descriptor, owner = self._place(name, value)
            metas.append(meta)
            descriptors.append(descriptor)
            kept.append(owner)
        facts = self._meta(model, options, isinstance(pending, ResponseStream))
        frame = (pending.key, facts, self._layout(tuple(metas)), descriptors)
        with self._lock:
            if isinstance(pending, Pending):
                self._pending[pending.key] = pending
            else:
                self._streams[pending.key] = pending
            self._lent[pending.key] = kept
            returned = self._returns.take()
        try:
            self._mailbox.send(frames.encode_execute((frame,), returned, frames.INFER))
        except Exception:
            self._not_sent(pending.key, returned)
            raise

    def _not_sent(self, key: int, returned: Sequence[int]) -> None:
        """Nobody will answer it, or has heard what it was to give back."""
        self._pending.pop(key, None)
        self._streams.pop(key, None)
        self._lent.pop(key, None)
        for lease in returned:
            self._returns.add(lease, 0)

    def _place(self, name: str, value: Array) -> tuple[TensorMeta, PlainDescriptor, Any]:
        array = np.asarray(value)
        datatype = datatype_of(array)
        if datatype.code == BYTES:
            data = to_bytes(array, datatype)
            if not data.nbytes:
                return TensorMeta(name, BYTES, array.shape), (0, 0, 0, 0), array
            lease = self._allocate(data.nbytes)
            lease[:] = np.frombuffer(data, np.uint8)
            found = self._memory.segments.find(lease)
            assert found is not None
            return (
                TensorMeta(name, BYTES, array.shape),
                (found[0].id, found[1], data.nbytes, 0),
                lease,
            )
        place = self._memory.locate(array) if array.dtype.isnative else None
        if place is None:
            if array.nbytes == 0:
                return TensorMeta(name, datatype.code, array.shape), (0, 0, 0, 0), array
            copy = self.empty(array.shape, array.dtype.newbyteorder("="))
            copy[...] = array
            place, array = self._memory.locate(copy), copy
            assert place is not None
        return TensorMeta(name, datatype.code, array.shape), (*place, array.nbytes, 0), array

    def _meta(self, model: str, options: RequestOptions, decoupled: bool) -> bytes:
        """The rare facts of a request as JSON; remembered where only few are likely to come."""
        key = (model, options.version, options.outputs, decoupled)
        is_rare = bool(options.request_id or options.parameters)
        known = self._metas.get(key) if not is_rare else None
        if known is not None:
            return known
        rare = {"version": options.version, "outputs": options.outputs, "id": options.request_id}
        rare |= lane_facts(options.parameters or {})
        fields: dict[str, Any] = {"model": model, **{name: value for name, value in rare.items() if value}}
        if decoupled:
            fields["decoupled"] = True
        meta = json.dumps(fields, separators=(",", ":")).encode()
        if not is_rare and len(self._metas) < _MAX_CACHED:
            self._metas[key] = meta
        return meta

    def _layout(self, metas: tuple[TensorMeta, ...]) -> bytes:
        layout = self._encoded.get(metas)
        if layout is None:
            if len(self._encoded) >= _MAX_CACHED:
                self._encoded.clear()
            layout = self._encoded[metas] = encode_layout(metas)
        return layout

    def _cancel(self, pending: Pending) -> None:
        if self._pending.pop(pending.key, None) is not None:
            self._cancel_key(pending.key)

    def _cancel_key(self, key: int) -> None:
        if os.getpid() != self._pid:
            return  # it is the request of the process that this is a fork of
        with contextlib.suppress(OSError):
            self._mailbox.send(frames.encode_keys(frames.CANCEL, (key,)))

    def _expire(self, pending: Pending) -> None:
        self._cancel(pending)
        pending.settle(None, TimeoutError(LATE))

    def ask(self, op: str, fds: Sequence[int] = (), **arguments: Any) -> None:
        """Have something done that is not inference: `share`, with a descriptor, or `unshare`."""
        reply = self._call(op, fds, **arguments)
        if not reply.get("ok"):
            raise PyServeError(Code(reply.get("code", Code.UNKNOWN)), str(reply.get("error")))

    def _call(self, op: str, fds: Sequence[int] = (), **arguments: Any) -> dict[str, Any]:
        pending = Pending(self._new_key())
        self._calls[pending.key] = pending
        self._mailbox.send(frames.encode_cold(frames.CALL, {"id": pending.key, "op": op, **arguments}), fds)
        self._mailbox.wait(pending)
        reply: dict[str, Any] = pending.result()
        return reply

    def _give_back(self, leases: Sequence[int]) -> None:
        if not self._mailbox.closed and os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                self._mailbox.send(frames.encode_keys(frames.RETURN, leases))

    def _ended(self, error: OSError) -> None:
        """The engine is gone: everything that is waited for ends with that."""
        waiting: list[Pending | ResponseStream] = [
            *self._pending.values(),
            *self._calls.values(),
            *self._streams.values(),
        ]
        self._pending.clear()
        self._calls.clear()
        for pending in waiting:
            pending.add(None, error, final=True)

    @property
    def ended(self) -> bool:
        """Whether the engine has gone."""
        return self._mailbox.ended

    def close(self) -> None:
        """Close the connection: what is not answered never will be. Arrays stay readable as long as they live."""
        ours = os.getpid() == self._pid
        self._mailbox.close(ours=ours)
        if ours:
            self._ended(ConnectionError("the lane is closed"))

    # -- frames -------------------------------------------------------------------------------------------------------

    def _on_frame(self, data: bytes, fds: Sequence[int]) -> None:
        kind = data[0]
        if kind == frames.RESPONSES:
            for response in frames.decode_responses(data)[0]:
                self._on_response(response)
        elif kind == frames.RELEASE:
            for key in frames.decode_keys(data):
                self._lent.pop(key, None)
        elif kind == frames.NOTE:
            self._on_note(frames.decode_cold(data), fds)
        elif kind == frames.REPLY:
            self._on_reply(frames.decode_cold(data), fds)

    def _on_note(self, note: dict[str, Any], fds: Sequence[int]) -> None:
        for segment_id in note.get("dropped", ()):
            self._memory.segments.drop(segment_id)
        for item, fd in zip(note.get("segments", ()), fds):
            self._memory.segments.add(item["id"], fd, item["nbytes"], item["writable"])

    def _on_reply(self, reply: dict[str, Any], fds: Sequence[int]) -> None:
        with self._lock:
            for item, fd in zip(reply.get("segments", ()), fds):
                self._memory.add_own(item["id"], fd, item["nbytes"])
        call = self._calls.pop(reply["id"], None)
        if call is not None:
            call.settle(reply)

    def _on_response(self, response: PlainResponse) -> None:
        key, code, flags, layout, text, descriptors = response
        kept = self._lent.get(key, ())
        if flags & frames.INPUTS_RELEASED:
            self._lent.pop(key, None)
        final = bool(flags & frames.FINAL)
        pending = self._pending.pop(key, None) or self._streams.get(key)
        hold = self._hold(descriptors)
        if pending is None:
            return  # cancelled; the hold gives the memory back
        if code:
            known = Code(code - 1) if code <= len(Code) else Code.UNKNOWN
            pending.add(None, PyServeError(known, text.decode("utf-8", "replace")), final=final)
            return
        try:
            answer = self._arrays(layout, descriptors, hold, kept) if not flags & frames.BARE else None
            pending.add(answer, final=final)
        except (ValueError, TypeError, PyServeError) as error:
            pending.add(None, PyServeError(Code.INTERNAL, f"the answer cannot be read: {error}"), final=final)

    def _hold(self, descriptors: Sequence[PlainDescriptor]) -> ResponseHold | None:
        leased = [item for item in descriptors if item[3]]
        if not leased:
            return None
        return ResponseHold(leased[0][3], sum([item[2] for item in leased]), self._returns)

    def _arrays(
        self, layout: bytes, descriptors: Sequence[PlainDescriptor], hold: ResponseHold | None, kept: Sequence[Any]
    ) -> dict[str, Array]:
        arrays = {}
        for (name, code, shape), (segment, offset, nbytes, lease) in zip(self._layouts.decode(layout), descriptors):
            if nbytes == 0:
                arrays[name] = from_bytes(memoryview(b""), TABLE[NAMES[code]], shape)
                continue
            memory, _ = self._memory.segments.lend(segment, offset, nbytes, hold if lease else kept)
            if code == BYTES:
                arrays[name] = from_bytes(memory.data, TABLE[NAMES[code]], shape)
                continue
            dtype = _NUMPY.get(code) or numpy_dtype(TABLE[NAMES[code]])
            array: Array = np.ndarray(shape, dtype, buffer=memory)
            if not lease:
                array.flags.writeable = False  # the memory is an input's: writing here would change the input
            arrays[name] = array
        return arrays


#: Without BF16, whose type is another package's: that is imported only when there is such a tensor.
_NUMPY = {row.code: np.dtype(row.numpy) for row in TABLE.values() if row.numpy and row.name != "BF16"}
