"""Every pair of state and event is either in its table or raises."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from jupyter_pyserve.model.lifecycle import (
    SEQUENCE,
    STUB,
    VERSION,
    IllegalTransition,
    SequenceEvent,
    SequenceState,
    StubEvent,
    StubState,
    VersionEvent,
    VersionState,
    advance,
)

MACHINES: tuple[tuple[Mapping[Any, Any], type[enum.Enum], type[enum.Enum]], ...] = (
    (STUB, StubState, StubEvent),
    (VERSION, VersionState, VersionEvent),
    (SEQUENCE, SequenceState, SequenceEvent),
)


@pytest.mark.parametrize(("table", "states", "events"), MACHINES, ids=["stub", "version", "sequence"])
def test_every_pair_leads_somewhere_or_raises(
    table: Mapping[Any, Any], states: type[enum.Enum], events: type[enum.Enum]
) -> None:
    for state, event in product(states, events):
        if (state, event) in table:
            assert advance(table, state, event) is table[state, event]
        else:
            with pytest.raises(IllegalTransition) as caught:
                advance(table, state, event)
            assert (caught.value.state, caught.value.event) == (state, event)
            assert set(caught.value.legal) == {known for owner, known in table if owner is state}


@pytest.mark.parametrize(
    ("table", "start", "states"),
    [
        (STUB, StubState.SPAWNED, StubState),
        (VERSION, VersionState.UNAVAILABLE, VersionState),
        (SEQUENCE, SequenceState.BACKLOG, SequenceState),
    ],
    ids=["stub", "version", "sequence"],
)
def test_every_state_can_be_reached(table: Mapping[Any, Any], start: enum.Enum, states: type[enum.Enum]) -> None:
    reached = {start}
    while more := {to for (state, _), to in table.items() if state in reached} - reached:
        reached |= more
    assert reached == set(states)


def test_an_illegal_step_names_what_was_legal() -> None:
    with pytest.raises(IllegalTransition) as caught:
        advance(STUB, StubState.SPAWNED, StubEvent.LOADED)
    assert str(caught.value) == "StubState.SPAWNED does not take LOADED; legal here: DRAIN, EOF, FAULT, HELLO"


def test_nothing_legal_is_said_too() -> None:
    with pytest.raises(IllegalTransition, match="legal here: nothing"):
        advance({}, StubState.SPAWNED, StubEvent.HELLO)


@pytest.mark.parametrize("state", StubState)
def test_the_end_of_the_channel_is_taken_in_every_state(state: StubState) -> None:
    ended = advance(STUB, state, StubEvent.EOF)
    expected = StubState.CLOSED if state in (StubState.DRAINING, StubState.CLOSED) else StubState.FAILED
    assert ended is expected


def test_the_life_of_a_stub() -> None:
    state = StubState.SPAWNED
    for event in (
        StubEvent.HELLO,
        StubEvent.LOAD,
        StubEvent.LOADED,
        StubEvent.DISPATCH,
        StubEvent.DISPATCH,
        StubEvent.IDLE,
        StubEvent.DRAIN,
        StubEvent.EOF,
    ):
        state = advance(STUB, state, event)
    assert state is StubState.CLOSED


def test_versions_show_the_texts_of_the_index() -> None:
    assert [state.value for state in VersionState] == ["UNAVAILABLE", "LOADING", "READY", "UNLOADING"]
