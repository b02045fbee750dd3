from __future__ import annotations

from jupyter_pyserve.telemetry.cache import CacheFacts, cache_families
from jupyter_pyserve.telemetry.exposition import render


def test_each_fact_has_its_name() -> None:
    facts = CacheFacts(
        utilization=0.25, entries=1, hits=2, misses=3, lookups=5, evictions=4, lookup_us=6, insertion_us=7
    )
    lines = [line for line in render(cache_families(facts)).splitlines() if not line.startswith("#")]
    assert lines == [
        "nv_cache_util 0.25",
        "nv_cache_num_entries 1",
        "nv_cache_num_hits 2",
        "nv_cache_num_misses 3",
        "nv_cache_num_lookups 5",
        "nv_cache_num_evictions 4",
        "nv_cache_lookup_duration 6",
        "nv_cache_insertion_duration 7",
    ]
