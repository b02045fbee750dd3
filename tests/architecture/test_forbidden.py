"""Ways of doing things that other servers were broken into by: no shell, no pickle, no markup from strings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGE, STUB, front_end_files, imported_roots, name, parse, python_files

MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve"}
FUNCTIONS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
SHELL_COMMAND = re.compile(r"\b(ba|da|z)?sh\s+-l?c\b")
MARKUP = re.compile(r"\b(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML)\b|document\.write\(|\beval\(")


def offences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    yield from ((line, root) for line, root in imported_roots(tree) if root in MODULES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if ast.unparse(node.func) in FUNCTIONS:
                yield node.lineno, ast.unparse(node.func)
            if any(keyword.arg == "shell" for keyword in node.keywords):
                yield node.lineno, "shell="
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and SHELL_COMMAND.search(node.value):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", python_files(PACKAGE, STUB), ids=name)
def test_python_runs_no_shell_and_unpickles_nothing(path: Path) -> None:
    assert list(offences(parse(path))) == []


@pytest.mark.parametrize("path", front_end_files(), ids=name)
def test_front_end_makes_no_markup_from_strings(path: Path) -> None:
    assert MARKUP.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import dumps",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run(['x', 'bash -c ls'])",
    ],
)
def test_an_offence_would_be_noticed(source: str) -> None:
    assert len(list(offences(ast.parse(source)))) == 1
