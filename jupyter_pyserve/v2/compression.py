"""Compressed bodies of inference requests and answers: which encoding is meant, and the bytes in it.

Sizes are limited while they grow, so that a few bytes cannot become gigabytes. Knows no HTTP but two header values.
"""

from __future__ import annotations

import enum
import re
import zlib
from collections.abc import Sequence
from typing import Final

from jupyter_pyserve.errors import Code, PyServeError

#: zlib's way to say: gzip or zlib, whichever it is.
_EITHER: Final = 15 | 32
_NUMBER: Final = re.compile(rb"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


class Encoding(enum.Enum):
    """How a body is encoded; the values are the names on the wire."""

    IDENTITY = b"identity"
    GZIP = b"gzip"
    DEFLATE = b"deflate"


_KNOWN: Final = {item.value: item for item in Encoding}
_WBITS: Final = {Encoding.GZIP: 31, Encoding.DEFLATE: 15}


class UnknownEncodingError(PyServeError):
    """A request in an encoding that nobody here reads."""

    def __init__(self) -> None:
        super().__init__(Code.UNSUPPORTED, "Unsupported compression type")


def request_encoding(value: bytes | None) -> Encoding | None:
    """What a Content-Encoding says; None for what is not known."""
    return _KNOWN.get(value) if value is not None else Encoding.IDENTITY


def response_encoding(value: bytes | None) -> Encoding:
    """The encoding of an Accept-Encoding that its client likes best, and names first; others don't count."""
    best, best_weight = Encoding.IDENTITY, 0.0
    for item in value.split(b",") if value is not None else ():
        name, weighted, text = item.lstrip(b" ").partition(b";q=")
        encoding = _KNOWN.get(name)
        if encoding is None:
            continue
        weight = 1.0
        if weighted:
            found = _NUMBER.match(text)
            if found is None:
                continue
            weight = float(found[1])
        if weight > best_weight:
            best, best_weight = encoding, weight
    return best


def decompress(data: bytes, limit: int) -> bytes:
    """A body that was compressed, of at most `limit` bytes; which of the two encodings it has shows in its bytes."""
    if not data:
        raise _refuse("nothing to be decompressed")
    stream = zlib.decompressobj(_EITHER)
    try:
        plain = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise _refuse(f"unable to decompress the request body: {error}") from error
    if len(plain) > limit:
        raise _refuse(
            f"Decompressed data size exceeds the maximum allowed value of {limit} bytes. "
            "Use --http-max-input-size to increase the limit."
        )
    if not stream.eof:
        raise _refuse("unable to decompress the request body: it is cut short")
    return plain


def compress(parts: Sequence[bytes | memoryview], encoding: Encoding) -> bytes:
    """The parts as one body."""
    stream = zlib.compressobj(wbits=_WBITS[encoding])
    return b"".join([*[stream.compress(part) for part in parts], stream.flush()])


def _refuse(message: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, message)
