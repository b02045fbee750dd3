"""What was deployed before: a small hidden file in each version that a deploy made, with what it takes to do it again.

The version's text is its `model.py`; its configuration is kept here, since a model has only one at a time. Triton, and
whatever else reads a repository, does not look at it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE = ".deploy.json"

#: How many deploys can be rolled back to.
KEPT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """One deploy that succeeded."""

    version: int
    time: float
    owner: str | None

    def to_json_dict(self) -> dict[str, Any]:
        """As the control API shows it."""
        return {"version": str(self.version), "time": self.time, "owner": self.owner}


def remember(folder: Path, config: str | None, owner: str | None) -> None:
    """Write down what makes the version in `folder`, except its text."""
    facts = {"config": config, "time": time.time(), "owner": owner}
    (folder / _FILE).write_text(json.dumps(facts), encoding="utf-8")


def history(model_dir: str) -> list[Deployed]:
    """The deploys whose versions are there still, newest last; blocks."""
    found = []
    for path in Path(model_dir).glob(f"*/{_FILE}"):
        if path.parent.name.isdecimal() and (facts := _facts(path)) is not None:
            owner, when = facts.get("owner"), facts.get("time")
            deployed = Deployed(
                version=int(path.parent.name),
                time=float(when) if isinstance(when, int | float) else 0.0,
                owner=owner if isinstance(owner, str) else None,
            )
            found.append(deployed)
    return sorted(found, key=lambda item: item.version)


def recall(model_dir: str, version: int) -> tuple[str, str | None] | None:
    """Text and configuration of a version that a deploy made; None when there is none; blocks."""
    folder = Path(model_dir, str(version))
    facts = _facts(folder / _FILE)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if facts is not None and isinstance(facts.get("config"), str | None):
            return (folder / "model.py").read_text(encoding="utf-8"), facts.get("config")
    return None


def prune(model_dir: str, needed: Collection[int], aside: str) -> None:
    """Remove the versions of deploys long past, but for those that are `needed`; blocks.

    Only what a deploy wrote goes: a version with another file in it, or with a text that was edited, is its owner's by
    now. `aside` is a path in the model's directory at which half a version is nobody's.
    """
    for deployed in history(model_dir)[:-KEPT]:
        folder = os.path.join(model_dir, str(deployed.version))
        with contextlib.suppress(OSError):
            if deployed.version not in needed and _is_untouched(Path(folder)):
                os.rename(folder, aside)
                shutil.rmtree(aside)


def _is_untouched(folder: Path) -> bool:
    others = {path.name for path in folder.iterdir()} - {_FILE, "model.py", "__pycache__"}
    return not others and (folder / "model.py").stat().st_mtime_ns <= (folder / _FILE).stat().st_mtime_ns


def _facts(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        facts = json.loads(path.read_text(encoding="utf-8"))
        return facts if isinstance(facts, dict) else None
    return None
