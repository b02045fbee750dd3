"""The engine's runtime directory: a private folder with the two listening sockets, and nothing left of it afterwards.

Owns the sockets for as long as the Jupyter server runs, so that clients wait in their backlog while an engine starts or
restarts. Knows nothing of processes.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import socket
import stat
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

HTTP_SOCKET: Final = "http.sock"
LANE_SOCKET: Final = "lane.sock"
_LOCK: Final = "lock"
_BACKLOG: Final = 1024
# sizeof(sockaddr_un.sun_path), with its terminating zero.
_LONGEST_ADDRESS: Final = 107


class RuntimeDir:
    """A folder of mode 0700 with a random name, its lock, and the listening sockets in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, path, ignore_errors=True)
            self._lock_fd = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            undo.callback(os.close, self._lock_fd)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.http = _listen(path / HTTP_SOCKET, socket.SOCK_STREAM)
            undo.callback(self.http.close)
            self.lane = _listen(path / LANE_SOCKET, socket.SOCK_SEQPACKET)
            undo.callback(self.lane.close)
            self._undo = undo.pop_all()

    @classmethod
    def create(cls, parents: Sequence[Path]) -> RuntimeDir:
        """Makes one under the first parent that can hold it: a socket's address must be short."""
        problems: list[str] = []
        for parent in parents:
            name = f"{_prefix()}{secrets.token_hex(8)}"
            if len(os.fsencode(parent / name / LANE_SOCKET)) > _LONGEST_ADDRESS:
                problems.append(f"{parent}: too long for a socket's address")
                continue
            try:
                parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                (parent / name).mkdir(mode=0o700)
            except OSError as error:
                problems.append(f"{parent}: {error.strerror}")
                continue
            return cls(parent / name)
        raise OSError(f"no place for the engine's sockets ({'; '.join(problems)})")

    @property
    def address(self) -> str:
        """Where the engine's HTTP socket is."""
        return str(self.path / HTTP_SOCKET)

    def remove(self) -> None:
        """Closes the sockets and deletes the folder; safe to call twice."""
        self._undo.close()


def default_parents(jupyter_runtime_dir: str, *, root_dir: str) -> list[Path]:
    """Where a runtime directory may be, best first: what Jupyter serves as files comes last."""
    candidates = [jupyter_runtime_dir, os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()]
    root = Path(root_dir).expanduser().resolve()
    return sorted((Path(parent) for parent in candidates if parent), key=lambda parent: _is_served(parent, root))


def sweep(parents: Sequence[Path], log: logging.Logger) -> None:
    """Deletes what servers of this host left when they were killed: folders whose lock nobody holds."""
    for parent in dict.fromkeys(parents):
        with suppress(OSError):
            for path in list(parent.glob(f"{_prefix()}*")):
                if _is_stale(path):
                    shutil.rmtree(path, ignore_errors=True)
                    log.info("removed %s, left by a server that was killed", path)


def _is_served(parent: Path, root: Path) -> bool:
    """Whether the contents API would show it; hidden folders it does not show."""
    path = parent.resolve()
    return path.is_relative_to(root) and not any(part.startswith(".") for part in path.relative_to(root).parts)


def _prefix() -> str:
    # A home on a network drive has the folders of several hosts, and their locks may not be seen from here.
    return f"pyserve-{zlib.crc32(socket.gethostname().encode()):08x}-"


def _is_stale(path: Path) -> bool:
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False
        fd = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        # Without a lock file it is being made at this very moment, or it is not ours.
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _listen(path: Path, kind: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, kind)
    try:
        # The folder is private already, so nobody can connect before the mode is set.
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
