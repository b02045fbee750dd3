"""Moving to Triton: the exported directory is whole, other servers give the same answers, the test goes along."""

from __future__ import annotations

import shutil

import pytest

from tests.notebooks.kernel_session import CellRun
from tests.notebooks.shelf import Shelf


@pytest.fixture
def runs(shelf: Shelf) -> dict[str, CellRun]:
    return shelf.read("triton")


def test_the_model_tells_languages_apart(runs: dict[str, CellRun]) -> None:
    shown = runs["client"].text()
    positions = [shown.index(language) for language in ("English", "German", "Spanish", "French")]
    assert positions == sorted(positions)


def test_the_export_has_all_that_the_model_needs(runs: dict[str, CellRun]) -> None:
    for path in ("config.pbtxt", "1/model.py", "1/pyserve_share.py", "1/shared/profiles.npy"):
        assert f"language/{path} " in runs["export"].text()
    assert 'profiles = shared("profiles")' in runs["text"].text()


def test_other_servers_give_the_same_answers(runs: dict[str, CellRun]) -> None:
    assert "pyserve serve: True" in runs["serve"].text()
    there_is_one = shutil.which("tritonserver") is not None
    assert ("tritonserver: True" if there_is_one else "There is no tritonserver") in runs["real"].text()


def test_its_own_test_passes_without_a_server(runs: dict[str, CellRun]) -> None:
    assert runs["test"].text().strip() == "passed"
