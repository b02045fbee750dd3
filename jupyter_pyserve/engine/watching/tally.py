"""What is counted of one instance for those who watch: how long its last batches took, and how large batches were.

Adding costs two stores a batch; what it means is worked out when somebody looks.
"""

from __future__ import annotations

from collections import defaultdict, deque

from jupyter_pyserve.model.latencies import recent_quantiles_ms

_KEPT = 256


class Tally:
    """Counts of an instance; they go on in the process that takes its place."""

    __slots__ = ("_known", "_known_at", "batch_sizes", "batches", "recent_ns")

    def __init__(self) -> None:
        #: From the moment in which a batch was given to the process to its answer.
        self.recent_ns: deque[int] = deque(maxlen=_KEPT)
        self.batch_sizes: defaultdict[int, int] = defaultdict(int)
        self.batches = 0
        self._known_at = 0
        self._known: dict[str, float] | None = None

    def add(self, size: int, ns: int) -> None:
        """One batch."""
        self.batches += 1
        self.recent_ns.append(ns)
        self.batch_sizes[size] += 1

    @property
    def latency_ms(self) -> dict[str, float] | None:
        """The spread of the last batches; None before the first."""
        if self._known_at != self.batches:
            self._known_at, self._known = self.batches, recent_quantiles_ms(self.recent_ns)
        return self._known
