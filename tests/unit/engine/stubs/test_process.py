from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from jupyter_pyserve.engine.stubs.process import StubProcess


class Spawner:
    """Makes no process, but remembers what it would be given."""

    def __init__(self) -> None:
        self.said = b""

    async def spawn(self, title: Sequence[str], fds: Sequence[int], on_exit: Callable[[int], None]) -> int:
        _, out, err, _ = fds
        os.write(out, b"to out\n")
        os.write(err, b"to err\n")
        return os.getpid()


def test_what_it_prints_is_told_with_its_stream() -> None:
    lines: list[tuple[str, str]] = []

    async def run() -> None:
        taken: list[socket.socket] = []
        process = StubProcess(Spawner(), lambda stream, line, request: lines.append((stream, line)))
        await process.start(["stub"], taken.append)
        process.close()
        taken[0].close()

    asyncio.run(run())
    assert lines == [("stdout", "to out"), ("stderr", "to err")]


def test_its_end_is_told_once() -> None:
    told: list[None] = []

    async def run() -> None:
        process = StubProcess(Spawner(), lambda *_: None)
        process.on_exit = lambda: told.append(None)
        process._on_exit(9)
        process._on_exit(9)
        assert process.end == "was ended by signal 9 (SIGKILL)"

    asyncio.run(run())
    assert told == [None]


@pytest.mark.parametrize("last", [0, 1, 2])
def test_nothing_is_kept_open_when_descriptors_run_out(last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    pipe2, socketpair = os.pipe2, socket.socketpair

    def limited(make: Callable[..., Any]) -> Callable[..., Any]:
        def one(*args: Any) -> Any:
            if len(made) == last:
                raise OSError(24, "Too many open files")
            made.append(make)
            return make(*args)

        return one

    async def run() -> tuple[int, int]:
        before = len(os.listdir("/proc/self/fd"))
        process = StubProcess(Spawner(), lambda stream, line, request: None)
        monkeypatch.setattr(os, "pipe2", limited(pipe2))
        monkeypatch.setattr(socket, "socketpair", limited(socketpair))
        with pytest.raises(OSError, match="Too many"):
            await process.start(["stub"], lambda sock: None)
        process.close()
        return before, len(os.listdir("/proc/self/fd"))

    before, after = asyncio.run(run())
    assert after == before
