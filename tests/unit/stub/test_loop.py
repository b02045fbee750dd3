from __future__ import annotations

import mmap
import os
import platform
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import triton_python_backend_utils as pb_utils
from pyserve_stub.host import get_host, set_host
from pyserve_stub.loop import EngineHost, Stub
from pyserve_stub.spin import CALLED, OF_STUB
from pyserve_stub.status import BUSY, FINALIZING, LOADING, READY, SPAWNED, STATUS_NBYTES, read_status
from pyserve_stub.wire import frames
from pyserve_stub.wire.layout import WireError

from tests.unit.stub.rig import Rig

ECHO = """
    import triton_python_backend_utils as pb_utils

    class TritonPythonModel:
        def initialize(self, args):
            self.args = args

        def execute(self, requests):
            return [pb_utils.InferenceResponse(request.inputs()) for request in requests]
"""


class Loop(Rig):
    """A stub in a thread of the test, which is its engine."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        self.page = mmap.mmap(-1, STATUS_NBYTES)
        self.host = EngineHost(self.session)
        set_host(self.host)
        self.stub = Stub(self.session, self.host, self.page)
        self.ended: list[Any] = []
        self.thread = threading.Thread(target=self._run)
        self.notes: list[dict[str, Any]] = []
        self.calls = 0

    def _run(self) -> None:
        try:
            self.stub.run()
            self.ended.append(None)
        except BaseException as error:  # noqa: BLE001 - for the test to look at
            self.ended.append(error)

    def start(self) -> None:
        self.thread.start()
        hello = frames.decode_cold(self.next())
        interpreter = {"interpreter": sys.executable, "python": platform.python_version()}
        assert hello == {"op": "hello", "magic": "pyserve", "version": 1, **interpreter}

    def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        self.calls += 1
        self.tell(frames.CALL, {"id": self.calls, "op": op, **arguments})
        data = self.next()
        while data[0] != frames.REPLY:
            self.notes.append(frames.decode_cold(data))
            data = self.next()
        reply = frames.decode_cold(data)
        assert reply.pop("id") == self.calls
        return reply

    def load(self, source: str, **options: Any) -> dict[str, Any]:
        version = self.directory / "m" / "1"
        version.mkdir(parents=True, exist_ok=True)
        (version / "model.py").write_text(textwrap.dedent(source))
        known = {"model_dir": str(version.parent), "version": "1", "filename": "model.py", "model_name": "m"}
        return self.ask("load", **known, auto_complete=None, **options)

    def initialize(self, *, decoupled: bool = False) -> dict[str, Any]:
        return self.ask("initialize", args={"model_name": "m"}, instance_name="m_0", decoupled=decoupled)

    def serve(self, source: str = ECHO) -> None:
        assert self.load(source) == {"ok": True, "config": None}
        assert self.initialize() == {"ok": True}

    def infer(self, value: float) -> Any:
        self.sock.send(frames.encode_execute([self.request(IN=np.array([value]))]))
        return self.read(self.next())[0]

    def end(self) -> Any:
        self.thread.join()
        return self.ended[0]


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    host, modules = get_host(), set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    monkeypatch.setattr(pb_utils, "get_model_dir", None)
    made = Loop(tmp_path)
    made.start()
    yield made
    made.sock.close()
    made.thread.join()
    set_host(host)
    for name in set(sys.modules) - modules:
        if not name.startswith(("numpy", "hypothesis")):
            del sys.modules[name]
    made.close()


def test_a_model_is_loaded_and_serves(loop: Loop) -> None:
    assert read_status(loop.page).state == SPAWNED
    loop.serve()
    status = read_status(loop.page)
    assert (status.state, status.pid, status.requests, status.arena_capacity) == (READY, os.getpid(), 0, 1 << 16)
    answer = loop.infer(2.5)
    assert answer.outputs["IN"].tolist() == [2.5]
    assert loop.ask("nothing special") == {"ok": True}
    assert read_status(loop.page).requests == 1


def test_bundles_are_executed_in_order(loop: Loop) -> None:
    loop.serve()
    requests = [loop.request(IN=np.array([value])) for value in (1.0, 2.0, 3.0)]
    loop.sock.send(frames.encode_bundle([frames.encode_execute([request]) for request in requests]))
    answers = [loop.read(loop.next())[0] for _ in requests]
    assert [answer.outputs["IN"].tolist() for answer in answers] == [[1.0], [2.0], [3.0]]


def test_who_is_called_by_others_waits_awake_for_longer(loop: Loop) -> None:
    loop.serve()
    seen = []
    for flags in (0, frames.INNER, 0):
        loop.sock.send(frames.encode_execute([loop.request(IN=np.array([1.0]))], flags=flags))
        loop.read(loop.next())
        loop.ask("anything, when it is done with that")
        seen.append(loop.session.spinner.patience)
    assert seen == [OF_STUB, CALLED, OF_STUB]


def test_what_is_executed_is_shown(loop: Loop) -> None:
    shown: list[Any] = []
    loop.serve(ECHO)
    assert loop.stub._loader is not None
    execute = loop.stub._loader.model.execute

    def look(requests: list[Any]) -> Any:
        shown.append(read_status(loop.page))
        return execute(requests)

    loop.stub._loader.model.execute = look
    request = loop.request(IN=np.array([1.0]))
    loop.sock.send(frames.encode_execute([request], (5, 6)))
    loop.next()
    assert (shown[0].state, shown[0].current_request) == (BUSY, request.key)
    loop.ask("sync")
    assert (read_status(loop.page).state, read_status(loop.page).current_request) == (READY, 0)


def test_memory_that_comes_back_is_shown(loop: Loop) -> None:
    loop.serve(
        """
        import numpy, triton_python_backend_utils as pb_utils

        class TritonPythonModel:
            def execute(self, requests):
                return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", numpy.zeros(100))])]
        """
    )
    answer = loop.infer(1.0)
    loop.ask("sync")
    assert read_status(loop.page).arena_used == 1024
    loop.sock.send(frames.encode_keys(frames.RELEASE, (answer.descriptors[0][3],)))
    loop.ask("sync")
    assert read_status(loop.page).arena_used == 0


def test_failures_are_counted(loop: Loop) -> None:
    loop.serve("class TritonPythonModel:\n    pass")
    loop.sock.send(frames.encode_execute([loop.request()]))
    note = frames.decode_cold(loop.next())
    assert (note["op"], note["level"]) == ("log", "ERROR")
    assert "does not implement `execute` method." in loop.read(loop.next())[0].text
    loop.ask("sync")
    assert (read_status(loop.page).requests, read_status(loop.page).failures) == (1, 1)


def test_auto_completion_is_answered(loop: Loop) -> None:
    source = """
        class TritonPythonModel:
            @staticmethod
            def auto_complete_config(config):
                config.set_max_batch_size(3)
                return config
    """
    (loop.directory / "m" / "1").mkdir(parents=True)
    (loop.directory / "m" / "1" / "model.py").write_text(textwrap.dedent(source))
    known = {"model_dir": str(loop.directory / "m"), "version": "1", "filename": "model.py", "model_name": "m"}
    reply = loop.ask("load", **known, auto_complete='{"max_batch_size":0}')
    assert reply["ok"]
    assert "3" in reply["config"]
    assert pb_utils.get_model_dir() == str(loop.directory / "m" / "1")
    assert read_status(loop.page).state == LOADING


def test_a_load_that_fails_says_where(loop: Loop) -> None:
    reply = loop.load("def helper():\n    raise ValueError('boom')\nhelper()")
    file = str(loop.directory / "m" / "1" / "model.py")
    assert reply == {
        "ok": False,
        "text": f"ValueError: boom\n\nAt:\n  {file}(2): helper\n  {file}(3): <module>\n",
        "exception": "ValueError",
        "frames": [
            {"file": file, "line": 3, "function": "<module>", "text": "helper()"},
            {"file": file, "line": 2, "function": "helper", "text": "raise ValueError('boom')"},
        ],
        "missing": None,
    }


def test_a_module_that_is_missing_is_named(loop: Loop) -> None:
    reply = loop.load("import there_is_no_such_module.part")
    assert (reply["exception"], reply["missing"]) == ("ModuleNotFoundError", "there_is_no_such_module")


def test_a_refusal_is_told_as_it_is(loop: Loop) -> None:
    known = {"model_dir": str(loop.directory), "version": "1", "filename": "model.txt", "model_name": "m"}
    assert loop.ask("load", **known) == {
        "ok": False,
        "text": "Model name must end with '.py'. Model name is \"model.txt\".",
        "frames": [],
        "exception": None,
    }


def test_nothing_is_initialised_before_it_is_loaded(loop: Loop) -> None:
    assert loop.initialize()["text"] == "initialize before load"


@pytest.mark.parametrize("raised", ["ValueError('boom')", "SystemExit(3)", "KeyboardInterrupt"])
def test_initialize_may_raise_anything(loop: Loop, raised: str) -> None:
    loop.load(f"class TritonPythonModel:\n    def initialize(self, args):\n        raise {raised}")
    reply = loop.initialize()
    assert not reply["ok"]
    assert reply["text"].startswith(f"{reply['exception']}: ")
    assert raised.startswith(reply["exception"])


def test_a_model_is_finalised_when_told(loop: Loop) -> None:
    loop.serve(
        """
        import pathlib

        class TritonPythonModel:
            def finalize(self):
                (pathlib.Path(__file__).parent / "finalised").touch()
        """
    )
    assert loop.ask("finalize") == {"ok": True}
    assert loop.end() is None
    assert (loop.directory / "m" / "1" / "finalised").exists()
    assert read_status(loop.page).state == FINALIZING


def test_a_model_is_finalised_when_the_engine_is_gone(loop: Loop) -> None:
    loop.serve(
        """
        import pathlib

        class TritonPythonModel:
            def finalize(self):
                (pathlib.Path(__file__).parent / "finalised").touch()
        """
    )
    loop.sock.close()
    assert loop.end() is None
    assert (loop.directory / "m" / "1" / "finalised").exists()


def test_a_finalize_that_raises_is_logged_and_ignored(loop: Loop) -> None:
    loop.serve("class TritonPythonModel:\n    def finalize(self):\n        raise ValueError('boom')")
    assert loop.ask("finalize") == {"ok": True}
    assert loop.end() is None
    (note,) = loop.notes
    assert (note["op"], note["level"], note["file"]) == ("log", "INFO", "model.py")
    assert note["text"].startswith("ValueError: boom\n\nAt:\n")


def test_finalize_without_a_model_is_no_error(loop: Loop) -> None:
    assert loop.ask("finalize") == {"ok": True}
    assert loop.end() is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (frames.encode_execute([]), "a request before the model is loaded"),
        (frames.encode_bundle([frames.encode_execute([])]), "a request before the model is loaded"),
        (b"\x63", "unexpected frame 99"),
        (frames.encode_cold(frames.CALL, {})[:2], "a message is not JSON"),
    ],
)
def test_an_engine_that_breaks_the_protocol_ends_the_stub(loop: Loop, data: bytes, text: str) -> None:
    loop.sock.send(data)
    error = loop.end()
    assert isinstance(error, WireError)
    assert str(error) == text


def test_what_a_model_logs_is_told(loop: Loop) -> None:
    loop.serve(
        """
        import triton_python_backend_utils as pb_utils

        class TritonPythonModel:
            def execute(self, requests):
                pb_utils.Logger.log_warn("look out")
                return [pb_utils.InferenceResponse()]
        """
    )
    loop.sock.send(frames.encode_execute([loop.request()]))
    note = frames.decode_cold(loop.next())
    assert note == {"op": "log", "level": "WARNING", "file": "model.py", "line": 6, "text": "look out"}


def test_a_host_without_an_outbox_sends_nothing(loop: Loop) -> None:
    host = EngineHost(loop.session)
    host.send_response(1, None, 1)
    host.sender_dropped(1)
    assert loop.told() == []


def run_script(directory: Path, script: str) -> subprocess.CompletedProcess[str]:
    file = directory / "forks.py"
    file.write_text(script)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, str(file)], env=environment, capture_output=True, text=True, check=False)


def test_a_forked_child_is_no_stub(tmp_path: Path) -> None:
    # In a process of its own, since handlers of forks stay for good.
    script = textwrap.dedent(
        """
        import os, signal, socket, sys, threading
        import triton_python_backend_utils as pb_utils
        from pyserve_stub import loop
        from pyserve_stub.host import OfflineHost, get_host
        from pyserve_stub.process import set_signals
        from pyserve_stub.packets import receive_packet
        from pyserve_stub.session import Hold
        from pyserve_stub.wire import frames

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        page = os.memfd_create("page")
        os.ftruncate(page, 4096)
        set_signals()

        class Forks(loop.Stub):
            def run(self):
                hold = Hold(self._session, 7)
                self._session.inputs_released(7)
                pid = os.fork()
                if pid == 0:
                    del hold
                    pb_utils.Logger.log_error("child")
                    told = type(get_host()) is OfflineHost and self._session.sock.fileno() == -1
                    told = told and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
                    os._exit(0 if told else 1)
                print("child", os.waitpid(pid, 0)[1], flush=True)
                pb_utils.Logger.log_error("parent")
                del hold

        loop.Stub = Forks
        loop.exit_when_peer_closes = lambda sock, grace_s: None
        loop.run_stub(theirs.detach(), page)
        print(frames.decode_cold(receive_packet(ours)[0])["text"], receive_packet(ours)[0][0] == frames.RELEASE)
        """
    )
    done = run_script(tmp_path, script)
    assert done.stdout == "child 0\nparent True\n", done.stderr
    assert done.stderr.endswith("]  child\n")


def test_a_forked_child_without_a_channel_of_its_own_leaves_its_parents_alone(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import errno, os, socket
        from pyserve_stub import loop
        from pyserve_stub.host import OfflineHost, get_host

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        page = os.memfd_create("page")
        os.ftruncate(page, 4096)

        def no_more(*args):
            raise OSError(errno.EMFILE, "Too many open files")

        class Forks(loop.Stub):
            def run(self):
                self._host.serving = True
                socket.socketpair = no_more
                pid = os.fork()
                if pid == 0:
                    os._exit(0 if type(get_host()) is OfflineHost and self._session.sock.fileno() == -1 else 1)
                print("child", os.waitpid(pid, 0)[1])

        loop.Stub = Forks
        loop.exit_when_peer_closes = lambda sock, grace_s: None
        loop.run_stub(theirs.detach(), page)
        """
    )
    assert run_script(tmp_path, script).stdout == "child 0\n"
