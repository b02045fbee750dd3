from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_pyserve.notebook.widgets import scripts

FOLDER = Path(scripts.__file__).parent
KINDS = sorted(path.stem for path in FOLDER.glob("*.js") if "export default" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_is_one_module_without_imports(kind: str) -> None:
    text = scripts.script(kind)
    assert not re.search(r"^\s*import\b", text, re.MULTILINE)
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"^export\b.*", text, re.MULTILINE) == ["export default { render };"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_put_together_has_each_name_once(kind: str) -> None:
    names = re.findall(r"^(?:const|function|let|class) (\w+)", scripts.script(kind), re.MULTILINE)
    assert "render" in names
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.js")), ids=lambda path: path.name)
def test_no_markup_is_made_from_strings(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\b(innerHTML|outerHTML|insertAdjacentHTML|eval|DOMParser)\b|document\.write", text) == []
    assert len(text.splitlines()) <= 400


def test_the_style_touches_nothing_but_views() -> None:
    selectors = re.findall(r"^([^\s@}][^{]*)\{", scripts.style(), re.MULTILINE)
    assert selectors
    assert all(part.strip().startswith(".pyserve-live") for text in selectors for part in text.split(","))


def test_it_is_the_style_sheet() -> None:
    assert scripts.style() == (FOLDER / "widgets.css").read_text(encoding="utf-8")
