"""Every recorded answer of a real Triton, byte for byte, except where a difference is meant and explained."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.golden.cases import SCENARIOS
from tests.golden.differences import DIFFERENCES
from tests.golden.record import Recording, expected, observe, recorded
from tests.support.engine import SERVE

NAMES = [(scenario.name, case.name) for scenario in SCENARIOS for case in scenario.cases]

GOLDEN = recorded()
EXPECTED = expected()


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    log: Path = tmp_path_factory.mktemp("golden") / "server.log"
    return observe(SERVE, keep_log=log)


@pytest.mark.parametrize(("scenario", "name"), NAMES, ids=[f"{scenario}-{name}" for scenario, name in NAMES])
def test_answers_as_triton_does(observed: Recording, scenario: str, name: str) -> None:
    assert observed[scenario][name] == EXPECTED[scenario][name]


def test_every_name_is_used_once() -> None:
    assert [name for name, count in Counter(NAMES).items() if count > 1] == []


def test_every_recorded_answer_belongs_to_a_case() -> None:
    assert {(scenario, name) for scenario, cases in GOLDEN.items() for name in cases} == set(NAMES)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_differs(name: str) -> None:
    (golden,) = (cases[name] for cases in GOLDEN.values() if name in cases)
    assert DIFFERENCES[name].expected(golden) != golden
