"""The quickstart, executed top to bottom in a real Jupyter server; what it shows is what it promises."""

from __future__ import annotations

import json
import re

import pytest

from tests.notebooks.kernel_session import CellRun
from tests.notebooks.shelf import Shelf


@pytest.fixture
def runs(shelf: Shelf) -> dict[str, CellRun]:
    return shelf.read("quickstart")


def test_the_deployed_model_shows_its_processes_and_addresses(runs: dict[str, CellRun]) -> None:
    shown = runs["deploy"].text()
    assert "my_python_model: READY" in shown
    assert len(re.findall(r"my_python_model_0_\d +1 +\d+ +READY", shown)) == 2
    for address in ("/pyserve/v2/models/my_python_model", "http.sock", "lane.sock", "http://127.0.0.1:"):
        assert address in shown
    assert "curl -s" in runs["deploy"].html()


def test_the_lane_answers(runs: dict[str, CellRun]) -> None:
    assert "[[2., 3., 4.]]" in runs["call"].text()
    assert "((1, 16777216), 42.0, 42.0)" in runs["shared"].text()
    assert "[[1., 2., 3., 4.]]" in runs["asarray"].text()
    assert str(list(range(1, 17))) in runs["async"].text()


def test_curl_and_tritons_client_answer(runs: dict[str, CellRun]) -> None:
    answer = json.loads(runs["curl"].text())
    assert answer["outputs"] == [{"name": "OUTPUT0", "datatype": "FP32", "shape": [1, 3], "data": [2.0, 3.0, 4.0]}]
    assert "[[2., 3., 4.]]" in runs["client"].text()
    assert "[[11., 21., 31.]]" in runs["port"].text()


def test_a_function_is_a_model_with_what_it_uses_of_other_cells(runs: dict[str, CellRun]) -> None:
    assert "{'output': array([[5.],\n        [0.]])}" in runs["function"].text()


def test_the_widgets_are_shown(runs: dict[str, CellRun]) -> None:
    for cell in ("monitor", "form"):
        shown = [
            output
            for output in runs[cell].outputs
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
        ]
        assert len(shown) == 1, runs[cell].outputs


def test_a_new_version_takes_over_without_a_failed_request(runs: dict[str, CellRun]) -> None:
    assert re.search(r"^\d+ answers, all of them \[1\.0, 2\.0\]; 0 failures$", runs["swapped"].text(), re.MULTILINE)
    assert "READY" in runs["edit"].text()


def test_a_failure_names_the_line_and_leaves_what_served(runs: dict[str, CellRun]) -> None:
    lines = runs["fail"].text().splitlines()
    assert re.search(r"^Cell In\[\d+\], line 6, in initialize", runs["fail"].text(), re.MULTILINE)
    assert any(line.startswith("----> 6") and "weights that are not there" in line for line in lines)
    assert not any("pyserve_stub" in line or "jupyter_pyserve" in line for line in lines)
    assert "[[2.]]" in runs["still"].text()


def test_it_can_be_looked_after(runs: dict[str, CellRun]) -> None:
    assert re.search(r"my_python_model +READY", runs["list"].text())
    assert "my_python_model: READY" in runs["status"].text()
    assert re.search(r"my_python_model_0_\d.*ready to add two: my_python_model_0_\d", runs["logs"].text())
    assert "out of service" in runs["undeploy"].text()
