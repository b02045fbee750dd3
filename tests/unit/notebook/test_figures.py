from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_pyserve.notebook import figures

FORMS: dict[str, Callable[[float], str]] = {
    "bytes": figures.nbytes,
    "number": figures.number,
    "percent": figures.percent,
    "ms": figures.milliseconds,
    "seconds": figures.seconds,
}
# The scripts of the browser are held to the same table.
EXAMPLES: dict[str, list[tuple[float, str]]] = json.loads(
    Path(__file__).with_name("figures.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [(kind, value, text) for kind, rows in EXAMPLES.items() for value, text in rows],
)
def test_a_figure_reads_alike_everywhere(kind: str, value: float, text: str) -> None:
    assert FORMS[kind](value) == text


def test_what_is_not_known_is_not_shown() -> None:
    assert figures.shown(None, figures.number) == ""
    assert figures.shown(0, figures.number) == "0"
