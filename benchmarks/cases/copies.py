"""Model repositories of a case's own: copies of one model under other names."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


def copies(models: Path, model: str, repository: Path, names: Iterable[str]) -> Path:
    """The repository, with one more copy of a model for each name."""
    for name in names:
        shutil.copytree(models / model, repository / name)
        config = repository / name / "config.pbtxt"
        config.write_text(config.read_text().replace(f'name: "{model}"', f'name: "{name}"', 1))
    return repository
