"""The memory in which one stub answers: its segments, and what of it the engine has finished with.

The stub allocates in it; the engine makes the segments, reads, and says what it has read. That is said with the stub's
next work, or by itself when there is much of it or when no work comes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

from pyserve_stub.wire.datatypes import BYTES, ITEMSIZE
from pyserve_stub.wire.frames import PlainDescriptor
from pyserve_stub.wire.layout import TensorMeta, WireError, decode_layout

from jupyter_pyserve.engine.memory.arena import Segment, segment_size
from jupyter_pyserve.engine.stubs.callbacks import StubCall
from jupyter_pyserve.errors import Code

_MAX_LAYOUTS = 1024
_RELEASE_DELAY_S = 0.02
_RELEASE_AT_ONCE_NBYTES = 1 << 20
_RELEASE_AT_ONCE_COUNT = 1000


class AnswerLayouts:
    """The tensors of answers and how many bytes each must have, remembered by the layout's bytes.

    Front ends announce lengths by shapes, so an answer that contradicts itself must not reach them.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[tuple[TensorMeta, ...], list[int | None]]] = {}

    def read(self, layout: bytes, descriptors: Sequence[PlainDescriptor]) -> tuple[TensorMeta, ...]:
        """The tensors of an answer; raises `WireError` for one whose descriptors do not fit its layout."""
        tensors, sizes = self._known.get(layout) or self._decode(layout)
        if len(sizes) != len(descriptors):
            raise WireError("a response has more or fewer tensors than descriptors")
        for size, descriptor in zip(sizes, descriptors):
            if size is not None and size != descriptor[2]:
                raise WireError("a tensor's bytes do not fit its shape")
        return tensors

    def _decode(self, layout: bytes) -> tuple[tuple[TensorMeta, ...], list[int | None]]:
        tensors = decode_layout(layout) if layout else ()
        if len(self._known) >= _MAX_LAYOUTS:
            self._known.clear()
        sizes = [math.prod(shape) * ITEMSIZE[code] if code != BYTES else None for _, code, shape in tensors]
        found = self._known[layout] = tensors, sizes
        return found


class ResponseArena:
    """One stub's; `tell` sends it the leases that are released."""

    __slots__ = ("_released", "_released_nbytes", "_tell", "_timer", "limit", "segments")

    def __init__(self, limit: int, tell: Callable[[Sequence[int]], None]) -> None:
        self.segments: dict[int, Segment] = {}
        self.limit = limit
        self._tell = tell
        self._released: list[int] = []
        self._released_nbytes = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def capacity(self) -> int:
        """Bytes of all segments."""
        return sum(segment.nbytes for segment in self.segments.values())

    def grow(self, call: StubCall) -> None:
        """Answer the stub's call for more memory with a new segment, up to the limit."""
        nbytes = int(call.arguments["nbytes"])
        size = segment_size(nbytes + 64, self.capacity, self.limit)
        if size is None:
            text = f"{nbytes} more bytes exceed the limit of {self.limit} bytes for one instance"
            call.refuse(Code.UNAVAILABLE, text)
            return
        try:
            segment = Segment(size, "pyserve-responses")
        except MemoryError as error:  # the stub waits for an answer, and nobody else would give it
            call.refuse(Code.UNAVAILABLE, str(error))
            return
        self.segments[segment.id] = segment
        call.reply(fds=(segment.fd,), segments=[segment.announce(writable=True, arena="responses")])

    def release(self, descriptors: Sequence[PlainDescriptor]) -> None:
        """These tensors have been sent."""
        for descriptor in descriptors:
            if descriptor[3]:
                self._released.append(descriptor[3])
                self._released_nbytes += descriptor[2]
        if self._released_nbytes >= _RELEASE_AT_ONCE_NBYTES or len(self._released) >= _RELEASE_AT_ONCE_COUNT:
            self._tell(self.take_released())
        elif self._timer is None and self._released:
            self._timer = asyncio.get_running_loop().call_later(_RELEASE_DELAY_S, self._late)

    def take_released(self) -> Sequence[int]:
        """The leases that the stub does not know to be released yet."""
        released, self._released, self._released_nbytes = self._released, [], 0
        return released

    def close(self) -> None:
        """The stub is gone; views of the memory stay valid."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for segment in self.segments.values():
            segment.close()

    def _late(self) -> None:
        self._timer = None
        if self._released:
            self._tell(self.take_released())
