"""Finding, importing and constructing a `TritonPythonModel`, and calling its life-cycle methods.

Follows Triton: the module is imported as `<version>.<stem>` from the model's directory (where its file lies deeper, by
the directory that it lies in), so that relative and absolute sibling imports both work, and the class is looked up by
name. Knows nothing of requests.
"""

from __future__ import annotations

import asyncio
import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

import triton_python_backend_utils as pb_utils

from .model_config import ModelConfig


class LoadError(Exception):
    """A failure whose text stands alone, without the name of an exception type before it."""


class Loader:
    """One model's module and instance."""

    def __init__(self, model_dir: str, version: str, filename: str, model_name: str, backend_dir: str = "") -> None:
        """`filename` is the model's own, or lies in the directory of a backend that serves many models."""
        self.model_name = model_name
        self.version_dir = os.path.join(model_dir, version)
        self.model_file = os.path.join(backend_dir or self.version_dir, filename)
        self._backend_dir = backend_dir
        #: The directory that has the file, which is the module's package.
        self._folder, self._filename = os.path.split(self.model_file)
        self._class: Any = None
        self.model: Any = None

    def import_class(self) -> None:
        """Import the module; its class must be called `TritonPythonModel`."""
        if not self._filename.endswith(".py"):
            raise LoadError(f"Model name must end with '.py'. Model name is \"{self._filename}\".")
        if not os.path.isfile(self.model_file):
            raise LoadError(f"Python model file not found in '{self.model_file}'")
        sys.path += [self._backend_dir] if self._backend_dir else [self._folder, os.path.dirname(self._folder)]
        sys.argv = [""]
        # A file that is edited within the clock's resolution would be shadowed by its own stale bytecode.
        writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            module = self._import_backend() if self._backend_dir else self._import_own()
        finally:
            sys.dont_write_bytecode = writes_bytecode
        self._class = module.TritonPythonModel

    def _import_backend(self) -> Any:
        """As a module of that name, whatever else on `sys.path` has it."""
        name = self._filename[:-3]
        spec = importlib.util.spec_from_file_location(name, self.model_file)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def _import_own(self) -> Any:
        package = os.path.basename(self._folder)
        self._import_package(package)
        return importlib.import_module(f"{package}.{self._filename[:-3]}")

    def _import_package(self, name: str) -> None:
        """Make the file's directory a package: this one, whatever else on `sys.path` has the same name."""
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        init = os.path.join(self._folder, "__init__.py")
        if os.path.isfile(init):
            spec.loader = importlib.machinery.SourceFileLoader(name, init)
            spec.origin, spec.has_location = init, True
        spec.submodule_search_locations = [self._folder]
        package = importlib.util.module_from_spec(spec)
        sys.modules[name] = package
        if spec.loader is not None:
            spec.loader.exec_module(package)

    def auto_complete(self, config_json: str) -> str | None:
        """What `auto_complete_config` makes of the configuration; None when the class has no such function."""
        function = getattr(self._class, "auto_complete_config", None)
        if function is None:
            return None
        returned = function(ModelConfig(config_json))
        if not isinstance(returned, ModelConfig):
            raise LoadError(
                f"auto_complete_config function in model '{self.model_name}' must return a valid pb.ModelConfig object."
            )
        return returned._to_json()

    def initialize(self, args: dict[str, str]) -> None:
        """Construct the model and call `initialize(args)` if it has one."""
        self.model = self._class()
        initialize = getattr(self.model, "initialize", None)
        if initialize is not None:
            result = initialize(args)
            if asyncio.iscoroutine(result):  # never awaited on Triton either; closing it avoids a warning
                result.close()

    def finalize(self) -> None:
        """Call `finalize()` if the model has one, and drop the model."""
        model, self.model = self.model, None
        finalize = getattr(model, "finalize", None)
        if finalize is not None:
            result = finalize()
            if asyncio.iscoroutine(result):
                result.close()


def set_model_dir(path: str) -> None:
    """Make `pb_utils.get_model_dir()` answer `path`."""

    def get_model_dir() -> str:
        return path

    get_model_dir.__module__ = pb_utils.__name__
    pb_utils.get_model_dir = get_model_dir
