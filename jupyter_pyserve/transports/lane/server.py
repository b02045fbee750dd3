"""The engine's side of lanes: a Unix socket of sequenced packets, one connection a process, descriptors only.

A lane's memory is made here and allocated by the client; what a client says about it is checked against our own table.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from pyserve_stub.wire import frames
from pyserve_stub.wire.datatypes import NAMES
from pyserve_stub.wire.frames import PlainRequest, PlainResponse
from pyserve_stub.wire.layout import LayoutCache, WireError

from jupyter_pyserve.engine.arena import Segment, segment_size
from jupyter_pyserve.engine.channel import Channel
from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.loaded import LoadedVersion
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.infer import InferRequest, InputRef, OutputRef, check_bytes, element_count
from jupyter_pyserve.v2.plan import RequestPlan, make_request_plan

_log = logging.getLogger(__name__)

_MAX_PLANS = 1024

#: How long nobody is accepted when there are no descriptors left.
_ACCEPT_AGAIN_S = 0.2


class LaneServer:
    """Accepts lanes of the same user."""

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self._service = service
        self._sock = sock
        self._lanes: set[LaneConnection] = set()
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._accept)

    async def close(self, timeout_s: float) -> None:
        """Stop accepting, let what is asked be answered, and let all clients go."""
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._sock.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(lane.idle() for lane in self._lanes)), timeout_s)
        for lane in list(self._lanes):
            lane.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptors left: the client waits, and we don't spin
            self._pause()
            return
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", credentials)[1] != os.getuid():
            sock.close()
            return
        self._lanes.add(LaneConnection(self._service, sock, self._lanes.discard))

    def _pause(self) -> None:
        loop, fd = asyncio.get_running_loop(), self._sock.fileno()
        loop.remove_reader(fd)
        loop.call_later(_ACCEPT_AGAIN_S, lambda: self._sock.fileno() < 0 or loop.add_reader(fd, self._accept))


class LaneConnection:
    """One client process; the memory and the sink of its jobs."""

    def __init__(self, service: Service, sock: socket.socket, on_close: Any) -> None:
        self._service = service
        self._on_closed = on_close
        self._limit = service.settings.arena_limit_nbytes
        self._own: dict[int, Segment] = {}
        self._sent: dict[int, Segment] = {}
        self._layouts = LayoutCache()
        #: By the bytes of a request: what it comes to, for which model version, and which version it asked for.
        self._plans: dict[tuple[bytes, bytes, tuple[int, ...]], tuple[RequestPlan, LoadedVersion, str]] = {}
        self._jobs: dict[int, Job] = {}
        self._keys: dict[int, int] = {}
        self._leases: dict[int, Callable[[], None]] = {}
        self._idle: asyncio.Future[None] | None = None
        self._next_lease = itertools.count(1).__next__
        self._answering = 0
        self._freed = False
        # One frame at a turn: looking for a second, which is seldom there, costs as much as reading the first.
        self._channel = Channel(sock, self._on_frame, self._on_close, lambda: False)

    def close(self) -> None:
        """Let the client go."""
        self._channel.close()

    async def idle(self) -> None:
        """Wait until everything that was asked is answered."""
        if self._jobs:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    def _forget(self, key: int) -> Job | None:
        job = self._jobs.pop(key, None)
        if not self._jobs and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        return job

    # -- frames of the client -----------------------------------------------------------------------------------------

    def _on_frame(self, data: bytes, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)
        try:
            kind = data[0]
            if kind == frames.INFER:
                batch, released = frames.decode_execute(data)
                self._release(released)
                for request in batch:
                    if not self._channel.closed:  # an answer that the client does not take ends the lane
                        self._infer(request)
            elif kind == frames.RELEASE:
                self._release(frames.decode_keys(data))
            elif kind == frames.CANCEL:
                for key in frames.decode_keys(data):
                    self._cancel(key)
            elif kind == frames.CALL:
                self._on_call(frames.decode_cold(data))
            else:
                raise WireError(f"unknown frame {kind}")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            _log.warning("a lane is closed: it broke the protocol (%s)", error)
            self._channel.close()

    def _on_call(self, call: dict[str, Any]) -> None:
        reply: dict[str, Any] = {"id": int(call["id"]), "ok": True}
        fds: list[int] = []
        if call["op"] == "hello":
            if call.get("magic") != frames.MAGIC or call.get("version") != frames.VERSION:
                reply = {**reply, "ok": False, "error": f"this engine speaks version {frames.VERSION} of the lane"}
        elif call["op"] == "grow":
            nbytes = int(call["nbytes"])
            size = segment_size(nbytes + 64, sum(item.nbytes for item in self._own.values()), self._limit)
            try:
                segment = Segment(size, "pyserve-lane", of_client=True) if size is not None and nbytes >= 0 else None
            except MemoryError as error:
                _log.error("%s", error)
                segment = None
            if segment is None:
                reply = {**reply, "ok": False, "error": f"a lane may have at most {self._limit} bytes"}
            else:
                self._own[segment.id] = segment
                reply["segments"] = [segment.announce(writable=True, arena="lane")]
                fds = [segment.fd]
        else:
            raise WireError(f"unknown call {call['op']}")
        self._channel.send(frames.encode_cold(frames.REPLY, reply), fds)

    def _infer(self, request: PlainRequest) -> None:
        key, _, _, descriptors = request
        if key in self._jobs:
            raise WireError(f"two requests under the key {key}")
        try:
            if not self._service.accepting:
                raise PyServeError(Code.UNAVAILABLE, "Server is stopping and has stopped accepting new requests")
            for segment, offset, nbytes, _ in descriptors:
                own = self._own.get(segment)
                if nbytes and (own is None or offset + nbytes > own.nbytes):
                    raise WireError("a request points outside of its lane's memory")
            plan, servable = self._plan(request)
            for index in plan.strings:
                item = plan.request.inputs[index]
                check_bytes(
                    self.view(*descriptors[index][:3]),
                    element_count(item, servable.signature),
                    name=item.name,
                    model_name=servable.name,
                    request_id=plan.request.id,
                )
            self._submit(key, plan, servable, request)
        except PyServeError as error:
            self._send((key, error.code + 1, _DONE, b"", error.message.encode(), ()))

    def _submit(self, key: int, plan: RequestPlan, servable: LoadedVersion, request: PlainRequest) -> None:
        job = servable.foreign_job(self, key, self)
        job.foreign = tuple(self._own.values())
        job.plan = plan
        job.descriptors = request[3]
        self._jobs[key] = job
        self._keys[job.key] = key
        try:
            servable.submit(job)
        except PyServeError:
            del self._jobs[key], self._keys[job.key]
            self._answering = key
            job.finish()
            self._answering = 0
            raise

    def _plan(self, request: PlainRequest) -> tuple[RequestPlan, LoadedVersion]:
        _, meta, layout, descriptors = request
        sizes = tuple([item[2] for item in descriptors])
        key = (meta, layout, sizes)
        known = self._plans.get(key)
        if known is not None:
            plan, servable, version = known
            if self._service.registry.routes.get((servable.name, version)) is servable:
                return plan, servable
        fields = json.loads(meta)
        if not isinstance(fields, dict):
            raise WireError("a request's facts are not an object")
        version = str(fields.get("version", ""))
        servable = self._service.lookup(str(fields["model"]), version)
        plan = make_request_plan(_request(fields, self._layouts.decode(layout), sizes), servable.signature)
        if servable.signature.decoupled:
            raise PyServeError(Code.UNSUPPORTED, "a lane doesn't support models with decoupled transaction policy")
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[key] = plan, servable, version
        return plan, servable

    def _cancel(self, key: int) -> None:
        job = self._forget(key)
        if job is not None:
            del self._keys[job.key]
            job.owner.cancel(job)

    def _release(self, leases: Sequence[int]) -> None:
        for lease in leases:
            give_back = self._leases.pop(lease, None)
            if give_back is not None:
                give_back()

    # -- answers ------------------------------------------------------------------------------------------------------

    def deliver(self, job: Job, response: Response) -> None:
        """Pass an answer on: the same descriptors, under a lease that the client gives back."""
        key = self._keys.pop(job.key, None)
        if key is None:
            response.release()
            return
        self._forget(key)
        self._answering, self._freed = key, False
        answer: PlainResponse
        if response.code is not None:
            code, text = response.code + 1, response.text.encode("utf-8", "replace")
            response.release()
            answer = (key, code, self._flags(), b"", text, ())
        else:
            answer = self._success(key, response)
        self._answering = 0
        self._send(answer)

    def _success(self, key: int, response: Response) -> PlainResponse:
        lease = 0
        descriptors = []
        try:
            for descriptor in response.descriptors:
                lent = response.segment(descriptor)
                if lent is not None and descriptor[3]:
                    lease = lease or self._next_lease()
                    self._show(lent)
                    descriptors.append((*descriptor[:3], lease))
                else:
                    descriptors.append((*descriptor[:3], 0))
        except WireError as error:
            response.release()
            return (key, Code.INTERNAL + 1, self._flags(), b"", str(error).encode(), ())
        give_back = response.hand_over()
        if lease:
            self._leases[lease] = give_back
        else:
            give_back()
        return (key, 0, self._flags(), response.layout, response.parameters, descriptors)

    def _flags(self) -> int:
        return _DONE if self._freed else frames.FINAL

    def _show(self, segment: Segment) -> None:
        """Give the client a segment of a stub's, once, and take back those of stubs that have ended."""
        if segment.id in self._sent:
            return
        ended = [known for known, shown in self._sent.items() if shown.closed]
        for known in ended:
            del self._sent[known]
        self._sent[segment.id] = segment
        note = {"segments": [segment.announce(writable=True)], "dropped": ended}
        self._channel.send(frames.encode_cold(frames.NOTE, note), (segment.fd,))

    def _send(self, response: PlainResponse) -> None:
        self._channel.send(frames.encode_responses((response,)))

    # -- memory -------------------------------------------------------------------------------------------------------

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        """The bytes of a range of the lane's memory."""
        return self._own[segment].view[offset : offset + nbytes] if nbytes else memoryview(b"")

    def free(self, block_id: int) -> None:
        """Nothing reads a request's inputs any more: said with its answer if that is being made, else by itself."""
        if block_id == self._answering:
            self._freed = True
        else:
            self._channel.send(frames.encode_keys(frames.RELEASE, (block_id,)))

    def _on_close(self) -> None:
        for job in list(self._jobs.values()):
            self._keys.pop(job.key, None)
            job.owner.cancel(job)
        self._jobs.clear()
        for give_back in self._leases.values():
            give_back()
        self._leases.clear()
        for servable in self._service.registry.all_servables():
            servable.detach(list(self._own))
        for segment in self._own.values():
            segment.close()
        self._on_closed(self)


_DONE = frames.FINAL | frames.INPUTS_RELEASED


def _request(fields: dict[str, Any], tensors: Sequence[Any], sizes: Sequence[int]) -> InferRequest:
    if len(tensors) != len(sizes):
        raise WireError("a request has more or fewer tensors than descriptors")
    parameters = fields.get("parameters", {})
    return InferRequest(
        id=str(fields.get("id", "")),
        inputs=tuple(
            InputRef(name=item.name, datatype=NAMES[item.code], shape=item.shape, offset=0, nbytes=nbytes)
            for item, nbytes in zip(tensors, sizes)
        ),
        outputs=tuple(OutputRef(name=str(name), binary=True) for name in fields.get("outputs", ())),
        parameters=parameters if isinstance(parameters, dict) else {},
        priority=int(fields.get("priority", 0)),
        timeout_us=int(fields.get("timeout_us", 0)),
        correlation_id=fields.get("correlation_id", 0),
        flags=int(fields.get("flags", 0)),
        binary_data_output=True,
    )
