"""Every recorded answer of a real Triton, byte for byte, except where a difference is meant and explained."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.golden.record import SUITES, Recording, observe_together
from tests.support.engine import SERVE

NAMES = [
    (suite, scenario.name, case.name)
    for suite, kept in SUITES.items()
    for scenario in kept.scenarios
    for case in scenario.cases
]
GOLDEN = {name: suite.recorded() for name, suite in SUITES.items()}
EXPECTED = {name: suite.expected() for name, suite in SUITES.items()}
WAITING = {name: why for suite in SUITES.values() for name, why in suite.waiting.items()}
UNSTEADY = {name for suite in SUITES.values() for name in suite.unsteady}
DIFFERENCES = [(name, case) for name, suite in SUITES.items() for case in suite.differences]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    log: Path = tmp_path_factory.mktemp("golden") / "server.log"
    return {name: observe_together(suite.scenarios, SERVE, keep_log=log) for name, suite in SUITES.items()}


@pytest.mark.timeout(600)  # the first one pays for all
@pytest.mark.parametrize(("suite", "scenario", "name"), NAMES, ids=["-".join(names[1:]) for names in NAMES])
def test_answers_as_triton_does(observed: dict[str, Recording], suite: str, scenario: str, name: str) -> None:
    if name in WAITING:
        pytest.skip(f"waits for {WAITING[name]}")
    assert observed[suite][scenario][name] == EXPECTED[suite][scenario][name]


def test_every_name_is_used_once() -> None:
    assert [name for name, count in Counter(names[2] for names in NAMES).items() if count > 1] == []


@pytest.mark.parametrize("suite", SUITES)
def test_every_recorded_answer_belongs_to_a_case(suite: str) -> None:
    recorded = {(suite, scenario, name) for scenario, cases in GOLDEN[suite].items() for name in cases}
    assert recorded == {names for names in NAMES if names[0] == suite}


@pytest.mark.parametrize(("suite", "name"), DIFFERENCES)
def test_a_difference_differs(suite: str, name: str) -> None:
    (golden,) = (cases[name] for cases in GOLDEN[suite].values() if name in cases)
    assert SUITES[suite].differences[name].expected(golden) != golden


def test_what_waits_or_is_unsteady_is_a_case() -> None:
    assert {*WAITING, *UNSTEADY} <= {names[2] for names in NAMES}
