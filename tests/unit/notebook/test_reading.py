from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.reading import read_config, read_source

TEXT = "class TritonPythonModel:\n    pass\n"


def test_a_text_is_itself() -> None:
    source, name, config = read_source(TEXT)
    assert (source.text, source.label, name, config) == (TEXT, "File model.py", None, None)


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(TEXT)
    for given in (file, str(file)):
        source, name, config = read_source(given)
        assert (source.text, source.label, name, config) == (TEXT, f"File {file}", None, None)


def test_a_model_directory_gives_its_newest_version_and_its_configuration(tmp_path: Path) -> None:
    for version in ("2", "10", "notes"):
        (tmp_path / "m" / version).mkdir(parents=True)
        (tmp_path / "m" / version / "model.py").write_text(f"# {version}\n")
    (tmp_path / "m" / "config.pbtxt").write_text("name: 'm'")
    source, name, config = read_source(tmp_path / "m")
    assert (source.text, name, config) == ("# 10\n", "m", "name: 'm'")


def test_what_can_not_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(PyServeError, match="has no version directory"):
        read_source(tmp_path)
    with pytest.raises(PyServeError, match="can't be read"):
        read_source(tmp_path / "none.py")
    (tmp_path / "latin.py").write_bytes(b"# \xff")
    with pytest.raises(PyServeError, match="can't be read"):
        read_source(tmp_path / "latin.py")


def test_a_configuration_is_a_text_or_a_path(tmp_path: Path) -> None:
    file = tmp_path / "config.pbtxt"
    file.write_text("max_batch_size: 8")
    assert read_config(str(file)) == read_config(file) == "max_batch_size: 8"
    assert read_config("max_batch_size: 4") == "max_batch_size: 4"
    assert read_config("a {}") == "a {}"
    assert read_config("") == ""
