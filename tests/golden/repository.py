"""Lays out the model repository that the cases are asked of: the models kept here, and broken ones from short texts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.golden.broken import BROKEN_CODE, BROKEN_CONFIGS, UNVERSIONED
from tests.golden.case import Files

MODELS = Path(__file__).parent / "models"

#: Models that only scenarios which name them have.
MODELS_APART = Path(__file__).parent / "models_apart"

HEALTHY = tuple(sorted(path.name for path in MODELS.iterdir() if path.is_dir()))

_PLAIN_CONFIG = """backend: "python"
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""


def lay_out(root: Path, models: tuple[str, ...] = (), texts: Mapping[str, Files] | None = None) -> Path:
    """Makes the directory, with all models or with those given; gives it back resolved, as error texts will show it."""
    root.mkdir()
    everything = not (models or texts)
    for name in HEALTHY if everything else models:
        home = MODELS if name in HEALTHY else MODELS_APART
        shutil.copytree(home / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    if everything:
        _add_broken(root)
    for name, files in (texts or {}).items():
        for path, text in files.items():
            (root / name / path).parent.mkdir(parents=True, exist_ok=True)
            (root / name / path).write_text(text)
    return root.resolve()


def _add_broken(root: Path) -> None:
    working_code = (MODELS / "identity" / "1" / "model.py").read_text()
    for name, config in BROKEN_CONFIGS.items():
        _write(root / name, config, working_code)
    for name, code in BROKEN_CODE.items():
        _write(root / name, _PLAIN_CONFIG, code)
    for name in UNVERSIONED:
        (root / name).mkdir()
        (root / name / "config.pbtxt").write_text(_PLAIN_CONFIG)


def _write(model: Path, config: str, code: str) -> None:
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(config)
    (model / "1" / "model.py").write_text(code)
