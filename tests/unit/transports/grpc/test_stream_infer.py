"""ModelStreamInfer against models that answer when told."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_pyserve.engine.versions.loaded import MemoryFull
from jupyter_pyserve.errors import Code
from jupyter_pyserve.transports.grpc import frames
from jupyter_pyserve.transports.grpc.call import WINDOW_NBYTES
from tests.unit.transports.grpc.asking import STREAM, TWO, Asker, asking, fail, respond
from tests.unit.transports.grpc.fakes import data, message, play
from tests.unit.transports.http.fakes import FakeServable, signature

PATH = ((":path", STREAM),)


def decoupled() -> FakeServable:
    made = FakeServable(signature(decoupled=True))
    made.name = "d"
    return made


def ids(found: list[Any]) -> list[str]:
    return [item.infer_response.id for item in found]


def is_final(item: Any) -> bool:
    return bool(item.infer_response.parameters["triton_final_response"].bool_param)


def starting(
    *requests: bytes, extra: tuple[tuple[str, str], ...] = (), full: MemoryFull | None = None
) -> tuple[FakeServable, Asker, int]:
    """A model, its client, and a stream of that with some requests and more to come."""
    servable = FakeServable()
    servable.full = full
    client = Asker(servable)
    stream = client.begin(*PATH, *extra)
    client.send(stream, *requests, end=False)
    return servable, client, stream


async def ended(client: Asker, stream: int) -> dict[str, str]:
    (last,) = [frame for frame in await client.frames() if frame.stream == stream and frame.flags & frames.END_STREAM]
    return client.fields(last)


def test_answers_in_the_order_of_requests() -> None:
    async def scenario() -> None:
        servable, client, stream = starting(asking("a"), asking("b"), asking("c", model="n"), asking("d"))
        a, b, d = servable.jobs
        respond(servable, b)
        assert await client.several(stream) == []
        respond(servable, a)
        found = await client.several(stream)
        assert ids(found) == ["a", "b", "c"]
        assert [is_final(item) for item in found[:2]] == [True, True]
        assert list(found[0].infer_response.raw_output_contents) == [TWO]
        assert found[2].error_message == "Request for unknown model: 'n' is not found"
        assert not found[2].infer_response.parameters
        client.feed(data(stream, b""))
        respond(servable, d)
        assert ids(await client.several(stream)) == ["d"]
        assert (servable.outstanding, servable.arena.used) == (0, 0)

    play(scenario)


def test_the_call_ends_with_its_last_answer() -> None:
    async def scenario() -> None:
        servable = FakeServable()
        client = Asker(servable)
        stream = client.ask(asking("a"), extra=PATH)
        assert client.connection.busy
        respond(servable, servable.jobs.pop())
        assert (await ended(client, stream))["grpc-status"] == "0"
        empty = client.ask(extra=PATH)
        assert (await ended(client, empty))["grpc-status"] == "0"

    play(scenario)


def test_decoupled_answers_leave_as_they_come() -> None:
    async def scenario() -> None:
        plain, many = FakeServable(), decoupled()
        client = Asker(plain, many)
        stream = client.begin(*PATH)
        client.send(stream, asking("a"), asking("x", model="d"), asking("y", model="d", empty_final=True), end=False)
        x, y = many.jobs
        respond(many, x, final=False)
        respond(many, y, final=False)
        fail(x, Code.INTERNAL, "a bad one", final=False)
        respond(many, x)
        respond(many, y, bare=True)
        found = await client.several(stream)
        assert ids(found) == ["x", "y", "x", "x", "y"]
        assert [is_final(item) for item in found] == [False, False, False, True, True]
        assert found[2].error_message == "a bad one"
        last = found[-1].infer_response
        assert (last.model_name, last.model_version, len(last.outputs)) == ("d", "", 0)
        assert many.outstanding == 0
        respond(plain, plain.jobs.pop())
        assert ids(await client.several(stream)) == ["a"]

    play(scenario)


def test_an_empty_end_is_not_told_unless_asked_for() -> None:
    async def scenario() -> None:
        many = decoupled()
        client = Asker(FakeServable(), many)
        stream = client.ask(asking("x", model="d"), extra=PATH)
        respond(many, many.jobs.pop(), bare=True)
        found = [frame for frame in await client.frames() if frame.stream == stream]
        assert [frame.kind for frame in found] == [frames.HEADERS]
        assert client.fields(found[0])["grpc-status"] == "0"

    play(scenario)


def test_failures_are_told_in_the_stream() -> None:
    async def scenario() -> None:
        servable, client, stream = starting(asking("a"))
        fail(servable.jobs.pop(), Code.INTERNAL, "it broke")
        (found,) = await client.several(stream)
        told = found.infer_response
        assert (found.error_message, told.id, told.model_name, told.model_version) == ("it broke", "a", "m", "")
        assert is_final(found)
        client.send(stream, asking("b"), end=False)
        respond(servable, servable.jobs.pop())
        assert ids(await client.several(stream)) == ["b"]

    play(scenario)


def test_a_strict_client_gets_a_status() -> None:
    async def scenario() -> None:
        servable, client, stream = starting(
            asking("a", model="n"), asking("b"), asking("c"), extra=(("triton_grpc_error", "true"),)
        )
        assert ids(await client.several(stream)) == ["a"]  # it never got to a model
        b, c = servable.jobs
        fail(b, Code.INVALID_ARG, "it broke")
        trailers = await ended(client, stream)
        assert (trailers["grpc-status"], trailers["grpc-message"]) == ("3", "it broke")
        assert servable.cancelled == [c]
        respond(servable, c)
        assert (servable.outstanding, servable.arena.used) == (0, 0)

    play(scenario)


@pytest.mark.parametrize("how", ["reset", "lost"])
def test_a_client_that_goes_away(how: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def scenario() -> None:
        servable, client, stream = starting(asking("a"), asking("b"))
        first, second = servable.jobs
        respond(servable, second)  # kept for its turn
        if how == "reset":
            client.feed(frames.rst_stream(stream, frames.ErrorCode.CANCEL))
        else:
            client.connection.connection_lost(None)
        assert servable.cancelled == [first]
        respond(servable, first)
        assert (servable.outstanding, servable.arena.used) == (0, 0)
        assert "Cancellation notification received for ModelStreamInferHandler" in caplog.text

    play(scenario)


def test_requests_behind_one_that_waits_for_memory() -> None:
    async def scenario() -> None:
        servable, client, stream = starting(asking("a"), asking("b"), full=MemoryFull("full", for_good=False))
        assert len(servable.hungry) == 1
        await client.frames()
        large = message(bytes(15_000))
        for _ in range(WINDOW_NBYTES // len(large) - 1):
            client.feed(data(stream, large, end=False))
        updates = [frame for frame in await client.frames() if frame.kind == frames.WINDOW_UPDATE]
        assert [frame for frame in updates if frame.stream == stream] == []  # the client has to wait too
        servable.full = None
        assert servable.hungry[0]()
        assert [job.id for job in servable.jobs] == ["a", "b"]
        updates = [frame for frame in await client.frames() if frame.kind == frames.WINDOW_UPDATE]
        assert [frame for frame in updates if frame.stream == stream] != []

    play(scenario)


def test_a_fault_after_the_wait_for_memory_is_told_in_the_stream() -> None:
    async def scenario() -> None:
        servable, client, stream = starting(asking("a"), asking("b"), full=MemoryFull("full", for_good=False))
        servable.full = None
        servable.refusal = RuntimeError("unforeseen")
        assert servable.hungry[0]()
        first, second = await client.several(stream)
        assert [first.error_message, second.error_message] == ["internal error", "internal error"]
        assert (servable.outstanding, servable.arena.used) == (0, 0)

    play(scenario)


def test_memory_that_never_comes_is_told_in_the_stream() -> None:
    async def scenario() -> None:
        _, client, stream = starting(asking("a"), full=MemoryFull("too large for ever", for_good=True))
        (found,) = await client.several(stream)
        assert (found.error_message, found.infer_response.id) == ("too large for ever", "a")

    play(scenario)
