"""A model as a plain Triton model directory: model.py, config.pbtxt, and the shared arrays that it asks for.

Owns what lies where in that directory. Overwrites nothing unless it is told to.
"""

from __future__ import annotations

import ast
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import sharing

_VERSION = "1"
_SHARE = "pyserve_share"


def write_model(directory: Path, name: str, text: str, config: str, *, overwrite: bool) -> Path:
    """Write `directory/NAME`; the path of it."""
    arrays = {wanted: _array(wanted, name) for wanted in shared_names(text)}
    model = directory.expanduser() / name
    if model.exists() and not overwrite:
        raise PyServeError(Code.ALREADY_EXISTS, f"'{model}' is there already: overwrite=True replaces it")
    version = model / _VERSION
    try:
        shutil.rmtree(version, ignore_errors=True)
        version.mkdir(parents=True)
        (model / "config.pbtxt").write_text(config, encoding="utf-8")
        (version / "model.py").write_text(text, encoding="utf-8")
        if _uses_sharing(text):
            shutil.copyfile(_share_file(), version / f"{_SHARE}.py")
        for wanted, array in arrays.items():
            _save(version / "shared" / f"{wanted}.npy", array)
    except OSError as error:
        raise PyServeError(Code.UNAVAILABLE, f"'{model}' can't be written: {error}") from error
    return model


def shared_names(text: str) -> list[str]:
    """The names in `shared("name")`, as far as they are written there."""
    return sorted(set(_asked(ast.parse(text))))


def config_text(tree: object) -> str:
    """A configuration that the server tells as JSON, as config.pbtxt."""
    from google.protobuf import text_format

    from jupyter_pyserve.model.pbtxt import to_message

    return str(text_format.MessageToString(to_message(tree)))


def _asked(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0]
        if called == "shared" and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def _uses_sharing(text: str) -> bool:
    return any(
        (isinstance(node, ast.ImportFrom) and node.module == _SHARE)
        or (isinstance(node, ast.Import) and any(alias.name == _SHARE for alias in node.names))
        for node in ast.walk(ast.parse(text))
    )


def _array(wanted: str, name: str) -> Any:
    array = sharing.array_of(wanted)
    if array is None:
        text = (
            f"model '{name}' uses the shared array '{wanted}', which this kernel does not share: pyserve.share it first"
        )
        raise PyServeError(Code.NOT_FOUND, text)
    return array


def _share_file() -> str:
    found = importlib.util.find_spec(_SHARE)
    assert found is not None
    assert found.origin is not None
    return found.origin


def _save(path: Path, array: Any) -> None:
    import numpy as np

    path.parent.mkdir(exist_ok=True)
    np.save(path, array)
