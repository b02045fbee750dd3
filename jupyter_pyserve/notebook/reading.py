"""What may be deployed, read: a class of this kernel, a text, a file, a Triton model directory, a configuration.

Reads files and source text; checks nothing of what they mean and talks to no engine.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.class_source import source_of_class
from jupyter_pyserve.notebook.config_text import read_config_file
from jupyter_pyserve.notebook.functions.decorator import ModelFunction
from jupyter_pyserve.notebook.inclusion.resolver import Resolver
from jupyter_pyserve.notebook.kernel import cell_texts, make_resolver
from jupyter_pyserve.notebook.source import ModelSource

_CONFIG_TEXT = re.compile(r"[\n{]|^\s*\w+\s*:\s")


def read_config(config: str | os.PathLike[str]) -> str:
    """A text has a line break, a brace or begins with a field; a path is anything else."""
    if isinstance(config, str) and (not config.strip() or _CONFIG_TEXT.search(config)):
        return config
    return read_config_file(Path(config))


def read_source(
    source: str | os.PathLike[str] | type | ModelFunction, *, include: bool = True
) -> tuple[ModelSource, str | None, str | None]:
    """The source, and the name and configuration that come with it; of a class also what it uses of other cells."""
    if isinstance(source, ModelFunction):
        return source.model_source(), source.name, source.config_pbtxt
    if isinstance(source, type):
        texts = cell_texts()
        return source_of_class(source, texts, make_resolver(texts) if include else Resolver({}, texts)), None, None
    if isinstance(source, str) and "\n" in source:
        return ModelSource(text=source, label="File model.py"), None, None
    path = Path(source).expanduser()
    if path.is_dir():
        return _read_directory(path)
    return ModelSource(text=_read_text(path), label=f"File {path}"), None, None


def _read_directory(path: Path) -> tuple[ModelSource, str, str | None]:
    """A Triton model directory: its newest version's model.py, its configuration."""
    versions = sorted((int(entry.name) for entry in path.iterdir() if entry.name.isdecimal()), reverse=True)
    if not versions:
        raise PyServeError(Code.INVALID_ARG, f"'{path}' has no version directory: a model directory holds 1/model.py")
    file = path / str(versions[0]) / "model.py"
    config = path / "config.pbtxt"
    source = ModelSource(text=_read_text(file), label=f"File {file}")
    return source, path.resolve().name, read_config_file(config) if config.exists() else None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PyServeError(Code.INVALID_ARG, f"model file '{path}' can't be read: {error}") from error
