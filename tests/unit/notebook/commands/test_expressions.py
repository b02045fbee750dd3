from __future__ import annotations

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.commands.expressions import split


@pytest.mark.parametrize(
    ("line", "words", "found"),
    [
        ("infer m", ["infer", "m"], {}),
        ("infer m X=1", ["infer", "m"], {"X": "1"}),
        ("infer m X=[[1, 2], [3, 4]] Y=a[:, 0]", ["infer", "m"], {"X": "[[1, 2], [3, 4]]", "Y": "a[:, 0]"}),
        ("infer m X='a b' Y=\"it's\"", ["infer", "m"], {"X": "'a b'", "Y": '"it\'s"'}),
        ("infer m X=x + 1 --stream", ["infer", "m", "--stream"], {"X": "x + 1"}),
        ("infer m X=f(a, b=1) Y=x == 1", ["infer", "m"], {"X": "f(a, b=1)", "Y": "x == 1"}),
        ("infer m --json 'a b.json'", ["infer", "m", "--json", "a b.json"], {}),
        ("infer m --parameter k=v X=1", ["infer", "m", "--parameter", "k=v"], {"X": "1"}),
        ("infer m --timeout=5 X=1", ["infer", "m", "--timeout=5"], {"X": "1"}),
        ("infer m X={'a': 1}['a'] - 1", ["infer", "m"], {"X": "{'a': 1}['a'] - 1"}),
        ("infer m serving:0=1", ["infer", "m"], {"serving:0": "1"}),
        (r"infer m X='\' '", ["infer", "m"], {"X": r"'\' '"}),
        ("infer m 3", ["infer", "m", "3"], {}),
    ],
)
def test_a_line(line: str, words: list[str], found: dict[str, str]) -> None:
    assert split(line, ["--json", "--parameter", "--timeout"]) == (words, found)


@pytest.mark.parametrize(("line", "missing"), [("infer m X=[1", "]"), ("infer m X='a", "'"), ("infer m X=f(1]", ")")])
def test_what_is_not_closed(line: str, missing: str) -> None:
    with pytest.raises(PyServeError) as caught:
        split(line)
    assert caught.value.message.startswith(f"no closing {missing} in: ")
