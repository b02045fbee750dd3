from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.readiness import Readiness, agrees, is_asked


class Stub:
    """The other end: hears questions, answers when it is told to."""

    def __init__(self) -> None:
        self.sock = socket.socket()

    def tell(self, note: dict[str, Any], fds: Sequence[int]) -> None:
        assert note == {"op": "readiness"}
        self.sock.close()
        self.sock = socket.socket(fileno=os.dup(fds[0]))
        self.sock.setblocking(False)

    def heard(self) -> int:
        count = 0
        try:
            while self.sock.recv(16):
                count += 1
        except BlockingIOError:
            pass
        return count


def play(scenario: Callable[[Readiness, Stub], Awaitable[None]], limit_s: float = 5.0) -> None:
    async def main() -> None:
        stub = Stub()
        with stub.sock:
            await scenario(Readiness(stub.tell, limit_s), stub)
        stub.sock.close()
        await asyncio.sleep(0)

    asyncio.run(main())


async def turn() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("answer", "reason"), [(b"1", ""), (b"0because", "because"), (b"0", "no reason was given"), (b"0\xff", "�")]
)
def test_answers(answer: bytes, reason: str) -> None:
    async def scenario(readiness: Readiness, stub: Stub) -> None:
        question = asyncio.ensure_future(readiness.ask())
        await turn()
        assert stub.heard() == 1
        stub.sock.send(answer)
        assert await question == reason

    play(scenario)


def test_who_asks_while_a_question_is_open_gets_its_answer() -> None:
    async def scenario(readiness: Readiness, stub: Stub) -> None:
        questions = asyncio.gather(readiness.ask(), readiness.ask())
        await turn()
        assert stub.heard() == 1
        stub.sock.send(b"1")
        assert list(await questions) == ["", ""]
        last = asyncio.ensure_future(readiness.ask())
        await turn()
        assert stub.heard() == 1
        stub.sock.send(b"0no")
        assert await last == "no"

    play(scenario)


def test_a_question_stays_open_when_time_is_up() -> None:
    async def scenario(readiness: Readiness, stub: Stub) -> None:
        assert await readiness.ask() == "Timed out waiting for user-defined is_ready() response"
        assert await readiness.ask() == "Timed out waiting for in-flight is_ready() response"
        assert stub.heard() == 1

    play(scenario, limit_s=0.0)


def test_a_stub_that_ends() -> None:
    async def scenario(readiness: Readiness, stub: Stub) -> None:
        question = asyncio.ensure_future(readiness.ask())
        await turn()
        stub.sock.close()
        assert await question == "its process has ended"
        assert await readiness.ask() == "its process has ended"

    play(scenario)


def test_a_stub_that_ends_although_its_socket_is_open_elsewhere() -> None:
    async def scenario(readiness: Readiness, stub: Stub) -> None:
        question = asyncio.ensure_future(readiness.ask())
        await turn()
        readiness.close()
        assert await question == "its process has ended"
        assert await readiness.ask() == "its process has ended"
        assert stub.heard() == 1
        assert stub.sock.recv(1) == b""

    play(scenario)


def test_what_nobody_asked_for_is_not_minded() -> None:
    async def scenario(readiness: Readiness, stub: Stub) -> None:
        stub.sock.send(b"1")
        await turn()
        question = asyncio.ensure_future(readiness.ask())
        await turn()
        stub.sock.send(b"0no")
        assert await question == "no"

    play(scenario)


class Instance:
    name = "m_0"

    def __init__(self, *reasons: str, alive: bool = True, debug_port: int = 0) -> None:
        self.alive = alive
        self.debug_port = debug_port
        self.reports: list[str] = []
        self._reasons = list(reasons)
        self.readiness = SimpleNamespace(ask=self._ask, reason="") if reasons else None

    async def _ask(self) -> str:
        return self._reasons.pop(0)

    def report(self, text: str) -> None:
        self.reports.append(text)


def version(*instances: Instance) -> Any:
    return cast(Any, SimpleNamespace(name="m", version=1, instances=instances))


def test_all_that_live_and_have_an_opinion_must_agree() -> None:
    async def scenario() -> None:
        assert await agrees(version(Instance(), Instance("")))
        assert await agrees(version(Instance("no", alive=False)))
        assert await agrees(version(Instance("no", debug_port=4711)))
        assert not await agrees(version(Instance(""), Instance("no")))

    asyncio.run(scenario())


def test_a_reason_is_told_when_it_is_new() -> None:
    async def scenario() -> None:
        instance = Instance("no", "no", "", "no")
        assert [await agrees(version(instance)) for _ in range(4)] == [False, False, True, False]
        assert instance.reports == ["m_0: no", "m_0: no"]

    asyncio.run(scenario())


def test_who_is_asked() -> None:
    assert is_asked(version(Instance(), Instance("")))
    assert not is_asked(version(Instance()))
