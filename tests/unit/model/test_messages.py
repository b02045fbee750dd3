"""Finding the messages without importing the package around them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jupyter_pyserve.model.messages import model_config_messages

_ALONE = """
import sys
from jupyter_pyserve.model.messages import model_config_messages
messages = model_config_messages()
assert "grpc" not in sys.modules and "tritonclient.grpc" not in sys.modules, "too much was imported"
import tritonclient.grpc
from tritonclient.grpc import model_config_pb2
assert model_config_pb2 is messages is model_config_messages()
"""


def test_nothing_else_is_imported_and_a_later_import_finds_the_same_module() -> None:
    done = subprocess.run([sys.executable, "-c", _ALONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_they_are_found_once() -> None:
    assert model_config_messages() is model_config_messages()
    assert model_config_messages().ModelConfig(name="m").name == "m"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tritonclient.grpc.model_config_pb2", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="tritonclient"):
        model_config_messages()
