"""Frames: one packet of a sequenced-packet socket each, descriptors only.

Hot frames (execute, responses, stream, started, release, cancel, infer, return) are packed structs; cold ones (call,
reply, note) are JSON. Every integer is little-endian. A frame larger than `MAX_FRAME` travels in an anonymous file
whose descriptor comes with a SPILLED frame of one byte.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Callable, Dict, NamedTuple, Sequence, Tuple, cast

from .layout import WireError

MAGIC = "pyserve"
VERSION = 1

#: Comfortably below the smallest send buffer that Linux gives a Unix socket.
MAX_FRAME = 64 * 1024

SPILLED = 0
EXECUTE = 1
RESPONSES = 2
RELEASE = 3
CANCEL = 4
INFER = 5
BUNDLE = 6
STREAM = 7
STARTED = 8
RETURN = 9
CREDIT = 10
CALL = 16
REPLY = 17
NOTE = 18

#: Flag of an EXECUTE frame: its requests come from another model or a notebook.
INNER = 1

#: Flags of a response: the last one of its request; nothing reads its inputs any more; the whole batch failed; not an
#: answer at all: that comes in STREAM frames, or came; no answer either: the request is to be queued again; nothing but
#: the news that no more follows; refused before it reached a model.
FINAL = 1
INPUTS_RELEASED = 2
BATCH_FAILED = 4
DEFERRED = 8
RESCHEDULED = 16
BARE = 32
REFUSED = 64

#: Flags of an INFER frame: `execute` cannot return before it is answered; it belongs to the trace of the request whose
#: key its facts name.
BLOCKING = 1
TRACED = 2

#: What the last number of a descriptor of an INFER frame names, by its two highest bits: a block of the sender's own,
#: a request that the sender holds and in whose inputs the tensor lies, or a lease of an answer in which it lies.
OF_BLOCK = 0
OF_REQUEST = 1 << 62
OF_ANSWER = 2 << 62
OF_MASK = 3 << 62

#: In place of the lease of an input: others read the same memory, so a model that writes needs a copy of its own.
SHARED = 1

_HEAD = struct.Struct("<BBHI")
_REQUEST = struct.Struct("<QIIH")
_RESPONSE = struct.Struct("<QBBHII")
_RESPONSES_HEAD = struct.Struct("<BBHIQQ")
_LENGTH = struct.Struct("<I")
_DESCRIPTOR = struct.Struct("<IQQQ")

#: Looked up once: decoding is done for every request.
_REQUEST_NBYTES, _RESPONSE_NBYTES, _DESCRIPTOR_NBYTES = _REQUEST.size, _RESPONSE.size, _DESCRIPTOR.size

PlainDescriptor = Tuple[int, int, int, int]
_UNPACK_DESCRIPTOR = cast("Callable[[bytes, int], PlainDescriptor]", _DESCRIPTOR.unpack_from)


class Descriptor(NamedTuple):
    """Where the bytes of one tensor are: `lease` names the block that its owner frees when told "released"."""

    segment: int
    offset: int
    nbytes: int
    lease: int


class RequestFrame(NamedTuple):
    """One request: `meta` is JSON (see `encode_meta`), `layout` as in `layout.py`, one descriptor a tensor."""

    key: int
    meta: bytes
    layout: bytes
    descriptors: Sequence[PlainDescriptor]


class ResponseFrame(NamedTuple):
    """One response: `code` 0 is success, else 1 + the error's code and `text` is its message; else JSON parameters."""

    key: int
    code: int
    flags: int
    layout: bytes
    text: bytes
    descriptors: Sequence[PlainDescriptor]


PlainRequest = Tuple[int, bytes, bytes, Sequence[PlainDescriptor]]
PlainResponse = Tuple[int, int, int, bytes, bytes, Sequence[PlainDescriptor]]


def encode_meta(**fields: Any) -> bytes:
    """The rare facts of a request as JSON; equal facts give equal bytes, so the peer can cache them."""
    return json.dumps(dict(sorted(fields.items())), separators=(",", ":")).encode()


def encode_cold(kind: int, message: dict[str, Any]) -> bytes:
    """A CALL, REPLY or NOTE frame."""
    return bytes((kind,)) + json.dumps(message, separators=(",", ":")).encode()


def decode_cold(data: bytes) -> dict[str, Any]:
    """The message of a cold frame."""
    try:
        message = json.loads(data[1:])
    except (ValueError, RecursionError) as error:
        raise WireError("a message is not JSON") from error
    if not isinstance(message, dict):
        raise WireError("a message is not an object")
    return cast("Dict[str, Any]", message)


def _unpack_descriptors(data: bytes, offset: int, end: int) -> list[PlainDescriptor]:
    # Plain tuples: naming the items of each would cost as much as all the rest of decoding.
    return list(_DESCRIPTOR.iter_unpack(data[offset:end]))


def _slice(data: bytes, offset: int, nbytes: int) -> tuple[bytes, int]:
    end = offset + nbytes
    if end > len(data):
        raise WireError("a frame is cut short")
    return data[offset:end], end


