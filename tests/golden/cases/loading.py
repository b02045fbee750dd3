"""Models that do not load: each refusal, what is left behind, and that the rest goes on.

They come last: the server is not ready afterwards.
"""

from __future__ import annotations

from tests.golden.broken import BROKEN_CODE, BROKEN_CONFIGS, UNVERSIONED
from tests.golden.case import Case, get, infer, post, tensor

_REQUEST = {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}


def _load(model: str) -> Case:
    return post(f"load_{model}", f"/v2/repository/models/{model}/load")


CASES = (
    *(_load(name) for name in BROKEN_CONFIGS),
    *(_load(name) for name in UNVERSIONED),
    *(_load(name) for name in BROKEN_CODE),
    post("load_broken_again", "/v2/repository/models/code_initialize_raises/load"),
    get("broken_ready", "/v2/models/code_initialize_raises/ready"),
    get("broken_ready_version", "/v2/models/code_initialize_raises/versions/1/ready"),
    get("broken_metadata", "/v2/models/code_initialize_raises"),
    get("broken_metadata_version", "/v2/models/code_initialize_raises/versions/1"),
    get("broken_config", "/v2/models/code_initialize_raises/config"),
    get("broken_stats", "/v2/models/code_initialize_raises/stats"),
    infer("broken_infer", "code_initialize_raises", _REQUEST),
    post("broken_infer_version", "/v2/models/code_initialize_raises/versions/1/infer", _REQUEST),
    get("broken_server_ready", "/v2/health/ready"),
    get("broken_server_live", "/v2/health/live"),
    post("broken_index", "/v2/repository/index"),
    post("broken_unload", "/v2/repository/models/code_initialize_raises/unload"),
    post("broken_unload_index", "/v2/repository/index", settled=True),
    infer("broken_others_still_work", "minimal", _REQUEST),
    post("load_name_dots", "/v2/repository/models/../load"),
)
