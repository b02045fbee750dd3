"""Models that call models: what a stub may ask like any other peer, and what of its memory it may ask it with.

The inputs of such a call lie in the stub's own response arena, in the inputs of a request that it still holds, or in
an earlier answer that it still holds; each is looked up here and kept for as long as the callee reads it. Knows nothing
of what the calling model does with the answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import PlainDescriptor, PlainRequest, encode_meta
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import Job, Sink
from jupyter_pyserve.engine.peers.peer import Peer, Place
from jupyter_pyserve.engine.stubs.forks import MAX_FORKS, Fork, channel_of
from jupyter_pyserve.engine.tracing.watch import Watch, watched
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.waits import find_circle

if TYPE_CHECKING:
    from jupyter_pyserve.engine.memory.arena import Segment
    from jupyter_pyserve.engine.service import Service
    from jupyter_pyserve.engine.stubs.callbacks import StubServices
    from jupyter_pyserve.engine.stubs.instance import Instance
    from jupyter_pyserve.engine.versions.loaded import LoadedVersion

#: Who may wait: a process, or an ensemble for its members.
Node: TypeAlias = "Instance | Fork | Job"

#: How often calls that wait are looked at again: what they wait for may have come to wait for them.
_LOOK_AGAIN_S = 1.0


class StubPeers:
    """The stubs that have ever called, and the processes that they forked."""

    def __init__(self, service: Service, services: StubServices) -> None:
        self._service = service
        self._services = services
        self._peers: dict[Instance | Fork, StubPeer] = {}
        self._forks: dict[Instance, set[Fork]] = {}

    def forked(self, instance: Instance, fds: Sequence[int]) -> None:
        """A stub's model has forked, and the new process has sent its end of a channel."""
        forks = self._forks.setdefault(instance, set())
        for fd in fds:
            sock = channel_of(fd)
            if sock is not None and instance.alive and len(forks) < MAX_FORKS:
                forks.add(Fork(instance, sock, self._services, self.take, self._fork_ended))
            elif sock is not None:
                sock.close()

    def _fork_ended(self, fork: Fork) -> None:
        self._forks.get(fork.parent, set()).discard(fork)
        self._forget(fork)

    def take(self, instance: Instance | Fork, data: bytes) -> None:
        """A frame in which a stub asks; `WireError` and its kin for one that no honest stub sends."""
        peer = self._peers.get(instance)
        if peer is None:
            peer = self._peers[instance] = StubPeer(self._service, instance)
        peer.take(data)

    def ended(self, instance: Instance) -> None:
        """A stub has ended: its calls are cancelled, and nobody needs its memory mapped any more."""
        for fork in self._forks.pop(instance, ()):
            fork.close()
        self._forget(instance)

    def _forget(self, instance: Instance | Fork) -> None:
        peer = self._peers.pop(instance, None)
        if peer is not None:
            peer.end()
        unread = [segment.id for segment in instance.segments.values() if not segment.pinned]
        if unread:
            for target in self._service.registry.all_servables():
                target.detach(unread)


