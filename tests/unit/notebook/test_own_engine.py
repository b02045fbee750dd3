from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook import client as client_module
from jupyter_pyserve.notebook import own_engine
from jupyter_pyserve.notebook.own_engine import OwnEngine

# What stands for the engine: says that it is ready, and ends when its standard input does.
FAKE = """
import json, os, sys
print("warming up", flush=True)
assert os.environ["PYSERVE_TOKEN"]
assert "MPLBACKEND" not in os.environ
assert os.getsid(0) == os.getpid()  # an interrupt in the terminal is not for it
print(json.dumps({"event": "ready", "http_url": "http://127.0.0.1:1"}), flush=True)
sys.stdin.read()
"""
LAME = 'import sys; print(\'{"event": "loading"}\\nno such thing\', file=sys.stdout); sys.exit(3)'


def fake(script: str = FAKE) -> list[str]:
    return [sys.executable, "-c", script]


@pytest.fixture(autouse=True)
def _nobodys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(own_engine, "_own", None)
    monkeypatch.setattr(client_module, "_default", None)
    for name in ("PYSERVE_RUNTIME_DIR", "PYSERVE_URL", "PYSERVE_TOKEN"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MPLBACKEND", "module://of.the.kernel")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[OwnEngine]:
    made = OwnEngine(tmp_path / "models", command=fake())
    yield made
    made.stop()


def test_it_starts_in_a_folder_that_is_private_and_leaves_nothing(engine: OwnEngine) -> None:
    engine.start()
    assert engine.is_alive
    assert engine.repository.is_dir()
    assert engine.folder.stat().st_mode & 0o777 == 0o700
    assert (engine.folder / "lane.sock").stat().st_mode & 0o777 == 0o600
    assert (engine.address.url, engine.address.runtime_dir) == ("http://127.0.0.1:1", engine.folder)
    process = engine._process
    engine.stop()
    assert process is not None
    assert process.returncode == 0
    assert not engine.folder.exists()


def test_who_connects_while_it_starts_again_waits(engine: OwnEngine) -> None:
    engine.start()
    assert engine._process is not None
    engine._process.kill()
    engine._process.wait()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(engine.folder / "http.sock"))
        engine.start()
        assert engine.is_alive


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    lame = OwnEngine(tmp_path / "models", command=fake(LAME))
    with pytest.raises(PyServeError, match="ended with status 3 before it was ready: no such thing"):
        lame.start()
    lame.stop()


def test_one_whose_start_is_interrupted_does_not_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next attempt is made in the same place."""

    def interrupted(engine: OwnEngine, process: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(OwnEngine.__init__, "__kwdefaults__", {"command": fake()})
    with monkeypatch.context() as impatient:
        impatient.setattr(OwnEngine, "_await_ready", interrupted)
        with pytest.raises(KeyboardInterrupt):
            own_engine.ensure()
    first = own_engine._own
    assert first is not None
    try:
        assert not first.is_alive
        assert own_engine.ensure().runtime_dir == first.folder
        assert first.is_alive
    finally:
        first.stop()


def test_it_is_wanted_where_nothing_leads_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_engine.is_wanted()
    monkeypatch.setenv("PYSERVE_URL", "http://localhost:8888/pyserve")
    assert not own_engine.is_wanted()
    monkeypatch.setenv("PYSERVE_URL", "")
    monkeypatch.setenv("PYSERVE_RUNTIME_DIR", "/run/gone")
    assert not own_engine.is_wanted()


def test_the_first_use_starts_one_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(OwnEngine.__init__, "__kwdefaults__", {"command": fake()})
    with pytest.raises(PyServeError, match="no engine to talk to"):
        client_module.default_client(may_start=False)
    first = client_module.default_client()
    assert own_engine._own is not None
    try:
        shown = "".join(capsys.readouterr())
        assert f"one of its own is started (http://127.0.0.1:1, models in {os.getcwd()}/model_repository)" in shown
        assert client_module.default_client() is first
        assert os.environ["PYSERVE_RUNTIME_DIR"] == str(own_engine._own.folder)
        assert "".join(capsys.readouterr()) == ""
        assert own_engine._own._process is not None
        own_engine._own._process.kill()
        own_engine._own._process.wait()
        client_module.default_client()
        assert "is started again" in "".join(capsys.readouterr())
        assert client_module.connect().is_own  # found through the environment, and started again all the same
    finally:
        own_engine._own.stop()
