"""Waiting awake for a moment before going to sleep, where that has paid off lately.

A fast model answers sooner than the kernel wakes a process that sleeps on another, idle processor: there, half of a
small request's time went into being woken. The processor is offered to others at every turn, and nobody spins for what
did not come soon the last time, so an idle process costs nothing.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import NamedTuple


class Patience(NamedTuple):
    """How long somebody waits awake at most, and for how long others may have the processor meanwhile.

    A turn that takes longer is another's: who goes on spinning where processors are wanted is made to wait for them
    later, when there is something to do.
    """

    budget_ns: int
    turn_ns: int


#: Longer than a round trip of a fast model and its client, far shorter than anything a person or a scheduler notices.
USUAL = Patience(150_000, 40_000)

#: For a stub, which keeps nobody else waiting: long enough for the round trip of a request in which models call others.
OF_STUB = Patience(300_000, 40_000)

#: For a stub that others call, an ensemble or another model, and for who has called: until its turn comes again, even
#: while each of the others has still to be woken. It is these, as a rule, that have the processor meanwhile, for one
#: execution each.
CALLED = Patience(600_000, 120_000)

#: A turn as long as that was a whole share of time: the machine is busy, and nobody spins for a while.
_BUSY_NS = 500_000
_PAUSE_NS = 100_000_000

#: Whether a caller may wait awake too; with one processor it would only keep the called model from running.
SPARE_PROCESSORS = len(os.sched_getaffinity(0)) > 1


class Spinner:
    """Waits for one socket to become readable."""

    __slots__ = ("_pause_ends_ns", "_poll", "_worthwhile", "patience")

    def __init__(self, sock: socket.socket, patience: Patience = USUAL) -> None:
        #: It may be changed.
        self.patience = patience
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        self._poll = poller.poll
        self._worthwhile = False
        self._pause_ends_ns = 0

    def spin(self) -> bool:
        """Whether it became readable within the budget."""
        poll = self._poll
        budget_ns, turn_ns = self.patience
        last_ns = time.monotonic_ns()
        if last_ns < self._pause_ends_ns:
            return bool(poll(0))
        end_ns = last_ns + budget_ns
        while not poll(0):
            now_ns = time.monotonic_ns()
            if now_ns >= end_ns or now_ns - last_ns > turn_ns:
                if now_ns - last_ns > _BUSY_NS:
                    self._pause_ends_ns = now_ns + _PAUSE_NS
                return False
            last_ns = now_ns
            os.sched_yield()
        return True

    def ready(self) -> bool:
        """`spin`, if the last wait was short enough for it."""
        self._worthwhile = self._worthwhile and self.spin()
        return self._worthwhile

    def wait(self, timeout_s: float) -> bool:
        """Sleep until it is readable, at most so long."""
        return bool(self._poll(max(0.0, timeout_s) * 1000))

    @property
    def worthwhile(self) -> bool:
        """Whether the last wait was short."""
        return self._worthwhile

    def slept(self, ns: int) -> None:
        """How long the caller slept, when it had to: a short sleep makes spinning worthwhile."""
        self._worthwhile = ns < self.patience.budget_ns
