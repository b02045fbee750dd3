"""One Jupyter server for all notebooks; each is executed once, when the first test asks for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jupyter.server_process import running_server
from tests.notebooks.shelf import Shelf


@pytest.fixture(scope="package")
def shelf() -> Iterator[Shelf]:
    with tempfile.TemporaryDirectory(prefix="ps") as short, pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(Path(short) / "ipython"))
        patch.delenv("IPYTHON_STARTUP", raising=False)
        with running_server(Path(short), {}) as server:
            yield Shelf(server)
