"""Triton's metrics of the response cache as a whole: names, texts, and the facts that they show."""

from __future__ import annotations

from typing import Final, NamedTuple

from jupyter_pyserve.telemetry.exposition import Family, Kind


class CacheFacts(NamedTuple):
    """Of a cache that there is; durations in microseconds, in the order in which they are shown."""

    utilization: float
    entries: int
    hits: int
    misses: int
    lookups: int
    evictions: int
    lookup_us: int
    insertion_us: int


_GAUGES: Final = (
    ("nv_cache_util", "Cache utilization [0.0 - 1.0]"),
    ("nv_cache_num_entries", "Number of responses stored in response cache"),
    ("nv_cache_num_hits", "Number of cache hits in response cache"),
    ("nv_cache_num_misses", "Number of cache misses in response cache"),
    ("nv_cache_num_lookups", "Number of cache lookups in response cache"),
    ("nv_cache_num_evictions", "Number of cache evictions in response cache"),
    ("nv_cache_lookup_duration", "Total cache lookup duration (hit and miss), in microseconds"),
    ("nv_cache_insertion_duration", "Total cache insertion duration, in microseconds"),
)


def cache_families(facts: CacheFacts) -> list[Family]:
    """One sample each."""
    return [Family(name, Kind.GAUGE, text, {"": value}) for (name, text), value in zip(_GAUGES, facts)]
