"""A unit test stands where its source does: `a/b.py` is tested by `tests/unit/a/test_b.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGE, ROOT, STUB, name

UNIT = ROOT / "tests" / "unit"


def source_folders(test: Path) -> list[Path]:
    """Where the source of a test file may be."""
    folder = test.parent.relative_to(UNIT)
    if folder.parts[:1] == ("stub",):
        inner = folder.relative_to("stub")
        return [STUB / inner, STUB / "pyserve_stub" / inner]
    return [PACKAGE / folder]


def source_names(test: Path) -> list[str]:
    """`test_infer.py` belongs to `infer`; `test_infer_errors.py` to `infer_errors`, or is one more part of `infer`."""
    words = test.stem.removeprefix("test_").split("_")
    return ["_".join(words[:count]) for count in range(len(words), 0, -1)]


def has_source(test: Path) -> bool:
    candidates = [folder / stem for folder in source_folders(test) for stem in source_names(test)]
    return any(
        path.with_suffix(".py").is_file() or path.is_dir() or path.with_name(f"__{path.name}__.py").is_file()
        for path in candidates
    )


@pytest.mark.parametrize("test", sorted(UNIT.rglob("test_*.py")), ids=name)
def test_mirrors_a_source(test: Path) -> None:
    assert has_source(test), f"{name(test)} mirrors no file in {[name(folder) for folder in source_folders(test)]}"


def test_a_stray_test_would_be_noticed() -> None:
    assert not has_source(UNIT / "v2" / "test_nosuchthing.py")
    assert not has_source(UNIT / "nosuchfolder" / "test_infer.py")
