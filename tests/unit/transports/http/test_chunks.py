from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.transports.http.chunks import Dechunker

MALFORMED = "malformed chunked body"


def feed(dechunker: Dechunker, data: bytes, cuts: list[int] | None = None) -> int:
    """Feed in pieces that end at `cuts`; how much was taken."""
    ends = [*sorted({cut for cut in cuts or [] if cut < len(data)}), len(data)]
    start = taken = 0
    for end in ends:
        taken += dechunker.feed(memoryview(data)[start:end])
        start = end
    return taken


def encode(chunks: list[bytes], *, size: str = "x", extension: bytes = b"", trailers: bytes = b"") -> bytes:
    parts = [f"{len(chunk):{size}}".encode() + extension + b"\r\n" + chunk + b"\r\n" for chunk in chunks]
    return b"".join(parts) + b"0\r\n" + trailers + b"\r\n"


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    cuts=st.lists(st.integers(1, 400), max_size=12),
    size=st.sampled_from(["x", "X", "04x"]),
    extension=st.sampled_from([b"", b";name=value", b" ;x", b"\t"]),
    trailers=st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"]),
    rest=st.binary(max_size=20),
)
def test_any_split_gives_the_same(
    chunks: list[bytes], cuts: list[int], size: str, extension: bytes, trailers: bytes, rest: bytes
) -> None:
    body = encode(chunks, size=size, extension=extension, trailers=trailers)
    dechunker = Dechunker(10_000)
    taken = feed(dechunker, body + rest, cuts)
    assert (dechunker.problem, dechunker.complete) == (None, True)
    assert bytes(dechunker.body) == b"".join(chunks)
    assert taken == len(body)


@given(st.binary(max_size=200), st.lists(st.integers(1, 200), max_size=6))
def test_never_more_than_was_there(data: bytes, cuts: list[int]) -> None:
    dechunker = Dechunker(50)
    assert feed(dechunker, data, cuts) <= len(data)
    assert len(dechunker.body) <= 50
    assert not (dechunker.complete and dechunker.problem)


def test_byte_by_byte() -> None:
    body = encode([b"a"] * 300)
    dechunker = Dechunker(1000)
    feed(dechunker, body, list(range(1, len(body))))
    assert bytes(dechunker.body) == b"a" * 300
    assert dechunker.complete


def test_incomplete_until_the_last_blank_line() -> None:
    body = encode([b"abc"])
    dechunker = Dechunker(10)
    feed(dechunker, body[:-1])
    assert not dechunker.complete
    feed(dechunker, body[-1:])
    assert dechunker.complete


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n",
        b"-1\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5_0\r\n",
        b" 5\r\nhello\r\n",
        b"g\r\n",
        b"\xff\r\n",
        b"5\nhello\r\n",
        b"5\rhello\r\n",
        b"5\r\nhelloworld\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"1" * 16 + b"\r\n",
        b"5;" + b"x" * 5000 + b"\r\n",
        b"a" * 5000,
        b"0\r\nA: b\n\r\n",
        b"0\r\n" + b"x" * 5000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_malformed(body: bytes) -> None:
    dechunker = Dechunker(1000)
    feed(dechunker, body)
    assert dechunker.problem == MALFORMED
    assert not dechunker.complete


def test_nothing_is_taken_after_a_problem() -> None:
    dechunker = Dechunker(1000)
    feed(dechunker, b"nonsense\r\n")
    assert feed(dechunker, b"0\r\n\r\n") == 0
    assert not dechunker.complete


def test_nothing_is_taken_after_the_end() -> None:
    dechunker = Dechunker(1000)
    assert feed(dechunker, b"0\r\n\r\nGET /") == 5
    assert feed(dechunker, b"more") == 0


@pytest.mark.parametrize("size", [b"b", b"7fffffffffffffff"[:15], b"ffffffff"])
def test_too_large_is_known_from_the_size_alone(size: bytes) -> None:
    dechunker = Dechunker(10)
    feed(dechunker, size + b"\r\n")
    assert dechunker.problem == (
        f"request JSON size of {int(size, 16)} bytes exceeds the maximum allowed input size of 10 bytes. "
        "Use --http-max-input-size to increase the limit."
    )
    assert len(dechunker.body) == 0


def test_sizes_add_up_to_the_limit_and_not_beyond() -> None:
    exact = Dechunker(10)
    feed(exact, encode([b"12345", b"67890"]))
    assert exact.complete
    above = Dechunker(10)
    feed(above, encode([b"12345", b"678901"]))
    assert above.problem is not None
    assert "size of 11 bytes" in above.problem


def test_too_many_chunks() -> None:
    most = Dechunker(None)
    feed(most, b"1\r\nx\r\n" * 65536)
    assert most.problem is None
    feed(most, b"1\r\n")
    assert most.problem == (
        "Chunked request body exceeds maximum of 65536 non-empty chunks. Send fewer or larger HTTP chunks."
    )


def test_without_a_limit_the_body_is_thrown_away() -> None:
    dechunker = Dechunker(None)
    feed(dechunker, encode([b"x" * 5000]))
    assert dechunker.complete
    assert dechunker.body == b""
