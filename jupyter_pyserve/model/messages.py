"""Finds the generated protobuf messages of the protocol, without importing the rest of their package.

Owns nothing else. They come from the gRPC client library, whose own import takes several times as long as all the
rest of a model's load; a process may register these messages only once, so they keep their usual module names.
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

_PACKAGE: Final = "tritonclient.grpc"


def model_config_messages() -> Any:
    """The module that holds the `ModelConfig` message."""
    return _module("model_config_pb2", {})


def service_messages() -> Any:
    """The module that holds the requests and responses of the inference service."""
    return _module("service_pb2", {"__builtins__": {**vars(builtins), "__import__": _import}})


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,  # noqa: A002
    locals: Mapping[str, object] | None = None,  # noqa: A002
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """`from tritonclient.grpc import model_config_pb2` must not run what else that package does when it is imported."""
    if name == _PACKAGE:
        return SimpleNamespace(model_config_pb2=model_config_messages())
    return __import__(name, globals, locals, fromlist or (), level)


def _module(stem: str, names: Mapping[str, object]) -> Any:
    known = sys.modules.get(f"{_PACKAGE}.{stem}")
    if known is not None:
        return known
    package = importlib.util.find_spec("tritonclient")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'tritonclient'", name="tritonclient")
    path = Path(next(iter(package.submodule_search_locations)), "grpc", f"{stem}.py")
    spec = importlib.util.spec_from_file_location(f"{_PACKAGE}.{stem}", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named '{_PACKAGE}.{stem}'", name=f"{_PACKAGE}.{stem}")
    module = importlib.util.module_from_spec(spec)
    vars(module).update(names)
    spec.loader.exec_module(module)
    # Only now, so that no other thread sees half a module; registering the same messages twice is harmless.
    return sys.modules.setdefault(f"{_PACKAGE}.{stem}", module)
