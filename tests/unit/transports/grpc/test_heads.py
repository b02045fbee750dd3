from __future__ import annotations

import contextlib
import dataclasses

import hpack
import pytest

from jupyter_pyserve.transports.grpc import heads
from jupyter_pyserve.transports.grpc.frames import ConnectionFault, ErrorCode
from jupyter_pyserve.transports.grpc.heads import CallHead, HeadDecoder, own_metadata
from tests.unit.transports.grpc.fakes import HEADERS


def decoded(*extra: tuple[str, str]) -> CallHead:
    return HeadDecoder().decode(hpack.Encoder().encode([*HEADERS, *extra]))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1H", 3600), ("2M", 120), ("3S", 3), ("99999999m", 99999.999), ("5u", 5e-6), ("7n", 7e-9)],
)
def test_timeouts(text: str, seconds: float) -> None:
    assert decoded(("grpc-timeout", text)).timeout_s == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "S", "123456789S", "-1S", "1s"])
def test_what_is_no_timeout(text: str) -> None:
    assert decoded(("grpc-timeout", text)).timeout_s is None


def test_what_a_client_says() -> None:
    head = decoded(("grpc-encoding", "gzip"), ("grpc-accept-encoding", "identity, deflate,gzip"), ("x-bin", "AA"))
    assert (head.path, head.encoding, head.problem) == ("/s/m", "gzip", 0)
    assert head.accepted == {"identity", "deflate", "gzip"}
    assert head.metadata[b"x-bin"] == b"AA"
    assert decoded().encoding == "identity"


def test_a_large_head() -> None:
    with pytest.raises(ConnectionFault) as fault:
        decoded(*[(f"x-{number}", "y" * 1000) for number in range(40)])
    assert fault.value.code is ErrorCode.ENHANCE_YOUR_CALM


def test_answers_are_read_by_any_decoder() -> None:
    def read(block: bytes) -> dict[str, str]:
        return {str(name): str(value) for name, value in hpack.Decoder().decode(block)}

    assert read(heads.HEAD) == {":status": "200", "content-type": "application/grpc"}
    assert read(heads.head("gzip"))["grpc-encoding"] == "gzip"
    assert read(heads.trailers(0, "not shown")) == {"grpc-status": "0"}
    assert read(heads.trailers(5, "")) == {"grpc-status": "5"}
    for text in ("a", "x" * 126, "x" * 127, "x" * 5000):
        assert read(heads.trailers(5, text)) == {"grpc-status": "5", "grpc-message": text}
    assert read(heads.not_a_call(415))[":status"] == "415"


def test_heads_that_change_nothing_are_remembered() -> None:
    decoder, encoder = HeadDecoder(), hpack.Encoder()
    block = encoder.encode(HEADERS)
    first = decoder.decode(block)
    plain = encoder.encode(HEADERS) + b"\x00\x01x\x01y"  # with a literal that nobody refers to
    known = decoder.decode(plain)
    assert decoder.decode(plain) is known
    assert known.metadata == {**first.metadata, b"x": b"y"}


@pytest.mark.parametrize("change", [b"\x40\x01a\x01b", b"\x3f\x01"], ids=["an entry more", "another size of the table"])
def test_heads_are_forgotten_when_what_they_refer_to_changes(change: bytes) -> None:
    decoder, encoder = HeadDecoder(), hpack.Encoder()
    decoder.decode(encoder.encode(HEADERS))
    block = encoder.encode(HEADERS)
    known = decoder.decode(block)
    assert decoder.decode(block) is known
    decoder.decode(change + b"\x00\x01x\x01y")
    with contextlib.suppress(ConnectionFault):
        assert decoder.decode(block) is not known


def test_no_more_heads_are_remembered_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_MAX_KNOWN", 2)
    decoder = HeadDecoder()
    plain = b"\x00\x01x\x01"  # a literal that nobody refers to
    for number in range(10):
        decoder.decode(plain + b"%d" % number)
        assert len(decoder._known) <= 2
    assert decoder.decode(plain + b"9") is decoder.decode(plain + b"9")


def test_metadata_of_the_client_s_own() -> None:
    told = decoded(("x-b", "2"), ("grpc-timeout", "1S"), ("a", "1"))
    told = dataclasses.replace(told, metadata={**told.metadata, b"x-a": b"\xff"})
    assert own_metadata(told) == [("a", "1"), ("x-a", "\udcff"), ("x-b", "2")]
