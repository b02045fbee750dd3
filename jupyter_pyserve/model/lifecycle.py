"""The life cycles of a stub, a model version and a sequence: two enums and a table each.

Owns which step is legal. Must not know who takes the step or why; an illegal one raises and names what was legal.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, TypeVar


class _Fast(enum.Enum):
    """Members are single objects, so identity is the cheapest hash; a request looks its states up several times."""

    __hash__ = object.__hash__


class StubState(_Fast):
    """Where one model instance's process is."""

    SPAWNED = "SPAWNED"
    ATTACHED = "ATTACHED"
    LOADING = "LOADING"
    READY = "READY"
    BUSY = "BUSY"
    DRAINING = "DRAINING"
    CLOSED = "CLOSED"
    FAILED = "FAILED"


class StubEvent(_Fast):
    """What can happen to a stub; `EOF` is the end of its channel, which is how death shows."""

    HELLO = "hello"
    LOAD = "load"
    LOADED = "loaded"
    DISPATCH = "dispatch"
    IDLE = "idle"
    DRAIN = "drain"
    FAULT = "fault"
    EOF = "eof"


class VersionState(_Fast):
    """State of a model version; the value is the text that the repository index shows."""

    UNAVAILABLE = "UNAVAILABLE"
    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"


class VersionEvent(_Fast):
    """What can happen to a model version."""

    LOAD = "load"
    LOADED = "loaded"
    FAIL = "fail"
    UNLOAD = "unload"
    UNLOADED = "unloaded"


class SequenceState(_Fast):
    """Where a sequence of requests is; in `COMPLETE` and `ENDING` it takes no more of them."""

    BACKLOG = "BACKLOG"
    COMPLETE = "COMPLETE"
    ACTIVE = "ACTIVE"
    ENDING = "ENDING"
    OVER = "OVER"


class SequenceEvent(_Fast):
    """What can happen to a sequence; `RETURN` puts one whose instance is gone back into the backlog."""

    ASSIGN = "assign"
    END = "end"
    IDLE = "idle"
    FINISH = "finish"
    EMPTY = "empty"
    EXPIRE = "expire"
    CANCEL = "cancel"
    RETURN = "return"
    LOSE = "lose"


class AdmissionState(_Fast):
    """Whether a model version or an instance takes new requests; `DRAINED` has finished those that it had."""

    OPEN = "OPEN"
    DRAINING = "DRAINING"
    DRAINED = "DRAINED"


class AdmissionEvent(_Fast):
    """What can happen to an admission."""

    DRAIN = "drain"
    EMPTY = "empty"
    RESUME = "resume"


StateT = TypeVar("StateT", bound=enum.Enum)
EventT = TypeVar("EventT", bound=enum.Enum)


class IllegalTransition(Exception):
    """A state was asked to take an event that its table does not list."""

    def __init__(self, state: enum.Enum, event: enum.Enum, legal: tuple[enum.Enum, ...]) -> None:
        names = ", ".join(sorted(e.name for e in legal)) or "nothing"
        super().__init__(f"{type(state).__name__}.{state.name} does not take {event.name}; legal here: {names}")
        self.state = state
        self.event = event
        self.legal = legal


def advance(table: Mapping[tuple[StateT, EventT], StateT], state: StateT, event: EventT) -> StateT:
    """The state that follows `state` on `event`; raises `IllegalTransition` when the table has none."""
    following = table.get((state, event))
    if following is None:
        raise IllegalTransition(state, event, tuple(legal for known, legal in table if known is state))
    return following


_ALIVE = (StubState.SPAWNED, StubState.ATTACHED, StubState.LOADING, StubState.READY, StubState.BUSY)

