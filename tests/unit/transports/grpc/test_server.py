"""Which calls there are, and who may make them."""

from __future__ import annotations

import pytest

from tests.unit.transports.grpc.asking import INFER, Asker, asking
from tests.unit.transports.grpc.fakes import play
from tests.unit.transports.http.fakes import FakeServable


@pytest.mark.parametrize("path", ["/", "/inference.GRPCInferenceService/Nope", "/grpc.health.v1.Health/Watch"])
def test_methods_that_nobody_knows(path: str) -> None:
    async def scenario() -> None:
        client = Asker(FakeServable())
        stream = client.ask(b"", extra=((":path", path),))
        _, trailers = await client.answer(stream)
        assert trailers["grpc-status"] == "12"

    play(scenario)


@pytest.mark.parametrize(
    ("authorization", "granted"),
    [
        ("token s3cret", True),
        ("Bearer s3cret", True),
        ("token s3cre", False),
        ("s3cret", False),
        ("Basic s3cret", False),
        ("", False),
    ],
)
def test_the_token(authorization: str, granted: bool) -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable, token="s3cret")
        stream = client.ask(asking(), extra=((":path", INFER), ("authorization", authorization)))
        assert bool(servable.jobs) is granted
        if not granted:
            _, trailers = await client.answer(stream)
            assert trailers["grpc-status"] == "16"
            assert "authorization" in trailers["grpc-message"]

    play(scenario)


def test_an_unknown_compression_is_refused() -> None:
    async def scenario() -> None:
        client = Asker(FakeServable())
        stream = client.ask(asking(), extra=((":path", INFER), ("grpc-encoding", "br")))
        _, trailers = await client.answer(stream)
        assert trailers["grpc-status"] == "12"
        assert trailers["grpc-accept-encoding"] == "identity,deflate,gzip"

    play(scenario)
