"""Gates: a test holds a model inside a request, knows when it is there, and lets it go; nobody guesses at times."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tests.process.waiting import wait_until


class Gate:
    """A named pipe. Who opens it for reading waits until the test has let him go."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self._writer = -1

    def __str__(self) -> str:
        return str(self._path)

    def wait_until_entered(self) -> None:
        """Wait until a model stands in the gate; it stays there."""
        if self._writer < 0:
            wait_until(self._entered, f"somebody stands in {self._path.name}")

    def open(self) -> None:
        """Let go whoever stands in the gate, once there is somebody."""
        self.wait_until_entered()
        self.close()

    def close(self) -> None:
        """Hold no descriptor any more."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1

    def _entered(self) -> bool:
        try:
            self._writer = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        return True
