"""The cache as one model version has it: what was answered before is answered again, what is answered now is kept.

Counts as Triton does: a request is a hit, or a miss unless an equal one was kept meanwhile; so a failed one is a miss,
and is not kept.

A request is known by the bytes that were read when it came, and its model reads them later. Where they lie in memory
that somebody else can write to meanwhile, the answer may be one to other bytes. What is found is right all the same: it
was kept for the bytes that were read. What is answered is kept only if they are the same afterwards, and never for a
client's own region: its owner may be anybody, and might change them and back again.
"""

from __future__ import annotations

import enum
import itertools
import logging
import time
from typing import TYPE_CHECKING

from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.cache.recalled import Copies, Recalled
from jupyter_pyserve.engine.cache.store import Kept, ResponseCache
from jupyter_pyserve.engine.job import Job, Response, Sink
from jupyter_pyserve.engine.memory.region import Region
from jupyter_pyserve.engine.tracing.watch import watched
from jupyter_pyserve.v2.cache_key import cache_identity, cache_key

if TYPE_CHECKING:
    from jupyter_pyserve.engine.versions.loaded import LoadedVersion

_log = logging.getLogger(__name__)

_new_owner = itertools.count(1).__next__


class _Trust(enum.Enum):
    """Whether inputs stay what they were while they are read."""

    SAME = enum.auto()
    #: They are looked at again.
    LIKELY = enum.auto()
    NEVER = enum.auto()


class Answers:
    """What is known of one model version's answers."""

    def __init__(self, cache: ResponseCache, version: LoadedVersion, arena_limit_nbytes: int) -> None:
        self._cache = cache
        self._version = version
        self._owner = _new_owner()
        self._copies = Copies(arena_limit_nbytes)

    def recall(self, job: Job) -> bool:
        """Answer a job if that is known; else see to it that its answer is kept."""
        since_ns = job.enqueue_ns = job.enqueue_ns or time.monotonic_ns()
        key = self._key(job)
        looked_ns = time.monotonic_ns()
        kept = self._cache.find(self._owner, key)
        lookup_ns = time.monotonic_ns() - looked_ns
        self._cache.figures.lookup_ns += lookup_ns
        if kept is None:
            self._await(job, key, lookup_ns)
            return False
        job.sink.deliver(job, Recalled(job, kept, self._copies))
        statistics = self._version.statistics
        wall_ms = 0 if statistics.latencies is None else int(time.time() * 1000)
        statistics.record_cache_hit(time.monotonic_ns() - since_ns, looked_ns - since_ns, lookup_ns, wall_ms)
        return True

    def _await(self, job: Job, key: bytes, lookup_ns: int) -> None:
        owner, watch, trust = self._owner, watched(job), self._trust(job)

        def keeper(sink: Sink) -> _Keeper:
            return _Keeper(sink, self, owner, key, lookup_ns, trust)

        if watch is None:
            job.sink = keeper(job.sink)
        else:
            watch.precede(keeper)  # it stays where it is looked for

    def _key(self, job: Job) -> bytes:
        plan = job.plan
        identity = plan.cache_identity
        if identity is None:
            identity = plan.cache_identity = cache_identity(plan.request, self._version.signature.outputs)
        view, places = job.memory.view, job.descriptors
        if len(places) == 1:  # as a rule
            segment, offset, nbytes, _ = places[0]
            return cache_key(identity, (view(segment, offset, nbytes),) if nbytes else ())
        return cache_key(identity, [view(*places[index][:3]) for index in identity.order if places[index][2]])

    def _trust(self, job: Job) -> _Trust:
        own, found = self._version.arena.segments, _Trust.SAME
        for segment, _, nbytes, _ in job.descriptors:
            if nbytes and segment not in own:
                if isinstance(job.memory.segment(segment), Region):
                    return _Trust.NEVER
                found = _Trust.LIKELY
        return found

    def keep(self, job: Job, response: Response, owner: int, key: bytes, lookup_ns: int, trust: _Trust) -> None:
        """Keep an answer before it is passed on, unless what it was made by is not the same any more."""
        began_ns = time.monotonic_ns()
        if self._cache.knows(owner, key):
            return
        right = trust is _Trust.SAME or (trust is _Trust.LIKELY and self._key(job) == key)
        if right and response.code is None and not response.bare and owner == self._owner:
            self._keep(response, key)
        self._version.statistics.record_cache_miss(lookup_ns + time.monotonic_ns() - began_ns)

    def _keep(self, response: Response, key: bytes) -> None:
        limit = self._cache.limit_nbytes
        nbytes = sum(item[2] for item in response.descriptors)
        try:
            if nbytes <= limit:
                data = tuple([bytes(view) for view in response.views()])
                kept = Kept(response.layout, response.tensors, data, response.parameters)
                if self._cache.keep(self._owner, key, kept):
                    return
                nbytes = kept.nbytes
        except WireError:
            return  # whoever it is passed on to refuses it
        _log.error(
            "Failed to insert key [%s] into response cache: "
            "Requested byte_size: %d is greater than total cache size: %d",
            key.hex(),
            nbytes,
            limit,
        )

    def forget(self) -> None:
        """From now on the same requests may have other answers; also those that are being carried out."""
        self._cache.forget(self._owner)
        self._owner = _new_owner()

    def trim(self) -> None:
        """There was no request for a while."""
        self._copies.trim()

    def close(self) -> None:
        """The version is gone."""
        self.forget()
        self._copies.close()


class _Keeper:
    """Takes a job's answer before the one who waits for it."""

    __slots__ = ("_answers", "_key", "_lookup_ns", "_owner", "_sink", "_trust")

    def __init__(self, sink: Sink, answers: Answers, owner: int, key: bytes, lookup_ns: int, trust: _Trust) -> None:
        self._sink = sink
        self._answers = answers
        self._owner = owner
        self._key = key
        self._lookup_ns = lookup_ns
        self._trust = trust

    def deliver(self, job: Job, response: Response) -> None:
        """One answer: models that may give several have no cache."""
        self._answers.keep(job, response, self._owner, self._key, self._lookup_ns, self._trust)
        self._sink.deliver(job, response)
