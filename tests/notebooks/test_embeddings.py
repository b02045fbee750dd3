"""Sentence embeddings: the reference's numbers, one copy of the weights, batches, a search that finds."""

from __future__ import annotations

import re

import pytest

from tests.notebooks.kernel_session import CellRun
from tests.notebooks.shelf import Shelf


@pytest.fixture
def runs(shelf: Shelf) -> dict[str, CellRun]:
    return shelf.read("embeddings")


def test_the_answers_are_those_of_the_reference(runs: dict[str, CellRun]) -> None:
    assert "((5, 384), dtype('float32'))" in runs["ask"].text()
    deviations = [float(number) for number in re.findall(r"\d\.\de-\d\d", runs["check"].text())]
    assert len(deviations) == 2
    assert max(deviations) < 2e-5


def test_four_processes_have_one_copy_of_the_weights(runs: dict[str, CellRun]) -> None:
    sizes = re.findall(r"embed_0_\d +RSS +(\d+) MB +PSS +(\d+) MB", runs["memory"].text())
    assert len(sizes) == 4
    assert all(int(pss) < 91 < int(rss) for rss, pss in sizes)
    assert len(re.findall(r"embed/embed_0_\d", runs["status"].text())) == 4


def test_requests_are_put_together(runs: dict[str, CellRun]) -> None:
    batches = {int(size): int(count) for size, count in re.findall(r"(\d+): (\d+)", runs["batches"].text())}
    assert max(batches) > 8
    assert re.search(r"batching: \d\.\d times as many", runs["speed"].text())


def test_the_search_finds_by_meaning(runs: dict[str, CellRun]) -> None:
    shown = runs["search"].text()
    for question, answer in (("copy a whole folder", "shutil.copytree"), ("what is the average", "statistics.mean ")):
        assert re.search(rf"^{question}\n  0\.\d\d  {re.escape(answer)}", shown, re.MULTILINE), shown
