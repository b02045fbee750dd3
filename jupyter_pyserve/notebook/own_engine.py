"""An engine of this kernel's own, where no Jupyter server has one: plain IPython, VS Code, a script.

Owns the process, its private folder with the two sockets, and their end: the engine stops with this process, however
that ends, because it reads the other end of a pipe. Decides nothing about when one is wanted.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.address import RUNTIME_DIR_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE, Address

REPOSITORY = "model_repository"
_BACKLOG = 128
_STOP_TIMEOUT_S = 10.0
_LAST_WORDS = 20
#: Of the kernel's environment what only makes sense in a kernel.
_KERNELS_OWN = ("MPLBACKEND", "JPY_PARENT_PID", "JPY_SESSION_NAME")


class OwnEngine:
    """The engine; `ensure` starts it, and starts it again when it has died."""

    def __init__(self, repository: Path, *, command: Sequence[str] = (sys.executable, "-m", "jupyter_pyserve")) -> None:
        self.repository = repository
        self._command = command
        self._pid = os.getpid()
        self._token = secrets.token_hex(16)
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._process: subprocess.Popen[bytes] | None = None
        self._url: str | None = None
        self._readers: list[threading.Thread] = []
        self.folder = Path(tempfile.mkdtemp(prefix="pyserve-"))
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._sockets = [
                undo.enter_context(_listen(self.folder / "http.sock", socket.SOCK_STREAM)),
                undo.enter_context(_listen(self.folder / "lane.sock", socket.SOCK_SEQPACKET)),
            ]
            self._undo = undo.pop_all()

    @property
    def address(self) -> Address:
        """How this process reaches it."""
        return Address(runtime_dir=self.folder, url=self._url, token=self._token)

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def belongs_here(self) -> bool:
        """Whether this process started it, and is not a fork of the one that did."""
        return self._pid == os.getpid()

    def start(self) -> None:
        """Start it and wait until it serves."""
        self.repository.mkdir(parents=True, exist_ok=True)
        self._close_pipes()
        http, lane = (sock.fileno() for sock in self._sockets)
        options = {
            "--runtime-dir": str(self.folder),
            "--model-repository": str(self.repository),
            "--model-control-mode": "explicit",
            "--http-fd": str(http),
            "--lane-fd": str(lane),
            "--http-port": "0",
            "--http-address": "127.0.0.1",
            "--allow-grpc": "false",
            "--exit-on-error": "false",
        }
        environment = {key: value for key, value in os.environ.items() if key not in _KERNELS_OWN}
        self._process = subprocess.Popen(
            [*self._command, "engine", *(word for pair in options.items() for word in pair)],
            env=environment | {TOKEN_VARIABLE: self._token},
            pass_fds=(http, lane),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # an interrupt in the terminal is for the kernel
        )
        self._read(self._process.stderr)
        try:
            self._url = self._await_ready(self._process)
        except BaseException:  # an interrupt, too: nobody would know of it
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._read(self._process.stdout)

    def publish(self) -> None:
        """Let what this kernel starts, `!curl` for one, find it as it finds a Jupyter server's."""
        os.environ[RUNTIME_DIR_VARIABLE] = str(self.folder)
        os.environ[TOKEN_VARIABLE] = self._token
        if self._url is not None:
            os.environ[URL_VARIABLE] = self._url

    def stop(self) -> None:
        """End it and delete its folder."""
        if not self.belongs_here:
            return
        process = self._process
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._close_pipes()
        self._undo.close()

    def _await_ready(self, process: subprocess.Popen[bytes]) -> str | None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict) and found.get("event") == "ready":
                    return str(found["http_url"])
                if isinstance(found, dict) and "event" in found:
                    continue
            self._words.append(line.decode("utf-8", "replace").rstrip())
        status = process.wait()
        raise PyServeError(
            Code.UNAVAILABLE, f"the engine ended with status {status} before it was ready: {' | '.join(self._words)}"
        )

    def _listen(self, pipe: IO[bytes]) -> None:
        """Read what it says, so that the pipe is never full, and keep the last of it."""
        with pipe:
            for line in pipe:
                self._words.append(line.decode("utf-8", "replace").rstrip())

    def _read(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        reader = threading.Thread(target=self._listen, args=(pipe,), name="pyserve-engine-output", daemon=True)
        self._readers.append(reader)
        reader.start()

    def _close_pipes(self) -> None:
        """After its end."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        for reader in self._readers:
            reader.join(_STOP_TIMEOUT_S)
        self._readers.clear()


_own: OwnEngine | None = None
_lock = threading.Lock()


def is_wanted() -> bool:
    """Whether nothing in the environment leads to an engine, or what leads to one is our own."""
    if _own is not None and _own.belongs_here:
        return True
    return not os.environ.get(RUNTIME_DIR_VARIABLE) and not os.environ.get(URL_VARIABLE)


def is_at(address: Address) -> bool:
    """Whether an address is that of this process's own engine, whichever way it was found."""
    return _own is not None and _own.belongs_here and address.runtime_dir == _own.folder


def ensure() -> Address:
    """The address of this process's own engine, which is started if it does not run; a line tells the user so."""
    global _own
    with _lock:
        if _own is None or not _own.belongs_here:
            _own = OwnEngine(Path(REPOSITORY).absolute())
            atexit.register(_own.stop)
        engine = _own
        if not engine.is_alive:
            again = "again " if engine.address.url is not None else ""
            try:
                engine.start()
            except OSError as error:
                raise PyServeError(Code.UNAVAILABLE, f"no engine can be started here: {error}") from error
            engine.publish()
            _say(
                f"pyserve: no Jupyter server has an engine for this kernel, so one of its own is started {again}"
                f"({engine.address.url}, models in {engine.repository})"
            )
        return engine.address


def _say(text: str) -> None:
    stream = sys.stdout if "IPython" in sys.modules else sys.stderr
    stream.write(f"{text}\n")
    stream.flush()


def _listen(path: Path, kind: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, kind)
    try:
        listener.bind(str(path))  # in a folder that is private already
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
