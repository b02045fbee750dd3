from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from pyserve_stub import process

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def run(script: str, *arguments: str) -> Any:
    """The script in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def forked(work: Callable[[], Any]) -> int:
    """A child that does `work`, or ends with status 99."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(99)
    return pid


def status_of(pid: int) -> int:
    return os.waitpid(pid, 0)[1]


def exited(code: int) -> int:
    return code << 8


def test_listings_show_the_title() -> None:
    script = """
        from pyserve_stub.process import set_title
        set_title(["pyserve_stub", "my_model/1/model.py", "my_model_0", "\\udcff"])
        print(open("/proc/self/cmdline", "rb").read().strip(b"\\0"))
        print(open("/proc/self/comm").read(), end="")
    """
    done = run(script, "-" * 200)
    assert done.stdout == "b'pyserve_stub\\x00my_model/1/model.py\\x00my_model_0\\x00\\xff'\npyserve_stub\n", (
        done.stderr
    )


def test_a_title_does_not_leave_its_room() -> None:
    script = """
        import os
        from pyserve_stub.process import set_title
        before = len(open("/proc/self/cmdline", "rb").read())
        known = dict(os.environ)
        set_title(["x" * 100_000])
        shown = open("/proc/self/cmdline", "rb").read()
        environ = open("/proc/self/environ", "rb").read()
        print(len(shown) <= before, set(shown.strip(b"\\0")) == set(b"x"), environ.startswith(b"x"))
        print(dict(os.environ) == known)
    """
    assert run(script).stdout == "True True False\nTrue\n"


@pytest.mark.parametrize("content", [b"", b"1 (x) S 1 2 3", b"1 (x) " + b"0 " * 60, b"1 (x) " + b"x " * 60])
def test_a_system_that_does_not_say_where_the_title_is_has_none(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    stat = os.memfd_create("stat")
    os.write(stat, content)
    os.lseek(stat, 0, os.SEEK_SET)
    named: list[Any] = []
    monkeypatch.setattr(process, "_prctl", lambda option, argument: named.append(option))
    monkeypatch.setattr("builtins.open", lambda path, mode, real=open: real(stat, mode))
    process.set_title(["x"])
    assert named in ([], [15])


def test_output_goes_where_it_is_sent_line_by_line() -> None:
    out, out_end = os.pipe()
    err, err_end = os.pipe()

    def work() -> None:
        process.set_output(out_end, err_end)
        print("ä \udc80")
        print("error", file=sys.stderr)
        os.write(1, b"raw\n")
        assert os.read(0, 1) == b""
        os._exit(0)

    pid = forked(work)
    os.close(out_end)
    os.close(err_end)
    assert status_of(pid) == 0
    with open(out, "rb") as printed, open(err, "rb") as complained:
        assert printed.read() == "ä \\udc80\nraw\n".encode()
        assert complained.read() == b"error\n"


def test_interrupts_are_left_to_the_engine() -> None:
    script = """
        import os, signal, subprocess, sys
        from pyserve_stub.process import set_signals
        set_signals()
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        print("alive", flush=True)
        os.kill(os.getpid(), signal.SIGUSR2)
        print("still", flush=True)
    """
    done = run(script)
    assert (done.returncode, done.stdout) == (0, "alive\nstill\n")
    assert 'File "<string>"' in done.stderr


def test_programs_that_a_model_starts_can_be_ended() -> None:
    script = """
        import os, signal, subprocess, sys
        from pyserve_stub.process import restore_signals, set_signals
        set_signals()
        program = subprocess.Popen([sys.executable, "-c", "import signal; print(1, flush=True); signal.pause()"],
                                   stdout=subprocess.PIPE)
        program.stdout.readline()
        program.terminate()
        print(program.wait())
        ready, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            restore_signals()
            os.write(tell, b"x")
            signal.pause()
        os.read(ready, 1)
        os.kill(pid, signal.SIGTERM)
        print(os.waitpid(pid, 0)[1])
    """
    done = run(script)
    assert done.stdout == "-15\n15\n", done.stderr


def test_handlers_that_a_model_set_are_left_in_forked_children(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {signal.SIGINT: process._do_nothing, signal.SIGTERM: "the model's"}
    changed: list[Any] = []
    monkeypatch.setattr(signal, "getsignal", known.__getitem__)
    monkeypatch.setattr(signal, "signal", lambda number, handler: changed.append((number, handler)))
    process.restore_signals()
    assert changed == [(signal.SIGINT, signal.default_int_handler)]
    process._do_nothing(2, None)


def test_a_process_ends_with_its_parent() -> None:
    alive, hold = os.pipe()

    def parent() -> None:
        ready, tell = os.pipe()
        pid = os.getpid()

        def child() -> None:
            process.die_with_parent(pid)
            os.write(tell, b"x")
            os.close(tell)
            while True:
                signal.pause()

        forked(child)
        os.close(tell)
        os._exit(0 if os.read(ready, 1) == b"x" else 1)

    assert status_of(forked(parent)) == 0
    os.close(hold)
    assert os.read(alive, 1) == b""
    os.close(alive)


def test_a_process_whose_parent_is_gone_already_ends_at_once() -> None:
    assert status_of(forked(lambda: process.die_with_parent(os.getpid()))) == exited(1)


@pytest.mark.parametrize("sent", [b"", b"a frame that nobody reads"])
def test_a_process_ends_when_its_peer_is_gone(sent: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def work() -> None:
        ours.close()
        process.exit_when_peer_closes(theirs, 0.0)
        theirs.send(b"watched")
        while True:
            signal.pause()

    pid = forked(work)
    theirs.close()
    assert ours.recv(100) == b"watched"
    if sent:
        ours.send(sent)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    ours.close()
    assert status_of(pid) == exited(1)


@pytest.mark.parametrize(
    "spoil",
    [
        "pass",
        "sys.stdout = sys.stderr = None",
        "sys.stdout = sys.stderr = object()",
        "sys.stdout.write('x'); os.close(1); os.close(2)",
        "atexit.register(lambda: 1 / 0)",
        "atexit.register(sys.exit, 5)",
        "threading.Thread(target=signal.pause if False else threading.Event().wait).start()",
    ],
)
def test_a_process_ends_as_told_whatever_a_model_did(spoil: str) -> None:
    script = f"""
        import atexit, os, signal, sys, threading
        from pyserve_stub.process import end
        atexit.register(os.write, int(sys.argv[1]), b"at exit")
        {spoil}
        end(7)
    """
    reader, writer = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(writer)],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[writer],
        check=False,
    )
    os.close(writer)
    assert done.returncode == 7
    assert os.read(reader, 100) == b"at exit"
    os.close(reader)


def test_what_is_printed_last_is_not_lost() -> None:
    assert run("from pyserve_stub.process import end\nprint('last')\nend(0)").stdout == "last\n"


def test_freed_memory_is_kept_where_the_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[Any] = []

    class Library:
        def mallopt(self, option: int, value: int) -> None:
            options.append((option, value))

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    process.keep_freed_memory()
    assert options == [(-3, 1 << 30), (-1, (1 << 31) - 1)]


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(name: Any) -> object:
        asked.append(name)
        return object()

    monkeypatch.setattr(ctypes, "CDLL", load)
    process.keep_freed_memory()
    assert asked == [None]
