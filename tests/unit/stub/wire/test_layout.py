from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyserve_stub.wire.datatypes import NAMES
from pyserve_stub.wire.layout import MAX_TENSORS, LayoutCache, TensorMeta, WireError, decode_layout, encode_layout

#: Lone surrogates too: JSON can bring them.
TEXTS = st.text(st.characters(), max_size=20)
SHAPES = st.lists(st.integers(0, 2**63 - 1), max_size=6).map(tuple)
TENSORS = st.lists(st.builds(TensorMeta, TEXTS, st.integers(1, len(NAMES) - 1), SHAPES), max_size=5)
ONE = encode_layout([TensorMeta("IN", 11, (2, 3))])


@given(tensors=TENSORS)
def test_what_is_encoded_is_decoded(tensors: list[TensorMeta]) -> None:
    assert decode_layout(encode_layout(tensors)) == tuple(tensors)


@given(left=TENSORS, right=TENSORS)
def test_equal_lists_have_equal_bytes_and_no_others(left: list[TensorMeta], right: list[TensorMeta]) -> None:
    assert (encode_layout(left) == encode_layout(right)) == (left == right)


@given(data=st.binary(max_size=200))
def test_other_bytes_are_refused_or_a_list(data: bytes) -> None:
    try:
        tensors = decode_layout(data)
    except WireError:
        return
    assert encode_layout(tensors) == data


@given(tensors=TENSORS, data=st.data())
def test_bytes_that_are_cut_short_are_refused(tensors: list[TensorMeta], data: st.DataObject) -> None:
    encoded = encode_layout(tensors)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(WireError):
        decode_layout(encoded[:cut])


@given(tensors=TENSORS, more=st.binary(min_size=1, max_size=20))
def test_bytes_left_over_are_refused(tensors: list[TensorMeta], more: bytes) -> None:
    with pytest.raises(WireError, match=r"^a tensor list has bytes left over$"):
        decode_layout(encode_layout(tensors) + more)


def test_the_bytes_are_these() -> None:
    assert bytes.fromhex("0100 0200 0b 02") + b"IN" + struct.pack("<2q", 2, 3) == ONE


@pytest.mark.parametrize("code", [0, len(NAMES), 255])
def test_a_datatype_that_is_none_is_refused(code: int) -> None:
    with pytest.raises(WireError, match=r"^a tensor list is malformed$"):
        decode_layout(ONE[:4] + bytes((code,)) + ONE[5:])


def test_a_negative_dimension_is_refused() -> None:
    with pytest.raises(WireError, match=r"^a tensor list is malformed$"):
        decode_layout(encode_layout([TensorMeta("IN", 1, (-1,))]))


def test_a_name_that_is_not_text_is_refused() -> None:
    with pytest.raises(WireError, match=r"^a tensor's name is not UTF-8$"):
        decode_layout(ONE.replace(b"IN", b"\xff\xfe"))


@pytest.mark.parametrize(
    "tensor",
    [
        TensorMeta("x" * 65_536, 1, ()),
        TensorMeta("x", 1, (1,) * 256),
        TensorMeta("x", 1, (2**63,)),
        TensorMeta("x", 256, ()),
    ],
    ids=["name", "rank", "dimension", "code"],
)
def test_what_does_not_fit_is_refused(tensor: TensorMeta) -> None:
    with pytest.raises(WireError, match=r"^a tensor's name, rank or dimension is too large$"):
        encode_layout([tensor])


def test_the_largest_list_fits() -> None:
    tensors = [TensorMeta("x" * 40, 1, (1,))] * MAX_TENSORS
    assert len(decode_layout(encode_layout(tensors))) == MAX_TENSORS
    with pytest.raises(WireError, match=r"^4097 tensors in one message, at most 4096 are allowed$"):
        encode_layout([*tensors, tensors[0]])


def test_the_cache_decodes_equal_bytes_once() -> None:
    cache = LayoutCache()
    first = cache.decode(bytes(bytearray(ONE)))
    assert first == (TensorMeta("IN", 11, (2, 3)),)
    assert cache.decode(bytes(bytearray(ONE))) is first


def test_the_cache_does_not_grow_beyond_its_limit() -> None:
    cache = LayoutCache(limit=2)
    layouts: list[Any] = [encode_layout([TensorMeta("x", 1, (size,))]) for size in range(3)]
    first, second = (cache.decode(layout) for layout in layouts[:2])
    assert cache.decode(layouts[0]) is first
    third = cache.decode(layouts[2])
    assert cache.decode(layouts[2]) is third
    assert cache.decode(layouts[0]) is not first
    assert cache.decode(layouts[1]) == second


def test_the_cache_remembers_no_failure() -> None:
    cache = LayoutCache()
    for _ in range(2):
        with pytest.raises(WireError):
            cache.decode(b"\x01")
