"""Calls of methods that answer once: at once, later, or not as they should."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.transports.grpc.unary import Unary

messages = service_messages()
REQUEST = messages.ModelReadyRequest(name="m").SerializeToString()


class Call:
    """What a client would get."""

    def __init__(self) -> None:
        self.head = cast(Any, type("Head", (), {"path": "/s/m"}))
        self.told: list[tuple[object, ...]] = []

    def send(self, pieces: list[bytes], *, status: int) -> None:
        self.told.append((b"".join(pieces), status))

    def fail(self, status: int, text: str) -> None:
        self.told.append((int(status), text))


def unary(call: Call, function: Any, request: str = "ModelReadyRequest") -> Unary:
    return Unary(cast(Any, "service"), cast(Any, call), request, function)


def outcome(found: Any, *, later: bool = False) -> list[tuple[object, ...]]:
    """Of a method that returns that, or raises it."""
    call = Call()

    def now(service: Any, request: Any, _: Any) -> Any:
        assert (service, request.name) == ("service", "m")
        if isinstance(found, Exception):
            raise found
        return found

    async def afterwards(*given: Any) -> Any:
        await asyncio.sleep(0)
        return now(*given)

    async def scenario() -> None:
        served = unary(call, afterwards if later else now)
        served.message(REQUEST)
        served.message(b"a second one says nothing")
        served.end()
        while not call.told:  # noqa: ASYNC110 - a task of the subject's own
            await asyncio.sleep(0)

    asyncio.run(scenario())
    return call.told


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("found", "told"),
    [
        (messages.ModelReadyResponse(ready=True), (b"\x08\x01", 0)),
        (b"bytes as they are", (b"bytes as they are", 0)),
        (PyServeError(Code.NOT_FOUND, "no such model"), (5, "no such model")),
        (PyServeError(Code.UNAVAILABLE, "not now"), (14, "not now")),
        (ZeroDivisionError("a secret"), (13, "internal error")),
    ],
)
def test_what_a_client_is_told(found: Any, told: tuple[object, ...], later: bool) -> None:
    assert outcome(found, later=later) == [told]


def test_a_message_that_cannot_be_read() -> None:
    call = Call()
    unary(call, lambda *given: b"").message(b"\xff")
    assert call.told == [(13, "internal error")]


def test_a_method_without_a_request_reads_none() -> None:
    call = Call()
    unary(call, lambda service, request, _: b"none" if request is None else b"some", request="").message(b"\xff")
    assert call.told == [(b"none", 0)]


def test_a_call_without_a_request() -> None:
    call = Call()
    unary(call, None).end()
    assert call.told == [(13, "the call has no request")]


def test_what_nobody_waits_for_is_cancelled() -> None:
    cancelled: list[bool] = []

    async def for_ever() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def scenario() -> None:
        call = Call()
        unary(call, lambda *given: b"").cancel()  # nothing is under way
        work: Awaitable[None] = for_ever()
        served = unary(call, lambda *given: work)
        served.message(REQUEST)
        await asyncio.sleep(0)
        served.cancel()
        while not cancelled:  # noqa: ASYNC110 - a task of the subject's own
            await asyncio.sleep(0)
        assert call.told == []

    asyncio.run(scenario())
