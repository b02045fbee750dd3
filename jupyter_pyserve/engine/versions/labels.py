"""The labels of a model's classes, from the files that its configuration names."""

from __future__ import annotations

from pathlib import Path

from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.model.config import ModelConfig


def read_labels(config: ModelConfig, model_dir: str) -> dict[str, tuple[str, ...]]:
    """By the outputs' names: one label a line, in the order of the classes; raises `LoadFailure`."""
    found = {}
    for output in config.outputs:
        if output.label_filename:
            path = f"{model_dir}/{output.label_filename}"
            if not Path(path).resolve().is_relative_to(Path(model_dir).resolve()):
                text = (
                    f"label file path '{path}' for output '{output.name}' in model '{config.name}' is outside model"
                    " directory"
                )
                raise LoadFailure(text, kind="Unsupported")
            try:
                text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
            except OSError as error:
                raise LoadFailure(f"failed to open text file for read {path}: {error.strerror}") from error
            found[output.name] = tuple(text.split("\n"))
    return found
