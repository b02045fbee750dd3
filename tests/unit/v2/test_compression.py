from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.compression import (
    Encoding,
    UnknownEncodingError,
    compress,
    decompress,
    request_encoding,
    response_encoding,
)

PLAIN, GZIP, DEFLATE = Encoding.IDENTITY, Encoding.GZIP, Encoding.DEFLATE


@pytest.mark.parametrize(
    ("value", "encoding"),
    [(None, PLAIN), (b"identity", PLAIN), (b"gzip", GZIP), (b"deflate", DEFLATE), (b"", None), (b"GZIP", None)],
)
def test_encoding_of_a_request(value: bytes | None, encoding: Encoding | None) -> None:
    assert request_encoding(value) is encoding


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (None, PLAIN),
        (b"", PLAIN),
        (b"gzip", GZIP),
        (b"deflate", DEFLATE),
        (b"deflate, gzip", DEFLATE),
        (b"gzip,deflate", GZIP),
        (b"deflate;q=0.5,gzip;q=0.75", GZIP),
        (b"identity, gzip", PLAIN),
        (b"identity;q=.1, gzip;q=2e-1", GZIP),
        (b"gzip;q=0", PLAIN),
        (b"gzip;q=-1", PLAIN),
        (b"*", PLAIN),
        (b"br, zstd;q=2, gzip;q=0.2", GZIP),
        (b"GZIP", PLAIN),
        (b"gzip ;q=1", PLAIN),
        (b"gzip;q=x, deflate;q=0.1", DEFLATE),
        (b"gzip;q=0.5abc, deflate;q=0.4", GZIP),
        (b";q=1", PLAIN),
        (b",,gzip", GZIP),
    ],
)
def test_encoding_of_an_answer(value: bytes | None, encoding: Encoding) -> None:
    assert response_encoding(value) is encoding


@given(st.lists(st.binary(max_size=50), max_size=5), st.sampled_from([GZIP, DEFLATE]))
def test_there_and_back(parts: list[bytes], encoding: Encoding) -> None:
    whole = b"".join(parts)
    packed = compress([memoryview(part) for part in parts], encoding)
    assert decompress(packed, len(whole)) == whole
    assert (packed[:2] == b"\x1f\x8b") is (encoding is GZIP)


def refusal(data: bytes, limit: int = 100) -> str:
    with pytest.raises(PyServeError) as caught:
        decompress(data, limit)
    assert caught.value.code is Code.INVALID_ARG
    return caught.value.message


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_what_grows_too_large_is_given_up(pack: object) -> None:
    assert callable(pack)
    bomb = pack(bytes(10_000_000))
    text = (
        "Decompressed data size exceeds the maximum allowed value of 100 bytes. "
        "Use --http-max-input-size to increase the limit."
    )
    assert refusal(bomb) == text
    assert refusal(pack(bytes(101))) == text
    assert decompress(pack(bytes(100)), 100) == bytes(100)


def test_nothing() -> None:
    assert refusal(b"") == "nothing to be decompressed"


@pytest.mark.parametrize(
    "data", [b"plain", b"\x1f\x8b and so on", gzip.compress(b"x")[:-1], zlib.compress(b"x" * 50)[:9]]
)
def test_what_is_not_compressed_or_not_whole(data: bytes) -> None:
    assert refusal(data).startswith("unable to decompress the request body: ")


def test_what_is_said_of_an_unknown_encoding() -> None:
    error = UnknownEncodingError()
    assert (error.code, error.message) == (Code.UNSUPPORTED, "Unsupported compression type")
