"""The process from which stubs are forked: single-threaded, with Python, numpy and this package already imported.

Forking it takes a millisecond or two where starting an interpreter with numpy takes two hundred. It never touches a
GPU, never runs user code itself, reaps its children, and ends, with all of them, when the engine is gone.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
import warnings
from typing import Any, NoReturn

import numpy  # noqa: F401 - imported once here, so that no stub has to
import triton_python_backend_utils  # noqa: F401 - likewise

from . import birth
from .packets import receive_packet, send_packet
from .process import die_with_parent, set_title
from .wire import frames

#: How long stubs may take to finalise after the engine is gone, before they are killed.
_ORPHAN_GRACE_S = 8.0


class Zygote:
    """Forks on demand; one packet in is one stub, one packet out is what became of it.

    An order that names another interpreter makes a child that becomes that one.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._pid = os.getpid()
        self._children: set[int] = set()
        self._wakeup, writer = socket.socketpair()
        self._wakeup.setblocking(False)
        writer.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._writer = writer

    def run(self) -> None:
        """Serve until the engine closes the control channel."""
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(self._wakeup, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poller.poll()}
            if self._wakeup.fileno() in ready:
                self._wakeup.recv(4096)
                self._reap()
            if self._control.fileno() in ready:
                try:
                    data, fds = receive_packet(self._control)
                except ConnectionResetError:  # the engine ended before it had read everything
                    return
                if not data:
                    return
                self._spawn(frames.decode_cold(data), fds)

    def _spawn(self, request: dict[str, Any], fds: list[int]) -> None:
        try:
            pid = _fork()
        except OSError as error:
            answer = {"op": "failed", "id": request["id"], "text": str(error)}
        else:
            if pid == 0:
                self._become_stub(request, fds)
            self._children.add(pid)
            answer = {"op": "spawned", "id": request["id"], "pid": pid}
        for fd in fds:
            os.close(fd)
        self._tell(answer)

    def _become_stub(self, request: dict[str, Any], fds: list[int]) -> NoReturn:
        """In the child."""
        try:
            signal.set_wakeup_fd(-1)
            die_with_parent(self._pid)
            for sock in (self._control, self._wakeup, self._writer):
                sock.close()
            if request["place"] is not None:
                birth.settle(request["place"])
            if request["order"] is not None:
                birth.execute(request["order"], request["title"], fds)
            birth.live(request["title"], fds)
        finally:
            os._exit(1)  # a forked child must end here, whatever happened

    def _reap(self) -> None:
        for pid in list(self._children):
            try:
                reaped, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                reaped, status = pid, 0
            if reaped:
                self._children.discard(pid)
                self._tell({"op": "exited", "pid": pid, "status": status})

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            send_packet(self._control, frames.encode_cold(frames.NOTE, message))
        except OSError:
            pass  # the engine is gone: the main loop sees the end of the channel next

    def wait_for_children(self, grace_s: float) -> None:
        """The engine is gone: stubs see that too and finalise; kill those that have not ended after `grace_s`."""
        deadline = time.monotonic() + grace_s
        while self._children and time.monotonic() < deadline:
            select.select([self._wakeup], [], [], max(0.0, deadline - time.monotonic()))
            try:
                self._wakeup.recv(4096)
            except BlockingIOError:
                pass
            self._reap()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # BLAS threads exist and handle the fork themselves
        return os.fork()


def main() -> None:
    """`python -m pyserve_stub.zygote CONTROL_FD ROOM`: the second argument only makes room for titles."""
    control = socket.socket(fileno=int(sys.argv[1]))
    os.environ.pop("PYTHONSAFEPATH", None)  # it was meant for this process, not for the programs that models start
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_title(["pyserve_zygote"])
    zygote = Zygote(control)
    gc.collect()
    gc.freeze()  # pages of long-lived objects stay shared with the stubs
    send_packet(control, frames.encode_cold(frames.NOTE, {"op": "ready", "pid": os.getpid()}))
    zygote.run()
    zygote.wait_for_children(_ORPHAN_GRACE_S)


if __name__ == "__main__":
    main()
