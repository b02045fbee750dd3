from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from jupyter_pyserve import app
from jupyter_pyserve.engine.listening import bind_tcp, is_loopback
from jupyter_pyserve.engine.server_log import TritonFormatter
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import EngineSettings, ListenSettings, LogSettings


@pytest.fixture
def not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` without running; what it does to this process's log is undone."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)

    def close(main: Coroutine[Any, Any, int]) -> int:
        main.close()
        return 0

    monkeypatch.setattr(app, "_run_loop", close)


@pytest.mark.usefixtures("not_run")
def test_the_token_is_for_its_owner_only(tmp_path: Path) -> None:
    app.run(EngineSettings(), ListenSettings(runtime_dir=str(tmp_path), token="s3cret"))
    path = tmp_path / "token"
    assert path.read_text() == "s3cret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.usefixtures("not_run")
def test_no_token_no_file(tmp_path: Path) -> None:
    app.run(EngineSettings(), ListenSettings(runtime_dir=str(tmp_path)))
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("not_run")
@pytest.mark.parametrize(("verbose", "level"), [(0, logging.INFO), (1, logging.DEBUG)])
def test_the_log(verbose: int, level: int) -> None:
    app.run(EngineSettings(log=LogSettings(verbose_level=verbose)), ListenSettings())
    root = logging.getLogger()
    assert root.level == level
    assert [type(handler.formatter) for handler in root.handlers] == [TritonFormatter]


@pytest.mark.usefixtures("not_run")
def test_a_log_file_that_cannot_be_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(EngineSettings(log=LogSettings(file=str(tmp_path))), ListenSettings()) == 1
    assert f"failed to open log file {tmp_path}" in capsys.readouterr().err


def test_the_loop_gives_the_status() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return 3

    assert app._run_loop(main()) == 3


def test_a_taken_port_is_said_as_triton_does() -> None:
    taken = bind_tcp("127.0.0.1", 0, reuse_port=False)
    port = taken.getsockname()[1]
    with pytest.raises(PyServeError, match=rf"Socket '127\.0\.0\.1:{port}' already in use") as failure:
        bind_tcp("127.0.0.1", port, reuse_port=False)
    assert failure.value.code is Code.UNAVAILABLE
    taken.close()


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x", False)],
)
def test_loopback(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback
