"""Streaming: words as they come, many readers of one process, leaving early, the same over HTTP and gRPC."""

from __future__ import annotations

import json
import re

import pytest

from tests.notebooks.kernel_session import CellRun
from tests.notebooks.shelf import Shelf


@pytest.fixture
def runs(shelf: Shelf) -> dict[str, CellRun]:
    return shelf.read("streaming")


def test_the_first_word_comes_long_before_the_last(runs: dict[str, CellRun]) -> None:
    found = re.search(r"first word was there after (\d+) ms, the last one after (\d+) ms", runs["read"].text())
    assert found is not None
    assert int(found[2]) > 59 * 20
    assert int(found[1]) < int(found[2]) / 2


def test_readers_do_not_wait_for_each_other(runs: dict[str, CellRun]) -> None:
    found = re.search(r"16 texts of 30 words: ([\d.]+) s; one: ([\d.]+) s", runs["many"].text())
    assert found is not None
    assert float(found[1]) < 8 * float(found[2])


def test_a_reader_who_leaves_is_noticed(runs: dict[str, CellRun]) -> None:
    assert re.search(r"author_0 .* nobody reads on after 1\d words about 'This function'", runs["cancel"].text())


def test_http_and_grpc_tell_the_same_words(runs: dict[str, CellRun]) -> None:
    lines = [line for line in runs["curl"].text().splitlines() if line.startswith("data: ")]
    words = [json.loads(line.removeprefix("data: "))["WORD"] for line in lines]
    assert len(words) == 5
    assert runs["grpc"].text().split() == words


def test_a_generator_is_a_model(runs: dict[str, CellRun]) -> None:
    assert "[80, 40, 20, 10, 5, 16, 8, 4, 2, 1]" in runs["function"].text()
