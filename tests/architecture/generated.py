"""What pages say that the code says too: tables of life cycles and of differences, made from the code itself.

`python -m tests.architecture.generated` writes them into the pages, between their markers; a test compares.
"""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jupyter_pyserve.model.lifecycle import ADMISSION, SEQUENCE, STUB, VERSION
from jupyter_pyserve.transports.jupyter.states import TRANSITIONS
from tests.architecture.sources import ROOT
from tests.golden.backend.differences import DIFFERENCES as MODEL_DIFFERENCES
from tests.golden.differences import DIFFERENCES, Difference

BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def life_cycle(table: Mapping[tuple[Any, Any], enum.Enum]) -> str:
    """One row for each state, one column for each event, the following state where they meet."""
    some_state, some_event = next(iter(table))
    states: list[enum.Enum] = [*type(some_state).__members__.values()]
    events: list[enum.Enum] = [*type(some_event).__members__.values()]
    rows = [["in \\ on", *(event.name.lower() for event in events)]]
    for state in states:
        following = (table.get((state, event)) for event in events)
        rows.append([f"**{state.name}**", *(found.name if found is not None else "" for found in following)])
    return markdown(rows)


def differences(known: Mapping[str, Difference]) -> str:
    """The recorded cases that are answered otherwise on purpose, by reason."""
    cases: dict[str, list[str]] = {}
    for name, difference in known.items():
        cases.setdefault(difference.why, []).append(name)
    rows = [["why", "cases"], *([why, ", ".join(f"`{name}`" for name in names)] for why, names in cases.items())]
    return markdown(rows)


def markdown(rows: Iterable[list[str]]) -> str:
    heading, *others = rows
    lines = [heading, ["---"] * len(heading), *others]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


TABLES: dict[str, Callable[[], str]] = {
    "stub": lambda: life_cycle(STUB),
    "version": lambda: life_cycle(VERSION),
    "admission": lambda: life_cycle(ADMISSION),
    "sequence": lambda: life_cycle(SEQUENCE),
    "engine": lambda: life_cycle(TRANSITIONS),
    "differences": lambda: differences(DIFFERENCES),
    "model-differences": lambda: differences(MODEL_DIFFERENCES),
}


def renewed(page: str) -> str:
    """A page with its generated blocks as they should be."""
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block['name']]()}{block[3]}", page)


def main() -> int:
    for path in sorted((ROOT / "docs").rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        path.write_text(renewed(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
