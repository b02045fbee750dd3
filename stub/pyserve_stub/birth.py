"""How a process becomes a stub: forked from the zygote it goes on as one; for another interpreter it runs that first.

Whichever way it came, it is the same afterwards: title, output, signals, channel and status page.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from typing import Any, NoReturn, Sequence

from . import loop
from .process import TITLE_ROOM, end, keep_freed_memory, set_output, set_signals, set_title
from .wire import frames


def settle(place: dict[str, Any]) -> None:
    """Stay on some processors, and give way to other processes; what is forked or executed from here does the same."""
    if place["cores"] is not None:
        os.sched_setaffinity(0, place["cores"])
    os.nice(place["nice"])


def live(title: Sequence[str], fds: Sequence[int]) -> NoReturn:
    """Be a stub until there is nothing left to do, and end: channel, standard output and error, and status page."""
    status = 1
    try:
        channel, stdout, stderr, page = fds
        set_output(stdout, stderr)
        set_signals()
        set_title(["pyserve_stub", *title])
        keep_freed_memory()
        loop.run_stub(channel, page)
        status = 0
    except BaseException:  # noqa: BLE001 - the process must end here, whatever happens
        with contextlib.suppress(Exception):
            traceback.print_exc()
    finally:
        end(status)


def execute(order: dict[str, Any], title: Sequence[str], fds: Sequence[int]) -> NoReturn:
    """Replace this process by another interpreter that calls `live`; the engine hears of it when that fails.

    `order` names the interpreter, the archive that it runs, and what its environment has more or less than ours.
    """
    try:
        channel, stdout, stderr, page = fds
        set_output(stdout, stderr)  # now, since an interpreter that does not start says why on its standard error
        for fd in (channel, page):
            os.set_inheritable(fd, True)
        environment = {name: value for name, value in os.environ.items() if name not in order["unset"]}
        environment.update(order["set"])
        words = [order["interpreter"], order["archive"], str(channel), str(page), *title, TITLE_ROOM]
        try:
            os.execve(order["interpreter"], words, environment)  # noqa: S606 - no shell is what is wanted
        except OSError as error:
            text = f"The interpreter {order['interpreter']} cannot be executed: {error.strerror}"
            os.write(channel, frames.encode_cold(frames.NOTE, {"op": "unfit", "text": text}))
    finally:
        os._exit(1)  # nothing was begun here, and what the parent would clean up at its end is not ours
