"""Finds the generated protobuf messages of a model configuration, without importing the rest of their package.

Owns nothing else. They come from the gRPC client library, whose own import takes several times as long as all the
rest of a model's load; a process may register these messages only once, so they keep their usual module name.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Final

_MODULE: Final = "tritonclient.grpc.model_config_pb2"


def model_config_messages() -> Any:
    """The module that holds the `ModelConfig` message."""
    known = sys.modules.get(_MODULE)
    if known is not None:
        return known
    package = importlib.util.find_spec("tritonclient")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'tritonclient'", name="tritonclient")
    path = Path(next(iter(package.submodule_search_locations)), "grpc", "model_config_pb2.py")
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named '{_MODULE}'", name=_MODULE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Only now, so that no other thread sees half a module; registering the same messages twice is harmless.
    return sys.modules.setdefault(_MODULE, module)