STUB: Final[Mapping[tuple[StubState, StubEvent], StubState]] = {
    (StubState.SPAWNED, StubEvent.HELLO): StubState.ATTACHED,
    (StubState.ATTACHED, StubEvent.LOAD): StubState.LOADING,
    (StubState.LOADING, StubEvent.LOADED): StubState.READY,
    (StubState.READY, StubEvent.DISPATCH): StubState.BUSY,
    # A second batch may wait inside the stub, so that it never idles between two.
    (StubState.BUSY, StubEvent.DISPATCH): StubState.BUSY,
    (StubState.BUSY, StubEvent.IDLE): StubState.READY,
    **{(state, StubEvent.DRAIN): StubState.DRAINING for state in _ALIVE},
    (StubState.DRAINING, StubEvent.DRAIN): StubState.DRAINING,
    (StubState.DRAINING, StubEvent.IDLE): StubState.DRAINING,
    # The answer to a load that was overtaken by the wish to stop.
    (StubState.DRAINING, StubEvent.LOADED): StubState.DRAINING,
    (StubState.DRAINING, StubEvent.HELLO): StubState.DRAINING,
    **{(state, StubEvent.FAULT): StubState.FAILED for state in (*_ALIVE, StubState.DRAINING)},
    **{(state, StubEvent.EOF): StubState.FAILED for state in _ALIVE},
    (StubState.DRAINING, StubEvent.EOF): StubState.CLOSED,
    # A fault is often followed by the end of the channel, and the end may be seen by two readers.
    (StubState.FAILED, StubEvent.EOF): StubState.FAILED,
    (StubState.FAILED, StubEvent.FAULT): StubState.FAILED,
    (StubState.FAILED, StubEvent.DRAIN): StubState.FAILED,
    (StubState.CLOSED, StubEvent.EOF): StubState.CLOSED,
    (StubState.CLOSED, StubEvent.DRAIN): StubState.CLOSED,
}

VERSION: Final[Mapping[tuple[VersionState, VersionEvent], VersionState]] = {
    (VersionState.UNAVAILABLE, VersionEvent.LOAD): VersionState.LOADING,
    (VersionState.LOADING, VersionEvent.LOADED): VersionState.READY,
    (VersionState.LOADING, VersionEvent.FAIL): VersionState.UNAVAILABLE,
    (VersionState.LOADING, VersionEvent.UNLOAD): VersionState.UNLOADING,
    (VersionState.READY, VersionEvent.UNLOAD): VersionState.UNLOADING,
    # Too many early deaths of its stubs.
    (VersionState.READY, VersionEvent.FAIL): VersionState.UNAVAILABLE,
    (VersionState.UNLOADING, VersionEvent.UNLOADED): VersionState.UNAVAILABLE,
    # The load that an unload overtook may still end one way or the other.
    (VersionState.UNLOADING, VersionEvent.LOADED): VersionState.UNLOADING,
    (VersionState.UNLOADING, VersionEvent.FAIL): VersionState.UNLOADING,
    # Unloading what is not loaded is not an error.
    (VersionState.UNLOADING, VersionEvent.UNLOAD): VersionState.UNLOADING,
    (VersionState.UNAVAILABLE, VersionEvent.UNLOAD): VersionState.UNAVAILABLE,
}

SEQUENCE: Final[Mapping[tuple[SequenceState, SequenceEvent], SequenceState]] = {
    (SequenceState.BACKLOG, SequenceEvent.ASSIGN): SequenceState.ACTIVE,
    (SequenceState.BACKLOG, SequenceEvent.END): SequenceState.COMPLETE,
    (SequenceState.COMPLETE, SequenceEvent.ASSIGN): SequenceState.ENDING,
    **{
        (state, event): SequenceState.OVER
        for state in (SequenceState.BACKLOG, SequenceState.COMPLETE)
        for event in (SequenceEvent.EXPIRE, SequenceEvent.CANCEL)
    },
    # What was accepted before still runs.
    **{
        (SequenceState.ACTIVE, event): SequenceState.ENDING
        for event in (SequenceEvent.END, SequenceEvent.IDLE, SequenceEvent.FINISH, SequenceEvent.CANCEL)
    },
    (SequenceState.ENDING, SequenceEvent.CANCEL): SequenceState.ENDING,
    (SequenceState.ENDING, SequenceEvent.EMPTY): SequenceState.OVER,
    (SequenceState.ACTIVE, SequenceEvent.RETURN): SequenceState.BACKLOG,
    (SequenceState.ENDING, SequenceEvent.RETURN): SequenceState.COMPLETE,
    (SequenceState.ACTIVE, SequenceEvent.LOSE): SequenceState.OVER,
    (SequenceState.ENDING, SequenceEvent.LOSE): SequenceState.OVER,
}

ADMISSION: Final[Mapping[tuple[AdmissionState, AdmissionEvent], AdmissionState]] = {
    (AdmissionState.OPEN, AdmissionEvent.DRAIN): AdmissionState.DRAINING,
    # Two may ask for the same thing.
    (AdmissionState.DRAINING, AdmissionEvent.DRAIN): AdmissionState.DRAINING,
    (AdmissionState.DRAINED, AdmissionEvent.DRAIN): AdmissionState.DRAINED,
    (AdmissionState.DRAINING, AdmissionEvent.EMPTY): AdmissionState.DRAINED,
    **{(state, AdmissionEvent.RESUME): AdmissionState.OPEN for state in AdmissionState},
}
