from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_pyserve.engine.versions.labels import read_labels
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.model.config import ModelConfig, parse_pbtxt


def config(filename: str) -> ModelConfig:
    text = f"""backend: "python"
output [ {{ name: "OUT" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "{filename}" }},
         {{ name: "PLAIN" data_type: TYPE_FP32 dims: [ 2 ] }} ]"""
    return parse_pbtxt(text, model_name="m", path="p")


def test_one_label_a_line(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"cat\n\nd\xff g\nlast")
    assert read_labels(config("labels.txt"), str(tmp_path)) == {"OUT": ("cat", "", "d\udcff g", "last")}


def test_outputs_may_have_none(tmp_path: Path) -> None:
    assert read_labels(config(""), str(tmp_path)) == {}


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LoadFailure) as caught:
        read_labels(config("nowhere.txt"), str(tmp_path))
    path = tmp_path / "nowhere.txt"
    assert caught.value.text == f"failed to open text file for read {path}: No such file or directory"


@pytest.mark.parametrize("name", ["../labels.txt", "1/../../labels.txt", "link.txt", "folder/labels.txt"])
def test_nothing_outside_of_the_model_is_read(tmp_path: Path, name: str) -> None:
    model = tmp_path / "m"
    (model / "1").mkdir(parents=True)
    (tmp_path / "m_too").mkdir()
    for folder in (tmp_path, tmp_path / "m_too"):
        (folder / "labels.txt").write_text("secret")
    os.symlink(tmp_path / "labels.txt", model / "link.txt")
    os.symlink(tmp_path / "m_too", model / "folder")
    with pytest.raises(LoadFailure) as caught:
        read_labels(config(name), str(model))
    assert caught.value.text == (
        f"label file path '{model}/{name}' for output 'OUT' in model 'm' is outside model directory"
    )
    assert caught.value.kind == "Unsupported"


def test_a_link_inside_of_the_model_is_followed(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat")
    os.symlink("labels.txt", tmp_path / "link.txt")
    assert read_labels(config("link.txt"), str(tmp_path)) == {"OUT": ("cat",)}
