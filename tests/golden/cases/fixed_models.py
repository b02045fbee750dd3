"""A server that loads everything when it starts, and then lets nobody load or unload."""

from __future__ import annotations

from tests.golden.case import get, infer, post, tensor

CASES = (
    get("fixed_ready", "/v2/health/ready"),
    post("fixed_index", "/v2/repository/index"),
    post("fixed_load", "/v2/repository/models/minimal/load"),
    post("fixed_load_unknown", "/v2/repository/models/nobody/load"),
    post("fixed_load_not_json", "/v2/repository/models/minimal/load", b"{bad"),
    post("fixed_unload", "/v2/repository/models/minimal/unload"),
    post("fixed_unload_unknown", "/v2/repository/models/nobody/unload"),
    infer("fixed_infer", "minimal", {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}),
)
