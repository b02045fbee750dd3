from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jupyter_pyserve.engine.environments.stub_archive import write_stub_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "stub.zip"
    write_stub_archive(str(path))
    return path


def test_it_holds_the_stub_and_nothing_of_the_engine(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    roots = {name.partition("/")[0] for name in names}
    assert roots == {"__main__.py", "triton_python_backend_utils.py", "pyserve_share.py", "pyserve_stub"}
    assert {"pyserve_stub/__init__.py", "pyserve_stub/loop.py", "pyserve_stub/wire/frames.py"} <= set(names)
    assert all(name.endswith(".py") for name in names)


def test_what_it_runs_is_the_entry(archive: Path) -> None:
    packed = zipfile.ZipFile(archive)
    assert packed.read("__main__.py") == packed.read("pyserve_stub/entry.py")


def test_everything_comes_from_it(archive: Path) -> None:
    script = (
        "import json, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import triton_python_backend_utils\n"
        "from pyserve_stub import birth, entry\n"
        "own = ('pyserve_stub', 'triton_python_backend_utils', 'jupyter_pyserve')\n"
        "print(json.dumps({name: m.__file__ for name, m in sys.modules.items() if name.partition('.')[0] in own}))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", script, str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=archive.parent, check=True)
    files = json.loads(done.stdout)
    assert {"pyserve_stub.loop", "pyserve_stub.wire.frames", "triton_python_backend_utils"} <= set(files)
    assert {path.partition("stub.zip/")[0] for path in files.values()} == {f"{archive.parent}/"}
    assert not {name for name in files if name.startswith("jupyter_pyserve")}


def test_what_a_try_that_failed_has_left_is_overwritten(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "stub.zip"
    path.write_bytes(archive.read_bytes()[:1000])
    write_stub_archive(str(path))
    assert zipfile.ZipFile(path).namelist() == zipfile.ZipFile(archive).namelist()
