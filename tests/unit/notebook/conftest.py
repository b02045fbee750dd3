"""A fake engine on a Unix socket, and a real IPython shell that talks to it."""

from __future__ import annotations

import atexit
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from jupyter_pyserve.notebook import client as client_module
from tests.unit.notebook.fake_engine import FakeEngine, FakeEngineServer


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    with tempfile.TemporaryDirectory(prefix="pyserve-") as directory:
        fake = FakeEngine(Path(directory))
        with FakeEngineServer.serving(fake) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            monkeypatch.setenv("PYSERVE_RUNTIME_DIR", directory)
            monkeypatch.setenv("PYSERVE_URL", "http://localhost:8888/base/pyserve")
            monkeypatch.setenv("PYSERVE_TOKEN", "s3cret")
            monkeypatch.setattr(client_module, "_default", None)
            yield fake
            client_module.default_client().close()
            server.shutdown()
            thread.join()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    InteractiveShell.clear_instance()
    instance = InteractiveShell.instance(config=config)
    instance.run_line_magic("load_ext", "jupyter_pyserve")
    yield instance
    atexit.unregister(instance.atexit_operations)
    instance.atexit_operations()  # type: ignore[no-untyped-call]
    InteractiveShell.clear_instance()
