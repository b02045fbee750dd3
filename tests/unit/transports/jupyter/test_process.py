"""Engine processes: real children, small ones, and how each end is told."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import deque

import pytest

from jupyter_pyserve.transports.jupyter.output import Ready
from jupyter_pyserve.transports.jupyter.process import EngineCommand, EngineDeathError, EngineProcess

LOG = logging.getLogger("pyserve.test")
READY = 'print(\'{"event": "ready", "pid": 5, "http_url": "http://x:1"}\', flush=True)\n'
UNTIL_END_OF_INPUT = "import sys; sys.stdin.read()\n"


async def launch(code: str, *, log_lines_per_s: float = 50.0) -> EngineProcess:
    argv = (sys.executable, "-S", "-c", code)
    command = EngineCommand(argv=argv, environment=dict(os.environ), log_lines_per_s=log_lines_per_s)
    return await EngineProcess.launch(command, LOG)


async def test_ready_and_the_end_by_closing_its_input() -> None:
    process = await launch(READY + UNTIL_END_OF_INPUT)
    assert await process.ready(60) == Ready(pid=5, http_url="http://x:1")
    assert process._child.stdin is not None
    process._child.stdin.close()
    assert await process.wait() == 0
    await process.stop(0)


async def test_stop_asks_first() -> None:
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    process = await launch(code + READY + UNTIL_END_OF_INPUT)
    await process.ready(60)
    await process.stop(60)
    assert await process.wait() == 0


async def test_stop_kills_what_does_not_listen_and_its_helpers() -> None:
    # The helper holds the standard streams too; only its death ends the shared pipe.
    code = (
        "import os, signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "read, write = os.pipe()\n"
        "subprocess.Popen(['cat'], stdin=read)\n"
    )
    process = await launch(code + READY + UNTIL_END_OF_INPUT)
    await process.ready(60)
    await process.stop(0.01)
    assert await process.wait() == -9
    assert process._child.returncode == -9


async def test_death_before_ready_tells_the_last_words() -> None:
    process = await launch("import sys; print('E1122 no repository', file=sys.stderr); sys.exit(4)")
    with pytest.raises(EngineDeathError, match="the engine exited with status 4; it said last: E1122 no repository"):
        await process.ready(60)
    await process.stop(0)


async def test_death_by_a_signal_is_named() -> None:
    process = await launch("import os; os.kill(os.getpid(), 11)")
    assert await process.wait() == -11
    assert "was killed by SIGSEGV" in process.obituary()
    await process.stop(0)


async def test_not_ready_in_time() -> None:
    process = await launch(UNTIL_END_OF_INPUT)
    with pytest.raises(EngineDeathError, match=r"was not ready within 0\.01 s"):
        await process.ready(0.01)
    await process.stop(0)
    assert "was killed" in process.obituary()


async def test_models_may_take_longer_to_load_than_an_engine_to_start() -> None:
    process = await launch('import sys; print(\'{"event": "loading"}\', flush=True); sys.stdin.readline()\n' + READY)
    await process._loads_models.wait()
    waiting = asyncio.ensure_future(process.ready(0))
    await asyncio.sleep(0)
    assert process._child.stdin is not None
    process._child.stdin.write(b"\n")
    process._child.stdin.flush()
    assert (await waiting).pid == 5
    await process.stop(60)
    assert process._last_words == deque()


async def test_a_command_that_does_not_exist() -> None:
    with pytest.raises(EngineDeathError, match=r"could not be started: .*no-such-engine"):
        await EngineProcess.launch(EngineCommand(argv=("/no-such-engine",), environment={}), LOG)


async def test_a_preparation_that_fails() -> None:
    def refuse() -> None:
        raise PermissionError(13, "Permission denied", "/models")

    with pytest.raises(EngineDeathError, match="Permission denied: '/models'"):
        await EngineProcess.launch(EngineCommand(argv=(sys.executable,), environment={}, prepare=refuse), LOG)


async def test_what_it_says_is_logged_with_its_severity(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG.name)
    process = await launch("import sys; print('out'); print('W1122 \\x1b[1mcareful', file=sys.stderr)")
    await process.wait()
    await process.stop(0)
    assert sorted((record.levelname, record.getMessage()) for record in caplog.records) == [
        ("INFO", "pyserve engine: out"),
        ("WARNING", "pyserve engine: W1122 careful"),
    ]


async def test_a_flood_does_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG.name)
    process = await launch("for i in range(10000): print(i)", log_lines_per_s=1.0)
    await process.wait()
    await process.stop(0)
    assert 0 < len(caplog.records) < 1000
    assert "9999" in process.obituary()
