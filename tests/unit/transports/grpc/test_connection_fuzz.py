"""Whatever frames come, the connection goes on or ends with a reason; it never fails."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_pyserve.transports.grpc import frames
from tests.unit.transports.grpc.asking import INFER, STREAM, Asker, asking
from tests.unit.transports.grpc.fakes import message
from tests.unit.transports.http.fakes import FakeServable

SMALL = st.binary(max_size=40)


PATHS = (INFER, STREAM, "/nowhere")


@st.composite
def frame(draw: st.DrawFn) -> tuple[int, int, int, bytes]:
    """Kind, flags, stream and payload, more often right than wrong."""
    kind = draw(st.integers(0, 10))
    flags = draw(st.sampled_from((0, 1, 4, 5, 8, 0x20, 0x2D, 0xFF)))
    stream = draw(st.sampled_from((0, 1, 1, 3, 3, 5, 2, 2**31 - 1, 2**32 - 1)))
    payload = draw(st.one_of(SMALL, st.just(message(asking("x"))), st.just(message(asking("y", model="n")))))
    return kind, flags, stream, payload


@given(given=st.lists(frame(), max_size=12), heads=st.lists(st.integers(0, 2), max_size=3), piece=st.integers(1, 200))
@settings(max_examples=300, deadline=None)
def test_any_frames(given: list[tuple[int, int, int, bytes]], heads: list[int], piece: int) -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        for number, which in enumerate(heads):
            block = client.block((":path", PATHS[which]))
            client.feed(frames.frame(frames.HEADERS, frames.END_HEADERS, 2 * number + 1, block))
        data = b"".join(frames.frame(kind, flags, stream, payload) for kind, flags, stream, payload in given)
        for at in range(0, len(data), piece):
            client.connection.data_received(data[at : at + piece])
        await client.frames()
        client.connection.connection_lost(None)
        assert not client.connection.busy
        for job in servable.jobs:
            job.finish()
        assert (servable.outstanding, servable.arena.used) == (0, 0)

    logger = logging.getLogger("jupyter_pyserve.transports.grpc")
    failures: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: failures.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        asyncio.run(scenario())
    finally:
        logger.removeHandler(handler)
    assert failures == []


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes(data: bytes) -> None:
    async def scenario() -> None:
        client = Asker(FakeServable())
        client.connection.data_received(data)
        await client.frames()
        client.connection.connection_lost(None)

    asyncio.run(scenario())


def test_a_failure_of_ours_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        client = Asker(FakeServable())
        monkeypatch.setattr("jupyter_pyserve.transports.grpc.server.GrpcServer.begin", lambda self, call: 1 / 0)
        client.begin()
        assert (await client.fault())[0] is frames.ErrorCode.INTERNAL_ERROR

    asyncio.run(scenario())
