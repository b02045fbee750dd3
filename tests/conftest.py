"""Fixtures for every test: pytest-jupyter's, without the part that makes a Jupyter server for tests that have none."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytest_jupyter.jupyter_server",)


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """The plugin's own would make and tidy up a server for each test; `tests/jupyter` takes it back."""
