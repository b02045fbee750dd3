"""Compressed requests and answers."""

from __future__ import annotations

import gzip
import zlib

from tests.golden.case import Case, blob, encoded, floats, infer, tensor

_JSON = encoded({"inputs": [tensor("INPUT0", "FP32", [1, 2], [1.5, 2])]})
_HEADER = encoded({"parameters": {"binary_data_output": True}, "inputs": [blob("INPUT0", "FP32", [1, 2], 8)]})
_BINARY = _HEADER + floats(1.5, 2)


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _sent(name: str, body: bytes, encoding: str, **headers: str) -> Case:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return infer(f"compressed_{name}", "identity", body, headers={"Content-Encoding": encoding, **named})


def _accepting(name: str, value: str, body: bytes = _JSON, **headers: str) -> Case:
    named = {key.replace("_", "-"): text for key, text in headers.items()}
    return infer(f"accepting_{name}", "identity", body, headers={"Accept-Encoding": value, **named})


_NAMED = {"Inference_Header_Content_Length": str(len(_HEADER))}

CASES = (
    _sent("gzip", _gzip(_JSON), "gzip"),
    _sent("deflate", zlib.compress(_JSON), "deflate"),
    _sent("gzip_named_deflate", _gzip(_JSON), "deflate"),
    _sent("identity", _JSON, "identity"),
    _sent("empty_name", _JSON, ""),
    _sent("unknown", _JSON, "br"),
    _sent("upper_case", _gzip(_JSON), "GZIP"),
    _sent("nothing", b"", "gzip"),
    _sent("binary", _gzip(_BINARY), "gzip", **_NAMED),
    _sent("binary_deflate", zlib.compress(_BINARY), "deflate", **_NAMED),
    _sent("length_beyond", _gzip(_BINARY), "gzip", Inference_Header_Content_Length="9999"),
    _sent("length_of_compressed", _gzip(_JSON * 4), "gzip", Inference_Header_Content_Length=str(len(_JSON) * 4 + 1)),
    _sent("not_json", _gzip(b"{bad"), "gzip"),
    _sent("unknown_datatype", _gzip(_JSON.replace(b"FP32", b"FP31")), "gzip"),
    _sent("and_back", _gzip(_BINARY), "gzip", Accept_Encoding="deflate", **_NAMED),
    infer("compressed_unknown_model", "nobody", b"x", headers={"Content-Encoding": "br"}),
    infer(
        "compressed_error", "identity", _gzip(b"{}"), headers={"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    ),
    _accepting("gzip", "gzip"),
    _accepting("deflate", "deflate"),
    _accepting("both", "deflate, gzip"),
    _accepting("weights", "deflate;q=0.5,gzip;q=0.75"),
    _accepting("identity_first", "identity, gzip"),
    _accepting("identity_liked_less", "identity;q=0.1, gzip"),
    _accepting("zero", "gzip;q=0"),
    _accepting("star", "*"),
    _accepting("others", "br, zstd, gzip;q=0.2"),
    _accepting("upper_case", "GZIP"),
    _accepting("space_before_weight", "gzip ;q=1"),
    _accepting("no_number", "gzip;q=x, deflate;q=0.1"),
    _accepting("number_and_more", "gzip;q=0.5abc, deflate;q=0.4"),
    _accepting("empty", ""),
    _accepting("binary", "gzip", _BINARY, **_NAMED),
    _accepting("error", "gzip", b"{}"),
)
