"""One priority level of a queue: its requests in arrival order, its limit, and which of them waited too long.

Owns queue policies (size limit, timeouts, what a timeout does). Must not know batches or other levels.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, Protocol, TypeVar

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.scheduling import QueuePolicy, TimeoutAction

REQUEST_TIMEOUT_EXPIRED: Final = "Request timeout expired"

#: So many requests that are gone are not worth looking for.
_FEW: Final = 64


class Queued(Protocol):
    """What a scheduler reads of a request. It compares requests by identity: don't give them another `__eq__`."""

    @property
    def batch_size(self) -> int: ...

    @property
    def shape_key(self) -> Hashable:
        """Requests share a batch only if these are equal: shapes that must agree, and which optional inputs came."""

    @property
    def priority(self) -> int: ...

    @property
    def timeout_us(self) -> int: ...

    @property
    def enqueue_ns(self) -> int: ...

    @property
    def id(self) -> str: ...


RequestT = TypeVar("RequestT", bound=Queued)


class Level(Generic[RequestT]):
    """Requests of one priority: `main` in arrival order, then `delayed`, those that outlived their timeout."""

    __slots__ = (
        "_allow_override",
        "_heap",
        "_live",
        "_max_size",
        "_reject",
        "_serial",
        "_timeout_us",
        "delayed",
        "main",
    )

    def __init__(self, policy: QueuePolicy) -> None:
        self.main: deque[RequestT] = deque()
        self.delayed: deque[RequestT] = deque()
        self._max_size = policy.max_queue_size
        self._timeout_us = policy.default_timeout_us
        self._allow_override = policy.allow_timeout_override
        self._reject = policy.timeout_action is TimeoutAction.REJECT
        # (deadline_ns, serial, request); an entry counts only while `_live` maps the request to that serial.
        self._heap: list[tuple[int, int, RequestT]] = []
        self._live: dict[int, int] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self.main) + len(self.delayed)

    @property
    def timed(self) -> bool:
        """Whether anything here can expire. With a default of 0 a request's own timeout is never the smaller one."""
        return self._timeout_us > 0

    def offer(self, request: RequestT, now_ns: int) -> None:
        if self._max_size and len(self.main) + len(self.delayed) >= self._max_size:
            shown = request.id or "<id_unknown>"
            raise PyServeError(Code.UNAVAILABLE, f"[request id: {shown}] Exceeds maximum queue size")
        self.main.append(request)
        if self._timeout_us:
            self._serial += 1
            self._live[id(request)] = self._serial
            heapq.heappush(self._heap, (now_ns + self._effective_timeout_us(request) * 1000, self._serial, request))

    def cancel(self, request: RequestT) -> bool:
        """Drop a waiting request; False if it is not here."""
        for waiting in (self.main, self.delayed):
            if request in waiting:
                waiting.remove(request)
                self.forget(request)
                return True
        return False

    def clear(self) -> None:
        """Let go of everything."""
        for holder in (self.main, self.delayed, self._heap, self._live):
            holder.clear()

    def forget(self, request: RequestT) -> None:
        """Stop timing a request that left the queue."""
        if self._timeout_us:
            self._live.pop(id(request), None)
            # Those that are gone leave the heap at its top; behind one that waits for long, there would be ever more.
            if len(self._heap) > 2 * len(self._live) + _FEW:
                self._heap = [entry for entry in self._heap if self._live.get(id(entry[2])) == entry[1]]
                heapq.heapify(self._heap)

    def next_deadline_ns(self) -> int | None:
        """When the next of the waiting requests expires."""
        heap = self._heap
        while heap:
            deadline_ns, serial, request = heap[0]
            if self._live.get(id(request)) == serial:
                return deadline_ns
            heapq.heappop(heap)
        return None

    def sweep(self, now_ns: int) -> tuple[bool, list[RequestT]]:
        """Move or remove what has expired: whether anything changed, and the requests to be rejected."""
        changed = False
        rejected: list[RequestT] = []
        deadline_ns = self.next_deadline_ns()
        while deadline_ns is not None and deadline_ns <= now_ns:
            request = heapq.heappop(self._heap)[2]
            del self._live[id(request)]
            self.main.remove(request)
            (rejected if self._reject else self.delayed).append(request)
            changed = True
            deadline_ns = self.next_deadline_ns()
        return changed, rejected

    def extend(self, by_ns: int) -> None:
        """Let everything that waits wait so much longer."""
        self._heap = [(deadline_ns + by_ns, serial, request) for deadline_ns, serial, request in self._heap]

    def _effective_timeout_us(self, request: RequestT) -> int:
        own_us = request.timeout_us
        if self._allow_override and 0 < own_us < self._timeout_us:
            return own_us
        return self._timeout_us
