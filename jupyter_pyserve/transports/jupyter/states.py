"""The life cycle of the engine as the Jupyter server sees it, and when a dead engine is started again.

Owns which step is legal and how long to wait after a death. Starts nothing and reads no clock: run times are arguments.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


class EngineState(enum.Enum):
    """Where the engine process is."""

    IDLE = "idle"  # the sockets listen, nobody has asked for anything yet
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"  # dead, and about to be started again
    FAILED = "failed"  # it died too often, too early
    STOPPING = "stopping"
    STOPPED = "stopped"


class EngineEvent(enum.Enum):
    """What can happen to the engine."""

    DEMAND = "demand"  # somebody connects or sends a request
    READY = "ready"
    DIED = "died"
    GAVE_UP = "gave up"
    WAITED = "waited"
    EXITED = "exited"  # it stopped by itself and without an error
    STOP = "stop"


TRANSITIONS: Final[Mapping[tuple[EngineState, EngineEvent], EngineState]] = {
    (EngineState.IDLE, EngineEvent.DEMAND): EngineState.STARTING,
    (EngineState.IDLE, EngineEvent.STOP): EngineState.STOPPING,
    (EngineState.STARTING, EngineEvent.READY): EngineState.RUNNING,
    (EngineState.STARTING, EngineEvent.DIED): EngineState.BACKOFF,
    (EngineState.STARTING, EngineEvent.GAVE_UP): EngineState.FAILED,
    (EngineState.STARTING, EngineEvent.STOP): EngineState.STOPPING,
    (EngineState.RUNNING, EngineEvent.DIED): EngineState.BACKOFF,
    (EngineState.RUNNING, EngineEvent.GAVE_UP): EngineState.FAILED,
    (EngineState.RUNNING, EngineEvent.EXITED): EngineState.IDLE,
    (EngineState.RUNNING, EngineEvent.STOP): EngineState.STOPPING,
    (EngineState.BACKOFF, EngineEvent.WAITED): EngineState.STARTING,
    (EngineState.BACKOFF, EngineEvent.STOP): EngineState.STOPPING,
    (EngineState.FAILED, EngineEvent.DEMAND): EngineState.STARTING,
    (EngineState.FAILED, EngineEvent.STOP): EngineState.STOPPING,
    (EngineState.STOPPING, EngineEvent.EXITED): EngineState.STOPPED,
    # A server that is stopped twice, or while it stops.
    (EngineState.STOPPING, EngineEvent.STOP): EngineState.STOPPING,
    (EngineState.STOPPED, EngineEvent.STOP): EngineState.STOPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """How often, and after how long, a dead engine is started again."""

    max_early_deaths: int = 5
    stable_after_s: float = 30.0
    first_delay_s: float = 0.2
    longest_delay_s: float = 10.0
    forgive_after_s: float = 30.0

    def early_deaths(self, before: int, *, ran_s: float) -> int:
        """The new count of early deaths in a row, after one more death that came `ran_s` after the start."""
        return 1 if ran_s >= self.stable_after_s else before + 1

    def delay_s(self, early_deaths: int) -> float | None:
        """How long to wait before the next start; None when there is to be none."""
        if early_deaths > self.max_early_deaths:
            return None
        exponent = min(max(early_deaths - 1, 0), 30)
        return min(self.first_delay_s * float(2**exponent), self.longest_delay_s)
