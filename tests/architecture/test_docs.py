"""Pages that say what the code says are compared with the code; links lead somewhere; versions agree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.architecture.generated import BLOCK, TABLES, life_cycle, renewed
from tests.architecture.sources import ROOT, name

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)#\s]+)(?:#[\w-]+)?\)")
_VERSION_HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\]", re.MULTILINE)


def relative_links(page: str) -> list[str]:
    return [found["target"] for found in _LINK.finditer(page) if "://" not in found["target"]]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_generated_parts_are_up_to_date(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert page == renewed(page), "python -m tests.architecture.generated writes them anew"


def test_every_table_is_shown_once() -> None:
    shown = [block["name"] for path in PAGES for block in BLOCK.finditer(path.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(TABLES)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_to_files(path: Path) -> None:
    targets = relative_links(path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_changelog_begins_with_the_version_of_the_package() -> None:
    found = _VERSION_HEADING.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    package = json.loads((ROOT / "labextension" / "package.json").read_text(encoding="utf-8"))
    assert found is not None
    assert found["version"] == package["version"]


def test_every_decision_is_listed() -> None:
    decisions = ROOT / "docs" / "decisions"
    listed = relative_links((decisions / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(path.name for path in decisions.glob("[0-9]*.md"))


def test_a_changed_table_would_be_noticed() -> None:
    page = "<!-- generated: stub -->\n| old |\n<!-- end -->\n"
    assert renewed(page) != page


def test_a_dead_link_would_be_noticed() -> None:
    assert relative_links("[a](b.md#c) ![d](images/e.png) [f](https://example.org)") == ["b.md", "images/e.png"]


def test_a_life_cycle_names_what_follows() -> None:
    import enum

    class Light(enum.Enum):
        RED = 1
        GREEN = 2

    class Push(enum.Enum):
        BUTTON = 1

    shown = life_cycle({(Light.RED, Push.BUTTON): Light.GREEN})
    assert shown == "| in \\ on | button |\n| --- | --- |\n| **RED** | GREEN |\n| **GREEN** |  |\n"
