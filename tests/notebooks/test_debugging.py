"""Debugging a model: a kept request shows the first bug, a stack the second one; both are gone at the end."""

from __future__ import annotations

import re

import pytest

from tests.notebooks.kernel_session import CellRun
from tests.notebooks.shelf import Shelf


@pytest.fixture
def runs(shelf: Shelf) -> dict[str, CellRun]:
    return shelf.read("debugging")


def test_the_failed_request_is_kept_and_fails_again_in_the_lines_of_the_cell(runs: dict[str, CellRun]) -> None:
    assert re.search(r"^root-1 .* order-66 +X FP32\[1000\] +ZeroDivisionError", runs["record"].text(), re.MULTILINE)
    assert re.search(r"^-+> 11 +guess = ", _plain(runs["replay"]), re.MULTILINE)
    assert "line 11 of newton, where x = -4.0 and guess = 0.0" in runs["look"].text()


def _plain(run: CellRun) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", run.text())


def test_the_stack_shows_where_it_hangs_while_others_serve(runs: dict[str, CellRun]) -> None:
    assert re.search(r"executing request 'order-67'", runs["stack"].text())
    assert re.search(r"model\.py\", line \d+ in newton", runs["stack"].text())
    assert "array([4.]" in runs["others"].text()
    assert "is not healthy" in runs["lost"].text()


def test_the_mended_model_answers_the_request_that_failed(runs: dict[str, CellRun]) -> None:
    assert "1 of 1000 has no root, the others are right: True and so is [1.e+10]" in runs["again"].text()


def test_a_debugger_can_attach_and_is_sent_away(runs: dict[str, CellRun]) -> None:
    assert re.search(r"root_0_0 waits for a debugger at 127\.0\.0\.1:\d+", runs["debug"].text())
    assert "replaced by a process that nobody debugs" in runs["stop"].text()
