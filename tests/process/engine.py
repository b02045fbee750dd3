"""A real engine in a process of its own, started as the Jupyter extension starts it or by `serve`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jupyter_pyserve
from jupyter_pyserve.transports.lane.client import Lane
from tests.process import machine
from tests.process.client import Answer, Array, Client
from tests.process.gates import Gate
from tests.process.waiting import wait_until

TOKEN = "canary-3f1d8a57c0"
#: Where the sources under test are.
ROOT = Path(jupyter_pyserve.__file__).parents[1]


class Engine:
    """A running engine, its repository, and ways to talk to it."""

    def __init__(self, folder: Path, arguments: Sequence[str], limits: Callable[[], None] | None) -> None:
        self.folder = folder
        self.repository = folder / "models"
        self.log = folder / "engine.log"
        self._requests = ThreadPoolExecutor(64)
        self._gates: list[Gate] = []
        with (
            self._listen(folder, socket.SOCK_STREAM, "http.sock") as http,
            self._listen(folder, socket.SOCK_SEQPACKET, "lane.sock") as lane,
        ):
            words = ["--runtime-dir", str(folder), "--http-fd", str(http.fileno()), "--lane-fd", str(lane.fileno())]
            words += ["--model-repository", str(self.repository), "--model-control-mode", "explicit"]
            self.process = self._start(
                [*words, "--http-port", "0", "--metrics-port", "0", *arguments], (http, lane), limits
            )
        self.http = Client(str(folder / "http.sock"))

    @staticmethod
    def _listen(folder: Path, kind: socket.SocketKind, name: str) -> socket.socket:
        (folder / name).unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.bind(str(folder / name))
        sock.listen(1024)
        return sock

    def _start(
        self, words: Sequence[str], inherited: Sequence[socket.socket], limits: Callable[[], None] | None
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "jupyter_pyserve", "engine", *words],
                env=environment() | {"PYSERVE_TOKEN": TOKEN},
                pass_fds=[sock.fileno() for sock in inherited],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                preexec_fn=limits,
            )

    def wait_until_ready(self) -> None:
        """Wait for the line that says so; the one before it says that models are loaded now."""
        assert self._hear()["event"] == "loading"
        ready = self._hear()
        assert ready["event"] == "ready"
        self.grpc_url: str = ready["grpc_url"]
        port = int(ready["http_url"].rpartition(":")[2])
        self.tcp = Client(("127.0.0.1", port), TOKEN)

    def _hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        return json.loads(line)

    # -- what runs ----------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return self.process.pid

    def tree(self) -> list[int]:
        """Every process below the engine."""
        return machine.descendants(self.pid)

    def zygote(self) -> int:
        """The process that starts stubs."""
        return next(pid for pid in self.tree() if machine.title(pid) == "pyserve_zygote")

    def stubs(self) -> list[int]:
        """The stubs that run."""
        return [pid for pid in self.tree() if machine.title(pid).startswith("pyserve_stub ")]

    # -- models -------------------------------------------------------------------------------------------------------

    def load(self, name: str) -> None:
        """Load a model that lies in the repository."""
        answer = self.http.post(f"/v2/repository/models/{name}/load")
        assert answer.status == 200, answer

    def unload(self, name: str) -> None:
        """Take it away again."""
        assert self.http.post(f"/v2/repository/models/{name}/unload").status == 200

    def ready(self, name: str = "") -> bool:
        """The readiness of a model, or of the server."""
        return self.http.get(f"/v2/models/{name}/ready" if name else "/v2/health/ready").status == 200

    def model(self, name: str) -> dict[str, Any]:
        """What the status says of a model."""
        found: dict[str, Any] = next(item for item in self.models() if item["name"] == name)
        return found

    def models(self) -> list[dict[str, Any]]:
        """What the status says of all models."""
        models: list[dict[str, Any]] = self.http.get("/api/status").json()["models"]
        return models

    def instances(self, name: str) -> list[dict[str, Any]]:
        """What the status says of a model's instances."""
        found: list[dict[str, Any]] = self.model(name)["instances"]
        return found

    def pids(self, name: str) -> list[int]:
        """The processes of a model's instances."""
        return [item["pid"] for item in self.instances(name)]

    def index(self, name: str) -> dict[str, Any]:
        """The first row of a model in the repository index."""
        rows = self.http.post("/v2/repository/index").json()
        found: dict[str, Any] = next(row for row in rows if row["name"] == name)
        return found

    def inference_stats(self, name: str) -> dict[str, Any]:
        """The counters of a model's first version."""
        (row, *_) = self.http.get(f"/v2/models/{name}/stats").json()["model_stats"]
        found: dict[str, Any] = row["inference_stats"]
        return found

    def logs(self, name: str) -> list[dict[str, Any]]:
        """What a model printed and logged."""
        records: list[dict[str, Any]] = self.http.get(f"/api/models/{name}/logs").json()["records"]
        return records

    def said(self, name: str, start: str, count: int = 1) -> list[dict[str, Any]]:
        """The records of a model's that begin like this, once there are so many.

        What a model prints comes by a way of its own, maybe after what it answers.
        """

        def records() -> list[dict[str, Any]]:
            return [record for record in self.logs(name) if record["text"].startswith(start)]

        wait_until(lambda: len(records()) >= count, lambda: f"'{start}' is said: {self.logs(name)}")
        return records()

    def deploy(self, name: str, source: str, config: str | None = None) -> list[dict[str, Any]]:
        """Deploy a model; all events."""
        answer = self.http.post(f"/api/models/{name}/deploy", {"source": source, "config": config})
        assert answer.status == 200, answer
        return [json.loads(line) for line in answer.body.splitlines()]

    # -- requests -----------------------------------------------------------------------------------------------------

    def infer(self, model: str, inputs: Mapping[str, Array], **options: Any) -> Answer:
        """An inference over the Unix socket."""
        return self.http.infer(model, inputs, **options)

    def infer_later(self, model: str, inputs: Mapping[str, Array], **options: Any) -> Future[Answer]:
        """The same in a thread."""
        return self._requests.submit(self.http.infer, model, inputs, **options)

    def later(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Anything else in a thread."""
        return self._requests.submit(work, *arguments)

    def lane(self) -> Lane:
        """A new lane."""
        return Lane.connect(str(self.folder / "lane.sock"))

    def gate(self) -> Gate:
        """A new gate."""
        gate = Gate(self.folder / f"gate-{len(self._gates)}")
        self._gates.append(gate)
        return gate

    # -- the end ------------------------------------------------------------------------------------------------------

    def stop(self) -> int:
        """Ask it to end, and wait; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill_and_start_again(self, *arguments: str) -> None:
        """What the extension does after a crash, minus the crash itself: same folder, new sockets."""
        assert self.process.poll() is not None
        log, requests = self.log, self._requests
        self.close_pipes()
        Engine.__init__(self, self.folder, arguments, None)
        requests.shutdown(wait=False)
        assert self.log == log
        self.wait_until_ready()

    def close_pipes(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def close(self) -> None:
        """End everything that was started here, whatever state it is in."""
        seen = self.tree() if self.process.poll() is None else []
        for gate in self._gates:
            gate.close()
        self.process.kill()
        self.process.wait()
        self.close_pipes()
        self._requests.shutdown(wait=False, cancel_futures=True)
        for pid in seen:
            if not machine.is_gone(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Ours, without what another engine may have left in it, and with the sources on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYSERVE_")}
    return kept | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'stub'}"}


@contextlib.contextmanager
def running_engine(*arguments: str, limits: Callable[[], None] | None = None) -> Iterator[Engine]:
    """An engine that is ready, in a folder of its own; whatever is left of it is ended afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ps"))  # pytest's folders can be too long for a socket's address
    (folder / "models").mkdir()
    engine = Engine(folder, arguments, limits)
    try:
        engine.wait_until_ready()
        yield engine
    finally:
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """`serve`, as it runs in a terminal."""

    def __init__(self, repository: Path, log: Path, arguments: Sequence[str]) -> None:
        self.log = log
        words = ["serve", "--model-repository", str(repository), "--http-port", "0", "--grpc-port", "0"]
        words += ["--metrics-port", "0", *arguments]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_pyserve", *words],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until_ready(self) -> Client:
        """Wait until it serves; a client for it."""
        found = wait_until(self._listening, self.log.read_text)
        return Client(("127.0.0.1", int(found.group(1))))

    def _listening(self) -> re.Match[str] | None:
        assert self.process.poll() is None, self.log.read_text()
        return re.search(r"Started HTTPService at 127\.0\.0\.1:(\d+)", self.log.read_text())

    @property
    def grpc_url(self) -> str:
        """Host and port, once it serves."""
        pattern = re.compile(r"Started GRPCInferenceService at (127\.0\.0\.1:\d+)")
        return wait_until(lambda: pattern.search(self.log.read_text()), self.log.read_text).group(1)

    def wait(self) -> int:
        """Its exit status."""
        return self.process.wait(60)

    def close(self) -> None:
        """End it and everything below it."""
        seen = machine.descendants(self.pid) if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in seen:
            if not machine.is_gone(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
