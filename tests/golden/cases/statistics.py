"""The statistics of a model that nothing else is asked of."""

from __future__ import annotations

from tests.golden.case import Case, get, infer, tensor


def _request(rows: int) -> dict[str, object]:
    return {"inputs": [tensor("INPUT0", "FP32", [rows, 1], [0] * rows)]}


def _ask(number: int, rows: int) -> Case:
    return infer(f"statistics_request_{number}", "counted", _request(rows))


CASES = (
    get("statistics_before", "/v2/models/counted/stats"),
    _ask(1, 1),
    _ask(2, 1),
    _ask(3, 4),
    infer("statistics_refused_request", "counted", {"inputs": []}),
    get("statistics_after", "/v2/models/counted/stats"),
    get("statistics_version", "/v2/models/counted/versions/1/stats"),
    get("statistics_unknown_model", "/v2/models/nobody/stats"),
    get("statistics_unknown_version", "/v2/models/counted/versions/2/stats"),
    get("statistics_never_loaded", "/v2/models/code_raises/stats"),
    get("statistics_version_too_large", "/v2/models/counted/versions/99999999999999999999/stats"),
)
