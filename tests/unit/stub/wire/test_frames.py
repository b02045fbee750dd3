from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import Descriptor, RequestFrame, ResponseFrame
from pyserve_stub.wire.layout import MAX_TENSORS, TensorMeta, WireError, encode_layout

U64 = st.integers(0, 2**64 - 1)
DESCRIPTORS = st.lists(st.builds(Descriptor, st.integers(0, 2**32 - 1), U64, U64, U64), max_size=3)
PARTS = st.binary(max_size=30)
REQUESTS = st.lists(st.builds(RequestFrame, U64, PARTS, PARTS, DESCRIPTORS), max_size=4)
RESPONSES = st.lists(
    st.builds(ResponseFrame, U64, st.integers(0, 255), st.integers(0, 255), PARTS, PARTS, DESCRIPTORS), max_size=4
)
KEYS = st.lists(U64, max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
MESSAGES = st.dictionaries(st.text(), JSON, max_size=4)
DECODERS: list[Callable[[bytes], Any]] = [
    frames.decode_execute,
    frames.decode_responses,
    frames.decode_keys,
    frames.decode_cold,
    frames.decode_bundle,
]


@given(requests=REQUESTS, released=KEYS, kind=st.sampled_from([frames.EXECUTE, frames.INFER]))
def test_requests_arrive(requests: list[RequestFrame], released: list[int], kind: int) -> None:
    data = frames.encode_execute(requests, released, kind)
    assert data[0] == kind
    assert frames.decode_execute(data) == (requests, tuple(released))
    assert frames.first_key(data) == (requests[0].key if requests else 0)


@given(responses=RESPONSES, input_ns=U64, infer_ns=U64)
def test_responses_arrive(responses: list[ResponseFrame], input_ns: int, infer_ns: int) -> None:
    data = frames.encode_responses(responses, input_ns, infer_ns)
    assert data[0] == frames.RESPONSES
    assert frames.decode_responses(data) == (responses, input_ns, infer_ns)


@given(keys=KEYS, kind=st.sampled_from([frames.RELEASE, frames.CANCEL]))
def test_keys_arrive(keys: list[int], kind: int) -> None:
    data = frames.encode_keys(kind, keys)
    assert data[0] == kind
    assert frames.decode_keys(data) == tuple(keys)


@given(message=MESSAGES, kind=st.sampled_from([frames.CALL, frames.REPLY, frames.NOTE]))
def test_messages_arrive(message: dict[str, Any], kind: int) -> None:
    data = frames.encode_cold(kind, message)
    assert data[0] == kind
    assert frames.decode_cold(data) == message


@given(members=st.lists(st.binary(min_size=1, max_size=30).filter(lambda item: item[0] != frames.BUNDLE), max_size=4))
def test_bundles_arrive(members: list[bytes]) -> None:
    data = frames.encode_bundle(members)
    assert data[0] == frames.BUNDLE
    assert frames.decode_bundle(data) == members


@pytest.mark.parametrize("decode", DECODERS)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(decode: Callable[[bytes], Any], data: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(data)


@given(requests=REQUESTS, released=KEYS, data=st.data())
def test_requests_that_are_cut_short_are_refused(
    requests: list[RequestFrame], released: list[int], data: st.DataObject
) -> None:
    refuse_parts(frames.decode_execute, frames.encode_execute(requests, released), data)


@given(responses=RESPONSES, data=st.data())
def test_responses_that_are_cut_short_are_refused(responses: list[ResponseFrame], data: st.DataObject) -> None:
    refuse_parts(frames.decode_responses, frames.encode_responses(responses), data)


def refuse_parts(decode: Callable[[bytes], Any], encoded: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(WireError, match=r"^a frame is cut short$"):
        decode(encoded[:cut])
    with pytest.raises(WireError, match=r"^a frame has bytes left over$"):
        decode(encoded + b"x")


@given(keys=st.lists(U64, min_size=1, max_size=5), data=st.data())
def test_keys_that_are_cut_short_are_refused(keys: list[int], data: st.DataObject) -> None:
    encoded = frames.encode_keys(frames.CANCEL, keys)
    with pytest.raises(WireError, match=r"^a frame is cut short$"):
        frames.decode_keys(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (b"\x01", "a frame is cut short"),
        (b"\x05\0\0\0abcd", "a frame is cut short"),
        (b"\0\0\0\0", "a bundle holds what it may not"),
        (b"\x01\0\0\0\x06", "a bundle holds what it may not"),
    ],
    ids=["length", "member", "nothing", "bundle"],
)
def test_a_broken_bundle_is_refused(more: bytes, text: str) -> None:
    with pytest.raises(WireError, match=rf"^{text}$"):
        frames.decode_bundle(frames.encode_bundle([b"\x01member"]) + more)


@pytest.mark.parametrize("count", [1, 2**31, 2**32 - 1])
def test_counts_are_not_believed(count: int) -> None:
    head = bytes((frames.EXECUTE, 0, 0, 0)) + count.to_bytes(4, "little")
    for decode in (frames.decode_execute, frames.decode_keys):
        with pytest.raises(WireError, match=r"^a frame is cut short$"):
            decode(head)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (b"", "a message is not JSON"),
        (b"{", "a message is not JSON"),
        (b"\xff\xfe\xfd", "a message is not JSON"),
        (b"[" * 200_000, "a message is not JSON"),
        (b"[]", "a message is not an object"),
        (b"3", "a message is not an object"),
    ],
    ids=["empty", "open", "bytes", "deep", "list", "number"],
)
def test_a_message_is_an_object(text: bytes, refusal: str) -> None:
    with pytest.raises(WireError, match=rf"^{refusal}$"):
        frames.decode_cold(bytes((frames.NOTE,)) + text)


def test_equal_facts_give_equal_bytes() -> None:
    meta = frames.encode_meta(id="a", flags=1)
    assert meta == frames.encode_meta(flags=1, id="a") == b'{"flags":1,"id":"a"}'
    assert frames.encode_meta() == b"{}"


def test_a_request_may_have_the_largest_layout() -> None:
    layout = encode_layout([TensorMeta("x" * 40, 1, (1,))] * MAX_TENSORS)
    request = RequestFrame(1, b"{}", layout, [Descriptor(1, 0, 1, 0)] * MAX_TENSORS)
    assert frames.decode_execute(frames.encode_execute([request])) == ([request], ())
