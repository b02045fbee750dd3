from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyserve_stub.packets import receive_packet, send_packet
from pyserve_stub.process import TITLE_ROOM
from pyserve_stub.status import STATUS_NBYTES
from pyserve_stub.wire import frames

START = "from pyserve_stub import zygote\n{change}\nzygote.main()"


def cold(sock: socket.socket) -> dict[str, Any]:
    return frames.decode_cold(receive_packet(sock)[0])


class StubEnd:
    """What the engine keeps of a stub: its channel and what it prints."""

    def __init__(self) -> None:
        self.sock, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.out, out_end = os.pipe2(os.O_CLOEXEC)
        self.err, err_end = os.pipe2(os.O_CLOEXEC)
        page = os.memfd_create("page", os.MFD_CLOEXEC)
        os.ftruncate(page, STATUS_NBYTES)
        self.handed_over = [self.theirs.detach(), out_end, err_end, page]
        self.calls = 0

    def handed(self) -> None:
        while self.handed_over:
            os.close(self.handed_over.pop())

    def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        self.calls += 1
        send_packet(self.sock, frames.encode_cold(frames.CALL, {"id": self.calls, "op": op, **arguments}))
        return cold(self.sock)

    def printed(self) -> tuple[str, str]:
        """Everything that it printed, once it has ended."""
        texts = []
        for fd in (self.out, self.err):
            with open(fd, encoding="utf-8") as file:
                texts.append(file.read())
        return texts[0], texts[1]

    def close(self) -> None:
        self.handed()
        self.sock.close()
        for fd in (self.out, self.err):
            with contextlib.suppress(OSError):
                os.close(fd)


class Zygote:
    """A real zygote; the test is the engine."""

    def __init__(self, change: str = "") -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START.format(change=change), str(theirs.fileno()), TITLE_ROOM],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        self.spawned = 0
        self.ends: list[StubEnd] = []
        assert cold(self.control) == {"op": "ready", "pid": self.process.pid}

    def request(self, *title: str, count: int = 4) -> StubEnd:
        """Ask for a stub."""
        end = StubEnd()
        self.ends.append(end)
        self.spawned += 1
        message = {"op": "spawn", "id": self.spawned, "title": list(title), "order": None, "place": None}
        send_packet(self.control, frames.encode_cold(frames.NOTE, message), end.handed_over[:count])
        end.handed()
        return end

    def spawn(self, *title: str) -> tuple[int, StubEnd]:
        """A stub that has said hello."""
        end = self.request(*title)
        told = cold(self.control)
        assert (told["op"], told["id"]) == ("spawned", self.spawned)
        assert cold(end.sock)["op"] == "hello"
        return int(told["pid"]), end

    def close(self) -> None:
        self.control.close()
        for end in self.ends:
            end.close()
        self.process.wait()


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    (tmp_path / "1").mkdir()
    return tmp_path


def load(end: StubEnd, model_dir: Path, source: str) -> dict[str, Any]:
    (model_dir / "1" / "model.py").write_text(textwrap.dedent(source))
    known = {"model_dir": str(model_dir), "version": "1", "filename": "model.py", "model_name": "m"}
    return end.ask("load", **known, auto_complete=None)


