"""A scrape, by every way to it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.plain import Plain
from tests.support.transport import Inference, Request

UNPACKED = Path(__file__).parents[2] / "build/prometheus/usr/bin"

#: What every line is, by the format's own grammar.
_LINE = re.compile(
    r"# HELP \w+ .*|# TYPE \w+ (?:counter|gauge|histogram|summary)"
    r'|\w+(?:\{\w+="(?:[^"\\]|\\.)*"(?:,\w+="(?:[^"\\]|\\.)*")*\})? (?:[-+]Inf|Nan|[-+.e\d]+)'
)


def lines(scrape: Plain) -> list[str]:
    answer = scrape.send("GET", "/metrics")
    assert answer.status == 200
    return answer.body.decode().splitlines()


def value(scrape: Plain, sample: str) -> float:
    (found,) = (line for line in lines(scrape) if line.startswith(f"{sample} "))
    return float(found.rpartition(" ")[2])


def test_every_line_is_in_the_format(scrape: Plain) -> None:
    assert [line for line in lines(scrape) if not _LINE.fullmatch(line)] == []


def test_it_is_text(scrape: Plain) -> None:
    answer = scrape.send("GET", "/metrics")
    assert answer.headers["content-type"].lower() == "text/plain; charset=utf-8"
    assert answer.body.endswith(b"\n")


def test_every_family_is_described_once_before_its_samples(scrape: Plain) -> None:
    described: list[str] = []
    for line in lines(scrape):
        words = line.split()
        if words[:2] == ["#", "TYPE"]:
            described.append(words[2])
        elif not line.startswith("#"):
            assert re.split(r"[{ ]", line)[0] == described[-1]
    assert len(described) == len(set(described)) > 10


def test_a_request_by_any_way_is_counted(scrape: Plain, beside: Inference) -> None:
    sample = 'nv_inference_count{model="counted",version="1"}'
    before = value(scrape, sample)
    beside.infer(Request(model="counted", inputs={"INPUT0": np.zeros((3, 2), np.float32)}))
    assert value(scrape, sample) == before + 3


def test_scrapes_cannot_be_sent(scrape: Plain) -> None:
    assert scrape.send("POST", "/metrics", b"x").status in (403, 405)  # behind Jupyter it is a deed to be authorised


def test_promtool_can_read_it(scrape: Plain, promtool: Callable[[bytes], str]) -> None:
    """It wishes for other names; those are Triton's."""
    complaints = promtool(scrape.send("GET", "/metrics").body).splitlines()
    about_names = re.compile(
        r'\w+ (?:counter metrics should have "_total" suffix|metric names should not contain abbreviated units'
        r'|non-histogram and non-summary metrics should not have "_count" suffix)'
    )
    assert [line for line in complaints if not about_names.fullmatch(line)] == []


@pytest.fixture
def promtool() -> Callable[[bytes], str]:
    tool = shutil.which("promtool", path=f"{os.environ['PATH']}:{UNPACKED}")
    assert tool is not None, "promtool is not there: `make promtool`"
    command = [tool, "check", "metrics"]
    return lambda text: subprocess.run(command, input=text, capture_output=True, check=False).stderr.decode()
