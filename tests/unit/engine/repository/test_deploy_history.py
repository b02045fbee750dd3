from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_pyserve.engine.repository.deploy_history import history, recall, remember


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
