from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_pyserve.engine.repository.overrides import Homes, Override
from jupyter_pyserve.errors import PyServeError


def test_parameters_of_a_load() -> None:
    assert Override.of(None, None) is None
    assert Override.of(None, {}) is None
    assert Override.of("", None) == Override(config="")
    assert Override.of("{}", {"a": b"b"}) == Override(config="{}", files={"a": b"b"})
    with pytest.raises(PyServeError, match="Load parameter 'config' must be specified for model file override"):
        Override.of(None, {"a": b"b"})


def test_files_are_laid_out(tmp_path: Path) -> None:
    homes = Homes(str(tmp_path))
    home = Path(homes.lay_out({"1/model.py": b"code", "/1/deep/data": b"\0", "1/../top": b""}))
    files = {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert files == {"1/model.py": b"code", "1/deep/data": b"\0", "top": b""}
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "1/../../x", "1/../../../../x", "a\0b"])
def test_nothing_is_written_outside(name: str, tmp_path: Path) -> None:
    with pytest.raises(PyServeError, match="must stay within model directory"):
        Homes(str(tmp_path)).lay_out({"1/model.py": b"", name: b"x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("files", [{"1": b"", "1/model.py": b""}, {"n" * 300: b""}])
def test_names_that_the_file_system_refuses(files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(PyServeError, match="failed to open binary file for write"):
        Homes(str(tmp_path)).lay_out(files)
    assert list(tmp_path.iterdir()) == []


def test_the_last_guest_gives_the_directory_back(tmp_path: Path) -> None:
    homes = Homes(str(tmp_path))
    home = homes.lay_out({"x": b""})
    homes.hold(home, ("first", "second"))
    assert homes.leave("first") is None
    assert homes.leave("nobody") is None
    assert homes.leave("second") == home
    homes.hold(home, ("third",))
    homes.close()
    assert list(tmp_path.iterdir()) == []
