from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyserve_share
import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import api, sharing
from jupyter_pyserve.notebook.exporting import config_text, shared_names, write_model
from tests.unit.notebook.fake_engine import ENGINE, FakeEngine

PLAIN = "class TritonPythonModel:\n    def execute(self, requests): ...\n"
SHARING = (
    f"import pyserve_share\nfrom pyserve_share import shared\nA = shared('a')\nB = pyserve_share.shared('b.c')\n{PLAIN}"
)
CONFIG = 'name: "m"\ninput { name: "X" data_type: TYPE_FP32 dims: 1 }\n'


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_plain_model_is_two_files(tmp_path: Path) -> None:
    model = write_model(tmp_path / "out", "m", PLAIN, CONFIG, overwrite=False)
    assert model == tmp_path / "out" / "m"
    assert files(model) == ["1/model.py", "config.pbtxt"]
    assert (model / "1" / "model.py").read_text() == PLAIN


def test_shared_arrays_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"a": np.arange(3), "b.c": np.ones((2, 2), np.float32)}
    monkeypatch.setattr(sharing, "array_of", arrays.get)
    model = write_model(tmp_path, "m", SHARING, CONFIG, overwrite=False)
    assert files(model) == [
        *("1/model.py", "1/pyserve_share.py", "1/shared/a.npy", "1/shared/b.c.npy"),
        "config.pbtxt",
    ]
    assert np.load(model / "1" / "shared" / "b.c.npy").dtype == np.float32
    assert (model / "1" / "pyserve_share.py").read_text() == Path(pyserve_share.__file__).read_text()


def test_an_array_that_is_not_shared_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(PyServeError, match="uses the shared array 'a', which this kernel does not share"):
        write_model(tmp_path, "m", SHARING, CONFIG, overwrite=False)
    assert files(tmp_path) == []


def test_what_is_there_is_replaced_only_when_that_is_asked_for(tmp_path: Path) -> None:
    write_model(tmp_path, "m", PLAIN, CONFIG, overwrite=False)
    (tmp_path / "m" / "1" / "old.py").touch()
    (tmp_path / "m" / "labels.txt").touch()
    with pytest.raises(PyServeError, match="overwrite=True") as caught:
        write_model(tmp_path, "m", "", CONFIG, overwrite=False)
    assert caught.value.code is Code.ALREADY_EXISTS
    write_model(tmp_path, "m", f"# new\n{PLAIN}", CONFIG, overwrite=True)
    assert files(tmp_path / "m") == ["1/model.py", "config.pbtxt", "labels.txt"]


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PyServeError, match="can't be written"):
        write_model(tmp_path / "file", "m", PLAIN, CONFIG, overwrite=False)


def test_names_that_are_written_there() -> None:
    assert shared_names("shared('b')\nx.shared('a')\nshared(name)\nother('c')\nshared()") == ["a", "b"]


def test_a_configuration_that_a_server_tells() -> None:
    tree = {"name": "m", "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": ["-1"]}]}
    assert 'name: "X"' in config_text(tree)


def test_a_cell_and_a_function_by_name_or_as_they_are(
    engine: FakeEngine, shell: InteractiveShell, tmp_path: Path
) -> None:
    def run(cell: str) -> None:
        shell.run_cell(cell, store_history=True).raise_error()  # type: ignore[no-untyped-call]

    run("import jupyter_pyserve as pyserve\nOFFSET = 3")
    run("@pyserve.model\ndef twice(x: int) -> int:\n    return 2 * x + OFFSET")
    run(f"%%pyserve model celled --input X:FP32:1 --output Y:FP32:1\n{PLAIN.replace('...', 'return OFFSET')}")
    run(f"pyserve.export('twice', {str(tmp_path)!r})\npyserve.export('celled', {str(tmp_path)!r})")
    run(f"pyserve.export(twice, {str(tmp_path / 'again')!r})")
    assert (tmp_path / "again" / "twice" / "1" / "model.py").read_text() == shell.user_ns["twice"].model_py
    assert "OFFSET = 3" in (tmp_path / "celled" / "1" / "model.py").read_text()
    assert "TYPE_INT64" in (tmp_path / "twice" / "config.pbtxt").read_text()


def test_a_model_that_is_served_is_taken_from_its_repository(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models"
    (repository / "add_one" / "2").mkdir(parents=True)
    (repository / "add_one" / "2" / "model.py").write_text(PLAIN)
    served: dict[str, Any] = {"name": "add_one", "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": ["1"]}]}
    engine.answer("GET", "/v2/models/add_one/config", json=served)
    monkeypatch.setattr(sharing, "array_of", {}.get)
    with pytest.raises(PyServeError, match="not on this machine"):
        api.export("add_one", tmp_path / "out")
    monkeypatch.setitem(ENGINE, "repositories", [str(repository)])
    model = api.export("add_one", tmp_path / "out")
    assert (model / "1" / "model.py").read_text() == PLAIN
    assert 'name: "X"' in (model / "config.pbtxt").read_text()
