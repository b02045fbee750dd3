"""Batching: what it gives under load, how large the batches are, what is refused."""

from __future__ import annotations

import re

import pytest

from tests.notebooks.kernel_session import CellRun
from tests.notebooks.shelf import Shelf


@pytest.fixture
def runs(shelf: Shelf) -> dict[str, CellRun]:
    return shelf.read("batching")


def test_many_callers_are_served_several_times_as_fast(runs: dict[str, CellRun]) -> None:
    rows = re.findall(r"^ +(\d+) .*x ([\d.]+)$", _table(runs), re.MULTILINE)
    gains = {int(callers): float(gain) for callers, gain in rows}
    assert list(gains) == [1, 4, 16, 64]
    assert gains[64] > 2


def _table(runs: dict[str, CellRun]) -> str:
    return re.sub(r"\n+", "\n", "".join(output.get("text", "") for output in runs["measure"].outputs))


def test_the_batches_are_large_and_answers_are_their_callers_own(runs: dict[str, CellRun]) -> None:
    sizes = {int(size): int(count) for size, count in re.findall(r"(\d+): (\d+)", runs["sizes"].text())}
    assert sizes[32] >= 1
    assert "dynamic_batching" in runs["config"].text()
    assert runs["answers"].text() == "True"


def test_a_batch_that_is_too_large_is_refused(runs: dict[str, CellRun]) -> None:
    assert "batch-size must be <= 32 for 'together'" in runs["too-many"].text()
