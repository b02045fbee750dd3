from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyserve_share
import pytest
from pyserve_stub.host import Host, get_host, set_host
from pyserve_stub.vocabulary import TritonModelException


class Sharing(Host):
    def __init__(self, array: np.ndarray[Any, Any] | None) -> None:
        super().__init__()
        self._array = array

    def shared_array(self, name: str) -> Any:
        if self._array is None:
            raise TritonModelException(f"nobody shares '{name}'")
        return self._array


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pyserve_share, "_arrays", {})
    before = get_host()
    yield
    set_host(before)


def model_in(folder: Path) -> Any:
    """`shared` as a model in that folder calls it."""
    namespace: dict[str, Any] = {"__file__": str(folder / "model.py")}
    exec("from pyserve_share import shared\ndef ask(name):\n    return shared(name)", namespace)
    return namespace["ask"]


def test_the_servers_array_is_the_one(tmp_path: Path) -> None:
    array = np.ones(3)
    set_host(Sharing(array))
    assert model_in(tmp_path)("w") is array
    set_host(Sharing(None))
    assert model_in(tmp_path)("w") is array  # known by now


def test_without_a_server_it_is_a_file_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    np.save(tmp_path / "shared" / "w.npy", np.arange(4))
    array = model_in(tmp_path)("w")
    assert array.tolist() == [0, 1, 2, 3]
    assert not array.flags.writeable
    assert isinstance(array, np.memmap)


def test_what_is_nowhere_says_what_to_do(tmp_path: Path) -> None:
    set_host(Sharing(None))
    with pytest.raises(LookupError) as caught:
        model_in(tmp_path)("w")
    text = str(caught.value)
    assert 'pyserve.share("w", array)' in text
    assert f"{tmp_path}/shared/w.npy" in text
    assert "nobody shares 'w'" in text


def test_a_name_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    np.save(tmp_path / "secret.npy", np.ones(1))
    with pytest.raises(LookupError):
        model_in(tmp_path)("../secret")


def test_it_needs_nothing_of_this_project(tmp_path: Path) -> None:
    source = Path(pyserve_share.__file__).read_text()
    (tmp_path / "pyserve_share.py").write_text(source)
    (tmp_path / "shared").mkdir()
    np.save(tmp_path / "shared" / "w.npy", np.arange(4))
    (tmp_path / "model.py").write_text("from pyserve_share import shared\nprint(shared('w').sum())")
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.modules['pyserve_stub'] = None; sys.path[:0] = [{str(tmp_path)!r}]; import model",
    ]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "6\n"
