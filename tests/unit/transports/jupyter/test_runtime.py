"""The runtime directory: modes, names, sockets, cleaning up, and what is left by servers that were killed."""

from __future__ import annotations

import logging
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_pyserve.transports.jupyter import runtime
from jupyter_pyserve.transports.jupyter.runtime import RuntimeDir, default_parents, sweep

LOG = logging.getLogger(__name__)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """pytest's own temporary folders may be too long for a socket's address."""
    with tempfile.TemporaryDirectory(prefix="ps") as path:
        yield Path(path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_only_the_owner_gets_in(short_path: Path) -> None:
    before = os.umask(0)
    try:
        directory = RuntimeDir.create([short_path])
    finally:
        os.umask(before)
    assert mode(directory.path) == 0o700
    assert {path.name: mode(path) for path in directory.path.iterdir()} == {
        "http.sock": 0o600,
        "lane.sock": 0o600,
        "lock": 0o600,
    }
    directory.remove()


def test_the_sockets_listen_and_do_not_block(short_path: Path) -> None:
    directory = RuntimeDir.create([short_path])
    for listener, kind in ((directory.http, socket.SOCK_STREAM), (directory.lane, socket.SOCK_SEQPACKET)):
        assert not listener.getblocking()
        assert not listener.get_inheritable()
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.connect(listener.getsockname())
    assert directory.address == directory.http.getsockname()
    directory.remove()


def test_removing_leaves_nothing_and_may_be_repeated(short_path: Path) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    directory = RuntimeDir.create([short_path])
    (directory.path / "state.json").write_text("{}")
    directory.remove()
    directory.remove()
    assert list(short_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_names_are_random(short_path: Path) -> None:
    directories = [RuntimeDir.create([short_path]) for _ in range(2)]
    assert directories[0].path != directories[1].path
    for directory in directories:
        directory.remove()


def test_a_parent_that_is_too_long_is_passed_over(short_path: Path) -> None:
    directory = RuntimeDir.create([short_path / ("x" * 90), short_path])
    assert directory.path.parent == short_path
    directory.remove()


def test_no_place_is_an_error_that_says_why(short_path: Path) -> None:
    (short_path / "file").touch()
    with pytest.raises(OSError, match=r"too long for a socket's address; .*file/sub: Not a directory") as failure:
        RuntimeDir.create([short_path / ("x" * 90), short_path / "file" / "sub"])
    assert "no place for the engine's sockets" in str(failure.value)


def test_a_failure_half_way_leaves_nothing(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "LANE_SOCKET", "no/such/folder")
    with pytest.raises(OSError):
        RuntimeDir.create([short_path])
    assert list(short_path.iterdir()) == []


def test_sweeping_removes_what_nobody_holds(short_path: Path) -> None:
    alive = RuntimeDir.create([short_path])
    killed = RuntimeDir.create([short_path])
    killed._undo.pop_all()  # as if its process had been killed: descriptors closed, files left
    os.close(killed._lock_fd)
    for listener in (killed.http, killed.lane):
        listener.close()
    foreign = short_path / "pyserve-00000000-another-host"
    foreign.mkdir()
    (foreign / "lock").touch()
    unfinished = short_path / f"{runtime._prefix()}without-lock"
    unfinished.mkdir()
    (short_path / f"{runtime._prefix()}a-file").touch()
    sweep([short_path, short_path / "absent"], LOG)
    assert not killed.path.exists()
    assert alive.path.exists()
    assert foreign.exists()
    assert unfinished.exists()
    alive.remove()


@pytest.mark.parametrize(
    ("root_dir", "expected"),
    [
        ("/elsewhere", ["/home/u/jupyter", "/run/user/7", tempfile.gettempdir()]),
        # Its neighbour has a name that starts the same.
        ("/home/u/jup", ["/home/u/jupyter", "/run/user/7", tempfile.gettempdir()]),
        ("/home/u", ["/run/user/7", tempfile.gettempdir(), "/home/u/jupyter"]),
        ("/", ["/home/u/jupyter", "/run/user/7", tempfile.gettempdir()]),
    ],
)
def test_parents_that_are_served_as_files_come_last(
    root_dir: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert default_parents("/home/u/jupyter", root_dir=root_dir) == [Path(path) for path in expected]


def test_a_hidden_folder_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    hidden = "/home/u/.local/share/jupyter/runtime"
    assert default_parents(hidden, root_dir="/home/u") == [Path(hidden), Path(tempfile.gettempdir())]
