from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyserve_stub.wire import frames
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.stubs.callbacks import StubCall, StubServices
from jupyter_pyserve.errors import Code, PyServeError


class Stub:
    """Asks, and remembers what it was sent."""

    def __init__(self, services: StubServices) -> None:
        self.instance = cast(Any, SimpleNamespace(name="m_0"))
        self.sent: list[tuple[dict[str, Any], tuple[int, ...]]] = []
        self._services = services

    def asks(self, **message: Any) -> None:
        self._services.call(StubCall(self.instance, message, self._send))

    def ends(self) -> None:
        self._services.ended(self.instance)

    def _send(self, data: bytes, fds: Sequence[int]) -> None:
        assert data[0] == frames.REPLY
        self.sent.append((frames.decode_cold(data), tuple(fds)))


def services(**handlers: Any) -> StubServices:
    made = StubServices()
    made.offer(handlers)
    return made


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


def refusing(call: StubCall) -> None:
    raise PyServeError(Code.NOT_FOUND, "no such thing")


def test_a_handler_answers_at_once() -> None:
    stub = Stub(services(add=lambda call: call.reply(sum=call.arguments["a"] + 1, fds=(9,))))
    stub.asks(id=4, op="add", a=2)
    assert stub.sent == [({"id": 4, "ok": True, "sum": 3}, (9,))]


def test_a_handler_may_keep_the_call_and_answer_later() -> None:
    kept: list[StubCall] = []
    stub = Stub(services(wait=kept.append))
    stub.asks(id=4, op="wait")
    assert stub.sent == []
    kept[0].refuse(Code.UNAVAILABLE, "not now")
    assert stub.sent == [({"id": 4, "ok": False, "code": int(Code.UNAVAILABLE), "error": "not now"}, ())]


def test_a_domain_error_refuses_the_call() -> None:
    stub = Stub(services(find=refusing))
    stub.asks(id=4, op="find")
    assert stub.sent == [({"id": 4, "ok": False, "code": int(Code.NOT_FOUND), "error": "no such thing"}, ())]


@pytest.mark.parametrize("op", ["other", None, ["add"]])
def test_an_unknown_call_breaks_the_protocol(op: object) -> None:
    with pytest.raises(WireError):
        Stub(services(add=refusing)).asks(id=4, op=op)


def test_what_no_honest_stub_asks_breaks_the_protocol() -> None:
    with pytest.raises(KeyError):
        Stub(services(add=lambda call: call.reply(sum=call.arguments["a"]))).asks(id=4, op="add")


def test_nobody_waits_for_the_answer_to_a_note() -> None:
    stub = Stub(services(find=refusing))
    stub.asks(op="find")
    assert stub.sent == []


def test_a_coroutine_answers_later_and_others_meanwhile() -> None:
    async def main() -> None:
        opened = asyncio.Event()

        async def wait(call: StubCall) -> None:
            await opened.wait()
            call.reply()

        stub = Stub(services(wait=wait, now=lambda call: call.reply()))
        stub.asks(id=1, op="wait")
        await settle()
        stub.asks(id=2, op="now")
        assert [reply["id"] for reply, _ in stub.sent] == [2]
        opened.set()
        await settle()
        assert [reply["id"] for reply, _ in stub.sent] == [2, 1]

    run(main)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PyServeError(Code.INVALID_ARG, "so not"), Code.INVALID_ARG, "so not"),
        (KeyError("x"), Code.INTERNAL, "internal error"),
    ],
)
def test_a_coroutine_that_fails_refuses_the_call(error: Exception, code: Code, text: str) -> None:
    async def main() -> None:
        async def fail(call: StubCall) -> None:
            raise error

        stub = Stub(services(fail=fail))
        stub.asks(id=1, op="fail")
        await settle()
        assert stub.sent == [({"id": 1, "ok": False, "code": int(code), "error": text}, ())]

    run(main)


def test_what_a_stub_asked_for_ends_with_it() -> None:
    async def main() -> None:
        ended: list[str] = []

        async def wait(call: StubCall) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append(str(call.arguments["who"]))
                raise

        made = services(wait=wait)
        made.offer({}, on_end=lambda instance: ended.append(instance.name))
        one, other = Stub(made), Stub(made)
        one.asks(id=1, op="wait", who="one")
        other.asks(id=1, op="wait", who="other")
        await settle()
        one.ends()
        await settle()
        assert ended == ["m_0", "one"]
        assert one.sent == other.sent == []

    run(main)
