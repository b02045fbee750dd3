"""Which calls there are, and who may make them."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_pyserve.options.grpc import RESTRICTABLE
from jupyter_pyserve.settings import GrpcSettings
from jupyter_pyserve.transports.grpc.methods import METHODS, group_paths
from tests.unit.transports.grpc.asking import INFER, STREAM, Asker, asking
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


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Check", INFER])
@pytest.mark.parametrize(
    ("metadata", "granted"),
    [((), False), ((("triton-grpc-protocol-k", "x"),), False), ((("triton-grpc-protocol-k", "v"),), True)],
)
def test_methods_for_those_who_know_how(path: str, metadata: tuple[tuple[str, str], ...], granted: bool) -> None:
    async def scenario() -> None:
        restricted = (("health", "K", "v"), ("inference", "K", "v"))
        client = Asker(FakeServable(), settings=GrpcSettings(restricted=restricted))
        stream = client.ask(b"\xff", extra=((":path", path), *metadata))
        while client.connection.busy:  # noqa: ASYNC110 - the health service asks models, in a task
            await asyncio.sleep(0)
        _, trailers = await client.answer(stream)
        text = "This protocol is restricted, expecting header 'triton-grpc-protocol-K'"
        assert ((trailers["grpc-status"], trailers["grpc-message"]) == ("14", text)) is not granted
        other = client.ask(b"", extra=((":path", "/inference.GRPCInferenceService/ServerMetadata"),))
        assert "restricted" not in (await client.answer(other))[1].get("grpc-message", "")

    play(scenario)


def test_every_group_has_methods() -> None:
    assert all(group_paths(group) for group in RESTRICTABLE)
    ours = {path for group in RESTRICTABLE for path in group_paths(group)}
    assert ours == {*METHODS, INFER, STREAM}
