"""What a stub does to its own process: its title, its output, its signals, and its end when the engine is gone."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import os
import select
import signal
import socket
import sys
import threading
from types import FrameType
from typing import NoReturn

from . import output

#: Room for titles: the kernel shows only what fits where the original command line was.
TITLE_ROOM = "-" * 480

_IOLBF = 1
_PR_SET_NAME = 15
_PR_SET_PDEATHSIG = 1


def _prctl(option: int, argument: object) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the one that forked it dies, whatever it is doing then."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask
        os._exit(1)


def set_title(words: list[str]) -> None:
    """Make process listings show `words`, as far as the room of the original command line goes."""
    title = b"\0".join(word.encode("utf-8", "surrogateescape") for word in words)
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, proc(5)
        if start and end > start:
            ctypes.memset(start, 0, end - start)
            ctypes.memmove(start, title, min(len(title), end - start - 1))
        _prctl(_PR_SET_NAME, ctypes.c_char_p(words[0].encode()[:15]))
    except (OSError, ValueError, IndexError):
        pass  # a title is a convenience


def set_output(stdout_fd: int, stderr_fd: int) -> None:
    """Send this process's standard streams to the engine, a line at a time, and what is logged to its log."""
    for fd, target in ((stdout_fd, 1), (stderr_fd, 2)):
        if fd != target:
            os.dup2(fd, target)
            os.close(fd)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdout, sys.stderr = output.Output(1), output.Output(2)
    output.route_logging()
    _print_by_the_line_in_c()


def _print_by_the_line_in_c() -> None:
    """What C code prints goes through a buffer of its own, which fills up to a page when it is no terminal."""
    try:
        libc = ctypes.CDLL(None)
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, _IOLBF, 0)
    except (OSError, AttributeError, ValueError):
        pass  # another C library: later, not lost


def set_signals() -> None:
    """Leave interrupts to the engine (as Triton does), and dump all stacks on SIGUSR2.

    With handlers that do nothing, since programs that the model starts would go on ignoring what is ignored here.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _do_nothing)
    signal.signal(signal.SIGTERM, _do_nothing)
    faulthandler.enable(file=2, all_threads=True)
    faulthandler.register(signal.SIGUSR2, file=2, all_threads=True)


def show_stacks_on(number: int, fd: int) -> None:
    """Write all stacks to `fd`, where its position is, on that signal; even while C code holds the interpreter."""
    os.set_inheritable(fd, False)
    faulthandler.register(number, file=fd, all_threads=True)


def restore_signals() -> None:
    """In a process that the model forked: it can be interrupted and terminated like any other."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is _do_nothing:
            signal.signal(number, handler)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass


def end(status: int) -> NoReturn:
    """End this process, after what other modules want done at exit, whatever they or the model's streams raise."""
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
    with contextlib.suppress(BaseException):
        sys.stderr.flush()
    os._exit(status)


def keep_freed_memory() -> None:
    """Let the C library reuse large arrays instead of returning each to the kernel.

    An array above the default threshold is mapped afresh each time, and touching its pages for the first time costs
    more than computing on them: a 64 MiB result took 30 ms longer.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        pass  # another C library: slower, not wrong


def exit_when_peer_closes(sock: socket.socket, grace_s: float) -> None:
    """End this process `grace_s` after the other end of `sock` is gone, unless it has ended by itself.

    Waits for the hang-up alone, so that frames do not wake it: it costs nothing while the engine lives.
    """

    def watch() -> None:
        poller = select.poll()
        poller.register(sock.fileno(), 0)
        while not any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poller.poll()):
            pass
        threading.Event().wait(grace_s)
        os._exit(1)

    threading.Thread(target=watch, name="pyserve-watch", daemon=True).start()
