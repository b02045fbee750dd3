"""Where the sources are, and their syntax trees: what the other modules of this folder look through."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "jupyter_pyserve"
STUB = ROOT / "stub"
FRONT_END = ROOT / "labextension" / "src"

_GENERATED = {PACKAGE / "_version.py"}


def python_files(*roots: Path) -> list[Path]:
    return sorted(path for root in roots for path in root.rglob("*.py") if path not in _GENERATED)


def front_end_files() -> list[Path]:
    return sorted(path for path in FRONT_END.rglob("*.ts*") if "__tests__" not in path.parts)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_roots(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and top-level name of every absolute import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.lineno, node.module.partition(".")[0]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))
