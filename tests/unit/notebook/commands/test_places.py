from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jupyter_pyserve.notebook.standalone import StandAlone
from tests.unit.notebook.commands.conftest import Typed
from tests.unit.notebook.fake_engine import FakeEngine

SERVER = """
import json, sys
print("options", *sys.argv[1:], flush=True)
print(json.dumps({"event": "ready", "http_url": "http://127.0.0.1:1"}), flush=True)
sys.stdin.read()
"""


def test_addresses(engine: FakeEngine, typed: Typed) -> None:
    assert "http://localhost:8888/base/pyserve/v2/models/add_one/stats" in typed("open add_one")
    assert "OpenAPI" in typed("open")


def test_a_server_from_start_to_stop(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandAlone.__init__, "__kwdefaults__", {"command": [sys.executable, "-c", SERVER]})
    assert "no server of its own runs" in typed("serve")
    assert "READY" in typed("serve --model-repository 'a b' --http-port 0 --rate-limit=off")
    assert "HTTP http://127.0.0.1:1" in typed("serve")
    assert typed("serve --output").startswith("options --model-repository=a b --http-port 0 --rate-limit=off")
    assert "there is no server number 7; %pyserve serve lists them" in typed("serve --stop 7")
    assert "stopped: pid" in typed("serve --stop")
    assert typed("serve --stop") == "no server of its own runs\n"


def test_a_server_needs_models(typed: Typed) -> None:
    assert "which models? %pyserve serve --model-repository DIR" in typed("serve --http-port 0")


def test_export_needs_a_model(engine: FakeEngine, typed: Typed, tmp_path: Path) -> None:
    assert "unknown model: 'nobody'" in typed(f"export nobody '{tmp_path}'")
