"""Every datatype in the less trodden ways: classification, tensors of several axes, and statistics of what fails."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping

from tests.golden.case import (
    AnyCase,
    Case,
    Files,
    Rpc,
    binary,
    blob,
    encoded,
    http,
    infer,
    raw,
    statistics,
    strings,
    tensor,
)
from tests.golden.cases.texts import model

_CACHED = "response_cache { enable: true }"
OPTIONS = ("--cache-config=local,size=100000",)

_GRID = " ".join(
    f'{kind} {{ name: "{name}" data_type: {datatype} dims: [ -1, -1 ] {more} }}'
    for kind, suffix, more in (("input", "", "optional: true"), ("output", "_OUT", ""))
    for name, datatype in ((f"S{suffix}", "TYPE_STRING"), (f"B{suffix}", "TYPE_BOOL"), (f"I{suffix}", "TYPE_INT16"))
)
_SAME = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([self.same(item) for item in each.inputs()]) for each in requests]

    def same(self, item):
        return pb_utils.Tensor(item.name() + "_OUT", item.as_numpy())
"""

MODELS: Mapping[str, Files] = {
    "grids": {"config.pbtxt": f'backend: "python" {_GRID}', "1/model.py": _SAME},
    "refused": model("made = {'O': given['I']}"),
    "failed": model("raise ValueError('no')"),
    "kept": model("made = {'O': given['I']}", more=_CACHED),
}

#: Three elements of each datatype, in wire form.
_THREE: Mapping[str, bytes] = {
    "BOOL": b"\1\0\1", "UINT8": b"\1\xff\2", "INT8": b"\1\xff\2", "UINT16": struct.pack("<3H", 1, 65535, 2),
    "INT16": struct.pack("<3h", 1, -1, 2), "UINT32": struct.pack("<3I", 1, 2**32 - 1, 2),
    "INT32": struct.pack("<3i", 1, -(2**31), 2), "UINT64": struct.pack("<3Q", 1, 2**64 - 1, 2),
    "INT64": struct.pack("<3q", 1, -(2**63), 2), "FP16": struct.pack("<3e", 1, -0.5, 2),
    "FP32": struct.pack("<3f", 1, -0.5, 1e-9), "FP64": struct.pack("<3d", 1, -0.5, 1e300), "BF16": b"\x80\x3f" * 3,
    "BYTES": strings(b"b", b"c", b"a"),
}  # fmt: skip


def _classes(datatype: str, data: bytes) -> Case:
    output = {"name": f"OUTPUT_{datatype}", "parameters": {"classification": 2}}
    header = {"inputs": [blob(f"INPUT_{datatype}", datatype, [3], len(data))], "outputs": [output]}
    return binary(f"kinds_classes_{datatype}", "every_type", header, data)


def _grpc_classes(datatype: str, data: bytes) -> Rpc:
    request = {
        "modelName": "every_type",
        "inputs": [{"name": f"INPUT_{datatype}", "datatype": datatype, "shape": [3]}],
        "outputs": [{"name": f"OUTPUT_{datatype}", "parameters": {"classification": {"int64Param": 2}}}],
        "rawInputContents": [base64.b64encode(data).decode()],
    }
    return Rpc(name=f"kinds_grpc_classes_{datatype}", requests=(request,), stream=False)


def _grid(name: str, datatype: str, shape: list[int], data: object) -> Case:
    own = {"BYTES": "S", "BOOL": "B", "INT16": "I"}[datatype]
    return infer(f"kinds_grid_{name}", "grids", {"inputs": [tensor(own, datatype, shape, data)]})


def _strings(name: str, shape: list[int], data: bytes, **parameters: object) -> Case:
    return binary(
        f"kinds_strings_{name}", "grids", {"inputs": [blob("S", "BYTES", shape, len(data))], **parameters}, data
    )


_FOUR = strings(b"a", b"", b"\xc3\xa9", b"d\x00e")


def _asked(name: str, to: str, values: list[float]) -> Case:
    return infer(f"kinds_{name}", to, {"inputs": [tensor("I", "FP32", [1, len(values)], values)]})


_INFER = "/v2/models/grids/infer"
_BODY = encoded({"inputs": [tensor("I", "INT16", [1, 2], [1, 2])]})
_HEADER = encoded({"inputs": [blob("I", "INT16", [1, 2], 4)]})


def _head(**headers: str) -> bytes:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return http("GET", _INFER, headers=named).replace(b"GET", b"POST", 1)


