"""A folder for files that the engine makes for its stubs: private, gone when the engine ends, and swept when it died.

The lock on the folder says that its engine lives; the kernel drops it with the process, whatever ended that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile

_PREFIX = "pyserve-engine-"


class Scratch:
    """One folder (0700), made when it is first needed."""

    def __init__(self, parent: str | None = None) -> None:
        self._parent = parent or tempfile.gettempdir()
        self._lock = -1
        self._path = ""

    @property
    def path(self) -> str:
        """The folder."""
        while not self._path:
            path = tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent)
            lock = _lock(path)
            if lock is not None:
                self._lock, self._path = lock, path
        return self._path

    def remove(self) -> None:
        """Delete it with all that is in it."""
        if self._path:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._lock)
            self._lock, self._path = -1, ""

    def sweep(self) -> None:
        """Delete what engines of this user left that have ended without doing it themselves."""
        left = []
        with contextlib.suppress(OSError), os.scandir(self._parent) as entries:
            left = [entry.path for entry in entries if entry.name.startswith(_PREFIX) and _is_ours(entry)]
        for path in left:  # the next sweep takes what this one cannot
            lock = _lock(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        return entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.getuid()
    return False


def _lock(path: str) -> int | None:
    """A descriptor that holds the lock; None when somebody else has it, or has just deleted the folder."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(folder), os.stat(path)):
            return folder
    except OSError:
        pass
    os.close(folder)
    return None
