"""What words after `%pyserve` may be: tensors, numbers, `KEY=VALUE`, each read from its text. Values only."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass

CONFIG_TYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "FP32", "FP64", "STRING", "BF16",
)  # fmt: skip
_SYNONYMS = {"BYTES": "STRING"}
_LIKELY = {"FLOAT16": "FP16", "FLOAT32": "FP32", "FLOAT": "FP32", "FLOAT64": "FP64", "DOUBLE": "FP64"}
_LIKELY |= {"BFLOAT16": "BF16", "STR": "STRING", "OBJECT": "STRING", "INT": "INT64", "BOOLEAN": "BOOL"}
_TENSOR = re.compile(r"(?P<name>.+):(?P<type>\w+):\[?(?P<dims>[-\d,\s]+)\]?(?P<optional>:optional)?")
TENSOR_FORM = "NAME:TYPE:DIMS, like INPUT0:FP32:-1 or IMAGE:UINT8:224,224,3 or MASK:BOOL:-1:optional"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorOption:
    """One `--input` or `--output`; `data_type` as in config.pbtxt, without its TYPE_ prefix."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    optional: bool = False


def tensor(text: str) -> TensorOption:
    """Parse NAME:TYPE:DIMS; a name may have colons of its own."""
    match = _TENSOR.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not {TENSOR_FORM}")
    data_type = match["type"].upper().removeprefix("TYPE_")
    data_type = _SYNONYMS.get(data_type, data_type)
    if data_type not in CONFIG_TYPES:
        likely = f" (did you mean {_LIKELY[data_type]}?)" if data_type in _LIKELY else ""
        raise argparse.ArgumentTypeError(f"'{match['type']}' is not a type{likely}: {', '.join(CONFIG_TYPES)}")
    dims = integers(match["dims"])
    if any(dim == 0 or dim < -1 for dim in dims):
        raise argparse.ArgumentTypeError(f"'{text}': a dimension is a number from 1 up, or -1 for any")
    return TensorOption(name=match["name"], data_type=data_type, dims=dims, optional=match["optional"] is not None)


def key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of whole numbers like 4,8") from None


def count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 up")
    return int(text)


def seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds")
    return found