def _chunked(*chunks: bytes, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    parts = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return parts + b"0\r\n" + trailer + b"\r\n"


_CHUNKED = _head(Transfer_Encoding="chunked")

CASES: tuple[AnyCase, ...] = (
    *(_classes(datatype, data) for datatype, data in _THREE.items()),
    *(_grpc_classes(datatype, data) for datatype, data in _THREE.items()),
    _grid("strings", "BYTES", [2, 2], [["a", "é"], ["", "d"]]),
    _grid("strings_flat", "BYTES", [2, 2], ["a", "b", "c", "d"]),
    _grid("strings_transposed", "BYTES", [1, 4], [["a"], ["b"], ["c"], ["d"]]),
    _grid("strings_ragged", "BYTES", [2, 2], [["a", "b", "c"], ["d"]]),
    _grid("strings_deep", "BYTES", [2, 2], [[[["a", "b"]]], [["c"], "d"]]),
    _grid("strings_too_few", "BYTES", [2, 2], [["a", "b"], ["c"]]),
    _grid("strings_too_many", "BYTES", [2, 2], [["a", "b"], ["c", "d", "e"]]),
    _grid("strings_none", "BYTES", [0, 2], []),
    _grid("strings_none_nested", "BYTES", [2, 0], [[], []]),
    _grid("strings_one_number", "BYTES", [1, 2], ["a", 1]),
    _grid("strings_axis_missing", "BYTES", [4], ["a", "b", "c", "d"]),
    _grid("strings_axis_too_many", "BYTES", [1, 2, 2], ["a", "b", "c", "d"]),
    _grid("bools", "BOOL", [2, 2], [[True, False], [False, True]]),
    _grid("bools_flat", "BOOL", [2, 2], [True, False, False, True]),
    _grid("bools_number", "BOOL", [1, 2], [True, 1]),
    _grid("integers_none", "INT16", [0, 0], []),
    _grid("integers_scalar", "INT16", [1, 1], 5),
    _grid("integers_text", "INT16", [1, 1], "5"),
    _grid("integers_object", "INT16", [1, 1], {"0": 5}),
    _strings("four", [2, 2], _FOUR),
    _strings("four_in_binary", [2, 2], _FOUR, parameters={"binary_data_output": True}),
    _strings("four_in_a_row", [4, 1], _FOUR),
    _strings("three_for_four", [2, 2], strings(b"a", b"b", b"c")),
    _strings("five_for_four", [2, 2], strings(b"a", b"b", b"c", b"d", b"e")),
    _strings("not_utf8", [1, 1], strings(b"\xff\xfe")),
    _strings("cut", [1, 2], strings(b"a", b"bcd")[:-1]),
    _strings("none", [0, 2], b""),
    _strings("none_with_bytes", [0, 2], b"\0\0\0\0"),
    raw(
        "kinds_chunked_binary",
        _head(Transfer_Encoding="chunked", Inference_Header_Content_Length=str(len(_HEADER)))
        + _chunked(_HEADER[:9], _HEADER[9:] + b"\1\0", b"\2\0"),
    ),
    raw("kinds_chunked_extension", _CHUNKED + _chunked(_BODY, extension=b";a=b")),
    raw("kinds_chunked_trailer", _CHUNKED + _chunked(_BODY, trailer=b"X-After: 1\r\n")),
    raw("kinds_chunked_upper_case", _head(Transfer_Encoding="Chunked") + _chunked(_BODY)),
    raw("kinds_chunked_nothing", _CHUNKED + _chunked()),
    raw("kinds_chunked_zeros", _CHUNKED + b"000%x\r\n%s\r\n0\r\n\r\n" % (len(_BODY), _BODY)),
    raw("kinds_chunked_bad_size", _CHUNKED + b"xyz\r\n" + _BODY + b"\r\n0\r\n\r\n"),
    raw("kinds_header_tab", b"GET /v2/health/live HTTP/1.1\r\nHost:\tlocalhost\r\nX-A:\tb \r\n\r\n"),
    raw("kinds_header_empty", b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX-Empty:\r\n\r\n"),
    raw("kinds_header_twice", http("POST", _INFER, _BODY, {"X-A": "1", "x-a": "2"})),
    raw("kinds_header_length_twice", _head(Content_Length=str(len(_BODY)), content_length=str(len(_BODY))) + _BODY),
    raw("kinds_query", http("POST", f"{_INFER}?a=b", _BODY)),
    raw("kinds_options", http("OPTIONS", "/v2/health/live")),
    raw("kinds_delete", http("DELETE", "/v2/models/grids")),
    _asked("refused", "refused", []),
    infer("kinds_refused_input", "refused", {"inputs": [tensor("X", "FP32", [1, 1], [1])]}),
    statistics("kinds_refused_statistics", "refused"),
    _asked("failed", "failed", [1]),
    statistics("kinds_failed_statistics", "failed"),
    _asked("kept_1", "kept", [1]),
    _asked("kept_2", "kept", [1]),
    statistics("kinds_kept_statistics", "kept"),
)
