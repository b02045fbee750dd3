from __future__ import annotations

import pytest

from jupyter_pyserve.notebook.completion import complete
from jupyter_pyserve.notebook.options import LINE_COMMANDS

PARTS = {"instance": ["mine_0", "mine_1"], "version": ["1", "2"], "inputs": ["IN", "MASK"], "output": ["OUT"]}
NAMES = {"restart": ["mine"], "infer": ["mine"], "deploy": ["mine"], "model": ["mine"], "status": ["mine", "served"]}


def _complete(text: str, symbol: str | None = None) -> list[str]:
    last = text.split()[-1] if text.strip() and not text[-1].isspace() else ""
    return complete(
        text,
        last if symbol is None else symbol,
        lambda what, command, model: PARTS.get(what, NAMES.get(command, []) if what == "name" else []),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%pyserve ", sorted(LINE_COMMANDS)),
        ("pyserve lo", ["load", "logs"]),
        ("%%pyserve ", ["config", "model"]),
        ("%%pyserve m", ["model"]),
        ("%pyserve deploy ", ["mine"]),
        ("%pyserve status s", ["served"]),
        ("%pyserve undeploy x --d", ["--delete"]),
        (
            "%pyserve logs x -",
            [
                "--follow",
                "--for",
                "--grep",
                "--help",
                "--instance",
                "--level",
                "--lines",
                "--request",
                "-f",
                "-h",
                "-n",
            ],
        ),
        ("%pyserve logs x -n ", []),
        ("%pyserve nonsense ", []),
        ("%pyserve list ", ["--help", "-h"]),
        ("%%pyserve model --max-batch-size 8 ", ["mine"]),
        ("%%pyserve model --decoupled ", ["mine"]),
        ("%%pyserve model x --max", ["--max-batch-size", "--max-queue-delay-us"]),
        ("%%pyserve model x --kind ", ["CPU", "GPU"]),
        ("%pyserve logs x --instance ", ["mine_0", "mine_1"]),
        ("%pyserve logs x --level E", ["ERROR"]),
        ("%pyserve restart mine mine_1", ["mine_1"]),
        ("%pyserve restart mine mine_1 --f", ["--force"]),
        ("%pyserve rollback mine ", ["1", "2", "--help", "-h"]),
        ("%pyserve infer m", ["mine"]),
        ("%pyserve infer mine ", ["IN=", "MASK="]),
        ("%pyserve infer mine IN=x ", ["MASK="]),
        ("%pyserve infer mine IN=", []),
        ("%pyserve infer mine --output ", ["OUT"]),
        ("%pyserve help sc", ["scale"]),
        ("%pyserve help co", ["config"]),
        ("%pyserve serve --http-po", ["--http-port"]),
        ("other ", []),
        ("", []),
    ],
)
def test_what_may_stand_at_the_cursor(text: str, expected: list[str]) -> None:
    assert _complete(text) == expected


def test_datatypes_inside_a_tensor() -> None:
    assert _complete("%%pyserve model x --input INPUT0:FP", "FP") == ["FP16:", "FP32:", "FP64:"]
    assert _complete("%%pyserve model x --input INP", "INP") == []
