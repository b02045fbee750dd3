"""A connection's request that is the one before again, as clients send them all day: recognised by its bytes.

What was found out about the one before holds for it too, so only its tensors are looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from jupyter_pyserve.engine.job import Job, Sink
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.transports.http.head import Head
from jupyter_pyserve.transports.http.inbox import Inbox
from jupyter_pyserve.transports.http.inference import Landing
from jupyter_pyserve.transports.http.plans import Plan
from jupyter_pyserve.v2.compression import Encoding


class Repeats:
    """The last inference of a connection, if it was the same as the one before: `head` and what came of it."""

    __slots__ = ("_landed", "_lookup", "_nbytes", "_places", "_plan", "_prefix", "head", "servable")

    def __init__(self, lookup: Callable[[str, str], LoadedVersion]) -> None:
        self._lookup = lookup
        self.head: Head
        self.servable: LoadedVersion
        self._landed: tuple[Head, Plan] | None = None
        self._plan: Plan
        self._prefix = b""
        #: Of the whole request.
        self._nbytes = sys.maxsize
        #: Where inputs begin behind what is always the same, and how long they are.
        self._places: Sequence[tuple[int, int]] = ()

    def remember(self, head: Head, landing: Landing, header: bytes) -> None:
        """The request that was queued; nothing is prepared for one that may never come again."""
        plan: Plan = landing.job.plan
        before, self._landed = self._landed, (head, plan)
        if before is None or before[0] is not head or before[1] is not plan:
            self._nbytes = sys.maxsize
        elif head.direct is not None and head.content_encoding is Encoding.IDENTITY and _is_plain(plan):
            self.head, self.servable, self._plan = head, landing.servable, plan
            self._prefix = head.data + header
            self._nbytes = len(head.data) + landing.view.nbytes
            self._places = [(item.offset - len(header), item.nbytes) for item in plan.request.inputs]

    def take(self, inbox: Inbox, sink: Sink) -> Job | None:
        """The next request as a job, if it is wholly here and the last one again; None leaves it where it is."""
        prefix, nbytes = self._prefix, self._nbytes
        if not inbox.begins(prefix, nbytes):
            return None
        servable, route = self.servable, self.head.direct
        assert route is not None
        try:
            if self._lookup(route.model, route.version) is not servable or servable.crowded or servable.tracer:
                return None
            job, segment, offset = servable.new_job(nbytes - len(prefix), sink)
        except PyServeError:  # it is gone, or has no room: who asks in the usual way is told
            return None
        servable.arena.write(segment, offset, inbox.take(nbytes)[len(prefix) :])
        job.plan = self._plan
        job.descriptors = descriptors = []
        for start, size in self._places:
            descriptors.append((segment, offset + start, size, 0))
        return job


def _is_plain(plan: Plan) -> bool:
    """Whether all that it says lies in the body, and nothing of that has to be looked at."""
    return plan.in_body and not plan.strings and any(item.nbytes for item in plan.request.inputs)