class StubPeer(Peer):
    """One stub whose model calls others."""

    leases_inputs = True

    def __init__(self, service: Service, instance: Instance | Fork) -> None:
        super().__init__(service)
        self._instance = instance
        instance.calls_others = True
        self._timer: asyncio.TimerHandle | None = None
        #: Over the request that the one which is being taken in belongs to.
        self._watch: Watch | None = None

    def _infer(self, request: PlainRequest, flags: int) -> None:
        if not flags & frames.TRACED:
            super()._infer(request, flags)
            return
        key, meta, layout, descriptors = request
        facts = json.loads(meta)
        if not isinstance(facts, dict):
            raise WireError("a request's facts are not an object")
        parent = self._instance.holding(facts.pop("trace"))
        self._watch = watched(parent) if parent is not None else None
        try:
            super()._infer((key, encode_meta(**facts), layout, descriptors), flags)
        finally:
            self._watch = None

    def _behind_watch(self, target: LoadedVersion, began_ns: int) -> Sink:
        """Calls of models are traced if their model wants that, and as part of the request that it says."""
        return self._watch.below(self) if self._watch is not None else self

    def _send(self, data: bytes) -> None:
        self._instance.send(data)
        self._instance.expect()

    def _show(self, segment: Segment) -> None:
        self._instance.attach((segment,))

    def _require_accepting(self) -> None:
        """Whatever the server is about to do, what it has accepted may need others to be carried out."""

    def _lookup(self, name: str, version: str) -> LoadedVersion:
        try:
            return super()._lookup(name, version)
        except PyServeError:
            text = f"Failed for execute the inference request. Model '{name}' is not ready."
            raise PyServeError(Code.INTERNAL, text) from None

    def _decoupled_text(self, model: str) -> str:
        return (
            f"Model {model} is using the decoupled. The current BLS request call doesn't support models using the "
            "decoupled transaction policy. Please use 'decoupled=True' argument to the 'exec' or 'async_exec' calls "
            "for decoupled models.'"
        )

    def _submit(self, job: Job, target: LoadedVersion, flags: int) -> None:
        super()._submit(job, target, flags)
        if flags & frames.BLOCKING and job.key in self._keys:  # else it is answered already
            self._instance.waits_for[job.key] = job
            if job.instance is None or len(job.instance.in_flight) > 1:
                self._look_for_circle(job)

    def _forget(self, key: int) -> Job | None:
        job = super()._forget(key)
        if job is not None:
            self._instance.waits_for.pop(job.key, None)
        return job

    def _look_for_circle(self, job: Job) -> None:
        """Fail a call that would wait for ever; look again from time to time, for what it waits for may go on."""
        start: Node = self._instance
        way = find_circle(start, needs)
        if way:
            names = " -> ".join(_name_of(item) for item in way)
            self._give_up(job, f"every model in this circle of calls would wait for the next one for ever: {names}")
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        for job in list(self._instance.waits_for.values())[-1:]:
            self._look_for_circle(job)

    def _give_up(self, job: Job, text: str) -> None:
        key = self._keys.pop(job.key)
        self._forget(key)
        job.owner.cancel(job)
        flags = frames.FINAL | frames.REFUSED
        self._respond((key, Code.INTERNAL + 1, flags, b"", text.encode("utf-8", "replace"), ()))

    def end(self) -> None:
        """The stub is gone."""
        super().end()
        self._instance.waits_for.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _cancel(self, key: int) -> None:
        """The call ends with whatever its model answers, as on Triton; one that nobody has begun ends at once."""
        job = self._jobs.get(key)
        if job is None:
            return
        if job.instance is not None and job.instance.alive:
            job.instance.cancel(job)
            return
        super()._cancel(key)
        self._respond((key, Code.CANCELLED + 1, frames.FINAL, b"", b"the call was cancelled", ()))

    # -- where inputs lie ---------------------------------------------------------------------------------------------

    def _place(self, key: int, descriptors: Sequence[PlainDescriptor]) -> Place:
        inputs = _Inputs(self._instance.release)
        own, segments = self._instance.segments, inputs.segments
        placed: list[PlainDescriptor] = []
        for descriptor in descriptors:
            segment, offset, nbytes, name = descriptor
            if 0 < name < frames.OF_REQUEST and segment in own:
                lies_in = own[segment]
                if offset + nbytes > lies_in.nbytes:
                    raise inputs.refused()
                inputs.own.append(descriptor)
                segments[segment] = lies_in
                placed.append((segment, offset, nbytes, 0))
            elif nbytes:
                segments[segment] = self._borrow(descriptor, inputs)
                placed.append((segment, offset, nbytes, frames.SHARED))
            else:
                placed.append((0, 0, 0, 0))
        return Place(inputs, 0, tuple(segments.values()), placed)

    def _borrow(self, descriptor: PlainDescriptor, inputs: _Inputs) -> Segment:
        """The segment of an input that lies in a request or an answer; either is kept from now on."""
        kind, number = descriptor[3] & frames.OF_MASK, descriptor[3] & ~frames.OF_MASK
        if kind == frames.OF_REQUEST:
            job = self._instance.holding(number)
            if job is not None and job.contains(*descriptor[:3]):
                segment = job.memory.segment(descriptor[0])
                inputs.keep(job)
                inputs.keep(_Pin(segment))
                return segment
        elif kind == frames.OF_ANSWER:
            lent = self._leases.get(number)
            lies_in = lent.segment(descriptor) if lent is not None else None
            if lent is not None and lies_in is not None:
                inputs.keep(lent)
                return lies_in
        raise inputs.refused()


def needs(node: Node) -> Iterator[Sequence[Node]]:
    """What an instance waits for before it can take another request, or an ensemble's job before it is done."""
    jobs = node.owner.parts(node) if isinstance(node, Job) else node.waits_for.values()
    for job in jobs:
        if job.owner.parts(job):
            yield (job,)
        elif job.instance is not None and job.instance.alive:
            yield (job.instance,)
        else:
            yield tuple(job.owner.instances)


def _name_of(node: Node) -> str:
    return node.owner.name if isinstance(node, Job) else node.model


class Keeper(Protocol):
    """What keeps memory for as long as somebody reads it."""

    def ref(self) -> None:
        """One more reads it."""

    def unref(self) -> None:
        """One of those who read it is done."""


class _Pin:
    """Keeps memory that may be that of a client who goes."""

    __slots__ = ("ref", "unref")

    def __init__(self, segment: Segment) -> None:
        self.ref, self.unref = segment.pin, segment.unpin


class _Inputs:
    """The memory of one call's inputs."""

    __slots__ = ("_release", "keepers", "own", "segments")

    def __init__(self, release: Callable[[Sequence[PlainDescriptor]], None]) -> None:
        self._release = release
        self.own: list[PlainDescriptor] = []
        self.keepers: list[Keeper] = []
        self.segments: dict[int, Segment] = {}

    def keep(self, keeper: Keeper) -> None:
        keeper.ref()
        self.keepers.append(keeper)

    def refused(self) -> WireError:
        """Its process will be ended, so what is its own need not be freed."""
        for keeper in self.keepers:
            keeper.unref()
        return WireError("a call points at memory that its model does not hold")

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        return self.segments[segment].read(offset, nbytes) if nbytes else memoryview(b"")

    def segment(self, segment_id: int) -> Segment:
        return self.segments[segment_id]

    def free(self, block_id: int) -> None:
        self._release(self.own)
        for keeper in self.keepers:
            keeper.unref()
