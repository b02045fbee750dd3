"""The metrics page of a plain server: which families there are, and how they are explained."""

from __future__ import annotations

from tests.golden.case import AnyCase, Scrape, infer, tensor

_FAMILIES = (
    *(f"nv_inference_{name}" for name in (
        "request_success", "request_failure", "count", "exec_count", "request_duration_us", "queue_duration_us",
        "compute_input_duration_us", "compute_infer_duration_us", "compute_output_duration_us",
        "pending_request_count",
    )),
    *(f"nv_cache_{name}_per_model" for name in ("num_hits", "num_misses", "hit_duration", "miss_duration")),
    "nv_cpu_utilization", "nv_cpu_memory_total_bytes", "nv_cpu_memory_used_bytes",
    "nv_pinned_memory_pool_total_bytes", "nv_pinned_memory_pool_used_bytes",
)  # fmt: skip
_COUNTS = ("request_success", "request_failure", "count", "exec_count", "pending_request_count")

CASES: tuple[AnyCase, ...] = (
    infer("measured_infer", "minimal", {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}),
    infer("measured_refused", "minimal", {"inputs": []}),
    *(Scrape(name=f"measured_{name}", words=(f"# HELP {name} ", f"# TYPE {name} ")) for name in _FAMILIES),
    *(Scrape(name=f"measured_{name}_of_model", words=(f'nv_inference_{name}{{model="minimal"',)) for name in _COUNTS),
)