def exists(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().strip("\0").replace("\0", " ")


def open_descriptors(pid: int) -> set[str]:
    return {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


def test_a_stub_is_a_process_of_its_own(zygote: Zygote) -> None:
    pid, _ = zygote.spawn("m/1/model.py", "m_0")
    assert pid != zygote.process.pid
    assert command_line(pid) == "pyserve_stub m/1/model.py m_0"
    assert command_line(zygote.process.pid) == "pyserve_zygote"


def test_a_stub_that_is_told_to_end_is_reaped(zygote: Zygote) -> None:
    pid, end = zygote.spawn("m")
    assert end.ask("finalize") == {"id": 1, "ok": True}
    assert cold(zygote.control) == {"op": "exited", "pid": pid, "status": 0}
    assert not exists(pid)
    assert receive_packet(end.sock)[0] == b""
    assert end.printed() == ("", "")


def test_a_stub_that_is_killed_is_reaped(zygote: Zygote) -> None:
    pids = [zygote.spawn("m")[0] for _ in range(3)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    told = [cold(zygote.control) for _ in pids]
    assert {(note["pid"], note["status"]) for note in told} == {(pid, signal.SIGKILL) for pid in pids}
    assert not any(exists(pid) for pid in pids)


def test_a_stub_whose_channel_is_closed_ends(zygote: Zygote) -> None:
    pid, end = zygote.spawn("m")
    end.sock.close()
    assert cold(zygote.control) == {"op": "exited", "pid": pid, "status": 0}


def test_the_zygote_keeps_nothing_of_its_stubs(zygote: Zygote) -> None:
    zygote.spawn("warm")
    before = len(os.listdir(f"/proc/{zygote.process.pid}/fd"))
    for _ in range(5):
        zygote.spawn("m")
    assert len(os.listdir(f"/proc/{zygote.process.pid}/fd")) == before


def test_a_stub_has_nothing_of_the_zygote_or_of_other_stubs(zygote: Zygote) -> None:
    zygote.spawn("first")
    pid, _ = zygote.spawn("second")
    theirs = open_descriptors(pid)
    assert len([name for name in theirs if name.startswith("socket:")]) == 1
    assert not {name for name in theirs & open_descriptors(zygote.process.pid) if name.startswith(("socket:", "pipe:"))}


def test_models_run_in_stubs(zygote: Zygote, model_dir: Path) -> None:
    pid, end = zygote.spawn("m")
    source = """
        import os, sys
        print("loading in", os.getpid())
        print("noise", file=sys.stderr)
        class TritonPythonModel:
            pass
    """
    assert load(end, model_dir, source)["ok"]
    assert end.ask("initialize", args={}, instance_name="m_0", decoupled=False)["ok"]
    assert end.ask("finalize")["ok"]
    assert cold(zygote.control)["status"] == 0
    assert end.printed() == (f"loading in {pid}\n", "noise\n")


def test_a_stub_that_breaks_ends_with_a_traceback(zygote: Zygote) -> None:
    pid, end = zygote.spawn("m")
    end.sock.send(b"\x63")
    told = cold(zygote.control)
    assert (told["pid"], os.WEXITSTATUS(told["status"])) == (pid, 1)
    out, err = end.printed()
    assert out == ""
    assert err.startswith("Traceback")
    assert err.endswith("WireError: unexpected frame 99\n")


def test_a_request_without_all_descriptors_makes_no_stub(zygote: Zygote) -> None:
    zygote.request("m", count=3)
    pid = cold(zygote.control)["pid"]
    assert cold(zygote.control) == {"op": "exited", "pid": pid, "status": 1 << 8}
    assert zygote.spawn("m")[0] != pid


@pytest.mark.parametrize(
    "spoil",
    [
        "sys.stdout = sys.stderr = None",
        "sys.stdout = sys.stderr = object()",
        "os.close(1); os.close(2)",
        "threading.Thread(target=threading.Event().wait).start()",
        "atexit.register(sys.exit, 9)",
    ],
)
def test_a_stub_ends_whatever_the_model_did(zygote: Zygote, model_dir: Path, spoil: str) -> None:
    pid, end = zygote.spawn("m")
    source = f"import atexit, os, sys, threading\n{spoil}\nclass TritonPythonModel:\n    pass"
    assert load(end, model_dir, source)["ok"]
    assert end.ask("finalize")["ok"]
    assert cold(zygote.control) == {"op": "exited", "pid": pid, "status": 0}


def test_the_end_of_a_stub_is_seen_though_a_process_that_the_model_forked_lives(
    zygote: Zygote, model_dir: Path
) -> None:
    pid, end = zygote.spawn("m")
    source = f"""
        import os, signal
        child = os.fork()
        if child == 0:
            with open({os.fspath(str(model_dir / "ready"))!r}, "w") as fifo:
                fifo.write(str(os.getpid()))
            signal.pause()
        class TritonPythonModel:
            pass
    """
    os.mkfifo(model_dir / "ready")
    assert load(end, model_dir, source)["ok"]
    child = int((model_dir / "ready").read_text())
    os.kill(pid, signal.SIGKILL)
    assert receive_packet(end.sock)[0] == b""
    assert exists(child)
    os.kill(child, signal.SIGTERM)
    end.printed()  # up to the end: nobody has the pipes any more


def test_everything_ends_with_the_engine(zygote: Zygote) -> None:
    pids = [zygote.spawn("m")[0] for _ in range(2)]
    for end in zygote.ends:
        end.sock.close()
    zygote.control.close()
    assert zygote.process.wait() == 0
    assert not any(exists(pid) for pid in pids)


def test_an_engine_that_left_notes_unread_is_gone_too(zygote: Zygote) -> None:
    pid, end = zygote.spawn("m")
    end.sock.close()
    assert zygote.control.recv(1, socket.MSG_PEEK) != b""
    zygote.control.close()
    assert zygote.process.wait() == 0
    assert not exists(pid)


def test_stubs_that_do_not_end_are_killed() -> None:
    with contextlib.closing(Zygote("zygote._ORPHAN_GRACE_S = 0.0")) as zygote:
        pids = [zygote.spawn("m")[0] for _ in range(2)]
        zygote.control.close()
        assert zygote.process.wait() == 0
        assert not any(exists(pid) for pid in pids)
        assert [receive_packet(end.sock)[0] for end in zygote.ends] == [b"", b""]


def test_a_zygote_that_is_killed_takes_its_stubs_along(zygote: Zygote) -> None:
    _, end = zygote.spawn("m")
    zygote.process.kill()
    assert receive_packet(end.sock)[0] == b""


def test_a_fork_that_fails_is_told() -> None:
    change = "import os\nfork, os.fork = os.fork, lambda: (setattr(os, 'fork', fork), os.open('/nowhere', 0))"
    with contextlib.closing(Zygote(change)) as zygote:
        before = len(os.listdir(f"/proc/{zygote.process.pid}/fd"))
        zygote.request("m")
        told = cold(zygote.control)
        assert (told["op"], told["id"]) == ("failed", 1)
        assert "No such file or directory" in told["text"]
        assert len(os.listdir(f"/proc/{zygote.process.pid}/fd")) == before
        zygote.spawn("m")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_of_a_terminal_end_nothing(zygote: Zygote, number: signal.Signals) -> None:
    pid, end = zygote.spawn("m")
    os.kill(zygote.process.pid, number)
    os.kill(pid, number)
    assert end.ask("anything") == {"id": 1, "ok": True}
    zygote.spawn("m")
