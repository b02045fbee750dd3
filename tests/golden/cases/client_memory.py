"""Shared memory of clients over HTTP. What can be registered is made by a model, and removed when that ends."""

from __future__ import annotations

from collections.abc import Mapping

from tests.golden.case import Case, Files, Json, get, infer, post, tensor
from tests.golden.cases.texts import model

_FILES = ["/dev/shm/pyserve-golden-cases", "/dev/shm/pyserve-golden-part"]
_KEY, _PART = "/pyserve-golden-cases", "/pyserve-golden-part"
_HOLDER = f"""import os


class TritonPythonModel:
    def initialize(self, args):
        for name in {_FILES}:
            with open(name, "wb") as file:
                file.write(bytes(64))

    def finalize(self):
        for name in {_FILES}:
            os.unlink(name)

    def execute(self, requests):
        return None
"""

MODELS: Mapping[str, Files] = {
    "holder": {**model(""), "1/model.py": _HOLDER},
    "copy": model("made = {'O': given['I'] + 1}"),
}


def _register(name: str, body: Json, *, region: str = "r", kind: str = "system") -> Case:
    return post(f"shm_{name}", f"/v2/{kind}sharedmemory/region/{region}/register", body)


def _infer(name: str, given: Mapping[str, Json] | None = None, output: Mapping[str, Json] | None = None) -> Case:
    """A tensor of two floats, which is where the parameters say."""
    source = (
        {**tensor("I", "FP32", [1, 2]), "parameters": given}
        if given is not None
        else tensor("I", "FP32", [1, 2], [1, 2])
    )
    body: dict[str, Json] = {"inputs": [source]}
    if output is not None:
        body["outputs"] = [{"name": "O", "parameters": output}]
    return infer(f"shm_{name}", "copy", body)


def _place(region: str, nbytes: Json, **more: Json) -> dict[str, Json]:
    return {"shared_memory_region": region, "shared_memory_byte_size": nbytes, **more}


_WHOLE: dict[str, Json] = {"key": _KEY, "byte_size": 64}

CASES: tuple[Case, ...] = (
    get("shm_status_empty", "/v2/systemsharedmemory/status"),
    get("shm_status_unknown", "/v2/systemsharedmemory/region/r/status"),
    _register("no_body", b""),
    _register("not_json", b"{bad"),
    _register("array", []),
    _register("keyless", {"byte_size": 4}),
    _register("sizeless", {"key": _KEY}),
    _register("key_number", {"key": 4, "byte_size": 4}),
    _register("size_text", {"key": _KEY, "byte_size": "4"}),
    _register("size_negative", {"key": _KEY, "byte_size": -4}),
    _register("offset_text", {"key": _KEY, "byte_size": 4, "offset": "0"}),
    _register("unknown_key", {"key": "/nobody-has-this", "byte_size": 4}),
    _register("empty_key", {"key": "", "byte_size": 4}),
    post("shm_nameless", "/v2/systemsharedmemory/register", _WHOLE),
    _register("too_large", {"key": _KEY, "byte_size": 65}),
    _register("offset_too_large", {"key": _KEY, "byte_size": 64, "offset": 4096}),
    _register("whole", _WHOLE),
    _register("twice", _WHOLE),
    _register("part", {"key": _PART, "byte_size": 8}, region="part"),
    get("shm_status", "/v2/systemsharedmemory/status"),
    get("shm_status_one", "/v2/systemsharedmemory/region/part/status"),
    get("shm_status_other_kind", "/v2/cudasharedmemory/region/part/status"),
    _infer("input", _place("r", 8)),
    _infer("input_offset", _place("r", 8, shared_memory_offset=56)),
    _infer("input_beyond", _place("r", 8, shared_memory_offset=60)),
    _infer("input_far_beyond", _place("r", 8, shared_memory_offset=64)),
    _infer("input_region_unknown", _place("nobody", 8)),
    _infer("input_sizeless", {"shared_memory_region": "r"}),
    _infer("input_region_number", {"shared_memory_region": 7, "shared_memory_byte_size": 8}),
    _infer("input_size_text", _place("r", "8")),
    _infer("input_offset_text", _place("r", 8, shared_memory_offset="0")),
    _infer("output", output=_place("r", 64)),
    _infer("output_small", output=_place("r", 4)),
    _infer("output_beyond", output=_place("part", 64)),
    _infer("output_region_unknown", output=_place("nobody", 8)),
    _infer("output_sizeless", output={"shared_memory_region": "r"}),
    _infer("output_binary", output={**_place("r", 8), "binary_data": True}),
    _infer("output_classes", output={**_place("r", 8), "classification": 1}),
    _infer("both", _place("r", 8), output=_place("part", 8)),
    post("shm_unregister", "/v2/systemsharedmemory/region/part/unregister"),
    post("shm_unregister_again", "/v2/systemsharedmemory/region/part/unregister"),
    post("shm_unregister_other_kind", "/v2/cudasharedmemory/region/r/unregister"),
    post("shm_unregister_all_of_the_other_kind", "/v2/cudasharedmemory/unregister"),
    get("shm_status_still", "/v2/systemsharedmemory/status"),
    post("shm_unregister_all", "/v2/systemsharedmemory/unregister"),
    get("shm_status_after", "/v2/systemsharedmemory/status"),
    get("shm_cuda_status", "/v2/cudasharedmemory/status"),
    get("shm_cuda_status_unknown", "/v2/cudasharedmemory/region/r/status"),
    _register("cuda_handleless", {"device_id": 0, "byte_size": 4}, kind="cuda"),
    _register("cuda_sizeless", {"raw_handle": {"b64": "eA=="}, "device_id": 0}, kind="cuda"),
    _register("cuda_handle_text", {"raw_handle": "eA==", "device_id": 0, "byte_size": 4}, kind="cuda"),
    _register("cuda_handle_bad", {"raw_handle": {"b64": "!"}, "device_id": 0, "byte_size": 4}, kind="cuda"),
    _register("cuda", {"raw_handle": {"b64": "eA=="}, "device_id": 0, "byte_size": 4}, kind="cuda"),
    get("shm_status_wrong_method", "/v2/systemsharedmemory/region/r/register"),
    post("shm_status_by_post", "/v2/systemsharedmemory/status"),
)
