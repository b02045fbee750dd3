"""Loads that bring a configuration of their own, or files: what replaces what, for how long, and what is refused."""

from __future__ import annotations

import base64
import json

from tests.golden.case import Case, Json, get, infer, post, tensor

_TENSORS = {
    name.lower(): [{"name": f"{name}0", "data_type": "TYPE_FP32", "dims": [-1]}] for name in ("INPUT", "OUTPUT")
}
_ODD = """import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse(error=pb_utils.TritonError("odd")) for _ in requests]
"""
_CODE = """import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        inputs = [request.inputs()[0].as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array + NUMBER)]) for array in inputs]
"""


def _config(**members: Json) -> str:
    return json.dumps({"backend": "python", **_TENSORS, **members})


def _load(name: str, model: str, /, **parameters: Json) -> Case:
    body = {"parameters": parameters} if parameters else b""
    return post(f"override_{name}", f"/v2/repository/models/{model}/load", body, settled=True)


def _code(number: int) -> str:
    return _sent(_CODE.replace("NUMBER", str(number)))


def _sent(code: str) -> str:
    return base64.b64encode(code.encode()).decode()


def _warm(
    name: str, /, *, code: str = "", dims: int = 1, data_type: str = "TYPE_FP32", file: str = "", **sample: Json
) -> Case:
    """A load with a warm-up, of zeros or from a file; `sample` says how often it is sent."""
    source: dict[str, Json] = {"input_data_file": file} if file else {"zero_data": True}
    tensor = {"data_type": data_type, "dims": [dims], **source}
    config = _config(max_batch_size=4, model_warmup=[{"name": "sample", "inputs": {"INPUT0": tensor}, **sample}])
    files: dict[str, Json] = {"file:1/model.py": _sent(code)} if code else {}
    return _load(f"warm_{name}", "minimal", config=config, **files)


def _unload(name: str) -> Case:
    return post(f"override_unload_{name}", "/v2/repository/models/minimal/unload", settled=True)


def _index(name: str) -> Case:
    return post(f"override_{name}_index", "/v2/repository/index", settled=True)


def _config_of(name: str, model: str = "minimal") -> Case:
    return get(f"override_{name}_config", f"/v2/models/{model}/config")


def _infer(name: str, model: str = "minimal") -> Case:
    return infer(f"override_{name}_infer", model, {"inputs": [tensor("INPUT0", "FP32", [1], [1])]})


CASES = (
    _load("config", "minimal", config=_config(max_batch_size=4)),
    _config_of("by_config"),
    infer("override_counted", "minimal", {"inputs": [tensor("INPUT0", "FP32", [1, 1], [1])]}),
    _load("config_again", "minimal", config=_config(max_batch_size=4)),
    get("override_config_again_stats", "/v2/models/minimal/stats"),
    _load("config_kept", "minimal"),
    _config_of("kept"),
    post("override_unload", "/v2/repository/models/minimal/unload"),
    _load("forgotten", "minimal"),
    _config_of("forgotten"),
    _load("config_lower_case", "minimal", config=_config(instance_group=[{"kind": "kind_cpu", "count": 2}])),
    _config_of("lower_case"),
    _load("config_nothing", "minimal", config="{}"),
    _config_of("nothing"),
    _load("config_other_name", "minimal", config=_config(name="other")),
    _load("config_unknown_member", "minimal", config=_config(colour=1)),
    _load("config_not_json", "minimal", config="{bad"),
    _load("config_empty", "minimal", config=""),
    _load("config_array", "minimal", config="[]"),
    _load("config_negative_batch", "minimal", config=_config(max_batch_size=-3)),
    _load("config_unknown_backend", "minimal", config='{"backend":"nosuch"}'),
    _config_of("refused"),
    _load("no_version", "minimal", config=_config(version_policy={"specific": {"versions": [7]}})),
    _load("files_alone", "minimal", **{"file:1/model.py": _code(1)}),
    _load("files", "minimal", config=_config(), **{"file:7/model.py": _code(7)}),
    _infer("files"),
    _index("files"),
    _load("files_forgotten", "minimal"),
    _infer("files_forgotten"),
    _index("files_forgotten"),
    _load("file_above", "minimal", config=_config(), **{"file:../x": ""}),
    _load("file_above_by_way", "minimal", config=_config(), **{"file:1/../../../x": ""}),
    _load("file_absolute", "minimal", config=_config(), **{"file:/etc/x": ""}),
    _load("file_nameless", "minimal", config=_config(), **{"file:": ""}),
    _load("file_number", "minimal", config=_config(), **{"file:1/model.py": 7}),
    _load("file_not_a_version", "minimal", config=_config(), **{"file:x/model.py": _code(1)}),
    _infer("files_refused"),
    _load("guest_without_files", "guest", config=_config()),
    _load("guest", "guest", config=_config(), **{"file:1/model.py": _code(9), "file:1/../1/other.py": _code(1)}),
    _infer("guest", "guest"),
    _index("guest"),
    _load("guest_again", "guest"),
    _infer("guest_again", "guest"),
    post("override_guest_unload", "/v2/repository/models/guest/unload"),
    _load("guest_gone", "guest"),
    _index("guest_gone"),
    _unload("before_zeros"),
    _warm("zeros", batch_size=3, count=2),
    get("override_warm_stats", "/v2/models/minimal/stats"),
    _unload("before_nothing"),
    _warm("nothing"),
    get("override_warm_nothing_stats", "/v2/models/minimal/stats"),
    _unload("before_other_type"),
    _warm("other_type", batch_size=1, data_type="TYPE_INT32"),
    _warm("variable", batch_size=1, dims=-1),
    _load(
        "warm_no_source",
        "minimal",
        config=_config(
            model_warmup=[{"name": "w", "batch_size": 1, "inputs": {"INPUT0": {"data_type": "TYPE_FP32", "dims": [1]}}}]
        ),
    ),
    _warm("no_file", batch_size=1, file="absent"),
    _warm("error", batch_size=2, code=_ODD),
    _infer("warm_refused"),
)
