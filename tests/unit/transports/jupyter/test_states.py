"""The engine's transition table, walked completely, and the restart policy."""

from __future__ import annotations

import itertools

import pytest

from jupyter_pyserve.model.lifecycle import IllegalTransition, advance
from jupyter_pyserve.transports.jupyter.states import TRANSITIONS, EngineEvent, EngineState, RestartPolicy

PAIRS = list(itertools.product(EngineState, EngineEvent))


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda item: item.name)
def test_each_pair_is_in_the_table_or_refused(state: EngineState, event: EngineEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert isinstance(advance(TRANSITIONS, state, event), EngineState)
    else:
        with pytest.raises(IllegalTransition, match=f"{state.name} does not take {event.name}"):
            advance(TRANSITIONS, state, event)


def test_the_ordinary_life() -> None:
    state = EngineState.IDLE
    seen = []
    for event in (EngineEvent.DEMAND, EngineEvent.READY, EngineEvent.DIED, EngineEvent.WAITED, EngineEvent.READY):
        state = advance(TRANSITIONS, state, event)
        seen.append(state.name)
    assert seen == ["STARTING", "RUNNING", "BACKOFF", "STARTING", "RUNNING"]


def test_every_state_can_be_stopped() -> None:
    for state in EngineState:
        stopping = advance(TRANSITIONS, state, EngineEvent.STOP)
        assert stopping in {EngineState.STOPPING, EngineState.STOPPED}


def test_nothing_follows_stopped() -> None:
    assert {new for (state, _), new in TRANSITIONS.items() if state is EngineState.STOPPED} == {EngineState.STOPPED}


def test_delays_double_up_to_a_limit_and_end() -> None:
    policy = RestartPolicy(max_early_deaths=4, first_delay_s=1.0, longest_delay_s=3.0)
    assert [policy.delay_s(deaths) for deaths in range(1, 6)] == [1.0, 2.0, 3.0, 3.0, None]


def test_a_huge_count_is_no_overflow() -> None:
    assert RestartPolicy(max_early_deaths=10**9).delay_s(10**8) == RestartPolicy().longest_delay_s


def test_deaths_count_only_in_a_row() -> None:
    policy = RestartPolicy(stable_after_s=30.0)
    assert policy.early_deaths(3, ran_s=0.1) == 4
    assert policy.early_deaths(3, ran_s=30.0) == 1


def test_no_restart_at_all_can_be_asked_for() -> None:
    policy = RestartPolicy(max_early_deaths=0)
    assert policy.delay_s(policy.early_deaths(0, ran_s=1000.0)) is None
