from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_pyserve.engine.repository.deploy_history import KEPT, history, prune, recall, remember


def deployed(model_dir: Path, version: str, config: str | None = "c", owner: str | None = "n.ipynb") -> Path:
    folder = model_dir / version
    folder.mkdir()
    (folder / "model.py").write_text(f"text {version}")
    remember(folder, config, owner)
    return folder


def test_newest_last(tmp_path: Path) -> None:
    for version in ("10", "2", "9"):
        deployed(tmp_path, version)
    (tmp_path / "3").mkdir()  # not made by a deploy
    found = history(str(tmp_path))
    assert [item.version for item in found] == [2, 9, 10]
    assert found[0].to_json_dict() == {"version": "2", "time": found[0].time, "owner": "n.ipynb"}
    assert found[0].time > 0


@pytest.mark.parametrize("config", ["text", "", None])
def test_what_it_takes_to_do_it_again(config: str | None, tmp_path: Path) -> None:
    deployed(tmp_path, "7", config, None)
    assert recall(str(tmp_path), 7) == ("text 7", config)
    assert recall(str(tmp_path), 8) is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "\x00", "[" * 100_000, '{"config": 5}', '{"config": 5, "time": "x"}', '{"config": 5, "time": [1]}'],
)
def test_a_file_that_makes_no_sense(text: str, tmp_path: Path) -> None:
    folder = deployed(tmp_path, "1")
    (folder / ".deploy.json").write_text(text)
    assert recall(str(tmp_path), 1) is None
    assert [item.owner for item in history(str(tmp_path))] in ([], [None])


def test_a_version_without_its_text(tmp_path: Path) -> None:
    (deployed(tmp_path, "1") / "model.py").unlink()
    assert recall(str(tmp_path), 1) is None
    assert history(str(tmp_path / "nowhere")) == []


def left(model_dir: Path, needed: tuple[int, ...] = ()) -> list[int]:
    prune(str(model_dir), needed, str(model_dir / ".aside"))
    assert not (model_dir / ".aside").exists()
    return sorted(int(path.name) for path in model_dir.iterdir())


def test_the_newest_are_kept(tmp_path: Path) -> None:
    for version in range(1, KEPT + 1):
        deployed(tmp_path, str(version))
    assert left(tmp_path) == list(range(1, KEPT + 1))
    for version in (KEPT + 1, KEPT + 2):
        deployed(tmp_path, str(version))
    (tmp_path / "1" / "__pycache__").mkdir()
    assert left(tmp_path) == list(range(3, KEPT + 3))


def test_what_is_needed_or_is_not_a_deploys_own_is_kept(tmp_path: Path) -> None:
    for version in range(1, KEPT + 6):
        folder = tmp_path / str(version)
        if version == 2:
            folder.mkdir()  # not made by a deploy
        else:
            deployed(tmp_path, str(version))
    (tmp_path / "3" / "weights.bin").touch()
    os.utime(tmp_path / "4" / "model.py", ns=(0, 2**62))  # edited
    assert left(tmp_path, needed=(1,)) == [1, 2, 3, 4, *range(6, KEPT + 6)]
