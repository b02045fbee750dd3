"""Models that call models: what a stub may ask like any other peer, and what of its memory it may ask it with.

The inputs of such a call lie in the stub's own response arena, in the inputs of a request that it still holds, or in
an earlier answer that it still holds; each is looked up here and kept for as long as the callee reads it. Knows nothing
of what the calling model does with the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import PlainDescriptor
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.peer import Peer, Place
from jupyter_pyserve.errors import Code, PyServeError

if TYPE_CHECKING:
    from jupyter_pyserve.engine.arena import Segment
    from jupyter_pyserve.engine.instance import Instance
    from jupyter_pyserve.engine.loaded import LoadedVersion
    from jupyter_pyserve.engine.service import Service

_NOT_ITS_OWN = "a call points at memory that its model does not hold"


class StubPeers:
    """The stubs that have ever called, by instance."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._peers: dict[Instance, StubPeer] = {}

    def take(self, instance: Instance, data: bytes) -> None:
        """A frame in which a stub asks; `WireError` and its kin for one that no honest stub sends."""
        peer = self._peers.get(instance)
        if peer is None:
            peer = self._peers[instance] = StubPeer(self._service, instance)
        peer.take(data)

    def ended(self, instance: Instance) -> None:
        """A stub has ended: its calls are cancelled, and nobody needs its memory mapped any more."""
        peer = self._peers.pop(instance, None)
        if peer is not None:
            peer.end()
        if instance.segments:
            for target in self._service.registry.all_servables():
                target.detach(list(instance.segments))


class StubPeer(Peer):
    """One stub whose model calls others."""

    leases_inputs = True

    def __init__(self, service: Service, instance: Instance) -> None:
        super().__init__(service)
        self._instance = instance
        instance.calls_others = True

    def _send(self, data: bytes) -> None:
        self._instance.send(data)

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
        found = [self._find(item) for item in descriptors]  # all, before any is kept
        inputs = _Inputs(self._instance.release)
        placed: list[PlainDescriptor] = []
        for (segment, offset, nbytes, name), (lies_in, keeper) in zip(descriptors, found):
            if lies_in is None:
                placed.append((0, 0, 0, 0))
                continue
            inputs.segments[lies_in.id] = lies_in
            if keeper is None:
                inputs.own.append((segment, offset, nbytes, name))
            else:
                keeper.ref()
                inputs.keepers.append(keeper)
            placed.append((segment, offset, nbytes, frames.SHARED if keeper is not None else 0))
        return Place(inputs, 0, tuple(inputs.segments.values()), placed)

    def _find(self, descriptor: PlainDescriptor) -> tuple[Segment | None, Keeper | None]:
        """The segment of one input and, unless that is the stub's own, who keeps its memory."""
        segment, offset, nbytes, name = descriptor
        if not nbytes:
            return None, None
        kind, number = name & frames.OF_MASK, name & ~frames.OF_MASK
        lies_in: Segment | None = None
        if kind == frames.OF_BLOCK:
            lies_in = self._instance.segments.get(segment)
            if lies_in is not None and number and offset + nbytes <= lies_in.nbytes:
                return lies_in, None
        elif kind == frames.OF_REQUEST:
            job = self._instance.holding(number)
            if job is not None and job.contains(segment, offset, nbytes):
                return job.memory.segment(segment), job
        elif kind == frames.OF_ANSWER:
            lent = self._leases.get(number)
            lies_in = lent.segment(descriptor) if lent is not None else None
            if lies_in is not None:
                return lies_in, lent
        raise WireError(_NOT_ITS_OWN)


class Keeper(Protocol):
    """What keeps memory for as long as somebody reads it."""

    def ref(self) -> None:
        """One more reads it."""

    def unref(self) -> None:
        """One of those who read it is done."""


class _Inputs:
    """The memory of one call's inputs."""

    __slots__ = ("_release", "keepers", "own", "segments")

    def __init__(self, release: Callable[[Sequence[PlainDescriptor]], None]) -> None:
        self._release = release
        self.own: list[PlainDescriptor] = []
        self.keepers: list[Keeper] = []
        self.segments: dict[int, Segment] = {}

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        return self.segments[segment].view[offset : offset + nbytes] if nbytes else memoryview(b"")

    def segment(self, segment_id: int) -> Segment:
        return self.segments[segment_id]

    def free(self, block_id: int) -> None:
        self._release(self.own)
        for keeper in self.keepers:
            keeper.unref()
