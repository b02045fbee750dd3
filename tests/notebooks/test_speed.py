"""Shared memory and speed: an array that is born there costs nothing to pass on, whatever its size."""

from __future__ import annotations

import re

import pytest

from tests.notebooks.kernel_session import CellRun
from tests.notebooks.shelf import Shelf


@pytest.fixture
def runs(shelf: Shelf) -> dict[str, CellRun]:
    return shelf.read("speed")


def test_an_array_that_is_born_in_shared_memory_beats_every_other_way(runs: dict[str, CellRun]) -> None:
    rows = re.findall(r"^64 MiB +(.*)$", runs["ways"].text(), re.MULTILINE)
    born, copied, http, grpc = (float(number) for number in re.findall(r"([\d.]+) ms", rows[0]))
    assert born < copied < http
    assert born < grpc / 4


def test_asarray_knows_what_is_there_already(runs: dict[str, CellRun]) -> None:
    assert "(True, array([   0., 4095.]" in runs["born"].text()


def test_a_model_that_writes_into_its_input_is_told_so(runs: dict[str, CellRun]) -> None:
    assert "ValueError: output array is read-only" in runs["careless"].text()
    assert "x = x.copy()" in runs["careless"].text()


def test_four_processes_keep_nothing_of_their_own(runs: dict[str, CellRun]) -> None:
    private = [float(size) for size in re.findall(r"([\d.]+) MB", runs["share"].text())]
    assert len(private) == 4
    assert max(private) < 40
    assert len(re.findall(r"square/square_0_\d", runs["status"].text())) == 4
