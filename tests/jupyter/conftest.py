"""A Jupyter server with the extension, in this process, with a fake engine behind it unless a test says otherwise."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_jupyter.jupyter_server import jp_server_cleanup as jp_server_cleanup  # takes the plugin's own back
from traitlets.config import Config

from jupyter_pyserve.transports.jupyter.extension import PyServeExtension
from jupyter_pyserve.transports.jupyter.supervisor import EngineSupervisor
from tests.jupyter.client import Client

FAKE_ENGINE = [sys.executable, "-S", str(Path(__file__).with_name("fake_engine.py"))]


@pytest.fixture
def pyserve_traits() -> dict[str, Any]:
    """The extension's configuration; a test module overrides it."""
    return {"engine_command": FAKE_ENGINE, "exit_timeout_s": 20.0}


@pytest.fixture(scope="session")
def short_folder() -> Iterator[str]:
    """pytest's can be too long for a socket's address. It outlives each test: servers end after their configuration."""
    with tempfile.TemporaryDirectory(prefix="ps") as folder:
        yield folder


@pytest.fixture
def jp_server_config(pyserve_traits: dict[str, Any], short_folder: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("XDG_RUNTIME_DIR", tempfile.mkdtemp(dir=short_folder))
    return Config(
        {
            "ServerApp": {
                "jpserver_extensions": {"jupyter_pyserve": True},
                "allow_unauthenticated_access": False,
                "reraise_server_extension_failures": True,
            },
            "PyServe": pyserve_traits,
        }
    )


@pytest.fixture
def extension(jp_serverapp: Any) -> PyServeExtension:
    app = jp_serverapp.extension_manager.extension_points["pyserve"].app
    assert isinstance(app, PyServeExtension)
    return app


@pytest.fixture
def engine(extension: PyServeExtension) -> EngineSupervisor:
    assert isinstance(extension.engine, EngineSupervisor)
    return extension.engine


@pytest.fixture
def client(http_server_client: Any, jp_serverapp: Any, jp_base_url: str) -> Client:
    """Sends requests exactly as written, with the server's token unless told otherwise."""
    port: int = http_server_client.get_http_port()
    return Client(port=port, base_url=jp_base_url, token=jp_serverapp.identity_provider.token)
