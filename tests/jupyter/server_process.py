"""A Jupyter server in a process of its own, for what can only be seen from outside: memory, and sudden death."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKEN = "a-token-for-tests"
DEADLINE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class ServerProcess:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    runtime: Path
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def engine_folders(self) -> list[Path]:
        return list(self.runtime.glob("pyserve-*"))

    def peak_rss(self) -> int:
        """The most memory it has used since the last reset, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024

    def reset_peak_rss(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


@contextmanager
def running_server(folder: Path, traits: dict[str, Any]) -> Iterator[ServerProcess]:
    """Starts one with nothing of the user's own, and kills it at the end if it still runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": port,
            "port_retries": 0,
            "root_dir": str(folder / "root"),
            "open_browser": False,
            "allow_root": True,
            "jpserver_extensions": {"jupyter_pyserve": True},
        },
        "IdentityProvider": {"token": TOKEN},
        "PyServe": traits,
    }
    (folder / "jupyter_server_config.json").write_text(json.dumps(config))
    (folder / "root").mkdir(exist_ok=True)
    runtime = folder / "run"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYSERVE_")}
    environment |= {"JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_DATA_DIR": str(folder / "data")}
    environment |= {"JUPYTER_RUNTIME_DIR": str(runtime)}
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server"], env=environment, cwd=folder, stdout=stream, stderr=stream
        )
    try:
        wait_until(lambda: answers(port), f"the server answers; {log.read_text()}")
        yield ServerProcess(process=process, port=port, runtime=runtime, log=log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token={TOKEN}", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def wait_until(condition: Any, what: str) -> None:
    """Polls what another process does; fails when the deadline passes."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
