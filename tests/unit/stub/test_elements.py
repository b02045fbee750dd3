from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from pyserve_stub import elements as subject
from pyserve_stub.elements import DTYPES, code_of, decode_elements, encode_elements
from pyserve_stub.wire import datatypes


def wire(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


@pytest.mark.parametrize("code", range(len(DTYPES)))
def test_dtypes_are_those_of_the_wire(code: int) -> None:
    dtype = DTYPES[code]
    if code in (0, datatypes.BF16):
        assert dtype is None
    else:
        assert dtype is not None
        assert code_of(dtype) == code
        if code != datatypes.BYTES:
            assert dtype == np.dtype(datatypes.NUMPY[code])
            assert dtype.itemsize == datatypes.ITEMSIZE[code]


@pytest.mark.parametrize(
    ("dtype", "code"),
    [
        ("S3", datatypes.BYTES),
        (np.longlong, 9),
        (np.ulonglong, 5),
        (np.intc, 8),
        (">f4", 0),
        ("U3", 0),
        ("c8", 0),
        ("M8[s]", 0),
        ([("a", "f4")], 0),
        (np.longdouble, 0),
    ],
)
def test_codes_of_other_dtypes(dtype: Any, code: int) -> None:
    assert code_of(np.dtype(dtype)) == code


CASES: list[list[bytes]] = [
    [],
    [b""],
    [b"a"],
    [b"", b"", b""],
    [b"ab", b"cd", b"ef"],
    [b"a", b"", b"bcd"],
    [b"\x00\x00\x00\x00", b"\x04\x00\x00\x00", b"x"],
    [b"\xff" * 300, b"y" * 70_000],
]


@pytest.mark.parametrize("elements", CASES)
def test_elements_survive_the_wire(elements: list[bytes]) -> None:
    array = np.empty(len(elements), object)
    array[:] = elements
    assert bytes(encode_elements(array)) == wire(*elements)
    decoded = decode_elements(wire(*elements))
    assert decoded.dtype == object
    assert decoded.shape == (len(elements),)
    assert decoded.tolist() == elements


def test_many_uneven_elements_survive_the_wire() -> None:
    random = np.random.RandomState(7)
    elements = [random.bytes(size) for size in random.randint(0, 40, 2000)]
    array = np.array(elements, object)
    assert bytes(encode_elements(array)) == wire(*elements)
    assert decode_elements(np.frombuffer(wire(*elements), np.uint8)).tolist() == elements


def test_what_is_no_bytes_is_sent_as_its_text() -> None:
    array = np.array(["é", None, 1, b"x", np.bytes_(b"yz")], object)
    assert bytes(encode_elements(array)) == wire("é".encode(), b"None", b"1", b"x", b"yz")


def test_order_is_c_order_whatever_the_strides() -> None:
    array = np.array([[b"a", b"bc"], [b"d", b""]], object).T
    assert bytes(encode_elements(array)) == wire(b"a", b"d", b"bc", b"")


def test_fixed_width_elements_lose_their_padding() -> None:
    assert encode_elements(np.array([b"ab\0", b"c"])) == wire(b"ab", b"c")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x05", "incomplete length field"),
        (b"\x05\x00\x00\x00ab", "string extends beyond buffer"),
        (wire(b"ab", b"cd") + b"\x01\x00", "incomplete length field"),
        (wire(b"ab") + b"\xff\xff\xff\xffcd", "string extends beyond buffer"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(data: bytes, text: str) -> None:
    with pytest.raises(struct.error, match=f"^Invalid bytes tensor data: {text}$"):
        decode_elements(data)


@pytest.mark.parametrize("elements", [[b"a"], [b"a", b"b"], [b"ab", b"cd", b"ef"]])
def test_elements_of_one_length_are_not_taken_one_by_one(
    elements: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def uneven(data: bytes) -> list[bytes]:
        raise AssertionError(data)

    monkeypatch.setattr(subject, "_decode_uneven", uneven)
    assert decode_elements(wire(*elements)).tolist() == elements
