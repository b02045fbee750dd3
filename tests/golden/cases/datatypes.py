"""Every datatype in binary form, there and back, and the forms in which outputs are asked for."""

from __future__ import annotations

from tests.golden.case import Case, binary, blob, strings

_SIZES = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2,
    "INT32": 4, "INT64": 8, "FP16": 2, "FP32": 4, "FP64": 8, "BF16": 2,
}  # fmt: skip


def _request(datatype: str, count: int, nbytes: int, **parameters: object) -> dict[str, object]:
    request: dict[str, object] = {"inputs": [blob(f"INPUT_{datatype}", datatype, [count], nbytes)]}
    if parameters:
        request["parameters"] = parameters
    return request


def _pattern(datatype: str, size: int) -> bytes:
    return b"\x01\x00" if datatype == "BOOL" else bytes(range(1, 2 * size + 1))


def _there_and_back(datatype: str, size: int) -> tuple[Case, ...]:
    header = _request(datatype, 2, 2 * size, binary_data_output=True)
    return (
        binary(f"binary_{datatype}", "every_type", header, _pattern(datatype, size)),
        binary(f"binary_{datatype}_empty", "every_type", _request(datatype, 0, 0, binary_data_output=True)),
        binary(f"binary_{datatype}_short", "every_type", header, _pattern(datatype, size)[:-1]),
        binary(
            f"binary_{datatype}_shown_in_json", "every_type", _request(datatype, 2, 2 * size), _pattern(datatype, size)
        ),
    )


_TEXT = strings(b"", b"text", b"\x00\xff")

CASES = (
    *(case for datatype, size in _SIZES.items() for case in _there_and_back(datatype, size)),
    binary("binary_BYTES", "every_type", _request("BYTES", 3, len(_TEXT), binary_data_output=True), _TEXT),
    binary("binary_BYTES_empty", "every_type", _request("BYTES", 0, 0, binary_data_output=True)),
    binary("binary_BYTES_shown_in_json", "every_type", _request("BYTES", 2, 12), strings(b"text", b"")),
    binary(
        "binary_all_at_once",
        "every_type",
        {
            "inputs": [blob(f"INPUT_{datatype}", datatype, [1], size) for datatype, size in _SIZES.items()],
            "parameters": {"binary_data_output": True},
            "outputs": [{"name": "OUTPUT_INT8"}, {"name": "OUTPUT_BF16", "parameters": {"binary_data": True}}],
        },
        *(_pattern(datatype, size)[:size] for datatype, size in _SIZES.items()),
    ),
)