def encode_execute(
    requests: Sequence[PlainRequest], released: Sequence[int] = (), kind: int = EXECUTE, flags: int = 0
) -> bytes:
    """A batch to execute in one call; `released` are leases of the receiver that the sender is done with."""
    parts = [_HEAD.pack(kind, flags, len(requests), len(released))]
    if released:
        parts.append(struct.pack(f"<{len(released)}Q", *released))
    for key, meta, layout, descriptors in requests:
        parts.append(_REQUEST.pack(key, len(meta), len(layout), len(descriptors)))
        parts.append(meta)
        parts.append(layout)
        parts.extend([_DESCRIPTOR.pack(*descriptor) for descriptor in descriptors])
    return b"".join(parts)


def encode_bundle(members: Sequence[bytes]) -> bytes:
    """Several frames in one packet, in their order."""
    parts = [_HEAD.pack(BUNDLE, 0, len(members), 0)]
    for member in members:
        parts += (_LENGTH.pack(len(member)), member)
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[bytes]:
    """Inverse of `encode_bundle`."""
    members = []
    offset = _HEAD.size
    while offset < len(data):
        if offset + _LENGTH.size > len(data):
            raise WireError("a frame is cut short")
        (nbytes,) = _LENGTH.unpack_from(data, offset)
        member, offset = _slice(data, offset + _LENGTH.size, nbytes)
        if not member or member[0] == BUNDLE:
            raise WireError("a bundle holds what it may not")
        members.append(member)
    return members


def decode_execute(data: bytes) -> tuple[list[PlainRequest], tuple[int, ...]]:
    """Inverse of `encode_execute`; requests as plain tuples."""
    try:
        _, _, count, released_count = _HEAD.unpack_from(data, 0)
        offset = _HEAD.size
        released: tuple[int, ...] = ()
        if released_count:
            released = struct.unpack_from(f"<{released_count}Q", data, offset)
            offset += 8 * released_count
        requests: list[PlainRequest] = []
        nbytes, unpack = len(data), _UNPACK_DESCRIPTOR
        for _ in range(count):
            key, meta_nbytes, layout_nbytes, tensors = _REQUEST.unpack_from(data, offset)
            start = offset + _REQUEST_NBYTES
            middle = start + meta_nbytes
            end = middle + layout_nbytes
            offset = end + tensors * _DESCRIPTOR_NBYTES
            if offset > nbytes:
                raise WireError("a frame is cut short")
            descriptors = [unpack(data, end)] if tensors == 1 else _unpack_descriptors(data, end, offset)
            requests.append((key, data[start:middle], data[middle:end], descriptors))
    except struct.error as error:
        raise WireError("a frame is cut short") from error
    if offset != len(data):
        raise WireError("a frame has bytes left over")
    return requests, released


def first_key(data: bytes) -> int:
    """The key of the first request of an EXECUTE frame; 0 when it has none."""
    start = _HEAD.size + 8 * int.from_bytes(data[4:8], "little")
    return int.from_bytes(data[start : start + 8], "little")


def encode_responses(
    responses: Sequence[PlainResponse], input_ns: int = 0, infer_ns: int = 0, kind: int = RESPONSES
) -> bytes:
    """Answers of one batch, with the time its inputs took to unpack and the model to compute.

    With kind STREAM: responses that come by themselves, any number to each of any requests.
    """
    parts = [_RESPONSES_HEAD.pack(kind, 0, len(responses), 0, input_ns, infer_ns)]
    for key, code, flags, layout, text, descriptors in responses:
        parts.append(_RESPONSE.pack(key, code, flags, len(descriptors), len(layout), len(text)))
        parts.append(layout)
        parts.append(text)
        parts.extend([_DESCRIPTOR.pack(*descriptor) for descriptor in descriptors])
    return b"".join(parts)


def decode_responses(data: bytes) -> tuple[list[PlainResponse], int, int]:
    """Inverse of `encode_responses`: the responses as plain tuples, input_ns, infer_ns."""
    try:
        _, _, count, _, input_ns, infer_ns = _RESPONSES_HEAD.unpack_from(data, 0)
        offset = _RESPONSES_HEAD.size
        responses: list[PlainResponse] = []
        nbytes, unpack = len(data), _UNPACK_DESCRIPTOR
        for _ in range(count):
            key, code, flags, tensors, layout_nbytes, text_nbytes = _RESPONSE.unpack_from(data, offset)
            start = offset + _RESPONSE_NBYTES
            middle = start + layout_nbytes
            end = middle + text_nbytes
            offset = end + tensors * _DESCRIPTOR_NBYTES
            if offset > nbytes:
                raise WireError("a frame is cut short")
            descriptors = [unpack(data, end)] if tensors == 1 else _unpack_descriptors(data, end, offset)
            responses.append((key, code, flags, data[start:middle], data[middle:end], descriptors))
    except struct.error as error:
        raise WireError("a frame is cut short") from error
    if offset != len(data):
        raise WireError("a frame has bytes left over")
    return responses, input_ns, infer_ns


def encode_keys(kind: int, keys: Sequence[int]) -> bytes:
    """A RELEASE (leases or request keys, by direction), RETURN (leases of answers) or CANCEL (request keys) frame.

    A STARTED frame names the first request of a batch that executes by itself, so that the next one may come.
    """
    return _HEAD.pack(kind, 0, 0, len(keys)) + struct.pack(f"<{len(keys)}Q", *keys)


def decode_keys(data: bytes) -> tuple[int, ...]:
    """Inverse of `encode_keys`."""
    try:
        _, _, _, count = _HEAD.unpack_from(data, 0)
        return struct.unpack_from(f"<{count}Q", data, _HEAD.size)
    except struct.error as error:
        raise WireError("a frame is cut short") from error
