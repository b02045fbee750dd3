"""Model repositories for tests: the models of this folder, put under any name with any number of instances."""

from __future__ import annotations

import shutil
from pathlib import Path

_MODELS = Path(__file__).with_name("models")


def add_model(repository: Path, model: str, name: str = "", *, instances: int = 1, extra: str = "") -> Path:
    """Put one of our models into a repository; `extra` is appended to its configuration."""
    target = repository / (name or model)
    shutil.copytree(_MODELS / model, target, ignore=shutil.ignore_patterns("__pycache__"))
    config = target / "config.pbtxt"
    config.write_text(config.read_text().replace("count: 1", f"count: {instances}") + extra)
    if model == "fickle":
        set_mode(target, "fine")
    return target


def set_mode(model_dir: Path, mode: str) -> None:
    """What the next starts of a fickle model do: "fine", or a stage and a deed ("import exit")."""
    temporary = model_dir / "mode.new"
    temporary.write_text(mode)
    temporary.rename(model_dir / "mode")


def source(name: str) -> str:
    """The text of a model, for deploying it."""
    return (_MODELS / name / "1" / "model.py").read_text()


def config(name: str) -> str:
    """Its configuration."""
    return (_MODELS / name / "config.pbtxt").read_text()
