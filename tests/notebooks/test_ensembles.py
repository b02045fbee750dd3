"""Models that work together: 23 coins, counted by an ensemble and by a model that calls the others."""

from __future__ import annotations

import re

import pytest

from tests.notebooks.kernel_session import CellRun
from tests.notebooks.shelf import Shelf


@pytest.fixture
def runs(shelf: Shelf) -> dict[str, CellRun]:
    return shelf.read("ensembles")


def test_the_ensemble_counts_the_coins(runs: dict[str, CellRun]) -> None:
    assert runs["write"].text() == "23"
    assert re.search(r"17 MB of picture: two calls over HTTP \d+ ms, the ensemble \d+ ms", runs["moved"].text())


def test_what_a_member_raises_reaches_the_caller(runs: dict[str, CellRun]) -> None:
    assert "in ensemble 'coins'" in runs["fail"].text()
    assert "a level of 1.5 is no level between table and coin" in runs["fail"].text()


def test_the_model_that_calls_knows_how_sure_it_is(runs: dict[str, CellRun]) -> None:
    shown = runs["ask-careful"].text()
    assert "noise 0.2:   23 coins, 100% sure" in shown
    assert "noise 0.5:   23 coins, 100% sure" in shown
    assert "noise 2.0:" in shown
    assert re.search(r"count +READY +1 +2 +\d+ +1$", runs["list"].text(), re.MULTILINE)
