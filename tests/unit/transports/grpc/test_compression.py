from __future__ import annotations

import gzip
import zlib

import pytest

from jupyter_pyserve.transports.grpc.compression import LEVELS, DecompressionError, choose, decompress, is_known


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_there_and_back(encoding: str, level: str) -> None:
    compressor = choose(level, frozenset(("identity", encoding)))
    assert compressor is not None
    assert compressor.name == encoding
    assert decompress(compressor.compress([b"ab", memoryview(b"c" * 1000)]), encoding, 1002) == b"ab" + b"c" * 1000


def test_others_read_it() -> None:
    compressor = choose("low", frozenset(("gzip", "deflate")))
    assert compressor is not None
    assert gzip.decompress(compressor.compress([b"hello"])) == b"hello"


def test_no_compression() -> None:
    assert choose("none", frozenset(("gzip",))) is None
    assert choose("high", frozenset(("identity", "br"))) is None
    assert not is_known("br")
    assert is_known("identity")


@pytest.mark.parametrize(
    "sent",
    [b"rubbish", zlib.compress(b"hello")[:-1], zlib.compress(b"x" * 1001)],
    ids=["rubbish", "cut short", "too large"],
)
def test_what_cannot_be_read(sent: bytes) -> None:
    with pytest.raises(DecompressionError):
        decompress(sent, "deflate", 1000)
