from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jupyter_pyserve.engine.environments.scratch import Scratch


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_is_made_when_it_is_needed_and_nobody_else_may_look_in(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    assert names(tmp_path) == set()
    path = Path(scratch.path)
    assert path.parent == tmp_path
    assert path.stat().st_mode & 0o7777 == 0o700
    assert scratch.path == str(path)
    scratch.remove()


def test_it_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    scratch = Scratch(str(tmp_path))
    Path(scratch.path, "a").mkdir()
    Path(scratch.path, "a", "b").write_text("x")
    Path(scratch.path, "link").symlink_to(tmp_path)
    scratch.remove()
    scratch.remove()
    assert names(tmp_path) == set()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_lives_is_not_swept(tmp_path: Path) -> None:
    one, two = Scratch(str(tmp_path)), Scratch(str(tmp_path))
    paths = {Path(one.path).name, Path(two.path).name}
    Scratch(str(tmp_path)).sweep()
    one.sweep()
    assert names(tmp_path) == paths
    one.remove()
    two.remove()


def test_what_a_killed_engine_left_is_swept(tmp_path: Path) -> None:
    script = """
        import pathlib, signal, sys
        from jupyter_pyserve.engine.environments.scratch import Scratch
        scratch = Scratch(sys.argv[1])
        pathlib.Path(scratch.path, "0").mkdir()
        print(flush=True)
        signal.pause()
    """
    with subprocess.Popen(
        [sys.executable, "-c", "\n".join(line.strip() for line in script.splitlines()), str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        left = names(tmp_path)
        assert len(left) == 1
        Scratch(str(tmp_path)).sweep()
        assert names(tmp_path) == left
        process.send_signal(signal.SIGKILL)
    assert names(tmp_path) == left
    Scratch(str(tmp_path)).sweep()
    assert names(tmp_path) == set()


def test_what_is_not_a_folder_of_ours_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "pyserve-engine-link").symlink_to("elsewhere")
    (tmp_path / "pyserve-engine-file").touch()
    (tmp_path / "pyserve-token").mkdir()
    before = names(tmp_path)
    Scratch(str(tmp_path)).sweep()
    assert names(tmp_path) == before
    (tmp_path / "pyserve-engine-theirs").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    Scratch(str(tmp_path)).sweep()
    assert names(tmp_path) == before | {"pyserve-engine-theirs"}


def test_a_folder_that_cannot_be_looked_through_is_no_error(tmp_path: Path) -> None:
    Scratch(str(tmp_path / "gone")).sweep()


def test_a_folder_that_is_swept_while_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    flock = fcntl.flock

    def lock(descriptor: int, operation: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            Scratch(str(tmp_path)).sweep()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)
    scratch = Scratch(str(tmp_path))
    assert Path(scratch.path).is_dir()
    assert len(calls) == 3  # ours that came too late, the sweeper's, and ours again
    scratch.remove()


def test_a_folder_that_is_swept_while_it_is_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    mkdtemp = tempfile.mkdtemp

    def make(**arguments: str) -> str:
        made.append(mkdtemp(**arguments))
        if len(made) == 1:
            Scratch(str(tmp_path)).sweep()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", make)
    scratch = Scratch(str(tmp_path))
    assert scratch.path == made[1]
    assert names(tmp_path) == {Path(made[1]).name}
    scratch.remove()
