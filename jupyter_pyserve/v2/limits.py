"""How large a request may be, checked before anything is allocated for it.

Limits are arguments; what they are by default is for the settings to say.
"""

from __future__ import annotations

import re
from typing import Final

from jupyter_pyserve.errors import Code, PyServeError

DEFAULT_MAX_INPUT_BYTES: Final = 64 << 20
MAX_TENSORS: Final = 65_536
"""More inputs or outputs than any model has: listing more is refused at once."""

_ADVICE: Final = "Use --http-max-input-size to increase the limit."
_INTEGER = re.compile(r"[ \t]*([+-]?[0-9]{1,19})[ \t]*")


def check_json_size(nbytes: int, limit: int) -> None:
    """For the JSON part of a request, and for bodies that are JSON alone."""
    if nbytes > limit:
        raise _refuse(
            f"request JSON size of {nbytes} bytes exceeds the maximum allowed input size of {limit} bytes. {_ADVICE}"
        )


def check_json_tensor(name: str, nbytes: int, limit: int) -> None:
    """For one tensor that is given as JSON."""
    if nbytes > limit:
        what = f"JSON input '{name}' has a byte_size ({nbytes} bytes)"
        raise _refuse(f"{what} that exceeds the maximum allowed value of {limit} bytes. {_ADVICE}")


def check_raw_size(nbytes: int, limit: int) -> None:
    """For the body of a raw binary request."""
    if nbytes > limit:
        what = f"Raw input has a byte_size ({nbytes} bytes)"
        raise _refuse(f"{what} that exceeds the maximum allowed value of {limit} bytes. {_ADVICE}")


def check_tensor_count(kind: str, count: int) -> None:
    if count > MAX_TENSORS:
        raise _refuse(f"request lists {count} {kind}, more than the {MAX_TENSORS} that are allowed")


def inference_header_length(value: bytes | None, body_nbytes: int) -> int | None:
    """Reads `Inference-Header-Content-Length`; None where it is absent. 0 means that the body is one raw tensor."""
    if value is None:
        return None
    text = value.decode("latin-1")
    found = _INTEGER.fullmatch(text)
    if found is None:
        if re.fullmatch(r"[ \t]*[+-]?[0-9]+[ \t]*", text):
            raise out_of_range(text.strip(), body_nbytes)
        raise _refuse(f"Unable to parse Inference-Header-Content-Length, got: {text}")
    length = int(found.group(1))
    if not 0 <= length <= body_nbytes:
        raise out_of_range(length, body_nbytes)
    return length


def out_of_range(length: int | str, body_nbytes: int) -> PyServeError:
    return _refuse(f"inference header size should be in range (0, {body_nbytes}), got: {length}")


def _refuse(message: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, message)
