"""`live` is tried by the tests of the zygote, which forks; here it is another interpreter that becomes a stub."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from pyserve_stub import birth, entry
from pyserve_stub.packets import receive_packet, send_packet
from pyserve_stub.status import STATUS_NBYTES
from pyserve_stub.wire import frames


class Born:
    """A process that was forked here and told to execute an order."""

    def __init__(self, order: dict[str, Any], count: int = 4) -> None:
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.out, out_end = os.pipe()
        page = os.memfd_create("page")
        os.ftruncate(page, STATUS_NBYTES)
        with theirs:
            fds = [theirs.fileno(), out_end, os.dup(out_end), page]
            self.pid = os.fork()
            if self.pid == 0:
                birth.execute(order, ["m/1/model.py", "m_0"], fds[:count])
        for fd in fds[1:]:
            os.close(fd)

    def hear(self) -> dict[str, Any]:
        data = receive_packet(self.sock)[0]
        return frames.decode_cold(data) if data else {}

    def ask(self, op: str) -> dict[str, Any]:
        send_packet(self.sock, frames.encode_cold(frames.CALL, {"id": 1, "op": op}))
        return self.hear()

    def end(self) -> tuple[int, str]:
        """Its exit status, and what it printed."""
        self.sock.close()
        with open(self.out, encoding="utf-8") as file:
            printed = file.read()
        return os.WEXITSTATUS(os.waitpid(self.pid, 0)[1]), printed


@pytest.fixture
def order(tmp_path: Path) -> dict[str, Any]:
    """This interpreter, with the sources in the place of the archive."""
    (tmp_path / "__main__.py").write_text(Path(entry.__file__).read_text())
    (tmp_path / "__pycache__").mkdir()
    path = os.pathsep.join(sys.path)
    return {
        "interpreter": sys.executable,
        "archive": str(tmp_path),
        "set": {"PYTHONPATH": path, "GIVEN": "x"},
        "unset": ["TAKEN"],
    }


def environ_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_text().strip("\0").split("\0")
    return dict(pair.partition("=")[::2] for pair in pairs)


def test_another_interpreter_becomes_a_stub(order: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKEN", "y")
    monkeypatch.setenv("KEPT", "z")
    born = Born(order)
    assert born.hear()["op"] == "hello"
    title = Path(f"/proc/{born.pid}/cmdline").read_text().strip("\0").split("\0")
    assert title == ["pyserve_stub", "m/1/model.py", "m_0"]
    environ = environ_of(born.pid)
    assert (environ["GIVEN"], environ["KEPT"], environ.get("TAKEN")) == ("x", "z", None)
    assert born.ask("finalize")["ok"]
    assert born.end() == (0, "")


def test_a_program_that_cannot_be_executed_is_named(order: dict[str, Any], tmp_path: Path) -> None:
    order["interpreter"] = str(tmp_path / "absent")
    born = Born(order)
    text = f"The interpreter {tmp_path}/absent cannot be executed: No such file or directory"
    assert born.hear() == {"op": "unfit", "text": text}
    assert born.hear() == {}
    assert born.end() == (1, "")


def test_what_a_program_prints_that_is_no_interpreter(order: dict[str, Any]) -> None:
    born = Born({**order, "interpreter": "/bin/echo"})
    assert born.hear() == {}
    status, printed = born.end()
    assert status == 0
    assert printed.startswith(order["archive"])


def test_without_all_descriptors_there_is_no_stub(order: dict[str, Any]) -> None:
    born = Born(order, count=3)
    assert born.hear() == {}
    assert born.end()[0] == 1
