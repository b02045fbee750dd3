"""Index, load and unload of models that are well."""

from __future__ import annotations

from tests.golden.case import get, http, infer, post, raw, tensor

_REQUEST = {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}
_INDEX = "/v2/repository/index"


def _load(model: str) -> str:
    return f"/v2/repository/models/{model}/load"


def _unload(model: str) -> str:
    return f"/v2/repository/models/{model}/unload"


CASES = (
    post("index", _INDEX),
    post("index_empty_object", _INDEX, b"{}"),
    post("index_ready", _INDEX, {"ready": True}),
    post("index_ready_false", _INDEX, {"ready": False}),
    post("index_ready_text", _INDEX, {"ready": "yes"}),
    post("index_not_json", _INDEX, b"{bad"),
    post("index_array", _INDEX, b"[]"),
    post("index_of_repository", "/v2/repository/any/index", {"ready": True}),
    raw("index_without_length", http("GET", _INDEX).replace(b"GET", b"POST", 1)),
    post("load_unchanged", _load("minimal")),
    post("load_empty_object", _load("minimal"), b"{}"),
    post("load_empty_parameters", _load("minimal"), {"parameters": {}}),
    post("load_not_json", _load("minimal"), b"{bad"),
    post("load_parameters_text", _load("minimal"), {"parameters": "x"}),
    post("load_unknown_parameter", _load("minimal"), {"parameters": {"colour": "red"}}),
    post("load_config_number", _load("minimal"), {"parameters": {"config": 1}}),
    post("load_named_repository", "/v2/repository/somewhere/models/minimal/load"),
    post("unload_named_repository", "/v2/repository/somewhere/models/minimal/unload"),
    post("load_unknown", _load("nobody")),
    post("load_name_encoded_slash", _load("a%2Fb")),
    post("load_name_encoded_newline", _load("a%0Ab")),
    post("load_name_300_characters", _load("n" * 300)),
    post("load_empty_name", _load("")),
    post("unload_unknown", _unload("nobody")),
    post("unload_not_json", _unload("minimal"), b"{bad"),
    post("unload", _unload("minimal")),
    post("unload_index", _INDEX, {"ready": False}, settled=True),
    post("unload_again", _unload("minimal")),
    get("unloaded_ready", "/v2/models/minimal/ready", settled=True),
    get("unloaded_metadata", "/v2/models/minimal"),
    get("unloaded_metadata_version", "/v2/models/minimal/versions/1"),
    get("unloaded_config", "/v2/models/minimal/config"),
    get("unloaded_stats", "/v2/models/minimal/stats"),
    infer("unloaded_infer", "minimal", _REQUEST),
    post("unloaded_infer_version", "/v2/models/minimal/versions/1/infer", _REQUEST),
    get("unloaded_server_ready", "/v2/health/ready"),
    post("load_back", _load("minimal")),
    get("loaded_ready", "/v2/models/minimal/ready"),
    infer("loaded_infer", "minimal", _REQUEST),
    post("unload_with_dependents", _unload("minimal"), {"parameters": {"unload_dependents": True}}),
    post("unload_dependents_text", _unload("minimal"), {"parameters": {"unload_dependents": "x"}}, settled=True),
    post("unload_parameters_number", _unload("minimal"), {"parameters": 1}),
    post("load_back_again", _load("minimal"), settled=True),
    post("unload_versions", _unload("versions")),
    post("unload_versions_index", _INDEX, settled=True),
    post("load_versions", _load("versions")),
    get("loaded_versions", "/v2/models/versions"),
)
