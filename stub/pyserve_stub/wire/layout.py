"""The part of a tensor list that repeats from request to request: names, datatypes and shapes, as bytes.

Peers cache what they decoded by these bytes, so a steady stream of equal requests decodes nothing.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Sequence

from .datatypes import NAMES

_COUNT = struct.Struct("<H")
_ENTRY = struct.Struct("<HBB")

#: A tensor list larger than this is refused: the largest real models have a few hundred inputs.
MAX_TENSORS = 4096


class WireError(ValueError):
    """The peer sent bytes that do not follow the format."""


class TensorMeta(NamedTuple):
    """One tensor without its data."""

    name: str
    code: int
    shape: tuple[int, ...]


def encode_layout(tensors: Sequence[TensorMeta]) -> bytes:
    """Pack names, codes and shapes; at most `MAX_TENSORS` tensors of at most 255 dimensions."""
    if len(tensors) > MAX_TENSORS:
        raise WireError(f"{len(tensors)} tensors in one message, at most {MAX_TENSORS} are allowed")
    parts = [_COUNT.pack(len(tensors))]
    try:
        for name, code, shape in tensors:
            encoded = name.encode("utf-8", "surrogatepass")
            parts.append(_ENTRY.pack(len(encoded), code, len(shape)))
            parts.append(encoded)
            parts.append(struct.pack(f"<{len(shape)}q", *shape))
    except struct.error as error:
        raise WireError("a tensor's name, rank or dimension is too large") from error
    return b"".join(parts)


def decode_layout(data: bytes) -> tuple[TensorMeta, ...]:
    """Inverse of `encode_layout`; raises `WireError` on anything else."""
    try:
        (count,) = _COUNT.unpack_from(data, 0)
        offset = _COUNT.size
        tensors = []
        for _ in range(count):
            name_nbytes, code, rank = _ENTRY.unpack_from(data, offset)
            offset += _ENTRY.size
            name = data[offset : offset + name_nbytes]
            offset += name_nbytes
            shape = struct.unpack_from(f"<{rank}q", data, offset)
            offset += 8 * rank
            if len(name) != name_nbytes or not 0 < code < len(NAMES) or any(dim < 0 for dim in shape):
                raise WireError("a tensor list is malformed")
            tensors.append(TensorMeta(name.decode("utf-8", "surrogatepass"), code, shape))
    except struct.error as error:
        raise WireError("a tensor list is cut short") from error
    except UnicodeDecodeError as error:
        raise WireError("a tensor's name is not UTF-8") from error
    if offset != len(data):
        raise WireError("a tensor list has bytes left over")
    return tuple(tensors)


class LayoutCache:
    """Decoded layouts by their bytes, bounded: emptied when full, since a steady load refills it at once."""

    __slots__ = ("_entries", "_limit")

    def __init__(self, limit: int = 1024) -> None:
        self._entries: dict[bytes, tuple[TensorMeta, ...]] = {}
        self._limit = limit

    def decode(self, data: bytes) -> tuple[TensorMeta, ...]:
        """`decode_layout(data)`, remembered."""
        try:
            return self._entries[data]
        except KeyError:
            decoded = decode_layout(data)
            if len(self._entries) >= self._limit:
                self._entries.clear()
            self._entries[data] = decoded
            return decoded
