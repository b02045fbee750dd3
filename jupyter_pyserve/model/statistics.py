"""The counters behind a model version's statistics: plain integers that are added to once per request or execution.

Owns what each event counts towards. Must not know how the instants were taken; durations come in as nanoseconds.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence
from typing import Any

from jupyter_pyserve.model import latencies
from jupyter_pyserve.model.latencies import Latencies

_RECENT = 512


class FailureReason(enum.Enum):
    """Why a request failed after it was queued, as the metrics tell them apart."""

    REJECTED = "REJECTED"  # it waited too long
    CANCELED = "CANCELED"
    BACKEND = "BACKEND"  # the model failed, or its process died
    OTHER = "OTHER"


class ModelStatistics:
    """Statistics of one model version, from load until unload."""

    __slots__ = (
        "_batches",
        "cache_hit_count",
        "cache_hit_ns",
        "cache_miss_count",
        "cache_miss_ns",
        "compute_count",
        "compute_infer_ns",
        "compute_input_ns",
        "compute_output_ns",
        "execution_count",
        "fail_count",
        "fail_ns",
        "fail_reasons",
        "inference_count",
        "last_inference_ms",
        "latencies",
        "queue_count",
        "queue_ns",
        "recent_ns",
        "success_count",
        "success_ns",
    )

    def __init__(self, spread: Latencies | None = None) -> None:
        #: How durations are spread, where somebody wants to know.
        self.latencies = spread
        #: How long the last successful requests took, for whoever looks.
        self.recent_ns: deque[int] = deque(maxlen=_RECENT)
        self.inference_count = 0
        self.execution_count = 0
        self.last_inference_ms = 0
        self.success_count = self.success_ns = 0
        self.fail_count = self.fail_ns = 0
        self.fail_reasons = dict.fromkeys(FailureReason, 0)
        self.queue_count = self.queue_ns = 0
        self.compute_count = 0
        self.compute_input_ns = self.compute_infer_ns = self.compute_output_ns = 0
        self.cache_hit_count = self.cache_hit_ns = 0
        self.cache_miss_count = self.cache_miss_ns = 0
        # execution batch size -> [executions, input_ns, infer_ns, output_ns]
        self._batches: dict[int, list[int]] = {}

    def record_execution(self, batch_size: int, input_ns: int, infer_ns: int, output_ns: int, wall_ms: int) -> None:
        """One call of the model, failed or not; `batch_size` is the sum over its requests, null requests included.

        Only this is an inference; an answer out of the cache, or a request that never came so far, is none.
        """
        self.execution_count += 1
        self.last_inference_ms = wall_ms
        row = self._batches.get(batch_size)
        if row is None:
            self._batches[batch_size] = [1, input_ns, infer_ns, output_ns]
            return
        row[0] += 1
        row[1] += input_ns
        row[2] += infer_ns
        row[3] += output_ns

    def record_success(
        self,
        batch_size: int,
        total_ns: int,
        queue_ns: int,
        input_ns: int,
        infer_ns: int,
        output_ns: int,
        wall_ms: int,
    ) -> None:
        """One request answered by the model; the compute durations are those of the whole batch it ran in."""
        if self.latencies is not None:
            self.record_successes(batch_size, (total_ns,), (queue_ns,), (input_ns, infer_ns, output_ns), wall_ms)
            return
        self.inference_count += batch_size
        self.success_count += 1
        self.success_ns += total_ns
        self.recent_ns.append(total_ns)
        self.queue_count += 1
        self.queue_ns += queue_ns
        self.compute_count += 1
        self.compute_input_ns += input_ns
        self.compute_infer_ns += infer_ns
        self.compute_output_ns += output_ns

    def record_successes(
        self,
        size: int,
        totals_ns: Sequence[int],
        queues_ns: Sequence[int],
        computed_ns: tuple[int, int, int],
        wall_ms: int,
    ) -> None:
        """The requests of one batch, all answered by the model; `size` is what they come to together."""
        count = len(totals_ns)
        input_ns, infer_ns, output_ns = computed_ns
        self.inference_count += size
        self.success_count += count
        self.success_ns += sum(totals_ns)
        self.recent_ns.extend(totals_ns)
        self.queue_count += count
        self.queue_ns += sum(queues_ns)
        self.compute_count += count
        self.compute_input_ns += count * input_ns
        self.compute_infer_ns += count * infer_ns
        self.compute_output_ns += count * output_ns
        if self.latencies is None:
            return
        for total_ns, queue_ns in zip(totals_ns, queues_ns):
            self.latencies.record(
                wall_ms,
                {
                    latencies.REQUEST: total_ns,
                    latencies.QUEUE: queue_ns,
                    latencies.COMPUTE_INPUT: input_ns,
                    latencies.COMPUTE_INFER: infer_ns,
                    latencies.COMPUTE_OUTPUT: output_ns,
                },
            )

    def record_failure(self, total_ns: int, reason: FailureReason = FailureReason.OTHER) -> None:
        """One request that failed after it was queued; refusals at the door are counted nowhere."""
        self.fail_count += 1
        self.fail_reasons[reason] += 1
        self.fail_ns += total_ns

    def record_cache_hit(self, total_ns: int, queue_ns: int, lookup_ns: int, wall_ms: int) -> None:
        """One request answered from the response cache."""
        self.success_count += 1
        self.success_ns += total_ns
        self.queue_count += 1
        self.queue_ns += queue_ns
        self.cache_hit_count += 1
        self.cache_hit_ns += lookup_ns
        if self.latencies is not None:
            spread = {latencies.REQUEST: total_ns, latencies.QUEUE: queue_ns, latencies.CACHE_HIT: lookup_ns}
            self.latencies.record(wall_ms, spread)

    def record_cache_miss(self, duration_ns: int) -> None:
        """The lookup and insertion time of a successful request that the cache did not know; beside its success."""
        self.cache_miss_count += 1
        self.cache_miss_ns += duration_ns
        if self.latencies is not None:
            self.latencies.record(self.last_inference_ms, {latencies.CACHE_MISS: duration_ns})

    @property
    def batch_sizes(self) -> dict[int, int]:
        """How many executions there were of each batch size."""
        return {size: self._batches[size][0] for size in sorted(self._batches)}

    def to_json_dict(self, *, name: str, version: str) -> dict[str, Any]:
        """This version's entry of `model_stats`, its keys in Triton's order."""
        compute = self.compute_count
        return {
            "name": name,
            "version": version,
            "last_inference": self.last_inference_ms,
            "inference_count": self.inference_count,
            "execution_count": self.execution_count,
            "inference_stats": {
                "success": _duration(self.success_count, self.success_ns),
                "fail": _duration(self.fail_count, self.fail_ns),
                "queue": _duration(self.queue_count, self.queue_ns),
                "compute_input": _duration(compute, self.compute_input_ns),
                "compute_infer": _duration(compute, self.compute_infer_ns),
                "compute_output": _duration(compute, self.compute_output_ns),
                "cache_hit": _duration(self.cache_hit_count, self.cache_hit_ns),
                "cache_miss": _duration(self.cache_miss_count, self.cache_miss_ns),
            },
            "response_stats": {},
            "batch_stats": [_batch_row(size, self._batches[size]) for size in sorted(self._batches)],
            "memory_usage": [],
        }


def _duration(count: int, ns: int) -> dict[str, int]:
    return {"count": count, "ns": ns}


def _batch_row(batch_size: int, row: list[int]) -> dict[str, Any]:
    executions, input_ns, infer_ns, output_ns = row
    return {
        "batch_size": batch_size,
        "compute_input": _duration(executions, input_ns),
        "compute_infer": _duration(executions, infer_ns),
        "compute_output": _duration(executions, output_ns),
    }
