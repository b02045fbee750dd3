"""The KServe SDK's own inference clients, unmodified, in an interpreter of their own (see the script)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.golden.repository import lay_out
from tests.support.engine import running_engine

PYTHON = Path(__file__).parents[2] / "build/kserve/bin/python"
SCRIPT = Path(__file__).with_name("kserve_script.py")

ANSWER = ["seven", "identity", "FP32", [[1.0, 2.5, -3.0]]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the clients got of a server."""
    assert PYTHON.exists(), f"{PYTHON} is not there: `make build/kserve/.installed`"
    folder = tmp_path_factory.mktemp("kserve")
    repository = lay_out(folder / "repository", ("identity",))
    with running_engine(repository, options=("--load-model=identity",), log=folder / "engine.log") as engine:
        host, port = engine.address
        command = [str(PYTHON), "-I", str(SCRIPT), f"http://{host}:{port}", engine.grpc]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("client", ["rest", "grpc"])
def test_health(seen: dict[str, Any], client: str) -> None:
    assert [seen[client][what] for what in ("live", "ready", "model")] == [True, True, True]


@pytest.mark.parametrize("client", ["rest", "grpc"])
@pytest.mark.parametrize("form", ["json", "binary"])
def test_inference(seen: dict[str, Any], client: str, form: str) -> None:
    assert seen[client][form] == ANSWER


def test_errors(seen: dict[str, Any]) -> None:
    assert "404" in seen["rest"]["unknown"]
    assert "Request for unknown model: 'nowhere' is not found" in seen["grpc"]["unknown"]
